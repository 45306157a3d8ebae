package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"segue/state"
)

// partition is one that is live: folded, and on its way to Kafka and disk. It
// is used by the loop alone.
type partition[S, D any] struct {
	id        int32
	fold      *fold[S, D]
	store     *state.Partition
	fresh     bool     // the group holds nothing of it yet
	committed commit   // what the group holds
	stored    Position // of what is in the store

	outs  int   // outputs since the last commit
	limit int64 // how far it can be read, as of the last fetch
	goal  int64 // the end of the log when it was taken: up to date from there on

	// Of the dirty index: its first entry (nil: it has none), and those that are
	// in profiles by now.
	listed  *dirtied
	cleaned []state.Wake // Due is the dirty number
	marks   []mark       // when the dirty number was what
	flushTo uint64       // entries with a smaller number are to be flushed
	clean   uint64       // of the fold, once the open transaction is committed
	floor   Position     // F of the open transaction
	applyAt time.Time
}

type mark struct {
	at    time.Time
	dirty uint64
}

// local is what the store keeps as position.
type local struct {
	Topic string   `json:"topic"`
	Fold  int      `json:"fold"`
	M     Position `json:"m"`
}

// moved reports whether the group's position is behind the fold.
func (x *partition[S, D]) moved() bool { return x.fresh || x.fold.pos != x.committed.M }

// idle reports whether there was nothing more to read at the last fetch.
func (x *partition[S, D]) idle() bool { return x.fold.pos.Next >= x.limit }

// mark notes how far the dirty numbers are, and what is to be flushed by now.
func (x *partition[S, D]) mark(now time.Time, flushAfter time.Duration) {
	n := len(x.marks)
	last := x.fold.clean
	if n > 0 {
		last = x.marks[n-1].dirty
	}
	last = max(last, x.flushTo)
	if x.fold.nextDirty > last && (n == 0 || now.Sub(x.marks[n-1].at) >= flushAfter/16) {
		x.marks = append(x.marks, mark{now, x.fold.nextDirty})
	}
	for len(x.marks) > 0 && now.Sub(x.marks[0].at) >= flushAfter {
		x.flushTo, x.marks = x.marks[0].dirty, x.marks[1:]
	}
}

// overdue reports whether a profile is to be flushed that the store lists.
func (x *partition[S, D]) overdue() bool { return x.listed != nil && x.listed.number < x.flushTo }

// flush hands profiles that were dirty for too long to publish, the longest
// dirty first and at most so many, and finds the floor that holds once they
// are committed. What the store does not list yet waits for the next apply.
func (x *partition[S, D]) flush(most int, publish func(e *entry[S], fold []byte)) error {
	f := x.fold
	x.clean = f.clean
	if x.overdue() {
		if err := x.flushListed(most, publish); err != nil {
			return err
		}
	}
	switch {
	case x.listed != nil:
		x.floor = x.listed.at
	case f.dirtied != nil:
		x.floor = f.dirtied.at
	default:
		x.floor = f.pos
	}
	if x.floor.Next < x.committed.F.Next { // another owner flushed what this index still lists
		x.floor = x.committed.F
	}
	return nil
}

func (x *partition[S, D]) flushListed(most int, publish func(e *entry[S], fold []byte)) (err error) {
	f := x.fold
	it, err := x.store.Dirty(f.clean)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	x.listed = nil
	for ; it.Valid(); it.Next() {
		number := it.Number()
		if number >= x.flushTo || most == 0 {
			x.listed, err = listed(it)
			return err
		}
		e, err := f.load(it.Key())
		if err != nil {
			return err
		}
		publish(e, f.encode(nil, e))
		x.cleaned = append(x.cleaned, state.Wake{Due: int64(number), Key: e.key})
		x.clean = number + 1
		most--
	}
	return nil
}

// listed is the current entry of the dirty index.
func listed(it *state.Iterator) (*dirtied, error) {
	d := &dirtied{number: it.Number()}
	if err := json.Unmarshal(it.Value(), &d.at); err != nil {
		return nil, fmt.Errorf("dirty index: decode entry %d: %w", d.number, err)
	}
	return d, nil
}

// apply writes what was touched and the position to the store. Only what is
// committed, or put nothing out since the last commit, may be applied.
func (x *partition[S, D]) apply(topic string, foldVersion int) error {
	f := x.fold
	if f.pos == x.stored && len(f.entries.touched) == 0 && len(x.cleaned) == 0 {
		return nil
	}
	head, err := json.Marshal(local{topic, foldVersion, f.pos})
	if err != nil {
		return err
	}
	b := x.store.Batch()
	if err := f.apply(b, head); err != nil {
		return err
	}
	for _, c := range x.cleaned {
		b.Cleaned(uint64(c.Due), c.Key)
	}
	if err := b.Apply(); err != nil {
		return err
	}
	if x.listed == nil {
		x.listed = f.dirtied
	}
	f.applied()
	x.stored, x.cleaned = f.pos, nil
	return nil
}
