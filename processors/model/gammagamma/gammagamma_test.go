package gammagamma

import (
	"math"
	"testing"
	"time"

	"segue/processors/model/bgnbd"
	"segue/processors/model/history"
)

var hardie = Parameters{6.25, 3.74, 15.44}

// first are the first ten customers of CDNOW: repeats, recency and age in weeks,
// mean repeat amount.
var first = [10][4]float64{
	{2, 30.43, 38.86, 22.35}, {1, 1.71, 38.86, 11.77}, {0, 0, 38.86, 0}, {0, 0, 38.86, 0}, {0, 0, 38.86, 0},
	{7, 29.43, 38.86, 73.74}, {1, 5, 38.86, 11.77}, {0, 0, 38.86, 0}, {2, 35.71, 38.86, 25.55}, {0, 0, 38.86, 0},
}

func spending(v [4]float64) Spending { return Spending{int(v[0]), v[3]} }

// Values of Fader and Hardie's note.
func TestMeanOfTheFirstTen(t *testing.T) {
	for i, want := range [...]float64{24.65, 18.91, 35.17, 35.17, 35.17, 71.46, 18.91, 35.17, 27.28, 35.17} {
		if got := hardie.Mean(spending(first[i])); math.Abs(got-want) > .1 {
			t.Errorf("customer %d: Mean = %.2f, want %.2f", i+1, got, want)
		}
	}
	if got := hardie.Mean(Spending{}); math.Abs(got-35.17) > .05 {
		t.Errorf("the population's mean is %.2f, want 35.17", got)
	}
}

// The value of a year at 1% a month. lifetimes documents the first row, which
// takes 30 weeks for a month; the second is with a month of 4.345 weeks.
func TestValueOfTheFirstTen(t *testing.T) {
	// What lifetimes fits to its file, to the digits it prints.
	buying := bgnbd.Parameters{Unit: history.Week, R: .24259290786650792, Alpha: 4.413531571413261, A: .7928862468778206, B: 2.4257544077819997}
	spent := Parameters{6.248801548311828, 3.7445888189162897, 15.447752196653605}
	for _, tc := range []struct {
		month time.Duration
		want  [10]float64
	}{
		{history.Week.Times(30), [10]float64{140.096211, 18.943467, 38.180574, 38.180574, 38.180574, 1003.868107, 28.109683, 38.180574, 167.418216, 38.180574}},
		{history.Month, [10]float64{36.278, 4.637, 8.344, 8.344, 8.344, 283.524, 6.881, 8.344, 43.354, 8.344}},
	} {
		for i, want := range tc.want {
			h := history.History{Repeats: int(first[i][0]), Recency: history.Week.Times(first[i][1]), Age: history.Week.Times(first[i][2])}
			expected := func(within time.Duration) float64 { return buying.ExpectedAfter(h, within) }
			got := valueBy(tc.month, spent.Mean(spending(first[i])), 12, .01, expected)
			if math.Abs(got-want) > 6e-4 {
				t.Errorf("customer %d, a month of %v: value %.6f, want %v", i+1, tc.month, got, want)
			}
			if tc.month == history.Month && got != Value(spent.Mean(spending(first[i])), 12, .01, expected) {
				t.Errorf("customer %d: Value takes another month", i+1)
			}
		}
	}
}

// Customers who all spend alike, one customer, huge and tiny amounts: there are
// parameters, and every mean is between the population's and the customer's.
func TestFewAndAlike(t *testing.T) {
	for name, seen := range map[string][]Spending{
		"one":      {{3, 20}},
		"alike":    {{1, 20}, {2, 20}, {3, 20}, {9, 20}},
		"far":      {{1, 1e-6}, {2, 1e9}},
		"tiny":     {{1, 1e-9}, {1, 2e-9}},
		"one each": {{1, 10}, {1, 20}, {1, 40}},
	} {
		fitted, err := Fit(append(seen, Spending{}, Spending{Repeats: 2}))
		if err != nil || fitted.Customers != len(seen) {
			t.Errorf("%s: Fit = %+v, %v", name, fitted, err)
			continue
		}
		if err := fitted.Parameters.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		population := fitted.Parameters.Mean(Spending{})
		for _, s := range seen {
			got := fitted.Parameters.Mean(s)
			if low, high := min(population, s.Mean), max(population, s.Mean); !(got >= low*(1-1e-9) && got <= high*(1+1e-9)) {
				t.Errorf("%s: Mean(%v) = %v, want within [%v, %v]", name, s, got, low, high)
			}
		}
	}
	if _, err := Fit([]Spending{{}, {Repeats: 1}}); err == nil {
		t.Error("Fit of nobody's money: want an error")
	}
}

func TestWrongParameters(t *testing.T) {
	for want, p := range map[string]Parameters{
		"gamma-gamma: q: got 1, want more than 1, so that there is a mean": {1, 1, 1},
		"gamma-gamma: v: got 0, want a positive number":                    {1, 2, 0},
	} {
		if err := p.Validate(); err == nil || err.Error() != want {
			t.Errorf("Validate() = %v, want %s", err, want)
		}
	}
}
