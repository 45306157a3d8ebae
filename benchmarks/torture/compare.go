package main

import "slices"

// counts are what must be zero.
type counts struct {
	right                                int
	lost, repeated, outOfOrder, uncaused int
}

func (c *counts) add(o counts) {
	c.right += o.right
	c.lost += o.lost
	c.repeated += o.repeated
	c.outOfOrder += o.outOfOrder
	c.uncaused += o.uncaused
}

func (c counts) wrong() int { return c.lost + c.repeated + c.outOfOrder + c.uncaused }

// compare says how what a reader got of one customer differs from what the fold
// gives: got must be want, no more, no less, in this order.
func compare(want, got []string) (c counts) {
	if slices.Equal(want, got) {
		c.right = len(got)
		return c
	}
	left, known := map[string]int{}, map[string]bool{}
	for _, w := range want {
		left[w]++
		known[w] = true
	}
	var kept []string // got, once each
	for _, g := range got {
		switch {
		case left[g] > 0:
			left[g]--
			kept = append(kept, g)
		case known[g]:
			c.repeated++
		default:
			c.uncaused++
		}
	}
	there := map[string]int{}
	for _, k := range kept {
		there[k]++
	}
	var order []string // want, of what is there
	for _, w := range want {
		if there[w] > 0 {
			there[w]--
			order = append(order, w)
		} else {
			c.lost++
		}
	}
	for i, k := range kept {
		if k != order[i] {
			c.outOfOrder++
		} else {
			c.right++
		}
	}
	return c
}
