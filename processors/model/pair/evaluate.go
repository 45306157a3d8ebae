package pair

import (
	"math"
	"slices"

	"segue/processors/model/measure"
)

// Evaluation says how often a product that is hidden from a basket stands among
// the likeliest for the rest of it.
type Evaluation struct {
	// Rules, and what needs none: the sum of cosines, and popularity.
	Rules, Cosine, Popularity measure.Ranking
	// Gain is by how much the rules' hit rate is above popularity's, Error its
	// standard error, where a basket is one observation.
	Gain, Error float64
}

const (
	folds = 5
	// asked is about how many baskets are asked for what is hidden, spread evenly.
	asked = 50_000
	// hiding is how many products of a basket are hidden, spread evenly: one with
	// more costs their square.
	hiding = 40
	// neighbours are kept of each product by cosine.
	neighbours = 200
)

// Evaluate hides each product of each basket in turn (of a long one some, of very
// many baskets some), and looks for it among the k likeliest by what the other four
// fifths of baskets teach. The i-th basket is in fifth i mod 5; one of a single
// product hides nothing.
func Evaluate(b *Baskets, o Options, k int) Evaluation {
	e := Evaluation{measure.Ranking{K: k}, measure.Ranking{K: k}, measure.Ranking{K: k}, 0, 0}
	step := folds * (1 + b.Len()/folds/asked)
	var sum, squares, n float64
	for fold := range folds {
		var others Baskets
		for i := range b.Len() {
			if i%folds != fold {
				others.Add(b.products(i)...)
			}
		}
		none, _ := others.noRules()
		none.index()
		rules, cosine, popular := others.Learn(o).Ranking(), others.cosines().Ranking(), none.Ranking()
		for i := fold; i < b.Len(); i += step {
			products := b.products(i)
			if len(products) < 2 {
				continue
			}
			more, hides := 0.0, 0.0
			for h := 0; h < len(products); h += 1 + (len(products)-1)/hiding {
				hidden, rest := products[h], slices.Concat(products[:h], products[h+1:])
				more += look(&e.Rules, rules, rest, hidden) - look(&e.Popularity, popular, rest, hidden)
				look(&e.Cosine, cosine, rest, hidden)
				hides++
			}
			more /= hides
			sum, squares, n = sum+more, squares+more*more, n+1
		}
	}
	e.Gain = e.Rules.HitRate() - e.Popularity.HitRate()
	if n > 1 {
		e.Error = math.Sqrt(max(0, squares-sum*sum/n) / (n * (n - 1)))
	}
	return e
}

// look adds whether what is hidden is found, and is 1 if so.
func look(to *measure.Ranking, ranking *Ranking, rest []string, hidden string) float64 {
	for i, r := range ranking.For(rest, to.K) {
		if r.Product == hidden {
			relevant := make([]bool, i+1)
			relevant[i] = true
			to.Add(relevant, 1)
			return 1
		}
	}
	to.Add(nil, 1)
	return 0
}

// cosines are rules in which any pair is one, and its cosine is what counts.
func (b *Baskets) cosines() *Rules {
	r, place := b.noRules()
	var with []rule
	for a, beside := range b.beside() {
		with = with[:0]
		for _, other := range beside {
			t := b.pair(a, other).Table
			with = append(with, rule{place[other.id], int32(million * t.Cosine()), t.Cosine(), b.names[other.id]})
		}
		r.With[place[a]] = likeliest(with, neighbours)
	}
	r.index()
	clear(r.rest)
	return r
}

func (b *Baskets) products(i int) []string {
	ids := b.basket(i)
	names := make([]string, len(ids))
	for j, id := range ids {
		names[j] = b.names[id]
	}
	return names
}
