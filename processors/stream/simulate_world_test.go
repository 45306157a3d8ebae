package stream

import (
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// simulation is one world, made from a seed. Everything in it that could go
// either way is drawn from rng, by the one goroutine that also runs all
// threads, one at a time. Whenever one has written, Pebble's own goroutines come
// to rest before it goes on: when they get their turns, and how far they come in
// one, is for the machine to say and must not matter.
type simulation struct {
	seed       uint64
	rng        *rand.Rand
	dice       *dice
	b          *modelBroker
	partitions int32
	machines   []*simMachine
	threads    []*thread
	running    *thread
	busy       atomic.Bool      // a thread runs
	leap       time.Duration    // the wall clock is ahead of all timers by it
	held       map[int32]commit // of the group, as last checked
	number     map[int32]int
	floors     [4]int64 // of the partitions, when retained
	retained   time.Time
	foreign    *modelTxn // a collector's transaction, over events

	trouble map[string]int // one request in so many is hit, by kind; 0: none
	deadly  int            // one step in so many kills; 0: none
	poison  bool           // a record that kills
	doom    bool           // a wake-up that does
	calm    bool           // nothing goes wrong any more
	over    bool           // nobody begins another life

	counts  map[string]int
	hash    uint64
	verbose bool
	trace   []string
	failure string
}

// dice count how often they were thrown: two runs that differ are told apart
// where they first do.
type dice struct {
	rand.Source
	thrown int
}

func (d *dice) Uint64() uint64 {
	d.thrown++
	return d.Source.Uint64()
}

var requests = []string{"topics", "starts", "ends", "read", "append", "join", "init", "poll", "produce", "txn offsets", "end txn", "progress"}

func newSimulation(seed uint64, verbose bool) *simulation {
	dice := &dice{rand.NewPCG(seed, 0x5e9e), 0}
	rng := rand.New(dice)
	w := &simulation{seed: seed, rng: rng, dice: dice, partitions: 1 + int32(rng.IntN(4)), held: map[int32]commit{}, number: map[int32]int{}, trouble: map[string]int{},
		counts: map[string]int{}, verbose: verbose}
	w.b = newModelBroker(rng, w.wall, w.partitions)
	for _, kind := range requests {
		w.trouble[kind] = []int{0, 0, 0, 400, 60, 12}[rng.IntN(6)]
	}
	w.deadly = []int{0, 2000, 500, 100}[rng.IntN(4)]
	w.poison, w.doom = rng.IntN(5) == 0, rng.IntN(4) == 0
	for i := range []int{1, 2, 3, 3}[rng.IntN(4)] {
		m := &simMachine{w: w, name: string(rune('a' + i)), disk: newSimDisk(w), clock: &simClock{w: w}}
		w.machines = append(w.machines, m)
	}
	return w
}

// wall is the right time.
func (w *simulation) wall() time.Time { return time.Now().Add(w.leap) }

func (w *simulation) config(p *simProcess) Config[toyState, string] {
	task := &toy{die: func() {
		if !p.dead {
			p.doomed = true
			w.count("steps that kill")
			p.pause()
		}
	}}
	c := Config[toyState, string]{
		Task: task, Name: "toy", Input: "events", Profiles: "profiles", DeadLetters: "dead-letters",
		Instance: p.machine.name, Dir: "state", FS: p.machine.disk.fs(), Memory: []int64{4 << 20, 16 << 10, 4 << 10}[w.rng.IntN(3)], tablesFrom: 1 + w.rng.IntN(6), settle: p.settle, Clock: p.machine.clock,
		FoldVersion: p.machine.version, AcceptRefold: w.calm || w.seed%2 == 0, Outputs: []string{"out"},
		ApplyInterval: 300 * time.Millisecond, FlushAfter: 700 * time.Millisecond, ProgressInterval: 200 * time.Millisecond,
		MaxPoll: 20 + w.rng.IntN(20), DrainBudget: 1 + w.rng.IntN(7), Hook: p.hook,
	}
	if w.verbose && os.Getenv("SEGUE_TEST_LOG") != "" {
		c.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return c
}

func (w *simulation) count(what string) { w.counts[what]++ }

// tracef adds to what a replay must repeat, word for word.
func (w *simulation) tracef(format string, a ...any) {
	now, h := time.Now(), fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %d %d ", w.hash, now.UnixMicro(), w.dice.thrown)
	_, _ = fmt.Fprintf(h, format, a...)
	w.hash = h.Sum64()
	if w.verbose {
		w.trace = append(w.trace, fmt.Sprintf("%s %d ", now.Format("04:05.000000"), w.dice.thrown)+fmt.Sprintf(format, a...))
	}
}

func (w *simulation) failf(format string, a ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, a...)
		w.tracef("FAILED: %s", w.failure)
	}
}

// state is for whoever looks for what it waits for.
func (w *simulation) state() string {
	var b strings.Builder
	for _, t := range w.threads {
		_, _ = fmt.Fprintf(&b, "%s %s: runnable %v, ctx %v, until %v\n", t.p, t.name, t.runnable(), t.ctx, t.until)
	}
	_, _ = fmt.Fprintf(&b, "group: state %d, members %d; transactions: open %d, ending %d\n", w.b.group.state, len(w.b.group.members), len(w.b.opened), len(w.b.ending))
	for p, l := range w.b.logs["events"] {
		_, _ = fmt.Fprintf(&b, "events %d: [%d, %d), stable %d, group at %d\n", p, l.start, l.end, l.stable(), w.b.group.fetch(int32(p)).offset)
	}
	return b.String()
}

func (w *simulation) chance(oneIn int) bool { return oneIn > 0 && w.rng.IntN(oneIn) == 0 }

type faultKind int

const (
	none faultKind = iota
	requestLost
	answerLost
)

// fault draws what becomes of a request.
func (w *simulation) fault(what string) faultKind {
	if w.calm || !w.chance(w.trouble[what]) {
		return none
	}
	f := requestLost + faultKind(w.rng.IntN(2))
	w.count([]string{"", "request lost: ", "answer lost: "}[f] + what)
	return f
}

// step is one thing that happens. over: nothing can but time.
func (w *simulation) step() (idle bool) {
	moved := false
	switch w.rng.IntN(4) {
	case 0:
		moved = w.brokerStep()
	default:
		moved = w.threadStep()
	}
	return !moved && !w.brokerStep() && !w.threadStep()
}

func (w *simulation) brokerStep() bool {
	for _, i := range w.rng.Perm(3) {
		switch {
		case i == 0 && w.rng.IntN(2) == 0 && w.b.land(), i == 1 && w.b.group.step(), i == 2 && w.clientStep():
			return true
		}
	}
	return false
}

// clientStep is what the clients do by themselves.
func (w *simulation) clientStep() bool {
	first := w.rng.IntN(len(w.machines))
	for i := range w.machines {
		if p := w.machines[(first+i)%len(w.machines)].p; p != nil {
			for _, s := range p.sessions {
				if s.step() {
					return true
				}
			}
		}
	}
	return false
}

// threadStep lets one thread go on to where it waits next.
func (w *simulation) threadStep() bool {
	var able []*thread
	for _, t := range w.threads {
		if !t.p.asleep() && t.runnable() {
			able = append(able, t)
		}
	}
	if len(able) == 0 {
		return false
	}
	t := able[w.rng.IntN(len(able))]
	t.ready, t.ctx, t.until = nil, nil, time.Time{}
	var alive bool
	w.let(t, func() { _, alive = t.next() })
	if !alive {
		t.p.threads = slices.DeleteFunc(t.p.threads, func(o *thread) bool { return o == t })
		w.threads = slices.DeleteFunc(w.threads, func(o *thread) bool { return o == t })
	}
	if m := t.p.machine; m.p == t.p {
		w.fate(m)
	}
	return true
}

// let runs a thread to where it waits next, and Pebble until it rests, also when
// the thread only waits for that.
func (w *simulation) let(t *thread, run func()) {
	for again := true; again; again = t.settles {
		t.settles = false
		w.busy.Store(true)
		w.running = t
		run()
		w.running = nil
		w.busy.Store(false)
		synctest.Wait()
	}
}

// fate looks after a process that just ran.
func (w *simulation) fate(m *simMachine) {
	p := m.p
	switch {
	case p.ended:
		w.ended(m)
	case p.doomed:
		m.kill(100)
	case !w.calm && w.chance(w.deadly):
		m.kill([]int{100, 100, 0, 50, 90}[w.rng.IntN(5)])
		switch w.rng.IntN(6) {
		case 0:
			w.count("disks lost")
			w.tracef("%s loses its disk", m.name)
			m.disk.lose()
		case 1:
			if m.disk.rots() {
				w.count("tables corrupted")
				w.tracef("%s: a byte of a table flips", m.name)
			}
		}
	default:
		return
	}
	m.rests = time.Now().Add(time.Duration(w.rng.IntN(8000)*w.rng.IntN(5)) * time.Millisecond)
}

// ended is a process that ended by itself.
func (w *simulation) ended(m *simMachine) {
	p := m.p
	w.tracef("%s ended: %v", p, p.err)
	err := p.err
	m.bury()
	switch {
	case err == nil && m.leaves:
		w.count("graceful ends")
		m.leaves = false
	case err == nil:
		w.failf("%s ended for no reason", p)
	case strings.Contains(err.Error(), "were decided by fold version"):
		w.count("refused another version's span")
		m.version ^= 1
	case m.disk.troubled():
		w.count("died of or ended by its disk")
	default:
		w.failf("%s ended: %v", p, err)
	}
}

// advance lets time pass: to when something happens by itself, or less.
func (w *simulation) advance(exactly bool) {
	var next time.Time
	at := func(t time.Time) {
		if t.After(time.Now()) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, t := range w.threads {
		if !t.p.asleep() {
			at(t.wakesAt())
		}
	}
	for _, m := range w.machines {
		at(m.rests)
		if m.p == nil {
			continue
		}
		at(m.p.frozen)
		at(m.p.cut)
		for _, x := range m.clock.waits {
			at(time.Now().Add(x.at.Sub(m.clock.Now())))
		}
		for _, s := range m.p.sessions {
			if len(s.leaving) > 0 {
				at(s.patience)
			}
		}
	}
	for _, txn := range w.b.opened {
		at(txn.since.Add(w.b.timeout + time.Millisecond))
	}
	d := time.Second
	if !next.IsZero() {
		d = min(d, time.Until(next))
	}
	if !exactly {
		d = time.Duration(w.rng.Int64N(int64(d) + 1))
	}
	w.pass(d)
}

func (w *simulation) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
	w.b.expire()
	w.b.group.expire()
	for _, m := range w.machines {
		m.clock.ring()
	}
	synctest.Wait()
	w.rise()
}

// rise starts who has rested.
func (w *simulation) rise() {
	for _, m := range w.machines {
		if m.p == nil && !w.over && !time.Now().Before(m.rests) {
			m.start()
		}
	}
}

// grow appends what shops do, and others than the processors write.
func (w *simulation) grow() {
	for range 1 + w.rng.IntN(4) {
		switch kind := w.rng.IntN(40); {
		case kind == 0:
			version := inForce(fmt.Sprintf("r%d", 1+w.rng.IntN(3)))
			for p := range w.partitions {
				w.add(&modelEvent{partition: p, value: version})
			}
		case kind == 1:
			w.add(&modelEvent{partition: w.rng.Int32N(w.partitions), value: []byte("no control record")})
		case kind == 2:
			w.add(&modelEvent{partition: w.rng.Int32N(w.partitions), value: tickValue})
		case kind == 3 && w.poison:
			w.poison = false
			w.add(&modelEvent{key: w.customer(), value: []byte("die")})
		case kind == 4 && w.doom:
			w.doom = false
			w.add(&modelEvent{key: w.customer(), value: []byte("doom")})
		default:
			what := []string{"cart", "cart", "cart", "view", "view", "order", "nag", "bad", "panic"}[w.rng.IntN(9)]
			w.add(&modelEvent{key: w.customer(), value: []byte(what)})
		}
	}
}

func (w *simulation) customer() string { return fmt.Sprintf("c%d", w.rng.IntN(8)) }

type modelEvent struct {
	key       string
	partition int32
	value     []byte
}

// add writes an event, at times in a transaction that stays open for a while.
func (w *simulation) add(e *modelEvent) {
	r := &kgo.Record{Topic: "events", Partition: e.partition, Value: e.value}
	if e.key != "" {
		r.Key = []byte(e.key)
	}
	var txn *modelTxn
	if w.foreign != nil && w.foreign.fate == open && w.rng.IntN(2) == 0 {
		txn = w.foreign
	}
	offset, l := w.b.append(r, txn)
	w.tracef("events %d/%d: %q %.20q at %d", l.partition, offset, e.key, e.value, r.Timestamp.UnixMilli())
}

// happen is what the world does to the processors.
func (w *simulation) happen() {
	switch w.rng.IntN(100) {
	case 0:
		d := time.Duration(w.rng.IntN(5*3600)) * time.Second
		w.leap += d
		w.count("leaps of the clock")
		w.tracef("%v pass at once", d)
	case 1:
		w.leap -= time.Duration(w.rng.IntN(3000)) * time.Millisecond
		w.count("clocks set back")
	case 2, 3:
		m := w.machines[w.rng.IntN(len(w.machines))]
		m.clock.skew = time.Duration(w.rng.IntN(20_000)-10_000) * time.Millisecond
		w.count("skewed clocks")
		w.tracef("the clock of %s is wrong by %v", m.name, m.clock.skew)
	case 4:
		for _, l := range w.b.logs["profiles"] {
			l.compact(w.rng.Int64N(l.end + 1))
		}
		w.count("compactions")
	case 5:
		w.retain()
	case 6, 7:
		w.collect()
	case 8:
		w.prove(w.rng.Int32N(w.partitions))
	case 9:
		w.count("rebalances for no reason")
		w.tracef("a rebalance for no reason")
		w.b.group.rebalance()
	case 10, 11:
		w.harm(w.machines[w.rng.IntN(len(w.machines))])
	default:
		if w.rng.IntN(15) == 0 {
			w.grow()
		}
	}
}

// retain deletes what lies before a floor of a while ago: not even who was
// frozen since then needs it.
func (w *simulation) retain() {
	if time.Since(w.retained) < 30*time.Second {
		return
	}
	for p, l := range w.b.logs["events"] {
		if floor := w.floors[p]; floor > l.start {
			l.truncate(l.start + w.rng.Int64N(floor-l.start+1))
			w.count("retentions")
		}
		w.floors[p] = w.floor(int32(p))
	}
	w.retained = time.Now()
}

// collect begins or ends a transaction of somebody else over events.
func (w *simulation) collect() {
	if w.foreign == nil {
		w.foreign = &modelTxn{id: "collector", since: time.Now()}
		w.b.opened = append(w.b.opened, w.foreign)
		return
	}
	if w.foreign.fate == open {
		w.b.decide(w.foreign, []fate{committed, committed, aborted}[w.rng.IntN(3)])
		w.count("transactions of others")
	}
	w.foreign = nil
}

// harm does something to a machine that is no death.
func (w *simulation) harm(m *simMachine) {
	if m.p == nil || w.deadly == 0 {
		return
	}
	d := time.Duration(w.rng.IntN(25_000)) * time.Millisecond
	switch w.rng.IntN(6) {
	case 0:
		m.p.frozen = time.Now().Add(d)
		w.count("frozen")
		w.tracef("%s does nothing for %v", m.p, d)
	case 1:
		m.p.cut = time.Now().Add(d)
		w.count("cut off")
		w.tracef("%s reaches nothing for %v", m.p, d)
	case 2:
		m.disk.full, m.disk.looks = time.Now().Add(d/4), int(d.Milliseconds()%50)
		w.count("disks full")
		w.tracef("the disk of %s is full for %v", m.name, d/4)
	case 3, 4:
		if !m.leaves {
			m.leaves = true
			if w.rng.IntN(3) == 0 {
				m.version ^= 1
				w.count("upgrades")
			}
			w.tracef("%s is to end", m.p)
			m.p.cancel()
		}
	case 5:
		for _, x := range w.b.group.members {
			if x.instance == m.name {
				w.count("removed from the group")
				w.tracef("%s is removed from the group", m.name)
				w.b.group.remove(x)
				break
			}
		}
	}
}
