package ranks

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// worths draws what customers are worth: far apart, or many of them the same.
func worths() *rapid.Generator[[]int64] {
	return rapid.Custom(func(t *rapid.T) []int64 {
		usual := rapid.SliceOfN(rapid.Int64Range(least, 1e9), 1, 4).Draw(t, "usual")
		one := rapid.Custom(func(t *rapid.T) int64 {
			if rapid.Bool().Draw(t, "usual") {
				return rapid.SampledFrom(usual).Draw(t, "of") + rapid.Int64Range(0, 1).Draw(t, "more")
			}
			return int64(math.Exp(rapid.Float64Range(math.Log(least)+1e-9, math.Log(1e13)).Draw(t, "log")))
		})
		return rapid.SliceOfN(one, 1, 400).Draw(t, "worths")
	})
}

// below is the exact share of values below v; to counts those that are v, too.
func below(sorted []int64, v float64, to bool) float64 {
	n := 0
	for _, x := range sorted {
		if float64(x) < v || to && float64(x) == v {
			n++
		}
	}
	return float64(n) / float64(len(sorted))
}

// width is by how much the ends of a bin are apart, and a millionth of the least.
const width = 2*accuracy + 2e-4

// Everybody's rank is the share of those who are worth less, within a point, and
// those whose worth the sketch does not tell from theirs.
func TestBreakpointsAreWithinThePoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := worths().Draw(t, "all")
		s := spreadOf(slices.Values(all))
		points := s.breakpoints()
		if len(points) != parts-1 || !slices.IsSorted(points) || s.total != float64(len(all)) {
			t.Fatalf("%d breakpoints of %v customers, sorted %v, want %d of %d", len(points), s.total, slices.IsSorted(points), parts-1, len(all))
		}
		for _, v := range all {
			exceeded, _ := slices.BinarySearch(points, float64(v)/million)
			rank := float64(exceeded) / parts
			low, high := below(all, float64(v)*(1-width), false)-point, below(all, float64(v), false)
			if rank < low-1e-9 || rank > high+1e-9 {
				t.Fatalf("%d exceeds %v of the breakpoints, want %v to %v", v, rank, low, high)
			}
		}
		if off := s.moved(points); off > 1e-9 {
			t.Fatalf("breakpoints are off by %v at once, want 0", off)
		}
	})
}

// How far breakpoints have moved is what an exact count says, but for values that the
// sketch does not tell apart.
func TestMovedIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := spreadOf(slices.Values(worths().Draw(t, "before"))).breakpoints()
		now := worths().Draw(t, "now")
		var least, most float64
		for i, v := range points {
			want, v := float64(i+1)/parts, v*million
			most = max(most, below(now, v, false)-want, want-below(now, v, true))
			least = max(least, below(now, v*(1-width), false)-want, want-below(now, v*(1+width), true))
		}
		if got := spreadOf(slices.Values(now)).moved(points); got < least-1e-9 || got > most+1e-9 {
			t.Fatalf("moved = %v, want %v to %v", got, least, most)
		}
	})
}

func TestMovedWithoutBreakpoints(t *testing.T) {
	if got := spreadOf(slices.Values([]int64{1e6})).moved(nil); got != 1 {
		t.Errorf("moved(none) = %v, want 1: there are to be some", got)
	}
	if s := spreadOf(slices.Values([]int64{0, least - 1, -5})); s.total != 0 {
		t.Errorf("%v customers are worth something, want none", s.total)
	}
}
