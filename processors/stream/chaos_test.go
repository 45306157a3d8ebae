package stream

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"segue/processors/stream/streamtest"
)

var chaosSeeds = flag.Uint64("chaos", 2, "seeds of TestChaos")

const (
	// chaosAtOnce seeds share the processors of this machine: each mostly waits.
	chaosAtOnce = 48
	// enoughChaos is when everything must have happened.
	enoughChaos = 200
)

// What the simulation does to a model, this does to the client itself and to a
// fake Kafka, in real time: processes die at any step, with what they had not
// synced or with their disks, freeze, are cut off and removed from the group,
// while brokers refuse what they are asked, lose their answers and move. A seed
// draws the same troubles each time, but how they meet is chance: what a seed
// that failed went through is kept.
func TestChaos(t *testing.T) {
	var mu sync.Mutex
	counts := map[string]int{}
	seeds := make(chan uint64)
	var workers sync.WaitGroup
	for range min(chaosAtOnce, *chaosSeeds) {
		workers.Go(func() {
			for seed := range seeds {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					c := newChaos(t, seed)
					c.run()
					mu.Lock()
					defer mu.Unlock()
					for what, n := range c.story.counts {
						counts[what] += n
					}
				})
			}
		})
	}
	for seed := range *chaosSeeds {
		seeds <- seed
	}
	close(seeds)
	workers.Wait()
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		lines = append(lines, fmt.Sprintf("%s: %d", what, counts[what]))
	}
	t.Logf("%d seeds\n%s", *chaosSeeds, strings.Join(lines, "\n"))
	for _, what := range everyChaos() {
		if *chaosSeeds >= enoughChaos && counts[what] == 0 {
			t.Errorf("never happened: %s", what)
		}
	}
}

func everyChaos() []string {
	all := []string{
		"clocks set wrong", "coordinators moved", "cut off", "deaths", "disks lost", "frozen", "graceful ends", "handed over",
		"leaders moved", "old brokers", "power losses", "records that kill", "removed from the group", "brokers assign", "skips", "state set aside",
		"tables corrupted", "transactions of others", "delayed: Produce", "lost: Produce", "unanswered: EndTxn", "unanswered: OffsetCommit", "unanswered: TxnOffsetCommit",
	}
	for key := range refusals {
		all = append(all, "refused: "+key.Name())
	}
	return all
}

// draws are those of one part of a world, so that they do not depend on the others'.
type draws struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newDraws(seed uint64, whose string) *draws {
	n := uint64(99)
	for _, b := range []byte(whose) {
		n = n<<8 + uint64(b)
	}
	return &draws{rng: rand.New(rand.NewPCG(seed, n))}
}

func (d *draws) n(n int) int { d.mu.Lock(); defer d.mu.Unlock(); return d.rng.IntN(n) }

// in is true once in so many times; 0: never.
func (d *draws) in(n int) bool { return n > 0 && d.n(n) == 0 }

func (d *draws) upTo(most time.Duration) time.Duration {
	return time.Duration(d.n(int(most)/int(time.Millisecond))) * time.Millisecond
}

// chaos is one world.
type chaos struct {
	*rig
	*draws
	seed     uint64
	story    *story
	machines []*chaosMachine
	nextGen  bool
	deadly   int  // one step in so many kills
	haunted  bool // by a record that kills, and little else, until it is found
	troubled map[kmsg.Key]int
	calm     chan struct{} // closed: nothing goes wrong any more
	writer   *kgo.Client   // of the log
	at       time.Time     // of its last record
}

func newChaos(t *testing.T, seed uint64) *chaos {
	d, s := newDraws(seed, "world"), newStory()
	opts := []kfake.Opt{kfake.NumBrokers([]int{1, 1, 3}[d.n(3)]), kfake.BrokerConfigs(map[string]string{
		"group.consumer.heartbeat.interval.ms": "100", "group.consumer.session.timeout.ms": "1500"})}
	nextGen := d.in(3)
	if nextGen {
		s.count("brokers assign")
	} else if d.in(3) { // they do not add offsets to a transaction by themselves
		s.count("old brokers")
		opts = append(opts, kfake.MaxVersions(kversion.V3_7_0()))
	}
	r := newRig(t, streamtest.Fake(t, opts...), 1+int32(d.n(4)))
	writer, err := kgo.NewClient(append(r.Opts(), kgo.RecordPartitioner(partitioner()), kgo.DisableIdempotentWrite())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(writer.Close)
	c := &chaos{rig: r, draws: d, seed: seed, story: s, nextGen: nextGen, deadly: []int{0, 200, 60, 20}[d.n(4)], haunted: d.in(8), troubled: map[kmsg.Key]int{},
		calm: make(chan struct{}), writer: writer, at: past}
	for _, key := range requestKeys {
		c.troubled[key] = []int{0, 0, 0, 400, 100, 20}[d.n(6)]
	}
	if c.haunted {
		s.count("haunted")
		c.deadly = 0
		clear(c.troubled)
		c.write([]*kgo.Record{{Topic: r.Prefix + "events", Key: []byte("c00"), Value: []byte("die"), Timestamp: past}})
	}
	s.tell("%d partitions, %v, one step in %d kills, one request in so many goes astray: %v", r.partitions, slices.Sorted(maps.Keys(s.counts)), c.deadly, c.troubled)
	for i := range []int{1, 2, 3, 3}[d.n(4)] {
		name := string(rune('a' + i))
		c.machines = append(c.machines, &chaosMachine{chaos: c, draws: newDraws(seed, name), machine: newMachine(name)})
	}
	t.Cleanup(func() { s.keepIfFailed(c) })
	return c
}

// run: a while of trouble, then calm, and all must be as it should.
func (c *chaos) run() {
	var lives, troubles sync.WaitGroup
	for _, m := range c.machines {
		lives.Go(m.live)
	}
	faults := c.misfortunes()
	troubles.Go(func() {
		for c.wait(c.upTo(150 * time.Millisecond)) {
			faults.happen()
		}
	})
	for range 15 + c.n(15) {
		c.grow(10 + c.n(40))
		c.wait(c.upTo(400 * time.Millisecond)) // for nothing: to spread the log over lives
	}
	close(c.calm)
	c.story.tell("calm")
	troubles.Wait()
	faults.end()
	lives.Wait()
	for _, m := range c.machines {
		c.evict(m.name)
		c.fence(m.name)
	}
	c.grow(40) // who comes last restores, and goes on live
	c.everywhere(tickValue, time.Now().Add(20*24*time.Hour))
	last := &chaosMachine{chaos: c, draws: newDraws(c.seed, "d"), machine: newMachine("d")}
	if c.in(2) {
		last.machine = c.machines[c.n(len(c.machines))].machine
	}
	x := c.start(last.config(last.begin(true)))
	c.settle(x)
	c.end(x)
	c.verdict()
	for _, records := range c.Committed("events") {
		skips := judged(records).skips
		c.story.add("skips", len(skips))
	}
}

// wait is over at once when calm comes; then it returns false.
func (c *chaos) wait(d time.Duration) bool {
	select {
	case <-c.calm:
		return false
	case <-time.After(d):
		return true
	}
}

// grow appends what shops do; what a broker refuses is not in the log, and
// what it says to refuse may be.
func (c *chaos) grow(n int) {
	var records []*kgo.Record
	for range n {
		c.at = c.at.Add(c.upTo(20 * time.Minute))
		kind := []string{"cart", "cart", "cart", "view", "view", "order", "order", "nag", "bad"}[c.n(9)]
		switch {
		case c.in(400):
			kind = "panic"
		case c.deadly > 0 && c.in(250):
			kind = "die"
		case c.in(60):
			c.everywhere(inForce(fmt.Sprintf("r%d", 1+c.n(3))), c.at)
		case c.in(60):
			c.at = c.at.Add(c.upTo(72 * time.Hour))
			c.everywhere(tickValue, c.at)
		}
		records = append(records, &kgo.Record{Topic: c.Prefix + "events", Key: fmt.Appendf(nil, "c%02d", c.n(12)), Value: []byte(kind), Timestamp: c.at})
	}
	c.write(records)
}

// everywhere writes a control record to each partition; not all of them need it.
func (c *chaos) everywhere(value []byte, at time.Time) {
	for p := range c.partitions {
		c.write([]*kgo.Record{{Topic: c.Prefix + "events", Partition: p, Value: value, Timestamp: at}})
	}
}

func (c *chaos) write(records []*kgo.Record) {
	for _, r := range c.writer.ProduceSync(context.Background(), records...) {
		if r.Err != nil {
			c.story.tell("events: %q %q is refused: %v", r.Record.Key, r.Record.Value, r.Err)
		}
	}
}

// fence ends the transaction that the last life of an instance left open.
func (c *chaos) fence(instance string) {
	client, err := kgo.NewClient(append(c.Opts(), kgo.TransactionalID(c.Prefix+"toy-"+instance))...)
	if err == nil {
		defer client.Close()
		_, _, err = client.ProducerID(c.t.Context())
	}
	if err != nil {
		c.t.Fatalf("fence %s: %v", instance, err)
	}
}

// live is one life after another, until calm comes.
func (m *chaosMachine) live() {
	m.wait([]time.Duration{0, m.upTo(1500 * time.Millisecond)}[m.n(2)])
	for {
		l := m.begin(false)
		x := m.start(m.config(l))
		l.end.Store(&x.stop)
		until := []time.Duration{time.Hour, 3 * time.Second}[m.n(2)]
		if m.haunted {
			until = time.Hour
		}
		select {
		case <-x.done:
		case <-time.After(m.upTo(until)):
			m.story.tell("%s is to end", l)
			x.stop()
		case <-m.calm:
			x.stop()
		}
		err := x.wait()
		m.story.tell("%s ended: %v", l, err)
		m.story.add("handed over", int(handedOver(x.p.metrics)))
		m.story.add("hand-overs cut short", int(cutShort(x.p.metrics)))
		m.story.add("state set aside", int(counterValue(x.p.metrics.corrupt)))
		m.story.add("sessions that failed", int(counterValue(x.p.metrics.rebuilds)))
		m.story.add("folded again", int(refolded(x.p.metrics)))
		switch {
		case l.dead.Load():
			m.bury()
		case err == nil:
			m.story.count("graceful ends")
			if m.in(3) {
				m.story.tell("%s leaves", m.machine.name)
				m.evict(m.machine.name)
			}
		case !errors.Is(err, errCrash):
			m.t.Errorf("%s: %v", l, err)
			return
		}
		if !m.wait(m.upTo([]time.Duration{300 * time.Millisecond, 300 * time.Millisecond, 3 * time.Second}[m.n(3)])) {
			return
		}
	}
}
