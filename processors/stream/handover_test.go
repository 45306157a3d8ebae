package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream/streamtest"
)

// slow brings nothing to disk or to profiles by itself: what is there was
// brought by a hand-over or a stop.
func slow(c Config[toyState, string]) Config[toyState, string] {
	c.ApplyInterval, c.FlushAfter = time.Hour, time.Hour
	return c
}

// fleet is a group of processors whose machines outlive them.
type fleet struct {
	*rig
	config   func(m *machine) Config[toyState, string]
	machines map[string]*machine
	alive    map[string]*running
	former   []*running
}

func newFleet(r *rig, config func(m *machine) Config[toyState, string]) *fleet {
	return &fleet{rig: r, config: config, machines: map[string]*machine{}, alive: map[string]*running{}}
}

func (f *fleet) add(name string) {
	if f.machines[name] == nil {
		f.machines[name] = newMachine(name)
	}
	f.alive[name] = f.start(f.config(f.machines[name]))
}

func (f *fleet) stop(name string) {
	f.t.Helper()
	x := f.alive[name]
	x.stop()
	if err := x.wait(); err != nil {
		f.t.Fatal(err)
	}
	delete(f.alive, name)
	f.former = append(f.former, x)
}

// leave is for good: a static member that only stops keeps its partitions.
func (f *fleet) leave(name string) {
	f.t.Helper()
	f.stop(name)
	f.evict(name)
}

func (f *fleet) all() (xs []*running) {
	for _, x := range f.alive {
		xs = append(xs, x)
	}
	return xs
}

// share waits until every member has partitions, and all are live.
func (f *fleet) share() {
	f.t.Helper()
	f.eventually("share", func() bool {
		live := 0
		for _, x := range f.alive {
			s := x.p.standing.Load()
			if s == nil || len(s.next) == 0 {
				return false
			}
			live += len(s.next)
		}
		return live == int(f.partitions)
	})
}

// sum adds up a counter of all lives.
func (f *fleet) sum(read func(m *metrics) float64) (n float64) {
	for _, x := range append(f.all(), f.former...) {
		n += read(x.p.metrics)
	}
	return n
}

func refolded(m *metrics) float64 { return counterValue(m.refolded) }

func handedOver(m *metrics) float64 { return counterValue(m.handOvers.WithLabelValues("complete")) }

func cutShort(m *metrics) float64 { return counterValue(m.handOvers.WithLabelValues("cut short")) }

// load lets the log grow until the test says that it is enough.
func (r *rig) load() (enough func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for seed := uint64(1000); ; seed++ {
			select {
			case <-stop:
				return
			default:
				r.fill(seed, 20)
			}
		}
	}()
	return func() { close(stop); <-done }
}

// From one member to three and back, while the log grows: every partition is
// handed over with all that was decided, and nobody folds anything again.
func TestHandOver(t *testing.T) { handOver(newRig(t, streamtest.Fake(t), 4)) }

func TestKafkaHandOver(t *testing.T) { handOver(newRig(t, streamtest.Real(t), 4)) }

func handOver(r *rig) {
	f := newFleet(r, func(m *machine) Config[toyState, string] { return slow(r.config(m)) })
	f.add("a")
	r.fill(1, 400)
	f.settle(f.all()...)
	enough := r.load()
	f.add("b")
	f.share()
	f.add("c")
	f.share()
	f.leave("b")
	f.leave("c")
	f.share()
	enough()
	f.settle(f.all()...)
	f.stop("a")
	if n := f.sum(handedOver); n < 3 {
		r.t.Errorf("%v partitions were handed over, want at least 3", n)
	}
	if n := f.sum(refolded); n != 0 {
		r.t.Errorf("%v records and wake-ups were folded again, want none", n)
	}
	if n := f.sum(cutShort); n != 0 {
		r.t.Errorf("%v hand-overs were cut short, want none", n)
	}
	r.verdict()
}

// Three members restart one after the other, under load: each finds its
// partitions as it left them, and the others notice nothing.
func TestRollingRestart(t *testing.T) { rollingRestart(newRig(t, streamtest.Fake(t), 3)) }

func TestKafkaRollingRestart(t *testing.T) { rollingRestart(newRig(t, streamtest.Real(t), 3)) }

func rollingRestart(r *rig) {
	f := newFleet(r, func(m *machine) Config[toyState, string] { return slow(r.config(m)) })
	r.fill(1, 100)
	for _, name := range []string{"a", "b", "c"} {
		f.add(name)
	}
	f.share()
	before := f.sum(func(m *metrics) float64 { return counterValue(m.rebalances) })
	enough := r.load()
	for _, name := range []string{"a", "b", "c"} {
		f.stop(name)
		f.add(name)
		f.share()
	}
	enough()
	f.settle(f.all()...)
	for _, name := range []string{"a", "b", "c"} {
		f.stop(name)
	}
	if n := f.sum(func(m *metrics) float64 { return counterValue(m.rebalances) }) - before; n != 0 {
		r.t.Errorf("%v rebalances took partitions away, want none", n)
	}
	if n := f.sum(refolded); n != 0 {
		r.t.Errorf("%v records and wake-ups were folded again, want none", n)
	}
	r.verdict()
}

// A member that does not hand its partitions over in time loses them; then
// something is folded again, and all is right nevertheless.
func TestHandOverCutShort(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 4)
	var stuck atomic.Bool
	release := make(chan struct{})
	f := newFleet(r, func(m *machine) Config[toyState, string] {
		c := slow(r.config(m))
		c.HandOverPatience = 20 * time.Millisecond
		if m.name == "a" {
			c.Hook = func(step string) error {
				if step == "polled" && stuck.Load() {
					<-release
				}
				return nil
			}
		}
		return c
	})
	f.add("a")
	r.fill(1, 200)
	f.settle(f.all()...)
	stuck.Store(true)
	f.add("b")
	b := f.alive["b"]
	f.eventually("take", func() bool { s := b.p.standing.Load(); return s != nil && len(s.next) > 0 })
	r.fill(2, 200)
	close(release)
	f.share()
	f.settle(f.all()...)
	for _, name := range []string{"a", "b"} {
		f.stop(name)
	}
	if n := f.sum(cutShort); n < 2 {
		t.Errorf("%v hand-overs were cut short, want at least 2", n)
	}
	if n := f.sum(refolded); n == 0 {
		t.Error("nothing was folded again: the test shows nothing")
	}
	r.verdict()
}

// A machine that had the partition before another did, and then gets it with
// another version of the fold, folds nothing of what the other had handed over.
func TestOldStateOfAnotherVersion(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	old := newMachine("a")
	r.fill(1, 50)
	r.run(r.config(old))
	r.fill(2, 50)
	r.run(r.config(newMachine("a")))
	c := r.config(old)
	c.FoldVersion = 1
	x := r.start(c)
	r.fill(3, 50)
	r.settle(x)
	if n := refolded(x.p.metrics); n != 0 {
		t.Errorf("%v records and wake-ups were folded again, want none", n)
	}
	r.verdict()
}

// Brokers assign the partitions, one at a time.
func TestNextGenGroup(t *testing.T) {
	nextGen(newRig(t, streamtest.Fake(t, kfake.BrokerConfigs(map[string]string{"group.consumer.heartbeat.interval.ms": "100"})), 4))
}

func TestKafkaNextGenGroup(t *testing.T) { nextGen(newRig(t, streamtest.Real(t), 4)) }

func nextGen(r *rig) {
	f := newFleet(r, func(m *machine) Config[toyState, string] {
		c := slow(r.config(m))
		c.NextGenGroup = true
		return c
	})
	f.add("a")
	r.fill(1, 200)
	f.settle(f.all()...)
	f.add("b")
	f.share()
	r.fill(2, 200)
	f.settle(f.all()...)
	for _, name := range []string{"a", "b"} {
		f.stop(name)
	}
	if n := f.sum(refolded); n != 0 {
		r.t.Errorf("%v records and wake-ups were folded again, want none", n)
	}
	r.verdict()
}

// While one partition is restored the other goes on.
func TestTakeHoldsUpNobody(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 2)
	r.fill(1, 200)
	r.run(r.config(newMachine("a")))
	c := r.config(newMachine("a")) // the disk is lost
	var calls atomic.Int32
	release := make(chan struct{})
	c.Hook = func(step string) error {
		if step == "restoring" && calls.Add(1) == 1 {
			<-release
		}
		return nil
	}
	x := r.start(c)
	before := len(r.Committed("out")[0]) + len(r.Committed("out")[1])
	for i := range 12 {
		for _, what := range []string{"cart", "order"} {
			r.Produce(&kgo.Record{Topic: "events", Key: fmt.Appendf(nil, "c%02d", i), Value: []byte(what), Timestamp: past.Add(5000 * time.Hour)})
		}
	}
	r.eventually("go on", func() bool { return len(r.Committed("out")[0])+len(r.Committed("out")[1]) > before })
	if _, ok := x.p.Settled(time.Now()); ok {
		t.Error("Settled, but a partition is not live")
	}
	close(release)
	r.settle(x)
	r.end(x)
	r.verdict()
}

// A member dies after it has learned that partitions leave it, and before the
// group has. Its next life, which the group takes for the same member, gets
// what is left to it; and somebody gets the others.
func TestDeathInTheMidstOfAHandOver(t *testing.T) {
	for _, victim := range []string{"a", "b"} { // who leads the group, and who does not
		t.Run(victim, func(t *testing.T) { deathInHandOver(newRig(t, streamtest.Fake(t), 6), victim) })
	}
}

func TestKafkaDeathInTheMidstOfAHandOver(t *testing.T) {
	for _, victim := range []string{"a", "b"} {
		t.Run(victim, func(t *testing.T) { deathInHandOver(newRig(t, streamtest.Real(t), 6), victim) })
	}
}

func deathInHandOver(r *rig, victim string) {
	var third, cut atomic.Bool // the third member came; the victim's network is gone
	f := newFleet(r, func(m *machine) Config[toyState, string] {
		c := slow(r.config(m))
		if m.name == victim && !third.Load() {
			c.Kafka = append(c.Kafka, kgo.RetryTimeout(time.Second), kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, host)
				return &cuttable{conn, &cut}, err
			}))
			c.Hook = func(step string) error {
				if step != "handed" || !third.Load() {
					return nil
				}
				cut.Store(true)
				return errCrash
			}
		}
		return c
	})
	f.add("a")
	r.fill(1, 200)
	f.settle(f.all()...)
	f.add("b")
	f.share()
	third.Store(true)
	f.add("c")
	if err := f.alive[victim].wait(); !errors.Is(err, errCrash) {
		r.t.Fatal(err)
	}
	f.add(victim)
	f.share()
	r.fill(2, 200)
	f.settle(f.all()...)
	r.verdict()
}

// cuttable is a connection that a dead process can no longer use.
type cuttable struct {
	net.Conn
	cut *atomic.Bool
}

func (c *cuttable) Write(b []byte) (int, error) {
	if c.cut.Load() {
		c.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

// Who dies just after a long backlog does not fold it again: it is brought to the
// store as soon as it ends.
func TestBacklogIsWrittenAtItsEnd(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	r.fill(1, 500)
	m := newMachine("a")
	c := slow(r.config(m))
	c.Hook = func(step string) error {
		if step == "applied" {
			return errCrash
		}
		return nil
	}
	x := r.start(c)
	select {
	case <-x.done:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is brought to the store, want the backlog")
	}
	x = r.start(slow(r.config(m)))
	r.settle(x)
	if n := refolded(x.p.metrics); n > float64(c.MaxPoll) {
		t.Errorf("%v records and wake-ups were folded again, want no more than a poll of %d", n, c.MaxPoll)
	}
	r.verdict()
}
