package uplift

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"segue/processors/model/draw"
)

// Curve and Qini by hand: treated rows a, c and control rows b, d, in order.
func TestQini(t *testing.T) {
	treated, happened := []bool{true, false, true, false}, []bool{true, false, true, true}
	scores := []float64{4, 3, 2, 1}
	// After c 2 of 2 against 0 of 1, after d 2 against 1 of 2.
	if got, want := fmt.Sprint(Curve(scores, treated, happened)), "[{0 0} {1 1} {2 1} {3 2} {4 1}]"; got != want {
		t.Errorf("Curve = %s, want %s", got, want)
	}
	// Of arms that differ in size, the control counts for as many as are treated.
	if got, want := fmt.Sprint(Curve([]float64{3, 2, 1}, []bool{false, true, true}, []bool{true, true, false})), "[{0 0} {1 0} {2 0} {3 -1}]"; got != want {
		t.Errorf("Curve = %s, want %s", got, want)
	}
	// The area is 4.5, and by chance 2. The best order is a and c alike, then b, then
	// d: 2 at 2 and 3, 1 at 4, an area of 5.5.
	if got := Qini(scores, treated, happened); math.Abs(got-2.5/3.5) > 1e-12 {
		t.Errorf("Qini = %v, want %v", got, 2.5/3.5)
	}
	if got := Qini([]float64{1, 1, 1, 1}, treated, happened); got != 0 {
		t.Errorf("Qini of no order = %v, want 0", got)
	}
}

// mails is an experiment in which a mail helps the young, by .2, and nobody else.
func mails(n int) (x Experiment) {
	x.Names = []string{"age", "shoe", "device", "clicked", "sum"}
	chance := func(i, purpose int) float64 { return float64(draw.Hash(uint64(i)<<3+uint64(purpose))>>11) / (1 << 53) }
	for i := range n {
		age, treated := 18+60*chance(i, 0), chance(i, 1) < .5
		p := .2
		if treated && age < 40 {
			p += .2
		}
		happened := chance(i, 2) < p
		clicked, sum := "0", ""
		if treated && chance(i, 3) < .1 {
			clicked = "1"
		}
		if happened && chance(i, 4) < .3 {
			sum = fmt.Sprint(1 + i%17)
		}
		x.Rows = append(x.Rows, []string{fmt.Sprintf("%.1f", age), fmt.Sprint(36 + i%9), []string{"phone", "desk"}[i/3%2], clicked, sum})
		x.Treated, x.Happened = append(x.Treated, treated), append(x.Happened, happened)
	}
	return x
}

func halves(n int) []bool {
	held := make([]bool, n)
	for i := range held {
		held[i] = i%2 == 1
	}
	return held
}

// A planted uplift is found for whom it was planted, and what the mail moved is no
// input.
func TestEvaluate(t *testing.T) {
	x := mails(8000)
	e, err := Evaluate(x, halves(len(x.Rows)))
	if err != nil {
		t.Fatal(err)
	}
	if a := float64(e.Average); math.Abs(a-.2*22/60) > 3*float64(e.Error) || math.Abs(float64(e.Error)-.0098) > .0005 || !(float64(e.AlwaysValid[0]) > 0) {
		t.Errorf("average effect %v ± %v, always within %v, want about .0733, and sure", a, e.Error, e.AlwaysValid)
	}
	for name, f := range map[string]Figures{"linear": e.Models.Linear, "trees": e.Models.Trees} {
		if !(f.UpliftAt30 > .12 && f.Over.Mean > 2*f.Over.Error && f.Qini > .04 && f.CalibrationError < .06) {
			t.Errorf("%s: %v at 30%% (%v over all), Qini %v, calibration error %v, want it found", name, f.UpliftAt30, f.Over, f.Qini, f.CalibrationError)
		}
	}
	var out []string
	for _, l := range e.LeftOut {
		out = append(out, l.Column)
	}
	if got := strings.Join(out, " "); got != "clicked sum" {
		t.Errorf("left out %q, want clicked and sum", got)
	}
	if v := e.Verdict(); !strings.Contains(v, "The treatment works") || !strings.Contains(v, "Choosing whom to treat is worth it") {
		t.Errorf("verdict %q", v)
	}
	if again, _ := Evaluate(mails(8000), halves(8000)); !reflect.DeepEqual(e.Models, again.Models) {
		t.Error("the same rows gave something else")
	}
}

// Where the mail does nothing, nothing is claimed.
func TestEvaluateOfNothing(t *testing.T) {
	x := mails(3000)
	for i := range x.Happened {
		x.Treated[i] = i/2%2 == 0
		x.Happened[i] = draw.Hash(uint64(i))%5 == 0
		x.Rows[i][3], x.Rows[i][4] = "", ""
	}
	e, err := Evaluate(x, halves(len(x.Rows)))
	if err != nil {
		t.Fatal(err)
	}
	if v := e.Verdict(); !strings.Contains(v, "It is not known that the treatment does anything") || !strings.Contains(v, "Do not choose by this model") || len(e.LeftOut) > 0 {
		t.Errorf("verdict %q, left out %v", v, e.LeftOut)
	}
}

// What cannot be learnt from says what it lacks.
func TestEvaluateOfTooLittle(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Experiment)
		want   string
	}{
		"no control":  {func(x *Experiment) { fill(x.Treated, true) }, "got no row of the control, want some of both arms"},
		"no treated":  {func(x *Experiment) { fill(x.Treated, false) }, "got no row that was treated, want some of both arms"},
		"no rows":     {func(x *Experiment) { *x = Experiment{} }, "got no row that was treated, want some of both arms"},
		"one outcome": {func(x *Experiment) { fill(x.Happened, false) }, "training rows: treated: got 47 rows in all of which the outcome is false, want some of both"},
		"arm in test": {func(x *Experiment) {
			for i := range x.Treated {
				x.Treated[i] = i%2 == 1
			}
		}, "test rows: got no row of the control, want some of both arms"},
		"no columns": {func(x *Experiment) { x.Names, x.Rows = nil, make([][]string, len(x.Rows)) }, "got no column to learn from, want at least one that is known before the treatment"},
	} {
		x := mails(200)
		tc.change(&x)
		if _, err := Evaluate(x, halves(len(x.Rows))); err == nil || err.Error() != tc.want {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}

func fill(all []bool, value bool) {
	for i := range all {
		all[i] = value
	}
}

// Every row is in a bin, the bins are in order, and equal predictions are in one.
func TestCalibration(t *testing.T) {
	scores := []float64{.3, .1, .1, .1, .2, .3}
	treated, happened := []bool{true, true, false, true, false, false}, []bool{true, true, true, false, false, false}
	got := Calibration(scores, treated, happened, 3)
	// .1: 1 of 2 treated against 1 of 1; .2: no treated; .3: 1 of 1 against 0 of 1.
	if len(got) != 3 || got[0].Count != 3 || got[0].Observed != -.5 || !math.IsNaN(got[1].Observed) || got[2].Observed != 1 || math.Abs(got[2].Predicted-.3) > 1e-15 {
		t.Errorf("Calibration = %v", got)
	}
	if off := calibrationError(got); math.Abs(off-(3*.6+2*.7)/5) > 1e-12 {
		t.Errorf("calibrationError = %v, want %v", off, (3*.6+2*.7)/5)
	}
}
