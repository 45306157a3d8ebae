package profile

import (
	"iter"
	"math/bits"
)

// Standing is where a customer stood when their segments were last asked: between
// which of the values that conditions compare it with each term of the playbook lay.
// Only what has passed one since can turn a segment.
type Standing struct {
	Known bool // else nothing here counts
	// Levels are of each term; Turns when it may be at another with no event.
	Levels []int32
	Turns  []int64
	// Counted are the needs that counted something since, by their place.
	Counted []int32
	// In and Asked are sets of segments, by their place: the customer's own, and
	// those to ask.
	In, Asked Set
}

// Set is one of small numbers, a bit each.
type Set []uint64

// Has reports whether i is in the set.
func (s Set) Has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }

// Add adds i.
func (s Set) Add(i int) { s[i/64] |= 1 << (i % 64) }

// Flip adds i, or takes it out.
func (s Set) Flip(i int) { s[i/64] ^= 1 << (i % 64) }

// Drain yields the numbers in the set in rising order and takes them out, larger
// ones that come in meanwhile included. What comes in that is not larger is passed by.
func (s Set) Drain() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range s {
			for s[i] != 0 {
				bit := bits.TrailingZeros64(s[i])
				s[i] &^= 1 << bit
				if !yield(64*i + bit) {
					return
				}
				s[i] &^= 2<<bit - 1
			}
		}
	}
}

// room is the memory of s for another standing, not known.
func (s Standing) room() Standing {
	return Standing{Levels: s.Levels[:0], Turns: s.Turns[:0], Counted: s.Counted[:0], In: s.In[:0], Asked: s.Asked[:0]}
}
