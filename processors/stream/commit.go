package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// errOutcome stands for every answer but (true, nil): the client cannot say
// whether the transaction was committed.
var errOutcome = errors.New("the commit was not confirmed")

// begin opens a transaction, if none is open. Nothing goes over the wire yet.
func (p *Processor[S, D]) begin() {
	if p.open {
		return
	}
	if err := p.session.Begin(); err != nil {
		p.failure.CompareAndSwap(nil, &err)
	}
	p.open, p.firstOut = true, time.Now()
}

func (p *Processor[S, D]) produce(r *kgo.Record) {
	p.begin()
	r.Timestamp = p.c.Clock.Now()
	// The transaction outlives a shutdown: whoever ends it waits for its records.
	p.session.Produce(context.Background(), r, func(r *kgo.Record, err error) {
		if err != nil {
			err = fmt.Errorf("produce to %s: %w", r.Topic, err)
			p.failure.CompareAndSwap(nil, &err)
		}
	})
}

// maxOutput is what fits into a batch of the default size with its key.
const maxOutput = 1_000_000 - 2*maxKey

// emit puts an output of a live partition into the transaction.
func (p *Processor[S, D]) emit(x *partition[S, D], in Input, o Output) {
	if n := len(o.Key) + len(o.Value); n > maxOutput {
		p.bury(x, deadLetter{in, in.Now, fmt.Sprintf("an output to %s has %d bytes, want at most %d", o.Topic, n, maxOutput)})
		return
	}
	x.outs++
	p.metrics.outputs.WithLabelValues(o.Topic).Inc()
	p.produce(&kgo.Record{Topic: p.c.Prefix + o.Topic, Key: []byte(o.Key), Value: o.Value})
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
	}}
	if d.in.Key != "" {
		r.Key = []byte(d.in.Key)
	}
	p.produce(r)
}

// end ends the transaction, if any.
func (p *Processor[S, D]) end(ctx context.Context, how kgo.TransactionEndTry, fill func(*kmsg.TxnOffsetCommitRequest) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if fill != nil {
		ctx = kgo.PreTxnCommitFnContext(ctx, fill)
	}
	ok, err := p.session.End(ctx, how)
	p.open = false
	p.failure.Store(nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errOutcome, err)
	}
	if how == kgo.TryCommit && !ok {
		return errOutcome
	}
	return nil
}

// commit puts outputs, profiles that are flushed and the position of every
// touched partition into one transaction: rules 6, 7 and 10.
func (p *Processor[S, D]) commit(ctx context.Context, now time.Time) error {
	started := time.Now()
	p.lastCommit = now
	var touched []*partition[S, D]
	next := map[int32]commit{}
	metadata := map[int32]string{}
	for _, x := range p.partitions {
		var large error // a task whose states outgrow a record has a bug, which trying again does not mend
		err := x.flush(flushMost, func(e *entry[S], fold []byte) {
			value := p.c.Task.Publish(e.key, e.state, fold)
			if n := len(e.key) + len(value); n > maxOutput {
				large = fatal{fmt.Errorf("profile of %q takes %d bytes, want at most %d: the task keeps too much of a key", e.key, n, maxOutput)}
				return
			}
			p.metrics.flushed.Inc()
			p.begin()
			p.produce(&kgo.Record{Topic: p.profiles, Key: []byte(e.key), Value: value})
		})
		if err = errors.Join(large, err); err != nil {
			return fmt.Errorf("flush partition %d: %w", x.id, err)
		}
		if x.outs == 0 && x.clean == x.fold.clean && !x.moved() && x.floor == x.committed.F {
			continue
		}
		touched = append(touched, x)
		c := commit{Topic: p.topic, Fold: p.c.FoldVersion, M: x.fold.pos, F: x.floor, Skips: x.fold.skipped(x.floor.Next)}
		next[x.id] = c
		if metadata[x.id], err = c.encode(); err != nil {
			return fmt.Errorf("commit partition %d: %w", x.id, err)
		}
	}
	if len(touched) == 0 {
		return nil
	}
	p.begin()
	p.metrics.seconds.WithLabelValues("produce").Observe(time.Since(started).Seconds())
	if err := p.hook("produced"); err != nil {
		return err
	}
	ending := time.Now()
	err := p.end(ctx, kgo.TryCommit, func(req *kmsg.TxnOffsetCommitRequest) error {
		return p.fillOffsets(req, touched, metadata)
	})
	p.metrics.seconds.WithLabelValues("end").Observe(time.Since(ending).Seconds())
	if err != nil {
		p.metrics.commits.WithLabelValues("unconfirmed").Inc()
		return err
	}
	p.metrics.commits.WithLabelValues("committed").Inc()
	if err := p.hook("committed"); err != nil {
		return err
	}
	for _, x := range touched {
		x.fresh, x.committed, x.outs = false, next[x.id], 0
		x.fold.clean = x.clean
		x.fold.forgetSkips(x.floor.Next)
	}
	return nil
}

// fillOffsets replaces what the client would commit. It runs when all records
// of the transaction are acknowledged.
func (p *Processor[S, D]) fillOffsets(req *kmsg.TxnOffsetCommitRequest, touched []*partition[S, D], metadata map[int32]string) error {
	if err := p.failure.Load(); err != nil {
		return *err // the client would commit without the lost record
	}
	// The generation in req is older than this look: a partition that is still
	// ours here cannot have been given away in that generation.
	owned := p.session.Client().CommittedOffsets()[p.input]
	p.mu.Lock() // but given away and back, with its revocation swallowed: then that is queued by now
	changed := map[int32]bool{}
	for _, c := range p.changes {
		changed[c.partition] = true
	}
	p.mu.Unlock()
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic = p.input
	if len(req.Topics) > 0 {
		topic.TopicID = req.Topics[0].TopicID
	}
	for _, x := range touched {
		if _, ok := owned[x.id]; !ok || changed[x.id] {
			return fmt.Errorf("commit partition %d: %w", x.id, errNotOurs)
		}
		o := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		o.Partition, o.Offset, o.LeaderEpoch = x.id, x.fold.pos.Next, -1
		text := metadata[x.id]
		o.Metadata = &text
		topic.Partitions = append(topic.Partitions, o)
	}
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{topic}
	return p.hook("offsets")
}
