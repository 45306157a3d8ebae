package linear

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Rows that were drawn from a model give it back, and what is expected adds up to
// what happened.
func TestFit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	truth := Model{-1, []float64{.8, -2, 0, 0}}
	var rows [][]float64
	var happened []bool
	for range 40_000 {
		row := []float64{3 * r.NormFloat64(), r.Float64(), r.NormFloat64(), 7}
		rows = append(rows, row)
		happened = append(happened, r.Float64() < truth.Probability(row))
	}
	got, err := Fit(rows, happened)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range truth.Weights {
		if math.Abs(got.Weights[i]-w) > .1 {
			t.Errorf("weights %v, want about %v", got.Weights, truth.Weights)
		}
	}
	want, sum := 0.0, 0.0
	for i, row := range rows {
		sum += got.Probability(row)
		if happened[i] {
			want++
		}
	}
	if math.Abs(sum-want) > 1e-3 || math.Abs(got.Intercept+1) > .1 {
		t.Errorf("expected %.3f, happened %v; got %+v, want about %+v", sum, want, got, truth)
	}
}

// What an input tells entirely has a weight that is finite; nothing to learn from is
// an error.
func TestFitAtTheEdge(t *testing.T) {
	m, err := Fit([][]float64{{0}, {0}, {1}, {1}}, []bool{false, false, true, true})
	if err != nil || !(m.Weights[0] > 1 && m.Weights[0] < 100) {
		t.Errorf("Fit = %+v, %v, want a weight that is finite", m, err)
	}
	for _, c := range []struct {
		rows     [][]float64
		happened []bool
	}{{nil, nil}, {[][]float64{{1}}, nil}, {[][]float64{{1}, {2}}, []bool{true, true}}, {[][]float64{{1}, {math.NaN()}}, []bool{true, false}}} {
		if _, err := Fit(c.rows, c.happened); err == nil {
			t.Errorf("Fit(%v, %v): got no error", c.rows, c.happened)
		}
	}
}
