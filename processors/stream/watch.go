package stream

import (
	"context"
	"maps"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// watch measures what the loop cannot see: how far the log and the disk reach.
// It asks when Prometheus asks; what a broker does not answer in time is left out.
//
// Not obvious: a fetch that finds nothing to read tells the loop nothing either,
// so that an open transaction of another writer looks like peace from there.
type watch struct {
	opts  []kgo.Opt
	input string
	dir   string
	fs    vfs.FS
	now   func() time.Time
	// flushAfter is how old a change is, about, when it becomes the oldest.
	flushAfter time.Duration
	standing   func() *standing

	lag, heldBack, floorAge, retention, store, free, size *prometheus.Desc

	mu     sync.Mutex
	held   stood[int64]    // where partitions cannot be read on
	floors stood[Position] // where profiles end
}

// stood is, by partition, since when something was seen where it is.
type stood[T comparable] map[int32]seen[T]

type seen[T comparable] struct {
	at    T
	since time.Time
}

func (s stood[T]) since(partition int32, at T, now time.Time) time.Time {
	if was, ok := s[partition]; !ok || was.at != at {
		s[partition] = seen[T]{at, now}
	}
	return s[partition].since
}

// watchTimeout is within the 10 s that Prometheus waits.
const watchTimeout = 5 * time.Second

func (w *watch) describe(desc func(name, help string) *prometheus.Desc) {
	w.lag = desc("lag_records", "Records that are there and not folded.")
	w.heldBack = desc("held_back_seconds", "For how long an open transaction of another writer has held back the input.")
	w.floorAge = desc("restore_floor_age_seconds", "How far profiles are behind: the age of the oldest change that they lack.")
	w.retention = desc("input_retention_seconds", "How long the input keeps a record.")
	w.store = desc("store_bytes", "Bytes of the state on disk.")
	w.free = desc("disk_free_bytes", "Bytes free where the state lies.")
	w.size = desc("disk_size_bytes", "Bytes of the disk where the state lies.")
	w.held, w.floors = stood[int64]{}, stood[Position]{}
}

func (w *watch) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{w.lag, w.heldBack, w.floorAge, w.retention, w.store, w.free, w.size} {
		out <- d
	}
}

func (w *watch) Collect(out chan<- prometheus.Metric) {
	w.mu.Lock()
	defer w.mu.Unlock()
	gauge := func(d *prometheus.Desc, v float64) { out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	w.disk(gauge)
	s := w.standing()
	if s == nil {
		return
	}
	gauge(w.floorAge, w.age(s).Seconds())
	ctx, cancel := context.WithTimeout(context.Background(), watchTimeout)
	defer cancel()
	client, err := kgo.NewClient(w.opts...)
	if err != nil {
		return
	}
	defer client.Close()
	w.log(ctx, kadm.NewClient(client), s, gauge)
}

// age is that of the oldest change that profiles lack. In a quiet partition the
// clock at the floor may be of long before that: then how long the floor has
// stood says more.
func (w *watch) age(s *standing) (oldest time.Duration) {
	now := w.now()
	maps.DeleteFunc(w.floors, func(id int32, _ seen[Position]) bool { _, ok := s.floors[id]; return !ok })
	for id, floor := range s.floors {
		stands := now.Sub(w.floors.since(id, floor, now))
		oldest = max(oldest, min(now.Sub(time.UnixMilli(floor.Clock)), stands+w.flushAfter))
	}
	return oldest
}

// log measures what the brokers know of the input.
func (w *watch) log(ctx context.Context, cluster *kadm.Client, s *standing, gauge func(*prometheus.Desc, float64)) {
	ends, err := cluster.ListEndOffsets(ctx, w.input)
	if err != nil || ends.Error() != nil {
		return
	}
	readable, err := cluster.ListCommittedOffsets(ctx, w.input)
	if err != nil || readable.Error() != nil {
		return
	}
	now, lag, held := time.Now(), int64(0), time.Duration(0)
	for id, next := range s.next {
		end, _ := ends.Lookup(w.input, id)
		upTo, _ := readable.Lookup(w.input, id)
		lag += max(end.Offset-next, 0)
		if upTo.Offset >= end.Offset {
			delete(w.held, id)
			continue
		}
		held = max(held, now.Sub(w.held.since(id, upTo.Offset, now)))
	}
	gauge(w.lag, float64(lag))
	gauge(w.heldBack, held.Seconds())
	described, err := cluster.DescribeTopicConfigs(ctx, w.input)
	if err != nil || len(described) != 1 {
		return
	}
	for _, c := range described[0].Configs {
		if c.Key != "retention.ms" {
			continue
		}
		switch ms, err := strconv.ParseInt(c.MaybeValue(), 10, 64); {
		case err != nil:
		case ms < 0:
			gauge(w.retention, math.Inf(1))
		default:
			gauge(w.retention, float64(ms)/1000)
		}
	}
}

func (w *watch) disk(gauge func(*prometheus.Desc, float64)) {
	names, err := w.fs.List(w.dir)
	if err != nil {
		return // not started
	}
	bytes := int64(0)
	for _, name := range names {
		if file, err := w.fs.Stat(w.fs.PathJoin(w.dir, name)); err == nil && !file.IsDir() {
			bytes += file.Size()
		}
	}
	gauge(w.store, float64(bytes))
	if usage, err := w.fs.GetDiskUsage(w.dir); err == nil {
		gauge(w.free, float64(usage.AvailBytes))
		gauge(w.size, float64(usage.TotalBytes))
	}
}
