package bandit

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

// Where lines differ the choice brings more, where they do not it costs nothing,
// and in what can be believed after a test of equal lines nothing is gained.
func TestEvaluate(t *testing.T) {
	e, err := Evaluate(planted(150, 1500, .3, .05, .3))
	if err != nil {
		t.Fatal(err)
	}
	if o := e.OverUniform; !(o.Mean > .08 && o.Error > 0 && o.Error < .02) || !(e.Uniform.Clicks < e.RollOut.Clicks && e.Clicks < e.Best.Clicks) {
		t.Errorf("got %+v, want more than uniform and less than the best", e.Ways)
	}
	if o := e.OverPlain; !(o.Mean > 1.96*o.Error) {
		t.Errorf("a feature that counts brings %+v, want more than nothing", o)
	}
	if first, last := e.ByBatch[0], e.ByBatch[Batches-1]; !(last > first+.05 && last < 1) {
		t.Errorf("the first batch brings %v of the best, the last %v, want that it is learnt", first, last)
	}
	if e.Tests != 150 || e.Variants != 600 || e.Impressions != 150*4*1500 || e.Mismatched != 0 {
		t.Errorf("got %d tests of %d variants, %d impressions, %v mismatched", e.Tests, e.Variants, e.Impressions, e.Mismatched)
	}
	if again, _ := Evaluate(planted(150, 1500, .3, .05, .3)); !reflect.DeepEqual(e, again) {
		t.Error("the same tests gave something else")
	}
	e, _ = Evaluate(planted(150, 1500, .3, 1e-9, 0))
	if o := e.Believed.OverUniform; !(math.Abs(float64(o.Mean)) < .01) {
		t.Errorf("lines that are alike gain %+v if rates are what can be believed, want about nothing", o)
	}
	if v := e.Verdict(); !strings.Contains(v, "Features of the line add nothing that is sure") {
		t.Errorf("verdict %q", v)
	}
}

// A test without a choice says nothing, and one that was dealt unevenly is said so.
func TestEvaluateOddTests(t *testing.T) {
	e, err := Evaluate([][]Arm{
		{{Shown: 500, Clicks: 5}},
		{{Shown: 500, Clicks: 5}, {}},
		{{Shown: 500, Clicks: 5}, {Shown: 510, Clicks: 9}},
		{{}, {}},
		{{Shown: 1}, {Shown: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if e.Tests != 2 || e.Unchosen != 3 || e.MismatchedTests != 1 || e.Mismatched != .25 || e.Impressions != 1012 {
		t.Errorf("got %+v, want 2 of 5 tests played, and 1 of 4 mismatched", e)
	}
	if math.IsNaN(e.Clicks) || !strings.Contains(e.Verdict(), "Too little to tell: 2 tests") || !strings.Contains(e.Verdict(), "In 25.0% of tests") {
		t.Errorf("%v clicks, verdict %q", e.Clicks, e.Verdict())
	}
	if _, err := Evaluate([][]Arm{{{Shown: 9}}}); err == nil || err.Error() != "got no test in which two variants were shown, want one at least" {
		t.Errorf("no choice: got %v", err)
	}
}
