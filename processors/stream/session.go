package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// change of the assignment, queued by the client's callbacks.
type change struct {
	partition int32 // -1: only the session's flags are to be reset
	revoked   bool
	start     int64 // of the log
	fresh     bool  // the group holds nothing
	committed commit
	err       error // the group holds what does not parse
	since     time.Time
}

// openSession joins the group, and ends what a former life of this instance
// left open.
func (p *Processor[S, D]) openSession(ctx context.Context) error {
	p.partitions, p.open, p.partial = map[int32]*partition[S, D]{}, false, false
	p.failure.Store(nil)
	p.lastCommit = time.Time{}

	var metadata map[int32]string // between the two callbacks of one fetch of offsets
	opts := []kgo.Opt{
		kgo.ConsumeTopics(p.input), kgo.ConsumerGroup(p.c.Prefix + p.c.Name), kgo.InstanceID(p.c.Instance),
		kgo.TransactionalID(p.c.Prefix + p.c.Name + "-" + p.c.Instance), kgo.TransactionTimeout(transactionTimeout),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.SessionTimeout(12 * time.Second), kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.RecordPartitioner(partitioner()), kgo.ProducerLinger(0), kgo.MaxBufferedRecords(1 << 20),
		// After a rebalance the next fetch waits for the one that is under way.
		kgo.FetchMaxWait(250 * time.Millisecond), kgo.FetchMaxBytes(16 << 20), kgo.MaxBufferedBytes(int(max(p.c.Memory/8, 2*maxOutput))),
	}
	opts = append(opts, p.c.Kafka...)
	opts = append(opts,
		kgo.OnPartitionsRevoked(p.lost), kgo.OnPartitionsLost(p.lost),
		kgo.OnOffsetsFetched(func(_ context.Context, _ *kgo.Client, r *kmsg.OffsetFetchResponse) error {
			metadata = fetchedMetadata(r)
			return nil
		}),
		// An explicit start for every partition: without it an abort before the first
		// commit rewinds to offset 0, and CommittedOffsets does not list the partition.
		kgo.AdjustFetchOffsetsFn(func(ctx context.Context, m map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
			return m, p.assigned(ctx, m[p.input], metadata)
		}))
	p.mu.Lock() // callbacks may run before NewGroupTransactSession returns: they wait for p.session
	p.changes = nil
	session, err := kgo.NewGroupTransactSession(opts...)
	p.session = session
	p.mu.Unlock()
	if err != nil {
		return fatal{fmt.Errorf("configure the client: %w", err)}
	}
	if err := p.prepare(ctx); err != nil {
		p.closeSession()
		return err
	}
	return nil
}

func (p *Processor[S, D]) closeSession() {
	p.session.Close()
	p.clearAlarm()
	p.partitions = map[int32]*partition[S, D]{}
}

// prepare looks at the topics and asks for the producer's id, which ends the
// transaction of a former life.
func (p *Processor[S, D]) prepare(ctx context.Context) error {
	topics, err := kadm.NewClient(p.session.Client()).ListTopics(ctx, p.input, p.profiles)
	if err != nil {
		return fmt.Errorf("look at the topics: %w", err)
	}
	for _, name := range []string{p.input, p.profiles} {
		t := topics[name]
		if errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
			return fatal{fmt.Errorf("%w %q: create it (segue topics create)", errNoTopic, name)}
		}
		if t.Err != nil {
			return fmt.Errorf("look at topic %s: %w", name, t.Err)
		}
	}
	input, profiles := topics[p.input], topics[p.profiles]
	if len(input.Partitions) != len(profiles.Partitions) {
		return fatal{fmt.Errorf("%s has %d partitions and %s %d: a customer must be in the same one in both; want equal numbers", p.profiles, len(profiles.Partitions), p.input, len(input.Partitions))}
	}
	p.topic = topicID(input.ID)
	p.mu.Lock()
	p.count = len(input.Partitions)
	p.mu.Unlock()
	if _, _, err := p.session.Client().ProducerID(ctx); err != nil {
		return fmt.Errorf("end what the former transaction left: %w", err)
	}
	return nil
}

// partitioner spreads keys as Java clients do. A record without key says its
// partition itself: a control record.
func partitioner() kgo.Partitioner {
	keyed := kgo.StickyKeyPartitioner(nil)
	return kgo.BasicConsistentPartitioner(func(topic string) func(*kgo.Record, int) int {
		byKey := keyed.ForTopic(topic)
		return func(r *kgo.Record, n int) int {
			if len(r.Key) == 0 {
				return int(r.Partition)
			}
			return byKey.Partition(r, n)
		}
	})
}

// partitionOf is where the key belongs among so many partitions.
func partitionOf(key string, partitions int) int32 {
	return int32(kgo.StickyKeyPartitioner(nil).ForTopic("").Partition(&kgo.Record{Key: []byte(key)}, partitions))
}

// lost is called by the client when partitions are revoked or lost.
func (p *Processor[S, D]) lost(_ context.Context, _ *kgo.Client, m map[string][]int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range m[p.input] {
		p.changes = append(p.changes, change{partition: id, revoked: true})
	}
	if len(m) == 0 {
		p.changes = append(p.changes, change{partition: -1, revoked: true})
	}
	p.wakeLocked()
}

// assigned is called by the client when partitions come, and says where it
// begins to read them: at M, or at the log's start.
func (p *Processor[S, D]) assigned(ctx context.Context, m map[int32]kgo.Offset, metadata map[int32]string) error {
	p.mu.Lock()
	client := p.session.Client()
	p.mu.Unlock()
	first, err := starts(ctx, client, p.input)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, o := range m {
		c := change{partition: id, start: first[id]}
		at := o.EpochOffset().Offset
		if at < 0 {
			c.fresh, at = true, c.start
			c.committed.M.Next, c.committed.F.Next = at, at
		} else if c.committed, err = decodeCommit(at, metadata[id]); err != nil {
			c.err = err
		}
		m[id] = kgo.NewOffset().At(max(at, c.start)) // the store may be ahead of M
		p.changes = append(p.changes, c)
	}
	p.wakeLocked()
	return nil
}

func fetchedMetadata(r *kmsg.OffsetFetchResponse) map[int32]string {
	m := map[int32]string{}
	add := func(partition int32, s *string) {
		if s != nil {
			m[partition] = *s
		}
	}
	for _, t := range r.Topics {
		for _, x := range t.Partitions {
			add(x.Partition, x.Metadata)
		}
	}
	for _, g := range r.Groups { // one group, one topic
		for _, t := range g.Topics {
			for _, x := range t.Partitions {
				add(x.Partition, x.Metadata)
			}
		}
	}
	return m
}

// pollErrors tells what ends the session at once (the client has given a
// partition up, and says so only once) from what the lost callback tells, too.
func pollErrors(fetches kgo.Fetches) (broken, lost error) {
	for _, e := range fetches.Errors() {
		if errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, context.Canceled) {
			continue
		}
		err := fmt.Errorf("poll: %w", e.Err)
		if e.Topic != "" {
			err = fmt.Errorf("poll %s partition %d: %w", e.Topic, e.Partition, e.Err)
		}
		if _, ok := errors.AsType[*kgo.ErrGroupSession](e.Err); !ok {
			return err, nil
		}
		lost = err
	}
	return nil, lost
}

// rebalance gives up and takes over partitions. void: what was polled is, too.
func (p *Processor[S, D]) rebalance(ctx context.Context) (void bool, err error) {
	p.mu.Lock()
	changes := p.changes
	p.changes = nil
	p.mu.Unlock()
	if len(changes) == 0 {
		return false, nil
	}
	p.standing.Store(nil)
	gone := map[int32]bool{}
	for _, c := range changes {
		if c.err != nil {
			return true, fatal{fmt.Errorf("group %s, %s partition %d: the offset's metadata is not this processor's: %w; if another program commits for this group, give one of them another name", p.c.Prefix+p.c.Name, p.input, c.partition, c.err)}
		}
		// Assigned while it is ours: its revocation was swallowed.
		void = void || c.revoked || !gone[c.partition] && p.partitions[c.partition] != nil
		gone[c.partition] = true
	}
	if void {
		p.metrics.rebalances.Inc()
		if p.partial {
			return true, errors.New("partitions were revoked in the midst of a long barrier")
		}
		// Also resets the session's sticky flags, which would swallow the next revocation.
		if err := p.end(ctx, kgo.TryAbort, nil); err != nil {
			return true, err
		}
	}
	latest := map[int32]change{}
	for _, c := range changes {
		delete(p.partitions, c.partition)
		p.metrics.gone(c.partition)
		latest[c.partition] = c
	}
	owned := p.session.Client().CommittedOffsets()[p.input] // a revocation may have been swallowed before the End above
	for id, x := range p.partitions {
		if _, ok := owned[id]; !ok {
			delete(p.partitions, id)
		} else if void && x.outs > 0 { // aborted: back to M, to which the client rewound
			if _, ok := latest[id]; !ok {
				latest[id] = change{partition: id, fresh: x.fresh, committed: x.committed, start: -1}
			}
		}
	}
	// The client lists a partition right after the callback. So if owned lists a
	// newer assignment than latest, that one is in p.changes by now.
	p.mu.Lock()
	for _, c := range p.changes {
		delete(latest, c.partition)
	}
	p.mu.Unlock()
	for id, c := range latest {
		_, listed := owned[id]
		switch {
		case c.revoked:
		case listed:
			x, err := p.take(ctx, c)
			if err != nil {
				return true, p.suspected(id, err)
			}
			p.partitions[id] = x
		case !c.since.IsZero() && time.Since(c.since) > endTimeout:
			return true, fmt.Errorf("partition %d was assigned %v ago, the client does not list it", id, time.Since(c.since))
		default: // look again next turn
			if c.since.IsZero() {
				c.since = time.Now()
			}
			p.mu.Lock()
			p.changes = append([]change{c}, p.changes...)
			p.mu.Unlock()
		}
	}
	return void, nil
}
