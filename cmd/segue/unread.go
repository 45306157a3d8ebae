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
