package stream

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"segue/processors/stream/streamtest"
)

// chaosMachine is where one process at a time lives.
type chaosMachine struct {
	*chaos
	*draws
	*machine
	skew  atomic.Int64 // its clock is wrong by it
	cut   atomic.Int64 // it reaches nothing before this instant
	lives int
}

// isCut reports whether nothing of it reaches a broker now.
func (m *chaosMachine) isCut() bool { return time.Now().UnixNano() < m.cut.Load() }

func (m *chaosMachine) cutFor(d time.Duration) { m.cut.Store(time.Now().Add(d).UnixNano()) }

// bury is what may become of the disk after a death.
func (m *chaosMachine) bury() {
	switch m.n(10) {
	case 0:
		m.story.count("disks lost")
		m.story.tell("%s loses its disk", m.name)
		m.machine = newMachine(m.name)
	case 1:
		if n := m.damage(); n > 0 {
			m.story.count("tables corrupted")
			m.story.tell("%s: %d tables are damaged", m.name, n)
		}
	}
}

// chaosLife is one process. Dead, nothing of it reaches a broker or the disk.
type chaosLife struct {
	*chaosMachine
	name string
	safe bool // nothing happens to it
	dead atomic.Bool
	end  atomic.Pointer[context.CancelFunc]
}

func (l *chaosLife) String() string { return l.name }

func (m *chaosMachine) begin(safe bool) *chaosLife {
	m.lives++
	if safe {
		m.skew.Store(0)
		m.cut.Store(0)
	}
	l := &chaosLife{chaosMachine: m, name: fmt.Sprintf("%s.%d", m.machine.name, m.lives), safe: safe}
	m.story.tell("%s starts", l)
	return l
}

func (m *chaosMachine) config(l *chaosLife) Config[toyState, string] {
	c := m.rig.config(m.machine)
	c.Kafka = append(m.Through(l.meet), kgo.SessionTimeout(1500*time.Millisecond), kgo.HeartbeatInterval(100*time.Millisecond),
		kgo.RebalanceTimeout(3*time.Second), kgo.TransactionTimeout(3*time.Second))
	c.Task = &toy{die: func() {
		if !l.safe && !l.dead.Load() {
			m.story.count("records that kill")
			l.die(100, "of a record")
		}
	}}
	c.Clock = &wrongClock{by: &m.skew}
	c.Log = slog.New(slog.NewTextHandler(m.story.of(l.name), nil))
	c.NextGenGroup = m.nextGen
	c.MaxPoll = 20 + m.n(60)
	c.Memory = []int64{16 << 20, 1 << 20, 64 << 10}[m.n(3)]
	c.Hook = l.hook
	return c
}

// hook is called by the processor at its steps.
func (l *chaosLife) hook(step string) error {
	switch {
	case l.dead.Load():
		return errCrash
	case l.safe:
	case l.in(l.deadly):
		l.die([]int{100, 100, 0, 50, 90}[l.n(5)], fmt.Sprintf("at %q", step))
		return errCrash
	case l.deadly > 0 && l.in(500):
		d := l.upTo(2500 * time.Millisecond)
		l.story.count("frozen")
		l.story.tell("%s does nothing for %v, at %q", l, d, step)
		l.cutFor(d)
		time.Sleep(d)
	}
	return nil
}

// die ends the process; the machine too if of what was not synced less than
// all is left.
func (l *chaosLife) die(percent int, how string) {
	if l.dead.Swap(true) {
		return
	}
	l.story.count("deaths")
	if percent < 100 {
		l.story.count("power losses")
	}
	l.story.tell("%s dies %s; %d%% of what was not synced is left", l, how, percent)
	l.lose(percent)
	if end := l.end.Load(); end != nil {
		(*end)()
	}
}

// meet is what becomes of a request of the process.
func (l *chaosLife) meet(key kmsg.Key) streamtest.Fate {
	what := ""
	fate := streamtest.Delivered
	switch {
	case l.safe:
		return fate
	case l.dead.Load(), l.isCut():
		return streamtest.Lost
	case !l.in(l.troubled[key]):
		return fate
	}
	switch l.n(3) {
	case 0:
		what, fate = "lost", streamtest.Lost
	case 1:
		what, fate = "unanswered", streamtest.Unanswered
	default:
		what = "delayed"
	}
	l.story.count(what + ": " + key.Name())
	l.story.tell("%s: a %s is %s", l, key.Name(), what)
	if what == "delayed" {
		time.Sleep(l.upTo(500 * time.Millisecond))
	}
	if l.dead.Load() {
		return streamtest.Lost
	}
	return fate
}

// wrongClock is the machine's clock, ahead or behind.
type wrongClock struct {
	RealClock
	by *atomic.Int64
}

func (c *wrongClock) Now() time.Time { return time.Now().Add(time.Duration(c.by.Load())) }

func (c *wrongClock) At(t time.Time) (<-chan struct{}, func()) {
	return c.RealClock.At(t.Add(-time.Duration(c.by.Load())))
}
