package stream

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// thread is a goroutine of a process. It runs alone, until it waits or asks
// the broker for something; then the simulation chooses who goes on.
type thread struct {
	p     *simProcess
	name  string
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	ready func() bool // nil: at once
	ctx   context.Context
	until time.Time // whatever ready says; zero: never

	settles bool // it goes on as soon as Pebble rests
}

func (t *thread) runnable() bool {
	return t.ready == nil || t.ready() || t.ctx != nil && t.ctx.Err() != nil || !t.until.IsZero() && !time.Now().Before(t.until)
}

// wakesAt is when time alone makes it runnable; zero: never.
func (t *thread) wakesAt() time.Time {
	at := t.until
	if t.ctx != nil {
		if d, ok := t.ctx.Deadline(); ok && (at.IsZero() || d.Before(at)) {
			at = d
		}
	}
	return at
}

// killed unwinds the threads of a process that died.
type killed struct{}

// simProcess is one life of a member.
type simProcess struct {
	w       *simulation
	machine *simMachine
	life    int
	p       *Processor[toyState, string]
	cancel  context.CancelFunc

	sessions []*modelSession
	threads  []*thread
	dead     bool // what still runs is unwound
	doomed   bool // by a step
	ended    bool
	err      error
	frozen   time.Time // it does nothing before
	cut      time.Time // nor does it reach the broker
}

func (p *simProcess) String() string { return fmt.Sprintf("%s.%d", p.machine.name, p.life) }

func (p *simProcess) asleep() bool    { return time.Now().Before(p.frozen) }
func (p *simProcess) reachable() bool { return !p.dead && !p.asleep() && !time.Now().Before(p.cut) }

// spawn adds a thread, which begins when the simulation likes.
func (p *simProcess) spawn(name string, f func()) {
	if p.dead {
		return
	}
	t := &thread{p: p, name: name}
	t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		defer func() {
			if r := recover(); r != nil && r != (killed{}) {
				p.panicked(r)
			}
		}()
		f()
	})
	if name == background && p.w.rng.IntN(4) == 0 { // a slow disk
		t.ready = func() bool { return false }
		t.until = time.Now().Add(time.Duration(p.w.rng.IntN(2000)) * time.Millisecond)
	}
	p.threads = append(p.threads, t)
	p.w.threads = append(p.w.threads, t)
}

// panicked is a death, if the disk is to blame for it; otherwise a bug.
func (p *simProcess) panicked(r any) {
	if p.dead {
		return
	}
	p.doomed = true
	if p.machine.disk.troubled() {
		p.w.count("died of or ended by its disk")
		p.w.tracef("%s died of its disk: %v", p, r)
		return
	}
	p.w.failf("%s panicked: %v\n%s", p, r, debug.Stack())
}

// later is for what the client does in the background.
func (p *simProcess) later(f func()) { p.spawn("client", f) }

func (p *simProcess) pause() { p.await(context.Background(), nil, time.Time{}) }

// await gives way to others until ready, or until ctx or time ends.
func (p *simProcess) await(ctx context.Context, ready func() bool, until time.Time) {
	if p.dead {
		panic(killed{})
	}
	t := p.w.running
	if t == nil || t.p != p {
		panic(fmt.Sprintf("%s waits outside of its threads", p))
	}
	t.ctx, t.ready, t.until = ctx, ready, until
	if !t.yield(struct{}{}) || p.dead {
		panic(killed{})
	}
}

// settle lets Pebble end what it does behind a write. Nobody else goes on: the
// thread may hold locks.
func (p *simProcess) settle() {
	if p.dead {
		return
	}
	t := p.w.running
	t.settles = true
	t.yield(struct{}{})
}

// sleep is how the processor waits for time.
func (p *simProcess) sleep(ctx context.Context, d time.Duration) {
	p.await(ctx, func() bool { return false }, time.Now().Add(d))
}

// call is a request to the broker.
func (p *simProcess) call(what string, apply func() error) error {
	p.pause()
	if time.Now().Before(p.cut) {
		p.await(context.Background(), p.reachable, time.Now().Add(3*time.Second))
		if !p.reachable() {
			return fmt.Errorf("%s: %w", what, errNotDelivered)
		}
	}
	f := p.w.fault(what)
	if f == requestLost {
		return fmt.Errorf("%s: %w", what, errNotDelivered)
	}
	err := apply()
	p.w.tracef("%s %s: %v", p, what, err)
	p.pause()
	if f == answerLost {
		return fmt.Errorf("%s: %w", what, errNoAnswer)
	}
	return err
}

// hook is called by the processor at its steps.
func (p *simProcess) hook(step string) error {
	if p.dead {
		return errCrash
	}
	p.w.tracef("%s %s", p, step)
	p.w.count("step " + step)
	if step == "handed" && !slices.ContainsFunc(p.p.partitions, p.handsOver) {
		p.w.failf("%s hands over a partition that its next owner has to fold again", p)
	}
	p.pause()
	return nil
}

// handsOver: the partition leaves, and its profiles are all there is.
func (p *simProcess) handsOver(x *partition[toyState, string]) bool {
	return p.p.isLeaving(x.id) && x.fold.pos == x.committed.M && x.committed.F == x.committed.M
}

// simMachine is where one process at a time lives: a disk and a clock.
type simMachine struct {
	w       *simulation
	name    string
	disk    *simDisk
	clock   *simClock
	p       *simProcess
	lives   int
	version int       // of the fold
	rests   time.Time // no process before
	leaves  bool      // its process is to end well
}

// start begins a life.
func (m *simMachine) start() {
	m.lives++
	p := &simProcess{w: m.w, machine: m, life: m.lives}
	m.p = p
	m.w.tracef("%s starts, version %d", p, m.version)
	c := m.w.config(p)
	var err error
	if p.p, err = New(c); err != nil {
		m.w.failf("New: %v", err)
		return
	}
	p.inject()
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.spawn("loop", func() {
		err := p.p.Run(ctx)
		if !p.dead {
			p.ended, p.err = true, err
		}
	})
}

// kill ends the process without a word, the machine too if it loses power:
// then what was not synced is lost, by percent.
func (m *simMachine) kill(percent int) {
	p := m.p
	m.w.tracef("%s is killed, %d%% of what was not synced is left", p, percent)
	m.w.count("deaths")
	if percent < 100 {
		m.w.count("power losses")
	}
	m.disk.crash(percent)
	m.w.tracef("on its disk is %s", m.disk)
	m.bury()
}

// bury unwinds what a dead process was doing; it reaches nothing any more.
func (m *simMachine) bury() {
	p := m.p
	p.dead = true
	m.w.refolded(p.p)
	threads := slices.Clone(p.threads)
	slices.Reverse(threads) // the loop closes what the others use
	for _, t := range threads {
		m.w.let(t, t.stop)
	}
	p.cancel()
	m.w.threads = slices.DeleteFunc(m.w.threads, func(t *thread) bool { return t.p == p })
	m.p = nil
	m.clock.forget()
}

// simClock is a machine's clock on the wall. It may be wrong, and jump.
type simClock struct {
	w     *simulation
	skew  time.Duration
	waits []*simWait
}

type simWait struct {
	at      time.Time
	reached chan struct{}
}

func (c *simClock) Now() time.Time { return c.w.wall().Add(c.skew) }

func (c *simClock) At(t time.Time) (<-chan struct{}, func()) {
	x := &simWait{t, make(chan struct{})}
	c.waits = append(c.waits, x)
	return x.reached, func() {
		c.waits = slices.DeleteFunc(c.waits, func(o *simWait) bool { return o == x })
	}
}

// ring wakes whose time has come.
func (c *simClock) ring() {
	now := c.Now()
	c.waits = slices.DeleteFunc(c.waits, func(x *simWait) bool {
		if x.at.After(now) {
			return false
		}
		close(x.reached)
		return true
	})
}

func (c *simClock) forget() { c.waits = nil }

// inject puts the processor into this world.
func (p *simProcess) inject() {
	x := p.p
	x.cluster = &modelCluster{p: p, b: p.w.b}
	x.pause, x.awaitRoom = p.sleep, runtime.Gosched
	x.spawn = func(f func()) { p.spawn(background, f) }
	x.await = func() {
		if p.dead {
			return // unwound before the loop
		}
		p.await(context.Background(), func() bool {
			return !slices.ContainsFunc(p.threads, func(t *thread) bool { return t.name == background })
		}, time.Time{})
	}
}

const background = "background"
