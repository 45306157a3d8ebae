package playbook

import (
	"slices"
	"sort"
)

// Score is what a model says of a customer. It moves with time, too.
type Score uint8

const (
	Churn            Score = iota // fraction: the probability that they are gone
	PropensityDay                 // fraction: of an order within 24 hours
	Propensity                    // fraction: of an order within 7 days
	Value                         // money: what they will spend in 365 days
	ValueRank                     // fraction: of all who bought, those worth less
	NextOrder                     // instant: when they are expected to order
	PriceSensitivity              // fraction
	Engagement                    // fraction
	OrdersTier                    // text: "", low, mid, premium
	ViewsTier
	FavouriteCategory // text
	FavouriteType
	InterestCategory
	NextProduct
	scoreCount
)

// Scores are one customer's, as functions of time.
type Scores interface {
	// At returns a score that is no text: fractions and money in millionths,
	// instants in milliseconds. From now to before until (after now; 0: for ever) it
	// rises, falls or stays, and does but one of these; an instant stays.
	At(i Score, now int64) (v, until int64)
	// Text returns a score that is a text, which stays so to before until.
	Text(i Score, now int64) (s string, until int64)
	// Reasons say in words what made a score what it is, the weightiest first.
	Reasons(i Score, now int64) []string
}

// String returns the name that conditions have for it.
func (i Score) String() string { return scoreNames[i].name }

type scoreName struct {
	name string
	kind kind
}

var scoreNames = [scoreCount]scoreName{
	Churn:             {"scores.churn", fraction},
	PropensityDay:     {"scores.propensity_day", fraction},
	Propensity:        {"scores.propensity", fraction},
	Value:             {"scores.value", money},
	ValueRank:         {"scores.value_rank", fraction},
	NextOrder:         {"scores.next_order", instant},
	PriceSensitivity:  {"scores.price_sensitivity", fraction},
	Engagement:        {"scores.engagement", fraction},
	OrdersTier:        {"orders.price_tier", text},
	ViewsTier:         {"views.price_tier", text},
	FavouriteCategory: {"favourite.category", text},
	FavouriteType:     {"favourite.product_type", text},
	InterestCategory:  {"interest.category", text},
	NextProduct:       {"next.product", text},
}

// scored are their names.
func scored() (all []variable) {
	for i := range scoreCount {
		of := scoreNames[i]
		all = append(all, variable{name: of.name, kind: of.kind, of: i.Of(), moves: of.kind == fraction || of.kind == money, read: func(f Facts) (value, int64) {
			if f.Scores == nil {
				return value{}, 0
			}
			if of.kind == text {
				s, until := f.Scores.Text(i, f.Now)
				return value{s: s}, until
			}
			n, until := f.Scores.At(i, f.Now)
			return value{n: n}, until
		}})
	}
	return all
}

// scoreNamed returns the score that conditions call so.
func scoreNamed(name string) Score {
	return Score(slices.IndexFunc(scoreNames[:], func(x scoreName) bool { return x.name == name }))
}

// crossing compares a score with a constant.
type crossing struct {
	score read
	of    Score
	op    relation
	than  *constant
	edges []int64 // see relation.edges
}

func (c *crossing) kind() kind { return boolean }
func (c *crossing) eval(f Facts) (value, int64) {
	if f.Scores == nil {
		return truth(c.op.holds(0, c.than.value.n)), 0
	}
	v, until := f.Scores.At(c.of, f.Now)
	return truth(c.op.holds(v, c.than.value.n)), crosses(f.Scores, c.of, c.edges, f.Now, v, until)
}

// edges are the numbers at which a comparison with n is otherwise than just below
// them.
func (r relation) edges(n int64) []int64 {
	switch r {
	case less, greater | equal:
		return []int64{n}
	case greater, less | equal:
		return []int64{n + 1}
	}
	return []int64{n, n + 1}
}

// Thresholds are the edges of a score that conditions compare it with, sorted: it
// counts for the playbook only between which of them it lies. One is reached at its
// number: <= 0.5 and > 0.5 turn at 0.500001.
func (pb *Playbook) Thresholds(i Score) []int64 { return pb.thresholds[i] }

// Reached is how many edges, sorted, v has reached.
func Reached(edges []int64, v int64) int {
	return sort.Search(len(edges), func(i int) bool { return edges[i] > v })
}

// patience is how many pieces of a score are looked through before it is left to
// be asked again: some come back every day.
const patience = 16

// forEver is longer than anybody waits for what rises or falls for ever.
const forEver = 100 * 366 * 86_400_000

// Crosses returns the first instant after now at which a score reaches, or falls
// below, one of edges (sorted); or one at which to ask again; 0: never.
func Crosses(s Scores, i Score, edges []int64, now int64) int64 {
	v, until := s.At(i, now)
	return crosses(s, i, edges, now, v, until)
}

// solver are Scores that know better than to be tried at one instant after another.
type solver interface {
	// Solve returns what Crosses does, of a score that is v at now; false: it does not
	// know.
	Solve(i Score, edges []int64, v, now int64) (at int64, ok bool)
}

// crosses is Crosses of a score that is v at now, and moves one way until then.
func crosses(s Scores, i Score, edges []int64, now, v, until int64) int64 {
	if x, ok := s.(solver); ok {
		if at, ok := x.Solve(i, edges, v, now); ok {
			return at
		}
	}
	at := Reached(edges, v)
	for range patience {
		last := until - 1
		if until == 0 {
			last = now + forEver
		}
		if then, _ := s.At(i, last); Reached(edges, then) != at {
			return leaves(s, i, edges, at, now, last, v, then)
		}
		if until == 0 {
			return 0
		}
		now = until
		if v, until = s.At(i, now); Reached(edges, v) != at {
			break
		}
	}
	return now
}

// leaves returns the first instant after lo, at most hi, at which a score is no
// longer at a level; between lo, where it is from, and hi, where it is to, it moves
// one way. It is looked for where a straight line would cross, and in the middle
// in turn: that is a third of the steps that halving takes.
func leaves(s Scores, i Score, edges []int64, at int, lo, hi, from, to int64) int64 {
	edge := 0 // the one that is crossed first
	if to > from {
		edge = at
	} else {
		edge = at - 1
	}
	target := edges[edge]
	for straight := true; hi-lo > 1; straight = !straight {
		mid := lo + (hi-lo)/2
		if straight && to != from {
			mid = lo + int64(float64(hi-lo)*(float64(target-from)/float64(to-from)))
			mid = max(lo+1, min(hi-1, mid))
		}
		v, _ := s.At(i, mid)
		if Reached(edges, v) == at {
			lo, from = mid, v
		} else {
			hi, to = mid, v
		}
	}
	return hi
}
