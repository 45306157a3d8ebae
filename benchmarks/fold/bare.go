package fold

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/benchmarks/workload"
)

// Bare folds a topic in a Go map until ctx ends, as a member of group, and hands
// over the states it had then.
func Bare(ctx context.Context, kafka []kgo.Opt, group, topic string, pads int) (map[string]*workload.State, error) {
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxBytes(16 << 20), kgo.FetchMaxWait(250 * time.Millisecond),
	}, kafka...)...)
	if err != nil {
		return nil, fmt.Errorf("configure the client: %w", err)
	}
	defer client.Close()

	states := map[string]*workload.State{}
	committed := time.Now()
	for {
		// The poll ends now and then, so that the end of the topic is committed too.
		patience, cancel := context.WithTimeout(ctx, time.Second)
		fetches := client.PollRecords(patience, 10_000)
		cancel()
		if ctx.Err() != nil {
			return states, nil
		}
		var broken error
		fetches.EachError(func(topic string, p int32, err error) {
			if patience.Err() == nil {
				broken = fmt.Errorf("read %s partition %d: %w", topic, p, err)
			}
		})
		fetches.EachRecord(func(r *kgo.Record) {
			var e workload.Event
			if err := e.Read(r.Value); err != nil {
				broken = fmt.Errorf("%s partition %d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
				return
			}
			s := states[string(r.Key)]
			if s == nil {
				s = &workload.State{Pad: make([]uint64, pads)}
				states[string(r.Key)] = s
			}
			s.Apply(&e)
		})
		if broken != nil {
			return nil, broken
		}
		if now := time.Now(); now.Sub(committed) >= time.Second {
			if err := client.CommitUncommittedOffsets(ctx); err != nil && ctx.Err() == nil {
				return nil, fmt.Errorf("commit offsets of %s: %w", group, err)
			}
			committed = now
		}
	}
}
