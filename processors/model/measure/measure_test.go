package measure

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestAUC(t *testing.T) {
	for _, tc := range []struct {
		name     string
		scores   []float64
		happened []bool
		want     float64
	}{
		{"in order", []float64{.1, .2, .8}, []bool{false, false, true}, 1},
		{"backwards", []float64{.9, .2, .1}, []bool{false, false, true}, 0},
		{"all the same", []float64{1, 1, 1, 1}, []bool{true, false, true, false}, .5},
		{"one pair of four is wrong", []float64{.1, .4, .35, .8}, []bool{false, false, true, true}, .75}, // scikit-learn's example
		{"nothing happened", []float64{1, 2}, []bool{false, false}, math.NaN()},
		{"everything happened", []float64{1, 2}, []bool{true, true}, math.NaN()},
	} {
		if got := AUC(tc.scores, tc.happened); got != tc.want && !(math.IsNaN(got) && math.IsNaN(tc.want)) {
			t.Errorf("%s: AUC(%v, %v) = %v, want %v", tc.name, tc.scores, tc.happened, got, tc.want)
		}
	}
}

// Published values: Hanley and McNeil's example, and those of scikit-learn's
// documentation.
func TestPublishedMeasures(t *testing.T) {
	scores, happened := []float64{.1, .4, .35, .8}, []bool{false, false, true, true}
	for _, tc := range []struct {
		name            string
		got, want, near float64
	}{
		{"AUCError(.893, 51, 58)", AUCError(.893, 51, 58), .032, .0006},
		{"AveragePrecision", AveragePrecision(scores, happened), .8333, .00005},
		{"LogLoss", LogLoss([]float64{.9, .1, .2, .65}, []bool{true, false, false, true}), .21616, .000005},
		{"Brier", Brier([]float64{.1, .9, .8, .3}, []bool{false, true, true, false}), .0375, 1e-15},
	} {
		if !(math.Abs(tc.got-tc.want) <= tc.near) {
			t.Errorf("%s = %v, want %v", tc.name, tc.got, tc.want)
		}
	}
}

func TestAveragePrecision(t *testing.T) {
	for _, tc := range []struct {
		name     string
		scores   []float64
		happened []bool
		want     float64
	}{
		{"in order", []float64{3, 2, 1}, []bool{true, true, false}, 1},
		{"backwards", []float64{3, 2, 1}, []bool{false, false, true}, 1. / 3},
		{"all the same", []float64{1, 1, 1, 1}, []bool{true, false, false, false}, .25},
		{"a tie of one each", []float64{2, 1, 1, 0}, []bool{true, true, false, true}, (1 + 2./3 + 3./4) / 3},
		{"nothing happened", []float64{1, 2}, []bool{false, false}, math.NaN()},
	} {
		got := AveragePrecision(tc.scores, tc.happened)
		if math.Abs(got-tc.want) > 1e-15 || math.IsNaN(got) != math.IsNaN(tc.want) {
			t.Errorf("%s: AveragePrecision(%v, %v) = %v, want %v", tc.name, tc.scores, tc.happened, got, tc.want)
		}
	}
	if got := LogLoss([]float64{0}, []bool{true}); !math.IsInf(got, 1) {
		t.Errorf("LogLoss of what was impossible and happened = %v, want infinite", got)
	}
}

// Only the order of scores counts for what measures an order.
func TestOrderAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.Map(rapid.IntRange(-20, 20), func(i int) float64 { return float64(i) / 4 }), 2, 60).Draw(t, "scores")
		happened := rapid.SliceOfN(rapid.Bool(), len(scores), len(scores)).Draw(t, "happened")
		happened[0], happened[1] = true, false
		bent := make([]float64, len(scores))
		for i, s := range scores {
			bent[i] = 3*math.Atan(s) - 1
		}
		if got, want := AUC(bent, happened), AUC(scores, happened); got != want {
			t.Fatalf("AUC of bent scores = %v, want %v", got, want)
		}
		if got, want := AveragePrecision(bent, happened), AveragePrecision(scores, happened); got != want {
			t.Fatalf("AveragePrecision of bent scores = %v, want %v", got, want)
		}
	})
}

// A forecast that says what happens is off by nothing, one that always says a
// half by how far the rate is from a half.
func TestCalibration(t *testing.T) {
	probabilities := []float64{.1, .1, .1, .1, .1, .9, .9, .9, .9, .9}
	happened := []bool{true, false, false, false, false, true, true, true, true, true}
	bins := Calibration(probabilities, happened, 2)
	if want := []Bin{{.1, .2, 5}, {.9, 1, 5}}; len(bins) != 2 || bins[0] != want[0] || math.Abs(bins[1].Predicted-.9) > 1e-15 || bins[1].Observed != 1 {
		t.Errorf("Calibration = %v, want %v", bins, want)
	}
	if got := CalibrationError(bins); math.Abs(got-.1) > 1e-15 {
		t.Errorf("CalibrationError = %v, want .1", got)
	}
	if bins := Calibration(probabilities, happened, 10); len(bins) != 2 {
		t.Errorf("equal probabilities were told apart: %v", bins)
	}
}

func TestGain(t *testing.T) {
	got := Gain([]float64{.9, .5, .5, .1}, []bool{true, true, false, false}, 100)
	if want := []Point{{0, 0}, {.25, .5}, {.75, 1}, {1, 1}}; !slices.Equal(got, want) {
		t.Errorf("Gain = %v, want %v", got, want)
	}
}

// Nobody is lost and the curves stay within bounds, whatever the scores.
func TestEveryoneIsMeasured(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 10), func(i int) float64 { return float64(i) / 10 }), 1, 60).Draw(t, "scores")
		happened := rapid.SliceOfN(rapid.Bool(), len(scores), len(scores)).Draw(t, "happened")
		n := rapid.IntRange(1, 20).Draw(t, "bins")
		bins := Calibration(scores, happened, n)
		count := 0
		for _, b := range bins {
			count += b.Count
		}
		if count != len(scores) || len(bins) > n {
			t.Fatalf("Calibration in %d bins: got %d of %d in %d", n, count, len(scores), len(bins))
		}
		if e := CalibrationError(bins); !(e >= 0 && e <= 1) {
			t.Fatalf("CalibrationError = %v, want within [0, 1]", e)
		}
		last := Point{}
		for _, p := range Gain(scores, happened, n) {
			if p.X < last.X || p.Y < last.Y {
				t.Fatalf("Gain falls from %v to %v", last, p)
			}
			last = p
		}
		if last.X != 1 || slices.Contains(happened, true) != (last.Y == 1) {
			t.Fatalf("Gain ends at %v", last)
		}
		if auc, against := AUC(scores, happened), AUC(negated(scores), happened); auc+against < 1-1e-12 || auc+against > 1+1e-12 {
			t.Fatalf("AUC = %v, and backwards %v", auc, against)
		}
	})
}

func negated(scores []float64) []float64 {
	minus := make([]float64, len(scores))
	for i, s := range scores {
		minus[i] = -s
	}
	return minus
}

func TestErrorsOfForecasts(t *testing.T) {
	forecasts, actual := []float64{1, 2, 3}, []float64{1, 4, 2}
	if got := MeanAbsoluteError(forecasts, actual); got != 1 {
		t.Errorf("MeanAbsoluteError = %v, want 1", got)
	}
	if got, want := RootMeanSquareError(forecasts, actual), math.Sqrt(5.0/3); math.Abs(got-want) > 1e-15 {
		t.Errorf("RootMeanSquareError = %v, want %v", got, want)
	}
}

func TestFigureWithoutValue(t *testing.T) {
	got, err := json.Marshal([]Figure{.5, Figure(math.NaN()), Figure(math.Inf(1))})
	if want := "[0.5,null,null]"; string(got) != want || err != nil {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}
