package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

const (
	transactionTimeout = 10 * time.Second
	// endTimeout is a belt: the end of a transaction waits for a group and a
	// coordinator that may not answer.
	endTimeout = 2 * transactionTimeout
)

// kafka is a cluster, as one instance of a group sees it.
type kafka struct {
	group, instance string
	input, profiles string
	opts            []kgo.Opt // how to reach it
	nextGen         bool
	patience        time.Duration // 0: half of the group's rebalance timeout
	buffer          int           // bytes to be acknowledged
	plain           *kgo.Client   // outside of group and transactions
}

func (k kafka) connect() (*kafka, error) {
	// Without an id as producer, which the client asks for once: it believes a
	// refusal for ever, and there would be no more ticks. One twice does no harm.
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.DisableIdempotentWrite()}, k.opts...)...)
	if err != nil {
		return nil, fmt.Errorf("configure the client: %w", err)
	}
	k.plain = client
	return &k, nil
}

func (k *kafka) Close() { k.plain.Close() }

func (k *kafka) Topics(ctx context.Context) (t topics, err error) {
	input, err := k.topic(ctx, k.input)
	if err != nil {
		return t, err
	}
	profiles, err := k.topic(ctx, k.profiles)
	if err != nil {
		return t, err
	}
	if len(input.Partitions) != len(profiles.Partitions) {
		return t, fatal{fmt.Errorf("%s has %d partitions and %s %d: a customer must be in the same one in both; want equal numbers", k.profiles, len(profiles.Partitions), k.input, len(input.Partitions))}
	}
	return topics{topicID(input.ID), topicID(profiles.ID), len(input.Partitions)}, nil
}

func (k *kafka) topic(ctx context.Context, name string) (t kadm.TopicDetail, err error) {
	all, err := kadm.NewClient(k.plain).ListTopics(ctx, name)
	if err == nil {
		t = all[name]
		err = t.Err
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return t, fatal{fmt.Errorf("%w %q: create it (segue topics create)", errNoTopic, name)}
	}
	if err != nil {
		return t, fmt.Errorf("look at topic %s: %w", name, err)
	}
	return t, nil
}

func (k *kafka) Starts(ctx context.Context, topic string) (map[int32]int64, error) {
	return starts(ctx, k.plain, topic)
}

func (k *kafka) Ends(ctx context.Context, topic string) (map[int32]int64, error) {
	return ends(ctx, k.plain, topic)
}

func (k *kafka) Since(ctx context.Context, topic string, at int64) (map[int32]int64, error) {
	listed, err := kadm.NewClient(k.plain).ListOffsetsAfterMilli(ctx, at, topic)
	return offsets(listed, topic, err)
}

func (k *kafka) Read(ctx context.Context, topic string, partition int32, from int64, take func(*kgo.Record) (bool, error)) error {
	return read(ctx, k.opts, topic, partition, from, take)
}

func (k *kafka) Append(r *kgo.Record, done func(int64, error)) {
	k.plain.Produce(context.Background(), r, func(r *kgo.Record, err error) { done(r.Offset, err) })
}

// kafkaSession is one client that is both the member and the producer.
type kafkaSession struct {
	client      *kgo.Client
	older       *kgo.Client // nil: TxnOffsetCommit adds itself to the transaction
	input       string
	inputID     [16]byte
	group, name string // name of the transactional producer
	instance    *string
	assignment  assignment
	patience    time.Duration
	closing     chan struct{}
	firsts      map[string]*kgo.Record // that were produced, by topic
}

func (k *kafka) Join(ctx context.Context, a assignment) (_ session, err error) {
	input, err := k.topic(ctx, k.input)
	if err != nil {
		return nil, err
	}
	s := &kafkaSession{input: k.input, inputID: input.ID, group: k.group, name: k.group + "-" + k.instance,
		instance: &k.instance, assignment: a, closing: make(chan struct{}), firsts: map[string]*kgo.Record{}}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.client, err = kgo.NewClient(k.memberOpts(s)...); err != nil {
		return nil, fatal{fmt.Errorf("configure the client: %w", err)}
	}
	s.patience = k.patience
	if timeout, ok := s.client.OptValue(kgo.RebalanceTimeout).(time.Duration); ok && s.patience == 0 {
		s.patience = timeout / 2
	}
	alone, err := s.commitsAlone(ctx)
	if err != nil {
		return nil, err
	}
	if !alone {
		versions := kversion.Stable()
		versions.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 4)
		if s.older, err = kgo.NewClient(append(append([]kgo.Opt{}, k.opts...), kgo.MaxVersions(versions))...); err != nil {
			return nil, fatal{fmt.Errorf("configure the client: %w", err)}
		}
	}
	// Before joining: the group's offsets cannot be fetched as long as a
	// transaction over them is open.
	if _, _, err := s.client.ProducerID(ctx); err != nil {
		return nil, fmt.Errorf("end what the former transaction left: %w", err)
	}
	s.client.AddConsumeTopics(k.input)
	return s, nil
}

func (k *kafka) memberOpts(s *kafkaSession) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.ConsumerGroup(k.group), kgo.InstanceID(k.instance), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(12 * time.Second), kgo.HeartbeatInterval(time.Second), // what a restart waits for, when the others must rejoin
		kgo.TransactionalID(s.name), kgo.TransactionTimeout(transactionTimeout),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.RecordPartitioner(partitioner()), kgo.ProducerLinger(0), kgo.MaxBufferedRecords(1 << 20), kgo.MaxBufferedBytes(k.buffer),
		// After a rebalance the next fetch waits for the one that is under way.
		kgo.FetchMaxWait(250 * time.Millisecond), kgo.FetchMaxBytes(16 << 20),
	}
	if k.nextGen {
		opts = append(opts, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	} else {
		opts = append(opts, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	}
	opts = append(opts, k.opts...)
	var metadata map[int32]string // between the two callbacks of one fetch of offsets
	return append(opts,
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { s.revoked(m[k.input]) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { s.assignment.lost(m[k.input]) }),
		kgo.OnOffsetsFetched(func(_ context.Context, _ *kgo.Client, r *kmsg.OffsetFetchResponse) error {
			metadata = fetchedMetadata(r)
			return nil
		}),
		// The last callback before the client reads: OnPartitionsAssigned comes before
		// the offsets are known.
		kgo.AdjustFetchOffsetsFn(func(ctx context.Context, m map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
			first, err := k.Starts(ctx, k.input)
			if err != nil {
				return nil, err
			}
			s.assigned(m[k.input], metadata, first)
			return m, nil
		}))
}

// assigned pauses the partitions, at what the group holds, or at the log's start.
func (s *kafkaSession) assigned(offsets map[int32]kgo.Offset, metadata map[int32]string, first map[int32]int64) {
	held := make(map[int32]fetched, len(offsets))
	var ids []int32
	for id, o := range offsets {
		at := o.EpochOffset().Offset
		held[id] = fetched{max(at, -1), metadata[id]}
		offsets[id] = kgo.NewOffset().At(max(at, first[id]))
		ids = append(ids, id)
	}
	s.client.PauseFetchPartitions(map[string][]int32{s.input: ids})
	s.assignment.assigned(held)
}

// revoked holds the client up until the partitions are given: it rejoins the
// group after this, and then they are another's.
func (s *kafkaSession) revoked(ids []int32) {
	if len(ids) == 0 {
		return
	}
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	select {
	case <-s.assignment.leaving(ids):
	case <-timer.C:
		s.assignment.lost(ids)
	case <-s.closing:
	}
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

// commitsAlone reports whether the brokers add a TxnOffsetCommit to the
// transaction by themselves (KIP-890): the same question that the client asks
// for the requests that it sends.
func (s *kafkaSession) commitsAlone(ctx context.Context) (bool, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "segue", "1"
	resp, err := req.RequestWith(ctx, s.client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return false, fmt.Errorf("ask the brokers what they can: %w", err)
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "transaction.version" {
			return f.MaxVersionLevel >= 2, nil
		}
	}
	return false, nil
}

func (s *kafkaSession) Close() {
	close(s.closing)
	for _, client := range []*kgo.Client{s.client, s.older} {
		if client != nil {
			client.Close()
		}
	}
}

func (s *kafkaSession) Poll(ctx context.Context, most int) kgo.Fetches {
	return s.client.PollRecords(ctx, most)
}

// Resume may read again what lies between the group's offset and from.
func (s *kafkaSession) Resume(partition int32, _ int64) {
	s.client.ResumeFetchPartitions(map[string][]int32{s.input: {partition}})
}

func (s *kafkaSession) Begin() error { return s.client.BeginTransaction() }

func (s *kafkaSession) Produce(r *kgo.Record, done func(error)) {
	if s.firsts[r.Topic] == nil {
		s.firsts[r.Topic] = r
	}
	// The transaction outlives a shutdown: whoever ends it waits for its records.
	s.client.Produce(context.Background(), r, func(_ *kgo.Record, err error) { done(err) })
}

func (s *kafkaSession) Commit(ctx context.Context, offsets []offset, ready func() error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err := s.client.Flush(ctx); err != nil {
		return fmt.Errorf("wait for the records of the transaction: %w", err)
	}
	err := s.fenced(ctx, ready, func(member string, generation int32) error {
		return s.addOffsets(ctx, member, generation, offsets)
	})
	if err != nil {
		return err
	}
	if err := CommitTransaction(ctx, s.client, slices.Collect(maps.Values(s.firsts))...); err != nil {
		return fmt.Errorf("end the transaction: %w", err)
	}
	return nil
}

// fenced sends what is void if the partitions are not ours: the generation is
// older than the look at what we own, so whatever was given away before that
// look is missing there, and what is given away after it needs a later generation.
func (s *kafkaSession) fenced(ctx context.Context, ready func() error, send func(member string, generation int32) error) error {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		member, generation := s.client.GroupMetadata()
		if err := ready(); err != nil {
			return err
		}
		err := error(errNoMember)
		if member != "" && generation >= 0 { // without them the broker asks for nothing
			err = send(member, generation)
		}
		if err == nil || !passes(err) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

var errNoMember = errors.New("not a member of the group at present")

// passes reports whether the cause goes away without a new session: a
// rebalance, another transaction's end, a coordinator that moves.
func passes(err error) bool {
	for _, e := range []error{errNoMember, kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.StaleMemberEpoch,
		kerr.ConcurrentTransactions, kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// addOffsets makes the offsets part of the open transaction.
func (s *kafkaSession) addOffsets(ctx context.Context, member string, generation int32, offsets []offset) error {
	id, epoch, err := s.client.ProducerID(ctx)
	if err != nil {
		return fmt.Errorf("add offsets to the transaction: %w", err)
	}
	client := s.client
	if s.older != nil {
		client = s.older
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = s.name, id, epoch, s.group
		resp, err := req.RequestWith(ctx, client)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err != nil {
			return fmt.Errorf("add the group to the transaction: %w", err)
		}
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = s.name, id, epoch
	req.Group, req.MemberID, req.Generation, req.InstanceID = s.group, member, generation, s.instance
	t := kmsg.NewTxnOffsetCommitRequestTopic()
	t.Topic, t.TopicID = s.input, s.inputID
	for _, o := range offsets {
		x := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		x.Partition, x.Offset, x.LeaderEpoch, x.Metadata = o.partition, o.at, -1, &o.metadata
		t.Partitions = append(t.Partitions, x)
	}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("add offsets to the transaction: %w", err)
	}
	seen := 0
	for _, t := range resp.Topics {
		for _, x := range t.Partitions {
			seen++
			if err := kerr.ErrorForCode(x.ErrorCode); err != nil {
				return fmt.Errorf("add the offset of partition %d to the transaction: %w", x.Partition, err)
			}
		}
	}
	if seen != len(offsets) {
		return fmt.Errorf("add offsets to the transaction: got answers for %d partitions, want %d", seen, len(offsets))
	}
	return nil
}

func (s *kafkaSession) Progress(ctx context.Context, offsets []offset, ready func() error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	return s.fenced(ctx, ready, func(member string, generation int32) error {
		return s.commitOffsets(ctx, member, generation, offsets)
	})
}

func (s *kafkaSession) commitOffsets(ctx context.Context, member string, generation int32, offsets []offset) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation, req.InstanceID = s.group, member, generation, s.instance
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = s.input, s.inputID
	for _, o := range offsets {
		x := kmsg.NewOffsetCommitRequestTopicPartition()
		x.Partition, x.Offset, x.LeaderEpoch, x.Metadata = o.partition, o.at, -1, &o.metadata
		t.Partitions = append(t.Partitions, x)
	}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, s.client)
	if err != nil {
		return fmt.Errorf("commit offsets: %w", err)
	}
	seen := 0
	for _, t := range resp.Topics {
		for _, x := range t.Partitions {
			seen++
			if err := kerr.ErrorForCode(x.ErrorCode); err != nil {
				return fmt.Errorf("commit the offset of partition %d: %w", x.Partition, err)
			}
		}
	}
	if seen != len(offsets) {
		return fmt.Errorf("commit offsets: got answers for %d partitions, want %d", seen, len(offsets))
	}
	return nil
}

// partitioner spreads keys as Java clients do. A record without key says its
// partition itself: a control record.
func partitioner() kgo.Partitioner {
	return kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
		return func(r *kgo.Record, n int) int {
			if len(r.Key) == 0 {
				return int(r.Partition)
			}
			return byKey.Partition(r, n)
		}
	})
}

// byKey is Java's default partitioner. It is costly to make, and remembers
// nothing of records with a key.
var byKey = kgo.StickyKeyPartitioner(nil).ForTopic("")

// partitionOf is where the key belongs among so many partitions.
func partitionOf(key string, partitions int) int32 {
	return int32(byKey.Partition(&kgo.Record{Key: []byte(key)}, partitions))
}
