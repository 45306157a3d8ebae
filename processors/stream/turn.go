package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"segue/schemas"
)

// NamedVersion is what can be put in force: a record of a topic of its own under its
// name, and what events say of it.
type NamedVersion struct {
	Name, Topic string // the topic without prefix
	Content     proto.Message
	InForce     *schemas.Event
}

// putTimeout bounds a transaction over all partitions.
const putTimeout = 30 * time.Second

// PutInForce writes the version and, to every partition of events, that it is in
// force, in one transaction at the instant at: all partitions, or none.
func PutInForce(ctx context.Context, kafka []kgo.Opt, prefix string, v NamedVersion, at time.Time) (partitions int, err error) {
	turn, err := TakeTurn(ctx, kafka, prefix, v.Topic)
	if err != nil {
		return 0, fmt.Errorf("put %s in force: %w", v.Name, err)
	}
	defer turn.Close()
	return turn.Put(ctx, v, at)
}

// Turn is the right to put a version of one topic in force. One at a time has it:
// whoever takes it next undoes what the one before has not committed. So the newest
// version in the topic is the one in force, everywhere; and what is read of it with
// the turn in hand is still so when Put succeeds.
type Turn struct {
	client        *kgo.Client
	prefix, topic string
}

// TakeTurn takes it from whoever has it. topic is without prefix.
func TakeTurn(ctx context.Context, kafka []kgo.Opt, prefix, topic string) (*Turn, error) {
	client, err := kgo.NewClient(append(kafka[:len(kafka):len(kafka)],
		kgo.TransactionalID(prefix+topic+"-apply"),
		kgo.TransactionTimeout(transactionTimeout),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	if _, _, err := client.ProducerID(ctx); err != nil {
		client.Close()
		return nil, fmt.Errorf("take the turn on %s: %w", prefix+topic, err)
	}
	return &Turn{client, prefix, topic}, nil
}

// Put is PutInForce for who has the turn, once.
func (t *Turn) Put(ctx context.Context, v NamedVersion, at time.Time) (partitions int, err error) {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	events := t.prefix + schemas.Events
	topics, err := kadm.NewClient(t.client).ListTopics(ctx, events)
	if err = errors.Join(err, topics.Error()); err != nil {
		return 0, fmt.Errorf("list partitions of %s: %w", events, err)
	}
	partitions = len(topics[events].Partitions)

	records := []*kgo.Record{{Topic: t.prefix + t.topic, Key: []byte(v.Name), Value: schemas.Encode(v.Content), Timestamp: at}}
	inForce := schemas.Encode(v.InForce)
	for p := range partitions {
		records = append(records, &kgo.Record{Topic: events, Partition: int32(p), Value: inForce, Timestamp: at})
	}
	if err := t.client.BeginTransaction(); err != nil {
		return 0, fmt.Errorf("put %s in force: %w", v.Name, err)
	}
	if err := t.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return 0, errors.Join(fmt.Errorf("put %s in force: %w", v.Name, err), t.client.EndTransaction(context.WithoutCancel(ctx), kgo.TryAbort))
	}
	if err := CommitTransaction(ctx, t.client, records...); err != nil {
		return 0, fmt.Errorf("put %s in force: %w", v.Name, err)
	}
	return partitions, nil
}

// Close ends the turn.
func (t *Turn) Close() { t.client.Close() }
