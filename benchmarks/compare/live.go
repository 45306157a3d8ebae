package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/benchmarks/workload"
)

// caughtUp waits until everything that a topic holds now is committed.
func (b *bench) caughtUp(ctx context.Context, e engine, r run, p *process) error {
	wants, err := b.cluster.ends(ctx, r.load.topic)
	if err != nil {
		return err
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		if err := p.alive(); err != nil {
			return err
		}
		offsets, err := b.cluster.committed(ctx, e.group(r.id), r.load.topic)
		if err != nil {
			return err
		}
		if reached(offsets, wants) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s at offsets %v of %v: %w", e.name, offsets, wants, ctx.Err())
		case <-look.C:
		}
	}
}

// live produces events at a rate until ctx ends, each with the instant at which
// it was produced. One in ten puts something out, whatever the customer had before.
func (b *bench) live(ctx context.Context, l load, rate int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.brokers), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DisableClientMetrics())
	if err != nil {
		return fmt.Errorf("configure the client: %w", err)
	}
	defer client.Close()
	w := l.Workload
	w.Seed, w.InTurn = w.Seed+1, false
	source := w.Events()
	return produceAtRate(ctx, client, rate, func(n int) *kgo.Record {
		e := source.Next(time.Now().UnixMilli())
		if n%10 == 0 {
			e.Amount = workload.Crossing
		}
		return &kgo.Record{Topic: l.topic, Key: workload.Key(e.Customer), Value: e.Append(nil)}
	})
}

// produceAtRate produces the nth record and the next ones, so many a second,
// until ctx ends; all of them are acknowledged when it returns.
func produceAtRate(ctx context.Context, client *kgo.Client, rate int, record func(n int) *kgo.Record) error {
	began, sent := time.Now(), 0
	beat := time.NewTicker(time.Millisecond)
	defer beat.Stop()
	var failed atomic.Pointer[error]
	for {
		select {
		case <-ctx.Done():
			return client.Flush(context.WithoutCancel(ctx))
		case now := <-beat.C:
			for ; sent < int(now.Sub(began).Seconds()*float64(rate)); sent++ {
				client.Produce(context.WithoutCancel(ctx), record(sent), func(r *kgo.Record, err error) {
					if err != nil {
						err = fmt.Errorf("produce to %s: %w", r.Topic, err)
						failed.CompareAndSwap(nil, &err)
					}
				})
			}
		}
		if err := failed.Load(); err != nil {
			return *err
		}
	}
}

// arrival is an output as somebody downstream sees it, in milliseconds. at is
// below zero for a wake-up's.
type arrival struct{ at, after int64 }

// watch notes, until ctx ends, when outputs can be read committed.
func (b *bench) watch(ctx context.Context, topic string) ([]arrival, error) {
	from := map[int32]kgo.Offset{}
	for p := range b.cluster.partitions {
		from[p] = kgo.NewOffset().At(0)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.brokers), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.DisableClientMetrics())
	if err != nil {
		return nil, fmt.Errorf("configure the client: %w", err)
	}
	defer client.Close()
	var arrivals []arrival
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return arrivals, nil
		}
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read %s: %w", topic, err)
		}
		now := time.Now().UnixMilli()
		fetches.EachRecord(func(r *kgo.Record) {
			at, broken := workload.OutputAt(r.Value)
			if broken != nil {
				err = fmt.Errorf("%s partition %d offset %d: %w", topic, r.Partition, r.Offset, broken)
			} else {
				arrivals = append(arrivals, arrival{at, now - max(at, -at)})
			}
		})
		if err != nil {
			return nil, err
		}
	}
}

// between are the latencies of what happened from one instant to another.
func between(arrivals []arrival, from, to time.Time) (latencies series) {
	for _, a := range arrivals {
		if a.at >= from.UnixMilli() && a.at < to.UnixMilli() {
			latencies = append(latencies, float64(a.after))
		}
	}
	slices.Sort(latencies)
	return latencies
}

// ofWakes are the latencies of wake-ups, from when they were due.
func ofWakes(arrivals []arrival) (latencies series) {
	for _, a := range arrivals {
		if a.at < 0 {
			latencies = append(latencies, float64(a.after))
		}
	}
	slices.Sort(latencies)
	return latencies
}
