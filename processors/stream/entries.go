package stream

// entry is a state in memory.
type entry[S any] struct {
	envelope
	state  *S     // nil: only packed
	packed []byte // the state encoded; nil: that would have to be done
	key    string

	touched uint32 // the generation that changed it last
	saved   uint32 // the generation that was saved last
	size    uint32 // bytes
	used    bool   // since the hand came by
	exists  bool   // has folded a record

	dirty      uint64
	storedNext int64 // its entry in the store's wake-up index; 0: none
	queued     int64 // its earliest slot among the wake-ups in memory; 0: none
}

// entries are the states of a partition that are in memory: what is newer than
// the store, and what else there is room for.
//
// A state that nobody asked for lately is packed if that saves room. It saves the
// garbage collector more: it has to walk through all that a state points to, and
// bytes point to nothing.
//
// Changes count in generations. One is open; when it is frozen to be written
// the next begins, and once it has landed its entries are in the store, all at
// once and without a look at any.
type entries[S any] struct {
	byKey  index[S]
	whole  bool    // what is not here is not in the store either
	ring   ring[S] // all
	loose  ring[S] // with a state, unless bulky
	bulky  bool    // packing saves too little
	came   int     // that were loosened since the last shrink
	open   uint32  // generation
	landed uint32  // generation; those up to it are in the store

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

// add brings in an entry that has its state.
func (e *entries[S]) add(x *entry[S]) {
	e.byKey.add(x)
	e.ring.add(x)
	e.loosen(x)
}

// loosen says that x has its state from here on.
func (e *entries[S]) loosen(x *entry[S]) {
	if !e.bulky {
		e.loose.add(x)
		e.came++
	}
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

// resize says what x takes now, in whatever list it is.
func (e *entries[S]) resize(x *entry[S], size uint32) {
	more := int64(size) - int64(x.size)
	e.ring.bytes += more
	if x.state != nil && !e.bulky {
		e.loose.bytes += more
	}
	if x.touched == e.open {
		e.pending += more
	}
	x.size = size
}

// freeze begins the next generation and returns what the last one changed.
func (e *entries[S]) freeze() (frozen []*entry[S], bytes int64) {
	frozen, bytes = e.touched, e.pending
	e.touched, e.pending = nil, 0
	e.open++
	return frozen, bytes
}

// evictions bounds how many entries are looked at in one go, and so its pause;
// but where more were unpacked since, as many are packed: behind a backlog all of
// them would come to be loose at once, and leave the heap full of holes.
// One that is packed counts as several.
const (
	evictions  = 1 << 15
	packedLook = 16
)

// looseShare is the part of memory for states that are not packed.
const looseShare = 16

// shrink packs, and then forgets, what was not used since the hand came by last,
// until limit holds or so many were looked at. What is newer than the store may
// be packed, and stays. pack encodes the state and returns what the entry then
// takes; small: that is worth it. release takes states that are not needed then.
func (e *entries[S]) shrink(limit int64, most int, pack func(x *entry[S]) (size uint32, small bool), release func(*S)) {
	looks := max(most, e.came*(packedLook+2))
	e.came = 0
	for n := min(looks, (packedLook+2)*len(e.loose.all)); n > 0 && e.loose.bytes > limit/looseShare && !e.bulky; n-- {
		x := e.loose.here()
		if x.used {
			x.used = false
			e.loose.hand++
			continue
		}
		n -= packedLook
		size, small := pack(x)
		if !small {
			x.packed, e.bulky, e.loose = nil, true, ring[S]{}
			break
		}
		e.loose.drop()
		release(x.state)
		x.state = nil
		e.resize(x, size)
	}
	for n := min(most, 2*len(e.ring.all)); n > 0 && e.ring.bytes > limit; n-- {
		x := e.ring.here()
		if x.used || e.newer(x) || x.state != nil && !e.bulky {
			x.used = false
			e.ring.hand++
			continue
		}
		e.ring.drop()
		e.byKey.remove(x)
		if x.state != nil {
			release(x.state)
		}
		e.whole = false
	}
}

// ring is what a hand goes around in, looking for what was not used.
type ring[S any] struct {
	all   []*entry[S]
	hand  int
	bytes int64
}

func (r *ring[S]) add(x *entry[S]) {
	r.all = append(r.all, x)
	r.bytes += int64(x.size)
}

// here returns what the hand points to. There must be something.
func (r *ring[S]) here() *entry[S] {
	if r.hand >= len(r.all) {
		r.hand = 0
	}
	return r.all[r.hand]
}

// drop takes out what the hand points to.
func (r *ring[S]) drop() {
	last := len(r.all) - 1
	r.bytes -= int64(r.all[r.hand].size)
	r.all[r.hand], r.all[last] = r.all[last], nil
	r.all = r.all[:last]
}
