package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// unread are the ends of partitions, by topic, that were not read to their end.
type unread map[string]map[int32]int64

// unreadFrom asks for the ends of what topics hold now. Its reader needs
// kgo.KeepControlRecords: the last record may be a transaction's mark.
func unreadFrom(ctx context.Context, cluster *kadm.Client, topics []string) (unread, error) {
	starts, err := cluster.ListStartOffsets(ctx, topics...)
	if err = errors.Join(err, starts.Error()); err != nil {
		return nil, fmt.Errorf("ask where %s start: %w", strings.Join(topics, ", "), err)
	}
	ends, err := cluster.ListCommittedOffsets(ctx, topics...)
	if err = errors.Join(err, ends.Error()); err != nil {
		return nil, fmt.Errorf("ask where %s end: %w", strings.Join(topics, ", "), err)
	}
	u := unread{}
	ends.Each(func(end kadm.ListedOffset) {
		if begin, _ := starts.Lookup(end.Topic, end.Partition); begin.Offset < end.Offset {
			if u[end.Topic] == nil {
				u[end.Topic] = map[int32]int64{}
			}
			u[end.Topic][end.Partition] = end.Offset
		}
	})
	return u, nil
}

// take notes that r was read, and reports whether it lies before the end.
func (u unread) take(r *kgo.Record) bool {
	end, ok := u[r.Topic][r.Partition]
	if ok && r.Offset+1 >= end {
		delete(u[r.Topic], r.Partition)
		if len(u[r.Topic]) == 0 {
			delete(u, r.Topic)
		}
	}
	return ok
}

// fromStart are the options of a client that reads topics to their end.
func fromStart(topics ...string) []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumeTopics(topics...),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // or the end of a transaction would never be reached
	}
}

// readToEnd hands on what is left, in the order of each partition.
func readToEnd(ctx context.Context, client *kgo.Client, left unread, take func(*kgo.Record) error) error {
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := errors.Join(ctx.Err(), fetches.Err()); err != nil {
			return err
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			if !left.take(r) || r.Attrs.IsControl() {
				continue
			}
			if err := take(r); err != nil {
				return err
			}
		}
	}
	return nil
}
