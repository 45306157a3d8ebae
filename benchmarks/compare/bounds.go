package main

import (
	"context"
	"fmt"

	"segue/benchmarks/workload"
)

// bounds shows what memory and CPU time do as customers become more, and as time
// goes by.
func (b *bench) bounds(ctx context.Context) error {
	b.title("Bounds", "Every customer has an event before any has a second; half of them have one, or more when there are few. From an empty state to a graceful stop. "+
		"Given is what the runtime was told to stay within, resident is the most that the process took.")
	customers := []int{10_000, 100_000, 1_000_000}
	if b.large {
		customers = append(customers, 10_000_000)
	}
	t := table{{"customers", "given, MB", "resident, MB", "resident to given", "µs CPU/event, whole", "until committed", "1,000 events/s, second half", "to disk, B/event", "state on disk, MB"}}
	memory, whole, limit := line{name: "resident"}, line{name: "Segue, whole"}, line{name: "bare limit, whole"}
	for _, n := range customers {
		l := load{Workload: workload.Workload{Seed: b.seed, Customers: n, InTurn: true}, events: max(n+n/2, 500_000), memory: 512 << 20}
		if n >= 10_000_000 {
			l.memory = 2 << 30
		}
		if err := l.produce(ctx, b.cluster, b.id("load")); err != nil {
			return err
		}
		c, err := b.overall(ctx, segue, run{id: b.id("run"), load: l})
		if err != nil {
			return err
		}
		least, err := b.overall(ctx, bare, run{id: b.id("run"), load: l})
		if err != nil {
			return err
		}
		if err := b.cluster.drop(ctx, l.topic); err != nil {
			return err
		}
		b.progress("bounds: %s customers: %s MB of %d, %s µs/event", workload.Count(n), figure(c.peak), l.memory/1e6, figure(c.whole))
		given := float64(l.memory) / 1e6
		t.row(workload.Count(n), figure(given), figure(c.peak), figure(c.peak/given), figure(c.whole), figure(c.committed), figure(c.rate/1e3), figure(c.disk), figure(c.folder))
		memory.add(float64(n), c.peak)
		whole.add(float64(n), c.whole)
		limit.add(float64(n), least.whole)
	}
	t.write(b.out)
	if err := b.chart("memory-by-customers.svg", "Memory by customers", "customers, 200 B each", "MB", memory); err != nil {
		return err
	}
	if err := b.chart("cost-by-customers.svg", "Cost by customers", "customers, 200 B each", fmt.Sprintf("µs CPU/event, GOGC=%s", b.gogc), whole, limit); err != nil {
		return err
	}
	return b.year(ctx)
}
