// Package calibrate makes probabilities of scores: of those who get .2, a fifth
// should.
//
//	log-odds of rows that the model was not fitted on, what happened → Fit → Map
//	a log-odds + Map → Probability
//
// There are two ways: a logistic curve (Platt), with two parameters, and steps
// that only rise (isotonic), which follow any shape but need many rows. Fit
// holds parts of the rows back and takes the curve, unless the steps are better
// by more than one standard error. Neither ever falls, so the order of
// customers stays.
//
// Sources: Platt, "Probabilistic outputs for support vector machines" (1999),
// with his targets short of 0 and 1, so that separated scores give a finite
// curve; Zadrozny and Elkan, KDD 2002, by pool adjacent violators; Oron and
// Flournoy, "Centered isotonic regression", Statistics in Biopharmaceutical
// Research 9 (2017), for straight lines between the centres of steps; Hastie,
// Tibshirani and Friedman, "The elements of statistical learning" (2009), 7.10,
// for the one standard error.
package calibrate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"segue/processors/model/draw"
	"segue/processors/model/measure"
	"segue/processors/model/newton"
)

// Map is the parameters. It has points (isotonic), or a slope and an intercept
// (Platt).
type Map struct {
	Slope     float64 `json:"slope,omitempty"`
	Intercept float64 `json:"intercept,omitempty"`
	// At are log-odds, ascending, and Probabilities theirs, which never fall.
	At            []float64 `json:"at,omitempty"`
	Probabilities []float64 `json:"probabilities,omitempty"`
}

// Method names the way.
func (m *Map) Method() string {
	if len(m.At) > 0 {
		return "isotonic"
	}
	return "platt"
}

// Check says what a Map lacks that was read.
func (m *Map) Check() error {
	if len(m.At) != len(m.Probabilities) || !slices.IsSorted(m.At) || !slices.IsSorted(m.Probabilities) || m.Slope < 0 {
		return fmt.Errorf("calibration: got slope %v, %d log-odds and %d probabilities, want none below 0, as many, and both ascending",
			m.Slope, len(m.At), len(m.Probabilities))
	}
	return nil
}

// Probability of a log-odds, in [0, 1]; it never falls as the log-odds rise. NaN
// gets what 0 gets.
func (m *Map) Probability(logOdds float64) float64 {
	if math.IsNaN(logOdds) {
		logOdds = 0
	}
	if len(m.At) == 0 {
		if m.Slope == 0 { // which an infinity would not keep
			logOdds = 0
		}
		return sigmoid(min(max(m.Slope*logOdds+m.Intercept, -surest), surest))
	}
	last := len(m.At) - 1
	switch {
	case logOdds <= m.At[0]:
		return m.Probabilities[0]
	case logOdds >= m.At[last]:
		return m.Probabilities[last]
	}
	high, _ := slices.BinarySearch(m.At, logOdds)
	low := high - 1
	share := (logOdds - m.At[low]) / (m.At[high] - m.At[low])
	// Within the two, whatever is lost in rounding.
	p := m.Probabilities[low] + share*(m.Probabilities[high]-m.Probabilities[low])
	return min(max(p, m.Probabilities[low]), m.Probabilities[high])
}

// surest is the log-odds beyond which nothing is surer: nothing is certain.
const surest = 30

// parts are what the rows are parted in to choose a way.
const parts = 5

// Fit fits the way that gives rows it was not fitted on the higher likelihood.
// The log-odds must be finite, and both outcomes must have occurred.
func Fit(logOdds []float64, happened []bool) (Map, error) {
	curve, err := Platt(logOdds, happened)
	if err != nil {
		return Map{}, err
	}
	if did, err := count(logOdds, happened); err != nil || min(did, len(happened)-did) < 2*parts {
		return curve, err // of so few, steps tell nothing
	}
	gains := make([]float64, 0, len(logOdds))
	held := draw.Parts(happened, parts)
	for part := range parts {
		var in, out []int
		for i := range held {
			if held[i] == part {
				out = append(out, i)
			} else {
				in = append(in, i)
			}
		}
		fitted, did := pick(logOdds, in), pick(happened, in)
		byCurve, err := Platt(fitted, did)
		if err != nil {
			return Map{}, err
		}
		bySteps, err := Isotonic(fitted, did)
		if err != nil {
			return Map{}, err
		}
		for _, i := range out {
			gains = append(gains, measure.Surprise(byCurve.Probability(logOdds[i]), happened[i])-measure.Surprise(bySteps.Probability(logOdds[i]), happened[i]))
		}
	}
	if mean, err := MeanAndError(gains); mean > err {
		return Isotonic(logOdds, happened)
	}
	return curve, nil
}

// MeanAndError are a mean and its standard error.
func MeanAndError(values []float64) (mean, standardError float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	square := 0.0
	for _, v := range values {
		square += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(square / max(n-1, 1) / n)
}

// Platt fits the curve.
func Platt(logOdds []float64, happened []bool) (Map, error) {
	did, err := count(logOdds, happened)
	if err != nil {
		return Map{}, err
	}
	high, low := float64(did+1)/float64(did+2), 1/float64(len(happened)-did+2)
	target := func(i int) float64 {
		if happened[i] {
			return high
		}
		return low
	}
	at := newton.Minimize([]float64{0, math.Log(float64(did+1) / float64(len(happened)-did+1))}, func(at []float64) float64 {
		sum := 0.0
		for i, x := range logOdds {
			z := at[0]*x + at[1]
			sum += max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) - target(i)*z
		}
		return sum
	}, func(at, gradient, hessian []float64) {
		clear(gradient)
		copy(hessian, []float64{1e-10, 0, 0, 1e-10}) // all scores may be the same
		for i, x := range logOdds {
			p := sigmoid(at[0]*x + at[1])
			w := p * (1 - p)
			gradient[0] += (p - target(i)) * x
			gradient[1] += p - target(i)
			hessian[0] += w * x * x
			hessian[1] += w * x
			hessian[3] += w
		}
	})
	m := Map{Slope: at[0], Intercept: at[1]}
	if !(m.Slope > 0) { // scores that say nothing, or the reverse
		return Map{Intercept: math.Log(float64(did) / float64(len(happened)-did))}, nil
	}
	return m, nil
}

// Isotonic fits the steps. Their ends keep short of 0 and 1, by what one more
// row of the other outcome would do to them.
func Isotonic(logOdds []float64, happened []bool) (Map, error) {
	if _, err := count(logOdds, happened); err != nil {
		return Map{}, err
	}
	order := make([]int, len(logOdds))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(logOdds[a], logOdds[b]), cmp.Compare(a, b))
	})
	type step struct{ at, did, rows float64 } // at: the sum of log-odds
	var steps []step
	for k := 0; k < len(order); {
		var next step
		for x := logOdds[order[k]]; k < len(order) && logOdds[order[k]] == x; k++ { // equal scores are one
			next.at += x
			next.rows++
			if happened[order[k]] {
				next.did++
			}
		}
		for last := len(steps) - 1; last >= 0 && steps[last].did*next.rows >= next.did*steps[last].rows; last-- {
			next = step{steps[last].at + next.at, steps[last].did + next.did, steps[last].rows + next.rows}
			steps = steps[:last]
		}
		steps = append(steps, next)
	}
	var m Map
	for _, s := range steps {
		at, p := s.at/s.rows, min(max(s.did/s.rows, 1/(s.rows+2)), (s.rows+1)/(s.rows+2))
		if last := len(m.At) - 1; last >= 0 {
			p = max(p, m.Probabilities[last])
			if at <= m.At[last] {
				m.Probabilities[last] = p
				continue
			}
		}
		m.At, m.Probabilities = append(m.At, at), append(m.Probabilities, p)
	}
	return m, nil
}

func count(logOdds []float64, happened []bool) (did int, err error) {
	for i, x := range logOdds {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return 0, fmt.Errorf("log-odds %d: got %v, want a finite number", i, x)
		}
		if happened[i] {
			did++
		}
	}
	if did == 0 || did == len(happened) {
		return 0, errors.New("got one outcome alone, want some of both")
	}
	return did, nil
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

func pick[T any](values []T, at []int) []T {
	picked := make([]T, len(at))
	for i, k := range at {
		picked[i] = values[k]
	}
	return picked
}
