package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commits checks what the group committed, from Kafka's own log of it: the
// position of a partition never goes back. Where it does, outputs come twice,
// and this says when that began.
func (c *checker) commits(ctx context.Context) error {
	last := map[int32]int64{}
	return c.reader().each(ctx, "__consumer_offsets", func(r *kgo.Record) error {
		var key kmsg.OffsetCommitKey
		if err := key.ReadFrom(r.Key); err != nil || key.Version > 1 || key.Group != group || key.Topic != eventsTopic {
			return nil // of others, or not an offset
		}
		var value kmsg.OffsetCommitValue
		if err := value.ReadFrom(r.Value); err != nil {
			return err
		}
		if before, ok := last[key.Partition]; ok && value.Offset < before {
			c.back++
			c.find("events partition %d: the group's offset went back from %d to %d at %s", key.Partition, before, value.Offset, r.Timestamp.UTC().Format("15:04:05.000"))
		}
		last[key.Partition] = value.Offset
		c.offsets++
		return nil
	})
}
