package stream

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream/streamtest"
)

// A broker says that a transaction is committed, and loses its marker for the
// group: the offsets are as before. What followed them is out already, and does
// not come out again: who has the state goes on from there, who has not refuses.
func TestGroupLosesACommit(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	m := newMachine("a")
	c := r.config(m)
	c.Clock = NewVirtualClock(past) // no ticks
	buy := func() {
		for _, value := range []string{"cart", "order"} {
			r.Produce(&kgo.Record{Topic: "events", Key: []byte("ada"), Value: []byte(value), Timestamp: past})
		}
	}
	run := func() { r.run(c); r.evict("a") }
	thanks := func(want int) {
		t.Helper()
		n := 0
		for _, rec := range r.Committed("out")[0] {
			n += strings.Count(string(rec.Value), "thanks")
		}
		if n != want {
			t.Errorf("%d thanks, want %d", n, want)
		}
	}
	group := r.offsets()
	buy()
	run()
	before, err := group.FetchOffsets(t.Context(), "toy")
	if err != nil {
		t.Fatal(err)
	}
	old := m.fs.CrashClone(vfs.CrashCloneCfg{})
	setBack := func() {
		if err := group.CommitAllOffsets(t.Context(), "toy", before.Offsets()); err != nil {
			t.Fatal(err)
		}
	}
	buy()
	run()
	setBack()
	run() // the state is there, and the group is put right
	setBack()
	buy()
	run()
	thanks(3)

	setBack()
	if _, err := vfs.Clone(m.fs, old, "state/"+confirmedFile, "state/"+confirmedFile); err != nil {
		t.Fatal(err)
	}
	c.FS = old // of the state only what was there before
	want := []string{"group toy stands at offset 2, the state in folder state at 2, but offset 6 was committed", "KAFKA-20734", "delete confirmed.json in the folder"}
	for range 2 { // who starts it again gets no further
		x := r.start(c)
		r.eventually("refuse", func() bool {
			select {
			case <-x.done:
				return true
			default:
				return false
			}
		})
		if err := x.wait(); !contains(err, want...) {
			t.Fatalf("Run: got %v, want one with %q", err, want)
		}
		if n := counterValue(x.p.metrics.rebuilds); n != 1 {
			t.Errorf("refused after %v new sessions, want 1", n)
		}
	}
	thanks(3)
	if err := old.Remove("state/" + confirmedFile); err != nil {
		t.Fatal(err)
	}
	r.run(c)
	thanks(5) // as was wanted
}

func (r *rig) offsets() *kadm.Client {
	r.t.Helper()
	client, err := kgo.NewClient(r.Opts()...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(client.Close)
	return kadm.NewClient(client)
}
