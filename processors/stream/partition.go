package stream

import (
	"errors"
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
	accepted  bool     // it is folded again after another version
	committed commit   // what the group holds
	confirmed Position // what it held at least, says a broker
	stored    Position // of what is in the store
	shape     shape    // of the topics

	outs  int   // outputs since the last commit
	limit int64 // how far it can be read, as of the last fetch
	goal  int64 // the end of the log when it was taken: up to date from there on
	far   bool  // it was far from there, and is not there yet

	marks   []mark   // when the dirty number was what
	flushTo uint64   // entries with a smaller number are to be flushed
	clean   uint64   // of the fold, once the open transaction is committed
	floor   Position // F of the open transaction
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
func (x *partition[S, D]) overdue() bool { return x.fold.clean < x.flushable() }

// flushable is the number before which profiles can and are to be flushed.
func (x *partition[S, D]) flushable() uint64 { return min(x.flushTo, x.fold.listed) }

// flush hands profiles that were dirty for too long to publish, which returns
// their size: the longest dirty first, until room is full. It finds the floor
// that holds once they are committed. What the store does not list yet waits
// for the next apply.
func (x *partition[S, D]) flush(room int, publish func(key string, s *S, fold []byte) int) error {
	f := x.fold
	x.clean = f.clean
	if x.overdue() {
		if err := x.flushListed(room, publish); err != nil {
			return err
		}
	}
	x.floor = f.floor(x.clean)
	if was := x.committed.F; x.floor.Next < was.Next || x.floor.Next == was.Next && x.floor.Frontier.Less(was.Frontier) {
		x.floor = was // another owner flushed what this index still lists
	}
	return nil
}

func (x *partition[S, D]) flushListed(room int, publish func(key string, s *S, fold []byte) int) (err error) {
	f, end := x.fold, x.flushable()
	it, err := x.store.Dirty(f.clean)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ; it.Valid() && it.Number() < end; it.Next() {
		if room <= 0 {
			x.clean = it.Number()
			return nil
		}
		e, err := f.load(it.Key())
		if err != nil {
			return err
		}
		s, err := f.stateOf(e)
		if err != nil {
			return err
		}
		room -= publish(e.key, s, f.encode(nil, e))
		f.done(e, s)
	}
	x.clean = end
	return nil
}

// unapplied reports whether the store is behind the fold.
func (x *partition[S, D]) unapplied() bool {
	f := x.fold
	return f.flight != nil || len(f.entries.touched) > 0 || f.pos != x.stored || f.clean != f.cleaned
}

// mayTakeOff reports whether there is something to write back that may be: only
// what is committed.
func (x *partition[S, D]) mayTakeOff() bool {
	return x.fold.flight == nil && x.outs == 0 && !x.fresh && x.unapplied()
}

// touchedBytes is how much memory waits for the store.
func (x *partition[S, D]) touchedBytes() int64 {
	n := x.fold.entries.pending
	if x.fold.flight != nil {
		n += x.fold.flight.bytes
	}
	return n
}

// apply brings the fold to the store before it returns. Only what is
// committed, or put nothing out since the last commit, may be applied.
func (x *partition[S, D]) apply(topic string, foldVersion int) error {
	if x.fold.flight != nil {
		if err := x.finish(); err != nil {
			return err
		}
	}
	if !x.unapplied() {
		return nil
	}
	if err := x.fold.freeze(topic, foldVersion); err != nil {
		return err
	}
	return x.finish()
}

// finish brings what is in flight to the store.
func (x *partition[S, D]) finish() error {
	x.fold.saveNext(forever)
	if err := x.fold.flight.write(); err != nil {
		return err
	}
	x.land()
	return nil
}

func (x *partition[S, D]) land() {
	x.stored = x.fold.flight.pos
	x.fold.land()
}

// release ends what the partition has under way, so that another may take its
// place: nothing of it reaches the store from here on.
func (x *partition[S, D]) release() {
	if x.fold.flight != nil {
		x.fold.flight.cancel()
	}
}

// isWritten reports whether a flight is with whoever writes it.
func (x *partition[S, D]) isWritten() bool { return x.fold.flight != nil && x.fold.flight.handed }

// awaitsLanding reports whether the loop can do nothing for a flight but wait.
func (x *partition[S, D]) awaitsLanding() bool {
	return x.fold.flight != nil && x.fold.flight.complete()
}

// takesOff is when the next flight does, if there is one.
func (x *partition[S, D]) takesOff() (at time.Time, ok bool) {
	return x.applyAt, x.fold.flight == nil && x.outs == 0 && !x.fresh && len(x.fold.entries.touched) > 0
}
