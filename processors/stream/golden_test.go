package stream

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"segue/state"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/store-1 anew; for a new format add a folder instead")

const goldenStore = "testdata/store-1"

// goldenLog leaves of everything something: keys that wait, keys that are
// dirty and clean, a version in force.
func goldenLog() (log []record) {
	at := int64(1_700_000_000_000)
	for i, what := range []string{"cart", "view", "nag", "order", "cart", "", "cart", "view"} {
		r := record{offset: int64(i), at: at + int64(i)*60_000, key: fmt.Appendf(nil, "customer-%d", i%3), value: []byte(what)}
		if what == "" {
			r.key, r.value = nil, inForce("r2")
		}
		log = append(log, r)
	}
	return log
}

// A store that an earlier version wrote opens, fits, and is folded on.
func TestStoreOfFormat1(t *testing.T) {
	log := goldenLog()
	half := len(log) - 2
	if *rewrite {
		writeGolden(t, log[:half])
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(goldenStore)); err != nil {
		t.Fatal(err)
	}
	s, err := state.Open(dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	store := s.Partition(7)
	head, ok, err := store.Head()
	if err != nil || !ok {
		t.Fatalf("Head() = %v, %v, want what was stored", ok, err)
	}
	found, err := walk(new(toy), store, head)
	if err := found.wrong.err(); err != nil {
		t.Error(err)
	}
	if err != nil || found.keys != 3 || found.wakes != 1 || found.dirty != 2 {
		t.Errorf("walk() = %+v, %v, want three keys, one of them waiting and two dirty", found, err)
	}
	f := newFold(new(toy), store)
	var l local
	if err := json.Unmarshal(head.Position, &l); err != nil || l.M.Next != int64(half) {
		t.Fatalf("position: got %+v, %v, want offset %d", l, err, half)
	}
	f.reset(l.M, head)
	for _, r := range log[half:] {
		if err := f.record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.drain(state.Wake{Due: f.pos.Clock}, forever); err != nil {
		t.Fatal(err)
	}
	want := judge(log)
	for key, o := range want.states {
		e, err := f.load(key)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := encodedState(t, f, e), string(f.task.Encode(nil, o)); got != want {
			t.Errorf("state of %s: got %s, want %s", key, got, want)
		}
	}
}

// writeGolden leaves a table, and a tail in the log of writes.
func writeGolden(t *testing.T, log []record) {
	if err := os.RemoveAll(goldenStore); err != nil {
		t.Fatal(err)
	}
	f := newFold[toyState, string](new(toy), nil)
	f.reset(Position{}, empty)
	for _, part := range [][]record{log[:2], log[2:]} {
		s, err := state.Open(goldenStore, state.Options{Memory: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		x := &partition[toyState, string]{id: 7, store: s.Partition(7), fold: f}
		f.store = x.store
		for _, r := range part {
			if err := f.record(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		x.flushTo = 2
		if err := x.flush(1, func(string, *toyState, []byte) int { return 1 }); err != nil {
			t.Fatal(err)
		}
		f.clean = x.clean
		if err := x.apply("topic", 1); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
