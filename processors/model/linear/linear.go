// Package linear is logistic regression: log-odds that are a sum of what each input
// weighs, so that what fades in the inputs fades in the score.
//
//	rows, what happened → Fit → intercept, a weight for each input
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
	"errors"
	"fmt"
	"math"
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
	mean, scale := scales(rows, inputs)
	rate := float64(yes) / float64(len(rows))
	b := make([]float64, inputs+1) // the last is the intercept
	b[inputs] = math.Log(rate / (1 - rate))
	x := make([]float64, inputs+1)
	for range 50 {
		gradient := make([]float64, inputs+1)
		curvature := make([][]float64, inputs+1)
		for i := range curvature {
			curvature[i] = make([]float64, inputs+1)
		}
		for n, row := range rows {
			log := 0.0
			for i := range row {
				x[i] = (row[i] - mean[i]) / scale[i]
				log += b[i] * x[i]
			}
			x[inputs] = 1
			p := 1 / (1 + math.Exp(-log-b[inputs]))
			y := 0.0
			if happened[n] {
				y = 1
			}
			for i := range x {
				gradient[i] += (y - p) * x[i]
				for j := range i + 1 {
					curvature[i][j] += p * (1 - p) * x[i] * x[j]
				}
			}
		}
		for i := range inputs {
			gradient[i] -= Ridge * b[i]
			curvature[i][i] += Ridge
		}
		step, err := solve(curvature, gradient)
		if err != nil {
			return Model{}, fmt.Errorf("fit logistic: %w", err)
		}
		far := 0.0
		for i := range b {
			s := max(-2, min(step[i], 2)) // far from the maximum Newton's step leads anywhere
			b[i] += s
			far = max(far, math.Abs(s))
		}
		if far < 1e-9 {
			break
		}
	}
	m := Model{Intercept: b[inputs], Weights: make([]float64, inputs)}
	for i := range m.Weights {
		m.Weights[i] = b[i] / scale[i]
		m.Intercept -= m.Weights[i] * mean[i]
	}
	return m, nil
}

// scales are the means and deviations of the inputs; without end of one that never
// varies.
func scales(rows [][]float64, inputs int) (mean, scale []float64) {
	mean, scale = make([]float64, inputs), make([]float64, inputs)
	for _, row := range rows {
		for i, x := range row {
			mean[i] += x / float64(len(rows))
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
	return mean, scale
}

// solve returns x of a·x = b for a symmetric positive definite a, of which the lower
// half is given (Cholesky).
func solve(a [][]float64, b []float64) ([]float64, error) {
	n := len(b)
	for i := range n {
		for j := range i + 1 {
			sum := a[i][j]
			for k := range j {
				sum -= a[i][k] * a[j][k]
			}
			switch {
			case i != j:
				a[i][j] = sum / a[j][j]
			case sum <= 0 || math.IsNaN(sum):
				return nil, errors.New("the inputs leave the weights open")
			default:
				a[i][i] = math.Sqrt(sum)
			}
		}
	}
	x := make([]float64, n)
	for i := range n {
		sum := b[i]
		for k := range i {
			sum -= a[i][k] * x[k]
		}
		x[i] = sum / a[i][i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			x[i] -= a[k][i] * x[k]
		}
		x[i] /= a[i][i]
	}
	return x, nil
}
