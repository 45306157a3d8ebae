package stream

import (
	"fmt"
	"testing"
)

// shopOf is a fold in memory that has met so many customers, one event each.
func shopOf(t *testing.T, task Task[toyState, string], customers int) *fold[toyState, string] {
	t.Helper()
	f := newFold(task, nil)
	for i := range customers {
		r := record{offset: int64(i), at: past.UnixMilli(), key: fmt.Appendf(nil, "c%04d", i), value: []byte("view")}
		if err := f.record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f *fold[S, D]) decoded() (n int, all, loose, pending int64) {
	for _, e := range f.entries.ring.all {
		all += int64(e.size)
		if e.touched == f.entries.open {
			pending += int64(e.size)
		}
		if e.state != nil {
			n++
			loose += int64(e.size)
		}
	}
	return n, all, loose, pending
}

// Who does not come back is packed, also before the store knows; who does stays as
// they are, and whoever comes again is unpacked and nothing is lost of them.
func TestColdStatesArePacked(t *testing.T) {
	const customers = 1000
	f := shopOf(t, new(toy), customers)
	before := f.entries.ring.bytes
	limit := before // room for all, but not decoded
	regular := "c0007"
	for range 64 { // the hand comes by
		f.entries.get(regular)
		f.shrink(limit, evictions)
	}
	n, all, loose, pending := f.decoded()
	if got := f.entries; all != got.ring.bytes || loose != got.loose.bytes || pending != got.pending || n != len(got.loose.all) {
		t.Fatalf("%d decoded, %d bytes of %d, %d to be written; the entries say %d, %d of %d, %d", n, loose, all, pending, len(got.loose.all), got.loose.bytes, got.ring.bytes, got.pending)
	}
	if len(f.entries.ring.all) != customers || loose > limit/looseShare || all >= before*2/3 {
		t.Errorf("%d customers take %d bytes, %d of them decoded; want %d, at most a sixteenth of %d decoded, and much less than before", len(f.entries.ring.all), all, loose, customers, before)
	}
	if f.entries.get(regular).state == nil {
		t.Errorf("%s is packed, who came all the time", regular)
	}
	if err := f.record(t.Context(), record{offset: customers, at: past.UnixMilli(), key: []byte("c0001"), value: []byte("view")}); err != nil {
		t.Fatal(err)
	}
	if e := f.entries.get("c0001"); e.state == nil || e.state.Count != 2 || e.packed != nil {
		t.Errorf("c0001 came again: %+v, packed %q; want 2 records, and not what it was", e.state, e.packed)
	}
}

// However many came at once behind a backlog, and however few may be looked at,
// they are packed before the next come: states that pile up and are packed later
// leave the heap full of holes.
func TestPackingKeepsUpWithABacklog(t *testing.T) {
	f := shopOf(t, new(toy), 1000)
	limit := f.entries.ring.bytes
	f.shrink(limit, 1)
	if n, _, loose, _ := f.decoded(); loose > limit/looseShare || n == 0 {
		t.Errorf("%d states take %d bytes decoded, want some, and at most %d", n, loose, limit/looseShare)
	}
}

// lean is a task whose states take no more than their bytes.
type lean struct{ *toy }

func (l lean) Size(s *toyState) int { return len(l.Encode(nil, s)) }

// States that are small already stay, and nothing tries again and again.
func TestLeanStatesStayAsTheyAre(t *testing.T) {
	f := shopOf(t, lean{new(toy)}, 100)
	for range 4 {
		f.shrink(f.entries.ring.bytes, evictions)
	}
	if n, _, _, _ := f.decoded(); n != 100 || !f.entries.bulky {
		t.Errorf("%d states are decoded, want all 100", n)
	}
}
