package state

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// Wake is a wake-up of a key. Those of a partition are ordered by instant,
// then key.
type Wake struct {
	Due int64 // milliseconds since the Unix epoch
	Key string
}

// Less reports whether w comes before o.
func (w Wake) Less(o Wake) bool { return w.Compare(o) < 0 }

// Compare orders wake-ups.
func (w Wake) Compare(o Wake) int {
	return cmp.Or(cmp.Compare(w.Due, o.Due), strings.Compare(w.Key, o.Key))
}

// Head says what the values of a partition stand for.
type Head struct {
	Position json.RawMessage // the fold's own
	Dirty    uint64          // the number for the next key that becomes dirty
	Clean    uint64          // values with a smaller number are in profiles
	Wakes    int64           // keys in the wake-up index
	Floors   json.RawMessage `json:",omitempty"` // the fold's own: since which positions the dirty numbers are
}

// Partition is the state of one partition.
type Partition struct {
	s  *Store
	id int32
}

// Partition returns the state of a partition, which may be empty.
func (s *Store) Partition(id int32) *Partition { return &Partition{s, id} }

const (
	kindHead  = 'm'
	kindValue = 's'
	kindWake  = 'w'
	kindDirty = 'z'

	prefixLen = 6 // 'p' partition kind
)

func (p *Partition) prefix(dst []byte, kind byte) []byte {
	return append(binary.BigEndian.AppendUint32(append(dst, 'p'), uint32(p.id)), kind)
}

func (p *Partition) key(dst []byte, kind byte, key string) []byte {
	return append(p.prefix(dst, kind), key...)
}

func (p *Partition) ordered(dst []byte, kind byte, n uint64, key string) []byte {
	return append(binary.BigEndian.AppendUint64(p.prefix(dst, kind), n), key...)
}

// Head returns false when there is no usable state: none, or a restore that
// did not end.
func (p *Partition) Head() (h Head, ok bool, err error) {
	v, closer, err := p.s.db.Get(p.key(nil, kindHead, ""))
	if errors.Is(err, pebble.ErrNotFound) {
		return h, false, nil
	}
	if err != nil {
		return h, false, p.failed("read the position", err)
	}
	defer closer.Close()
	if err := json.Unmarshal(v, &h); err != nil {
		return h, false, p.failed("decode the position", fmt.Errorf("%w: %w", errCorrupt, err))
	}
	return h, true, nil
}

// Get returns a copy of the value of key.
func (p *Partition) Get(key string) (value []byte, dirty uint64, ok bool, err error) {
	v, closer, err := p.s.db.Get(p.key(nil, kindValue, key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, 0, false, nil
	}
	if err != nil {
		return nil, 0, false, p.failed(fmt.Sprintf("read %q", key), err)
	}
	defer closer.Close()
	if len(v) < 8 {
		return nil, 0, false, p.failed(fmt.Sprintf("read %q", key), fmt.Errorf("%w: got %d bytes, want at least 8", errCorrupt, len(v)))
	}
	return append([]byte(nil), v[8:]...), binary.BigEndian.Uint64(v), true, nil
}

func (p *Partition) failed(what string, err error) error {
	return fmt.Errorf("state of partition %d: %s: %w", p.id, what, err)
}

// Iterator walks a partition's entries of one kind in ascending order. It sees
// the state of the moment it was made.
type Iterator struct {
	it     *pebble.Iterator
	offset int // of the key within a database key
}

func (p *Partition) iterate(kind byte, from []byte) (*Iterator, error) {
	it, err := p.s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: p.key(nil, kind+1, "")})
	if err != nil {
		return nil, p.failed("iterate", err)
	}
	it.First()
	i := &Iterator{it: it, offset: prefixLen}
	if kind != kindValue {
		i.offset += 8
	}
	return i, nil
}

// Values walks values by key, beginning with from.
func (p *Partition) Values(from string) (*Iterator, error) {
	return p.iterate(kindValue, p.key(nil, kindValue, from))
}

// Wakes walks the wake-up index, beginning with from.
func (p *Partition) Wakes(from Wake) (*Iterator, error) {
	return p.iterate(kindWake, p.ordered(nil, kindWake, uint64(from.Due), from.Key))
}

// Dirty walks the dirty index, beginning with the number from.
func (p *Partition) Dirty(from uint64) (*Iterator, error) {
	return p.iterate(kindDirty, p.ordered(nil, kindDirty, from, ""))
}

// Valid is false at the end, and after an error, which Close returns.
func (i *Iterator) Valid() bool { return i.it.Valid() }

// Next moves on.
func (i *Iterator) Next() { i.it.Next() }

// Close ends the walk and returns what cut it short, if anything.
func (i *Iterator) Close() error { return i.it.Close() }

// Key of the current entry.
func (i *Iterator) Key() string { return string(i.KeyBytes()) }

// KeyBytes is valid until Next.
func (i *Iterator) KeyBytes() []byte { return i.it.Key()[i.offset:] }

// Number is the instant or the dirty number of the current entry.
func (i *Iterator) Number() uint64 { return binary.BigEndian.Uint64(i.it.Key()[prefixLen:]) }

// Wake is the current entry of the wake-up index.
func (i *Iterator) Wake() Wake { return Wake{int64(i.Number()), i.Key()} }

// Value of the current entry, valid until Next; without its dirty number.
func (i *Iterator) Value() []byte {
	v := i.it.Value()
	if i.offset == prefixLen && len(v) >= 8 {
		v = v[8:]
	}
	return v
}
