package logistic

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"segue/processors/model/linear"
)

// Of 20 who were mailed 15 bought, of 80 others 20: without a penalty the curve
// goes through both rates.
func TestTwoByTwo(t *testing.T) {
	var mailed []float64
	var bought []bool
	for i := range 100 {
		mailed = append(mailed, float64(b2i(i < 20)))
		bought = append(bought, i < 15 || i >= 80)
	}
	basis, err := NewBasis([][]float64{mailed}, bought)
	if err != nil {
		t.Fatal(err)
	}
	m := basis.Fit(1e-9)
	for x, want := range map[float64]float64{1: .75, 0: .25, .5: .5, 7: .75, -7: .25} {
		if got := m.Probability([]float64{x}); math.Abs(got-want) > 1e-6 {
			t.Errorf("Probability(%v) = %v, want %v", x, got, want)
		}
	}
	// Centred: log 3 for one and -log 3 for the other, less their mean.
	mean := .2*math.Log(3) - .8*math.Log(3)
	if math.Abs(m.Intercept-mean) > 1e-6 || math.Abs(m.Curves[0].Effect(1)-(math.Log(3)-mean)) > 1e-6 {
		t.Errorf("intercept %v, effect of a mail %v, want %v and %v", m.Intercept, m.Curves[0].Effect(1), mean, math.Log(3)-mean)
	}
	if strict := basis.Fit(1e6); math.Abs(strict.Probability([]float64{1})-.35) > .001 {
		t.Errorf("a strict penalty leaves %v, want the overall .35", strict.Probability([]float64{1}))
	}
}

// shop is n rows: an amount, which counts by its logarithm, is 0 for most, and
// is missing at times; a kind, which counts only with an amount; one that says
// nothing; and one that never differs.
func shop(n int) (columns [][]float64, bought []bool) {
	columns = make([][]float64, 4)
	for i := range n {
		amount, kind, noise := 0.0, float64(i%3), float64(i*7919%101)
		if i%5 < 2 {
			amount = math.Exp(float64(i*131%97) / 10)
		}
		z := -2 + .3*math.Log1p(amount)
		if kind == 2 && amount > 0 {
			z += 2
		}
		if i%17 == 0 {
			amount = math.NaN()
		}
		for c, x := range []float64{amount, kind, noise, 5} {
			columns[c] = append(columns[c], x)
		}
		draw := math.Mod(float64(i)*math.Phi, 1) // evenly spread
		bought = append(bought, draw < 1/(1+math.Exp(-z)))
	}
	return columns, bought
}

func fit(t testing.TB, columns [][]float64, happened []bool) (*Basis, *Model) {
	basis, err := NewBasis(columns, happened)
	if err != nil {
		t.Fatal(err)
	}
	m := basis.Fit(1)
	if err := m.Check(len(columns)); err != nil {
		t.Fatal(err)
	}
	return basis, m
}

func (m *Model) loss(columns [][]float64, happened []bool) float64 {
	sum := 0.0
	for i, h := range happened {
		sum += linear.Loss(m.LogOdds(row(columns, i)), h) / float64(len(happened))
	}
	return sum
}

func row(columns [][]float64, i int) (row []float64) {
	for _, c := range columns {
		row = append(row, c[i])
	}
	return row
}

func TestCurves(t *testing.T) {
	columns, bought := shop(6000)
	basis, m := fit(t, columns, bought)
	amount := m.Curves[0]
	for _, two := range [][2]float64{{0, 2}, {2, 100}, {100, 5000}} {
		if !(amount.Effect(two[0])+.3 < amount.Effect(two[1])) {
			t.Errorf("effect of an amount of %v: %v, of %v: %v, want clearly more", two[0], amount.Effect(two[0]), two[1], amount.Effect(two[1]))
		}
	}
	if amount.Effect(1e300) != amount.Effect(math.Inf(1)) || amount.Effect(-3) != amount.Effect(0) {
		t.Error("a curve is not flat beyond its points")
	}
	for _, e := range m.Curves[3].Effects {
		if math.Abs(e) > 1e-9 {
			t.Errorf("what never differs has an effect of %v, want 0", e)
		}
	}
	pairs := basis.Pairs(m, 1)
	if err := pairs.Check(4); err != nil {
		t.Error(err)
	}
	if alone, both := m.loss(columns, bought), pairs.loss(columns, bought); !(both < alone-.005) {
		t.Errorf("a kind that counts only with an amount: log loss %v with pairs and %v without, want clearly less", both, alone)
	}
	// Reasons add up, and the first moved it most.
	for i := range 50 {
		sum, last := pairs.Intercept, math.Inf(1)
		for _, r := range pairs.Reasons(row(columns, i), nil) {
			sum += r.LogOdds
			if math.Abs(r.LogOdds) > last {
				t.Errorf("row %d: reasons out of order", i)
			}
			last = math.Abs(r.LogOdds)
		}
		if want := pairs.LogOdds(row(columns, i)); math.Abs(sum-want) > 1e-12 {
			t.Errorf("row %d: reasons add up to %v, want %v", i, sum, want)
		}
	}
}

// The weights of pairs are where likelihood and penalty are in balance: a little
// more or less of any is worse.
func TestPairsAreAtTheMaximum(t *testing.T) {
	columns, bought := shop(2000)
	basis, m := fit(t, columns, bought)
	const penalty = 3
	pairs := basis.Pairs(m, penalty)
	cost := func() float64 {
		sum := pairs.loss(columns, bought) * float64(len(bought))
		for _, w := range pairs.Weights {
			sum += penalty * w * w / 2
		}
		return sum
	}
	least := cost()
	for k := range pairs.Weights {
		for _, off := range []float64{-.001, .001} {
			pairs.Weights[k] += off
			if got := cost(); got <= least {
				t.Errorf("weight %d off by %v: cost %v, want more than %v", k, off, got, least)
			}
			pairs.Weights[k] -= off
		}
	}
}

// The same rows give the same model; read again it gives the same, to the bit,
// for whatever a row holds.
func TestSameModel(t *testing.T) {
	columns, bought := shop(800)
	basis, m := fit(t, columns, bought)
	m = basis.Pairs(m, 1)
	again, second := fit(t, columns, bought)
	if second = again.Pairs(second, 1); !reflect.DeepEqual(m, second) {
		t.Error("the same rows gave another model")
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var read Model
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	anything := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 5e-324}))
	rapid.Check(t, func(t *rapid.T) {
		row := rapid.SliceOfN(anything, 4, 4).Draw(t, "row")
		p := m.Probability(row)
		if !(p >= 0 && p <= 1) {
			t.Fatalf("Probability(%v) = %v, want within [0, 1]", row, p)
		}
		if got := read.Probability(row); got != p {
			t.Fatalf("read, it gives %v, before %v", got, p)
		}
	})
}

// Whatever is learnt from stays finite: separable rows, nothing but infinities,
// missing or extreme values, and columns that say the same.
func TestOddColumns(t *testing.T) {
	for name, column := range map[string]func(i int) float64{
		"separable": func(i int) float64 { return float64(b2i(i >= 25)) },
		"missing":   func(int) float64 { return math.NaN() },
		"infinite":  func(i int) float64 { return math.Inf(i%2*2 - 1) },
		"extreme":   func(i int) float64 { return []float64{-math.MaxFloat64, math.MaxFloat64, 5e-324, math.Inf(1), 1}[i%5] },
		"rising":    func(i int) float64 { return float64(i) },
	} {
		columns := make([][]float64, 3)
		var happened []bool
		for i := range 50 {
			columns[0] = append(columns[0], column(i))
			columns[1] = append(columns[1], column(i))
			columns[2] = append(columns[2], float64(i%7))
			happened = append(happened, i >= 25)
		}
		basis, m := fit(t, columns, happened)
		m = basis.Pairs(m, 1)
		for i := range 50 {
			if p := m.Probability(row(columns, i)); !(p > 0 && p < 1) {
				t.Errorf("%s, row %d: probability %v, want within (0, 1)", name, i, p)
			}
		}
		if _, err := json.Marshal(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "separable" && !(m.Probability(row(columns, 0)) < .1 && m.Probability(row(columns, 49)) > .9) {
			t.Errorf("separable rows are not told apart: %v and %v", m.Probability(row(columns, 0)), m.Probability(row(columns, 49)))
		}
	}
}

func TestNothingToLearn(t *testing.T) {
	for _, tc := range []struct {
		columns  [][]float64
		happened []bool
		want     string
	}{
		{nil, nil, "got no rows to learn from"},
		{[][]float64{{1, 2}}, []bool{true, true}, "got 2 rows in all of which the outcome is true, want some of both"},
		{[][]float64{{1, 2}, {1}}, []bool{true, false}, "input 1: got 1 rows, want 2"},
	} {
		if _, err := NewBasis(tc.columns, tc.happened); err == nil || err.Error() != tc.want {
			t.Errorf("NewBasis(%v, %v): got %v, want %s", tc.columns, tc.happened, err, tc.want)
		}
	}
}

// What was read and cannot be evaluated is told before it is.
func TestCheck(t *testing.T) {
	curve := Curve{At: []float64{1, 2}, Effects: []float64{-1, 1}}
	for want, m := range map[string]Model{
		"got 0 curves, want 2":            {},
		"got 2 points and 1 effects":      {Curves: []Curve{curve, {At: []float64{1, 2}, Effects: []float64{1}}}},
		"and points ascending":            {Curves: []Curve{curve, {At: []float64{2, 1}, Effects: []float64{1, 2}}}},
		"got 2 paired inputs and 0":       {Curves: []Curve{curve, curve}, Paired: []int{0, 1}},
		"got input 2 paired, want one of": {Curves: []Curve{curve, curve}, Paired: []int{0, 2}, Weights: []float64{1}},
	} {
		if err := m.Check(2); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check: got %v, want %s", err, want)
		}
	}
}

func TestEvaluationAllocatesNothing(t *testing.T) {
	columns, bought := shop(800)
	basis, m := fit(t, columns, bought)
	m = basis.Pairs(m, 1)
	visit, into := row(columns, 3), make([]Reason, 0, 4)
	if n := testing.AllocsPerRun(100, func() { m.Probability(visit); into = m.Reasons(visit, into[:0]) }); n > 0 {
		t.Errorf("an evaluation with reasons allocates %v times, want 0", n)
	}
}

func BenchmarkProbability(b *testing.B) {
	for _, inputs := range []int{4, 16} {
		b.Run(fmt.Sprintf("inputs=%d", inputs), func(b *testing.B) {
			columns, bought := shop(6000)
			for len(columns) < inputs {
				columns = append(columns, columns[:4]...)
			}
			basis, m := fit(b, columns, bought)
			m = basis.Pairs(m, 1)
			visit := row(columns, 3)
			b.ReportAllocs()
			for b.Loop() {
				m.Probability(visit)
			}
		})
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
