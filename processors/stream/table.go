package stream

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Table follows a small compacted topic in memory: the last value of each key,
// read committed.
type Table struct {
	topic  string
	client *kgo.Client
	stop   context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	values map[string][]byte
	next   map[int32]int64
	moved  chan struct{} // closed when next moves, or err is set
	err    error
}

// NewTable follows the topic of this name, prefix included, until Close.
func NewTable(kafka []kgo.Opt, topic string) (*Table, error) {
	client, err := kgo.NewClient(readOpts(kafka, kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return nil, fmt.Errorf("table of %s: %w", topic, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t := &Table{topic: topic, client: client, stop: stop, done: make(chan struct{}),
		values: map[string][]byte{}, next: map[int32]int64{}, moved: make(chan struct{})}
	go t.follow(ctx)
	return t, nil
}

func (t *Table) follow(ctx context.Context) {
	defer close(t.done)
	for ctx.Err() == nil {
		fetches := t.client.PollFetches(ctx)
		t.mu.Lock()
		if fetches.NumRecords() > 0 {
			t.err = nil
		}
		for _, e := range fetches.Errors() {
			if ctx.Err() == nil {
				t.err = fmt.Errorf("read %s partition %d: %w", e.Topic, e.Partition, e.Err)
			}
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			t.next[r.Partition] = r.Offset + 1
			switch {
			case r.Attrs.IsControl():
			case r.Value == nil:
				delete(t.values, string(r.Key))
			default:
				t.values[string(r.Key)] = r.Value
			}
		}
		close(t.moved)
		t.moved = make(chan struct{})
		t.mu.Unlock()
	}
}

// CatchUp returns once all that was written before the call is read.
func (t *Table) CatchUp(ctx context.Context) error {
	want, err := ends(ctx, t.client, t.topic)
	if err != nil {
		return err
	}
	var first map[int32]int64 // asked for when it matters
	for {
		t.mu.Lock()
		moved, err, behind := t.moved, t.err, false
		for p, end := range want {
			behind = behind || end > first[p] && t.next[p] < end
		}
		t.mu.Unlock()
		if !behind {
			return nil
		}
		if err != nil {
			return err
		}
		if first == nil { // what retention or compaction took is nothing to wait for
			if first, err = starts(ctx, t.client, t.topic); err != nil {
				return err
			}
			continue
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("catch up with %s: %w", t.topic, ctx.Err())
		}
	}
}

// Changed returns a channel that is closed when something new was read.
func (t *Table) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.moved
}

// Get returns the value of key. It is not to be changed.
func (t *Table) Get(key string) (value []byte, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	value, ok = t.values[key]
	return value, ok
}

// Keys returns all keys in order.
func (t *Table) Keys() []string {
	t.mu.Lock()
	keys := make([]string, 0, len(t.values))
	for k := range t.values {
		keys = append(keys, k)
	}
	t.mu.Unlock()
	slices.Sort(keys)
	return keys
}

// Close stops following.
func (t *Table) Close() {
	t.stop()
	<-t.done
	t.client.Close()
}
