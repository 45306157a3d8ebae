package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
)

const (
	// restoreChunk is how many bytes of values are sorted at a time.
	restoreChunk = 32 << 20
	// wakeChunk is how many wake-ups are sorted at a time.
	wakeChunk = 1 << 19
)

// Replacement makes a new state of a partition from values in any order; the
// last of a key wins. They are sorted in chunks and ingested as tables, which
// is ten times faster than writing them.
type Replacement struct {
	p     *Partition
	chunk map[string][]byte
	bytes int
}

// Replace deletes what is there, durably: a table that is ingested is durable
// at once and must not meet what was deleted before it.
func (p *Partition) Replace() (*Replacement, error) {
	defer p.s.settle()
	if err := p.s.db.DeleteRange(p.prefix(nil, 0), p.prefix(nil, 0xff), pebble.Sync); err != nil {
		return nil, p.failed("delete", err)
	}
	return &Replacement{p: p, chunk: map[string][]byte{}}, nil
}

// Put sets the value of key; nil deletes it.
func (r *Replacement) Put(key string, value []byte) error {
	r.bytes += len(key) + len(value) - len(r.chunk[key])
	r.chunk[key] = value
	if r.bytes < restoreChunk {
		return nil
	}
	return r.ingest()
}

func (r *Replacement) ingest() error {
	keys := make([]string, 0, len(r.chunk))
	for k := range r.chunk {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, strings.Compare)
	var buf []byte
	err := r.p.table(len(keys), func(w *sstable.Writer, i int) error {
		value := r.chunk[keys[i]]
		if value == nil {
			return w.Delete(r.p.key(nil, kindValue, keys[i]))
		}
		buf = append(binary.BigEndian.AppendUint64(buf[:0], 0), value...)
		return w.Set(r.p.key(nil, kindValue, keys[i]), buf)
	})
	clear(r.chunk)
	r.bytes = 0
	return err
}

// Finish writes the wake-up index, of which next says a value's entry (0:
// none), and then the head with the position, with which the state becomes
// usable.
func (r *Replacement) Finish(position []byte, next func(value []byte) (int64, error)) (h Head, err error) {
	if err := r.ingest(); err != nil {
		return h, err
	}
	it, err := r.p.Values("")
	if err != nil {
		return h, err
	}
	h = Head{Position: position, Dirty: 1, Clean: 1}
	var wakes []Wake
	for ; it.Valid() && err == nil; it.Next() {
		due, nextErr := next(it.Value())
		if err = nextErr; err != nil {
			err = r.p.failed(fmt.Sprintf("restore %q", it.Key()), err)
			break
		}
		if due != 0 {
			wakes = append(wakes, Wake{due, it.Key()})
			h.Wakes++
		}
		if len(wakes) >= wakeChunk {
			err = r.p.ingestWakes(wakes)
			wakes = wakes[:0]
		}
	}
	if err := errors.Join(err, it.Close()); err != nil {
		return h, err
	}
	if err := r.p.ingestWakes(wakes); err != nil {
		return h, err
	}
	b := r.p.Batch(1)
	b.Head(h)
	return h, b.Apply()
}

func (p *Partition) ingestWakes(wakes []Wake) error {
	slices.SortFunc(wakes, Wake.Compare)
	return p.table(len(wakes), func(w *sstable.Writer, i int) error {
		return w.Set(p.ordered(nil, kindWake, uint64(wakes[i].Due), wakes[i].Key), nil)
	})
}

// table ingests n entries, which add writes in ascending order.
func (p *Partition) table(n int, add func(w *sstable.Writer, i int) error) error {
	if n == 0 {
		return nil
	}
	defer p.s.settle()
	t, err := p.create(levelSettled)
	for i := 0; i < n && err == nil; i++ {
		err = add(t.w, i)
	}
	if t != nil {
		err = t.ingest(err)
	}
	if err != nil {
		return p.failed("restore", err)
	}
	return nil
}
