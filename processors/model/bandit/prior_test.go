package bandit

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// planted are tests whose rates differ by between, and whose variants by within
// and, by e to the weight, where the first feature is 1; the second says nothing.
func planted(tests, shown int, between, within, weight float64) [][]Arm {
	r := rand.New(rand.NewPCG(1, 2))
	gamma := func(spread float64) float64 { // of mean 1
		return distuv.Gamma{Alpha: 1 / spread, Beta: 1 / spread, Src: r}.Rand()
	}
	all := make([][]Arm, tests)
	for i := range all {
		rate := .02 * gamma(between)
		for k := range 4 {
			has := float64(k % 2)
			p := min(rate*gamma(within)*math.Exp(weight*(has-.5)), .9)
			clicks := distuv.Binomial{N: float64(shown), P: p, Src: r}.Rand()
			all[i] = append(all[i], Arm{shown, int(clicks), []float64{has, float64((i + k/2) % 2)}})
		}
	}
	return all
}

// What tests were drawn from is found again.
func TestLearn(t *testing.T) {
	p := Learn(planted(1500, 3000, .3, .05, .4))
	for _, tc := range []struct {
		name            string
		got, want, near float64
	}{
		{"rate", p.Rate, .02, .002},
		{"between", p.Between, .3, .06},
		{"within", p.Within, .05, .01},
		{"weight", p.Weights[0], .4, .04},
		{"weight of nothing", p.Weights[1], 0, .03},
	} {
		if !(math.Abs(tc.got-tc.want) <= tc.near) {
			t.Errorf("%s = %.4f, want %v", tc.name, tc.got, tc.want)
		}
	}
}

// Lines that do not differ are believed not to.
func TestLearnOfEqualLines(t *testing.T) {
	if p := Learn(planted(1500, 3000, .3, 1e-9, 0)); p.Within > .004 || math.Abs(p.Weights[0]) > .02 {
		t.Errorf("within %.4f and weights %v of lines that are alike, want about 0", p.Within, p.Weights)
	}
}

// Whatever there is to learn from, a prior can be believed in.
func TestLearnOfLittle(t *testing.T) {
	feature := []float64{1}
	for name, tests := range map[string][][]Arm{
		"nothing":       nil,
		"no arms":       {nil, {}},
		"one arm":       {{{100, 3, feature}}},
		"not shown":     {{{0, 0, feature}, {0, 0, feature}}},
		"no clicks":     {{{100, 0, feature}, {100, 0, feature}}},
		"clicks always": {{{100, 100, feature}, {100, 100, feature}}},
		"without":       {{{Shown: 100, Clicks: 1}, {Shown: 90, Clicks: 7}}},
	} {
		p := Learn(tests)
		if !(p.Rate > 0 && p.Rate <= 1 && p.Within >= least && p.Between >= least && p.Within < 1) {
			t.Errorf("%s: %+v, want a rate in (0, 1], and spreads", name, p)
		}
		for _, arms := range append(tests, []Arm{{Features: feature}, {Features: feature}}) {
			for i, b := range p.Beliefs(arms) {
				if !(b.A > 0 && b.B > 0 && !math.IsInf(b.A, 1) && !math.IsInf(b.B, 1)) {
					t.Errorf("%s: belief %d of %v = %v, want both above 0", name, i, arms, b)
				}
			}
		}
	}
}

// A new line is believed to be like the others of its test, but less surely, and as
// its features say.
func TestBeliefsOfANewLine(t *testing.T) {
	p := Prior{Rate: .02, Between: .3, Within: .04, Weights: []float64{math.Log(2)}}
	plain, short := []float64{0}, []float64{1}
	b := p.Beliefs([]Arm{{10_000, 500, plain}, {10_000, 500, plain}, {0, 0, plain}})
	if mean := b[2].Mean(); math.Abs(mean-.05) > .001 || b[2].A+b[2].B > (b[0].A+b[0].B)/10 {
		t.Errorf("a new line of a test with 5%% is believed to have %.4f by %v, want .05, unsure", mean, b[2])
	}
	b = p.Beliefs([]Arm{{0, 0, plain}, {0, 0, short}})
	if ratio := b[1].Mean() / b[0].Mean(); math.Abs(ratio-2) > 1e-9 || math.Abs(b[0].Mean()+b[1].Mean()-.04) > 1e-9 {
		t.Errorf("new lines are believed to have %v and %v, want the second twice the first, .02 on average", b[0].Mean(), b[1].Mean())
	}
}
