// Package mbgnbd is the MBG/NBD model: customers buy at a rate of their own, and
// may drop out right after each order, the first as well.
//
//	histories → Fit → Parameters
//	Parameters, a history → Alive, ExpectedAfter, Silent
//
// The rate of purchases is drawn from Gamma(R, Alpha), the probability of
// dropping out from Beta(A, B). Alpha is a time in Unit, the others are pure
// numbers.
//
// Source: Batislam, Denizel and Filiztekin, International Journal of Research in
// Marketing 24(3), 2007; Hoppe and Wagner, Marketing JRM 3(2), 2007.
//
// Not obvious: the first order may have been the last, so that a new customer is
// alive with probability B/(A+B), and Expected knows it.
package mbgnbd

import (
	"fmt"
	"math"
	"time"

	"segue/processors/model/history"
	"segue/processors/model/likelihood"
	"segue/processors/model/special"
)

// Parameters of the model.
type Parameters struct {
	Unit  history.Unit `json:"unit"`
	R     float64      `json:"r"`
	Alpha float64      `json:"alpha"`
	A     float64      `json:"a"`
	B     float64      `json:"b"`
}

// Validate says which parameter cannot be.
func (p Parameters) Validate() error {
	if err := p.Unit.Validate(); err != nil {
		return fmt.Errorf("mbg/nbd: %w", err)
	}
	return likelihood.Positive("mbg/nbd", []string{"r", "alpha", "a", "b"}, p.R, p.Alpha, p.A, p.B)
}

// LogLikelihood of a history.
func (p Parameters) LogLikelihood(h history.History) float64 {
	return special.LogRising(p.R, h.Repeats) + p.R*math.Log(p.Alpha) +
		special.LogRisingRatio(p.A, p.B, h.Repeats+1) + p.logTail(h)
}

// logTail is the part of the log-likelihood in which the times stand.
func (p Parameters) logTail(h history.History) float64 {
	alive := -(p.R + float64(h.Repeats)) * math.Log(p.Alpha+p.Unit.Of(h.Age))
	return special.LogSum(alive, alive+p.logOdds(h))
}

// logOdds are the logarithm of the odds of having dropped out.
func (p Parameters) logOdds(h history.History) float64 {
	x := float64(h.Repeats)
	return math.Log(p.A/(p.B+x)) + (p.R+x)*math.Log((p.Alpha+p.Unit.Of(h.Age))/(p.Alpha+p.Unit.Of(h.Recency)))
}

// Alive is the probability, in [0, 1], that a customer has not dropped out. It
// falls with silence. NaN of no valid history.
func (p Parameters) Alive(h history.History) float64 {
	if !h.Valid() {
		return math.NaN()
	}
	return 1 / (1 + math.Exp(p.logOdds(h)))
}

// Expected is the mean number of repeat orders of a new customer within a time.
func (p Parameters) Expected(within time.Duration) float64 {
	return p.ExpectedAfter(history.History{}, within)
}

// ExpectedAfter is the mean number of orders of a customer with a history within
// the time after it. NaN of no valid history.
func (p Parameters) ExpectedAfter(h history.History, within time.Duration) float64 {
	x := float64(h.Repeats)
	return p.Alive(h) * special.PurchasesUntilDropout(p.R+x, p.A, p.B+x+1, p.Unit.Of(within)/(p.Alpha+p.Unit.Of(h.Age)))
}

// Silent is the probability, in [0, 1], that a customer with a history places no
// order within the time after it. NaN of no valid history.
func (p Parameters) Silent(h history.History, within time.Duration) float64 {
	return h.Silent(within, p.logTail)
}

// Fitted are the parameters that make a cohort most likely.
type Fitted = likelihood.Fitted[Parameters]

// Fit finds the parameters of a cohort, in a unit.
func Fit(histories []history.History, unit history.Unit) (Fitted, error) {
	fitted, err := likelihood.OfBuying(histories, unit,
		func(rate, _ float64) []float64 { return []float64{.5, .5 / rate, 1, 2} },
		func(v []float64) Parameters { return Parameters{unit, v[0], v[1], v[2], v[3]} })
	if err != nil {
		return Fitted{}, fmt.Errorf("fit mbg/nbd: %w", err)
	}
	return fitted, nil
}
