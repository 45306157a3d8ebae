package propensity

import (
	"fmt"
	"strings"
	"testing"
)

// What is said of a model: whether it orders, whether its probabilities are
// right, and whether one column knows too much.
func TestVerdict(t *testing.T) {
	// Of 1,000 rows 200 did, each with the probability it was given.
	good := func() *Evaluation {
		e := &Evaluation{TestRows: 1000, TestPositives: 200, AUCError: .02}
		e.AUC, e.LogLoss, e.CalibrationError = .9, .2, .01
		e.Baselines.BestColumn = Column{"pages", Figures{AUC: .7, LogLoss: .3}}
		for i := range 1000 {
			e.Probabilities, e.Happened = append(e.Probabilities, .2), append(e.Happened, i%5 == 0)
		}
		return e
	}
	for _, tc := range []struct {
		change func(*Evaluation)
		want   string
	}{
		{func(*Evaluation) {}, "Trust its order: AUC 0.900, and with 95% between 0.861 and 0.939. " +
			"Its probabilities can be taken as such: they are off by 1.0 points on average."},
		{func(e *Evaluation) { e.CalibrationError = .2 }, "Its probabilities cannot be taken as such: they are off by 20.0 points on average."},
		{func(e *Evaluation) {
			e.CalibrationError, e.TestRows, e.TestPositives = .04, 100, 30
			e.Probabilities, e.Happened = e.Probabilities[:100], e.Happened[:100]
		},
			"Its probabilities are off by 4.0 points on average, which may be chance in so few rows."},
		{func(e *Evaluation) { e.TestPositives = 24 }, "Too little to tell: the rarer outcome stands in 24 of the test rows, want 25 or more"},
		{func(e *Evaluation) { e.TestPositives = 976 }, "Too little to tell"},
		{func(e *Evaluation) { e.AUC = .53 }, "Do not use it: it may be no better than chance"},
		{func(e *Evaluation) { e.LogLoss = .3 }, "but pages alone does as well, and is simpler."},
		{func(e *Evaluation) { e.Baselines.BestColumn.AUC = .83 }, "It orders well (AUC 0.900, and with 95% between 0.861 and 0.939), but do not trust it yet."},
		{func(e *Evaluation) {
			e.Baselines.BestColumn.AUC = .83
			e.Without = &Column{"pages", Figures{AUC: .6}}
		}, "pages alone gives an AUC of 0.830, almost all there is: make sure that it is known before the outcome, and not because of it. Without it the AUC is 0.600."},
		{func(e *Evaluation) { e.AUC, e.Baselines.BestColumn.AUC = .72, .71 }, "Trust its order"}, // all is little
	} {
		e := good()
		tc.change(e)
		if got := e.Verdict(); !strings.Contains(got, tc.want) {
			t.Errorf("Verdict:\n got %s\nwant %s", got, tc.want)
		}
	}
}

// Test rows teach nothing: whatever happened in them, the model is the same.
func TestTestRowsAreHeldBack(t *testing.T) {
	names, rows, bought := shop(500)
	e, err := Evaluate(names, rows, bought, 5, 4)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4; i < len(bought); i += 5 {
		bought[i] = !bought[i]
	}
	turned, err := Evaluate(names, rows, bought, 5, 4)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(turned.Probabilities), fmt.Sprint(e.Probabilities); got != want {
		t.Error("other outcomes of test rows gave other probabilities")
	}
	if sum := e.AUC + turned.AUC; sum < 1-1e-9 || sum > 1+1e-9 {
		t.Errorf("AUC %v, and %v of the opposite, want 1 together", e.AUC, turned.AUC)
	}
	if e.Baselines.BestColumn.Name != "pages" || e.Inputs[0].Name != "pages" {
		t.Errorf("best column %s, moved most by %s, want pages", e.Baselines.BestColumn.Name, e.Inputs[0].Name)
	}
}
