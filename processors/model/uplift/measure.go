package uplift

import (
	"cmp"
	"math"
	"slices"

	"segue/processors/model/draw"
	"segue/processors/model/lift"
	"segue/processors/model/measure"
)

// Qini is how much better than any order an order of rows by predicted uplift is,
// as a part of what the best order is better by; 0 by chance. NaN where no order is
// better than another, or an arm is missing.
//
// Source: Radcliffe, "Using control groups to target on predicted lift" (2007), as
// scikit-uplift's qini_auc_score computes it, whose perfect order has all who did
// in the treated arm first and all who did in the other last.
func Qini(uplift []float64, treated, happened []bool) float64 {
	perfect := make([]float64, len(uplift))
	for i := range perfect {
		switch {
		case happened[i] && treated[i]:
			perfect[i] = 1
		case happened[i]:
			perfect[i] = -1
		}
	}
	above := func(scores []float64) float64 {
		points := Curve(scores, treated, happened)
		last := points[len(points)-1]
		area := -last.X * last.Y / 2
		for i := 1; i < len(points); i++ {
			area += (points[i].X - points[i-1].X) * (points[i].Y + points[i-1].Y) / 2
		}
		return area
	}
	return above(uplift) / above(perfect)
}

// Curve is how many more did (Y) because of the treatment among the X rows of the
// highest predicted uplift, in as many treated rows as there are: a point for each
// distinct prediction, from none on.
func Curve(uplift []float64, treated, happened []bool) []measure.Point {
	points := []measure.Point{{}}
	var rows, did [2]float64
	order := descending(uplift)
	for at, i := range order {
		arm := 0
		if treated[i] {
			arm = 1
		}
		rows[arm]++
		if happened[i] {
			did[arm]++
		}
		if at+1 < len(order) && uplift[order[at+1]] == uplift[i] {
			continue
		}
		more := did[1]
		if rows[0] > 0 {
			more -= did[0] * rows[1] / rows[0]
		}
		points = append(points, measure.Point{X: float64(at + 1), Y: more})
	}
	return points
}

// descending are the places of scores, from the greatest to the least; equal ones
// are in no order, whatever that of the rows means.
func descending(scores []float64) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(draw.Hash(uint64(a)), draw.Hash(uint64(b))))
	})
	return order
}

// effect of the treatment in some rows.
func effect(rows []int, treated, happened []bool) lift.Effect {
	var with, without lift.Sums
	for _, i := range rows {
		value := 0.0
		if happened[i] {
			value = 1
		}
		if treated[i] {
			with.Add(value)
		} else {
			without.Add(value)
		}
	}
	return lift.Between(without, with)
}

// Bin is a group of rows of neighbouring predictions.
type Bin struct {
	// Predicted is the mean of the predicted uplifts, Observed what the treatment
	// did; NaN where an arm is missing.
	Predicted, Observed float64
	Count               int
}

// Calibration sets predicted uplift beside what came, in at most so many bins of
// equal size, from the least to the most.
func Calibration(uplift []float64, treated, happened []bool, bins int) []Bin {
	order := descending(uplift)
	slices.Reverse(order)
	var made []Bin
	for start := 0; start < len(order); {
		end := max((len(made)+1)*len(order)/bins, start+1)
		for end < len(order) && uplift[order[end]] == uplift[order[end-1]] {
			end++
		}
		if len(made) == bins-1 {
			end = len(order)
		}
		b := Bin{Observed: effect(order[start:end], treated, happened).Mean, Count: end - start}
		for _, i := range order[start:end] {
			b.Predicted += uplift[i] / float64(b.Count)
		}
		made = append(made, b)
		start = end
	}
	return made
}

// calibrationError is how far predictions are from what came, on average over the
// rows of the bins that have both arms.
func calibrationError(bins []Bin) float64 {
	var off, count float64
	for _, b := range bins {
		if !math.IsNaN(b.Observed) {
			off += float64(b.Count) * math.Abs(b.Predicted-b.Observed)
			count += float64(b.Count)
		}
	}
	return off / count
}
