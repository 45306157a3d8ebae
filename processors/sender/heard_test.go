package sender

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"segue/processors/sender/inbox"
	"segue/schemas"
)

// cord is all connections of a process to the broker, which can be pulled out.
type cord struct{ out atomic.Bool }

var errPulled = errors.New("the broker is away")

func (c *cord) opts() []kgo.Opt {
	return []kgo.Opt{kgo.RequestRetries(0), kgo.RecordRetries(0), kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		if c.out.Load() {
			return nil, errPulled
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &corded{conn, c}, err
	})}
}

type corded struct {
	net.Conn
	cord *cord
}

func (c *corded) Write(b []byte) (int, error) {
	if c.cord.out.Load() {
		c.Conn.Close()
		return 0, errPulled
	}
	return c.Conn.Write(b)
}

func (c *corded) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.cord.out.Load() {
		c.Conn.Close()
		return 0, errPulled
	}
	return n, err
}

// TestBrokerAwayWhileMailsAreInHand: what the mail server says meanwhile is not
// lost, since nobody died, not even when the group takes the partitions away.
func TestBrokerAwayWhileMailsAreInHand(t *testing.T) {
	var cord cord
	answer := make(chan struct{})
	var inHand, answered atomic.Int32
	r := newRig(t, inbox.Config{Answer: func(inbox.Mail) error {
		inHand.Add(1)
		<-answer
		return nil
	}})
	const deliveries = 30
	for i := range deliveries {
		r.send(r.delivery(fmt.Sprintf("d%d", i)))
	}
	s := r.start(func(c *Config) {
		c.Kafka = append(append(c.Kafka, cord.opts()...), kgo.HeartbeatInterval(50*time.Millisecond))
		c.Hook = func(step string) error {
			if step == "answered" {
				answered.Add(1)
			}
			return nil
		}
	})
	await(t, func() bool { return inHand.Load() == defaultConnections })
	cord.out.Store(true)
	close(answer)
	await(t, func() bool { return answered.Load() == defaultConnections && s.live() < partitions })
	cord.out.Store(false)
	recount(t, r, deliveries, false, s)
}

// TestAnswerAfterTheSessionBroke: the next one waits for it.
func TestAnswerAfterTheSessionBroke(t *testing.T) {
	answer := make(chan struct{})
	var inHand, ends atomic.Int32
	r := newRig(t, inbox.Config{Answer: func(inbox.Mail) error {
		inHand.Add(1)
		<-answer
		return nil
	}})
	ofAda := func(d *schemas.Delivery) { d.Customer = "ada" } // all in one partition
	for i := range defaultConnections {
		r.send(r.delivery(fmt.Sprintf("d%d", i), ofAda))
	}
	const lost = 1000
	s := r.start(func(c *Config) {
		c.Kafka = append(c.Kafka, kgo.RequestRetries(0), kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &deaf{Conn: conn, ends: &ends, lost: lost}, err
		}))
	})
	await(t, func() bool { return inHand.Load() == defaultConnections && s.live() == partitions })
	ends.Store(lost - 1)
	r.send(r.delivery("stale", ofAda, func(d *schemas.Delivery) { d.DueAt = schemas.Timestamp(epoch.Add(-time.Hour).UnixMilli()) }))
	await(t, func() bool { return s.live() < partitions })
	close(answer)
	for _, o := range r.outcomes(defaultConnections + 1) {
		want := schemas.Outcome_SENT
		if o.GetDeliveryId() == "stale" {
			want = schemas.Outcome_STALE
		}
		if o.GetKind() != want {
			t.Errorf("outcome: got %v, want %s", o, want)
		}
	}
}

// live is how many partitions are being worked on.
func (s *running) live() (n int) {
	for _, o := range s.ours() {
		if o.state().live {
			n++
		}
	}
	return n
}

// TestDeadProcessLeavesItsMailsInDoubt: what it heard died with it.
func TestDeadProcessLeavesItsMailsInDoubt(t *testing.T) {
	r := newRig(t, inbox.Config{})
	for i := range defaultConnections {
		r.send(r.delivery(fmt.Sprintf("d%d", i)))
	}
	dying := r.start(func(c *Config) { c.Hook = crash("settle", 1) })
	<-dying.done
	if !errors.Is(dying.err, errCrash) {
		t.Fatalf("Run: got %v, want the crash", dying.err)
	}
	taken := mailsTo(r.inbox)
	if len(taken) == 0 {
		t.Fatal("mails before the crash: got none")
	}
	outcomes := map[string]schemas.Outcome_Kind{}
	r.start()
	for _, o := range r.outcomes(defaultConnections) {
		outcomes[o.GetDeliveryId()] = o.GetKind()
	}
	for id := range taken {
		if outcomes[id] != schemas.Outcome_IN_DOUBT {
			t.Errorf("%s: got %s, want in doubt: who knew what the server said is dead", id, outcomes[id])
		}
	}
}

// TestLedgerAcrossSessions drives one ledger after the other with any answers, and
// with transactions that come through, fail, or fail to say that they came
// through: nothing is in doubt of what was heard, and each mail has its outcome.
func TestLedgerAcrossSessions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const count = 4
		var (
			l        = newLedger()
			now      = int64(1)
			written  int64                           // offset of attempts
			last     = map[string]hearing{}          // committed notes
			attempts = map[string]*schemas.Attempt{} // the last committed word
			inHand   []*delivery
			accepted = map[string]int{}
			outcomes = map[string][]schemas.Outcome_Kind{}
		)
		takeAll := func() {
			for i := range int64(count) {
				l.take(i, 1, nil, command(&schemas.Delivery{Id: fmt.Sprint("d", i), Customer: "ada", DueAt: schemas.Timestamp(1)}))
			}
		}
		begin := func() { // as a session that breaks, and the next one
			left := append(l.heard, slices.Collect(maps.Values(l.before))...)
			l = newLedger()
			for id, a := range attempts {
				l.known[id] = a
				for _, h := range left {
					if n, ok := last[id]; ok && n.note == h.note {
						l.before[id] = h
					}
				}
			}
			takeAll()
		}
		transact := func(out []*delivery) {
			commits, known := rapid.Bool().Draw(t, "commits"), rapid.Bool().Draw(t, "is known")
			write := func(id string, a *schemas.Attempt) {
				delete(last, id)
				if attempts[id] = a; a == nil {
					delete(attempts, id)
				} else if a.GetOutcome() == 0 {
					last[id] = hearing{note: written}
				} else {
					outcomes[id] = append(outcomes[id], a.GetOutcome())
				}
			}
			written++
			if commits {
				for _, d := range l.withdrawn {
					write(d.GetId(), nil)
				}
				for _, d := range l.ended {
					write(d.GetId(), &schemas.Attempt{Outcome: d.outcome.kind})
				}
			}
			for _, d := range out {
				if d.note = written; commits {
					write(d.GetId(), &schemas.Attempt{Number: d.number})
				}
				written++
			}
			if commits && known {
				l.recorded()
				inHand = append(inHand, out...)
				return
			}
			for _, d := range out { // they stay
				l.answered(answer{id: d.GetId(), result: untried}, now)
			}
			for _, d := range inHand { // and the others' answers are heard
				hear(t, l, d, accepted, now)
			}
			inHand = nil
			begin()
		}
		takeAll()
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				var out []*delivery
				due, _ := l.due(now)
				for _, d := range due {
					if rapid.Bool().Draw(t, "sets out") && l.judge(d, now) {
						l.handOver(d)
						out = append(out, d)
					}
				}
				transact(out)
			case 1:
				if len(inHand) > 0 {
					hear(t, l, inHand[0], accepted, now)
					inHand = inHand[1:]
				}
			case 2:
				now += longWait
			}
		}
		for id, kinds := range outcomes {
			if len(kinds) != 1 || kinds[0] == schemas.Outcome_IN_DOUBT || (kinds[0] == schemas.Outcome_SENT) != (accepted[id] == 1) {
				t.Fatalf("%s: got outcomes %v and %d mails, want one that is true", id, kinds, accepted[id])
			}
		}
		for id, n := range accepted {
			if n > 1 {
				t.Fatalf("%s: got %d mails, want 1", id, n)
			}
		}
	})
}

// hear lets a server say something about d.
func hear(t *rapid.T, l *ledger, d *delivery, taken map[string]int, now int64) {
	a := answer{id: d.GetId(), result: rapid.SampledFrom([]result{accepted, refusedNow, refused, unreachable, untried}).Draw(t, "answer")}
	if a.result == accepted {
		taken[a.id]++
	}
	l.answered(a, now)
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited 20 s in vain")
		}
	}
}
