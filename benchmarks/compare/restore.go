package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"segue/benchmarks/workload"
)

// restore measures how long an engine is away: from its start until it has
// committed all that the topic held then.
func (b *bench) restore(ctx context.Context) error {
	b.title("Ready again", fmt.Sprintf("Seconds from the start of the process until everything that the topic held at that moment is committed. "+
		"Killed: SIGKILL at a random moment under %d events/s, a million customers of 200 B. "+
		"State lost: stopped, its folder deleted, a million customers of 1.5 kB restored from Kafka, under 1,000 events/s.", liveRate))
	million := load{Workload: workload.Workload{Seed: b.seed, Customers: 1_000_000, InTurn: true}, events: 1_000_000, memory: 1 << 30}
	large := million
	large.bytes, large.memory = 1500, 2<<30

	t := table{{"", "times", "p50", "p99", "max"}}
	add := func(name string, seconds series) {
		t.row(name, fmt.Sprint(len(seconds)), figure(seconds.median()), figure(seconds.quantile(.99)), figure(seconds.quantile(1)))
		b.progress("%s: p50 %s s, max %s s", name, figure(seconds.median()), figure(seconds.quantile(1)))
	}
	for _, x := range []struct {
		engine engine
		times  int
	}{{segue, b.kills}, {uncached, 2}, {transactional, 2}} {
		seconds, err := b.killed(ctx, x.engine, million, x.times)
		if err != nil {
			return fmt.Errorf("kill %s: %w", x.engine.name, err)
		}
		add(x.engine.name+", killed", seconds)
	}
	for _, x := range []struct {
		engine engine
		times  int
	}{{segue, b.rounds}, {uncached, 1}} {
		seconds, err := b.lost(ctx, x.engine, large, x.times)
		if err != nil {
			return fmt.Errorf("lose the state of %s: %w", x.engine.name, err)
		}
		add(x.engine.name+", state lost", seconds)
	}
	t.write(b.out)
	return nil
}

// underLoad starts an engine, lets it catch up, and hands it over while live
// events come.
func (b *bench) underLoad(ctx context.Context, e engine, l load, rate int, do func(r run, p *process) error) (err error) {
	r := run{id: b.id("run"), load: l}
	if err := r.load.produce(ctx, b.cluster, b.id("load")); err != nil {
		return err
	}
	if err := b.prepare(ctx, e, r); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.forget(ctx, e, r), b.cluster.drop(ctx, r.load.topic)) }()
	p, err := b.start(e, r)
	if err != nil {
		return err
	}
	if err := b.caughtUp(ctx, e, r, p); err != nil {
		p.kill()
		return err
	}
	producing, end := context.WithCancel(ctx)
	produced := make(chan error, 1)
	go func() { produced <- b.live(producing, r.load, rate) }()
	err = do(r, p)
	end()
	return errors.Join(err, <-produced)
}

func (b *bench) killed(ctx context.Context, e engine, l load, times int) (series, error) {
	return b.repeated(ctx, e, l, liveRate, times, func(_ run, p *process) error {
		moment := 2*time.Second + time.Duration(rand.Int64N(int64(6*time.Second)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(moment):
		}
		if err := p.alive(); err != nil {
			return err
		}
		p.kill()
		return nil
	})
}

func (b *bench) lost(ctx context.Context, e engine, l load, times int) (series, error) {
	return b.repeated(ctx, e, l, 1000, times, func(r run, p *process) error {
		if _, err := p.stop(); err != nil {
			return err
		}
		return os.RemoveAll(b.folder(r.id))
	})
}

// repeated ends an engine under load, so many times, and returns how long it
// took each time to be up to date again.
func (b *bench) repeated(ctx context.Context, e engine, l load, rate, times int, end func(r run, p *process) error) (seconds series, err error) {
	err = b.underLoad(ctx, e, l, rate, func(r run, p *process) error {
		defer func() { p.kill() }()
		for range times {
			if err := end(r, p); err != nil {
				return err
			}
			took, again, err := b.again(ctx, e, r)
			if again != nil {
				p = again
			}
			if err != nil {
				return err
			}
			seconds = append(seconds, took)
		}
		return nil
	})
	return seconds, err
}

// again starts an engine anew, and returns how long it took to be up to date.
func (b *bench) again(ctx context.Context, e engine, r run) (seconds float64, p *process, err error) {
	began := time.Now()
	if p, err = b.start(e, r); err != nil {
		return 0, p, err
	}
	err = b.caughtUp(ctx, e, r, p)
	return time.Since(began).Seconds(), p, err
}
