package state

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Batch gathers changes that become visible together, in the order of the
// database's keys: the head, then values by key, wake-ups by (due, key), keys
// by dirty number. Cleaned has no place.
//
// A large one is written as a table of its own, beside the write-ahead log and
// what Pebble keeps in memory, which costs less than half as much memory. That
// is a file that has to be synced, so a small one is not.
type Batch struct {
	p          *Partition
	b          *pebble.Batch // nil: a table
	t          *table
	err        error
	key, value []byte
}

// tablesFrom is how many entries make a batch a large one.
const tablesFrom = 4096

// Batch starts a batch of about so many entries.
func (p *Partition) Batch(entries int) *Batch {
	b := &Batch{p: p}
	if entries < p.s.tablesFrom {
		b.b = p.s.db.NewBatch()
	} else if b.err = p.s.writable(); b.err == nil {
		b.t, b.err = p.create(levelNew)
	}
	return b
}

// Head sets the position and the counters.
func (b *Batch) Head(h Head) {
	v, err := json.Marshal(h)
	if err != nil {
		panic(fmt.Sprintf("encode the position: %v", err)) // only a Position that is not JSON
	}
	b.key = b.p.key(b.key[:0], kindHead, "")
	b.set(v)
}

// Put sets the value of a key.
func (b *Batch) Put(key string, dirty uint64, value []byte) {
	b.value = append(binary.BigEndian.AppendUint64(b.value[:0], dirty), value...)
	b.key = b.p.key(b.key[:0], kindValue, key)
	b.set(b.value)
}

// Wake adds an entry to the wake-up index.
func (b *Batch) Wake(w Wake) {
	b.key = b.p.ordered(b.key[:0], kindWake, uint64(w.Due), w.Key)
	b.set(nil)
}

// NoWake takes an entry out of the wake-up index.
func (b *Batch) NoWake(w Wake) {
	b.key = b.p.ordered(b.key[:0], kindWake, uint64(w.Due), w.Key)
	switch {
	case b.b != nil:
		_ = b.b.Delete(b.key, nil) // like Set, cannot fail: a batch that is not indexed only grows a slice
	case b.err == nil:
		b.err = b.t.w.Delete(b.key)
	}
}

// Dirtied adds the key to the dirty index.
func (b *Batch) Dirtied(dirty uint64, key string) {
	b.key = b.p.ordered(b.key[:0], kindDirty, dirty, key)
	b.set(nil)
}

// Cleaned takes the keys with smaller numbers, that are there already, out of
// the dirty index.
func (b *Batch) Cleaned(before uint64) {
	from, to := b.p.ordered(nil, kindDirty, 0, ""), b.p.ordered(nil, kindDirty, before, "")
	switch {
	case b.b != nil:
		_ = b.b.DeleteRange(from, to, nil)
	case b.err == nil:
		b.err = b.t.w.DeleteRange(from, to)
	}
}

func (b *Batch) set(value []byte) {
	switch {
	case b.b != nil:
		_ = b.b.Set(b.key, value, nil)
	case b.err == nil:
		b.err = b.t.w.Set(b.key, value)
	}
}

// Apply writes the batch; a small one without waiting for the disk. It also
// returns what went wrong in the background since the last one, which may be
// corruption.
func (b *Batch) Apply() error {
	defer func() {
		if r := recover(); r != nil {
			panic(b.p.s.dying(r))
		}
	}()
	if err := b.apply(); err != nil {
		return b.p.failed("write", err)
	}
	return nil
}

func (b *Batch) apply() error {
	defer b.p.s.settle()
	if b.b == nil {
		if b.t == nil {
			return b.err
		}
		return b.t.ingest(errors.Join(b.err, b.p.s.Err()))
	}
	defer b.b.Close()
	if err := b.p.s.writable(); err != nil {
		return err
	}
	return b.b.Commit(pebble.NoSync)
}
