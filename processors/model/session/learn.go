package session

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// Model is what Learn found.
type Model struct {
	// products are all that were shown, in most sessions first, then by name;
	// what stands at a place below is of the product there.
	products []string
	places   map[string]int32
	// share is of all that sessions showed, a product of a session once; rarity
	// the logarithm of in which part of the sessions it was.
	share, rarity []float64
	// sessions are those that holders name: products in the order in which each
	// was last shown. The newest session is the first.
	sessions [][]int32
	// holders are the newest sessions that showed a product, the newest first.
	holders [][]int32
	// back is how likely a session with so many products goes back to the one
	// before which so many others were shown.
	back [looked + 1][looked]float64
}

// Learn makes a model of sessions, the earliest first: what each showed, in order.
func Learn(sessions [][]string) *Model {
	m := &Model{places: map[string]int32{}}
	var went going
	shown, in, all := make([][]string, 0, len(sessions)), map[string]int{}, 0
	for _, s := range sessions {
		if len(s) == 0 {
			continue
		}
		products := went.through(s[max(0, len(s)-views):])
		for _, product := range products {
			in[product]++
		}
		all += len(products)
		shown = append(shown, products)
	}
	m.back = went.back()
	m.products = slices.SortedFunc(maps.Keys(in), func(a, b string) int {
		return cmp.Or(cmp.Compare(in[b], in[a]), cmp.Compare(a, b))
	})
	for place, product := range m.products {
		m.places[product] = int32(place)
		m.share = append(m.share, float64(in[product])/float64(all))
		// What every session showed is not worth nothing beside what none did.
		m.rarity = append(m.rarity, math.Log(float64(len(shown)+1)/float64(in[product])))
	}
	m.holders = make([][]int32, len(m.products))
	for _, products := range slices.Backward(shown) {
		m.keep(products)
	}
	return m
}

// keep keeps a session, older than those before, for the products that still
// want one.
func (m *Model) keep(products []string) {
	places, wanted := make([]int32, len(products)), false
	for i, product := range products {
		place := m.places[product]
		places[i] = place
		if len(m.holders[place]) < newest {
			m.holders[place] = append(m.holders[place], int32(len(m.sessions)))
			wanted = true
		}
	}
	if wanted {
		m.sessions = append(m.sessions, places)
	}
}

// going counts how sessions went back: of those with so many products, at most
// looked, how many showed another, and how many the one before which so many
// others were shown.
type going struct {
	on    [looked + 1]float64
	taken [looked + 1][looked]float64
}

// through counts a session, and is its products in the order in which each was
// last shown.
func (g *going) through(shown []string) (products []string) {
	for _, product := range shown {
		had := min(len(products), looked)
		g.on[had]++
		if at := slices.Index(products, product); at >= 0 {
			if since := len(products) - 1 - at; since < looked {
				g.taken[had][since]++
			}
			products = slices.Delete(products, at, at+1)
		}
		products = append(products, product)
	}
	return products
}

// back are the chances; where none were had, all ways back together have a half.
func (g *going) back() (back [looked + 1][looked]float64) {
	for had := 1; had <= looked; had++ {
		for since := range had {
			back[had][since] = (g.taken[had][since] + .5/float64(had)) / (g.on[had] + 1)
		}
	}
	return back
}
