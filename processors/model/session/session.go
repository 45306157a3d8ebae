// Package session says what a visitor looks at next.
//
//	sessions, the earliest first → Learn → Model
//	what a session has shown so far + Model → the likeliest next products
//
// Two things are told apart, as in package basket, and become one list without a
// weight to choose:
//
//   - going back to a product of this session, by how many others were shown
//     since: how often sessions did that, counted. Whether to offer what is being
//     looked at is thereby learnt of each shop, where a rule would be wrong in
//     half of them;
//   - a product new to this session: by what the past sessions most like it held,
//     and where there are none, by what everyone looks at.
//
// The second is VMIS-kNN. A past session is like this one by the products they
// share, each by how lately this one showed it. Of the newest sessions with any of
// them the most alike are the neighbours; what they hold counts by how alike they
// are, how lately the newest shared product was shown, how near to it they showed
// what they hold, and how rare that is.
//
// Not obvious: how many products and how long a session are bounded by what is
// kept, not by who asks: of each product the newest sessions, of each session the
// last views, so that a prediction costs the same whatever the history, and a
// robot's session is one among others. A Model never changes; new sessions make a
// new one.
//
// Sources: Kersbergen, Sprangers and Schelter, SIGMOD 2022 (Serenade, VMIS-kNN);
// Ludewig and Jannach, User Modeling and User-Adapted Interaction 28 (2018)
// (V-SkNN); that what was shown near the shared product counts for more is from
// Garg, Gupta, Malhotra, Vig and Shroff, SIGIR 2019 (STAN).
package session

import (
	"cmp"
	"math"
	"slices"
)

const (
	// newest is how many sessions are kept of a product, and how many of those
	// with any of a session's products are compared with it: the paper's m.
	newest = 500
	// nearest is how many of them are neighbours: its k.
	nearest = 200
	// looked is how many of a session's products, the last, are compared, and how
	// far back going back is counted.
	looked = 10
	// views is how many of a session, the last, teach.
	views = 100
	// nearby is by which factor what a neighbour showed counts less with each
	// product between it and the shared one.
	nearby = .8
	// popular is how much popularity counts beside the neighbours, in what one
	// neighbour of likeness and rarity 1 does.
	popular = 10
)

// Ranked is a product, and how likely it is the next.
type Ranked struct {
	Product string
	Chance  float64
}

// Ranking ranks for one session after the other, in the same room; it is used by
// one goroutine at a time.
type Ranking struct {
	model      *Model
	recent     []recent
	neighbours []neighbour
	score      []float64 // by place, of those that are touched
	touched    []int32
	best       []scored
	ranked     []Ranked
}

// recent is a product of the session that asks.
type recent struct {
	product string
	place   int32 // -1 if the model does not know it
	weight  float64
	holders []int32 // of the sessions with it those not looked at yet
}

// neighbour is a past session.
type neighbour struct {
	session int32
	shared  int // the newest of recent that it holds
	alike   float64
}

type scored struct {
	product string
	place   int32
	chance  float64
}

// Ranking is room to rank in.
func (m *Model) Ranking() *Ranking {
	return &Ranking{model: m, score: make([]float64, len(m.products))}
}

// Next are the n products that are likeliest to be next after those shown, which
// are in order, the earliest first; equals come in the order of popularity, then
// of name. Chances sum to at most 1. After nothing, or what no session held, it is
// what everyone looks at. The result holds until the next call.
func (k *Ranking) Next(shown []string, n int) []Ranked {
	m := k.model
	k.look(shown)
	k.meet()
	total := k.count() + popular
	back := &m.back[len(k.recent)]
	fresh := 1.0
	for i := range k.recent {
		fresh -= back[i]
	}
	k.best = k.best[:0]
	for i, r := range k.recent {
		place := r.place
		if place < 0 {
			place = int32(len(m.products) + i)
		}
		k.offer(scored{r.product, place, back[i]}, n)
	}
	for _, place := range k.touched {
		k.offer(scored{m.products[place], place, fresh * (k.score[place] + popular*m.share[place]) / total}, n)
	}
	// Of what no neighbour holds the most popular are enough.
	for place, left := int32(0), n; int(place) < len(m.products) && left > 0; place++ {
		if k.score[place] == 0 && !k.isRecent(place) {
			k.offer(scored{m.products[place], place, fresh * popular * m.share[place] / total}, n)
			left--
		}
	}
	k.ranked = k.ranked[:0]
	for _, s := range k.best {
		k.ranked = append(k.ranked, Ranked{s.product, s.chance})
	}
	for _, place := range k.touched {
		k.score[place] = 0
	}
	return k.ranked
}

// look finds the last distinct products shown, the newest first.
func (k *Ranking) look(shown []string) {
	m := k.model
	k.recent = k.recent[:0]
	for _, product := range slices.Backward(shown) {
		if len(k.recent) == looked {
			return
		}
		if slices.ContainsFunc(k.recent, func(r recent) bool { return r.product == product }) {
			continue
		}
		r := recent{product: product, place: -1, weight: 1 / float64(len(k.recent)+1)}
		if place, known := m.places[product]; known {
			r.place, r.holders = place, m.holders[place]
		}
		k.recent = append(k.recent, r)
	}
}

func (k *Ranking) isRecent(place int32) bool {
	return slices.ContainsFunc(k.recent, func(r recent) bool { return r.place == place })
}

// meet finds the neighbours: it merges the sessions of the recent products, the
// newest first, until there are enough.
func (k *Ranking) meet() {
	k.neighbours = k.neighbours[:0]
	for len(k.neighbours) < newest {
		next := int32(math.MaxInt32)
		for i := range k.recent {
			if h := k.recent[i].holders; len(h) > 0 {
				next = min(next, h[0])
			}
		}
		if next == math.MaxInt32 {
			break
		}
		met := neighbour{session: next, shared: -1}
		for i := range k.recent {
			r := &k.recent[i]
			if len(r.holders) == 0 || r.holders[0] != next {
				continue
			}
			r.holders = r.holders[1:]
			met.alike += r.weight
			if met.shared < 0 {
				met.shared = i
			}
		}
		k.neighbours = append(k.neighbours, met)
	}
	if len(k.neighbours) > nearest {
		slices.SortFunc(k.neighbours, func(a, b neighbour) int {
			return cmp.Or(cmp.Compare(b.alike, a.alike), cmp.Compare(a.session, b.session))
		})
		k.neighbours = k.neighbours[:nearest]
	}
}

// count scores what the neighbours hold that is new to the session, and sums the
// scores.
func (k *Ranking) count() (total float64) {
	m := k.model
	k.touched = k.touched[:0]
	for _, met := range k.neighbours {
		products := m.sessions[met.session]
		shared := slices.Index(products, k.recent[met.shared].place)
		weight := met.alike * (1 - float64(met.shared)/looked)
		for i, place := range products {
			if k.isRecent(place) {
				continue
			}
			if k.score[place] == 0 {
				k.touched = append(k.touched, place)
			}
			s := weight * m.rarity[place] * near[max(i-shared, shared-i)]
			k.score[place] += s
			total += s
		}
	}
	return total
}

// near is how much what stands so far from the shared product counts.
var near = func() (near [views]float64) {
	near[0] = 1
	for i := range views - 1 {
		near[i+1] = near[i] * nearby
	}
	return near
}()

// offer keeps s where it belongs if it is among the n best.
func (k *Ranking) offer(s scored, n int) {
	if len(k.best) == n && (n == 0 || s.chance < k.best[n-1].chance) {
		return
	}
	at, _ := slices.BinarySearchFunc(k.best, s, func(x, y scored) int {
		return cmp.Or(cmp.Compare(y.chance, x.chance), cmp.Compare(x.place, y.place))
	})
	if at >= n {
		return
	}
	if len(k.best) == n {
		k.best = k.best[:n-1]
	}
	k.best = slices.Insert(k.best, at, s)
}
