package stream

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream/streamtest"
)

// One virtual clock for all: days pass in the time that their events take, and
// what is due fires at its own instant without any event.
func TestVirtualClock(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 2)
	clock := NewVirtualClock(past)
	for i := range 60 {
		r.Produce(&kgo.Record{Topic: "events", Key: fmt.Appendf(nil, "c%02d", i), Value: []byte("cart"), Timestamp: past.Add(time.Duration(i) * time.Minute)})
	}
	clock.MoveTo(past.Add(time.Hour))
	c := r.config(newMachine("a"))
	c.Clock, c.CommitSpacing, c.ApplyInterval, c.FlushAfter = clock, -1, time.Second, time.Second
	x := r.start(c)
	started := time.Now()
	instants := r.Drive(clock, past.Add(72*time.Hour), map[string]streamtest.Station{"events": x.p})
	took := time.Since(started)
	r.end(x)
	r.verdict()
	if instants < 50 {
		t.Errorf("the clock stood at %d instants, want about one for each of 60 carts", instants)
	}
	t.Logf("%d instants in %v", instants, took)
}

// Three days in a bubble: real clocks, real tickers, a network and a disk of
// memory; and time passes only when all wait for it.
func TestVirtualDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, streamtest.Virtual(t), 1)
		m := newMachine("a")
		c := r.config(m)
		c.Kafka = append(c.Kafka, kgo.HeartbeatInterval(time.Minute), kgo.SessionTimeout(5*time.Minute), kgo.FetchMaxWait(10*time.Minute))
		c.FlushAfter, c.ApplyInterval, c.CommitSpacing = 10*time.Minute, time.Minute, 20*time.Millisecond
		p, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		r.Produce(&kgo.Record{Topic: "events", Key: []byte("ada"), Value: []byte("cart"), Timestamp: time.Now()})
		time.Sleep(30 * time.Minute)
		for range 3 {
			r.Produce(&kgo.Record{Topic: "events", Key: []byte("bob"), Value: []byte("view"), Timestamp: time.Now()})
		}
		time.Sleep(72 * time.Hour)
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, rec := range r.Committed("out")[0] {
			got = append(got, string(rec.Key))
		}
		if fmt.Sprint(got) != "[bob ada bob]" { // busy, reminded, no longer busy
			t.Errorf("got outputs of %v", got)
		}
		r.verdict()
	})
}
