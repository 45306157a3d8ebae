package playbook

import (
	"math"
	"slices"
)

// term is one thing that the conditions of segments read: a window, an instant, a
// score, a text, or a comparison that is none of theirs with a written value.
// Thousands of conditions read but hundreds of terms.
//
// The values that it is compared with are its edges, and all that any condition can
// know of it is between which two of them it lies: its level. So a condition turns
// only when a term changes its level, and those who compare it with just that edge
// are all who have to be asked.
type term struct {
	of    node
	edges []int64  // sorted; of a text none
	texts []string // sorted
	// asks are, by the level above each edge, the segments to ask when it is passed,
	// by their place in Playbook.Order.
	asks [][]int32
}

// still is the instant at which what does not turn turns.
const still = math.MaxInt64

// stands returns at which level t is, and until when it is sure to be there if
// nothing happens: an instant after f.Now, or still.
func (t *term) stands(f Facts) (level int32, until int64) {
	switch of := t.of.(type) {
	case *count:
		level, until = of.stands(f, t.edges)
	case *elapsed:
		level, until = of.stands(f, t.edges)
	case *ahead:
		level, until = of.stands(f, t.edges)
	case *crossing:
		level, until = of.stands(f, t.edges)
	default:
		v, changes := t.of.eval(f)
		if until = changes; len(t.texts) > 0 {
			if i, found := slices.BinarySearch(t.texts, v.s); found {
				level = int32(i) + 1
			}
		} else {
			level = passed(t.edges, v.n)
		}
	}
	if until == 0 {
		until = still
	}
	return level, until
}

func passed(edges []int64, v int64) int32 { return int32(Reached(edges, v)) }

func (c *count) stands(f Facts, edges []int64) (level int32, until int64) {
	series := find(f.Profile, c.need.ID)
	switch {
	case series == nil:
		return passed(edges, 0), 0
	case c.need.Window == 0:
		return passed(edges, series.Count), 0
	}
	at, n := int(passed(edges, 0)), int64(0)
	// From the newest point back: the last turn met is the first to come. What is
	// older than the point that passes the last edge turns nothing.
	for i := len(series.Points) - 1; i >= 0 && (c.money || at < len(edges)); i-- {
		x := &series.Points[i]
		leaves := c.leaves(x)
		if leaves <= f.Now {
			break
		}
		n += c.of(x)
		for ; at < len(edges) && edges[at] <= n; at++ {
			until = leaves
		}
		for ; at > 0 && edges[at-1] > n; at-- {
			until = leaves
		}
	}
	return int32(at), until
}

func (e *elapsed) stands(f Facts, edges []int64) (level int32, until int64) {
	since, until := e.since.eval(f)
	if since.n == 0 {
		return int32(len(edges)), until // never is longer ago than anything
	}
	if level = passed(edges, f.Now-since.n); int(level) < len(edges) {
		until = Sooner(until, since.n+edges[level])
	}
	return level, until
}

func (a *ahead) stands(f Facts, edges []int64) (level int32, until int64) {
	at, until := a.of.eval(f)
	if at.n == 0 {
		return int32(len(edges)), until // never is later than anything
	}
	if level = passed(edges, at.n-f.Now); level > 0 {
		until = Sooner(until, at.n-edges[level-1]+1)
	}
	return level, until
}

// stands leaves it to who publishes the score to solve for when it passes an edge, as
// they must, and to ask then.
func (c *crossing) stands(f Facts, edges []int64) (level int32, until int64) {
	if f.Scores == nil {
		return passed(edges, 0), 0
	}
	v, _ := f.Scores.At(c.of, f.Now)
	return passed(edges, v), 0
}
