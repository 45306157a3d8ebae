package stream

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream/streamtest"
	"segue/schemas"
)

// A wake-up that ends the process again and again is found, whether it fires in
// the background or before its customer's next record. It is dropped, and the
// log says so to whoever folds it, ever.
func TestWakeUpThatKillsTheProcess(t *testing.T) {
	wakeUpsThatKill(t, func(t *testing.T) *streamtest.Cluster { return streamtest.Fake(t) })
}

func TestKafkaWakeUpThatKillsTheProcess(t *testing.T) {
	wakeUpsThatKill(t, func(t *testing.T) *streamtest.Cluster { return streamtest.Real(t) })
}

func wakeUpsThatKill(t *testing.T, cluster func(*testing.T) *streamtest.Cluster) {
	say := func(at time.Duration, key, value string) *kgo.Record {
		return &kgo.Record{Topic: "events", Key: []byte(key), Value: []byte(value), Timestamp: past.Add(at)}
	}
	tick := func(at time.Duration) *kgo.Record {
		return &kgo.Record{Topic: "events", Value: tickValue, Timestamp: past.Add(at)}
	}
	const before = 4 // records, before the wake-up is due
	log := func(between ...*kgo.Record) []*kgo.Record {
		early := []*kgo.Record{say(0, "ada", "cart"), say(time.Minute, "bob", "doom"), say(2*time.Minute, "bob", "cart"), say(3*time.Minute, "cid", "cart")}
		return slices.Concat(early, between, []*kgo.Record{say(55*time.Minute, "bob", "view"), tick(5 * time.Hour)})
	}
	for name, log := range map[string][]*kgo.Record{"in the background": log(tick(50 * time.Minute)), "before a record": log()} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, cluster(t), 1)
			m := &life{dir: t.TempDir()}
			r.Produce(log[:before]...)
			m.live(r)
			old := t.TempDir()
			if err := os.CopyFS(old, os.DirFS(m.dir)); err != nil {
				t.Fatal(err)
			}
			r.Produce(log[before:]...)
			deaths := 0
			for m.live(r) {
				if deaths++; deaths == 6 {
					t.Fatal("after 6 deaths the wake-up is not found")
				}
			}
			if deaths < 2 {
				t.Errorf("%d deaths, want that one alone proves nothing", deaths)
			}
			r.verdict()
			r.isDropped("bob", past.Add(31*time.Minute))

			c := r.config(newMachine("a"))
			c.Task, c.Clock = &toy{die: func() { t.Error("fired again") }}, NewVirtualClock(past)
			restored := c // the disk is lost
			c.Dir, c.FS = old, vfs.Default
			for _, c := range []Config[toyState, string]{c, restored} {
				x := r.start(c)
				r.settle(x)
				if s, _, err := x.p.View(t.Context(), "bob"); err != nil || s.Count != 3 {
					t.Errorf("View = %+v, %v, want 3 records of bob", s, err)
				}
				r.end(x)
				if folded := counterValue(x.p.metrics.refolded) > 0; folded != (c.Dir == old) {
					t.Errorf("folder %s: folded again: %v, want that of the one that is behind", c.Dir, folded)
				}
				verified(t, c, 0, "the log from its start")
			}
		})
	}
}

// isDropped looks for the wake-up where people look for it, and the fold.
func (r *rig) isDropped(key string, due time.Time) {
	r.t.Helper()
	dead := r.Committed("dead-letters")[0]
	if len(dead) != 1 || headerOf(dead[0], "offset") != "-1" || headerOf(dead[0], "customer") != key ||
		headerOf(dead[0], "timestamp") != fmt.Sprint(due.UnixMilli()) || headerOf(dead[0], "reason") != errKills.Error() {
		r.t.Errorf("dead letters %+v, want the wake-up of %s due %v", dead, key, due)
	}
	skips := 0
	for _, rec := range r.Committed("events")[0] {
		var ev schemas.Event
		if rec.Key == nil && schemas.Decode(rec.Value, &ev) == nil && ev.GetSkip() != nil {
			skips++
			if s := ev.GetSkip(); s.GetOffset() != -1 || string(s.GetKey()) != key || !s.GetDueAt().AsTime().Equal(due) {
				r.t.Errorf("control record %v, want that it skips the wake-up of %s due %v", s, key, due)
			}
		}
	}
	if skips != 1 {
		r.t.Errorf("%d control records skip it, want 1", skips)
	}
}

// life is a processor that is a process of its own, on a real disk, so that it
// can really end.
type life struct{ dir string }

const lifeEnded = 3

// live runs one life until all is settled, and reports whether it ended before.
func (l *life) live(r *rig) (ended bool) {
	r.t.Helper()
	brokers := os.Getenv("SEGUE_TEST_BROKERS")
	if r.Fake != nil {
		brokers = strings.Join(r.Fake.ListenAddrs(), ",")
	}
	child := exec.CommandContext(r.t.Context(), os.Args[0], "-test.run=^TestLife$", "-test.v")
	child.Env = append(os.Environ(), "SEGUE_TEST_BROKERS="+brokers, "SEGUE_TEST_LIFE_PREFIX="+r.Prefix, "SEGUE_TEST_LIFE="+l.dir)
	text, err := child.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == lifeEnded {
		return true
	}
	if err != nil {
		r.t.Fatalf("a life: %v\n%s", err, text)
	}
	return false
}

// TestLife is the child process that live starts, and nothing on its own.
func TestLife(t *testing.T) {
	dir := os.Getenv("SEGUE_TEST_LIFE")
	if dir == "" {
		t.Skip("no SEGUE_TEST_LIFE: this is the process that TestWakeUpThatKillsTheProcess starts and sees end")
	}
	cluster := streamtest.Real(t)
	cluster.Prefix = os.Getenv("SEGUE_TEST_LIFE_PREFIX")
	r := &rig{t, cluster, 1}
	c := r.config(newMachine("a"))
	c.Dir, c.FS, c.Clock = dir, vfs.Default, NewVirtualClock(past)
	c.Task = &toy{die: func() { os.Exit(lifeEnded) }}
	r.run(c)
}
