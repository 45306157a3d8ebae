package model_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"segue/processors/model/bgnbd"
	"segue/processors/model/churn"
	"segue/processors/model/history"
	"segue/processors/model/mbgnbd"
	"segue/processors/model/paretonbd"
)

// buying is what the models of buying have in common.
type buying interface {
	churn.Model
	Validate() error
	LogLikelihood(history.History) float64
	Expected(time.Duration) float64
}

// each has the same four numbers as its parameters.
func each(unit history.Unit, a, b, c, d float64) map[string]buying {
	return map[string]buying{
		"bg/nbd":     bgnbd.Parameters{Unit: unit, R: a, Alpha: b, A: c, B: d},
		"mbg/nbd":    mbgnbd.Parameters{Unit: unit, R: a, Alpha: b, A: c, B: d},
		"pareto/nbd": paretonbd.Parameters{Unit: unit, R: a, Alpha: b, S: c, Beta: d},
	}
}

func drawModels(t *rapid.T) map[string]buying {
	size := func(label string, low, high float64) float64 {
		return math.Exp(rapid.Float64Range(math.Log(low), math.Log(high)).Draw(t, label))
	}
	unit := rapid.SampledFrom([]history.Unit{history.Day, history.Week}).Draw(t, "unit")
	return each(unit, size("r", .02, 50), size("alpha", .02, 500), size("s", .02, 50), size("beta", .02, 500))
}

func drawHistory(t *rapid.T) history.History {
	h := history.History{Repeats: rapid.IntRange(0, 300).Draw(t, "repeats")}
	h.Age = time.Duration(rapid.IntRange(0, 2000*24).Draw(t, "hours of age")) * time.Hour
	if h.Repeats > 0 {
		h.Recency = time.Duration(rapid.Float64Range(0, 1).Draw(t, "recency") * float64(h.Age))
	}
	return h
}

// What is true of customers whatever the parameters: silence speaks for having
// gone, more time brings more orders, and more repeats mean more to come.
func TestWhatSilenceAndTimeDo(t *testing.T) {
	const least = 1e-9
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		later := h
		later.Age += time.Duration(rapid.IntRange(1, 5000).Draw(t, "more hours")) * time.Hour
		within := time.Duration(rapid.IntRange(1, 1000).Draw(t, "horizon in days")) * 24 * time.Hour
		for name, m := range drawModels(t) {
			before, after := m.Alive(h), m.Alive(later)
			if !(before >= 0 && before <= 1) || after > before+least {
				t.Fatalf("%s: Alive goes from %v to %v in silence", name, before, after)
			}
			silent, still := m.Silent(h, within), m.Silent(later, within)
			if !(silent >= 0 && silent <= 1) || still < silent-least {
				t.Fatalf("%s: Silent goes from %v to %v in silence", name, silent, still)
			}
			// Whoever has gone is silent, and over a longer time fewer are.
			if longer := m.Silent(h, 2*within); silent < 1-before-least || longer > silent+least {
				t.Fatalf("%s: Silent %v within %v, %v within twice that, with Alive %v", name, silent, within, longer, before)
			}
			half, whole := m.ExpectedAfter(h, within/2), m.ExpectedAfter(h, within)
			if !(half >= 0) || whole < half*(1-least) || math.IsInf(whole, 0) {
				t.Fatalf("%s: ExpectedAfter rises from %v to %v", name, half, whole)
			}
			// Of n orders expected, the chance of at least one is at most n.
			if 1-silent > whole+least {
				t.Fatalf("%s: some order with probability %v, yet %v expected", name, 1-silent, whole)
			}
			if a, b := m.Expected(within/2), m.Expected(within); !(a >= 0) || b < a*(1-least) || math.IsInf(b, 0) {
				t.Fatalf("%s: Expected rises from %v to %v", name, a, b)
			}
		}
	})
}

// A likelihood is one: over all that a customer may do in a time, the
// probabilities of doing nothing and of a first order at each moment add to 1.
func TestLikelihoodsAddUp(t *testing.T) {
	for name, m := range each(history.Week, .5, 10, .6, 12) {
		const weeks = 30
		nothing := math.Exp(m.LogLikelihood(history.History{Age: history.Week.Times(weeks)}))
		// A first repeat at y and whatever after: the density at an age of y, by Simpson's rule.
		first := 0.0
		const steps = 3000
		for i := range steps + 1 {
			y := history.Week.Times(weeks * float64(i) / steps)
			weight := 2.
			switch {
			case i == 0 || i == steps:
				weight = 1
			case i%2 == 1:
				weight = 4
			}
			first += weight * math.Exp(m.LogLikelihood(history.History{Repeats: 1, Recency: y, Age: y})) * weeks / steps / 3
		}
		if math.Abs(nothing+first-1) > 1e-6 {
			t.Errorf("%s: nothing %v, a first order %v: want a sum of 1", name, nothing, first)
		}
	}
}

// Nothing valid gives no number, however odd the parameters.
func FuzzBuying(f *testing.F) {
	f.Add(.553, 10.578, .606, 11.669, 2, int64(2e16), int64(2e16), int64(2e16))
	f.Add(.5143, 2.8845, .2856, 14.1087, 254, int64(5.875e16), int64(5.8842e16), int64(1e9))
	f.Add(1e-6, 1e6, 1e6, 1e-6, 1000000, int64(1), int64(1e18), int64(1e18))
	f.Add(1., 1., 1., 1., 0, int64(0), int64(0), int64(0))
	f.Add(1e6, 1e-6, 1., 1e6, 1, int64(0), int64(3e18), int64(3e18))
	f.Fuzz(func(t *testing.T, a, b, c, d float64, repeats int, recency, silence, within int64) {
		fits := func(v float64) bool { return v >= 1e-6 && v <= 1e6 }
		long := func(d int64) bool { return d >= 0 && d <= 3e18 }
		if !fits(a) || !fits(b) || !fits(c) || !fits(d) || repeats < 0 || repeats > 1e6 ||
			!long(recency) || !long(silence) || !long(within) {
			t.Skip("no parameters, or no times, that anybody could have")
		}
		h := history.History{Repeats: repeats, Recency: time.Duration(recency), Age: time.Duration(recency + silence)}
		if repeats == 0 {
			h.Recency = 0
		}
		ahead := time.Duration(within)
		for name, m := range each(history.Week, a, b, c, d) {
			if err := m.Validate(); err != nil {
				t.Fatal(err)
			}
			for what, v := range map[string]float64{
				"LogLikelihood": m.LogLikelihood(h), "Alive": m.Alive(h), "Silent": m.Silent(h, ahead),
				"Expected": m.Expected(ahead), "ExpectedAfter": m.ExpectedAfter(h, ahead),
			} {
				if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 && what != "LogLikelihood" {
					t.Errorf("%s%v: %s(%+v; %v) = %v", name, m, what, h, ahead, v)
				}
			}
		}
	})
}

// What cannot have been gives no number.
func TestImpossibleHistories(t *testing.T) {
	for name, m := range each(history.Week, .5, 10, .6, 12) {
		for _, h := range []history.History{{Repeats: -1}, {Repeats: 1, Recency: 2, Age: 1}, {Repeats: 0, Recency: 1, Age: 2}, {Age: -1}} {
			for _, v := range []float64{m.Alive(h), m.Silent(h, 1), m.ExpectedAfter(h, 1)} {
				if !math.IsNaN(v) {
					t.Errorf("%s: got %v of %+v, want NaN", name, v, h)
				}
			}
		}
	}
}

// Cohorts without a finite maximum still give parameters with which every
// customer can be forecast; so does a cohort that is anything at all.
func TestDegenerateCohorts(t *testing.T) {
	const day = 24 * time.Hour
	many := func(n int, h history.History) []history.History {
		all := make([]history.History, n)
		for i := range all {
			all[i] = h
		}
		return all
	}
	cohorts := map[string][]history.History{
		"one customer, new":        {{}},
		"one customer, once":       {{Age: 100 * day}},
		"one customer, often":      {{Repeats: 9, Recency: 90 * day, Age: 100 * day}},
		"all new":                  many(50, history.History{}),
		"nobody repeats":           many(1000, history.History{Age: 200 * day}),
		"all the same":             many(200, history.History{Repeats: 3, Recency: 60 * day, Age: 90 * day}),
		"all at once, then silent": many(200, history.History{Repeats: 3, Recency: 3 * day, Age: 900 * day}),
		"everybody buys daily":     many(100, history.History{Repeats: 364, Recency: 364 * day, Age: 364 * day}),
		"one in a thousand":        append(many(999, history.History{Age: 300 * day}), history.History{Repeats: 1, Recency: day, Age: 300 * day}),
	}
	var regular []history.History
	for i := range 100 { // of one rate, who all drop out as often: a and b grow together
		regular = append(regular, history.History{Repeats: 1 + i%3, Recency: time.Duration(10+10*(i%3)) * day, Age: 100 * day})
	}
	cohorts["regular"] = regular
	for name, cohort := range cohorts {
		models, err := forecastable(cohort)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// As long again brings about as much again, at most.
		for _, m := range models {
			for _, h := range cohort {
				if got := m.ExpectedAfter(h, h.Age); got > 1.1*float64(h.Repeats)+1 {
					t.Fatalf("%s: %T%v expects %v orders of %+v in as long again", name, m, m, got, h)
				}
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		cohort := rapid.SliceOfN(rapid.Custom(drawHistory), 1, 3).Draw(t, "cohort")
		if _, err := forecastable(cohort); err != nil {
			t.Fatal(err)
		}
	})
}

func forecastable(cohort []history.History) ([]buying, error) {
	bg, err := bgnbd.Fit(cohort, history.Week)
	if err != nil {
		return nil, err
	}
	mbg, err := mbgnbd.Fit(cohort, history.Week)
	if err != nil {
		return nil, err
	}
	pareto, err := paretonbd.Fit(cohort, history.Week)
	if err != nil {
		return nil, err
	}
	if again, _ := paretonbd.Fit(cohort, history.Week); again.Parameters != pareto.Parameters {
		return nil, fmt.Errorf("the same cohort gave %v and %v", pareto, again)
	}
	models := []buying{bg.Parameters, mbg.Parameters, pareto.Parameters}
	for _, m := range models {
		if err := m.Validate(); err != nil {
			return nil, err
		}
		for _, h := range append(cohort, history.History{}, history.History{Repeats: 50, Recency: 1e16, Age: 1e17}) {
			year := 365 * 24 * time.Hour
			for _, v := range []float64{m.LogLikelihood(h), m.Alive(h), m.ExpectedAfter(h, year), m.Silent(h, year), m.Expected(year)} {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return nil, fmt.Errorf("%T%v: got %v of %+v", m, m, v, h)
				}
			}
		}
	}
	return models, nil
}

func BenchmarkBuying(b *testing.B) {
	h := history.History{Repeats: 2, Recency: history.Week.Times(30.43), Age: history.Week.Times(38.86)}
	for name, m := range map[string]buying{"bg_nbd": publishedBG, "mbg_nbd": publishedMBG, "pareto_nbd": publishedPareto} {
		for what, evaluate := range map[string]func(){
			"alive":    func() { m.Alive(h) },
			"expected": func() { m.ExpectedAfter(h, weeks39) },
			"silent":   func() { m.Silent(h, weeks39) },
		} {
			b.Run("model="+name+"/of="+what, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					evaluate()
				}
			})
		}
	}
}
