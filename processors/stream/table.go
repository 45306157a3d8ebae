package stream

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Table follows a small compacted topic in memory: the last value of each key,
// read committed.
type Table struct {
	*Follower

	mu      sync.Mutex
	records map[string]*kgo.Record
}

// NewTable follows the topic of this name, prefix included, until Close.
func NewTable(kafka []kgo.Opt, topic string) (*Table, error) {
	t := &Table{records: map[string]*kgo.Record{}}
	follower, err := Follow(kafka, topic, t.take)
	if err != nil {
		return nil, err
	}
	t.Follower = follower
	return t, nil
}

func (t *Table) take(r *kgo.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.Value == nil {
		delete(t.records, string(r.Key))
	} else {
		t.records[string(r.Key)] = r
	}
	return nil
}

// Get returns the value of key. It is not to be changed.
func (t *Table) Get(key string) (value []byte, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.records[key]; r != nil {
		return r.Value, true
	}
	return nil, false
}

// Keys returns all keys in order.
func (t *Table) Keys() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.records))
}

// Newest returns the record that was written last, of those whose keys are wanted;
// nil: there is none. For a topic of one partition. It is not to be changed.
func (t *Table) Newest(wanted func(key string) bool) (newest *kgo.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, r := range t.records {
		if wanted(key) && (newest == nil || r.Offset > newest.Offset) {
			newest = r
		}
	}
	return newest
}

// Records returns the last record of each key, what was written last first. For a
// topic of one partition. They are not to be changed.
func (t *Table) Records() []*kgo.Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.SortedFunc(maps.Values(t.records), func(a, b *kgo.Record) int { return cmp.Compare(b.Offset, a.Offset) })
}
