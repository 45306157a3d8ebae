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

// AUCError is the standard error of an AUC that was found on so many who did and
// who did not.
//
// Source: Hanley and McNeil, as above.
func AUCError(auc float64, did, didNot int) float64 {
	both, neither := auc/(2-auc), 2*auc*auc/(1+auc)
	spread := auc*(1-auc) + float64(did-1)*(both-auc*auc) + float64(didNot-1)*(neither-auc*auc)
	return math.Sqrt(spread / (float64(did) * float64(didNot)))
}

// AveragePrecision is the share of those who did among all who score as high or
// higher, on average over those who did; in [0, 1], by chance the share of those
// who did. When nothing happened it is NaN.
//
// Source: the sum of scikit-learn's average_precision_score, which does not
// interpolate: precision at each score, times the recall it adds.
func AveragePrecision(scores []float64, happened []bool) float64 {
	order := ascending(scores)
	slices.Reverse(order)
	did, sum := 0.0, 0.0
	for start := 0; start < len(order); {
		end := tied(scores, order, start)
		here := 0.0
		for _, i := range order[start:end] {
			if happened[i] {
				here++
			}
		}
		did += here
		sum += here * did / float64(end)
		start = end
	}
	return sum / did
}

// LogLoss is how surprising what happened was, on average, in nats; 0 is best.
// What was called impossible and happened makes it infinite.
func LogLoss(probabilities []float64, happened []bool) float64 {
	sum := 0.0
	for i, p := range probabilities {
		sum += Surprise(p, happened[i])
	}
	return sum / float64(len(probabilities))
}

// Surprise is how surprising what happened was, in nats.
func Surprise(probability float64, happened bool) float64 {
	if happened {
		return -math.Log(probability)
	}
	return -math.Log1p(-probability)
}

// Brier is the mean square of how far probabilities are from what happened, in
// [0, 1].
//
// Source: Brier, Monthly Weather Review 78 (1950), for two outcomes, halved.
func Brier(probabilities []float64, happened []bool) float64 {
	sum := 0.0
	for i, p := range probabilities {
		if happened[i] {
			p = 1 - p
		}
		sum += p * p
	}
	return sum / float64(len(probabilities))
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
