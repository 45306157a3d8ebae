// Package measure says how good predictions were, once it is known what
// happened.
//
//	scores, outcomes → AUC, calibration, gain
//	forecasts, counts → mean absolute error, root mean square error
//
// Not obvious: equal scores are never told apart by their place in the input. A
// pair of them counts half in the AUC, a bin of the calibration holds all or
// none of them, and the curve of gain is straight across them.
package measure

import (
	"cmp"
	"math"
	"slices"
)

// AUC is the probability that one who did scores above one who did not, in
// [0, 1]; .5 is no better than chance. Without one of each it is NaN.
//
// Source: Hanley and McNeil, Radiology 143 (1982), as the Mann-Whitney U.
func AUC(scores []float64, happened []bool) float64 {
	order := ascending(scores)
	var ranks, did float64
	for start := 0; start < len(order); {
		end := tied(scores, order, start)
		for _, i := range order[start:end] {
			if happened[i] {
				did++
				ranks += float64(start+end+1) / 2
			}
		}
		start = end
	}
	return (ranks - did*(did+1)/2) / (did * (float64(len(scores)) - did))
}

// Bin is a group of neighbouring predictions.
type Bin struct {
	// Predicted is the mean of the probabilities, Observed the share in which
	// it happened; both in [0, 1].
	Predicted, Observed float64
	Count               int
}

// Calibration sets probabilities beside what happened, in at most bins groups of
// equal size, from the least probable to the most.
func Calibration(probabilities []float64, happened []bool, bins int) []Bin {
	order := ascending(probabilities)
	var made []Bin
	for start := 0; start < len(order); {
		// Where the bin that holds the next one should end, of those of equal size.
		bin := start * bins / len(order)
		aim := ((bin+1)*len(order) + bins - 1) / bins
		end := tied(probabilities, order, max(aim, start+1)-1)
		b := Bin{Count: end - start}
		for _, i := range order[start:end] {
			b.Predicted += probabilities[i]
			if happened[i] {
				b.Observed++
			}
		}
		b.Predicted /= float64(b.Count)
		b.Observed /= float64(b.Count)
		made = append(made, b)
		start = end
	}
	return made
}

// CalibrationError is how far probabilities are from what happened, on average
// over the customers of the bins, in [0, 1]: the expected calibration error.
//
// Source: Naeini, Cooper and Hauskrecht, AAAI 2015, with bins of equal size, so
// that a rare outcome does not fall into one of them.
func CalibrationError(bins []Bin) float64 {
	var off, count float64
	for _, b := range bins {
		off += float64(b.Count) * math.Abs(b.Predicted-b.Observed)
		count += float64(b.Count)
	}
	return off / count
}

// Point is a place on a curve.
type Point struct{ X, Y float64 }

// Gain is the curve of how large a share of all that happened (Y) lies in the
// share X of highest scores, at about steps places and at both ends.
func Gain(scores []float64, happened []bool, steps int) []Point {
	order := ascending(scores)
	slices.Reverse(order)
	total := 0
	for _, h := range happened {
		if h {
			total++
		}
	}
	curve := []Point{{}}
	did, drawn := 0, 0
	for start := 0; start < len(order); {
		end := tied(scores, order, start)
		for _, i := range order[start:end] {
			if happened[i] {
				did++
			}
		}
		if step := end * steps / len(order); step > drawn || end == len(order) {
			drawn = step
			curve = append(curve, Point{float64(end) / float64(len(order)), float64(did) / float64(max(total, 1))})
		}
		start = end
	}
	return curve
}

// MeanAbsoluteError is the mean distance of forecasts from what came.
func MeanAbsoluteError(forecasts, actual []float64) float64 {
	sum := 0.0
	for i, f := range forecasts {
		sum += math.Abs(f - actual[i])
	}
	return sum / float64(len(forecasts))
}

// RootMeanSquareError weighs a large miss more than many small ones.
func RootMeanSquareError(forecasts, actual []float64) float64 {
	sum := 0.0
	for i, f := range forecasts {
		sum += (f - actual[i]) * (f - actual[i])
	}
	return math.Sqrt(sum / float64(len(forecasts)))
}

// ascending are the places of scores, from the least to the greatest.
func ascending(scores []float64) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(scores[a], scores[b]), cmp.Compare(a, b))
	})
	return order
}

// tied is where the scores that equal the one at place at end.
func tied(scores []float64, order []int, at int) int {
	end := at + 1
	for end < len(order) && scores[order[end]] == scores[order[at]] {
		end++
	}
	return end
}
