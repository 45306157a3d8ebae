package sender

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protowire"

	"segue/processors/sender/breaker"
	"segue/processors/stream"
	"segue/schemas"
)

const (
	// breakersPartition is the one of deliveries whose owner runs the breaker: there
	// is one in a cluster.
	breakersPartition = 0
	// countsSaved is how often counts are written down, if there are new ones.
	countsSaved = 10 * time.Second
	countsKey   = "breaker"
)

// circuit is the breaker at work. It reads what became of all mails, of all
// senders, and pauses what comes back too often. What it has counted is written
// down together with how far it has read, so that who takes over goes on exactly
// there; two at once decide the same.
type circuit struct {
	*Station
	client  *kgo.Client
	counter *breaker.Counter
	next    map[int32]int64
	// until is where events ended at the start: before that nothing is decided,
	// since partitions are not read at one pace.
	until map[int32]int64
	saved time.Time
	news  bool // since then
}

// guard runs the breaker until stop is closed or ctx ends.
func (o *owner) guard(ctx context.Context) {
	ctx, cancel := until(ctx, o.stop)
	defer cancel()
	for failures := 0; ; failures++ {
		err := o.count(ctx)
		if ctx.Err() != nil {
			return
		}
		o.Log.Warn("begin the circuit breaker again", "cause", err)
		select {
		case <-time.After(backOff(failures)):
		case <-ctx.Done():
			return
		}
	}
}

// count is one life of the breaker.
func (s *Station) count(ctx context.Context) error {
	c := &circuit{Station: s}
	if err := c.open(ctx); err != nil {
		return err
	}
	defer c.client.Close()
	for {
		poll, cancel := context.WithTimeout(ctx, fetchWait)
		fetches := c.client.PollRecords(poll, 10_000)
		cancel()
		if ctx.Err() != nil { // what is not saved is counted again
			return ctx.Err()
		}
		if err := fetches.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("read %s: %w", s.topic(schemas.Events), err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			c.take(it.Next())
		}
		if err := c.decide(ctx); err != nil {
			return err
		}
		if c.news && time.Since(c.saved) > countsSaved {
			if err := c.save(ctx); err != nil {
				return err
			}
		}
	}
}

// open goes on where the last one saved, or begins with what comes from now on.
func (c *circuit) open(ctx context.Context) error {
	saved, err := c.read(ctx)
	if err != nil {
		return err
	}
	c.counter, c.next, c.until = breaker.New(saved), map[int32]int64{}, map[int32]int64{}
	events := c.topic(schemas.Events)
	if c.client, err = kgo.NewClient(append(append([]kgo.Opt{kgo.FetchMaxWait(fetchWait), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil))}, c.Kafka...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NoResetOffset()))...); err != nil {
		return err
	}
	cluster := kadm.NewClient(c.client)
	starts, err := cluster.ListStartOffsets(ctx, events)
	ends, errEnds := cluster.ListEndOffsets(ctx, events)
	if err = errors.Join(err, errEnds, starts.Error(), ends.Error()); err != nil {
		c.client.Close()
		return fmt.Errorf("ask for the bounds of %s: %w", events, err)
	}
	from := map[int32]kgo.Offset{}
	for p, end := range ends[events] {
		start, _ := starts.Lookup(events, p)
		at, ok := saved.GetNext()[p]
		if !ok || at > end.Offset {
			at = end.Offset
		}
		c.next[p], c.until[p] = max(at, start.Offset), end.Offset
		from[p] = kgo.NewOffset().At(c.next[p])
	}
	c.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{events: from})
	if saved == nil {
		err = c.save(ctx)
	}
	return err
}

// read returns what was saved last; nil: nothing.
func (c *circuit) read(ctx context.Context) (*schemas.MailCounts, error) {
	table, err := stream.NewTable(c.Kafka, c.topic(schemas.Returned))
	if err != nil {
		return nil, err
	}
	defer table.Close()
	if err := table.CatchUp(ctx); err != nil {
		return nil, err
	}
	value, ok := table.Get(countsKey)
	if !ok {
		return nil, nil
	}
	saved := new(schemas.MailCounts)
	if err := schemas.Decode(value, saved); err != nil {
		return nil, fmt.Errorf("decode %s: %w", c.topic(schemas.Returned), err)
	}
	return saved, nil
}

func (c *circuit) take(r *kgo.Record) {
	c.next[r.Partition] = r.Offset + 1
	if r.Attrs.IsControl() || !tellsOutcome(r.Value) {
		return
	}
	var e schemas.Event
	if schemas.Decode(r.Value, &e) == nil && c.counter.Take(r.Timestamp.UnixMilli(), e.GetOutcome()) {
		c.news = true
	}
}

var outcomeField = new(schemas.Event).ProtoReflect().Descriptor().Fields().ByName("outcome").Number()

// tellsOutcome reports whether an event may be an outcome, of which most are none.
// Outcomes are our own, and never JSON.
func tellsOutcome(value []byte) bool {
	for len(value) > 0 && value[0] != '{' {
		field, _, n := protowire.ConsumeField(value)
		if n < 0 || field == outcomeField {
			return n >= 0
		}
		value = value[n:]
	}
	return false
}

// decide pauses what must not go on.
func (c *circuit) decide(ctx context.Context) error {
	for p, until := range c.until {
		if c.next[p] < until {
			return nil
		}
	}
	trips, err := c.trips()
	if err != nil || len(trips) == 0 {
		return err
	}
	// Somebody may have said something since.
	if err := c.brake.table.CatchUp(ctx); err != nil {
		return err
	}
	if trips, err = c.trips(); err != nil {
		return err
	}
	for _, t := range trips {
		p := &schemas.Pause{Journey: t.Journey, Reason: t.Reason, By: "circuit breaker", At: schemas.Timestamp(c.Clock.Now().UnixMilli()), Breaker: true}
		if t.Journey == "" {
			p.Journey = EveryJourney
		}
		if err := c.client.ProduceSync(ctx, PauseRecord(c.topic(schemas.Pauses), p)).FirstErr(); err != nil {
			return fmt.Errorf("pause %s: %w", p.GetJourney(), err)
		}
		c.Log.Error("the circuit breaker paused mails", "journey", p.GetJourney(), "reason", p.GetReason())
	}
	if len(trips) == 0 {
		return nil
	}
	return c.brake.table.CatchUp(ctx)
}

// trips asks the counter, after it was told who was resumed.
func (c *circuit) trips() ([]breaker.Trip, error) {
	said, err := ReadPauses(c.brake.table)
	if err != nil {
		return nil, err
	}
	for journey, p := range said {
		if !p.GetResumed() {
			continue
		}
		if journey == EveryJourney {
			journey = ""
		}
		if c.counter.Resumed(journey, schemas.Millis(p.GetAt())) {
			c.news = true
		}
	}
	paused := func(journey string) bool { p := said[journey]; return p != nil && !p.GetResumed() }
	trips := c.counter.Trips(c.Breaker, paused)
	if n := len(trips); n > 0 && trips[n-1].Journey == "" && paused(EveryJourney) {
		trips = trips[:n-1]
	}
	c.metrics.returned.Reset()
	for _, name := range c.counter.Journeys() {
		complaints, bounces := c.Breaker.Shares(c.counter.Within(name, c.Breaker.Window))
		c.metrics.returned.WithLabelValues(name, "complained").Set(complaints)
		c.metrics.returned.WithLabelValues(name, "bounced").Set(bounces)
	}
	return trips, nil
}

func (c *circuit) save(ctx context.Context) error {
	counts := c.counter.Save()
	counts.Next = maps.Clone(c.next)
	r := &kgo.Record{Topic: c.topic(schemas.Returned), Key: []byte(countsKey), Value: schemas.Encode(counts), Timestamp: c.Clock.Now()}
	if err := c.client.ProduceSync(ctx, r).FirstErr(); err != nil {
		return fmt.Errorf("write to %s: %w", r.Topic, err)
	}
	c.saved, c.news = time.Now(), false
	return nil
}
