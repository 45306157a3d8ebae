// Package likelihood finds the parameters under which what was seen is most
// likely, for models whose parameters are positive.
//
//	a log-likelihood → Maximize → parameters, standard errors
//	histories → OfBuying → a model of buying
//
// Not obvious: some cohorts have no finite maximum (nobody repeats; all are
// alike, so that a and b grow together without end). Within a thousandfold of
// where a parameter is expected this is maximum likelihood and nothing else;
// beyond, each step costs more than the last, so that a maximum is there, and
// what is forecast from it is finite.
package likelihood

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/diff/fd"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"

	"segue/processors/model/history"
)

// Problem is what is to be maximized.
type Problem struct {
	// Start are parameters to begin at, all positive; each is expected within a
	// thousandfold of it.
	Start []float64
	// LogLikelihood of all that was seen, with these parameters.
	LogLikelihood func(parameters []float64) float64
	// Seen is how many customers that is the sum of.
	Seen int
}

// Maximum is where a log-likelihood is greatest.
type Maximum struct {
	Parameters    []float64
	LogLikelihood float64
	// StandardErrors of the parameters; nil where the data do not settle them all.
	StandardErrors []float64
}

const (
	free     = 6.907755278982137 // ln(1000), what costs nothing
	farthest = free + 2          // where nothing changes any more
	steep    = .05               // of the cost, in the mean log-likelihood
)

// Fitted are the parameters P of a model that make a cohort most likely.
type Fitted[P any] struct {
	Parameters P `json:"parameters"`
	// StandardErrors of the parameters, in their order; nil where the cohort does not
	// settle them.
	StandardErrors []float64 `json:"standard_errors,omitempty"`
	LogLikelihood  float64   `json:"log_likelihood"`
}

// OfBuying fits a model of buying to a cohort. start are parameters to begin at, of
// a cohort with so many repeat orders in a unit of time and such a mean age; at
// makes the model of some.
func OfBuying[P interface {
	LogLikelihood(history.History) float64
}](histories []history.History, unit history.Unit, start func(rate, age float64) []float64, at func(parameters []float64) P) (Fitted[P], error) {
	tallies, err := history.Tallies(histories)
	if err != nil {
		return Fitted[P]{}, err
	}
	found, err := Maximize(Problem{
		Start:         start(history.Pace(tallies, unit)),
		LogLikelihood: func(v []float64) float64 { return history.Sum(tallies, at(v).LogLikelihood) },
		Seen:          len(histories),
	})
	if err != nil {
		return Fitted[P]{}, err
	}
	return Fitted[P]{at(found.Parameters), found.StandardErrors, found.LogLikelihood}, nil
}

// Maximize finds the maximum. The same problem gives the same result.
func Maximize(p Problem) (Maximum, error) {
	n := len(p.Start)
	parameters := make([]float64, n)
	// cost is minus the mean log-likelihood, by the logarithms of the parameters
	// relative to the start.
	cost := func(logs []float64) float64 {
		beyond := 0.0
		for i, log := range logs {
			if over := math.Abs(log) - free; over > 0 {
				beyond += over * over
			}
			parameters[i] = p.Start[i] * math.Exp(max(-farthest, min(farthest, log)))
		}
		mean := p.LogLikelihood(parameters) / float64(p.Seen)
		if math.IsNaN(mean) {
			return math.Inf(1)
		}
		return steep*beyond - mean
	}
	best := make([]float64, n)
	lowest := cost(best)
	if math.IsInf(lowest, 0) {
		return Maximum{}, errors.New("maximize the likelihood: what was seen has none where the search begins")
	}
	// A simplex finds the hill from afar, slopes lead up a ridge on which it would
	// creep, and a small simplex looks whether that was the top.
	for _, climb := range []struct {
		method optimize.Method
		most   int
	}{
		{&optimize.NelderMead{SimplexSize: 1}, 300},
		{&optimize.BFGS{}, 600},
		{&optimize.NelderMead{SimplexSize: .01}, 300},
	} {
		// A search that ends early, for whatever reason, has still come somewhere.
		result, _ := optimize.Minimize(optimize.Problem{
			Func: cost,
			Grad: func(slopes, logs []float64) {
				fd.Gradient(slopes, cost, logs, &fd.Settings{Formula: fd.Central, Step: 1e-4})
			},
		}, best, &optimize.Settings{
			Converger:         &optimize.FunctionConverge{Absolute: 1e-14, Iterations: 40},
			GradientThreshold: 1e-10,
			FuncEvaluations:   climb.most,
			GradEvaluations:   100,
		}, climb.method)
		if result != nil && result.F < lowest {
			best, lowest = result.X, result.F
		}
	}
	settled := true
	for i, log := range best {
		parameters[i] = p.Start[i] * math.Exp(max(-farthest, min(farthest, log)))
		settled = settled && math.Abs(log) < free
	}
	m := Maximum{Parameters: slices.Clone(parameters), LogLikelihood: p.LogLikelihood(parameters)}
	if settled {
		m.StandardErrors = p.standardErrors(m.Parameters)
	}
	return m, nil
}

// standardErrors are the roots of the diagonal of the inverse of the observed
// information, found by central differences in the logarithms.
func (p Problem) standardErrors(at []float64) []float64 {
	n := len(at)
	parameters := make([]float64, n)
	information := mat.NewSymDense(n, nil)
	fd.Hessian(information, func(logs []float64) float64 {
		for i, log := range logs {
			parameters[i] = at[i] * math.Exp(log)
		}
		return -p.LogLikelihood(parameters)
	}, make([]float64, n), &fd.Settings{Formula: fd.Central, Step: 1e-3})
	var factored mat.Cholesky
	var covariance mat.SymDense
	if !factored.Factorize(information) || factored.InverseTo(&covariance) != nil {
		return nil
	}
	errs := make([]float64, n)
	for i := range errs {
		// At a maximum the error of a parameter is that of its logarithm, times it.
		errs[i] = at[i] * math.Sqrt(covariance.At(i, i))
		if math.IsNaN(errs[i]) || math.IsInf(errs[i], 0) {
			return nil
		}
	}
	return errs
}

// Positive says which of a model's parameters is not a positive number.
func Positive(model string, names []string, values ...float64) error {
	for i, v := range values {
		if !(v > 0) || math.IsInf(v, 1) {
			return fmt.Errorf("%s: %s: got %v, want a positive number", model, names[i], v)
		}
	}
	return nil
}
