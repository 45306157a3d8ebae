package stream

// entry is a decoded state in memory.
type entry[S any] struct {
	envelope
	state *S
	key   string

	touched uint32 // the generation that changed it last
	saved   uint32 // the generation that was saved last
	size    uint32 // bytes
	used    bool   // since the hand came by
	exists  bool   // has folded a record

	dirty      uint64
	storedNext int64 // its entry in the store's wake-up index; 0: none
	queued     int64 // its earliest slot among the wake-ups in memory; 0: none
}

// entries are the decoded states of a partition: what is newer than the store,
// and what else memory has room for.
//
// Changes count in generations. One is open; when it is frozen to be written
// the next begins, and once it has landed its entries are in the store, all at
// once and without a look at any.
type entries[S any] struct {
	byKey  index[S]
	whole  bool // what is not here is not in the store either
	ring   []*entry[S]
	hand   int
	bytes  int64
	open   uint32 // generation
	landed uint32 // generation; those up to it are in the store

	touched []*entry[S] // in the open generation, in the order of their first change
	pending int64       // bytes of these
}

func newEntries[S any]() *entries[S] { return &entries[S]{byKey: newIndex[S](), open: 1} }

// get returns the entry of key if it is in memory.
func (e *entries[S]) get(key string) *entry[S] {
	x := e.byKey.get(key)
	if x != nil && !x.used {
		x.used = true
	}
	return x
}

func (e *entries[S]) add(x *entry[S]) {
	e.byKey.add(x)
	e.ring = append(e.ring, x)
	e.bytes += int64(x.size)
}

// newer reports whether x is newer than the store.
func (e *entries[S]) newer(x *entry[S]) bool { return x.touched > e.landed }

// hides reports whether the store's view of key is out of date.
func (e *entries[S]) hides(key string) bool {
	x := e.byKey.get(key)
	return x != nil && e.newer(x)
}

// touch marks x as changed in the open generation.
func (e *entries[S]) touch(x *entry[S]) {
	if !e.newer(x) {
		x.queued = 0
	}
	x.touched = e.open
	e.touched = append(e.touched, x)
	e.pending += int64(x.size)
}

// resize is for an entry of the open generation.
func (e *entries[S]) resize(x *entry[S], size uint32) {
	more := int64(size) - int64(x.size)
	e.bytes += more
	e.pending += more
	x.size = size
}

// freeze begins the next generation and returns what the last one changed.
func (e *entries[S]) freeze() (frozen []*entry[S], bytes int64) {
	frozen, bytes = e.touched, e.pending
	e.touched, e.pending = nil, 0
	e.open++
	return frozen, bytes
}

// evictions bounds how many entries are looked at in one go, and so its pause.
const evictions = 1 << 15

// shrink forgets what was not used since the hand came by last, until limit
// holds or so many were looked at. What is newer than the store stays.
func (e *entries[S]) shrink(limit int64, most int) {
	for n := min(most, 2*len(e.ring)); n > 0 && e.bytes > limit && len(e.ring) > 0; n-- {
		if e.hand >= len(e.ring) {
			e.hand = 0
		}
		x := e.ring[e.hand]
		if x.used || e.newer(x) {
			x.used = false
			e.hand++
			continue
		}
		last := len(e.ring) - 1
		e.ring[e.hand], e.ring[last] = e.ring[last], nil
		e.ring = e.ring[:last]
		e.byKey.remove(x)
		e.bytes -= int64(x.size)
		e.whole = false
	}
}
