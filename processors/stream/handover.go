package stream

import (
	"context"
	"slices"
	"time"
)

// leaving begins to hand partitions over. Those that are not live yet hold
// nothing that their next owner would miss.
func (p *Processor[S, D]) leaving(d *departure) {
	d.since = p.now()
	p.departures = append(p.departures, d)
	for _, id := range slices.Clone(d.left) {
		if p.partition(id) == nil {
			p.forget(id)
			p.give(id)
		}
	}
}

// handOver goes one step towards giving away what leaves: folded no further,
// all of it is committed, applied and flushed, so that whoever comes next
// stands at M = F and folds nothing again. What stays goes on meanwhile, so it is
// written in the background, as ever.
func (p *Processor[S, D]) handOver(ctx context.Context) error {
	if len(p.departures) == 0 {
		return nil
	}
	var leaving []*partition[S, D]
	for _, x := range p.partitions {
		if p.isLeaving(x.id) {
			leaving = append(leaving, x)
		}
	}
	if _, err := p.bringHome(ctx, leaving, p.takeOff); err != nil {
		return err
	}
	for _, x := range leaving {
		if !p.isHome(x) {
			continue
		}
		if err := p.hook("handed"); err != nil {
			return err
		}
		took := p.now().Sub(p.departureOf(x.id).since)
		p.metrics.rebalances.Inc()
		p.metrics.handOvers.WithLabelValues("complete").Inc()
		p.c.Log.Info("partition is handed over", "partition", x.id, "offset", x.fold.pos.Next, "took", took.Round(time.Millisecond))
		p.drop(x.id)
		p.give(x.id)
	}
	return nil
}

func (p *Processor[S, D]) departureOf(id int32) *departure {
	for _, d := range p.departures {
		if slices.Contains(d.left, id) {
			return d
		}
	}
	return nil
}

func (p *Processor[S, D]) isLeaving(id int32) bool { return p.departureOf(id) != nil }

// give lets the partition go; the last of a departure lets the session go on.
func (p *Processor[S, D]) give(id int32) {
	d := p.departureOf(id)
	d.left = slices.DeleteFunc(d.left, func(x int32) bool { return x == id })
	if len(d.left) > 0 {
		return
	}
	close(d.given)
	p.departures = slices.DeleteFunc(p.departures, func(x *departure) bool { return x == d })
}
