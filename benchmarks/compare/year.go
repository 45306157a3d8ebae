package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"segue/benchmarks/workload"
	"segue/schemas"
)

const (
	laps        = 8
	lapDuration = 6 * 7 * 24 * time.Hour
	// fullLap is the first after which a profile holds all that it will ever keep.
	fullLap = 4
)

// lap is what a station takes after a part of the year.
type lap struct{ resident, disk, goroutines float64 }

// year shows that nothing grows with time: the same customers, for eight times as
// long.
func (b *bench) year(ctx context.Context) (err error) {
	pb, err := shopPlaybook(-1)
	if err != nil {
		return err
	}
	shop := b.shop(1000, 600_000)
	prefix := b.id("run") + "-"
	topics, err := b.createTopics(ctx, prefix, b.cluster.partitions, true)
	if err != nil {
		return err
	}
	began := time.Now().Add(-laps * lapDuration)
	if err := b.putInForce(ctx, prefix, pb, b.cluster.partitions, began); err != nil {
		return err
	}
	r := run{id: prefix, load: load{Workload: shop.Workload, topic: prefix + schemas.Events, memory: stationMemory}}
	p, err := b.start(station, r)
	if err != nil {
		return err
	}
	defer func() {
		p.kill()
		err = errors.Join(err, b.cluster.drop(context.WithoutCancel(ctx), topics...), os.RemoveAll(b.folder(prefix)))
	}()
	fmt.Fprintf(b.out, "The customer station over %.0f weeks of the same %s customers, given %d MB. From lap %d on every profile is full.\n\n",
		(laps*lapDuration).Hours()/24/7, workload.Count(shop.Customers), stationMemory/1_000_000, fullLap)
	t := table{{"weeks", "events", "most resident, MB", "resident to given", "goroutines", "state on disk, MB"}}
	var all []lap
	for n := range laps {
		shop.Seed, shop.Start, shop.Duration = b.seed+uint64(n), began.Add(time.Duration(n)*lapDuration), lapDuration
		if err := b.produceShop(ctx, prefix, shop); err != nil {
			return err
		}
		if err := b.caughtUp(ctx, station, r, p); err != nil {
			return err
		}
		l, err := b.lap(ctx, p, r)
		if err != nil {
			return err
		}
		all = append(all, l)
		b.progress("bounds: after %d weeks: %+v", (n+1)*6, l)
		t.row(fmt.Sprint((n+1)*6), workload.Count((n+1)*shop.Events), figure(l.resident), figure(l.resident*1e6/stationMemory), figure(l.goroutines), figure(l.disk))
	}
	t.write(b.out)
	return grown(all[fullLap-1], all[laps-1])
}

func (b *bench) lap(ctx context.Context, p *process, r run) (l lap, err error) {
	t, err := b.ask(ctx, r.id, "station")
	if err != nil {
		return l, err
	}
	size, err := sizeOf(b.folder(r.id))
	return lap{float64(p.mostRSS()) / 1e6, float64(size) / 1e6, t.Metrics["go_goroutines"]}, err
}

// grown is an error if a later lap takes more, by more than what a moment of the
// garbage collector, of a compaction or of a client makes.
func grown(then, later lap) error {
	var errs []error
	for _, x := range []struct {
		what        string
		then, later float64
		most        float64
	}{
		{"MB resident", then.resident, later.resident, then.resident * 1.3},
		{"MB on disk", then.disk, later.disk, then.disk*1.5 + 8},
		{"goroutines", then.goroutines, later.goroutines, then.goroutines + 10},
	} {
		if x.later > x.most {
			errs = append(errs, fmt.Errorf("it grows with time: %s %s after %d weeks, %s after %d; want at most %s", figure(x.then), x.what, fullLap*6, figure(x.later), laps*6, figure(x.most)))
		}
	}
	return errors.Join(errs...)
}
