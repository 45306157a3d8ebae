package main

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protojson"

	"segue/schemas"
)

// reader reads what is committed, once nobody writes any more.
type reader []kgo.Opt

func (r *rig) reader() reader { return reader(r.kafka) }

// ends are where the partitions of a topic end. Topics are named as the cluster
// names them.
func (r reader) ends(ctx context.Context, topic string) (map[int32]int64, error) {
	client, err := kgo.NewClient(r...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	listed, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask where %s ends: %w", topic, err)
	}
	ends := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
	return ends, nil
}

// committed is how far each partition of events is folded, as the group says.
func (r reader) committed(ctx context.Context) (map[int32]int64, error) {
	client, err := kgo.NewClient(r...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	offsets, err := kadm.NewClient(client).FetchOffsets(ctx, group)
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask how far the customer stations came: %w", err)
	}
	at := map[int32]int64{}
	offsets.Each(func(o kadm.OffsetResponse) { at[o.Partition] = o.At })
	return at, nil
}

// partition hands what is committed of a partition to take, in order.
func (r reader) partition(ctx context.Context, topic string, p int32, take func(*kgo.Record) error) error {
	ends, err := r.ends(ctx, topic)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(append(r[:len(r):len(r)], kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {p: kgo.NewOffset().AtStart()}}))...)
	if err != nil {
		return err
	}
	defer client.Close()
	for next := int64(0); next < ends[p]; {
		// A transaction that was left open ends by itself within seconds.
		poll, cancel := context.WithTimeout(ctx, patience)
		fetches := client.PollFetches(poll)
		cancel()
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read %s partition %d, where committed records end at offset %d of %d: is a transaction left open? %w", topic, p, next, ends[p], err)
		}
		for _, record := range fetches.Records() {
			next = record.Offset + 1
			if record.Attrs.IsControl() {
				continue
			}
			if err := take(record); err != nil {
				return fmt.Errorf("%s partition %d at offset %d: %w", topic, p, record.Offset, err)
			}
		}
	}
	return nil
}

// each hands what is committed of all partitions to take, one after the other.
func (r reader) each(ctx context.Context, topic string, take func(*kgo.Record) error) error {
	ends, err := r.ends(ctx, topic)
	if err != nil {
		return err
	}
	for _, p := range slices.Sorted(maps.Keys(ends)) {
		if err := r.partition(ctx, topic, p, take); err != nil {
			return err
		}
	}
	return nil
}

// dump writes every topic as text, a line per record.
func (r *rig) dump(ctx context.Context) error {
	dir := filepath.Join(r.dir, "topics")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, topic := range schemas.Topics {
		ends, err := r.reader().ends(ctx, prefix+topic.Name)
		if err != nil {
			return err
		}
		for p := range ends {
			if err := r.dumpPartition(ctx, dir, topic, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rig) dumpPartition(ctx context.Context, dir string, topic schemas.Topic, p int32) error {
	file, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.txt", topic.Name, p)))
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	err = r.reader().partition(ctx, prefix+topic.Name, p, func(record *kgo.Record) error {
		_, err := fmt.Fprintf(out, "%d %s %s %s\n", record.Offset, record.Timestamp.UTC().Format(time.RFC3339Nano), record.Key, shown(topic, record.Value))
		return err
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

// shown is a value as text.
func shown(topic schemas.Topic, value []byte) string {
	if topic.New == nil {
		return fmt.Sprintf("%q", value)
	}
	m := topic.New()
	if err := schemas.Decode(value, m); err != nil {
		return fmt.Sprintf("%q", value)
	}
	return protojson.MarshalOptions{}.Format(m)
}
