package stream

import (
	"maps"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"segue/schemas"
	"segue/state"
)

// The step that kills may lie far beyond what a turn takes, and M moves only
// between turns: it is noted in the end, found, and no other.
func TestKillerFarBeyondTheCommit(t *testing.T) {
	fs := vfs.NewMem()
	const span, turn, killer = 20, 70, 250
	m := Position{Next: 100}
	for lives := 1; ; lives++ {
		if lives > 20 {
			t.Fatalf("after %d deaths the step at %d is not found; M is %d", lives, killer, m.Next)
		}
		d, err := openDeaths("", fs)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.took(0, m, span); err != nil {
			t.Fatal(err)
		}
		isolated := d.isolated(0)
		for at := m.Next; at < killer; at++ {
			if d.killer(0, place{offset: at}) {
				t.Fatalf("after %d deaths the step at %d is taken for the one that kills", lives, at)
			}
			if isolated {
				if err := d.taking(0, place{offset: at}); err != nil {
					t.Fatal(err)
				}
			}
			if (at-m.Next)%turn == turn-1 && isolated {
				if err := d.survived(0); err != nil {
					t.Fatal(err)
				}
				if isolated = d.isolated(0); !isolated {
					m = Position{Next: at + 1}
					if err := d.over(0, m); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if isolated {
			if d.killer(0, place{offset: killer}) {
				return
			}
			if err := d.taking(0, place{offset: killer}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Steps that were done with are no reason for what ends the process later.
func TestDeathBetweenSteps(t *testing.T) {
	fs := vfs.NewMem()
	good := place{offset: 7}
	for range 10 {
		d, err := openDeaths("", fs)
		if err != nil {
			t.Fatal(err)
		}
		isolated, err := d.took(0, Position{Next: 7}, 5)
		if err != nil {
			t.Fatal(err)
		}
		if d.killer(0, good) {
			t.Fatal("a step is blamed for a death after it")
		}
		if isolated {
			if err := d.taking(0, good); err != nil {
				t.Fatal(err)
			}
			if err := d.survived(0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A commit and a control record say the same of what is skipped, until the log
// has lost the offset at which that was decided.
func TestSkips(t *testing.T) {
	record, wake := place{offset: 7}, place{-1, state.Wake{Due: 5, Key: "\xff\x00"}}
	want := skips{record: 7, wake: 9}
	var c commit
	c.Skips, c.Wakes = want.list()
	if got := c.skips(); !maps.Equal(got, want) {
		t.Errorf("by the commit: got %v, want %v", got, want)
	}
	got := skips{}
	for p := range want {
		var e schemas.Event
		if err := schemas.Decode(skipRecord(p), &e); err != nil {
			t.Fatal(err)
		}
		got.heed(e.GetSkip(), 9)
	}
	if !maps.Equal(got, want) {
		t.Errorf("by control records: got %v, want %v", got, want)
	}
	for _, at := range []struct{ start, left int }{{7, 2}, {8, 1}, {9, 1}, {10, 0}} {
		if got.forget(int64(at.start)); len(got) != at.left {
			t.Errorf("once the log begins at %d: %d skips, want %d", at.start, len(got), at.left)
		}
	}
}
