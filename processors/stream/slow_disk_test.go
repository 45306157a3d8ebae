package stream

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream/streamtest"
)

// tardy is a disk that takes its time for whatever is written or synced, or
// stands still.
type tardy struct {
	mu      sync.Mutex
	moves   *sync.Cond
	still   bool
	each    time.Duration
	waiting int
}

func newTardy() *tardy {
	d := new(tardy)
	d.moves = sync.NewCond(&d.mu)
	return d
}

// be is how the disk is from here on.
func (d *tardy) be(still bool, each time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.still, d.each = still, each
	d.moves.Broadcast()
}

func (d *tardy) fs(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			d.wait()
		}
		return nil
	}))
}

func (d *tardy) wait() {
	d.mu.Lock()
	d.waiting++
	for d.still {
		d.moves.Wait()
	}
	d.waiting--
	each := d.each
	d.mu.Unlock()
	time.Sleep(each)
}

// waitedFor reports whether somebody waits for a disk that stands still.
func (d *tardy) waitedFor() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.still && d.waiting > 0
}

// A disk stands still, and then is slow, while more is in the log than memory
// may hold: nothing more is read, and once the disk is well again nothing is
// missing.
func TestSlowDiskPausesTheInput(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 2)
	const customers, records = 1500, 20_000
	produce := func(from, to int) {
		var batch []*kgo.Record
		for i := from; i < to; i++ {
			batch = append(batch, &kgo.Record{Topic: "events", Key: fmt.Appendf(nil, "c%05d", i%customers), Value: []byte("cart"), Timestamp: past.Add(time.Duration(i) * time.Second)})
		}
		r.Produce(batch...)
	}
	disk, m := newTardy(), newMachine("a")
	c := r.config(m)
	c.FS = disk.fs(m.fs)
	c.Memory = 512 << 10 // half of it may be unwritten: some 700 customers
	x, unwritten := r.startWatched(c)
	folded := func() int { return int(counterValue(x.p.metrics.records)) }

	produce(0, 100)
	r.settle(x)
	disk.be(true, 0)
	produce(100, records)
	before, since := 0, time.Now()
	r.eventually("wait for the disk", func() bool {
		if n := folded(); n != before || !disk.waitedFor() {
			before, since = n, time.Now()
		}
		return time.Since(since) > 300*time.Millisecond
	})
	if n := folded(); n >= records {
		t.Errorf("%d of %d records were folded while the disk stood still, want the input paused", n, records)
	}
	disk.be(false, time.Millisecond)
	r.eventually("fold on, slowly", func() bool { return folded() > before })
	disk.be(false, 0)
	r.settle(x)
	r.end(x)
	r.verdict()
	most := *unwritten
	if limit := c.statesMemory(); most > limit {
		t.Errorf("%d bytes were unwritten, want at most %d", most, limit)
	}
	if most < c.touchedMemory()/2 {
		t.Errorf("%d bytes were unwritten at most: the disk was never waited for", most)
	}
	if n := counterValue(x.p.metrics.rebuilds); n != 0 {
		t.Errorf("all was folded again %v times, want a disk waited for, and no more", n)
	}
	t.Logf("the disk stood still: %d of %d records were folded; at most %d bytes were unwritten, of %d", before, records, most, c.touchedMemory())
}
