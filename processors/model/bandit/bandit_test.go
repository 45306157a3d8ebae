package bandit

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"segue/processors/model/draw"
)

// Published values: Evan Miller's formula for the probability that B is better.
func TestPublishedProbabilities(t *testing.T) {
	for _, tc := range []struct {
		a, b Belief
		want float64
	}{
		{Belief{1, 1}, Belief{1, 1}, .5},
		{Belief{11, 91}, Belief{21, 81}, .97517303},
		{Belief{151, 2903}, Belief{123, 2912}, .04626812},
		{Belief{41, 961}, Belief{61, 941}, .97967721},
	} {
		got := Best([]Belief{tc.a, tc.b})
		if math.Abs(got[1]-tc.want) > 1e-5 || math.Abs(got[0]+got[1]-1) > 1e-12 {
			t.Errorf("Best(%v, %v) = %.8f, want %.8f for the second", tc.a, tc.b, got, tc.want)
		}
	}
}

// A posterior is the prior and what was seen, as published.
func TestPublishedMeans(t *testing.T) {
	for _, tc := range []struct {
		shown, clicks int
		want          float64
	}{{100, 5, .0588235}, {10, 0, .0833333}, {10_000, 46, .0046991}} {
		if got := (Belief{1, 1}).And(tc.shown, tc.clicks).Mean(); math.Abs(got-tc.want) > 5e-8 {
			t.Errorf("mean after %d of %d = %.7f, want %v", tc.clicks, tc.shown, got, tc.want)
		}
	}
}

// Whatever is believed, there are probabilities, and nobody's place counts. That
// a belief is sure beside one that is vague is no excuse.
func TestShares(t *testing.T) {
	parameter := rapid.OneOf(rapid.Float64Range(.2, 5), rapid.Float64Range(1, 1e3), rapid.Float64Range(1e3, 1e7))
	belief := rapid.Custom(func(t *rapid.T) Belief { return Belief{parameter.Draw(t, "a"), parameter.Draw(t, "b")} })
	rapid.Check(t, func(t *rapid.T) {
		beliefs := rapid.SliceOfN(belief, 1, 8).Draw(t, "beliefs")
		beliefs = append(beliefs, beliefs[0])
		shares := Shares(beliefs, .1)
		sum := 0.0
		for i, s := range shares {
			if !(s >= .1/float64(len(shares))-1e-12) {
				t.Fatalf("share %d of %v = %v, want at least its part of the floor", i, shares, s)
			}
			sum += s
		}
		if math.Abs(sum-1) > 1e-9 || math.Abs(shares[0]-shares[len(shares)-1]) > 1e-9 {
			t.Fatalf("shares %v of %v, want the same of the first and the last, and 1 together", shares, beliefs)
		}
	})
	if got := Shares(nil, .1); len(got) != 0 {
		t.Errorf("shares of nothing = %v", got)
	}
}

// Draws fall on each as often as its share says.
func TestPick(t *testing.T) {
	shares := []float64{.1, 0, .6, .3}
	const n = 100_000
	counts := make([]float64, len(shares))
	for i := range uint64(n) {
		counts[Pick(shares, draw.Hash(i))]++
	}
	for i, share := range shares {
		if off := math.Abs(counts[i]/n - share); off > 4*math.Sqrt(share*(1-share)/n) {
			t.Errorf("picked %d in %v of %d, want %v", i, counts[i], n, share)
		}
	}
	if first, last := Pick(shares, 0), Pick(shares, math.MaxUint64); first != 0 || last != 3 {
		t.Errorf("the least and the greatest draw fall on %d and %d, want 0 and 3", first, last)
	}
}

func BenchmarkShares(b *testing.B) {
	p := Prior{Rate: .02, Between: .4, Within: .04}
	arms := []Arm{{Shown: 1000, Clicks: 20}, {Shown: 2000, Clicks: 50}, {Shown: 300, Clicks: 3}, {Shown: 4000, Clicks: 100}}
	for b.Loop() {
		Shares(p.Beliefs(arms), .05)
	}
}
