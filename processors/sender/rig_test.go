package sender

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/sender/inbox"
	"segue/processors/stream"
	"segue/processors/stream/streamtest"
	"segue/schemas"
	"segue/schemas/link"
)

const (
	partitions = 2
	playbookV1 = "main@000000000001"
	page       = `<html><body><h1>{{ cart.items[0].name }} ♥</h1><a href="{{ cart.url }}">Back to your cart</a>
<p>{{ postal_address }}</p><a href="{{ unsubscribe_url }}">Unsubscribe</a></body></html>`
)

var epoch = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// rig is a Kafka, an inbox and a clock that stands still until told.
type rig struct {
	*streamtest.Cluster
	t     *testing.T
	clock *stream.VirtualClock
	inbox *inbox.Inbox
	keys  link.Keys
	// change may alter the next station's configuration.
	change func(*Config)
	// settle waits until what was handed over has arrived.
	settle func()
}

func newRig(t *testing.T, c inbox.Config) *rig {
	t.Helper()
	return rigOn(t, streamtest.Fake(t, kfake.SleepOutOfOrder()), c)
}

func rigOn(t *testing.T, cluster *streamtest.Cluster, c inbox.Config) *rig {
	t.Helper()
	r := &rig{Cluster: cluster, t: t, clock: stream.NewVirtualClock(epoch), change: func(*Config) {}, settle: func() {}}
	r.Create(partitions, schemas.Events, schemas.Deliveries, schemas.Attempts)
	r.Create(1, schemas.Playbooks, schemas.Pauses, schemas.Returned, schemas.DeadLetters)
	var err error
	if r.keys, err = link.NewKeys("a secret of sixteen bytes or more"); err != nil {
		t.Fatal(err)
	}
	r.produce(schemas.Playbooks, playbookV1, schemas.Encode(&schemas.PlaybookVersion{
		Id: "main", Version: "000000000001", Files: map[string][]byte{"cart.html": []byte(page), "broken.html": []byte(`{{ cart | no_such_filter }}`)},
	}))
	c.Clock = r.clock
	if r.inbox, err = inbox.New(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.inbox.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) produce(topic, key string, value []byte) {
	r.t.Helper()
	r.Produce(&kgo.Record{Topic: topic, Key: []byte(key), Value: value, Timestamp: r.clock.Now()})
}

// delivery is a good one; change may spoil it.
func (r *rig) delivery(id string, change ...func(*schemas.Delivery)) *schemas.Delivery {
	now := r.clock.Now().UnixMilli()
	context, err := json.Marshal(map[string]any{"cart": map[string]any{
		"url": "https://shop.example/cart?a=1&b=2", "items": []map[string]any{{"name": "Mug <script>alert(1)</script>"}},
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	d := &schemas.Delivery{
		Id: id, Customer: "customer of " + id, Journey: "cart", Step: 1, Instance: "cart 1", Message: "reminder", Playbook: playbookV1,
		DueAt: schemas.Timestamp(now), DecidedAt: schemas.Timestamp(now), GiveUpAt: schemas.Timestamp(now + (6 * time.Hour).Milliseconds()),
		Reason: "journey cart, step 1", To: id + "@example.com", ToName: "Ada", From: "Alder & Oak <hello@shop.example>",
		Subject: "Your {{ cart.items[0].name | split: ' ' | first }} ♥", Template: "cart.html", ContextJson: context, PostalAddress: "1 High Street, London",
	}
	for _, c := range change {
		c(d)
	}
	return d
}

func (r *rig) send(d *schemas.Delivery) {
	r.t.Helper()
	r.produce(schemas.Deliveries, d.GetCustomer(), schemas.Encode(&schemas.DeliveryCommand{Command: &schemas.DeliveryCommand_Send{Send: d}}))
}

// sendAsync does not wait; a later send of the same customer comes after it.
func (r *rig) sendAsync(d *schemas.Delivery) {
	value := schemas.Encode(&schemas.DeliveryCommand{Command: &schemas.DeliveryCommand_Send{Send: d}})
	r.Client().Produce(r.t.Context(), &kgo.Record{Topic: r.Prefix + schemas.Deliveries, Key: []byte(d.GetCustomer()), Value: value, Timestamp: r.clock.Now()},
		func(_ *kgo.Record, err error) {
			if err != nil {
				r.t.Error(err)
			}
		})
}

func (r *rig) cancel(d *schemas.Delivery, reason string) {
	r.t.Helper()
	r.produce(schemas.Deliveries, d.GetCustomer(), schemas.Encode(&schemas.DeliveryCommand{
		Command: &schemas.DeliveryCommand_Cancel{Cancel: &schemas.Cancel{DeliveryId: d.GetId(), Reason: reason}}}))
}

// running is a station under way.
type running struct {
	*Station
	t    *testing.T
	stop context.CancelFunc
	done chan struct{}
	err  error
}

func (r *rig) start(change ...func(*Config)) *running {
	r.t.Helper()
	c := Config{
		Kafka: r.Opts(), Prefix: r.Prefix, Instance: "one", PublicURL: "https://t.shop.example", Links: r.keys, Clock: r.clock,
		SMTP: SMTP{Addr: r.inbox.SMTPAddr(), Timeout: 10 * time.Second}, CommitSpacing: time.Nanosecond,
	}
	if testing.Verbose() {
		c.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	for _, more := range append(change, r.change) {
		more(&c)
	}
	s, err := New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	run := &running{Station: s, t: r.t, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(run.done)
		run.err = s.Run(ctx)
	}()
	r.t.Cleanup(run.end)
	return run
}

// end stops a station and waits for it.
func (s *running) end() {
	s.stop()
	<-s.done
}

// outcomes reads events until want outcomes have come.
func (r *rig) outcomes(want int) []*schemas.Outcome {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	client, err := kgo.NewClient(append(r.Opts(), kgo.ConsumeTopics(r.Prefix+schemas.Events), kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	var all []*schemas.Outcome
	for len(all) < want {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			r.t.Fatalf("outcomes: got %d, want %d: %v: %v", len(all), want, all, err)
		}
		if err := fetches.Err(); err != nil {
			r.t.Fatal(err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			var e schemas.Event
			if err := schemas.Decode(rec.Value, &e); err != nil {
				r.t.Fatal(err)
			}
			if string(rec.Key) != e.GetCustomer() || e.GetId() != e.GetOutcome().GetDeliveryId()+"/"+label(e.GetOutcome().GetKind()) {
				r.t.Errorf("event of outcome: got key %q and id %q in %v", rec.Key, e.GetId(), &e)
			}
			all = append(all, e.GetOutcome())
		})
	}
	return all
}

// only is the outcome of the one delivery that there is.
func (r *rig) only(kind schemas.Outcome_Kind) *schemas.Outcome {
	r.t.Helper()
	o := r.outcomes(1)[0]
	if o.GetKind() != kind {
		r.t.Fatalf("outcome: got %v, want %v", o, kind)
	}
	return o
}

// quiet waits until nothing can be done at this instant.
func (r *rig) quiet(stations ...*running) {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		ok, next := true, map[int32]int64{}
		for _, s := range stations {
			n, settled := s.Settled(r.clock.Now())
			ok = ok && settled
			maps.Copy(next, n)
		}
		if ok && maps.Equal(next, r.Ends(schemas.Deliveries)) {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("not settled at %s: next %v", r.clock.Now(), next)
		}
		time.Sleep(time.Millisecond) // as the driver of virtual time does
	}
}

// crash returns a hook that fails once, at the nth call of step.
func crash(step string, nth int) func(string) error {
	var mu sync.Mutex
	return func(s string) error {
		mu.Lock()
		defer mu.Unlock()
		if s != step {
			return nil
		}
		if nth--; nth != 0 {
			return nil
		}
		return errCrash
	}
}

var errCrash = errors.New("crash")

func mailsTo(b *inbox.Inbox) map[string]int {
	n := map[string]int{}
	for _, m := range b.Mails() {
		n[m.DeliveryID]++
	}
	return n
}

// readAll reads a topic, read committed, to its present end.
func (r *rig) readAll(topic string) (records []*kgo.Record) {
	r.t.Helper()
	for _, of := range r.Committed(topic) {
		records = append(records, of...)
	}
	return records
}

// closedAddr is where nobody listens.
func closedAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
