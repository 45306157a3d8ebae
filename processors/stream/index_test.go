package stream

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// The index is a map, whatever comes and goes.
func TestIndexIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, want := newIndex[toyState](), map[string]*entry[toyState]{}
		for range rapid.IntRange(0, 400).Draw(t, "changes") {
			key := fmt.Sprint(rapid.IntRange(0, 120).Draw(t, "key"))
			if e := want[key]; e != nil {
				x.remove(e)
				delete(want, key)
			} else {
				e := &entry[toyState]{key: key}
				x.add(e)
				want[key] = e
			}
		}
		for i := range 121 {
			if key := fmt.Sprint(i); x.get(key) != want[key] {
				t.Fatalf("get(%s) = %v, want %v", key, x.get(key), want[key])
			}
		}
		if x.count != len(want) {
			t.Errorf("count: got %d, want %d", x.count, len(want))
		}
	})
}
