package measure

import (
	"math"
	"testing"
)

func TestRanking(t *testing.T) {
	for _, tc := range []struct {
		name                        string
		relevant                    []bool
		wanted                      int
		recall, hit, ndcg, firstOne float64
	}{
		{"all in front", []bool{true, true, false}, 2, 1, 1, 1, 1},
		{"nothing", []bool{false, false, false}, 2, 0, 0, 0, 0},
		{"no list", nil, 2, 0, 0, 0, 0},
		{"the second of one", []bool{false, true, false}, 1, 1, 1, 1 / math.Log2(3), .5},
		{"beyond the cut", []bool{false, false, false, true}, 1, 0, 0, 0, 0},
		// No list of three holds more than three, which is as good as can be.
		{"more wanted than fit", []bool{true, true, true}, 6, .5, 1, 1, 1},
	} {
		r := Ranking{K: 3}
		r.Add(tc.relevant, tc.wanted)
		if r.Recall() != tc.recall || r.HitRate() != tc.hit || math.Abs(r.NDCG()-tc.ndcg) > 1e-15 || r.ReciprocalRank() != tc.firstOne {
			t.Errorf("%s: got recall %v, hit %v, NDCG %v, reciprocal rank %v, want %v, %v, %v, %v", tc.name,
				r.Recall(), r.HitRate(), r.NDCG(), r.ReciprocalRank(), tc.recall, tc.hit, tc.ndcg, tc.firstOne)
		}
	}
	r := Ranking{K: 3}
	if r.Recall() != 0 || r.HitRate() != 0 || r.NDCG() != 0 || r.ReciprocalRank() != 0 {
		t.Errorf("of no lists: got %v, %v, %v, %v, want 0", r.Recall(), r.HitRate(), r.NDCG(), r.ReciprocalRank())
	}
	r.Add([]bool{true}, 1)
	r.Add([]bool{false}, 1)
	if r.Recall() != .5 || r.Lists != 2 {
		t.Errorf("of a hit and a miss: got recall %v of %d lists, want .5 of 2", r.Recall(), r.Lists)
	}
}
