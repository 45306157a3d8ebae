package logistic

import (
	"cmp"
	"slices"

	"segue/processors/model/linear"
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
	weights := linear.Weights(make([]float64, size), rows, alone, b.did, penalty)
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
