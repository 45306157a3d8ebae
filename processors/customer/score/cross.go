package score

import (
	"math"

	"segue/schemas/playbook"
)

// Solve is playbook.Crosses of churn, which is the dearest to ask: it rises from its
// last sign of life on, and the odds are solved for. Others are left to that.
func (r *Reader) Solve(s playbook.Score, edges []int64, v, now int64) (at int64, ok bool) {
	if s != playbook.Churn {
		return 0, false
	}
	for _, edge := range edges {
		if edge > v {
			return r.rises(edge, now), true
		}
	}
	return 0, true // silence brings nobody back
}

// forEver is longer than anybody waits, in days.
const forEver = 36_600

// rises is when churn, which is less now, reaches edge.
func (r *Reader) rises(edge, now int64) int64 {
	c := r.leaving()
	x := (float64(edge) - .5) / million // rounded, it is edge
	if c.since == 0 || x >= 1 {
		return 0
	}
	t := c.reaches(x/(1-x), forEver)
	if t > forEver {
		return 0
	}
	reached := func(at int64) bool { return rounded(playbook.Churn, 1-r.alive(at)) >= edge }
	at := max(now+1, c.since+int64(math.Ceil(t*day)))
	for step := int64(1); !reached(at); step *= 2 { // what is left are errors in the last bits
		at += step
	}
	for at > now+1 && reached(at-1) {
		at--
	}
	return at
}
