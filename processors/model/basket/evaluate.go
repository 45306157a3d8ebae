package basket

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"segue/processors/model/measure"
)

// Longest is the longest list that is looked at.
const Longest = 20

// Lists are measures of lists of 1 to Longest products.
type Lists [Longest]measure.Ranking

// Evaluation says how much of what next baskets held was told from the baskets
// before, beside what needs no model.
type Evaluation struct {
	// Customers had a next basket, New of them none before.
	Customers, New int
	Model          Lists
	// Popularity offers everyone what is in most baskets; Personal what the
	// customer had in most, of those the latest, and nothing else.
	Popularity, Personal Lists
	// OverPopularity and OverPersonal are by how much more of a basket the model
	// finds in a list of 10, on average.
	OverPopularity, OverPersonal Gain
}

// Gain is a mean of differences, and its standard error.
type Gain struct {
	Mean, Error float64

	n, sum, squares float64
}

func (g *Gain) add(difference float64) {
	g.n++
	g.sum += difference
	g.squares += difference * difference
	g.Mean = g.sum / g.n
	if g.n > 1 {
		g.Error = math.Sqrt(max(0, g.squares-g.sum*g.Mean) / (g.n * (g.n - 1)))
	}
}

// Evaluate learns from the baskets before, the earliest first, and tells the next
// of the same place; who has an empty one only teaches.
func Evaluate(before [][][]string, next [][]string) *Evaluation {
	e := new(Evaluation)
	for _, lists := range [...]*Lists{&e.Model, &e.Popularity, &e.Personal} {
		for i := range lists {
			lists[i].K = i + 1
		}
	}
	m, popular := Learn(before), mostPopular(before)
	for i, basket := range next {
		wanted := map[string]bool{}
		for _, product := range basket {
			wanted[product] = true
		}
		if len(wanted) == 0 {
			continue
		}
		e.Customers++
		past := PastOf(before[i])
		if past.Baskets == 0 {
			e.New++
		}
		var ranked []string
		for _, r := range m.Next(past, Longest) {
			ranked = append(ranked, r.Product)
		}
		recall := e.Model.add(ranked, wanted)
		e.OverPopularity.add(recall - e.Popularity.add(popular, wanted))
		e.OverPersonal.add(recall - e.Personal.add(mostFrequent(past), wanted))
	}
	return e
}

// add adds a list, and is its recall at 10.
func (l *Lists) add(ranked []string, wanted map[string]bool) float64 {
	relevant := make([]bool, min(Longest, len(ranked)))
	found := 0.0
	for i := range relevant {
		if relevant[i] = wanted[ranked[i]]; relevant[i] && i < 10 {
			found++
		}
	}
	for i := range l {
		l[i].Add(relevant, len(wanted))
	}
	return found / float64(len(wanted))
}

func mostPopular(customers [][][]string) []string {
	in := map[string]int{}
	for _, baskets := range customers {
		for _, b := range PastOf(baskets).Bought {
			in[b.Product] += b.Times
		}
	}
	products := slices.SortedFunc(maps.Keys(in), func(a, b string) int {
		return cmp.Or(cmp.Compare(in[b], in[a]), cmp.Compare(a, b))
	})
	return products[:min(Longest, len(products))]
}

func mostFrequent(p Past) (products []string) {
	slices.SortFunc(p.Bought, func(a, b Bought) int {
		return cmp.Or(cmp.Compare(b.Times, a.Times), cmp.Compare(a.Since, b.Since), cmp.Compare(a.Product, b.Product))
	})
	for _, b := range p.Bought[:min(Longest, len(p.Bought))] {
		products = append(products, b.Product)
	}
	return products
}
