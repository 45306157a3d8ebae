package stream

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream/streamtest"
)

// One partition is written back, slowly, and others wait for their turn: the
// loop has nothing to do meanwhile, and leaves the processors to who has.
func TestLoopSleepsWhileAPartitionIsWritten(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 4)
	c := r.config(newMachine("a"))
	var turns atomic.Int64
	c.Hook = func(step string) error {
		if step == "polled" {
			turns.Add(1)
		}
		return nil
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	var begun sync.Once
	writing, written := make(chan struct{}), make(chan struct{})
	var slow atomic.Bool
	spawn := p.spawn
	p.spawn = func(f func()) {
		spawn(func() {
			if slow.Load() {
				begun.Do(func() { close(writing) })
				<-written
			}
			f()
		})
	}
	x := r.begin(p)
	r.settle(x) // what took the partitions over is no write
	slow.Store(true)
	for i := range 100 {
		r.Produce(&kgo.Record{Topic: "events", Key: fmt.Appendf(nil, "c%d", i), Value: []byte("cart"), Timestamp: time.Now()})
	}
	<-writing
	time.Sleep(5 * c.ApplyInterval) // by then all others wait for their turn
	before := turns.Load()
	time.Sleep(500 * time.Millisecond)
	n := turns.Load() - before
	close(written)
	r.settle(x)
	r.end(x)
	if n > 200 {
		t.Errorf("the loop turned %d times in half a second with nothing to do, want it to sleep", n)
	}
	t.Logf("%d turns in half a second", n)
}
