package sender

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"segue/schemas"
)

const (
	transactionTimeout = 10 * time.Second
	// fetchWait is how long a broker holds a fetch of nothing.
	fetchWait = time.Second
	// fetchBytes bounds what a reader holds.
	fetchBytes = 1 << 20
)

// open makes this session the one owner of its partition, and reads what its
// predecessors left. A stop ends it early.
func (s *session) open(ctx context.Context, stop <-chan struct{}) error {
	ctx, cancel := until(ctx, stop)
	defer cancel()
	var err error
	if s.client, err = s.newWriter(); err != nil {
		return err
	}
	// From here on no other can note, nor record.
	if _, _, err := s.client.ProducerID(ctx); err != nil {
		return fmt.Errorf("take the producer id of partition %d: %w", s.partition, err)
	}
	if err := s.hook("fenced"); err != nil {
		return err
	}
	attempts, err := s.readAttempts(ctx)
	if err != nil {
		return err
	}
	s.pacer.recall(s.partition, attempts, s.Clock.Now())
	s.gate.news() // for who waited for this partition
	start, end, err := s.bounds(ctx, schemas.Deliveries)
	if err != nil {
		return err
	}
	from, err := s.startOffset(ctx, start, end)
	if err != nil {
		return err
	}
	s.sort(attempts, from, start)
	s.taken, s.looked = from, from
	s.owner.publish(standing{offset: from, busy: true})
	s.client.AddConsumePartitions(s.at(schemas.Deliveries, from))
	s.taker, err = kgo.NewClient(append(s.readerOpts(), kgo.ConsumePartitions(s.at(schemas.Deliveries, from)))...)
	return err
}

// sort decides what attempts mean for deliveries that are read from offset from
// on, of a log that begins at start.
func (s *session) sort(attempts map[string]*schemas.Attempt, from, start int64) {
	for id, a := range attempts {
		noted := a.GetOutcome() == schemas.Outcome_KIND_UNSPECIFIED
		switch {
		case a.GetOffset() >= from:
			s.ledger.known[id] = a
		case noted: // the group's offset was moved by hand: what is left must do
			d := &delivery{offset: a.GetOffset(), number: a.GetNumber(), Delivery: &schemas.Delivery{
				Id: id, Customer: a.GetCustomer(), Journey: a.GetJourney(), Step: a.GetStep(), Instance: a.GetInstance(),
			}}
			s.ledger.open[id] = d
			s.ledger.inDoubt(d)
		case a.GetOffset() < start:
			s.sweep = append(s.sweep, id)
		}
	}
}

// newWriter is the partition's transactional client. The partition, not the
// process, names it: whoever owns the one fences who owned it before.
func (s *session) newWriter() (*kgo.Client, error) {
	byKey := kgo.StickyKeyPartitioner(nil)
	attempts := s.topic(schemas.Attempts)
	return kgo.NewClient(append(s.readerOpts(),
		kgo.TransactionalID(fmt.Sprintf("%ssender-%d", s.Prefix, s.partition)),
		kgo.TransactionTimeout(transactionTimeout),
		kgo.ProducerLinger(0),
		kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(func(topic string) func(*kgo.Record, int) int {
			if topic == attempts { // beside its delivery
				return func(r *kgo.Record, _ int) int { return int(r.Partition) }
			}
			return byKey.ForTopic(topic).Partition
		})),
		kgo.ConsumePartitions(s.at(schemas.Attempts, logStart)),
	)...)
}

func (s *session) readerOpts() []kgo.Opt {
	return append(append([]kgo.Opt{kgo.FetchMaxWait(fetchWait)}, s.Kafka...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // without them the end is never reached
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(fetchBytes),
	)
}

// at is this partition of topic from offset on.
func (s *session) at(topic string, offset int64) map[string]map[int32]kgo.Offset {
	return map[string]map[int32]kgo.Offset{s.topic(topic): {s.partition: kgo.NewOffset().At(offset)}}
}

// readAttempts returns the last word on each delivery, and leaves the client
// without anything to read.
func (s *session) readAttempts(ctx context.Context) (map[string]*schemas.Attempt, error) {
	topic := s.topic(schemas.Attempts)
	defer s.client.RemoveConsumePartitions(map[string][]int32{topic: {s.partition}})
	next, end, err := s.bounds(ctx, schemas.Attempts)
	if err != nil {
		return nil, err
	}
	attempts, kept := map[string]*schemas.Attempt{}, s.kept()
	for next < end {
		fetches := s.client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read %s partition %d at offset %d: %w", topic, s.partition, next, err)
		}
		for _, r := range fetches.Records() {
			next = r.Offset + 1
			if !r.Attrs.IsControl() {
				delete(s.ledger.before, string(r.Key))
			}
			switch {
			case r.Attrs.IsControl():
			case r.Value == nil:
				delete(attempts, string(r.Key))
			default:
				a := new(schemas.Attempt)
				if err := schemas.Decode(r.Value, a); err != nil {
					return nil, fmt.Errorf("read %s partition %d at offset %d: decode attempt %q: %w", topic, s.partition, r.Offset, r.Key, err)
				}
				attempts[string(r.Key)] = a
				if h, ok := kept[r.Offset]; ok && h.id == string(r.Key) {
					s.ledger.before[h.id] = h
				}
			}
		}
	}
	return attempts, nil
}

// startOffset is the group's, or where the log begins if that is later.
func (s *session) startOffset(ctx context.Context, start, end int64) (int64, error) {
	topic := s.topic(schemas.Deliveries)
	committed, err := kadm.NewClient(s.client).FetchOffsetsForTopics(ctx, s.group(), topic)
	if err != nil {
		return 0, fmt.Errorf("fetch offsets of group %s: %w", s.group(), err)
	}
	o, ok := committed.Lookup(topic, s.partition)
	if ok && o.Err != nil {
		return 0, fmt.Errorf("fetch offset of group %s, %s partition %d: %w", s.group(), topic, s.partition, o.Err)
	}
	switch {
	case !ok || o.At < 0:
		return start, nil
	case o.At > end:
		return 0, fmt.Errorf("%s partition %d: group %s is at offset %d, behind the end %d: was the topic made anew? Then delete the group and %s",
			topic, s.partition, s.group(), o.At, end, s.topic(schemas.Attempts))
	case o.At < start:
		s.Log.Error("deliveries were dropped by retention before they had an outcome", "topic", topic, "partition", s.partition, "from", o.At, "to", start)
		return start, nil
	}
	return o.At, nil
}

// Where a log begins and ends, as ListOffsets spells it; the end is the high
// watermark, transactions that are under way included.
const (
	logStart = -2
	logEnd   = -1
)

// offset asks where this partition of topic begins or ends.
func (s *session) offset(ctx context.Context, topic string, which int64) (int64, error) {
	name := s.topic(topic)
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = s.partition, which
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic, t.Partitions = name, []kmsg.ListOffsetsRequestTopicPartition{p}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.Topics = -1, []kmsg.ListOffsetsRequestTopic{t}
	resp, err := req.RequestWith(ctx, s.client)
	if err == nil && (len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1) {
		err = fmt.Errorf("got no answer for it")
	}
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		return 0, fmt.Errorf("ask for the bounds of %s partition %d: %w", name, s.partition, err)
	}
	return resp.Topics[0].Partitions[0].Offset, nil
}

// bounds returns where this partition of topic begins and ends.
func (s *session) bounds(ctx context.Context, topic string) (start, end int64, err error) {
	if start, err = s.offset(ctx, topic, logStart); err != nil {
		return 0, 0, err
	}
	end, err = s.offset(ctx, topic, logEnd)
	return start, end, err
}
