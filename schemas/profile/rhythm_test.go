package profile

import (
	"testing"

	"pgregory.net/rapid"
)

func TestRhythm(t *testing.T) {
	var r Rhythm
	if days, span := r.Count(); days != 0 || span != 0 {
		t.Errorf("of nothing: %d days in %d", days, span)
	}
	for _, at := range []int64{1000, 1000 + 3*day, 1000 + 3*day + 5, 1000 + 100*day} {
		r.Add(at)
	}
	if days, span := r.Count(); days != 3 || span != 100 || r.At != 1000+100*day {
		t.Errorf("got %d days in %d, want 3 in 100", days, span)
	}
	if n := r.Within(97); n != 1 {
		t.Errorf("Within(97) = %d, want 1", n)
	}
	if n := r.Within(98); n != 2 {
		t.Errorf("Within(98) = %d, want 2: the day that lies 97 before", n)
	}
	r.Add(1000 + 130*day)
	if days, span := r.Count(); days != 3 || span != 127 {
		t.Errorf("got %d days in %d, want 3 in 127: the first is too long ago", days, span)
	}
}

// In whichever order things arrive, under one name or two, the rhythm is the same.
func TestRhythmOfAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.SliceOf(rapid.Int64Range(1, 400*day)).Draw(t, "instants")
		var a, b, c Rhythm
		for _, x := range at {
			a.Add(x)
		}
		for i, x := range rapid.Permutation(at).Draw(t, "order") {
			if i%2 == 0 {
				b.Add(x)
			} else {
				c.Add(x)
			}
		}
		if c.Join(b); a != c {
			t.Fatalf("got %+v, want %+v", c, a)
		}
	})
}
