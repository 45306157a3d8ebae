package bandit

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mathext"

	"segue/processors/model/draw"
	"segue/processors/model/lift"
	"segue/processors/model/measure"
)

const (
	// Batches are how many parts a test's impressions come in. What came of one is
	// known when the next has been dealt, too.
	Batches = 20
	// floor of the shares: what it costs to keep each variant measured.
	floor = .05
	// tried is the part of the impressions that a test takes before it is rolled out.
	tried = .3
	// parts are what tests are dealt to, so that none is in its own prior.
	parts = 5
)

// Way is what one way of choosing brings.
type Way struct {
	Clicks float64 `json:"clicks"`
}

// Over is by what part there are more clicks than by another way.
type Over struct {
	Mean  measure.Figure `json:"mean"`
	Error measure.Figure `json:"standard_error"`
}

// Ways are what each way of choosing brings, all with the same impressions: clicks
// are how often what was chosen is clicked on average.
type Ways struct {
	// Way is the choice by beliefs, with features.
	Way
	// Uniform shows each variant as often, and Best always the best one, which
	// nobody knows beforehand.
	Uniform Way `json:"uniform"`
	// RollOut shows each as often in the first part, waits for what comes of it,
	// and then shows the one that was clicked most.
	RollOut Way `json:"test_then_roll_out"`
	Best    Way `json:"best_arm"`
	// Plain is the choice by beliefs without features.
	Plain Way `json:"without_features"`

	OverUniform Over `json:"clicks_over_uniform"`
	OverRollOut Over `json:"clicks_over_test_then_roll_out"`
	OverPlain   Over `json:"clicks_over_without_features"`

	// ByBatch are the clicks of each batch, as a part of those of the best.
	ByBatch [Batches]float64 `json:"-"`
}

// Evaluation is what choices would have brought in tests that were made.
type Evaluation struct {
	// Tests are those in which two variants were shown at least, and Unchosen the
	// others, which say nothing.
	Tests       int `json:"tests"`
	Unchosen    int `json:"tests_without_a_choice"`
	Variants    int `json:"variants"`
	Impressions int `json:"impressions"`
	// Ways if each variant's rate is the share that was seen to click. What was
	// seen holds chance, which each way but the uniform gains from.
	Ways
	// Believed are the same if rates are what can be believed after what was seen:
	// closer together, which is what such a test brings when it is made again.
	Believed Ways `json:"rates_as_believed"`
	// Mismatched is the share of tests whose impressions are not those of variants
	// that are shown as often.
	Mismatched      float64 `json:"mismatched"`
	MismatchedTests int     `json:"mismatched_tests"`
	// Prior is that of all tests.
	Prior Prior `json:"prior"`
}

// Evaluate plays tests again. Their arms are all that there were; whatever was not
// shown counts as dealt, and has no part in what is played.
func Evaluate(tests [][]Arm) (*Evaluation, error) {
	e := &Evaluation{}
	var played [][]Arm
	checked := 0 // which a test of one variant cannot be
	for _, arms := range tests {
		var counts []int
		var shown []Arm
		for _, a := range arms {
			counts = append(counts, a.Shown)
			if a.Shown > 0 {
				shown = append(shown, a)
			}
		}
		if len(arms) > 1 {
			checked++
		}
		if lift.Mismatch(counts) < lift.Suspicious {
			e.MismatchedTests++
		}
		if len(shown) < 2 {
			e.Unchosen++
			continue
		}
		e.Variants += len(shown)
		played = append(played, shown)
	}
	if e.Tests = len(played); e.Tests == 0 {
		return nil, errors.New("got no test in which two variants were shown, want one at least")
	}
	e.Mismatched = float64(e.MismatchedTests) / float64(checked)
	e.Prior = Learn(played)
	bare := make([][]Arm, len(played))
	for i, arms := range played {
		for _, a := range arms {
			bare[i] = append(bare[i], Arm{Shown: a.Shown, Clicks: a.Clicks})
		}
	}
	// What is believed after a test leaves features to prove themselves.
	after := Learn(bare)
	priors, plain := held(played), held(bare)
	var seen, believed results
	for i, arms := range played {
		w := world{number: draw.Hash(uint64(i)), rates: make([]float64, len(arms))}
		for k, a := range arms {
			w.shown += a.Shown
			w.rates[k] = float64(a.Clicks) / float64(a.Shown)
		}
		e.Impressions += w.shown
		part := partOf(i)
		seen.add(w.play(arms, &priors[part], &plain[part]))
		for k, b := range after.Beliefs(arms) {
			w.rates[k] = mathext.InvRegIncBeta(b.A, b.B, w.chance(uint64(k), 3))
		}
		believed.add(w.play(arms, &priors[part], &plain[part]))
	}
	e.Ways, e.Believed = seen.ways(), believed.ways()
	return e, nil
}

func partOf(test int) int { return int(draw.Hash(uint64(test)) % parts) }

// held are the priors of each part's tests, learnt from the others.
func held(tests [][]Arm) (priors [parts]Prior) {
	for part := range priors {
		var others [][]Arm
		for i, arms := range tests {
			if partOf(i) != part {
				others = append(others, arms)
			}
		}
		priors[part] = Learn(others)
	}
	return priors
}

// world is a test in which the rates are known.
type world struct {
	number uint64
	shown  int
	rates  []float64
}

// chance is even over [0, 1), another for each person and purpose.
func (w *world) chance(person, purpose uint64) float64 {
	return float64(draw.Hash(draw.Hash(w.number+person)+purpose)>>11) / (1 << 53)
}

// clicks says whether a person does, if shown a variant: the same whoever chooses.
func (w *world) clicks(person uint64, variant int) bool {
	return w.chance(person, 16+uint64(variant)) < w.rates[variant]
}

// result is what each way brought in a test.
type result struct {
	chosen, uniform, rollOut, best, plain float64
	byBatch                               [Batches]float64
}

func (w *world) play(arms []Arm, prior, plain *Prior) (r result) {
	sum, most := 0.0, 0.0
	for _, rate := range w.rates {
		sum += rate
		most = max(most, rate)
	}
	r.uniform, r.best = float64(w.shown)*sum/float64(len(arms)), float64(w.shown)*most
	r.rollOut = w.rollOut()
	r.byBatch = w.choose(arms, prior)
	for _, clicks := range r.byBatch {
		r.chosen += clicks
	}
	for _, clicks := range w.choose(arms, plain) {
		r.plain += clicks
	}
	return r
}

func (w *world) rollOut() (clicks float64) {
	shown, clicked := make([]float64, len(w.rates)), make([]float64, len(w.rates))
	first := int(tried * float64(w.shown))
	for person := range first {
		k := person % len(w.rates)
		shown[k]++
		if w.clicks(uint64(person), k) {
			clicked[k]++
		}
		clicks += w.rates[k]
	}
	best := 0
	for k := range shown {
		if clicked[k]*shown[best] > clicked[best]*shown[k] {
			best = k
		}
	}
	return clicks + float64(w.shown-first)*w.rates[best]
}

// choose chooses for each batch by what is known then.
func (w *world) choose(arms []Arm, prior *Prior) (byBatch [Batches]float64) {
	known, late := make([]Arm, len(arms)), make([]Arm, len(arms))
	for k, a := range arms {
		known[k].Features = a.Features
	}
	person := 0
	for batch := range byBatch {
		shares := Shares(prior.Beliefs(known), floor)
		for k := range known {
			known[k].Shown += late[k].Shown
			known[k].Clicks += late[k].Clicks
			late[k] = Arm{}
		}
		for ; person < w.shown*(batch+1)/Batches; person++ {
			k := Pick(shares, draw.Hash(draw.Hash(w.number+uint64(person))))
			late[k].Shown++
			if w.clicks(uint64(person), k) {
				late[k].Clicks++
			}
			byBatch[batch] += w.rates[k]
		}
	}
	return byBatch
}

// results are those of all tests.
type results []result

func (r *results) add(of result) { *r = append(*r, of) }

func (r results) ways() (w Ways) {
	var best [Batches]float64
	for _, t := range r {
		w.Clicks += t.chosen
		w.Uniform.Clicks += t.uniform
		w.RollOut.Clicks += t.rollOut
		w.Best.Clicks += t.best
		w.Plain.Clicks += t.plain
		for batch, clicks := range t.byBatch {
			w.ByBatch[batch] += clicks
			best[batch] += t.best / Batches
		}
	}
	for batch := range best {
		w.ByBatch[batch] /= max(best[batch], 1e-300)
	}
	w.OverUniform = r.over(func(t result) float64 { return t.uniform })
	w.OverRollOut = r.over(func(t result) float64 { return t.rollOut })
	w.OverPlain = r.over(func(t result) float64 { return t.plain })
	return w
}

// over is by what part the choice brings more than another way, and the standard
// error of that ratio over tests.
func (r results) over(other func(result) float64) Over {
	var chosen, others, squares float64
	for _, t := range r {
		chosen += t.chosen
		others += other(t)
	}
	mean := chosen/others - 1
	for _, t := range r {
		off := t.chosen - (1+mean)*other(t)
		squares += off * off
	}
	n := float64(len(r))
	return Over{measure.Figure(mean), measure.Figure(math.Sqrt(squares*n/max(n-1, 1)) / others)}
}

// Verdict says whether it is worth choosing this way.
func (e *Evaluation) Verdict() string {
	gain := func(o Over) string {
		return fmt.Sprintf("%.1f%% ± %.1f%%", 100*float64(o.Mean), 196*float64(o.Error))
	}
	sure := func(o Over) bool { return float64(o.Mean) > 1.96*float64(o.Error) }
	var said string
	switch {
	case e.Tests < 30:
		said = fmt.Sprintf("Too little to tell: %d tests with a choice, want 30 or more.", e.Tests)
	case !sure(e.OverUniform):
		said = fmt.Sprintf("Choosing brings no more clicks than showing each as often (%s).", gain(e.OverUniform))
	case !sure(e.Believed.OverUniform):
		said = fmt.Sprintf("Choosing brings %s more clicks than showing each as often, but that may be chance in what was seen.", gain(e.OverUniform))
	default:
		said = fmt.Sprintf("Choosing brings %s more clicks than showing each as often, %s if rates are what can be believed.",
			gain(e.OverUniform), gain(e.Believed.OverUniform))
	}
	switch o := e.OverPlain; {
	case e.Tests < 30:
	case sure(o):
		said += fmt.Sprintf(" Features of the line add %s.", gain(o))
	default:
		said += fmt.Sprintf(" Features of the line add nothing that is sure (%s).", gain(o))
	}
	if e.MismatchedTests > 0 {
		said += fmt.Sprintf(" In %.1f%% of tests the variants were not shown as often as each other (p < %v): do not believe what those say of their variants before it is known why.",
			100*e.Mismatched, lift.Suspicious)
	}
	return said
}
