package basket

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Model is what Learn found, as data: plain in JSON and YAML. A model that was
// read is checked before it is asked.
type Model struct {
	// Again is how likely what was bought before is in the next basket.
	Again Again `json:"again" yaml:"again"`
	// Products are all that were bought, the likeliest first purchase first, then
	// by name.
	Products []string `json:"products" yaml:"products"`
	// First is how likely each is in a basket of a customer who never had it.
	First []float64 `json:"first" yaml:"first"`
	// Returns is how much more often each comes back than others with its past.
	Returns []float64 `json:"returns" yaml:"returns"`

	places map[string]int
}

// Again are chances in [0, 1] by group: of how often, of how lately, and of how
// many baskets.
type Again [groups][groups][groups]float64

// bounds are the least of each group of a count; the last has no end.
var bounds = [groups]int{1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 57, 80}

const groups = 13

func group(n int) int {
	at, exact := slices.BinarySearch(bounds[:], n)
	if exact {
		return at
	}
	return max(0, at-1)
}

func (a *Again) rate(times, since, baskets int) float64 {
	return a[group(times)][group(since)][group(baskets)]
}

const (
	// older is what a basket teaches beside the next of the same customer.
	older = .8
	// taught is how many of a customer's last baskets teach; those before have
	// hundredths of the weight, and are the past of these alone.
	taught = 20
	// believed is how many chances a group has to have had for its rate to count
	// as much as that of the larger group around it.
	believed = 20
	// expected is the same of a product, in returns that were expected of it.
	expected = 2
)

// tally is how many of some chances were taken, both by weight.
type tally struct{ taken, chances float64 }

func (t *tally) add(weight float64, taken bool) {
	t.chances += weight
	if taken {
		t.taken += weight
	}
}

// around is the rate, drawn towards another as far as the chances are few.
func (t tally) around(rate float64) float64 {
	return (t.taken + believed*rate) / (t.chances + believed)
}

// Learn makes a model of the baskets of each customer, the earliest first. Empty
// ones are none.
func Learn(customers [][][]string) *Model {
	l := learning{ids: map[string]int{}}
	// Of shares of baskets and groups of how lately; of all groups.
	var all tally
	var coarse [shares][groups]tally
	var fine [groups][groups][groups]tally
	// Of each product: first times, and chances of those who had it.
	type entry struct{ first, had float64 }
	var entries []entry
	baskets := 0.0
	for _, history := range customers {
		l.walk(history, func(weight float64) { baskets += weight }, func(id int, past state, length int, weight float64, taken bool) {
			entries = append(entries, make([]entry, max(0, len(l.names)-len(entries)))...)
			if past.times == 0 {
				entries[id].first += weight
				return
			}
			entries[id].had += weight
			since := group(length - past.last)
			all.add(weight, taken)
			coarse[share(past.times, length)][since].add(weight, taken)
			fine[group(past.times)][since][group(length)].add(weight, taken)
		})
	}
	// Where nobody came back yet, one of ten is what is expected.
	overall := (all.taken + 1) / (all.chances + 10)
	m := new(Model)
	for times := range m.Again {
		for since := range m.Again[times] {
			for length := range m.Again[times][since] {
				larger := coarse[share(bounds[times], bounds[length])][since].around(overall)
				m.Again[times][since][length] = rounded(fine[times][since][length].around(larger))
			}
		}
	}
	returns := make([]struct{ came, expected float64 }, len(l.names))
	for _, history := range customers {
		l.walk(history, func(float64) {}, func(id int, past state, length int, weight float64, taken bool) {
			if past.times == 0 {
				return
			}
			returns[id].expected += weight * m.Again.rate(past.times, length-past.last, length)
			if taken {
				returns[id].came += weight
			}
		})
	}
	entries = append(entries, make([]entry, len(l.names)-len(entries))...)
	order := make([]int, len(l.names))
	first := make([]float64, len(l.names))
	for id := range order {
		order[id] = id
		first[id] = rounded(entries[id].first / (baskets - entries[id].had + believed))
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(first[b], first[a]), cmp.Compare(l.names[a], l.names[b]))
	})
	for _, id := range order {
		m.Products = append(m.Products, l.names[id])
		m.First = append(m.First, first[id])
		m.Returns = append(m.Returns, rounded((returns[id].came+expected)/(returns[id].expected+expected)))
	}
	m.index()
	return m
}

// rounded has nine decimals, so that a sum's last bits order nothing.
func rounded(x float64) float64 { return math.Round(x*1e9) / 1e9 }

const shares = 11

// share is the group of in which share of baskets something was.
func share(times, baskets int) int {
	return min(times, baskets) * (shares - 1) / baskets
}

// learning numbers products as they come.
type learning struct {
	names []string
	ids   map[string]int
}

// state is in how many baskets of a customer a product was, and in which last,
// from 0.
type state struct{ times, last int }

// walk goes through a customer's baskets: to each that teaches, and in it to each
// product that was bought before, whether again or not, or is bought for the first
// time.
func (l *learning) walk(history [][]string, basket func(weight float64),
	product func(id int, past state, length int, weight float64, taken bool)) {
	history = slices.DeleteFunc(slices.Clone(history), func(b []string) bool { return len(b) == 0 })
	past := map[int]state{}
	var had []int // keys of past, in the order of their first time
	now := map[int]bool{}
	for i, products := range history {
		clear(now)
		var firsts []int
		for _, name := range products {
			id, known := l.ids[name]
			if !known {
				id = len(l.names)
				l.ids[name] = id
				l.names = append(l.names, name)
			}
			if !now[id] && past[id].times == 0 {
				firsts = append(firsts, id)
			}
			now[id] = true
		}
		if ago := len(history) - 1 - i; ago < taught {
			weight := math.Pow(older, float64(ago))
			basket(weight)
			for _, id := range had {
				product(id, past[id], i, weight, now[id])
			}
			for _, id := range firsts {
				product(id, state{}, i, weight, true)
			}
		}
		had = append(had, firsts...)
		for id := range now {
			past[id] = state{past[id].times + 1, i}
		}
	}
}

// Check says what is wrong with a model that was read, and makes it ready to be
// asked.
func (m *Model) Check() error {
	n := len(m.Products)
	if len(m.First) != n || len(m.Returns) != n {
		return fmt.Errorf("next basket: got %d of first, %d of returns, want one for each of %d products", len(m.First), len(m.Returns), n)
	}
	for i, name := range m.Products {
		if f := m.First[i]; !(f >= 0 && f <= 1) || i > 0 && f > m.First[i-1] {
			return fmt.Errorf("next basket: first[%d] (%q): got %v, want a chance, the likeliest first", i, name, f)
		}
		if r := m.Returns[i]; !(r >= 0 && r <= math.MaxFloat32) {
			return fmt.Errorf("next basket: returns[%d] (%q): got %v, want 0 or more", i, name, r)
		}
	}
	for times := range m.Again {
		for since := range m.Again[times] {
			for baskets, chance := range m.Again[times][since] {
				if !(chance >= 0 && chance <= 1) {
					return fmt.Errorf("next basket: again[%d][%d][%d]: got %v, want a chance", times, since, baskets, chance)
				}
			}
		}
	}
	m.index()
	if len(m.places) != n {
		return errors.New("next basket: products: got one twice, want each once")
	}
	return nil
}

func (m *Model) index() {
	m.places = make(map[string]int, len(m.Products))
	for i, name := range m.Products {
		m.places[name] = i
	}
}
