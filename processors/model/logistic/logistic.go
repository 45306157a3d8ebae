// Package logistic learns how likely something is as a sum of what each input
// does to its log-odds.
//
//	columns, what happened → NewBasis → Fit → intercept, a curve for each input
//	                                    Pairs → and what inputs do together
//	a row + Model → Probability, Reasons
//
// Each input has a curve: straight between its points, flat beyond them, and
// with a value of its own for missing. So inputs need no transforms by hand,
// what counts is their order, and a few absurd values harm little. Fit is
// penalised maximum likelihood by Newton's method; the penalty pulls a curve
// towards flat, and an input that says nothing ends at 0.
//
// Sources: Eilers and Marx, "Flexible smoothing with B-splines and penalties",
// Statistical Science 11 (1996), here of degree 1 with differences of the first
// order; Hastie and Tibshirani, "Generalized additive models" (1990), for the
// sum of curves; Tukey, "One degree of freedom for non-additivity", Biometrics 5
// (1949), for the products of effects.
//
// Not obvious: points stand at quantiles, so the basis is standardised by rank.
// A value that many rows share, such as the zero of what few ever do, is a point
// of its own with its neighbours at both sides, so that the curve can jump
// there. Curves are centred on the training rows: an effect is the difference
// that an input makes against the average, and the intercept is the log-odds at
// the average.
package logistic

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Model is the parameters; the zero Model gives a half.
type Model struct {
	Intercept float64 `json:"intercept"`
	Curves    []Curve `json:"curves"`
	// Paired are inputs that also do something together, and Weights those of the
	// products of their effects: of the second with the first, the third with the
	// first and the second, and so on.
	Paired  []int     `json:"paired,omitempty"`
	Weights []float64 `json:"weights,omitempty"`
}

// Check says what a Model lacks that was read, for rows of so many inputs.
func (m *Model) Check(inputs int) error {
	if len(m.Curves) != inputs {
		return fmt.Errorf("logistic: got %d curves, want %d", len(m.Curves), inputs)
	}
	for i, c := range m.Curves {
		if len(c.At) != len(c.Effects) || !slices.IsSorted(c.At) {
			return fmt.Errorf("logistic: curve %d: got %d points and %d effects, want as many, and points ascending", i, len(c.At), len(c.Effects))
		}
	}
	if n := len(m.Paired); n > paired || len(m.Weights) != n*(n-1)/2 {
		return fmt.Errorf("logistic: got %d paired inputs and %d weights, want at most %d, and a weight for each two", n, len(m.Weights), paired)
	}
	for _, input := range m.Paired {
		if input < 0 || input >= inputs {
			return fmt.Errorf("logistic: got input %d paired, want one of %d", input, inputs)
		}
	}
	return nil
}

// Curve is what an input adds to the log-odds.
type Curve struct {
	// Missing is what NaN adds.
	Missing float64 `json:"missing"`
	// At are values of the input, ascending, and Effects what each adds.
	At      []float64 `json:"at"`
	Effects []float64 `json:"effects"`
}

// Effect is what a value of the input adds to the log-odds.
func (c *Curve) Effect(x float64) float64 {
	if math.IsNaN(x) || len(c.At) == 0 {
		return c.Missing
	}
	low, high, share := between(c.At, x)
	return c.Effects[low] + share*(c.Effects[high]-c.Effects[low])
}

// between finds the points around x, and how far x is from the low to the high.
func between(at []float64, x float64) (low, high int, share float64) {
	high = len(at) - 1
	switch {
	case x <= at[0]:
		return 0, 0, 0
	case x >= at[high]:
		return high, high, 0
	}
	for high-low > 1 {
		middle := int(uint(low+high) / 2)
		if at[middle] <= x {
			low = middle
		} else {
			high = middle
		}
	}
	if at[low] == x {
		return low, low, 0
	}
	// Halved, since a difference of two finite numbers may be infinite.
	return low, high, (x/2 - at[low]/2) / (at[high]/2 - at[low]/2)
}

// LogOdds of a row, which has a value for each curve.
func (m *Model) LogOdds(row []float64) float64 {
	sum := m.Intercept
	for i := range m.Curves {
		sum += m.Curves[i].Effect(row[i])
	}
	effects, weight := m.paired(row), 0
	for k := range m.Paired {
		for j := range k {
			sum += m.Weights[weight] * effects[k] * effects[j]
			weight++
		}
	}
	return sum
}

// paired are the effects of the inputs that are paired.
func (m *Model) paired(row []float64) (effects [paired]float64) {
	for k, input := range m.Paired {
		effects[k] = m.Curves[input].Effect(row[input])
	}
	return effects
}

// Probability is within [0, 1], whatever the row holds.
func (m *Model) Probability(row []float64) float64 { return 1 / (1 + math.Exp(-m.LogOdds(row))) }

// Reason is what one input did.
type Reason struct {
	// Input is its place in the row.
	Input int
	// LogOdds is what it added, against the average.
	LogOdds float64
}

// Reasons are what each input added to the log-odds of a row, that which moved
// it most first. What two do together is shared between them. They are appended
// to into; with the intercept they add up.
func (m *Model) Reasons(row []float64, into []Reason) []Reason {
	start := len(into)
	for i := range m.Curves {
		into = append(into, Reason{i, m.Curves[i].Effect(row[i])})
	}
	reasons := into[start:]
	effects, weight := m.paired(row), 0
	for k, first := range m.Paired {
		for j, second := range m.Paired[:k] {
			half := m.Weights[weight] * effects[k] * effects[j] / 2
			reasons[first].LogOdds += half
			reasons[second].LogOdds += half
			weight++
		}
	}
	SortReasons(reasons)
	return into
}

// SortReasons puts that which moved the log-odds most first.
func SortReasons(reasons []Reason) {
	slices.SortFunc(reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(math.Abs(b.LogOdds), math.Abs(a.LogOdds)), cmp.Compare(a.Input, b.Input))
	})
}
