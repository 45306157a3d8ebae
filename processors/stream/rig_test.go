package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream/streamtest"
	"segue/schemas"
)

var errCrash = errors.New("crashed by the test")

// rig is a Kafka with the toy's topics, and a log in it.
type rig struct {
	t *testing.T
	*streamtest.Cluster
	partitions int32
}

func newRig(t *testing.T, c *streamtest.Cluster, partitions int32) *rig {
	c.Create(partitions, "events", "profiles", "out")
	c.Create(1, "dead-letters")
	return &rig{t, c, partitions}
}

// machine is a disk that survives a process, and not all of it a crash.
type machine struct {
	name string
	fs   *vfs.MemFS
}

func newMachine(name string) *machine { return &machine{name, vfs.NewCrashableMem()} }

// lose goes on with what a crash leaves: of what was not synced, a part.
func (m *machine) lose(percent int) {
	m.fs = m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(1, 2))})
}

func (r *rig) config(m *machine) Config[toyState, string] {
	c := Config[toyState, string]{
		Task: new(toy), Name: "toy", Prefix: r.Prefix, Input: "events", Profiles: "profiles", DeadLetters: "dead-letters",
		Instance: m.name, Dir: "state", FS: m.fs, Memory: 16 << 20,
		Kafka:         append(r.Opts(), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(100*time.Millisecond), kgo.RebalanceTimeout(3*time.Second)),
		ApplyInterval: 40 * time.Millisecond, FlushAfter: 100 * time.Millisecond, ProgressInterval: 50 * time.Millisecond,
		MaxPoll: 40, DrainBudget: 7,
	}
	if os.Getenv("SEGUE_TEST_LOG") != "" {
		c.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return c
}

// running is a processor at work.
type running struct {
	p    *Processor[toyState, string]
	stop context.CancelFunc
	done chan struct{}
	err  error
}

func (r *rig) start(c Config[toyState, string]) *running {
	r.t.Helper()
	p, err := New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.begin(p)
}

func (r *rig) begin(p *Processor[toyState, string]) *running {
	ctx, stop := context.WithCancel(context.Background())
	x := &running{p: p, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(x.done)
		x.err = errors.New("its goroutine ended")
		x.err = p.Run(ctx)
	}()
	r.t.Cleanup(func() { stop(); <-x.done })
	return x
}

func (x *running) wait() error { <-x.done; return x.err }

// end stops a processor that has no reason to fail.
func (r *rig) end(x *running) {
	r.t.Helper()
	x.stop()
	if err := x.wait(); err != nil {
		r.t.Fatal(err)
	}
}

// startWatched starts a processor, and notes the most bytes that wait for its
// store, to be read once it has ended.
func (r *rig) startWatched(c Config[toyState, string]) (x *running, unwritten *int64) {
	r.t.Helper()
	unwritten = new(int64)
	started := make(chan struct{})
	c.Hook = func(string) error {
		<-started
		*unwritten = max(*unwritten, x.p.touchedBytes())
		return nil
	}
	x = r.start(c)
	close(started)
	return x, unwritten
}

// settle waits until the processors have folded the whole log, and put out all
// that follows from it.
func (r *rig) settle(all ...*running) {
	r.t.Helper()
	r.eventually("settle", func() bool {
		for _, x := range all {
			select {
			case <-x.done:
				r.t.Fatalf("the processor ended: %v", x.err)
			default:
			}
		}
		next := map[int32]int64{}
		for _, x := range all {
			n, ok := x.p.Settled(x.p.c.Clock.Now())
			if !ok && len(all) == 1 {
				return false
			}
			for p, o := range n {
				next[p] = o
			}
		}
		for p, end := range r.Ends("events") {
			if next[p] < end {
				return false
			}
		}
		return true
	})
}

func (r *rig) eventually(what string, done func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: not within a minute", what)
		}
	}
}

// run lets one processor fold everything, and stop.
func (r *rig) run(c Config[toyState, string]) {
	r.t.Helper()
	x := r.start(c)
	r.settle(x)
	r.end(x)
}

var past = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// fill writes a log: n records of a few customers over some days, versions
// between them, and last a tick long after.
func (r *rig) fill(seed uint64, n int) {
	r.t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	var records []*kgo.Record
	at := past
	everywhere := func(value []byte) {
		for p := range r.partitions {
			records = append(records, &kgo.Record{Topic: "events", Partition: p, Value: value, Timestamp: at})
		}
	}
	for i := range n {
		at = at.Add(time.Duration(rng.IntN(1200)) * time.Second)
		if i > 0 && i%(n/4+1) == 0 {
			everywhere(inForce(fmt.Sprintf("r%d", 1+i/(n/4+1))))
		}
		kind := []string{"cart", "cart", "view", "order", "bad"}[rng.IntN(5)]
		records = append(records, &kgo.Record{Topic: "events", Key: fmt.Appendf(nil, "c%02d", rng.IntN(12)), Value: []byte(kind), Timestamp: at})
	}
	at = at.Add(10 * 24 * time.Hour)
	everywhere(tickValue)
	r.Produce(records...)
}

// verdict compares what is committed with what the plain fold says of the log.
func (r *rig) verdict() {
	r.t.Helper()
	got, want := map[string][]string{}, map[string][]string{}
	for _, records := range r.Committed("out") {
		for _, rec := range records {
			got[string(rec.Key)] = append(got[string(rec.Key)], string(rec.Value))
		}
	}
	for _, rec := range r.Committed("dead-letters")[0] {
		got["dead "+string(rec.Key)] = append(got["dead "+string(rec.Key)], headerOf(rec, "offset"))
	}
	for _, records := range r.Committed("events") {
		o := judged(records)
		for key, outs := range o.outs {
			for _, o := range outs {
				if offset, ok := strings.CutPrefix(o, "dead "); ok {
					want["dead "+key] = append(want["dead "+key], offset)
				} else {
					want[key] = append(want[key], o)
				}
			}
		}
	}
	if len(want) == 0 {
		r.t.Error("the log causes nothing: the test shows nothing")
	}
	for key := range want {
		if a, b := strings.Join(got[key], "\n"), strings.Join(want[key], "\n"); a != b {
			r.t.Errorf("%s: got\n%s\nwant\n%s", key, a, b)
			return
		}
		delete(got, key)
	}
	if len(got) > 0 {
		r.t.Errorf("outputs that nothing caused: %v", got)
	}
}

// judged folds a partition of the log the plain way, without what its control
// records skip.
func judged(log []*kgo.Record) *oracle {
	o := newOracle()
	for _, r := range log {
		var ev schemas.Event
		if len(r.Key) == 0 && schemas.Decode(r.Value, &ev) == nil && ev.GetSkip() != nil {
			o.skips.heed(ev.GetSkip(), r.Offset)
		}
	}
	for _, r := range log {
		o.record(fromKafka(r))
	}
	return o
}

// crashes counts a step down, and ends the process there.
type crashes struct {
	mu   sync.Mutex
	step string
	left int
	then func()
}

func (c *crashes) hook(step string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left < 0 {
		return errCrash // it is dead
	}
	if step != c.step {
		return nil
	}
	if c.left--; c.left > 0 {
		return nil
	}
	c.left = -1
	c.then()
	return errCrash
}

func counterValue(c prometheus.Counter) float64 {
	var m dto.Metric
	_ = c.Write(&m)
	return m.GetCounter().GetValue()
}
