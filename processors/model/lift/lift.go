// Package lift says what an experiment did, and whether it was one.
//
//	outcomes of two arms → Sums → Between → Effect → AlwaysValid
//	counts of each arm → Mismatch → how likely chance alone dealt them so
//
// Not obvious: a randomiser that deals a little unevenly does not do so at random.
// Whoever is missing from an arm is missing for a reason (a crash, a cache, a slow
// page), so what such a test says of its arms is not to be believed, however
// clear it is.
package lift

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// Suspicious is how unlikely the counts of a test must be to be a mismatch: one
// in a thousand of those that are dealt rightly is called one.
const Suspicious = .001

// Mismatch is the probability, in [0, 1], that counts as far from equal shares as
// these, or further, are dealt by chance. Without two arms, or without a count, it
// is 1.
//
// Source: Pearson's chi-square; Fabijan and others, "Diagnosing sample ratio
// mismatch in online controlled experiments", KDD 2019, for its use and the one in
// a thousand.
func Mismatch(counts []int) float64 {
	sum := 0.0
	for _, n := range counts {
		sum += float64(n)
	}
	if len(counts) < 2 || sum == 0 {
		return 1
	}
	equal, chi := sum/float64(len(counts)), 0.0
	for _, n := range counts {
		chi += (float64(n) - equal) * (float64(n) - equal) / equal
	}
	return mathext.GammaIncRegComp(float64(len(counts)-1)/2, chi/2)
}

// Sums are what an arm's outcomes add up to.
type Sums struct{ count, sum, squares float64 }

// Add adds an outcome: an amount, or 1 if it happened and 0 if not.
func (s *Sums) Add(value float64) {
	s.count++
	s.sum += value
	s.squares += value * value
}

// Mean of what was added, NaN of nothing.
func (s *Sums) Mean() float64 { return s.sum / s.count }

// variance of the mean.
func (s *Sums) variance() float64 {
	return max(s.squares/s.count-s.Mean()*s.Mean(), 0) / max(s.count-1, 1)
}

// Effect is by how much a mean differs because of a treatment.
type Effect struct {
	Mean float64
	// Error is the standard error.
	Error float64
}

// Between is what the treatment did; NaN without an outcome of both arms.
func Between(control, treated Sums) Effect {
	return Effect{treated.Mean() - control.Mean(), math.Sqrt(control.variance() + treated.variance())}
}

// AlwaysValid is the interval that holds the true effect with probability 1-alpha
// at all times at once, however often it is looked at, and whenever it is stopped.
// It is wider than 1.96 standard errors, and widens least for effects of about the
// size that is expected, above 0.
//
// Source: Johari, Koomen, Pekelis and Walsh, "Always valid inference", Operations
// Research 70 (2022), equation of the mixture sequential probability ratio test
// with a normal mixture (Robbins, Annals of Mathematical Statistics 41, 1970); valid
// once means are about normal, from some dozens of outcomes on.
func (e Effect) AlwaysValid(alpha, expected float64) (low, high float64) {
	spread, mixed := e.Error*e.Error, expected*expected
	half := math.Sqrt(spread * (spread + mixed) / mixed * (math.Log((spread+mixed)/spread) - 2*math.Log(alpha)))
	return e.Mean - half, e.Mean + half
}
