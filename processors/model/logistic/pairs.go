package logistic

import (
	"cmp"
	"math"
	"slices"
)

// paired is how many inputs at most are looked at two by two.
const paired = 8

// Pairs is m with what inputs do together: for each two of the inputs that move
// the log-odds most, a weight for the product of their effects. So two that are
// both for it may be worth more than their sum, or less. The penalty is that of
// a ridge on the weights.
func (b *Basis) Pairs(m *Model, penalty float64) *Model {
	with := *m
	with.Paired, with.Weights = b.moving(m), nil
	size := 1 + len(with.Paired)*(len(with.Paired)-1)/2
	if size == 1 {
		return m
	}
	rows, alone := make([]float64, len(b.did)*size), make([]float64, len(b.did))
	row := make([]float64, len(b.columns))
	for i := range b.did {
		for c := range row {
			row[c] = b.columns[c][i]
		}
		alone[i] = m.LogOdds(row)
		var effects [paired]float64
		for k, input := range with.Paired {
			effects[k] = m.Curves[input].Effect(row[input])
		}
		products := append(rows[i*size:i*size], 1)
		for k := range with.Paired {
			for j := range k {
				products = append(products, effects[k]*effects[j])
			}
		}
	}
	logOdds := func(at []float64, i int) float64 {
		sum := alone[i]
		for k, x := range rows[i*size : (i+1)*size] {
			sum += at[k] * x
		}
		return sum
	}
	weights := newton(make([]float64, size), func(at []float64) float64 {
		cost := 0.0
		for i, h := range b.did {
			cost += loss(logOdds(at, i), h)
		}
		for _, w := range at[1:] {
			cost += penalty * w * w / 2
		}
		return cost
	}, func(at, gradient, hessian []float64) {
		clear(gradient)
		clear(hessian)
		for i, h := range b.did {
			p := 1 / (1 + math.Exp(-logOdds(at, i)))
			off, weight := p, p*(1-p)
			if h {
				off = p - 1
			}
			products := rows[i*size : (i+1)*size]
			for k, x := range products {
				gradient[k] += off * x
				for l, y := range products[k:] {
					hessian[k*size+k+l] += weight * x * y
				}
			}
		}
		for k := 1; k < size; k++ {
			gradient[k] += penalty * at[k]
			hessian[k*size+k] += penalty
		}
	})
	with.Intercept += weights[0]
	with.Weights = weights[1:]
	return &with
}

// moving are the inputs with the largest effects over the rows, by their squares.
func (b *Basis) moving(m *Model) []int {
	squares := make([]float64, len(b.columns))
	var inputs []int
	for c, column := range b.columns {
		for _, x := range column {
			e := m.Curves[c].Effect(x)
			squares[c] += e * e
		}
		if squares[c] > 0 {
			inputs = append(inputs, c)
		}
	}
	slices.SortFunc(inputs, func(i, j int) int {
		return cmp.Or(cmp.Compare(squares[j], squares[i]), cmp.Compare(i, j))
	})
	return inputs[:min(len(inputs), paired)]
}
