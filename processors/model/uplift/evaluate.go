package uplift

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"segue/processors/model/measure"
)

const (
	// top is the part of the rows that would be treated.
	top = .3
	// Bins of equal size, of calibration.
	Bins = 10
	// sigma is of 95%.
	sigma = 1.96
)

// Figures are how good predictions of test rows were.
type Figures struct {
	// UpliftAt30 is what the treatment did in the 30% of the highest predictions,
	// and UpliftAt30Error its standard error.
	UpliftAt30      measure.Figure `json:"uplift_at_30"`
	UpliftAt30Error measure.Figure `json:"uplift_at_30_standard_error"`
	// Over is by how much that is more than in all test rows.
	Over Over `json:"uplift_at_30_over_average"`
	// Qini is that of all predictions, 0 by chance.
	Qini measure.Figure `json:"qini"`
	// CalibrationError is over bins of equal size.
	CalibrationError measure.Figure `json:"calibration_error"`
	// Uplifts of the test rows, in order.
	Uplifts []float64 `json:"-"`
}

// Over is a difference, and its standard error.
type Over struct {
	Mean  measure.Figure `json:"mean"`
	Error measure.Figure `json:"standard_error"`
}

// Evaluation is what a model learnt from training rows says of test rows, and what
// the treatment did in all.
type Evaluation struct {
	Rows        int `json:"rows"`
	TreatedRows int `json:"treated_rows"`
	TestRows    int `json:"test_rows"`
	// Average is the effect in all rows; AlwaysValid holds the true one with 95%
	// however often one looks while rows come in.
	Average     measure.Figure    `json:"average_effect"`
	Error       measure.Figure    `json:"standard_error"`
	AlwaysValid [2]measure.Figure `json:"always_valid"`
	// Model is linear or trees, chosen by training rows; its figures follow.
	Model string `json:"model"`
	Figures
	Models struct {
		Linear Figures `json:"linear"`
		Trees  Figures `json:"trees"`
	} `json:"models"`
	// TestAverage is the effect in all test rows: what those treated by chance are
	// worth.
	TestAverage measure.Figure `json:"average_effect_of_test_rows"`
	LeftOut     []LeftOut      `json:"columns_left_out,omitempty"`
	// Test is the rows that were held back.
	Test Experiment `json:"-"`
}

// Evaluate learns from the rows that are not held back, and predicts those that
// are.
func Evaluate(x Experiment, held []bool) (*Evaluation, error) {
	if err := x.check(); err != nil {
		return nil, err
	}
	x, out := x.Known()
	e := &Evaluation{Rows: len(x.Rows), Model: "linear", LeftOut: out}
	average := effect(all(len(x.Rows)), x.Treated, x.Happened)
	for _, t := range x.Treated {
		if t {
			e.TreatedRows++
		}
	}
	e.Average, e.Error = measure.Figure(average.Mean), measure.Figure(average.Error)
	low, high := average.AlwaysValid(.05, expected*x.rate())
	e.AlwaysValid = [2]measure.Figure{measure.Figure(low), measure.Figure(high)}
	if len(x.Names) == 0 {
		return nil, errors.New("got no column to learn from, want at least one that is known before the treatment")
	}
	e.Test = x.pick(func(i int) bool { return held[i] })
	e.TestRows = len(e.Test.Rows)
	if err := e.Test.check(); err != nil {
		return nil, fmt.Errorf("test rows: %w", err)
	}
	f, err := Fit(x.pick(func(i int) bool { return !held[i] }))
	if err != nil {
		return nil, fmt.Errorf("training rows: %w", err)
	}
	e.TestAverage = measure.Figure(effect(all(e.TestRows), e.Test.Treated, e.Test.Happened).Mean)
	e.Models.Linear, e.Models.Trees = f.Linear.figures(&e.Test), f.Trees.figures(&e.Test)
	e.Figures = e.Models.Linear
	if f.ByTrees {
		e.Model, e.Figures = "trees", e.Models.Trees
	}
	return e, nil
}

// expected is the effect at which the always valid interval is narrowest, as a part
// of how often it happens at all: mails move what they are for by about a tenth.
const expected = .1

// rate is how often it happens, above 0.
func (x *Experiment) rate() float64 {
	did := 0
	for _, h := range x.Happened {
		if h {
			did++
		}
	}
	return float64(max(did, 1)) / float64(len(x.Happened))
}

func all(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

func (m *Model) figures(x *Experiment) (f Figures) {
	f.Uplifts = make([]float64, len(x.Rows))
	for i, row := range x.Rows {
		f.Uplifts[i] = m.Uplift(row)
	}
	order := descending(f.Uplifts)
	count := int(math.Round(top * float64(len(order))))
	first := effect(order[:count], x.Treated, x.Happened)
	rest := effect(order[count:], x.Treated, x.Happened)
	f.UpliftAt30, f.UpliftAt30Error = measure.Figure(first.Mean), measure.Figure(first.Error)
	// All rows are these and the rest, which do not overlap.
	f.Over.Mean = measure.Figure((1 - top) * (first.Mean - rest.Mean))
	f.Over.Error = measure.Figure((1 - top) * math.Hypot(first.Error, rest.Error))
	f.Qini = measure.Figure(Qini(f.Uplifts, x.Treated, x.Happened))
	f.CalibrationError = measure.Figure(calibrationError(Calibration(f.Uplifts, x.Treated, x.Happened, Bins)))
	return f
}

// Verdict says whether to treat all, some, or nobody.
func (e *Evaluation) Verdict() string {
	pm := func(mean, off measure.Figure) string {
		return fmt.Sprintf("%+.4f ± %.4f", float64(mean), sigma*float64(off))
	}
	var said []string
	switch low, high := e.AlwaysValid[0], e.AlwaysValid[1]; {
	case float64(e.Average) > sigma*float64(e.Error) && low > 0:
		said = append(said, fmt.Sprintf("The treatment works: %s, and at any time looked at at least %+.4f.", pm(e.Average, e.Error), float64(low)))
	case float64(e.Average) < -sigma*float64(e.Error) && high < 0:
		said = append(said, fmt.Sprintf("The treatment does harm: %s.", pm(e.Average, e.Error)))
	case math.Abs(float64(e.Average)) > sigma*float64(e.Error):
		said = append(said, fmt.Sprintf("The treatment seems to do something (%s), but only if this is the one time that anybody looks.", pm(e.Average, e.Error)))
	default:
		said = append(said, fmt.Sprintf("It is not known that the treatment does anything: %s.", pm(e.Average, e.Error)))
	}
	gain := pm(e.Over.Mean, e.Over.Error)
	if float64(e.Over.Mean) > sigma*float64(e.Over.Error) {
		said = append(said, fmt.Sprintf("Choosing whom to treat is worth it: in the 30%% chosen it does more than in all (%s).", gain))
	} else {
		said = append(said, fmt.Sprintf("Do not choose by this model whom to treat: what it gains in the 30%% chosen may be chance (%s).", gain))
	}
	if len(e.LeftOut) > 0 {
		var names []string
		for _, l := range e.LeftOut {
			names = append(names, l.Column)
		}
		said = append(said, fmt.Sprintf("Left out, as known only after the treatment: %s.", strings.Join(names, ", ")))
	}
	return strings.Join(said, " ")
}
