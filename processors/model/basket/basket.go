// Package basket says what a customer's next basket holds.
//
//	every customer's baskets, in order → Learn → Model
//	one customer's past + Model → the likeliest products
//
// Most of what people put in a basket they bought before, or everyone buys. Both
// are probabilities that are counted, so that the two lists become one without a
// weight to choose:
//
//   - a product bought before, by how often, how lately, and in how many baskets:
//     how often what had such a past was in the next one; times how much more
//     often this product comes back than others with the same past;
//   - one not bought before: how often it is in a basket of those who never had it.
//
// What a customer bought lately teaches more than what they did long ago, as
// seasons and ranges change: of two baskets of theirs the earlier has .8 of the
// later one's weight.
//
// Not obvious: a basket is a set, and time is counted in a customer's own baskets,
// not in days. Nothing here learns who resembles whom.
//
// Personal frequency with decay is the base of Hu, He, Gao and Zhang, SIGIR 2020
// (TIFU-kNN); that repetition and exploration are to be told apart is shown by Li,
// Jullien, Ariannezhad and de Rijke, ACM TOIS 2023.
package basket

import (
	"cmp"
	"slices"
)

// Past is what is known of a customer.
type Past struct {
	// Baskets is how many they had.
	Baskets int
	Bought  []Bought
}

// Bought is a product that a customer had in a basket, and is in Bought once.
type Bought struct {
	Product string
	// Times is in how many baskets, Since how many baskets ago, 1 for the last.
	Times, Since int
}

// PastOf are baskets of one customer, the earliest first; empty ones are none.
func PastOf(baskets [][]string) Past {
	var p Past
	at := map[string]int{}
	last := map[string]int{}
	for _, products := range baskets {
		if len(products) == 0 {
			continue
		}
		p.Baskets++
		for _, name := range products {
			i, known := at[name]
			if !known {
				i = len(p.Bought)
				at[name] = i
				p.Bought = append(p.Bought, Bought{Product: name})
			}
			if last[name] != p.Baskets {
				last[name] = p.Baskets
				p.Bought[i].Times++
			}
		}
	}
	for i := range p.Bought {
		p.Bought[i].Since = p.Baskets - last[p.Bought[i].Product] + 1
	}
	return p
}

// Ranked is a product, and how likely the next basket holds it.
type Ranked struct {
	Product string
	Chance  float64
}

// Next are the n products that a next basket likeliest holds, the likeliest first;
// equals come in the order of popularity, then of name. A customer without a past
// is offered what everyone buys. What was bought before and no Model knows comes
// back like any product.
func (m *Model) Next(p Past, n int) []Ranked {
	best := make([]scored, 0, n+1)
	bought := make(map[string]bool, len(p.Bought))
	for _, b := range p.Bought {
		bought[b.Product] = true
		at, known := m.places[b.Product]
		returns := 1.0
		if known {
			returns = m.Returns[at]
		} else {
			at = len(m.Products)
		}
		best = offer(best, scored{b.Product, at, m.Again.rate(b.Times, b.Since, p.Baskets) * returns}, n)
	}
	for at, left := 0, n; at < len(m.Products) && left > 0; at++ {
		if !bought[m.Products[at]] {
			best = offer(best, scored{m.Products[at], at, m.First[at]}, n)
			left--
		}
	}
	ranked := make([]Ranked, len(best))
	for i, s := range best {
		ranked[i] = Ranked{s.product, min(1, s.chance)}
	}
	return ranked
}

type scored struct {
	product string
	at      int
	chance  float64
}

// offer keeps s where it belongs if it is among the n best.
func offer(best []scored, s scored, n int) []scored {
	at, _ := slices.BinarySearchFunc(best, s, func(x, y scored) int {
		return cmp.Or(cmp.Compare(y.chance, x.chance), cmp.Compare(x.at, y.at), cmp.Compare(x.product, y.product))
	})
	if at >= n {
		return best
	}
	if len(best) == n {
		best = best[:n-1]
	}
	return slices.Insert(best, at, s)
}
