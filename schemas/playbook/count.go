package playbook

import (
	"sort"

	"segue/schemas/profile"
)

// Between events a count changes only as its oldest point leaves the window.
// What compares counts walks the points once and finds the one that turns it.

// count is how many happenings lie in a window, or their money.
type count struct {
	need   Need
	money  bool
	source string
}

func (c *count) kind() kind {
	if c.money {
		return money
	}
	return number
}

func (c *count) eval(f Facts) (value, int64) {
	ever, points := c.inside(f)
	if len(points) == 0 {
		return value{n: ever}, 0
	}
	n := int64(0)
	for i := range points {
		n += c.of(&points[i])
	}
	return value{n: n}, c.leaves(&points[0])
}

// inside returns the points in the window; the number since ever of a need that
// has none.
func (c *count) inside(f Facts) (ever int64, points []profile.Point) {
	series := find(f.Profile, c.need.ID)
	if series == nil {
		return 0, nil
	}
	if c.need.Window == 0 {
		return series.Count, nil
	}
	gone := sort.Search(len(series.Points), func(i int) bool { return c.leaves(&series.Points[i]) > f.Now })
	return 0, series.Points[gone:]
}

func (c *count) of(x *profile.Point) int64 {
	if c.money {
		return x.Micros
	}
	return x.N
}

// leaves is when x leaves the window.
func (c *count) leaves(x *profile.Point) int64 { return x.At + c.need.Window }

// threshold compares a count with a constant.
type threshold struct {
	count *count
	op    relation
	than  *constant
}

func (t *threshold) kind() kind { return boolean }
func (t *threshold) eval(f Facts) (value, int64) {
	c, than := t.count, t.than.value.n
	series := find(f.Profile, c.need.ID)
	if series == nil {
		return truth(t.op.holds(0, than)), 0
	}
	if c.need.Window == 0 {
		return truth(t.op.holds(series.Count, than)), 0
	}
	n, holds, until := int64(0), t.op.holds(0, than), int64(0)
	// From the newest point back: the last turn met is the first to come. What is
	// older than the point that exceeds a number turns nothing.
	for i := len(series.Points) - 1; i >= 0 && (c.money || n <= than); i-- {
		x := &series.Points[i]
		leaves := c.leaves(x)
		if leaves <= f.Now {
			break
		}
		n += c.of(x)
		if t.op.holds(n, than) != holds {
			holds, until = !holds, leaves
		}
	}
	return truth(holds), until
}

// balance compares sums of which counts are parts.
type balance struct {
	comparison
	counts []part
	others []node // what else changes with time
}

// part is a count on one side of a balance.
type part struct {
	*count
	sign  int64
	right bool
}

// weigh notes what of n changes with time.
func (b *balance) weigh(n node, sign int64, right bool) {
	switch n := n.(type) {
	case *sum:
		b.weigh(n.left, sign, right)
		if n.op == "-" {
			sign = -sign
		}
		b.weigh(n.right, sign, right)
	case *count:
		b.counts = append(b.counts, part{n, sign, right})
	default:
		b.others = append(b.others, n)
	}
}

func (b *balance) eval(f Facts) (value, int64) {
	l, _ := b.left.eval(f)
	r, _ := b.right.eval(f)
	holds := b.op.holds(l.n, r.n)
	until := int64(0)
	for _, n := range b.others {
		_, changes := n.eval(f)
		until = Sooner(until, changes)
	}
	var few [4][]profile.Point
	inside := few[:0]
	for _, c := range b.counts {
		_, points := c.inside(f)
		inside = append(inside, points)
	}
	for {
		at := until
		for i, c := range b.counts {
			if len(inside[i]) > 0 {
				at = Sooner(at, c.leaves(&inside[i][0]))
			}
		}
		if at == until {
			return truth(holds), until
		}
		for i, c := range b.counts {
			if len(inside[i]) == 0 || c.leaves(&inside[i][0]) != at {
				continue
			}
			gone := c.sign * c.of(&inside[i][0])
			if c.right {
				r.n -= gone
			} else {
				l.n -= gone
			}
			inside[i] = inside[i][1:]
		}
		if b.op.holds(l.n, r.n) != holds {
			return truth(holds), at
		}
	}
}
