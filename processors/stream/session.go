package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// inbox is what a session's loop has to hear of: the assignment, and what
// ended in the background. Others put in, the loop takes out.
type inbox struct {
	wake    func()
	mu      sync.Mutex
	changes []change
}

type changeKind int

const (
	changeAssigned changeKind = iota
	changeLeaving
	changeLost
	changeTaken // what brought it up to date has ended
)

type change struct {
	kind      changeKind
	partition int32      // -1: all
	held      fetched    // assigned
	departure *departure // leaving
}

// departure is one rebalance's partitions on their way to other owners.
type departure struct {
	left  []int32 // not given yet
	given chan struct{}
	since time.Time // when the loop heard of it
}

func (b *inbox) put(changes ...change) {
	b.mu.Lock()
	b.changes = append(b.changes, changes...)
	b.mu.Unlock()
	b.wake()
}

func (b *inbox) assigned(partitions map[int32]fetched) {
	changes := make([]change, 0, len(partitions))
	for id, held := range partitions {
		changes = append(changes, change{kind: changeAssigned, partition: id, held: held})
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.partition, b.partition) })
	b.put(changes...)
}

func (b *inbox) leaving(partitions []int32) <-chan struct{} {
	d := &departure{left: slices.Sorted(slices.Values(partitions)), given: make(chan struct{})}
	b.put(change{kind: changeLeaving, departure: d})
	return d.given
}

func (b *inbox) lost(partitions []int32) {
	if len(partitions) == 0 {
		b.put(change{kind: changeLost, partition: -1})
		return
	}
	var changes []change
	for _, id := range slices.Sorted(slices.Values(partitions)) {
		changes = append(changes, change{kind: changeLost, partition: id})
	}
	b.put(changes...)
}

func (b *inbox) full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.changes) > 0
}

func (b *inbox) empty() []change {
	b.mu.Lock()
	defer b.mu.Unlock()
	changes := b.changes
	b.changes = nil
	return changes
}

// owns reports whether the partition is ours still: nothing that the loop has
// not heard of yet says otherwise.
func (b *inbox) owns(id int32) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !slices.ContainsFunc(b.changes, func(c change) bool {
		return c.kind != changeLeaving && c.kind != changeTaken && (c.partition == id || c.partition < 0)
	})
}

// noPartition is what a doubt is of that concerns them all.
const noPartition = -1

// join opens a session.
func (p *Processor[S, D]) join(ctx context.Context) error {
	p.joined = p.now()
	t, err := p.cluster.Topics(ctx)
	if err != nil {
		if p.topic == "" {
			return err
		}
		return p.doubted(noPartition, err) // a broker that starts may not know yet what it will
	}
	delete(p.doubts, noPartition)
	p.topic, p.profilesID = t.input, t.profiles
	p.mu.Lock()
	p.count = t.partitions
	p.mu.Unlock()
	p.inbox = &inbox{wake: p.wake}
	p.open, p.lastCommit, p.lastTransaction = false, time.Time{}, time.Time{}
	p.failure.Store(nil)
	s, err := p.cluster.Join(ctx, p.inbox)
	if err != nil {
		return fmt.Errorf("join group %s: %w", p.c.group(), err)
	}
	p.session = s
	p.life, p.quit = context.WithCancel(ctx)
	return nil
}

// leave closes the session, if one is open, and forgets what it stood for.
func (p *Processor[S, D]) leave() {
	p.publish(false)
	if p.session == nil {
		return
	}
	p.quit()
	for _, x := range p.partitions {
		x.release()
	}
	p.await()
	for _, d := range p.departures {
		close(d.given)
	}
	p.session.Close()
	p.clearAlarm()
	p.session, p.partitions, p.coming, p.taking, p.departures = nil, nil, nil, nil, nil
}

// partition returns the live one of this number, or nil.
func (p *Processor[S, D]) partition(id int32) *partition[S, D] {
	if i, ok := p.search(id); ok {
		return p.partitions[i]
	}
	return nil
}

func (p *Processor[S, D]) search(id int32) (int, bool) {
	return slices.BinarySearchFunc(p.partitions, id, func(x *partition[S, D], id int32) int { return cmp.Compare(x.id, id) })
}

// heed does what the inbox says.
func (p *Processor[S, D]) heed() error {
	for _, c := range p.inbox.empty() {
		p.standing.Store(nil)
		var err error
		switch c.kind {
		case changeAssigned:
			err = p.assigned(c)
		case changeLeaving:
			p.leaving(c.departure)
		case changeLost:
			err = p.lost(c.partition)
		case changeTaken:
			err = p.taken(c.partition)
		}
		if err != nil {
			return err
		}
	}
	return p.takeNext()
}

func (p *Processor[S, D]) assigned(c change) error {
	// Ours already: that it was lost went unheard.
	if err := p.lost(c.partition); err != nil {
		return err
	}
	held, fresh := commit{}, c.held.offset < 0
	if !fresh {
		var err error
		if held, err = decodeCommit(c.held.offset, c.held.metadata); err != nil {
			return p.doubted(c.partition, fatal{fmt.Errorf("group %s, %s partition %d: the offset's metadata is not this processor's: %w; if another program commits for this group, give one of them another name", p.c.group(), p.input, c.partition, err)})
		}
	}
	p.coming = append(p.coming, coming{c.partition, fresh, held})
	return nil
}

// lost forgets a partition that is not ours any more; -1: all.
func (p *Processor[S, D]) lost(id int32) error {
	if id < 0 {
		return errors.New("the group took all partitions away")
	}
	p.forget(id)
	if d := p.departureOf(id); d != nil {
		p.metrics.handOvers.WithLabelValues("cut short").Inc()
		p.c.Log.Warn("a partition was taken away before it was handed over; its next owner folds again what is not in profiles", "partition", id, "after", p.now().Sub(d.since))
		p.give(id)
	}
	x := p.partition(id)
	if x == nil {
		return nil
	}
	p.metrics.rebalances.Inc()
	if x.outs > 0 {
		return fmt.Errorf("partition %d was taken away with outputs that are not committed: %w", id, errNotOurs)
	}
	p.drop(id)
	return nil
}

var errNotOurs = errors.New("the partition is not ours")

func (p *Processor[S, D]) drop(id int32) {
	if i, ok := p.search(id); ok {
		p.partitions[i].release()
		p.partitions = slices.Delete(p.partitions, i, i+1)
	}
	p.metrics.gone(id)
}
