package stream

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream/streamtest"
)

// A log goes in; what the plain fold says of it comes out, once.
func TestProcessorFoldsALog(t *testing.T) { foldALog(newRig(t, streamtest.Fake(t), 3)) }

func TestKafkaFoldsALog(t *testing.T) { foldALog(newRig(t, streamtest.Real(t), 3)) }

func foldALog(r *rig) {
	r.fill(1, 300)
	m := newMachine("a")
	r.run(r.config(m))
	r.verdict()
	r.fill(2, 100) // a second life goes on where the first stopped
	r.run(r.config(m))
	r.verdict()
}

// The process dies at every step of the protocol, with none, half or all of
// what it had not synced, now and then with the disk; what is committed is as
// if nothing had happened.
func TestCrashAtEveryStep(t *testing.T) {
	for _, step := range []string{"polled", "folded", "produced", "offsets", "committed", "applied", "taken", "stopped", "restoring"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			crashAt(newRig(t, streamtest.Fake(t), 2), step)
		})
	}
}

func TestKafkaCrashAtEveryStep(t *testing.T) {
	for _, step := range []string{"produced", "offsets", "committed", "applied", "taken", "stopped", "restoring"} {
		t.Run(step, func(t *testing.T) { crashAt(newRig(t, streamtest.Real(t), 2), step) })
	}
}

func crashAt(r *rig, step string) {
	r.fill(3, 200)
	m := newMachine("a")
	for i, percent := range []int{0, 50, 100, 100} {
		if step == "restoring" || i == 3 {
			m = newMachine("a") // the disk is lost
		}
		c := r.config(m)
		crash := &crashes{step: step, left: 1 + i, then: func() { m.lose(percent) }}
		if step == "taken" || step == "stopped" || step == "restoring" {
			crash.left = 1
		}
		c.Hook = crash.hook
		x := r.start(c)
		if step == "stopped" {
			r.settle(x)
			x.stop()
		}
		if step == "restoring" && i == 0 {
			// Nothing to restore yet.
			r.settle(x)
			r.end(x)
			continue
		}
		if err := r.die(x); !errors.Is(err, errCrash) {
			r.t.Fatalf("life %d: got %v, want a crash at %q", i, err, step)
		}
		r.fill(uint64(10+i), 60)
	}
	r.run(r.config(m))
	r.verdict()
	m = newMachine("a") // and all of it can be restored
	r.fill(20, 60)
	r.run(r.config(m))
	r.verdict()
}

// die lets the log grow until the crash that x waits for has come: how much
// fits into one transaction is the broker's affair.
func (r *rig) die(x *running) error {
	for seed := uint64(100); ; seed++ {
		select {
		case <-x.done:
			return x.err
		case <-time.After(300 * time.Millisecond):
			if seed > 200 {
				return errors.New("it lives on")
			}
			r.fill(seed, 5)
		}
	}
}

// A graceful stop leaves nothing to fold again, whatever decides next.
func TestGracefulStop(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 2)
	r.fill(1, 200)
	m := newMachine("a")
	r.run(r.config(m))
	for _, where := range []string{"with its disk", "without"} {
		t.Run(where, func(t *testing.T) {
			if where == "without" {
				m = newMachine("a")
			}
			c := r.config(m)
			c.FoldVersion = 2
			x := r.start(c)
			r.settle(x)
			if n := counterValue(x.p.metrics.refolded); n != 0 {
				t.Errorf("folded %v records again, want none", n)
			}
			x.stop()
			if err := x.wait(); err != nil {
				t.Error(err)
			}
		})
	}
	r.verdict()
}

// After a crash another version refuses, until it is told.
func TestFoldVersionRefusesAfterACrash(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	r.fill(1, 100)
	m := newMachine("a")
	c := r.config(m)
	c.ApplyInterval = time.Hour
	crash := &crashes{step: "committed", left: 2, then: func() { m.lose(100) }}
	c.Hook = crash.hook
	if err := r.start(c).wait(); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	c = r.config(m)
	c.FoldVersion = 1
	err := r.start(c).wait()
	if err == nil || !contains(err, "fold version 0", "--accept-refold") {
		t.Fatalf("got %v, want a refusal that says what to do", err)
	}
	c.AcceptRefold, c.Outputs = true, []string{"out"}
	r.run(c)
	r.verdict()
}

// What cannot be gone on with is said, and nothing is guessed.
func TestRefusals(t *testing.T) {
	t.Run("offsets are gone", func(t *testing.T) {
		r := newRig(t, streamtest.Fake(t), 1)
		r.fill(1, 50)
		m := newMachine("a")
		r.run(r.config(m))
		c := r.config(m)
		c.Name = "other"
		r.refuses(c, "holds no offset", "state up to offset")
		c = r.config(newMachine("a"))
		c.Name = "other"
		r.refuses(c, "holds no offset", "profiles partition 0 holds")
	})
	t.Run("one folder, two processes", func(t *testing.T) {
		r := newRig(t, streamtest.Fake(t), 1)
		m := newMachine("a")
		x := r.start(r.config(m))
		r.settle(x)
		if err := r.start(r.config(m)).wait(); err == nil || !contains(err, "another process has it open") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no topics", func(t *testing.T) {
		r := &rig{t: t, Cluster: streamtest.Fake(t), partitions: 1}
		if err := r.start(r.config(newMachine("a"))).wait(); err == nil || !contains(err, `no topic "events"`) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("unequal partitions", func(t *testing.T) {
		r := &rig{t: t, Cluster: streamtest.Fake(t), partitions: 1}
		r.Create(1, "events")
		r.Create(2, "profiles")
		if err := r.start(r.config(newMachine("a"))).wait(); err == nil || !contains(err, "want equal numbers") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no configuration", func(t *testing.T) {
		if _, err := New(Config[toyState, string]{Name: "x"}); err == nil || !contains(err, "no task", "no folder") {
			t.Errorf("got %v", err)
		}
	})
}

func contains(err error, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(fmt.Sprint(err), part) {
			return false
		}
	}
	return true
}

// The log holds a cart and, after its reminder was due, much of others' and the
// order. Who reads what is committed finds the reminder and what the order says
// together, or a mail would go out although its cancellation is on the way.
func TestBehindTheLogNothingGoesOutAhead(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	record := func(at time.Time, key, value string) *kgo.Record {
		return &kgo.Record{Topic: "events", Key: []byte(key), Value: []byte(value), Timestamp: at}
	}
	due := past.Add(time.Hour)
	log := []*kgo.Record{record(past, "ada", "cart")}
	for i := range 60 {
		log = append(log, record(due.Add(time.Duration(i+1)*time.Second), fmt.Sprint("other", i), "view"))
	}
	log = append(log, record(due.Add(time.Minute), "ada", "cart"), record(due.Add(time.Minute), "ada", "order"))
	r.Produce(log...)
	c := r.config(newMachine("a"))
	c.MaxPoll, c.CommitInterval, c.CommitSpacing = 5, time.Nanosecond, -1
	r.run(c)
	offsets := map[string]int64{}
	for _, rec := range r.Committed("out")[0] {
		for _, what := range []string{"remind", "thanks"} {
			if string(rec.Key) == "ada" && strings.Contains(string(rec.Value), what) {
				offsets[what] = rec.Offset
			}
		}
	}
	if len(offsets) != 2 || offsets["thanks"] != offsets["remind"]+1 {
		t.Errorf("offsets: got %v, want thanks beside remind, with no marker between them", offsets)
	}
}
