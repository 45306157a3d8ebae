package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// CommitTransaction commits the open transaction of client, once records, which
// are acknowledged, can be seen to belong to it: one of each topic will do.
//
// Not obvious: what waits for the first word on a topic the client (franz-go
// 1.22) sends before it lists the topic's partitions. A transaction that is ended
// in between looks empty to it: it is aborted, and that is no error.
func CommitTransaction(ctx context.Context, client *kgo.Client, records ...*kgo.Record) error {
	for _, r := range records {
		for wait := 50 * time.Microsecond; !listed(client, r); wait = min(2*wait, 10*time.Millisecond) {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return fmt.Errorf("wait until the client lists %s partition %d: %w", r.Topic, r.Partition, ctx.Err())
			}
		}
	}
	return client.EndTransaction(ctx, kgo.TryCommit)
}

func listed(client *kgo.Client, r *kgo.Record) bool {
	leader, _, err := client.PartitionLeader(r.Topic, r.Partition)
	return leader >= 0 || err != nil
}
