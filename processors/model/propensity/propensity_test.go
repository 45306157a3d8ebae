package propensity

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// shop is n visits: pages seen, a month, whether it was on a weekend, a visitor's
// name, and nothing. Who sees many pages buys, in November sooner.
func shop(n int) (names []string, rows [][]string, bought []bool) {
	names = []string{"pages", "month", "weekend", "visitor", "nothing"}
	for i := range n {
		pages, month := i*7919%40, []string{"Nov", "Feb", "May"}[i%3]
		z := float64(pages)/5 - 6
		if month == "Nov" {
			z += 2
		}
		text := fmt.Sprint(pages)
		if i%19 == 0 {
			text = "NA"
		}
		rows = append(rows, []string{text, month, []string{"TRUE", "FALSE"}[i/3%2], fmt.Sprintf("visitor %d", i), ""})
		bought = append(bought, math.Mod(float64(i)*math.Phi, 1) < 1/(1+math.Exp(-z)))
	}
	return names, rows, bought
}

// What is a sum is left to the sum: trees must be better to be taken.
func TestFit(t *testing.T) {
	names, rows, bought := shop(1200)
	f, err := Fit(names, rows, bought)
	if err != nil {
		t.Fatal(err)
	}
	if f.ByTrees || f.Chosen() != &f.Linear {
		t.Errorf("trees were taken, with log loss %v against %v", f.Trees.LogLoss, f.Linear.LogLoss)
	}
	for name, c := range map[string]Candidate{"linear": f.Linear, "trees": f.Trees} {
		row := make([]float64, len(names))
		c.Space.Encode([]string{"35", "Nov", "TRUE", "x", ""}, row)
		likely := c.Probability(row)
		if reason := c.Reasons(row, nil)[0]; names[reason.Input] != "pages" || reason.LogOdds < 1 {
			t.Errorf("%s: first reason is %s by %v, want pages, by more than 1", name, names[reason.Input], reason.LogOdds)
		}
		c.Space.Encode([]string{"3", "Feb", "TRUE", "x", ""}, row)
		if unlikely := c.Probability(row); !(likely > .8 && unlikely < .05) {
			t.Errorf("%s: got %v and %v, want above .8 and below .05", name, likely, unlikely)
		}
	}
}

// Trees are taken where inputs count together alone.
func TestTreesAreTaken(t *testing.T) {
	var rows [][]string
	var bought []bool
	for i := range 1000 {
		a, b := i%10, i/10%10
		rows = append(rows, []string{fmt.Sprint(a), fmt.Sprint(b)})
		bought = append(bought, (a < 5) != (b < 5))
	}
	f, err := Fit([]string{"a", "b"}, rows, bought)
	if err != nil || !f.ByTrees || f.Trees.LogLoss > .3 {
		t.Errorf("Fit: %v, trees taken: %t with log loss %v, want them, with less than .3", err, f.ByTrees, f.Trees.LogLoss)
	}
}

// The same rows give the same model, and what is written and read gives the
// same probability of whatever a row may be.
func TestSameModel(t *testing.T) {
	names, rows, bought := shop(300)
	f, err := Fit(names, rows, bought)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Fit(names, rows, bought); err != nil || !reflect.DeepEqual(f, again) {
		t.Errorf("the same rows gave another model, %v", err)
	}
	for _, m := range []Model{f.Linear.Model, f.Trees.Model} {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var read Model
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		value := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "NaN", "Inf", "-Inf", "1e400", "Nov", "12", "-3.5", "TRUE"}))
		rapid.Check(t, func(t *rapid.T) {
			values := rapid.SliceOfN(value, len(names), len(names)).Draw(t, "values")
			row := make([]float64, len(names))
			m.Space.Encode(values, row)
			p := m.Probability(row)
			read.Space.Encode(values, row)
			if got := read.Probability(row); !(p >= 0 && p <= 1) || got != p {
				t.Fatalf("%q: probability %v, read %v, want the same within [0, 1]", values, p, got)
			}
		})
	}
}

// Odd shops are learnt from all the same: few rows, separable ones, columns that
// hold nothing, and none at all.
func TestOddShops(t *testing.T) {
	for name, value := range map[string]func(i int) []string{
		"few rows":   func(i int) []string { return []string{fmt.Sprint(i % 7), fmt.Sprint("a", i%3)} },
		"separable":  func(i int) []string { return []string{fmt.Sprint(i % 2), fmt.Sprint(i)} },
		"nothing":    func(int) []string { return []string{"", "same"} },
		"infinite":   func(i int) []string { return []string{[]string{"Inf", "-Inf"}[i/2%2], "NaN"} },
		"no columns": func(int) []string { return nil },
	} {
		var rows [][]string
		var bought []bool
		for i := range 50 {
			rows, bought = append(rows, value(i)), append(bought, i%2 == 1)
		}
		f, err := Fit([]string{"a", "b"}[:len(rows[0])], rows, bought)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		row := make([]float64, len(rows[0]))
		for i := range rows {
			f.Linear.Space.Encode(rows[i], row)
			p, q := f.Linear.Probability(row), f.Trees.Probability(row)
			if !(p > 0 && p < 1 && q > 0 && q < 1) {
				t.Errorf("%s, row %d: got %v and %v, want within (0, 1)", name, i, p, q)
			}
			if name == "separable" && ((p > .5) != bought[i] || math.Abs(p-.5) < .3) {
				t.Errorf("%s, row %d: got %v, want that of %t", name, i, p, bought[i])
			}
		}
	}
}

func TestNothingToLearn(t *testing.T) {
	rows := make([][]string, 30)
	for i := range rows {
		rows[i] = []string{fmt.Sprint(i)}
	}
	for _, tc := range []struct {
		did  int
		want string
	}{
		{0, "got 30 rows in all of which the outcome is false, want some of both"},
		{30, "got 30 rows in all of which the outcome is true, want some of both"},
		{4, "got 4 rows in which it happened and 26 in which it did not, want at least 5 of both"},
	} {
		did := make([]bool, len(rows))
		for i := range tc.did {
			did[i] = true
		}
		if _, err := Fit([]string{"a"}, rows, did); err == nil || err.Error() != tc.want {
			t.Errorf("Fit of %d who did: got %v, want %s", tc.did, err, tc.want)
		}
	}
}

// A model that could not be evaluated is not read.
func TestReadWrongModels(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "got none or both, want logistic or trees",
		`{"space":{"columns":[{"name":"a"}]},"logistic":{"intercept":0,"curves":[]}}`:                                                                  "got 0 curves, want 1",
		`{"space":{"columns":[]},"trees":{"base":0,"trees":[{"values":[0,1,2],"below":[1,0,0],"inputs":[0],"thresholds":[1],"missing":[0]}]}}`:         "got input 0, want one of 0",
		`{"space":{"columns":[{"name":"a","category":true,"levels":["x"]}]},"logistic":{"intercept":0,"curves":[{"missing":0,"at":[],"effects":[]}]}}`: `column "a": got 1 levels and 0 codes`,
		`{"space":{"columns":[]},"logistic":{"intercept":0,"curves":[]},"calibration":{"at":[1],"probabilities":[]}}`:                                  "1 log-odds and 0 probabilities",
		`{"space":{"columns":[]},"logistic":{"intercept":0,"curves":[]},"calibration":{"slope":-1}}`:                                                   "slope -1",
		`{"space":{"columns":[]},"logistic":{"intercept":0,"curves":[]},"trees":{"base":0,"trees":[]}}`:                                                "both",
	} {
		var m Model
		if err := json.Unmarshal([]byte(text), &m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
}
