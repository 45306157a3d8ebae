package stream

import (
	"context"
	"errors"
	"testing"
)

// Two rules of flights that no schedule of the simulation needs: its keys are
// few, so a flight is saved at once, and mostly written before anybody minds.

// What is saved late is saved as it was when it was frozen: what came since may
// not be committed.
func TestFlightSavesWhatWasFrozen(t *testing.T) {
	store := openStore(t).Partition(0)
	f := newFold(new(toy), store)
	fold := func(offset int64) {
		t.Helper()
		if err := f.record(context.Background(), record{offset: offset, at: hour, key: []byte("ada"), value: []byte("view")}); err != nil {
			t.Fatal(err)
		}
	}
	fold(0)
	if err := f.freeze("topic", 1); err != nil {
		t.Fatal(err)
	}
	fold(1)
	f.saveNext(forever)
	if err := f.flight.write(); err != nil {
		t.Fatal(err)
	}
	again := newFold(new(toy), store)
	e, err := again.load("ada")
	if err != nil || e.asOf != 0 || e.state.Count != 1 {
		t.Errorf("in the store: as of %d, count %d, %v; want the state before the second record", e.asOf, e.state.Count, err)
	}
}

// A partition that is given up writes nothing any more: its next life here
// does.
func TestFlightOfAFormerLife(t *testing.T) {
	store := openStore(t).Partition(0)
	f := newFold(new(toy), store)
	if err := f.record(context.Background(), record{at: hour, key: []byte("ada"), value: []byte("view")}); err != nil {
		t.Fatal(err)
	}
	if err := f.freeze("topic", 1); err != nil {
		t.Fatal(err)
	}
	f.saveNext(forever)
	late := f.flight
	(&partition[toyState, string]{fold: f, store: store}).release()
	if err := late.write(); !errors.Is(err, errCancelled) {
		t.Errorf("write() after release() = %v, want %v", err, errCancelled)
	}
	if _, ok, err := store.Head(); ok || err != nil {
		t.Errorf("Head() = %v, %v, want none", ok, err)
	}
}
