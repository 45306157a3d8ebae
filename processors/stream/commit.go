package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// produce writes into the transaction; the first record opens it.
func (p *Processor[S, D]) produce(r *kgo.Record) {
	failed := func(err error) { p.failure.CompareAndSwap(nil, &err) }
	if !p.open {
		if err := p.session.Begin(); err != nil {
			failed(fmt.Errorf("begin a transaction: %w", err))
		}
		p.open, p.firstOut = true, p.now()
	}
	r.Timestamp = p.c.Clock.Now()
	p.session.Produce(r, func(err error) {
		if err != nil {
			failed(fmt.Errorf("produce to %s: %w", r.Topic, err))
		}
	})
}

// maxOutput is what fits into a batch of the default size with its key.
const maxOutput = 1_000_000 - 2*maxKey

// emit puts an output of a live partition into the transaction.
func (p *Processor[S, D]) emit(x *partition[S, D], in Input, o Output) {
	if d, large := tooLarge(in, o); large {
		p.bury(x, d)
		return
	}
	x.outs++
	p.metrics.outputs.WithLabelValues(o.Topic).Inc()
	p.produce(&kgo.Record{Topic: p.c.Prefix + o.Topic, Key: []byte(o.Key), Value: o.Value, Headers: []kgo.RecordHeader{p.cause(x, in)}})
}

// tooLarge reports whether no record can hold o.
func tooLarge(in Input, o Output) (d deadLetter, large bool) {
	n := len(o.Key) + len(o.Value)
	if n <= maxOutput {
		return d, false
	}
	return deadLetter{in, in.Now, fmt.Sprintf("an output to %s has %d bytes, want at most %d", o.Topic, n, maxOutput)}, true
}

// bury puts a step that cannot be taken into the dead letters, byte for byte.
func (p *Processor[S, D]) bury(x *partition[S, D], d deadLetter) {
	x.outs++
	p.metrics.deadLetters.Inc()
	p.c.Log.Warn("dead letter", "partition", x.id, "offset", d.in.Offset, "key", d.in.Key, "instant", d.in.Now, "reason", d.reason)
	header := func(k, v string) kgo.RecordHeader { return kgo.RecordHeader{Key: k, Value: []byte(v)} }
	r := &kgo.Record{Topic: p.dead, Value: d.in.Value, Headers: []kgo.RecordHeader{
		header("reason", d.reason), header("topic", p.c.Input), header("partition", strconv.Itoa(int(x.id))),
		header("offset", strconv.FormatInt(d.in.Offset, 10)), header("timestamp", strconv.FormatInt(d.at, 10)), header("customer", d.in.Key),
		p.cause(x, d.in),
	}}
	if d.in.Key != "" {
		r.Key = []byte(d.in.Key)
	}
	p.produce(r)
}

// space waits until a transaction may follow the last one.
func (p *Processor[S, D]) space(ctx context.Context, now time.Time) {
	if wait := p.lastTransaction.Add(p.c.CommitSpacing).Sub(now); p.open && wait > 0 {
		p.pause(context.WithoutCancel(ctx), wait)
	}
}

// commit puts outputs, profiles that are flushed and the position of every
// touched partition into one transaction: rules 6, 7 and 10. Positions alone
// need none.
func (p *Processor[S, D]) commit(ctx context.Context, now time.Time) error {
	started := p.now()
	var touched []*partition[S, D]
	var offsets []offset
	next := map[int32]commit{}
	room := p.flushRoom()
	for _, x := range p.partitions {
		if err := p.flush(x, room); err != nil {
			return fmt.Errorf("flush partition %d: %w", x.id, err)
		}
		if x.outs == 0 && x.clean == x.fold.clean && !x.moved() && x.floor == x.committed.F {
			continue
		}
		c := commit{Topic: p.topic, Fold: p.c.FoldVersion, M: x.fold.pos, F: x.floor, Shape: x.shape}
		c.Skips, c.Wakes = x.fold.skips.list()
		metadata, err := c.encode()
		if err != nil {
			return fmt.Errorf("commit partition %d: %w", x.id, err)
		}
		touched, next[x.id] = append(touched, x), c
		offsets = append(offsets, offset{x.id, c.M.Next, metadata})
	}
	p.lastCommit = now
	if len(touched) == 0 {
		return nil
	}
	p.metrics.seconds.WithLabelValues("produce").Observe(p.now().Sub(started).Seconds())
	if err := p.hook("produced"); err != nil {
		return err
	}
	if err := p.end(ctx, touched, offsets); err != nil {
		return err
	}
	for _, x := range touched {
		p.confirmed.at[x.id] = confirmation{p.topic, next[x.id].M}
	}
	if err := p.hook("committed"); err != nil {
		return err
	}
	for _, x := range touched {
		x.fresh, x.committed, x.outs = false, next[x.id], 0
		x.fold.clean = x.clean
	}
	return nil
}

// flushMost bytes of profiles, or about so many, are in one transaction, which
// outputs have to wait for; and more where nobody waits for outputs.
const (
	flushMost        = 1 << 20
	flushMostBehind  = 32 << 20
	flushMostLeaving = 2 << 20 // of each partition that leaves
)

// flushRoom is how many bytes of profiles of a partition are in the next
// transaction at most, unless it leaves.
func (p *Processor[S, D]) flushRoom() int {
	most := flushMost
	if slices.ContainsFunc(p.partitions, p.behind) {
		most = flushMostBehind
	}
	return most / max(len(p.partitions), 1)
}

// flush produces the profiles that were dirty for too long; all of them when
// the partition leaves.
func (p *Processor[S, D]) flush(x *partition[S, D], room int) error {
	if p.life.Err() != nil || p.isLeaving(x.id) {
		room = flushMostLeaving
	}
	var large error // a task whose states outgrow a record has a bug, which trying again does not mend
	err := x.flush(room, func(key string, s *S, fold []byte) int {
		value := p.c.Task.Publish(key, s, fold)
		n := len(key) + len(value)
		if n > maxOutput {
			large = fatal{fmt.Errorf("profile of %q takes %d bytes, want at most %d: the task keeps too much of a key", key, n, maxOutput)}
			return n
		}
		p.metrics.flushed.Inc()
		p.produce(&kgo.Record{Topic: p.profiles, Key: []byte(key), Value: value})
		return n
	})
	return errors.Join(large, err)
}

// end brings the offsets to the group, with the open transaction if there is one.
func (p *Processor[S, D]) end(ctx context.Context, touched []*partition[S, D], offsets []offset) error {
	ready := func() error { return p.mayCommit(touched) }
	began := p.now()
	p.space(ctx, began)
	started := p.now()
	commit, result := p.session.Progress, "progress"
	if p.open {
		commit, result = p.session.Commit, "committed"
	}
	err := commit(ctx, offsets, ready)
	ended := p.now()
	p.waited += ended.Sub(began)
	p.metrics.seconds.WithLabelValues("end").Observe(ended.Sub(started).Seconds())
	if err != nil {
		p.metrics.commits.WithLabelValues("unconfirmed").Inc()
		return fmt.Errorf("the commit was not confirmed: %w", err)
	}
	p.metrics.commits.WithLabelValues(result).Inc()
	if p.open {
		p.open, p.lastTransaction = false, started
	}
	return nil
}

// mayCommit looks, when all records are acknowledged and the generation is
// known, whether they all were, and whether the partitions are ours: rule 7.
func (p *Processor[S, D]) mayCommit(touched []*partition[S, D]) error {
	if err := p.failure.Load(); err != nil {
		return *err // the transaction would end without the lost record
	}
	for _, x := range touched {
		if !p.inbox.owns(x.id) {
			return fmt.Errorf("commit partition %d: %w", x.id, errNotOurs)
		}
	}
	return p.hook("offsets")
}
