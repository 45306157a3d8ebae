// Package pair learns which products are bought together.
//
//	baskets → counts → rules → what goes with a product, or with a basket
//
// The log-likelihood ratio decides whether a pair is real; a conditional
// probability orders what is. Neither does for the other: a sum of ratios ranks
// worse than popularity does, and a probability alone believes what was bought
// together once. The probability is the chance that a product is b, drawn from
// those beside a: every basket with a has one voice, shared by what else it holds,
// so that a large one says no more than a small one.
//
// Not obvious: a basket is a set, however often it names a product. Of one with
// more than MostProducts only the first so many count: what a wholesaler takes
// says little of pairs, and would cost the square of its length. There is no table
// of pairs, as 10,000 products have 50 million: baskets are kept, four bytes for
// each product in one, and pairs are counted for one product at a time.
package pair

import (
	"cmp"
	"iter"
	"math"
	"slices"
)

// MostProducts is how many different products of a basket count.
const MostProducts = 1000

// Baskets are what pairs are counted over. The order in which they are added
// makes no difference to what is counted.
type Baskets struct {
	names []string
	ids   map[string]int32
	sold  []int32 // baskets that hold a product
	in    []int32 // products, basket after basket
	ends  []int   // where a basket ends in them
	seen  []int   // the last basket that named a product, from 1
}

// Add adds a basket. An empty one is a basket too.
func (b *Baskets) Add(products ...string) {
	if b.ids == nil {
		b.ids = map[string]int32{}
	}
	start := len(b.in)
	for _, name := range products {
		if len(b.in)-start == MostProducts {
			break
		}
		id, known := b.ids[name]
		if !known {
			id = int32(len(b.names))
			b.ids[name] = id
			b.names = append(b.names, name)
			b.sold = append(b.sold, 0)
			b.seen = append(b.seen, 0)
		}
		if b.seen[id] == len(b.ends)+1 {
			continue
		}
		b.seen[id] = len(b.ends) + 1
		b.sold[id]++
		b.in = append(b.in, id)
	}
	b.ends = append(b.ends, len(b.in))
}

// Len is the number of baskets.
func (b *Baskets) Len() int { return len(b.ends) }

// Products is the number of different products.
func (b *Baskets) Products() int { return len(b.names) }

// Pair is two different products, and in how many baskets they are.
type Pair struct {
	A, B string
	Table
}

// Table counts baskets: those with both products of a pair, with each, and all.
type Table struct{ Together, A, B, Baskets int }

// Pairs are all that were together at least once, each once, A before B.
func (b *Baskets) Pairs() iter.Seq[Pair] {
	return func(yield func(Pair) bool) {
		for a, beside := range b.beside() {
			for _, other := range beside {
				if b.names[a] < b.names[other.id] && !yield(b.pair(a, other)) {
					return
				}
			}
		}
	}
}

// Strongest are the n pairs whose ratio is greatest, greatest first; among equals
// by name.
func (b *Baskets) Strongest(n int) []Pair {
	var best []Pair
	trim := func() {
		slices.SortFunc(best, func(p, q Pair) int {
			return cmp.Or(cmp.Compare(q.LLR(), p.LLR()), cmp.Compare(p.A, q.A), cmp.Compare(p.B, q.B))
		})
		best = best[:min(n, len(best))]
	}
	for p := range b.Pairs() {
		if best = append(best, p); len(best) >= 2*n+1000 {
			trim()
		}
	}
	trim()
	return best
}

// together is a product, in how many baskets it is with another, and its part of
// their voices, in units of 1/voice.
type together struct {
	id, baskets int32
	voices      int64
}

// voice is in whole units, so that sums do not depend on the order of baskets.
const voice = 1 << 30

func (b *Baskets) pair(a int32, other together) Pair {
	return Pair{b.names[a], b.names[other.id],
		Table{int(other.baskets), int(b.sold[a]), int(b.sold[other.id]), len(b.ends)}}
}

// beside are the products, by name, each with those that are in a basket with it,
// until the next.
func (b *Baskets) beside() iter.Seq2[int32, []together] {
	return func(yield func(int32, []together) bool) {
		holders, from := b.holders()
		counts := make([]together, len(b.names))
		var touched []int32
		var beside []together
		for _, a := range b.byName() {
			for _, basket := range holders[from[a]:from[a+1]] {
				in := b.basket(int(basket))
				for _, id := range in {
					if id == a {
						continue
					}
					if counts[id].baskets == 0 {
						touched = append(touched, id)
					}
					counts[id].baskets++
					counts[id].voices += voice / int64(len(in)-1)
				}
			}
			beside = beside[:0]
			for _, id := range touched {
				counts[id].id = id
				beside = append(beside, counts[id])
				counts[id] = together{}
			}
			touched = touched[:0]
			if !yield(a, beside) {
				return
			}
		}
	}
}

// holders are the baskets that hold each product, one product after another, and
// where each begins.
func (b *Baskets) holders() (baskets []int32, from []int) {
	from = make([]int, len(b.names)+1)
	for id, n := range b.sold {
		from[id+1] = from[id] + int(n)
	}
	baskets = make([]int32, len(b.in))
	next := slices.Clone(from)
	for i := range b.ends {
		for _, id := range b.basket(i) {
			baskets[next[id]] = int32(i)
			next[id]++
		}
	}
	return baskets, from
}

func (b *Baskets) basket(i int) []int32 {
	start := 0
	if i > 0 {
		start = b.ends[i-1]
	}
	return b.in[start:b.ends[i]]
}

func (b *Baskets) byName() []int32 {
	ids := make([]int32, len(b.names))
	for i := range ids {
		ids[i] = int32(i)
	}
	slices.SortFunc(ids, func(x, y int32) int { return cmp.Compare(b.names[x], b.names[y]) })
	return ids
}

// LLR is how much better the counts are explained by a bond between the two
// products than by none: twice the logarithm of the ratio of likelihoods, 0 or
// more. With no bond it is distributed as chi-squared of one degree of freedom.
//
// Source: Dunning, Computational Linguistics 19 (1993), as the G-test.
func (t Table) LLR() float64 {
	both, onlyA, onlyB := t.Together, t.A-t.Together, t.B-t.Together
	neither := t.Baskets - both - onlyA - onlyB
	return llr(both, onlyA, onlyB, neither)
}

// Root is the square root of LLR, negative when the two are together more seldom
// than chance would have it; with no bond it is a standard normal.
func (t Table) Root() float64 {
	root := math.Sqrt(t.LLR())
	if float64(t.Together)*float64(t.Baskets) < float64(t.A)*float64(t.B) {
		return -root
	}
	return root
}

// Given is P(b|a), the share of the baskets with a that hold b too.
func (t Table) Given() float64 { return float64(t.Together) / float64(t.A) }

// Lift is how many times likelier b is beside a than anywhere.
func (t Table) Lift() float64 {
	return float64(t.Together) * float64(t.Baskets) / (float64(t.A) * float64(t.B))
}

// Cosine is the angle's between the baskets of a and those of b, in [0, 1].
func (t Table) Cosine() float64 {
	return float64(t.Together) / math.Sqrt(float64(t.A)*float64(t.B))
}

// llr is the ratio of a table of two by two: with both, with one alone, with the
// other alone, with neither. In the form of what each count adds nothing is lost
// to rounding where there is no bond, and which product is the one is the same.
func llr(both, onlyA, onlyB, neither int) float64 {
	a, b := float64(both+onlyA), float64(both+onlyB)
	n := float64(both + onlyA + onlyB + neither)
	of := func(count int, row, column float64) float64 {
		if count == 0 {
			return 0
		}
		return float64(count) * math.Log(float64(count)*n/(row*column))
	}
	ratio := of(both, a, b) + of(neither, n-a, n-b) + (of(onlyA, a, n-b) + of(onlyB, n-a, b))
	return max(0, 2*ratio)
}
