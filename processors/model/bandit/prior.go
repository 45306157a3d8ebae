package bandit

import (
	"math"

	"segue/processors/model/newton"
)

// Arm is a variant in a test.
type Arm struct {
	// Shown is how often it was, and Clicks in how many of these it was clicked.
	Shown, Clicks int
	// Features are what is known of it before; all arms have as many, or none.
	Features []float64
}

// Prior is what past tests say of a new one, so that a variant that nobody saw yet
// starts sensibly.
type Prior struct {
	// Rate is that of a test on average.
	Rate float64 `json:"rate"`
	// Between is how much the rates of tests differ, and Within those of the
	// variants of one test: the variance, relative to the square of the rate.
	Between float64 `json:"between"`
	Within  float64 `json:"within"`
	// Weights are by how much each feature raises the logarithm of a rate, against
	// the other variants of the test.
	Weights []float64 `json:"weights,omitempty"`
}

// Before any test was seen, rates are about .01, those of tests differ by half and
// those of a test's variants by a fifth; it takes evidence of about as many clicks
// to move that.
const (
	rateBefore    = .01
	betweenBefore = .25
	withinBefore  = .04
	evidence      = 50
	// least keeps a prior from being certain.
	least = 1e-4
)

// Learn finds the prior of tests like these. Arms that were not shown say nothing.
func Learn(tests [][]Arm) Prior {
	p := Prior{Weights: weigh(tests)}
	all := make([]Arm, len(tests))
	var shown, clicks float64
	within, between := newExcess(withinBefore), newExcess(betweenBefore)
	for i, arms := range tests {
		within.add(arms, p.factors(arms))
		for _, a := range arms {
			all[i].Shown += a.Shown
			all[i].Clicks += a.Clicks
		}
		shown += float64(all[i].Shown)
		clicks += float64(all[i].Clicks)
	}
	between.add(all, (&Prior{}).factors(all))
	p.Rate = (clicks + rateBefore*evidence) / (shown + evidence)
	p.Within, p.Between = within.ratio(), between.ratio()
	return p
}

// excess is by how much rates differ beyond chance: the variance, relative to
// their square.
//
// Source: DerSimonian and Laird, Controlled Clinical Trials 7 (1986), for the sum
// of squares and what it exceeds its degrees of freedom by; here of clicks, over
// groups that each have a rate of their own.
type excess struct{ beyond, weight float64 }

func newExcess(before float64) excess { return excess{before * evidence, evidence} }

func (e *excess) ratio() float64 { return max(e.beyond/e.weight, least) }

// add adds a group, of which each is expected to have the group's rate times its
// factor.
func (e *excess) add(arms []Arm, factors []float64) {
	var shown, squares, clicks, count float64
	for i, a := range arms {
		n := float64(a.Shown) * factors[i]
		shown += n
		squares += n * n
		clicks += float64(a.Clicks)
		if n > 0 {
			count++
		}
	}
	rate := clicks / shown
	if count < 2 || !(rate > 0 && rate < 1) {
		return
	}
	for i, a := range arms {
		if n := float64(a.Shown) * factors[i]; n > 0 {
			off := float64(a.Clicks) - n*rate
			e.beyond += off * off / (n * rate * (1 - rate))
		}
	}
	e.beyond -= count - 1
	e.weight += (shown - squares/shown) * rate / (1 - rate)
}

// factors are the rates to expect of variants before any was shown, relative to
// their mean.
func (p *Prior) factors(arms []Arm) []float64 {
	factors, sum := make([]float64, len(arms)), 0.0
	for i, a := range arms {
		log := 0.0
		for k, w := range p.Weights {
			log += w * a.Features[k]
		}
		factors[i] = math.Exp(log)
		sum += factors[i]
	}
	for i := range factors {
		factors[i] *= float64(len(arms)) / sum
	}
	return factors
}

// Beliefs are what is known of each variant of a test, after what was shown and
// clicked of all of them: one that was hardly shown is believed to be like the
// others of its test, as its features say, and a test that hardly began to be
// like past ones.
func (p *Prior) Beliefs(arms []Arm) []Belief {
	factors := p.factors(arms)
	clicks := 1 / p.Between
	shown := clicks / p.Rate
	for i, a := range arms {
		clicks += float64(a.Clicks)
		shown += float64(a.Shown) * factors[i]
	}
	beliefs := make([]Belief, len(arms))
	for i, a := range arms {
		mean := min(clicks/shown*factors[i], .99)
		// The variance of a beta distribution is mean·(1-mean)/(weight+1).
		weight := max((1-mean)/(mean*p.Within)-1, 1)
		beliefs[i] = Belief{mean * weight, (1 - mean) * weight}.And(a.Shown, a.Clicks)
	}
	return beliefs
}

// ridge is the penalty on weights, of features scaled to a deviation of 1 within
// tests: how many clicks must speak for one.
const ridge = 20

// weigh finds what features weigh: of the clicks of a test each variant is expected
// to get a share as it was shown, times e to its weights. Tests differ in
// everything, so that only what differs within one counts. Clicks of one variant
// are no independent evidence, since variants differ by more than features tell;
// each counts for less, the more there are.
//
// Source: McFadden, "Conditional logit analysis of qualitative choice behavior"
// (1974).
func weigh(tests [][]Arm) []float64 {
	var scale []float64
	variants, within := 0.0, newExcess(withinBefore)
	for _, arms := range tests {
		mean := means(arms, (&Prior{}).factors(arms))
		if scale == nil {
			scale = make([]float64, len(mean))
		}
		for _, a := range arms {
			for k, x := range a.Features {
				scale[k] += (x - mean[k]) * (x - mean[k])
			}
			variants++
		}
		within.add(arms, (&Prior{}).factors(arms))
	}
	size := len(scale)
	if size == 0 {
		return nil
	}
	for k := range scale {
		if scale[k] = math.Sqrt(scale[k] / variants); scale[k] < 1e-9 {
			scale[k] = math.Inf(1) // what is left of it are roundings
		}
	}
	at := func(scaled []float64) *Prior {
		p := &Prior{Weights: make([]float64, size)}
		for k := range scaled {
			p.Weights[k] = scaled[k] / scale[k]
		}
		return p
	}
	found := newton.Minimize(make([]float64, size), func(scaled []float64) float64 {
		p, cost := at(scaled), 0.0
		for _, w := range scaled {
			cost += ridge * w * w / 2
		}
		for _, arms := range tests {
			shares, part := p.expected(arms, within.ratio())
			for i, a := range arms {
				if a.Clicks > 0 {
					cost -= part * float64(a.Clicks) * math.Log(shares[i])
				}
			}
		}
		return cost
	}, func(scaled, gradient, hessian []float64) {
		p := at(scaled)
		clear(gradient)
		clear(hessian)
		for k, w := range scaled {
			gradient[k] = ridge * w
			hessian[k*size+k] = ridge
		}
		for _, arms := range tests {
			shares, part := p.expected(arms, within.ratio())
			mean, clicks := means(arms, shares), 0.0
			for _, a := range arms {
				clicks += part * float64(a.Clicks)
			}
			for i, a := range arms {
				for k, x := range a.Features {
					d := (x - mean[k]) / scale[k]
					gradient[k] -= (part*float64(a.Clicks) - clicks*shares[i]) * d
					for l := k; l < size; l++ {
						hessian[k*size+l] += clicks * shares[i] * d * (a.Features[l] - mean[l]) / scale[l]
					}
				}
			}
		}
	})
	return at(found).Weights
}

// expected are the shares of a test's clicks that its variants should get, and what
// part of a click counts where they differ by within besides.
func (p *Prior) expected(arms []Arm, within float64) (shares []float64, part float64) {
	shares = p.factors(arms)
	var sum, clicks, count float64
	for i, a := range arms {
		shares[i] *= float64(a.Shown)
		sum += shares[i]
		clicks += float64(a.Clicks)
		if a.Shown > 0 {
			count++
		}
	}
	for i := range shares {
		shares[i] /= max(sum, 1e-300)
	}
	return shares, 1 / (1 + within*clicks/max(count, 1))
}

// means are those of the features, of arms that weigh so much.
func means(arms []Arm, weights []float64) []float64 {
	var mean []float64
	sum := 0.0
	for i, a := range arms {
		if mean == nil {
			mean = make([]float64, len(a.Features))
		}
		for k, x := range a.Features {
			mean[k] += weights[i] * x
		}
		sum += weights[i]
	}
	for k := range mean {
		mean[k] /= max(sum, 1e-300)
	}
	return mean
}
