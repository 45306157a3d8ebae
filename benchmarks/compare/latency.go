package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"segue/benchmarks/workload"
)

// liveRate is the events per second at which latency is measured.
const liveRate = 5000

// situation is what an engine goes through while latency is measured.
type situation struct {
	name   string
	engine engine
	commit time.Duration
	load   load
	// warm is how long live events come before it counts, and window for how long
	// they count.
	warm, window time.Duration
	// storm: every customer is woken in the minute that counts.
	storm bool
	// rest: no live events come, and wake-ups are what counts.
	rest bool
}

// latency measures from produce to what a read-committed consumer sees.
func (b *bench) latency(ctx context.Context) error {
	b.title("Latency", fmt.Sprintf("From produce to a consumer that reads committed, at %d events/s of all customers alike, in milliseconds. "+
		"Write-back: a million states of 1.5 kB are dirty when the live events begin, and go to disk and to profiles while they are measured. "+
		"Storm: a million wake-ups are due within the minute that is measured, and one in ten puts something out. "+
		"At rest: no events at all, 5,000 wake-ups are due within that minute, and one in ten puts something out; from when it was due. "+
		"Turns: of our loop, without what waits for Kafka.", liveRate))
	small := load{Workload: workload.Workload{Seed: b.seed, Customers: 100_000}, events: 500_000, memory: 512 << 20}
	million := load{Workload: workload.Workload{Seed: b.seed, Customers: 1_000_000, InTurn: true}, events: 1_000_000, memory: 1 << 30}
	few := load{Workload: workload.Workload{Seed: b.seed, Customers: 5_000, InTurn: true}, events: 5_000, memory: 512 << 20}
	large := million
	large.bytes, large.memory = 1500, 4<<30

	const warm = 10 * time.Second
	// The broker's JVM gets warm first.
	if _, _, err := b.situation(ctx, situation{"Segue", segue, 50 * time.Millisecond, small, warm, warm, false, false}); err != nil {
		return fmt.Errorf("getting warm: %w", err)
	}
	t := table{{"", "commit, ms", "outputs", "p50", "p99", "p99.9", "max", "turns over 20 ms"}}
	for _, s := range []situation{
		{"Segue", segue, 50 * time.Millisecond, small, warm, b.seconds, false, false},
		{"Segue", segue, 20 * time.Millisecond, small, warm, b.seconds, false, false},
		{"Kafka Streams", uncached, 100 * time.Millisecond, small, warm, b.seconds, false, false},
		{"Kafka Streams", uncached, 50 * time.Millisecond, small, warm, b.seconds, false, false},
		{"Segue, write-back", segue, 50 * time.Millisecond, large, 0, max(b.seconds, 45*time.Second), false, false},
		{"Segue, storm of wake-ups", segue, 50 * time.Millisecond, million, 0, time.Minute, true, false},
		{"Segue, wake-ups at rest", segue, 50 * time.Millisecond, few, 0, time.Minute, true, true},
	} {
		latencies, turns, err := b.situation(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		ms := func(q float64) string { return figure(latencies.quantile(q)) }
		t.row(s.name, strconv.FormatInt(s.commit.Milliseconds(), 10), strconv.Itoa(len(latencies)), ms(.5), ms(.99), ms(.999), ms(1), turns)
		b.progress("latency: %s at %v: p50 %s, p99 %s, max %s ms, turns over 20 ms %s", s.name, s.commit, ms(.5), ms(.99), ms(1), turns)
	}
	t.write(b.out)
	return nil
}

// situation is one measurement: catch up with the load, then live events.
func (b *bench) situation(ctx context.Context, s situation) (latencies series, long string, err error) {
	r := run{id: b.id("run"), load: s.load, commit: s.commit}
	if err := r.load.produce(ctx, b.cluster, b.id("load")); err != nil {
		return nil, "", err
	}
	if err := b.prepare(ctx, s.engine, r); err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, b.forget(ctx, s.engine, r), b.cluster.drop(ctx, r.load.topic)) }()
	// Time enough to catch up with the load, whose wake-ups all lie ahead.
	const lead = 30 * time.Second
	storm := time.Now().Add(lead)
	if s.storm {
		r.stormAt = storm.UnixMilli()
	}
	p, err := b.start(s.engine, r)
	if err != nil {
		return nil, "", err
	}
	defer p.kill()
	if err := b.caughtUp(ctx, s.engine, r, p); err != nil {
		return nil, "", err
	}
	from := time.Now().Add(s.warm)
	if s.storm {
		if from = storm; time.Until(from) < 0 {
			return nil, "", fmt.Errorf("the load was not folded %v before the storm, but %v after: a machine this busy measures nothing", lead, -time.Until(from))
		}
	}
	to := from.Add(s.window)
	ours := s.engine.name == segue.name

	// What happened last has a while to arrive.
	watching, seen := context.WithDeadline(ctx, to.Add(10*time.Second))
	defer seen()
	producing, produced := context.WithDeadline(ctx, to)
	defer produced()
	var arrivals []arrival
	var before, after turns
	ask := func(at time.Time, into *turns) (err error) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(at)):
		}
		if ours {
			var t told
			t, err = b.ask(ctx, r.id, "segue")
			*into = t.Turns
		}
		return err
	}
	var group errgroup.Group
	group.Go(func() error { return errors.Join(ask(from, &before), ask(to, &after)) })
	group.Go(func() (err error) {
		arrivals, err = b.watch(watching, r.outputs())
		return err
	})
	group.Go(func() error {
		defer time.AfterFunc(3*time.Second, seen)
		if s.rest {
			<-producing.Done()
			return nil
		}
		return b.live(producing, r.load, liveRate)
	})
	if err := errors.Join(group.Wait(), ctx.Err(), p.alive()); err != nil {
		return nil, "", err
	}
	if ours {
		long = after.since(before).String()
	}
	woken := ofWakes(arrivals)
	if want := s.load.Customers / 12; s.storm && len(woken) < want {
		return nil, "", fmt.Errorf("got %d outputs of wake-ups, want at least %d: the storm is not over", len(woken), want)
	}
	if s.rest {
		return woken, long, nil
	}
	latencies = between(arrivals, from, to)
	if want := int(s.window.Seconds() * liveRate / 20); len(latencies) < want {
		return nil, "", fmt.Errorf("got %d outputs of live events, want at least %d: it did not keep up", len(latencies), want)
	}
	return latencies, long, nil
}
