package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// cluster is the broker that everything is measured on.
type cluster struct {
	brokers    string
	partitions int32
	pid        int // of the broker
	client     *kgo.Client
	admin      *kadm.Client
}

func connect(brokers string, partitions int32) (*cluster, error) {
	pid, err := listener(brokers)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(100_000), kgo.DisableClientMetrics())
	if err != nil {
		return nil, fmt.Errorf("configure the client: %w", err)
	}
	return &cluster{brokers, partitions, pid, client, kadm.NewClient(client)}, nil
}

// create makes topics with these settings.
func (c *cluster) create(ctx context.Context, partitions int32, settings map[string]string, topics ...string) error {
	configs := map[string]*string{}
	for k, v := range settings {
		configs[k] = &v
	}
	for _, topic := range topics {
		if _, err := c.admin.CreateTopic(ctx, partitions, 1, configs, topic); err != nil {
			return fmt.Errorf("create topic %s: %w", topic, err)
		}
	}
	// The broker answers before it would hand one out.
	for {
		listed, err := c.admin.ListEndOffsets(ctx, topics...)
		if err == nil && listed.Error() == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for topics %v: %w", topics, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *cluster) drop(ctx context.Context, topics ...string) error {
	answers, err := c.admin.DeleteTopics(ctx, slices.DeleteFunc(topics, func(t string) bool { return t == "" })...)
	for _, a := range answers {
		if a.Err != nil && !errors.Is(a.Err, kerr.UnknownTopicOrPartition) {
			err = errors.Join(err, fmt.Errorf("delete topic %s: %w", a.Topic, a.Err))
		}
	}
	return err
}

// ends are the offsets after the last records, undecided ones included.
func (c *cluster) ends(ctx context.Context, topic string) (map[int32]int64, error) {
	listed, err := c.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list the ends of %s: %w", topic, err)
	}
	ends := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
	return ends, nil
}

// committed are the group's offsets of a topic.
func (c *cluster) committed(ctx context.Context, group, topic string) (map[int32]int64, error) {
	offsets := map[int32]int64{}
	fetched, err := c.admin.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.CoordinatorNotAvailable) || errors.Is(err, kerr.GroupIDNotFound) {
		return offsets, nil // nobody has asked for a group before
	}
	if err != nil {
		return nil, fmt.Errorf("fetch the offsets of group %s: %w", group, err)
	}
	for p, o := range fetched[topic] {
		offsets[p] = o.At
	}
	return offsets, nil
}

// reached reports whether offsets are at least wants in every partition.
func reached(offsets, wants map[int32]int64) bool {
	for p, want := range wants {
		if offsets[p] < want {
			return false
		}
	}
	return true
}

func total(offsets map[int32]int64) (sum int64) {
	for _, o := range offsets {
		sum += max(o, 0)
	}
	return sum
}

// size is what the broker's log holds of these topics.
func (c *cluster) size(ctx context.Context, topics ...string) (int64, error) {
	described, err := c.admin.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("describe the broker's folders: %w", err)
	}
	var size int64
	described.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if slices.Contains(topics, p.Topic) {
				size += p.Size
			}
		})
	})
	return size, nil
}

// read hands on a topic's records from the first to its present end, read
// committed, each partition in order.
func (c *cluster) read(ctx context.Context, topic string, take func(*kgo.Record) error) error {
	ends, err := c.ends(ctx, topic)
	if err != nil {
		return err
	}
	from := map[int32]kgo.Offset{}
	for p, end := range ends {
		if end > 0 {
			from[p] = kgo.NewOffset().At(0)
		} else {
			delete(ends, p)
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.brokers), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.DisableClientMetrics())
	if err != nil {
		return fmt.Errorf("configure the client: %w", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	for len(ends) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read %s, partitions %v not to their ends: %w", topic, ends, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset+1 >= ends[r.Partition] {
				delete(ends, r.Partition)
			}
			if !r.Attrs.IsControl() && err == nil {
				err = take(r)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}
