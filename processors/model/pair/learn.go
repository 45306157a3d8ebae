package pair

import (
	"cmp"
	"math"
	"slices"
)

// Options say what becomes a rule.
type Options struct {
	// MinLLR is the least ratio of a pair that is real; default 10.83, which
	// chance alone reaches in one of a thousand pairs.
	MinLLR float64
	// MinTogether is in how many baskets a pair must be; default 2, since two
	// rare products that met once have a great ratio too.
	MinTogether int
	// PerProduct is how many are kept of those that go with a product, and of
	// those that keep away from it, the likeliest; default 20.
	PerProduct int
}

// Learn makes rules. Of products that are equally likely beside another the one
// with the stronger bond comes first, then the one that is first by name.
func (b *Baskets) Learn(o Options) *Rules {
	o.MinLLR = cmp.Or(o.MinLLR, 10.83)
	o.MinTogether = cmp.Or(o.MinTogether, 2)
	o.PerProduct = cmp.Or(o.PerProduct, 20)
	r, place := b.noRules()
	var with, apart []rule
	for a, beside := range b.beside() {
		with, apart = with[:0], apart[:0]
		var voices int64
		for _, other := range beside {
			voices += other.voices
		}
		for _, other := range beside {
			t := b.pair(a, other).Table
			root := t.Root()
			if other.baskets < int32(o.MinTogether) || root*root < o.MinLLR {
				continue
			}
			chance := math.Round(million * float64(other.voices) / float64(voices))
			made := rule{place[other.id], int32(chance), math.Abs(root), b.names[other.id]}
			if root > 0 {
				with = append(with, made)
			} else {
				apart = append(apart, made)
			}
		}
		r.With[place[a]], r.Apart[place[a]] = likeliest(with, o.PerProduct), likeliest(apart, o.PerProduct)
	}
	r.index()
	return r
}

// noRules are the products without a rule, and the place of each id.
func (b *Baskets) noRules() (r *Rules, place []int32) {
	order := b.byName()
	slices.SortStableFunc(order, func(x, y int32) int { return cmp.Compare(b.sold[y], b.sold[x]) })
	r = &Rules{
		Baskets: len(b.ends), Products: make([]string, len(order)), Sold: make([]int32, len(order)),
		With: make([]Beside, len(order)), Apart: make([]Beside, len(order)),
	}
	place = make([]int32, len(order))
	for i, id := range order {
		place[id] = int32(i)
		r.Products[i], r.Sold[i] = b.names[id], b.sold[id]
	}
	return r, place
}

// rule is a product beside another, before the likeliest are known.
type rule struct {
	at, chance int32
	root       float64
	name       string
}

func likeliest(rules []rule, n int) (b Beside) {
	slices.SortFunc(rules, func(x, y rule) int {
		return cmp.Or(cmp.Compare(y.chance, x.chance), cmp.Compare(y.root, x.root), cmp.Compare(x.name, y.name))
	})
	for _, r := range rules[:min(n, len(rules))] {
		b.Products, b.Chances = append(b.Products, r.at), append(b.Chances, r.chance)
	}
	return b
}
