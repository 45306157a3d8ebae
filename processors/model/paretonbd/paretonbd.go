// Package paretonbd is the Pareto/NBD model: customers buy at a rate of their
// own, and drop out at a moment nobody sees, whether they bought or not.
//
//	histories → Fit → Parameters
//	Parameters, a history → Alive, ExpectedAfter, Silent
//
// The rate of purchases is drawn from Gamma(R, Alpha), that of dropping out from
// Gamma(S, Beta). R and S are pure numbers, Alpha and Beta are times in Unit.
//
// Source: Schmittlein, Morrison and Colombo, Management Science 33(1), 1987; as
// derived by Fader and Hardie, brucehardie.com/notes/009/pareto_nbd_derivations_2005-11-05.pdf
//
// Not obvious: the papers' A0 is a difference of two hypergeometric functions,
// with a case for each order of Alpha and Beta. By Euler's transformation each is
// (β+y)^-s (α+y)^-(r+x) F(1,r+x;r+s+x+1;(α-β)/(α+y)), in both cases, and the
// likelihood a sum of two positive terms that does not overflow.
package paretonbd

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
	S     float64      `json:"s"`
	Beta  float64      `json:"beta"`
}

// Validate says which parameter cannot be.
func (p Parameters) Validate() error {
	if err := p.Unit.Validate(); err != nil {
		return fmt.Errorf("pareto/nbd: %w", err)
	}
	return likelihood.Positive("pareto/nbd", []string{"r", "alpha", "s", "beta"}, p.R, p.Alpha, p.S, p.Beta)
}

// LogLikelihood of a history.
func (p Parameters) LogLikelihood(h history.History) float64 {
	return special.LogRising(p.R, h.Repeats) + p.R*math.Log(p.Alpha) + p.S*math.Log(p.Beta) + p.logTail(h)
}

// logTail is the part of the log-likelihood in which the times stand.
func (p Parameters) logTail(h history.History) float64 {
	alive, gone := p.logAliveGone(h)
	return special.LogSum(alive, gone)
}

// logAliveGone are what the likelihoods of being alive, and of having dropped
// out since the last order, are proportional to.
func (p Parameters) logAliveGone(h history.History) (alive, gone float64) {
	x := float64(h.Repeats)
	last, now := p.Unit.Of(h.Recency), p.Unit.Of(h.Age)
	log := func(y float64) float64 { return -(p.R+x)*math.Log(p.Alpha+y) - p.S*math.Log(p.Beta+y) }
	// What dropped out between last and now is what did after last without what
	// did after now.
	alive = log(now)
	if last == now {
		return alive, math.Inf(-1)
	}
	since, never := math.Log(p.after(x, last))+log(last), math.Log(p.after(x, now))+alive
	return alive, since + math.Log(-math.Expm1(min(never-since, 0)))
}

// after is the likelihood of dropping out at any time after y with x repeats, in
// units of that of being alive then.
func (p Parameters) after(x, y float64) float64 {
	return p.S / (p.R + p.S + x) * special.Gauss1(p.R+x, p.R+p.S+x+1, (p.Alpha-p.Beta)/(p.Alpha+y))
}

// Alive is the probability, in [0, 1], that a customer has not dropped out. It
// falls with silence; right after an order it is 1. NaN of no valid history.
func (p Parameters) Alive(h history.History) float64 {
	if !h.Valid() {
		return math.NaN()
	}
	alive, gone := p.logAliveGone(h)
	return 1 / (1 + math.Exp(gone-alive))
}

// Expected is the mean number of repeat orders of a new customer within a time.
func (p Parameters) Expected(within time.Duration) float64 {
	return p.R * p.Beta / p.Alpha * special.Saturation(p.S-1, math.Log1p(p.Unit.Of(within)/p.Beta))
}

// ExpectedAfter is the mean number of orders of a customer with a history within
// the time after it. NaN of no valid history.
func (p Parameters) ExpectedAfter(h history.History, within time.Duration) float64 {
	now := p.Unit.Of(h.Age)
	return (p.R + float64(h.Repeats)) * (p.Beta + now) / (p.Alpha + now) *
		special.Saturation(p.S-1, math.Log1p(p.Unit.Of(within)/(p.Beta+now))) * p.Alive(h)
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
		func(rate, age float64) []float64 { return []float64{.5, .5 / rate, .5, age} },
		func(v []float64) Parameters { return Parameters{unit, v[0], v[1], v[2], v[3]} })
	if err != nil {
		return Fitted{}, fmt.Errorf("fit pareto/nbd: %w", err)
	}
	return fitted, nil
}
