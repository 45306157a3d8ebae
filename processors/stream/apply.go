package stream

import (
	"context"
	"time"
)

func (p *Processor[S, D]) touchedBytes() (n int64) {
	for _, x := range p.partitions {
		n += x.fold.entries.pending
	}
	return n
}

// applyDue writes partitions whose time has come, all of them when memory is
// short, and forgets what memory has no room for.
func (p *Processor[S, D]) applyDue(now time.Time) error {
	short := p.touchedBytes() >= p.c.touchedMemory()
	if short && p.open {
		p.space(context.Background(), now)
		if err := p.commit(context.Background(), time.Now()); err != nil {
			return err
		}
		p.partial = false
	}
	for _, x := range p.partitions {
		if x.outs > 0 || x.fresh || !short && now.Before(x.applyAt) {
			continue
		}
		if err := p.apply(x); err != nil {
			return err
		}
	}
	if len(p.partitions) > 0 {
		share := p.c.decodedMemory() / int64(len(p.partitions))
		for _, x := range p.partitions {
			x.fold.entries.shrink(share)
		}
	}
	return nil
}

func (p *Processor[S, D]) applyAll() error {
	for _, x := range p.partitions {
		if err := p.apply(x); err != nil {
			return err
		}
	}
	return nil
}

func (p *Processor[S, D]) apply(x *partition[S, D]) error {
	started := time.Now()
	if err := x.apply(p.topic, p.c.FoldVersion); err != nil {
		return err
	}
	x.applyAt = started.Add(p.c.ApplyInterval)
	p.metrics.seconds.WithLabelValues("apply").Observe(time.Since(started).Seconds())
	return p.hook("applied")
}

// relieve keeps what is not written yet within memory, in the midst of a long
// drain.
func (p *Processor[S, D]) relieve(ctx context.Context) error {
	if p.touchedBytes() < p.c.touchedMemory() {
		return nil
	}
	p.space(ctx, time.Now())
	if err := p.commit(ctx, time.Now()); err != nil {
		return err
	}
	p.partial = true // of what was polled, some is not folded yet
	return p.applyAll()
}
