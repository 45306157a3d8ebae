// Package gammagamma is the Gamma-Gamma model: what a customer spends on an
// order varies around a mean of their own.
//
//	customers with repeat orders → Fit → Parameters
//	Parameters, repeats and their mean amount → Mean
//	Mean, expected orders → Value
//
// An order's amount is drawn from Gamma(P, ν), and ν from Gamma(Q, V). P and Q
// are pure numbers, V is money, in the currency's unit.
//
// Source: Fader and Hardie, brucehardie.com/notes/025/gamma_gamma.pdf, 2013
//
// Not obvious: the model takes spending and how often one orders for
// independent; look at Correlation first. Q is held above 1, since below it the
// population has no mean.
package gammagamma

import (
	"errors"
	"fmt"
	"math"
	"time"

	"segue/processors/model/history"
	"segue/processors/model/likelihood"
	"segue/processors/model/special"
)

// Parameters of the model.
type Parameters struct {
	P float64 `json:"p"`
	Q float64 `json:"q"`
	V float64 `json:"v"`
}

// Validate says which parameter cannot be.
func (p Parameters) Validate() error {
	if !(p.Q > 1) {
		return fmt.Errorf("gamma-gamma: q: got %v, want more than 1, so that there is a mean", p.Q)
	}
	return likelihood.Positive("gamma-gamma", []string{"p", "q", "v"}, p.P, p.Q, p.V)
}

// Spending is what a customer spent on repeat orders.
type Spending struct {
	// Repeats is x, the number of repeat orders.
	Repeats int
	// Mean is the mean amount of them, in the currency's unit.
	Mean float64
}

// seen says whether there is something to learn from.
func (s Spending) seen() bool { return s.Repeats > 0 && s.Mean > 0 && !math.IsInf(s.Mean, 1) }

// LogLikelihood of a customer with at least one repeat order and an amount
// above 0.
func (p Parameters) LogLikelihood(s Spending) float64 {
	x := float64(s.Repeats)
	px := p.P * x
	return special.LogGamma(px+p.Q) - special.LogGamma(px) - special.LogGamma(p.Q) +
		p.Q*math.Log(p.V) + (px-1)*math.Log(s.Mean) + px*math.Log(x) - (px+p.Q)*math.Log(x*s.Mean+p.V)
}

// Mean is the amount expected of a customer's order: between the population's
// mean, which it is without repeats, and the customer's own.
func (p Parameters) Mean(s Spending) float64 {
	x := float64(s.Repeats)
	return p.P * (p.V + x*s.Mean) / (p.P*x + p.Q - 1)
}

// Value is what the orders of the coming months are worth today: mean is the
// amount of an order, expected the number of orders within a time from now, and
// rate what money loses in a month, .01 for one percent. A month is 4.345 weeks.
func Value(mean float64, months int, rate float64, expected func(within time.Duration) float64) float64 {
	return valueBy(history.Month, mean, months, rate, expected)
}

func valueBy(month time.Duration, mean float64, months int, rate float64, expected func(time.Duration) float64) float64 {
	value, before, worth := 0.0, 0.0, 1.0
	for k := 1; k <= months; k++ {
		orders := expected(time.Duration(k) * month)
		worth /= 1 + rate
		value += mean * (orders - before) * worth
		before = orders
	}
	return value
}

// Correlation is Pearson's, of repeats and mean amount over customers with
// repeat orders; NaN where either does not vary.
func Correlation(spendings []Spending) float64 {
	var n, x, m, xx, mm, xm float64
	for _, s := range spendings {
		if s.seen() {
			n++
			x += float64(s.Repeats)
			m += s.Mean
		}
	}
	x, m = x/n, m/n
	for _, s := range spendings {
		if s.seen() {
			dx, dm := float64(s.Repeats)-x, s.Mean-m
			xx, mm, xm = xx+dx*dx, mm+dm*dm, xm+dx*dm
		}
	}
	return xm / math.Sqrt(xx*mm)
}

// Fitted are the parameters that make a cohort most likely.
type Fitted struct {
	likelihood.Fitted[Parameters]
	// Customers are those with repeat orders and an amount above 0.
	Customers int `json:"customers"`
}

// Fit finds the parameters of the customers who have repeat orders with an
// amount above 0.
func Fit(spendings []Spending) (Fitted, error) {
	var seen []Spending
	mean := 0.0
	for _, s := range spendings {
		if s.seen() {
			seen = append(seen, s)
			mean += s.Mean
		}
	}
	if len(seen) == 0 {
		return Fitted{}, errors.New("fit gamma-gamma: got no customer with a repeat order and an amount above 0, want at least one")
	}
	mean /= float64(len(seen))
	at := func(v []float64) Parameters { return Parameters{v[0], 1 + v[1], v[2]} }
	found, err := likelihood.Maximize(likelihood.Problem{
		Start: []float64{2, 2, mean},
		LogLikelihood: func(v []float64) float64 {
			p, sum := at(v), 0.0
			for _, s := range seen {
				sum += p.LogLikelihood(s)
			}
			return sum
		},
		Seen: len(seen),
	})
	if err != nil {
		return Fitted{}, fmt.Errorf("fit gamma-gamma: %w", err)
	}
	return Fitted{likelihood.Fitted[Parameters]{Parameters: at(found.Parameters), StandardErrors: found.StandardErrors, LogLikelihood: found.LogLikelihood}, len(seen)}, nil
}
