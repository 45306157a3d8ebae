package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// readStall is how long a reader waits for the next record of a span that is
// known to be there. An open transaction may hold it back as long as it lives.
const readStall = time.Minute

// readOpts are for readers that must know where the end is: without control
// records the position never reaches it.
func readOpts(opts []kgo.Opt, more ...kgo.Opt) []kgo.Opt {
	o := []kgo.Opt{kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NoResetOffset())}
	return append(append(o, opts...), more...)
}

// read hands the records of a partition from an offset on to take, markers
// included, until take returns done or an error.
func read(ctx context.Context, opts []kgo.Opt, topic string, partition int32, from int64, take func(*kgo.Record) (done bool, err error)) error {
	cl, err := kgo.NewClient(readOpts(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().At(from)}}))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	at := from
	for {
		poll, cancel := context.WithTimeout(ctx, readStall)
		fetches := cl.PollRecords(poll, 10_000)
		cancel()
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read %s partition %d at offset %d: %w", topic, partition, at, err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			at = r.Offset + 1
			if done, err := take(r); done || err != nil {
				return err
			}
		}
	}
}

// ends returns the end of each partition of a topic, undecided transactions
// included.
func ends(ctx context.Context, cl *kgo.Client, topic string) (map[int32]int64, error) {
	listed, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	return offsets(listed, topic, err)
}

// starts returns the first offset that is left of each partition of a topic.
func starts(ctx context.Context, cl *kgo.Client, topic string) (map[int32]int64, error) {
	listed, err := kadm.NewClient(cl).ListStartOffsets(ctx, topic)
	return offsets(listed, topic, err)
}

func offsets(listed kadm.ListedOffsets, topic string, err error) (map[int32]int64, error) {
	if err == nil {
		err = listed.Error()
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return nil, fmt.Errorf("%w %q: create it with its partitions (segue topics create)", errNoTopic, topic)
	}
	if err != nil {
		return nil, fmt.Errorf("list the offsets of %s: %w", topic, err)
	}
	m := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { m[o.Partition] = o.Offset })
	if len(m) == 0 {
		return nil, fmt.Errorf("%w %q", errNoTopic, topic)
	}
	return m, nil
}

var errNoTopic = errors.New("there is no topic")
