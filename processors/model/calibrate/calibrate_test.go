package calibrate

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Steps that only rise, by hand: 3 and 4 are out of order and become one, at
// 3.5; the ends keep short of 0 and 1 by one more row.
func TestIsotonic(t *testing.T) {
	m, err := Isotonic([]float64{5, 1, 2, 3, 4, 2, 6}, []bool{true, false, false, true, false, true, true})
	if err != nil {
		t.Fatal(err)
	}
	// 1: 0 of 1; 2: 1 of 2, and 3, 4: 1 of 2, which is the same and so one step of
	// 4 rows at 11/4; 5 and 6: all.
	if want := []float64{1, 2.75, 5.5}; !slices.Equal(m.At, want) {
		t.Errorf("at %v, want %v", m.At, want)
	}
	if want := []float64{1. / 3, .5, .75}; !slices.Equal(m.Probabilities, want) {
		t.Errorf("probabilities %v, want %v", m.Probabilities, want)
	}
	for x, want := range map[float64]float64{-9: 1. / 3, 1: 1. / 3, 2.75: .5, 4.125: .625, 99: .75} {
		if got := m.Probability(x); math.Abs(got-want) > 1e-15 {
			t.Errorf("Probability(%v) = %v, want %v", x, got, want)
		}
	}
}

// evenly gives rows with the probability of each score.
func evenly(n int, probability func(float64) float64) (scores []float64, happened []bool) {
	for i := range n {
		x := -4 + 8*float64(i)/float64(n)
		scores = append(scores, x)
		happened = append(happened, math.Mod(float64(i)*math.Phi, 1) < probability(x))
	}
	return scores, happened
}

// A curve is found again, with far more rows than it has parameters.
func TestPlatt(t *testing.T) {
	scores, happened := evenly(20_000, func(x float64) float64 { return sigmoid(.5*x - 1) })
	m, err := Platt(scores, happened)
	if err != nil || math.Abs(m.Slope-.5) > .01 || math.Abs(m.Intercept+1) > .02 {
		t.Errorf("Platt = %+v, %v, want slope .5 and intercept -1", m, err)
	}
	// Of separated scores the targets are 5/6 and 1/6.
	for name, tc := range map[string]struct {
		scores []float64
		want   float64
	}{
		"separated":    {[]float64{-1, -1, -1, 1, 1, 1}, .8}, // Platt's targets are 4/5 and 1/5
		"the same":     {[]float64{2, 2, 2, 2, 2, 2}, .5},
		"the opposite": {[]float64{3, 4, 5, -1, -2, -3}, .5},
	} {
		m, err := Platt(tc.scores, []bool{false, false, false, true, true, true})
		if got := m.Probability(1); err != nil || math.Abs(got-tc.want) > 1e-5 {
			t.Errorf("scores that are %s give %v, %v, want %v", name, got, err, tc.want)
		}
	}
}

func TestFitChooses(t *testing.T) {
	for want, probability := range map[string]func(float64) float64{
		"platt": func(x float64) float64 { return sigmoid(x) },
		"isotonic": func(x float64) float64 {
			if x < 2 {
				return .1
			}
			return .5
		},
	} {
		m, err := Fit(evenly(5000, probability))
		if err != nil || m.Method() != want {
			t.Errorf("Fit: got %s, %v, want %s", m.Method(), err, want)
		}
	}
	few, err := Fit([]float64{1, 2, 3, 4}, []bool{false, false, true, true})
	if err != nil || few.Method() != "platt" {
		t.Errorf("Fit of few: got %s, %v, want platt", few.Method(), err)
	}
}

func TestWrongScores(t *testing.T) {
	for _, tc := range []struct {
		scores   []float64
		happened []bool
		want     string
	}{
		{[]float64{1, math.NaN()}, []bool{true, false}, "log-odds 1: got NaN, want a finite number"},
		{[]float64{1, 2}, []bool{true, true}, "got one outcome alone, want some of both"},
		{nil, nil, "got one outcome alone, want some of both"},
	} {
		_, err := Fit(tc.scores, tc.happened)
		_, steps := Isotonic(tc.scores, tc.happened)
		if err == nil || err.Error() != tc.want || steps == nil || steps.Error() != tc.want {
			t.Errorf("Fit and Isotonic of %v: got %v and %v, want %s", tc.scores, err, steps, tc.want)
		}
	}
}

// Whatever it was fitted on, a probability never falls as the score rises, and
// is the same once written and read.
func TestMonotone(t *testing.T) {
	score := rapid.OneOf(rapid.Float64Range(-50, 50), rapid.Map(rapid.IntRange(-4, 4), func(i int) float64 { return float64(i) }))
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(score, 2, 80).Draw(t, "scores")
		happened := rapid.SliceOfN(rapid.Bool(), len(scores), len(scores)).Draw(t, "happened")
		happened[0], happened[1] = true, false
		at := append(rapid.SliceOfN(score, 2, 20).Draw(t, "at"), math.Inf(-1), -math.MaxFloat64, math.MaxFloat64, math.Inf(1))
		slices.Sort(at)
		for name, fit := range map[string]func([]float64, []bool) (Map, error){"Fit": Fit, "Platt": Platt, "Isotonic": Isotonic} {
			m, err := fit(scores, happened)
			if err == nil {
				err = m.Check()
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			text, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			var read Map
			if err := json.Unmarshal(text, &read); err != nil {
				t.Fatal(err)
			}
			last := 0.0
			for _, x := range at {
				p := m.Probability(x)
				if !(p >= last && p <= 1) {
					t.Fatalf("%s: %v gets %v, and less got %v", name, x, p, last)
				}
				if got := read.Probability(x); got != p {
					t.Fatalf("%s: read, %v gets %v, before %v", name, x, got, p)
				}
				last = p
			}
		}
	})
}
