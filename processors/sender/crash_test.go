package sender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/sender/inbox"
	"segue/processors/stream/streamtest"
	"segue/schemas"
)

// steps of the protocol, in order.
var steps = []string{"fenced", "note", "noted", "hand-over", "answered", "settle", "settled", "offset"}

// TestCrashAtEveryStep: a process dies there, and another goes on.
func TestCrashAtEveryStep(t *testing.T) {
	for _, step := range steps {
		times := []int{1, 3}
		if step == "fenced" || step == "offset" { // once per partition
			times = []int{1, 2}
		}
		for _, nth := range times {
			t.Run(fmt.Sprintf("%s/%d", step, nth), func(t *testing.T) {
				t.Parallel()
				crashAt(t, newRig(t, inbox.Config{}), step, nth)
			})
		}
	}
}

func TestKafkaCrashAtEveryStep(t *testing.T) {
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			r := rigOn(t, streamtest.Real(t), inbox.Config{})
			r.change = func(c *Config) { c.CommitSpacing = 0 }
			crashAt(t, r, step, 1)
		})
	}
}

func crashAt(t *testing.T, r *rig, step string, nth int) {
	deliveries := 0
	more := func(n int) {
		for range n {
			r.send(r.delivery(fmt.Sprintf("d%d", deliveries)))
			deliveries++
		}
	}
	more(30)
	change := r.change
	r.change = func(c *Config) {
		change(c)
		c.Hook = crash(step, nth)
	}
	dying := r.start()
	for dead := false; !dead; {
		select {
		case <-dying.done:
			dead = true
		case <-time.After(200 * time.Millisecond): // all fitted into fewer transactions
			if more(1); deliveries > 300 {
				t.Fatalf("step %q was not reached %d times", step, nth)
			}
		}
	}
	if !errors.Is(dying.err, errCrash) {
		t.Fatalf("Run: got %v, want the crash", dying.err)
	}
	r.change = change
	recount(t, r, deliveries, step != "fenced" || nth > 1, r.start())
}

// recount checks the promise: one outcome for each, no mail twice, none that is
// called sent and was not.
func recount(t *testing.T, r *rig, deliveries int, mayDoubt bool, stations ...*running) {
	t.Helper()
	r.outcomes(deliveries)
	r.quiet(stations...)
	r.settle()
	mails := mailsTo(r.inbox)
	outcomes := map[string]schemas.Outcome_Kind{}
	doubts := 0
	for _, rec := range r.readAll(schemas.Events) {
		var e schemas.Event
		if err := schemas.Decode(rec.Value, &e); err != nil {
			t.Fatal(err)
		}
		id, kind := e.GetOutcome().GetDeliveryId(), e.GetOutcome().GetKind()
		if outcomes[id] != 0 {
			t.Errorf("%s: got outcomes %s and %s, want one", id, outcomes[id], kind)
		}
		outcomes[id] = kind
		switch kind {
		case schemas.Outcome_SENT:
			if mails[id] != 1 {
				t.Errorf("%s: sent, and got %d mails, want 1", id, mails[id])
			}
		case schemas.Outcome_IN_DOUBT:
			if doubts++; mails[id] > 1 {
				t.Errorf("%s: in doubt, and got %d mails, want at most 1", id, mails[id])
			}
		default:
			t.Errorf("%s: got outcome %s, want sent or in-doubt", id, kind)
		}
	}
	if len(outcomes) != deliveries {
		t.Errorf("outcomes: got %d, want %d", len(outcomes), deliveries)
	}
	if most := defaultConnections; doubts > most || doubts > 0 && !mayDoubt {
		t.Errorf("in doubt: got %d, want none but what was in hand", doubts)
	}
}

// TestLostAnswerOfACommit: the broker committed, and the process does not know. It
// does know what it handed over, and what the mail server said.
func TestLostAnswerOfACommit(t *testing.T) {
	for _, lost := range []int32{1, 2, 5} {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, inbox.Config{})
			const deliveries = 30
			for i := range deliveries {
				r.send(r.delivery(fmt.Sprintf("d%d", i)))
			}
			var ends atomic.Int32
			r.change = func(c *Config) {
				c.Kafka = append(c.Kafka[:len(c.Kafka):len(c.Kafka)], kgo.RequestRetries(0), kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := new(net.Dialer).DialContext(ctx, network, addr)
					return &deaf{Conn: conn, ends: &ends, lost: lost}, err
				}))
			}
			recount(t, r, deliveries, false, r.start())
			if ends.Load() < lost {
				t.Errorf("EndTxn: got %d, want the %dth to be lost", ends.Load(), lost)
			}
		})
	}
}

// deaf is a connection that breaks instead of answering the nth EndTxn of all.
type deaf struct {
	net.Conn
	ends   *atomic.Int32
	lost   int32
	broken atomic.Bool
}

func (d *deaf) Write(b []byte) (int, error) {
	const endTxn = 26
	if len(b) > 6 && int(b[4])<<8|int(b[5]) == endTxn && d.ends.Add(1) == d.lost {
		d.broken.Store(true)
	}
	return d.Conn.Write(b)
}

func (d *deaf) Read(b []byte) (int, error) {
	n, err := d.Conn.Read(b)
	if d.broken.Load() {
		d.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// TestPartitionsMoveBetweenProcesses: a second process comes, and the first one
// goes, while mails go out.
func TestPartitionsMoveBetweenProcesses(t *testing.T) {
	t.Parallel()
	r := newRig(t, inbox.Config{})
	r.change = func(c *Config) { c.Kafka = append(c.Kafka, kgo.HeartbeatInterval(50*time.Millisecond)) }
	const each = 60
	sent := 0
	more := func() {
		for range each {
			r.send(r.delivery(fmt.Sprintf("d%d", sent)))
			sent++
		}
	}
	more()
	one := r.start()
	beat := r.change
	r.change = func(c *Config) { beat(c); c.Instance = "two" }
	two := r.start()
	more()
	deadline := time.Now().Add(20 * time.Second)
	for len(one.ours()) != 1 || len(two.ours()) != 1 {
		if time.Now().After(deadline) {
			t.Fatalf("partitions: got %d and %d, want one each", len(one.ours()), len(two.ours()))
		}
		time.Sleep(time.Millisecond)
	}
	more()
	recount(t, r, sent, false, one, two)
}

// TestCancellationFarAhead: it lies behind more deliveries than are held in
// memory.
func TestCancellationFarAhead(t *testing.T) {
	r := newRig(t, inbox.Config{})
	first := r.delivery("first", func(d *schemas.Delivery) { d.Customer = "ada" })
	r.send(first)
	const between = window + 200
	for i := range between {
		r.sendAsync(r.delivery(fmt.Sprintf("stale %d", i), func(d *schemas.Delivery) {
			d.Customer, d.DueAt = "ada", schemas.Timestamp(epoch.Add(-time.Hour).UnixMilli())
		}))
	}
	r.cancel(first, "ordered")
	r.start()
	for _, o := range r.outcomes(1 + between) {
		want := schemas.Outcome_STALE
		if o.GetDeliveryId() == "first" {
			want = schemas.Outcome_CANCELLED
		}
		if o.GetKind() != want {
			t.Fatalf("outcome: got %v, want %v", o, want)
		}
	}
}

// TestReplacedOwnerCannotSend: one process sleeps before its transaction, and
// another takes its partitions meanwhile.
func TestReplacedOwnerCannotSend(t *testing.T) {
	for _, step := range []string{"note", "hand-over", "answered", "settle"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, inbox.Config{})
			const deliveries = 10
			for i := range deliveries {
				r.send(r.delivery(fmt.Sprintf("d%d", i)))
			}
			asleep, wake := make(chan struct{}), make(chan struct{})
			var once sync.Once
			r.change = func(c *Config) {
				c.Hook = func(s string) error {
					if s == step {
						once.Do(func() { close(asleep) })
						<-wake
					}
					return nil
				}
			}
			sleeper := r.start()
			<-asleep
			// The same member, started anew: the group believes it at once.
			r.change = func(*Config) {}
			s := r.start()
			seen := r.outcomes(deliveries)
			close(wake)
			sleeper.end()
			if len(seen) != deliveries {
				t.Fatalf("outcomes: got %d, want %d", len(seen), deliveries)
			}
			recount(t, r, deliveries, step != "note", s)
		})
	}
}

func TestGracefulStopLeavesNothingInDoubt(t *testing.T) {
	var slow sync.WaitGroup
	slow.Add(1)
	began := make(chan struct{})
	var once sync.Once
	r := newRig(t, inbox.Config{Answer: func(inbox.Mail) error {
		once.Do(func() { close(began) })
		slow.Wait()
		return nil
	}})
	const deliveries = 40
	for i := range deliveries {
		r.send(r.delivery(fmt.Sprintf("d%d", i)))
	}
	s := r.start()
	<-began
	s.stop()
	slow.Done()
	<-s.done
	recount(t, r, deliveries, false, r.start())
}

func TestOffsetMovesPastWhatIsSettled(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.send(r.delivery("d1"))
	s := r.start()
	r.quiet(s)
	s.end()
	committed, err := kadm.NewClient(r.Client()).FetchOffsets(t.Context(), s.group())
	if err != nil {
		t.Fatal(err)
	}
	ends, err := kadm.NewClient(r.Client()).ListEndOffsets(t.Context(), schemas.Deliveries)
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		if o, _ := committed.Lookup(end.Topic, end.Partition); o.At != end.Offset {
			t.Errorf("partition %d: group's offset %d, want the end %d", end.Partition, o.At, end.Offset)
		}
	})
}

// TestGroupSetBack: an operator sets the group's offset back, or it is lost.
func TestGroupSetBack(t *testing.T) {
	r := newRig(t, inbox.Config{})
	for _, id := range []string{"d1", "d2", "d3"} {
		r.send(r.delivery(id))
	}
	s := r.start()
	r.quiet(s)
	s.end()
	if _, err := kadm.NewClient(r.Client()).DeleteOffsets(t.Context(), s.group(), kadm.TopicsSet{schemas.Deliveries: {0: {}, 1: {}}}); err != nil {
		t.Fatal(err)
	}
	recount(t, r, 3, false, r.start())
}

// TestAttemptsGoWithTheirDeliveries: what the log has dropped is forgotten.
func TestAttemptsGoWithTheirDeliveries(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.send(r.delivery("old"))
	s := r.start()
	r.quiet(s)
	s.end()
	admin := kadm.NewClient(r.Client())
	ends, err := admin.ListEndOffsets(t.Context(), schemas.Deliveries)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.DeleteRecords(t.Context(), ends.Offsets()); err != nil {
		t.Fatal(err)
	}
	r.send(r.delivery("new"))
	s = r.start()
	r.quiet(s)
	last := map[string][]byte{}
	for _, rec := range r.readAll(schemas.Attempts) {
		last[string(rec.Key)] = rec.Value
	}
	if last["old"] != nil || last["new"] == nil {
		t.Errorf("attempts: got %q, want old gone and new kept", last)
	}
}

// TestAttemptsNameWhoseMailIsInHand: for whoever must report it after a crash. What
// has ended names nobody, since it may outlast the customer.
func TestAttemptsNameWhoseMailIsInHand(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.send(r.delivery("d1"))
	r.quiet(r.start())
	var got []string
	for _, rec := range r.readAll(schemas.Attempts) {
		var a schemas.Attempt
		if err := schemas.Decode(rec.Value, &a); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s: %q %q %d %q", label(a.GetOutcome()), a.GetCustomer(), a.GetJourney(), a.GetStep(), a.GetInstance()))
	}
	want := []string{`kind-unspecified: "customer of d1" "cart" 1 "cart 1"`, `sent: "" "" 0 ""`}
	if !slices.Equal(got, want) {
		t.Errorf("attempts: got %q, want %q", got, want)
	}
}

func TestHeadersCannotBeInjected(t *testing.T) {
	r := newRig(t, inbox.Config{})
	evil := "x\r\nBcc: all@example.com\r\n\r\n<b>body</b>"
	r.send(r.delivery("d1", func(d *schemas.Delivery) {
		d.Subject, d.ToName, d.Reason = "Hello "+evil, evil, evil
	}))
	r.start()
	r.only(schemas.Outcome_SENT)
	m, _ := r.inbox.Mail(1)
	header, _, _ := strings.Cut(string(m.Raw), "\r\n\r\n")
	for line := range strings.SplitSeq(header, "\r\n") {
		if strings.HasPrefix(line, "Bcc") || strings.Contains(line, "<b>body") && !strings.HasPrefix(line, " ") && !strings.Contains(line, ":") {
			t.Errorf("header: got line %q", line)
		}
	}
	if !strings.Contains(m.HTML, "Back to your cart") {
		t.Errorf("body: got %q, want the template's", m.HTML)
	}
}

func TestKafkaDeliveryReachesItsCustomer(t *testing.T) {
	r := rigOn(t, streamtest.Real(t), inbox.Config{})
	r.change = func(c *Config) { c.CommitSpacing = 0 }
	const deliveries = 200
	for i := range deliveries {
		r.send(r.delivery(fmt.Sprintf("d%d", i)))
	}
	recount(t, r, deliveries, false, r.start())
}
