package session

import (
	"iter"
	"math"

	"segue/processors/model/measure"
)

// Longest is the longest list that is looked at.
const Longest = 20

// Lists are measures of lists of 1 to Longest products.
type Lists [Longest]measure.Ranking

// Evaluation says how often what a session showed next was told from what it had
// shown before, beside what everyone looks at.
type Evaluation struct {
	// Positions are all views of a session but its first.
	Positions         int
	Model, Popularity Lists
	// Gain is by how much the model's hit rate in a list of Longest is above
	// popularity's, Error its standard error, where a session is one observation.
	Gain, Error float64
}

// Positions are what each session had shown, and what it showed next.
func Positions(sessions [][]string) iter.Seq2[[]string, string] {
	return func(yield func([]string, string) bool) {
		for _, shown := range sessions {
			for i := 1; i < len(shown); i++ {
				if !yield(shown[:i], shown[i]) {
					return
				}
			}
		}
	}
}

// Evaluate asks a model at each position of sessions that it did not learn from.
func Evaluate(m *Model, sessions [][]string) *Evaluation {
	e := new(Evaluation)
	for i := range Longest {
		e.Model[i].K, e.Popularity[i].K = i+1, i+1
	}
	ranking := m.Ranking()
	var popular []string
	for _, r := range ranking.Next(nil, Longest) {
		popular = append(popular, r.Product)
	}
	type sum struct{ more, positions float64 }
	sums := make([]sum, len(sessions))
	for i := range sessions {
		for shown, next := range Positions(sessions[i : i+1]) {
			var ranked []string
			for _, r := range ranking.Next(shown, Longest) {
				ranked = append(ranked, r.Product)
			}
			sums[i].more += e.Model.add(ranked, next) - e.Popularity.add(popular, next)
			sums[i].positions++
			e.Positions++
		}
	}
	if e.Positions == 0 {
		return e
	}
	last := Longest - 1
	e.Gain = e.Model[last].HitRate() - e.Popularity[last].HitRate()
	squares, asked := 0.0, 0.0
	for _, s := range sums {
		if s.positions > 0 {
			asked++
			off := s.more - e.Gain*s.positions
			squares += off * off
		}
	}
	if asked > 1 {
		e.Error = math.Sqrt(squares*asked/(asked-1)) / float64(e.Positions)
	}
	return e
}

// add adds whether next is in a list, and is 1 if so.
func (l *Lists) add(ranked []string, next string) float64 {
	found := 0.0
	relevant := make([]bool, len(ranked))
	for i, product := range ranked {
		if product == next {
			relevant[i], found = true, 1
		}
	}
	for i := range l {
		l[i].Add(relevant, 1)
	}
	return found
}
