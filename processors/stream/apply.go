package stream

import (
	"context"
	"errors"
	"slices"
	"time"
)

// touchedBytes is how much memory waits for the store.
func (p *Processor[S, D]) touchedBytes() (n int64) {
	for _, x := range p.partitions {
		n += x.touchedBytes()
	}
	return n
}

// saveMost is how many entries a turn saves beyond as many as it has folded.
const saveMost = 1024

// applyDue moves the write-back on: partitions whose time has come take off,
// entries in flight are saved a slice at a time, and what has landed is looked
// for in the store from here on.
func (p *Processor[S, D]) applyDue(now time.Time) error {
	if err := errors.Join(p.store.Err(), p.land()); err != nil {
		return err
	}
	bound := p.c.touchedMemory()
	if p.touchedBytes() >= bound {
		if err := p.relieve(context.Background()); err != nil {
			return err
		}
	}
	waiting := int64(0)
	var largest *partition[S, D]
	for _, x := range p.partitions {
		if x.far && x.fold.pos.Next >= x.goal {
			x.far, x.applyAt = false, now // or a crash now had the whole backlog folded again
		}
		if !now.Before(x.applyAt) {
			if err := p.takeOff(x); err != nil {
				return err
			}
		}
		pending := x.fold.entries.pending
		waiting += pending
		if x.mayTakeOff() && (largest == nil || pending > largest.fold.entries.pending) {
			largest = x
		}
	}
	if waiting >= bound/4*3 && largest != nil { // ahead of its time
		if err := p.takeOff(largest); err != nil {
			return err
		}
	}
	p.save()
	p.shrink()
	return nil
}

// takeOff begins the write-back of a partition, if it may.
func (p *Processor[S, D]) takeOff(x *partition[S, D]) error {
	if !x.mayTakeOff() {
		return nil
	}
	wait := p.c.ApplyInterval
	if p.behind(x) { // the longer it waits, the fewer times is a state written
		wait *= 2
	}
	x.applyAt = p.now().Add(wait)
	return x.fold.freeze(p.topic, p.c.FoldVersion)
}

// save saves a slice of what is in flight, one partition after the other, and
// hands over what is complete, one at a time: the loop would wait for the
// processors if all of them wrote.
func (p *Processor[S, D]) save() {
	budget := saveMost
	for _, x := range p.partitions {
		budget += x.fold.steps
		x.fold.steps = 0
	}
	for x := p.first(); x != nil; x = p.first() {
		l := x.fold.flight
		if budget -= x.fold.saveNext(budget); !l.complete() || p.writes() {
			return
		}
		l.handed = true
		p.spawn(func() {
			started := p.now()
			_ = l.write() // the loop asks how it went
			p.metrics.seconds.WithLabelValues("apply").Observe(p.now().Sub(started).Seconds())
			p.mu.Lock()
			p.wakeLocked()
			p.mu.Unlock()
		})
	}
}

// first is the partition whose flight is handed over first; nil: none is left.
func (p *Processor[S, D]) first() *partition[S, D] {
	i := slices.IndexFunc(p.partitions, func(x *partition[S, D]) bool { return x.fold.flight != nil && !x.fold.flight.handed })
	if i < 0 {
		return nil
	}
	return p.partitions[i]
}

// writes reports whether a flight is with whoever writes.
func (p *Processor[S, D]) writes() bool {
	return slices.ContainsFunc(p.partitions, (*partition[S, D]).isWritten)
}

// mustSave reports whether save has something to do. The end of a write wakes
// the loop.
func (p *Processor[S, D]) mustSave() bool {
	x := p.first()
	return x != nil && (!x.fold.flight.complete() || !p.writes())
}

// land takes note of flights that have ended.
func (p *Processor[S, D]) land() error {
	for _, x := range p.partitions {
		if x.fold.flight == nil {
			continue
		}
		ended, err := x.fold.flight.landed()
		if err != nil {
			return err
		}
		if !ended {
			continue
		}
		x.land()
		if err := p.hook("applied"); err != nil {
			return err
		}
	}
	return nil
}

// shrink forgets what memory has no room for.
func (p *Processor[S, D]) shrink() {
	if len(p.partitions) == 0 {
		return
	}
	share := p.c.statesMemory() / int64(len(p.partitions))
	for _, x := range p.partitions {
		x.fold.shrink(share, evictions/len(p.partitions))
	}
}

// applyAll brings every partition to the store before it returns.
func (p *Processor[S, D]) applyAll() error {
	for _, x := range p.partitions {
		if err := p.apply(x); err != nil {
			return err
		}
	}
	return nil
}

func (p *Processor[S, D]) apply(x *partition[S, D]) error {
	if err := x.apply(p.topic, p.c.FoldVersion); err != nil {
		return err
	}
	return p.hook("applied")
}

// relieve makes room, at the price of a pause, when what waits for the store
// takes more memory than it may.
func (p *Processor[S, D]) relieve(ctx context.Context) error {
	bound := p.c.touchedMemory()
	if p.touchedBytes() < bound {
		return nil
	}
	for _, x := range p.partitions { // what is in flight first: it may be enough
		if x.fold.flight != nil {
			if err := x.finish(); err != nil {
				return err
			}
		}
	}
	if p.touchedBytes() < bound {
		return nil
	}
	if p.open {
		if err := p.commit(ctx, p.now()); err != nil {
			return err
		}
	}
	return p.applyAll()
}
