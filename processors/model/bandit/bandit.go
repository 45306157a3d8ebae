// Package bandit chooses among variants, such as the subject lines of one message,
// and learns from each choice which is best.
//
//	past tests → Learn → Prior
//	Prior + what was shown and clicked → Beliefs → Shares → Pick
//
// It is Thompson sampling: a variant is chosen as often as it is likely to be the
// best. Usually that is done by drawing a rate of each variant and taking the
// highest; here the probability is computed, and one draw, which is a hash of who
// is asked for, picks by it. So each choice has an exact probability, with which it
// can be judged later what another way of choosing would have brought, and the
// same log gives the same choices.
//
// Sources: Thompson, Biometrika 25 (1933); Chapelle and Li, "An empirical
// evaluation of Thompson sampling", NIPS 2011, for batches and late outcomes;
// Evan Miller, "Formulas for Bayesian A/B testing" (2015), whose values the tests
// hold it to.
//
// Not obvious: outcomes that are late or never come need no care, since what is
// believed counts only what is known. What is chosen shares no mail among the
// variants beyond the floor, which keeps every one of them measured: rates drift.
package bandit

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Belief is what is known of a rate, a beta distribution: as if of A+B shown A had
// been clicked. Both are above 0.
type Belief struct{ A, B float64 }

// Mean is the rate to expect.
func (b Belief) Mean() float64 { return b.A / (b.A + b.B) }

// And is the belief after more was seen.
func (b Belief) And(shown, clicks int) Belief {
	return Belief{b.A + float64(clicks), b.B + float64(shown-clicks)}
}

const (
	// reach is how many standard deviations around each belief are looked at, and
	// step how far apart.
	reach, step = 8, .5
)

// Best is the probability of each that its rate is the highest; together 1.
//
// It is the integral of one density times the distributions of the others, over
// log-odds, where densities of rates near 0 are no longer steep.
func Best(beliefs []Belief) []float64 {
	best := make([]float64, len(beliefs))
	if len(beliefs) < 2 {
		for i := range best {
			best[i] = 1
		}
		return best
	}
	at := places(beliefs)
	likely, unlikely := make([]float64, len(at)), make([]float64, len(at)) // logarithms of a rate, and of the rest
	for i, z := range at {
		likely[i], unlikely[i] = -math.Log1p(math.Exp(-z)), -math.Log1p(math.Exp(z))
		if z < -30 {
			likely[i] = z
		} else if z > 30 {
			unlikely[i] = -z
		}
	}
	curves := make([]curve, len(beliefs))
	for k, b := range beliefs {
		curves[k] = b.curve(at, likely, unlikely)
	}
	sum := 0.0
	for k, c := range curves {
		var last, was float64
		for i := range at {
			value, slope := c.density[i], c.slope[i]
			for j, other := range curves {
				if j != k {
					value, slope = value*other.below[i], slope*other.below[i]+value*other.density[i]
				}
			}
			if i > 0 {
				best[k] += area(at[i]-at[i-1], last, value, was, slope)
			}
			last, was = value, slope
		}
		best[k] = max(best[k], 0)
		sum += best[k]
	}
	for k := range best {
		best[k] /= sum
	}
	return best
}

// places are the log-odds to look at, closest where a belief is sure.
func places(beliefs []Belief) []float64 {
	var at []float64
	for _, b := range beliefs {
		middle := mathext.Digamma(b.A) - mathext.Digamma(b.B)
		wide := math.Sqrt(mathext.Zeta(2, b.A) + mathext.Zeta(2, b.B))
		for t := -float64(reach); t <= reach; t += step {
			at = append(at, middle+t*wide)
		}
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// curve is what a belief says at each place: the density, its slope, and how
// likely the rate lies below.
type curve struct{ density, slope, below []float64 }

func (b Belief) curve(at, likely, unlikely []float64) curve {
	c := curve{make([]float64, len(at)), make([]float64, len(at)), make([]float64, len(at))}
	constant := mathext.Lbeta(b.A, b.B)
	for i := range at {
		c.density[i] = math.Exp(b.A*likely[i] + b.B*unlikely[i] - constant)
		c.slope[i] = c.density[i] * (b.A - (b.A+b.B)*math.Exp(likely[i]))
		if i > 0 {
			below := c.below[i-1] + area(at[i]-at[i-1], c.density[i-1], c.density[i], c.slope[i-1], c.slope[i])
			c.below[i] = min(max(below, 0), 1)
		}
	}
	return c
}

// area under a curve between two places that are width apart: the trapezium,
// mended by how the slope changes (Euler and Maclaurin).
func area(width, left, right, leftSlope, rightSlope float64) float64 {
	return width*(left+right)/2 + width*width*(leftSlope-rightSlope)/12
}

// sharp is by how much less is doubted for a choice than is: variances are about
// half of what they are. Tests end, and what is tried in their last part helps
// nobody.
//
// Source: Chapelle and Li, as above, of whose .25 to 1 it is the middle.
const sharp = .5

// Shares are how often each is chosen: as it is likely to be the best, but of the
// floor, in [0, 1], each has an even part. Together they are 1, and without
// beliefs there are none.
func Shares(beliefs []Belief, floor float64) []float64 {
	sharpened := make([]Belief, len(beliefs))
	for i, b := range beliefs {
		sharpened[i] = Belief{b.A / sharp, b.B / sharp}
	}
	shares := Best(sharpened)
	for i := range shares {
		shares[i] = (1-floor)*shares[i] + floor/float64(len(shares))
	}
	return shares
}

// Pick is the one that a draw falls on, with the probability that its share is. The
// draw is a hash, even over 64 bits; there must be a share.
func Pick(shares []float64, draw uint64) int {
	at, sum := float64(draw>>11)/(1<<53), 0.0
	for i, share := range shares[:len(shares)-1] {
		if sum += share; at < sum {
			return i
		}
	}
	return len(shares) - 1
}
