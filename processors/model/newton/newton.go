// Package newton finds the minimum of a cost whose slopes are known, by Newton's
// method with steps that are halved until they gain something.
//
//	cost, its derivatives → Minimize → where it is least
package newton

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Minimize finds where cost is least. It must be convex; differentiate writes its
// gradient, and its curvature on and above the diagonal, into what it is given.
// Each step lowers the cost, so where rounding ends it early is no worse than
// start.
func Minimize(start []float64, cost func([]float64) float64, differentiate func(at, gradient, hessian []float64)) []float64 {
	n := len(start)
	at, next := slices.Clone(start), make([]float64, n)
	gradient, hessian := mat.NewVecDense(n, nil), mat.NewSymDense(n, nil)
	var factored mat.Cholesky
	var step mat.VecDense
	now := cost(at)
	for range 100 {
		differentiate(at, gradient.RawVector().Data, hessian.RawSymmetric().Data)
		if !factored.Factorize(hessian) {
			break
		}
		factored.SolveVecTo(&step, gradient) // its error says that it is inexact, which the search below bears
		gained := 0.0
		for length := 1.0; length > 1e-6; length /= 2 {
			for i := range next {
				next[i] = at[i] - length*step.AtVec(i)
			}
			if gained = now - cost(next); gained > 0 {
				break
			}
		}
		if !(gained > 0) {
			break
		}
		at, next = next, at
		now -= gained
		if gained < 1e-9*(1+math.Abs(now)) {
			break
		}
	}
	return at
}
