package trees

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// shop is n rows: of two columns one alone is needed, or it is missing, which
// does as well; a third says nothing; and a fourth is nothing but missing.
func shop(n int) (columns [][]float64, bought []bool) {
	columns = make([][]float64, 4)
	for i := range n {
		a, b := float64(i%2), float64(i/2%40)
		for c, x := range []float64{a, b, float64(i * 7919 % 101), math.NaN()} {
			columns[c] = append(columns[c], x)
		}
		bought = append(bought, (a == 1) != (b >= 20))
		if i%11 == 0 {
			columns[1][i], bought[i] = math.NaN(), true
		}
	}
	return columns, bought
}

func grown(t testing.TB, n, count int, settings Settings) (*Model, [][]float64, []bool) {
	columns, bought := shop(n)
	f, err := New(columns, bought, settings)
	if err != nil {
		t.Fatal(err)
	}
	for range count {
		f.Grow()
	}
	if err := f.Model.Check(len(columns)); err != nil {
		t.Fatal(err)
	}
	return &f.Model, columns, bought
}

func row(columns [][]float64, i int) (row []float64) {
	for _, c := range columns {
		row = append(row, c[i])
	}
	return row
}

// Neither of two columns says anything alone, and both together everything;
// missing is a value like others.
func TestTogether(t *testing.T) {
	m, columns, bought := grown(t, 2000, 150, Defaults)
	for i, want := range bought {
		if p := m.Probability(row(columns, i)); (p > .5) != want || math.Abs(p-.5) < .3 {
			t.Fatalf("row %d, %v: probability %v, want that of %t", i, row(columns, i), p, want)
		}
	}
}

// One split of one tree, by hand: 30 rows of 40 below, where 3 did, and 10 above,
// where 7 did, from a rate of a quarter.
func TestOneSplit(t *testing.T) {
	var column []float64
	var did []bool
	for i := range 40 {
		column = append(column, float64(i/30))
		did = append(did, i < 3 || i >= 33)
	}
	f, err := New([][]float64{column}, did, Settings{Rate: 1, Leaves: 2, Rows: 1, Pull: 2, RowShare: 1, ColumnShare: 1})
	if err != nil {
		t.Fatal(err)
	}
	f.Grow()
	// First derivatives: below 30/4 - 3, above 10/4 - 7; second: 3/16 of the rows.
	for x, want := range map[float64]float64{0: -4.5 / (30*3./16 + 2), 1: 4.5 / (10*3./16 + 2)} {
		if got := f.Model.LogOdds([]float64{x}) - math.Log(1./3); math.Abs(got-want) > 1e-6 {
			t.Errorf("the tree adds %v at %v, want %v", got, x, want)
		}
	}
	if got := f.Model.Trees[0].nodes[0].threshold; got != .5 {
		t.Errorf("split at %v, want .5", got)
	}
}

// Reasons add up, and name what counted.
func TestReasons(t *testing.T) {
	m, columns, _ := grown(t, 2000, 60, Defaults)
	for i := range 50 {
		reasons := m.Reasons(row(columns, i), nil)
		sum := m.Mean()
		for _, r := range reasons {
			sum += r.LogOdds
		}
		if want := m.LogOdds(row(columns, i)); math.Abs(sum-want) > 1e-9 {
			t.Errorf("row %d: reasons add up to %v, want %v", i, sum, want)
		}
		if reasons[0].Input > 1 {
			t.Errorf("row %d: first reason is input %d, want 0 or 1", i, reasons[0].Input)
		}
	}
	mean := 0.0
	for i := range columns[0] {
		mean += m.LogOdds(row(columns, i)) / float64(len(columns[0]))
	}
	if math.Abs(m.Mean()-mean) > 1e-6 {
		t.Errorf("Mean = %v, want the rows' %v", m.Mean(), mean)
	}
}

// The same rows give the same model; read again it gives the same, to the bit,
// for whatever a row holds.
func TestSameModel(t *testing.T) {
	m, _, _ := grown(t, 1000, 30, Defaults)
	if again, _, _ := grown(t, 1000, 30, Defaults); !reflect.DeepEqual(m, again) {
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
	anything := rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 40), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64}))
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

// Training and evaluation ask the same: each row ends in the leaf it was counted
// in, whatever its values.
func TestBinsAndThresholdsAgree(t *testing.T) {
	value := rapid.OneOf(rapid.Float64(), rapid.Map(rapid.IntRange(0, 9), func(i int) float64 { return float64(i) }),
		rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 0, 5e-324}))
	rapid.Check(t, func(t *rapid.T) {
		column := rapid.SliceOfN(value, 4, 150).Draw(t, "column")
		did := rapid.SliceOfN(rapid.Bool(), len(column), len(column)).Draw(t, "did")
		did[0], did[1] = true, false
		f, err := New([][]float64{column}, did, Settings{Rate: .3, Leaves: 8, Rows: 1, Pull: 1, RowShare: 1, ColumnShare: 1})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			f.Grow()
		}
		if n := len(f.cuts[0]); n > bins-2 {
			t.Fatalf("got %d cuts, want at most %d", n, bins-2)
		}
		for i, x := range column {
			if got, want := f.Model.LogOdds([]float64{x}), f.logOdds[i]; math.Abs(got-want) > 1e-9 {
				t.Fatalf("row %d, %v: evaluates to %v, was trained as %v", i, x, got, want)
			}
		}
		if _, err := json.Marshal(f.Model); err != nil {
			t.Fatal(err)
		}
	})
}

// A tree that could not be walked is not read.
func TestReadWrongTrees(t *testing.T) {
	for text, want := range map[string]string{
		`{"values":[],"below":[]}`:           "want those of one tree",
		`{"values":[0,1,2],"below":[1,0]}`:   "got lists of 3 values, 2 below",
		`{"values":[0,1,2],"below":[1,0,0]}`: "0 inputs",
		`{"values":[0,1,2],"below":[2,0,0],"inputs":[0],"thresholds":[1],"missing":[0]}`:          "node 0: got input 0, below 2",
		`{"values":[0,1,2],"below":[0,1,0],"inputs":[0],"thresholds":[1],"missing":[0]}`:          "node 1",
		`{"values":[0,1,2],"below":[1,0,0],"inputs":[-1],"thresholds":[1],"missing":[0]}`:         "input -1",
		`{"values":[0,1,2],"below":[1,0,0],"inputs":[0],"thresholds":[1],"missing":[2]}`:          "missing 2",
		`{"values":[0,1,2],"below":[1,0,0],"inputs":["a"],"thresholds":[1],"missing":[0]}`:        "cannot unmarshal",
		`{"values":[0,1,2],"below":[2147483647,0,0],"inputs":[0],"thresholds":[1],"missing":[0]}`: "node 0",
	} {
		var tree Tree
		if err := json.Unmarshal([]byte(text), &tree); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
	m, _, _ := grown(t, 100, 5, Settings{Rate: .3, Leaves: 8, Rows: 1, Pull: 1, RowShare: 1, ColumnShare: 1})
	if err := m.Check(1); err == nil || !strings.Contains(err.Error(), "want one of 1") {
		t.Errorf("Check for rows of 1 input: got %v, want an error", err)
	}
}

func TestNothingToLearn(t *testing.T) {
	if _, err := New([][]float64{{1, 2}}, []bool{false, false}, Defaults); err == nil || !strings.Contains(err.Error(), "in all of which the outcome is false") {
		t.Errorf("New of one outcome: got %v, want an error", err)
	}
}

func TestEvaluationAllocatesNothing(t *testing.T) {
	m, columns, _ := grown(t, 1000, 30, Defaults)
	visit := row(columns, 3)
	into := m.Reasons(visit, nil)
	if n := testing.AllocsPerRun(100, func() { m.Probability(visit); into = m.Reasons(visit, into[:0]) }); n > 0 {
		t.Errorf("an evaluation with reasons allocates %v times, want 0", n)
	}
}

func BenchmarkProbability(b *testing.B) {
	m, columns, _ := grown(b, 6000, 180, Defaults)
	visit := row(columns, 3)
	b.ReportAllocs()
	for b.Loop() {
		m.Probability(visit)
	}
}
