package stream

import (
	"hash/maphash"
	"unsafe"
)

// index finds entries by key. It is a hash table with linear probing, which
// needs one line of memory where a map needs two or three: with a million keys
// in no order, waiting for memory is most of what a fold costs.
type index[S any] struct {
	slots []indexed[S] // a power of two, at most 3/4 in use
	count int
	seed  maphash.Seed
}

type indexed[S any] struct {
	hash uint64
	e    *entry[S] // nil: free
}

func newIndex[S any]() index[S] {
	return index[S]{slots: make([]indexed[S], 64), seed: maphash.MakeSeed()}
}

// home is where the search for key begins, and most often ends.
func (x *index[S]) home(key string) *indexed[S] {
	return &x.slots[maphash.String(x.seed, key)&uint64(len(x.slots)-1)]
}

// at returns the slot of key, or the free one where it would be.
func (x *index[S]) at(hash uint64, key string) *indexed[S] {
	mask := uint64(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if s := &x.slots[i]; s.e == nil || s.hash == hash && s.e.key == key {
			return s
		}
	}
}

func (x *index[S]) get(key string) *entry[S] { return x.at(maphash.String(x.seed, key), key).e }

// add brings in an entry whose key is not there.
func (x *index[S]) add(e *entry[S]) {
	if x.count++; x.count > len(x.slots)*3/4 {
		x.grow()
	}
	hash := maphash.String(x.seed, e.key)
	*x.at(hash, e.key) = indexed[S]{hash, e}
}

func (x *index[S]) grow() {
	old := x.slots
	x.slots = make([]indexed[S], 2*len(old))
	for _, s := range old {
		if s.e != nil {
			*x.at(s.hash, s.e.key) = s
		}
	}
}

// remove takes an entry out, and moves up those that had to make way for it.
func (x *index[S]) remove(e *entry[S]) {
	mask := uint64(len(x.slots) - 1)
	free := maphash.String(x.seed, e.key) & mask
	for x.slots[free].e != e {
		free = (free + 1) & mask
	}
	for i := (free + 1) & mask; x.slots[i].e != nil; i = (i + 1) & mask {
		if home := x.slots[i].hash & mask; (i-home)&mask >= (i-free)&mask {
			x.slots[free] = x.slots[i]
			free = i
		}
	}
	x.slots[free] = indexed[S]{}
	x.count--
}

// peek is b as a string without a copy, for a look-up alone.
func peek(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
