// Package linear is logistic regression: log-odds that are a sum of what each input
// weighs, so that what fades in the inputs fades in the score.
//
//	rows, what happened → Fit → intercept, a weight for each input
//	the same beside other log-odds → Weights
//
// Fit is penalised maximum likelihood by Newton's method. The penalty is half of
// Ridge times the sum of the squared weights, of inputs scaled to a deviation of 1;
// the intercept has none, so that what is expected adds up to what happened.
//
// Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning
// (2009), 4.4.1 and 18.4.
//
// Not obvious: an input that never varies weighs 0, and rows that the inputs tell
// apart entirely still give finite weights, as the penalty holds them.
package linear

import (
	"fmt"
	"math"

	"segue/processors/model/newton"
)

// Ridge is how much evidence a weight must have: as much as one row or so.
const Ridge = 1.0

// Model is the parameters.
type Model struct {
	Intercept float64
	Weights   []float64
}

// LogOdds of a row.
func (m *Model) LogOdds(row []float64) float64 {
	sum := m.Intercept
	for i, w := range m.Weights {
		sum += w * row[i]
	}
	return sum
}

// Probability is in (0, 1).
func (m *Model) Probability(row []float64) float64 { return 1 / (1 + math.Exp(-m.LogOdds(row))) }

// Fit finds the weights of rows that all have as many inputs.
func Fit(rows [][]float64, happened []bool) (Model, error) {
	if len(rows) == 0 || len(rows) != len(happened) {
		return Model{}, fmt.Errorf("fit logistic: got %d rows and %d answers, want as many, and one at least", len(rows), len(happened))
	}
	yes := 0
	for _, y := range happened {
		if y {
			yes++
		}
	}
	if yes == 0 || yes == len(rows) {
		return Model{}, fmt.Errorf("fit logistic: got %d of %d rows in which it happened, want some, and some not", yes, len(rows))
	}
	inputs := len(rows[0])
	mean, scale, err := scales(rows, inputs)
	if err != nil {
		return Model{}, fmt.Errorf("fit logistic: %w", err)
	}
	scaled := make([]float64, 0, len(rows)*(inputs+1))
	for _, row := range rows {
		scaled = append(scaled, 1)
		for i, x := range row {
			scaled = append(scaled, (x-mean[i])/scale[i])
		}
	}
	start := make([]float64, inputs+1)
	start[0] = math.Log(float64(yes) / float64(len(rows)-yes))
	weights := Weights(start, scaled, make([]float64, len(rows)), happened, Ridge)
	m := Model{Intercept: weights[0], Weights: make([]float64, inputs)}
	for i := range m.Weights {
		m.Weights[i] = weights[1+i] / scale[i]
		m.Intercept -= m.Weights[i] * mean[i]
	}
	return m, nil
}

// scales are the means and deviations of the inputs, which must be numbers; without
// end of one that never varies.
func scales(rows [][]float64, inputs int) (mean, scale []float64, err error) {
	mean, scale = make([]float64, inputs), make([]float64, inputs)
	for _, row := range rows {
		for i, x := range row {
			mean[i] += x / float64(len(rows))
		}
	}
	for i, m := range mean {
		if math.IsNaN(m) || math.IsInf(m, 0) {
			return nil, nil, fmt.Errorf("input %d: got a value that is no number", i)
		}
	}
	for _, row := range rows {
		for i, x := range row {
			scale[i] += (x - mean[i]) * (x - mean[i]) / float64(len(rows))
		}
	}
	for i := range scale {
		if scale[i] = math.Sqrt(scale[i]); scale[i] <= 1e-9*math.Abs(mean[i]) {
			scale[i] = math.Inf(1) // what is left of it are roundings
		}
	}
	return mean, scale, nil
}

// Weights are those under which what happened is most likely, less the penalty
// times half their squares; the first, of the intercept, has none. rows stand one
// after the other, each with a 1 and then its inputs, as many as start has; offset
// is what the log-odds of a row are besides.
func Weights(start, rows, offset []float64, happened []bool, penalty float64) []float64 {
	size := len(start)
	logOdds := func(at []float64, i int) float64 {
		sum := offset[i]
		for k, x := range rows[i*size : (i+1)*size] {
			sum += at[k] * x
		}
		return sum
	}
	return newton.Minimize(start, func(at []float64) float64 {
		cost := 0.0
		for i, h := range happened {
			cost += Loss(logOdds(at, i), h)
		}
		for _, w := range at[1:] {
			cost += penalty * w * w / 2
		}
		return cost
	}, func(at, gradient, hessian []float64) {
		clear(gradient)
		clear(hessian)
		for i, h := range happened {
			p := 1 / (1 + math.Exp(-logOdds(at, i)))
			off, weight := p, p*(1-p)
			if h {
				off = p - 1
			}
			row := rows[i*size : (i+1)*size]
			for k, x := range row {
				gradient[k] += off * x
				for l, y := range row[k:] {
					hessian[k*size+k+l] += weight * x * y
				}
			}
		}
		for k := 1; k < size; k++ {
			gradient[k] += penalty * at[k]
			hessian[k*size+k] += penalty
		}
	})
}

// Loss is the surprise at what happened, in nats.
func Loss(logOdds float64, happened bool) float64 {
	if happened {
		logOdds = -logOdds
	}
	return max(logOdds, 0) + math.Log1p(math.Exp(-math.Abs(logOdds)))
}
