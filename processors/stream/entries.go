package stream

import (
	"cmp"
	"slices"

	"segue/state"
)

// entry is a decoded state in memory.
type entry[S any] struct {
	envelope
	key    string
	state  *S
	exists bool // has folded a record

	touched    bool  // newer than in the store
	storedNext int64 // its entry in the store's wake-up index; 0: none
	dirty      uint64
	dirtiedAt  *Position // not in the store's dirty index yet
	size       int64

	before, after *entry[S] // in order of use
}

// entries are the decoded states of a partition: what was touched since the
// last apply, and what else memory has room for.
type entries[S any] struct {
	byKey   map[string]*entry[S]
	touched []*entry[S]
	ring    entry[S] // ring.after was used last
	bytes   int64    // of all
	pending int64    // of the touched ones
}

func newEntries[S any]() *entries[S] {
	e := &entries[S]{byKey: map[string]*entry[S]{}}
	e.ring.before, e.ring.after = &e.ring, &e.ring
	return e
}

// get returns the entry of key if it is in memory.
func (e *entries[S]) get(key string) *entry[S] {
	x := e.byKey[key]
	if x != nil && e.ring.after != x {
		e.unlink(x)
		e.link(x)
	}
	return x
}

func (e *entries[S]) add(x *entry[S]) {
	e.byKey[x.key] = x
	e.bytes += x.size
	e.link(x)
}

func (e *entries[S]) link(x *entry[S]) {
	x.before, x.after = &e.ring, e.ring.after
	x.before.after, x.after.before = x, x
}

func (e *entries[S]) unlink(x *entry[S]) {
	x.before.after, x.after.before = x.after, x.before
}

// touch marks x as newer than the store.
func (e *entries[S]) touch(x *entry[S]) {
	if !x.touched {
		x.touched = true
		e.touched = append(e.touched, x)
		e.pending += x.size
	}
}

func (e *entries[S]) resize(x *entry[S], size int64) {
	e.bytes += size - x.size
	if x.touched {
		e.pending += size - x.size
	}
	x.size = size
}

// isTouched reports whether the store's view of key is out of date.
func (e *entries[S]) isTouched(key string) bool {
	x := e.byKey[key]
	return x != nil && x.touched
}

// sorted returns the touched entries by key.
func (e *entries[S]) sorted() []*entry[S] {
	slices.SortFunc(e.touched, func(a, b *entry[S]) int { return cmp.Compare(a.key, b.key) })
	return e.touched
}

// settle says that the touched entries are in the store now.
func (e *entries[S]) settle() {
	for _, x := range e.touched {
		x.touched, x.dirtiedAt, x.storedNext = false, nil, x.next
	}
	clear(e.touched)
	e.touched, e.pending = e.touched[:0], 0
}

// shrink forgets what was not used for longest until limit holds. What is
// touched stays.
func (e *entries[S]) shrink(limit int64) {
	for x := e.ring.before; x != &e.ring && e.bytes > limit; {
		last := x
		x = x.before
		if last.touched {
			continue
		}
		e.unlink(last)
		delete(e.byKey, last.key)
		e.bytes -= last.size
	}
}

// wakeHeap is a heap of wake-ups, the earliest first.
type wakeHeap []state.Wake

func (h wakeHeap) Len() int           { return len(h) }
func (h wakeHeap) Less(i, j int) bool { return h[i].Less(h[j]) }
func (h wakeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *wakeHeap) Push(x any)        { *h = append(*h, x.(state.Wake)) }
func (h *wakeHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
