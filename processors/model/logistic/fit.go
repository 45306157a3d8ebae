package logistic

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"segue/processors/model/linear"
	"segue/processors/model/newton"
)

// Basis is training rows, ready to be fitted with any penalty.
type Basis struct {
	columns [][]float64
	did     []bool
	inputs  []input
	// size is how many coefficients there are, with the intercept, the first.
	size int
	// warm is where the last fit ended.
	warm []float64
}

// input is a column as shares of its points.
type input struct {
	at []float64
	// first is the coefficient of the first point; that of missing precedes it.
	first int
	// low and high are coefficients of a row, and share that of the high.
	low, high []int32
	share     []float32
}

const (
	// budget is about how many coefficients there are at most, since their cube
	// is what a step costs.
	budget = 500
	// finest and coarsest are how many points a curve is made from.
	finest, coarsest = 20, 3
	// ridge is the part of the penalty that pulls to 0 rather than to flat.
	ridge = .1
)

// NewBasis prepares columns, one for each input, of as many rows as happened
// has; NaN is missing. Both must have occurred.
func NewBasis(columns [][]float64, happened []bool) (*Basis, error) {
	if err := Check(columns, happened); err != nil {
		return nil, err
	}
	b := &Basis{columns: columns, did: happened, size: 1}
	// Of few rows no more is learnt than they can tell.
	points := min(finest, budget/max(len(columns), 1), int(math.Sqrt(float64(len(happened)))/2))
	for _, column := range columns {
		in := input{at: knots(column, max(points, coarsest)), first: b.size + 1}
		in.low, in.high, in.share = make([]int32, len(column)), make([]int32, len(column)), make([]float32, len(column))
		for i, x := range column {
			if math.IsNaN(x) || len(in.at) == 0 {
				in.low[i], in.high[i] = int32(b.size), int32(b.size)
				continue
			}
			low, high, share := between(in.at, x)
			in.low[i], in.high[i], in.share[i] = int32(in.first+low), int32(in.first+high), float32(share)
		}
		b.size += 1 + len(in.at)
		b.inputs = append(b.inputs, in)
	}
	b.warm = make([]float64, b.size)
	did := 0
	for _, h := range happened {
		if h {
			did++
		}
	}
	b.warm[0] = math.Log(float64(did) / float64(len(happened)-did))
	return b, nil
}

// Check says why nothing can be learnt from columns.
func Check(columns [][]float64, happened []bool) error {
	for i, column := range columns {
		if len(column) != len(happened) {
			return fmt.Errorf("input %d: got %d rows, want %d", i, len(column), len(happened))
		}
	}
	if len(happened) == 0 {
		return errors.New("got no rows to learn from")
	}
	if !slices.Contains(happened, !happened[0]) {
		return fmt.Errorf("got %d rows in all of which the outcome is %t, want some of both", len(happened), happened[0])
	}
	return nil
}

// knots are the values at which a curve may bend, from about as many
// quantiles.
func knots(column []float64, quantiles int) []float64 {
	sorted := make([]float64, 0, len(column))
	for _, x := range column {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			sorted = append(sorted, x)
		}
	}
	slices.Sort(sorted)
	if distinct := slices.Compact(slices.Clone(sorted)); len(distinct) <= quantiles {
		return distinct
	}
	var at []float64
	rest := make([]float64, 0, len(sorted))
	for start := 0; start < len(sorted); {
		end := start + 1
		for end < len(sorted) && sorted[end] == sorted[start] {
			end++
		}
		if (end-start)*quantiles < len(sorted) {
			rest = append(rest, sorted[start:end]...)
		} else {
			at = append(at, sorted[max(start-1, 0)], sorted[start], sorted[min(end, len(sorted)-1)])
		}
		start = end
	}
	for i := range quantiles {
		if len(rest) > 0 {
			at = append(at, rest[i*(len(rest)-1)/(quantiles-1)])
		}
	}
	if len(rest) > 0 {
		at = append(at, rest[(len(rest)-1)/100], rest[(len(rest)-1)*99/100])
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// Fit finds the coefficients under which what happened is most likely, less the
// penalty times half the squared differences along each curve.
func (b *Basis) Fit(penalty float64) *Model {
	b.warm = newton.Minimize(b.warm,
		func(at []float64) float64 { return b.cost(at, penalty) },
		func(at, gradient, hessian []float64) { b.differentiate(at, penalty, gradient, hessian) })
	return b.centred(b.warm)
}

func (b *Basis) logOdds(coefficients []float64) []float64 {
	sums := make([]float64, len(b.did))
	for i := range sums {
		sums[i] = coefficients[0]
	}
	for _, in := range b.inputs {
		for i := range sums {
			low := coefficients[in.low[i]]
			sums[i] += low + float64(in.share[i])*(coefficients[in.high[i]]-low)
		}
	}
	return sums
}

func (b *Basis) cost(coefficients []float64, penalty float64) float64 {
	cost := 0.0
	for i, z := range b.logOdds(coefficients) {
		cost += linear.Loss(z, b.did[i])
	}
	b.eachPenalty(func(i, j int, weight float64) {
		d := coefficients[i]
		if j >= 0 {
			d -= coefficients[j]
		}
		cost += penalty * weight * d * d / 2
	})
	return cost
}

// eachPenalty calls with what is penalised: the square of a coefficient, or of
// the difference of two.
func (b *Basis) eachPenalty(penalise func(i, j int, weight float64)) {
	for _, in := range b.inputs {
		penalise(in.first-1, -1, 1)
		for k := range in.at {
			penalise(in.first+k, -1, ridge)
			if k > 0 {
				penalise(in.first+k, in.first+k-1, 1)
			}
		}
	}
}

// differentiate writes the first and second derivatives of cost; of the second
// only what is not below the diagonal.
func (b *Basis) differentiate(coefficients []float64, penalty float64, gradient, hessian []float64) {
	clear(gradient)
	clear(hessian)
	n := b.size
	type part struct {
		at    int
		share float64
	}
	parts := make([]part, 0, 1+2*len(b.inputs))
	for i, z := range b.logOdds(coefficients) {
		p := 1 / (1 + math.Exp(-z))
		off, weight := p, p*(1-p)
		if b.did[i] {
			off = p - 1
		}
		parts = append(parts[:0], part{0, 1})
		for _, in := range b.inputs {
			share := float64(in.share[i])
			parts = append(parts, part{int(in.low[i]), 1 - share})
			if share > 0 {
				parts = append(parts, part{int(in.high[i]), share})
			}
		}
		for k, a := range parts {
			gradient[a.at] += off * a.share
			scaled := weight * a.share
			line := hessian[a.at*n : a.at*n+n]
			for _, c := range parts[k:] {
				line[c.at] += scaled * c.share
			}
		}
	}
	b.eachPenalty(func(i, j int, weight float64) {
		w := penalty * weight
		if j < 0 {
			gradient[i] += w * coefficients[i]
			hessian[i*n+i] += w
			return
		}
		d := coefficients[i] - coefficients[j]
		gradient[i] += w * d
		gradient[j] -= w * d
		hessian[i*n+i] += w
		hessian[j*n+j] += w
		hessian[j*n+i] -= w
	})
}

// centred makes curves of coefficients, each with a mean of 0 over the rows.
func (b *Basis) centred(coefficients []float64) *Model {
	m := &Model{Intercept: coefficients[0]}
	for _, in := range b.inputs {
		mean := 0.0
		for i := range in.low {
			low := coefficients[in.low[i]]
			mean += low + float64(in.share[i])*(coefficients[in.high[i]]-low)
		}
		mean /= float64(len(b.did))
		m.Intercept += mean
		curve := Curve{Missing: coefficients[in.first-1] - mean, At: in.at, Effects: make([]float64, len(in.at))}
		for k := range in.at {
			curve.Effects[k] = coefficients[in.first+k] - mean
		}
		m.Curves = append(m.Curves, curve)
	}
	return m
}
