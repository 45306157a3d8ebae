package pair

import (
	"cmp"
	"slices"
)

// Ranked is a product, and the chance it was ranked by.
type Ranked struct {
	Product string
	Chance  float64
}

// Ranking ranks for one basket after the other, in the same room; it is used by
// one goroutine at a time.
type Ranking struct {
	rules  *Rules
	in     []int32   // places of what lies in the basket
	held   []bool    // whether a place is one of them
	moved  []int32   // places of what has a rule with any of it
	has    []bool    // whether a place is one of them
	gain   []float64 // by how much, summed
	best   []scored
	ranked []Ranked
}

type scored struct {
	at     int32
	chance float64
}

// Ranking is room to rank in.
func (r *Rules) Ranking() *Ranking {
	n := len(r.Products)
	return &Ranking{rules: r, held: make([]bool, n), has: make([]bool, n), gain: make([]float64, n)}
}

// For are the n products that go best with a basket, without its own. The score of
// one is the mean of its chances beside each product of the basket; without a rule
// for the two that is its share, by popularity, of what the rules leave; an empty
// or unknown basket is offered what everyone buys. Equals come in the order of
// popularity, then of name. The result holds until the next call.
func (k *Ranking) For(basket []string, n int) []Ranked {
	r := k.rules
	for _, name := range basket {
		if at, known := r.places[name]; known && !k.held[at] {
			k.held[at] = true
			k.in = append(k.in, at)
		}
	}
	slices.Sort(k.in) // a sum does not depend on the order of the basket
	rest := 0.0
	for _, at := range k.in {
		k.move(at, &r.With[at])
		k.move(at, &r.Apart[at])
		rest += r.rest[at]
	}
	in := float64(len(k.in))
	if in == 0 {
		in, rest = 1, 1
	}
	k.best = k.best[:0]
	for _, at := range k.moved {
		k.offer(scored{at, max(0, rest*r.anywhere[at]+k.gain[at]) / in}, n)
	}
	// Of what has no rule the most popular are enough.
	for at, left := int32(0), n; int(at) < len(r.Products) && left > 0; at++ {
		if !k.has[at] && !k.held[at] {
			k.offer(scored{at, rest * r.anywhere[at] / in}, n)
			left--
		}
	}
	for _, at := range k.in {
		k.held[at] = false
	}
	for _, at := range k.moved {
		k.has[at], k.gain[at] = false, 0
	}
	k.in, k.moved, k.ranked = k.in[:0], k.moved[:0], k.ranked[:0]
	for _, s := range k.best {
		k.ranked = append(k.ranked, Ranked{r.Products[s.at], s.chance})
	}
	return k.ranked
}

// move adds what a product of the basket changes.
func (k *Ranking) move(place int32, b *Beside) {
	for i, at := range b.Products {
		if k.held[at] {
			continue
		}
		if !k.has[at] {
			k.has[at] = true
			k.moved = append(k.moved, at)
		}
		k.gain[at] += b.chance(i) - k.rules.rest[place]*k.rules.anywhere[at]
	}
}

// offer keeps s where it belongs if it is among the n best.
func (k *Ranking) offer(s scored, n int) {
	at, _ := slices.BinarySearchFunc(k.best, s, func(x, y scored) int {
		return cmp.Or(cmp.Compare(y.chance, x.chance), cmp.Compare(x.at, y.at))
	})
	if at >= n {
		return
	}
	if len(k.best) == n {
		k.best = k.best[:n-1]
	}
	k.best = slices.Insert(k.best, at, s)
}
