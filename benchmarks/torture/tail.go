package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
)

// tail follows what is committed while it happens: what a reader downstream
// sees of all this.
type tail struct {
	rig                 *rig
	changes, deliveries atomic.Int64

	mu   sync.Mutex
	due  map[string]bool // deliveries, and whether they have their outcome
	next map[int32]int64 // offsets of deliveries
	seen int64           // which death of the broker has been outlived
}

func newTail(r *rig) *tail { return &tail{rig: r, due: map[string]bool{}, next: map[int32]int64{}} }

func (t *tail) run(ctx context.Context) {
	client, err := kgo.NewClient(append(t.rig.kafka, kgo.ConsumeTopics(prefix+schemas.SegmentChanges, prefix+schemas.Deliveries, prefix+schemas.Events),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(500*time.Millisecond))...)
	if err != nil {
		t.rig.find("follow the topics: %v", err)
		return
	}
	defer client.Close()
	for ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if err := t.take(r); err != nil {
				t.rig.find("%s partition %d offset %d: %v", r.Topic, r.Partition, r.Offset, err)
			}
		})
	}
}

func (t *tail) take(r *kgo.Record) error {
	if r.Topic == prefix+schemas.Deliveries {
		t.mu.Lock()
		t.next[r.Partition] = r.Offset + 1
		t.mu.Unlock()
	}
	if r.Attrs.IsControl() {
		return nil
	}
	switch r.Topic {
	case prefix + schemas.SegmentChanges:
		t.changes.Add(1)
		t.outlived(r)
	case prefix + schemas.Deliveries:
		var c schemas.DeliveryCommand
		if err := schemas.Decode(r.Value, &c); err != nil {
			return err
		}
		if d := c.GetSend(); d != nil {
			t.deliveries.Add(1)
			t.mu.Lock()
			t.due[d.GetId()] = t.due[d.GetId()]
			t.mu.Unlock()
		}
	default:
		var e schemas.Event
		if err := schemas.Decode(r.Value, &e); err != nil {
			return err
		}
		if o := e.GetOutcome(); o != nil && e.GetSource() == "sender" {
			t.mu.Lock()
			t.due[o.GetDeliveryId()] = true
			t.mu.Unlock()
		}
	}
	return nil
}

// outlived notes how long after its last start the broker took until outputs
// were committed again.
func (t *tail) outlived(r *kgo.Record) {
	died := t.rig.brokerDied.Load()
	l, ok := t.rig.broker.alive()
	if died == t.seen || !ok || r.Timestamp.Before(l.began) {
		return
	}
	t.seen = died
	t.rig.recoveries.add("broker", time.Since(l.began), nil)
}

// open says which deliveries before these ends have no outcome yet.
func (t *tail) open(ends map[int32]int64) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p, end := range ends {
		if t.next[p] < end {
			return fmt.Sprintf("partition %d is read up to offset %d of %d", p, t.next[p], end)
		}
	}
	n, one := 0, ""
	for id, ended := range t.due {
		if !ended {
			n, one = n+1, id
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d have none, as %s", n, one)
}

func hashOf(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}
