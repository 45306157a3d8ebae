package stream

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Follower reads a topic from its start on, read committed, and hands each record
// to take, one at a time.
type Follower struct {
	topic  string
	client *kgo.Client
	stop   context.CancelFunc
	done   chan struct{}

	mu    sync.Mutex
	next  map[int32]int64
	moved chan struct{} // closed when next moves, or err is set
	err   error
}

// Follow follows the topic of this name, prefix included, until Close. An error of
// take ends it, and is what CatchUp then returns.
func Follow(kafka []kgo.Opt, topic string, take func(*kgo.Record) error) (*Follower, error) {
	client, err := kgo.NewClient(readOpts(kafka, kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", topic, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	f := &Follower{topic: topic, client: client, stop: stop, done: make(chan struct{}), next: map[int32]int64{}, moved: make(chan struct{})}
	go f.follow(ctx, take)
	return f, nil
}

func (f *Follower) follow(ctx context.Context, take func(*kgo.Record) error) {
	defer close(f.done)
	for ctx.Err() == nil {
		fetches := f.client.PollFetches(ctx)
		var refused error
		next := map[int32]int64{}
		for it := fetches.RecordIter(); refused == nil && !it.Done(); {
			r := it.Next()
			next[r.Partition] = r.Offset + 1
			if r.Attrs.IsControl() {
				continue
			}
			if err := take(r); err != nil {
				refused = fmt.Errorf("%s partition %d at offset %d: %w", f.topic, r.Partition, r.Offset, err)
			}
		}
		f.mu.Lock()
		if len(next) > 0 {
			f.err = nil
		}
		for _, e := range fetches.Errors() {
			if ctx.Err() == nil {
				f.err = fmt.Errorf("read %s partition %d: %w", e.Topic, e.Partition, e.Err)
			}
		}
		maps.Copy(f.next, next)
		if refused != nil {
			f.err = refused
		}
		close(f.moved)
		f.moved = make(chan struct{})
		f.mu.Unlock()
		if refused != nil {
			return
		}
	}
}

// CatchUp returns once all that was written before the call is read.
func (f *Follower) CatchUp(ctx context.Context) error {
	want, err := ends(ctx, f.client, f.topic)
	if err != nil {
		return err
	}
	var first map[int32]int64 // asked for when it matters
	for {
		f.mu.Lock()
		moved, err, behind := f.moved, f.err, false
		for p, end := range want {
			behind = behind || end > first[p] && f.next[p] < end
		}
		f.mu.Unlock()
		if !behind {
			return nil
		}
		if err != nil {
			return err
		}
		if first == nil { // what retention or compaction took is nothing to wait for
			if first, err = starts(ctx, f.client, f.topic); err != nil {
				return err
			}
			continue
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("catch up with %s: %w", f.topic, ctx.Err())
		}
	}
}

// Err is what keeps it from reading on; nil: nothing does.
func (f *Follower) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Next returns the offset of the next record of each partition of which any was read.
func (f *Follower) Next() map[int32]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.next)
}

// Changed returns a channel that is closed when something new was read.
func (f *Follower) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.moved
}

// Close stops following.
func (f *Follower) Close() {
	f.stop()
	<-f.done
	f.client.Close()
}
