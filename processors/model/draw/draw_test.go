package draw

import "testing"

// The first values of SplitMix64 seeded with 0, as its reference prints them.
func TestHash(t *testing.T) {
	const step = 0x9e3779b97f4a7c15
	for i, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f} {
		if got := Hash(uint64(i) * step); got != want {
			t.Errorf("Hash of step %d = %x, want %x", i, got, want)
		}
	}
}

// Each part has its share of either outcome, and of each place in a rhythm.
func TestParts(t *testing.T) {
	const n, rhythm = 10_000, 100
	happened := make([]bool, n)
	for i := range happened {
		happened[i] = i%10 == 0
	}
	var did, all [5]int
	var first [5]int // of the first place in the rhythm
	for i, part := range Parts(happened, 5) {
		all[part]++
		if happened[i] {
			did[part]++
		}
		if i%rhythm == 0 {
			first[part]++
		}
	}
	for part := range all {
		if all[part] != n/5 || did[part] != n/50 || first[part] < 10 || first[part] > 30 {
			t.Errorf("part %d has %d rows, %d in which it happened, and %d of a rhythm's 100, want 2000, 200 and about 20", part, all[part], did[part], first[part])
		}
	}
}
