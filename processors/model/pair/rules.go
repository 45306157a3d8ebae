package pair

import (
	"errors"
	"fmt"
)

// Rules are what goes with what, as data: plain in JSON and YAML, where a product
// is named once and is a place in Products from then on.
//
//	{"baskets": 9835,
//	 "products": ["whole milk", "other vegetables", ...],
//	 "sold":     [2513, 1903, ...],
//	 "with":     [{"products": [1, 3], "chances": [95563, 70512]}, ...],
//	 "apart":    [{"products": [25], "chances": [6120]}, ...]}
//
// Chances are in millionths: beside whole milk lie other vegetables with .095563.
// Rules that were read are checked before they are asked.
type Rules struct {
	// Baskets is how many were counted.
	Baskets int `json:"baskets" yaml:"baskets"`
	// Products are all that were sold, the most popular first, then by name.
	Products []string `json:"products" yaml:"products"`
	// Sold is how many baskets hold each.
	Sold []int32 `json:"sold" yaml:"sold"`
	// With are what goes with each, Apart what keeps away from it.
	With  []Beside `json:"with" yaml:"with"`
	Apart []Beside `json:"apart" yaml:"apart"`

	places map[string]int32
	// anywhere is the chance that a product of any basket is each, rest what the
	// rules of each leave to those without one, over their chances anywhere (Katz,
	// IEEE ASSP 35, 1987).
	anywhere, rest []float64
}

// Beside are products that lie beside another with another chance than anywhere,
// the likeliest first.
type Beside struct {
	Products []int32 `json:"products,omitempty" yaml:"products,omitempty"`
	Chances  []int32 `json:"chances,omitempty" yaml:"chances,omitempty"`
}

const million = 1_000_000

// Check says what is wrong with rules that were read, and makes them ready to be
// asked: before it they know no product.
func (r *Rules) Check() error {
	n := len(r.Products)
	if len(r.Sold) != n || len(r.With) != n || len(r.Apart) != n {
		return fmt.Errorf("rules: got %d of sold, %d of with, %d of apart, want one for each of %d products",
			len(r.Sold), len(r.With), len(r.Apart), n)
	}
	for i, s := range r.Sold {
		if s < 1 || int(s) > r.Baskets {
			return fmt.Errorf("rules: sold[%d] (%q): got %d, want 1 to the %d baskets", i, r.Products[i], s, r.Baskets)
		}
		if i > 0 && s > r.Sold[i-1] {
			return fmt.Errorf("rules: sold[%d] (%q): got %d after %d, want the most popular first", i, r.Products[i], s, r.Sold[i-1])
		}
		if err := r.With[i].check(i, n); err != nil {
			return fmt.Errorf("rules: with[%d] (%q): %w", i, r.Products[i], err)
		}
		if err := r.Apart[i].check(i, n); err != nil {
			return fmt.Errorf("rules: apart[%d] (%q): %w", i, r.Products[i], err)
		}
	}
	r.index()
	if len(r.places) != n {
		return errors.New("rules: products: got one twice, want each once")
	}
	return nil
}

// check says what is wrong with what lies beside the product at place, of n.
func (b Beside) check(place, n int) error {
	if len(b.Products) != len(b.Chances) {
		return fmt.Errorf("got %d chances, want one for each of %d products", len(b.Chances), len(b.Products))
	}
	for i, at := range b.Products {
		if at < 0 || int(at) >= n || int(at) == place {
			return fmt.Errorf("products[%d]: got %d, want the place of another of %d", i, at, n)
		}
		most := int32(million)
		if i > 0 {
			most = b.Chances[i-1]
		}
		if c := b.Chances[i]; c < 0 || c > most {
			return fmt.Errorf("chances[%d]: got %d, want 0 to %d, the likeliest first", i, c, most)
		}
	}
	return nil
}

func (r *Rules) index() {
	r.places = make(map[string]int32, len(r.Products))
	lines := 0.0
	for i, name := range r.Products {
		r.places[name] = int32(i)
		lines += float64(r.Sold[i])
	}
	r.anywhere, r.rest = make([]float64, len(r.Products)), make([]float64, len(r.Products))
	for i, sold := range r.Sold {
		r.anywhere[i] = float64(sold) / lines
	}
	for i := range r.rest {
		left, others := 1.0, 1-r.anywhere[i]
		for _, b := range [...]Beside{r.With[i], r.Apart[i]} {
			for j, at := range b.Products {
				left -= b.chance(j)
				others -= r.anywhere[at]
			}
		}
		if left > 1e-6 && others > 1e-6 {
			r.rest[i] = left / others
		}
	}
}

func (b *Beside) chance(i int) float64 { return float64(b.Chances[i]) / million }

// After is the i-th product that goes with one, from 0, and its chance, in (0, 1];
// "" where there is none.
func (r *Rules) After(product string, i int) (string, float64) {
	at, known := r.places[product]
	if !known || i >= len(r.With[at].Products) {
		return "", 0
	}
	b := &r.With[at]
	return r.Products[b.Products[i]], b.chance(i)
}
