// Package churn says what is shown as a customer's churn: the probability that
// they are gone for a horizon, that is, place no order within it.
//
//	Pareto/NBD, MBG/NBD → Choose → the likelier
//	history, horizon → Gone → a score
//
// Whether a customer has dropped out is never seen, so 1 - P(alive) can be
// neither confirmed nor found wrong; and one who is alive but orders every other
// year is lost to this year's plans all the same. That somebody places no order
// in the next thirteen weeks is seen thirteen weeks later. It can be calibrated,
// and "segue evaluate churn" says how well it is; and it takes into account what
// P(alive) leaves out, how often the customer buys. Over an endless horizon it is
// the probability that the last order was the last.
//
// It comes from Pareto/NBD or MBG/NBD, whichever makes the cohort likelier; both
// have four parameters, so that their likelihoods compare. Never from BG/NBD,
// for which everyone without a repeat is alive with certainty.
//
// Not obvious: the likelihood of a history is that of its orders and of the
// silence since, so the probability of more silence is the ratio of two
// likelihoods. It only rises while a customer is silent: each model's waiting
// time is a mixture of exponentials, and the longer one has waited, the more
// likely is a long one.
package churn

import (
	"time"

	"segue/processors/model/history"
	"segue/processors/model/mbgnbd"
	"segue/processors/model/paretonbd"
)

// Model is what a score comes from.
type Model interface {
	// Alive is the probability of not having dropped out.
	Alive(history.History) float64
	// Silent is the probability of no order within a time.
	Silent(h history.History, within time.Duration) float64
	// ExpectedAfter is the mean number of orders within a time.
	ExpectedAfter(h history.History, within time.Duration) float64
}

// Names of the models as JSON has them.
const (
	ParetoNBD = "pareto_nbd"
	MBGNBD    = "mbg_nbd"
)

// Choose takes the model that makes the cohort to which both were fitted likelier.
func Choose(pareto paretonbd.Fitted, mbg mbgnbd.Fitted) (name string, model Model) {
	if mbg.LogLikelihood > pareto.LogLikelihood {
		return MBGNBD, mbg.Parameters
	}
	return ParetoNBD, pareto.Parameters
}

// Score is what is shown.
type Score struct {
	Model Model
	// Horizon is how long a customer has to be silent to be gone.
	Horizon time.Duration
}

// Gone is the probability, in [0, 1], that a customer with a history places no
// order within the horizon after it.
func (s Score) Gone(h history.History) float64 { return s.Model.Silent(h, s.Horizon) }
