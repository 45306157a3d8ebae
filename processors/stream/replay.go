package stream

import (
	"context"
	"fmt"

	"segue/schemas"
	"segue/state"
)

// Replay folds one partition in memory, with the runtime's rules of time and
// versions, without Kafka. The same records at the same instants give the same
// outputs, key by key, as they do on a cluster.
type Replay[S, D any] struct {
	fold *fold[S, D]
	next int64
}

// NewReplay starts with nothing. emit gets every output in order, and what is
// a dead letter as an output to that topic.
func NewReplay[S, D any](task Task[S, D], emit func(at int64, in Input, out Output)) *Replay[S, D] {
	f := newFold(task, nil)
	f.careful = true
	f.out = func(in Input, o Output) { emit(in.Now, in, o) }
	f.dead = func(d deadLetter) {
		emit(d.in.Now, d.in, Output{Topic: schemas.DeadLetters, Key: d.in.Key, Value: d.in.Value, Reason: d.reason})
	}
	return &Replay[S, D]{fold: f}
}

// Record folds the next record; without key it is a control record. All that
// is due before it fires first.
func (r *Replay[S, D]) Record(ctx context.Context, at int64, key string, value []byte) error {
	now := max(at, r.fold.pos.Clock)
	if _, err := r.fold.drain(state.Wake{Due: now}, forever); err != nil {
		return err
	}
	if err := r.fold.record(ctx, record{offset: r.next, at: at, key: []byte(key), value: value}); err != nil {
		return fmt.Errorf("record %d: %w", r.next, err)
	}
	r.next++
	return nil
}

// Until lets the clock run: what is due up to and including at fires.
func (r *Replay[S, D]) Until(_ context.Context, at int64) error {
	_, err := r.fold.drain(state.Wake{Due: at + 1}, forever)
	r.fold.pos.Clock = max(r.fold.pos.Clock, at)
	return err
}

// State returns the state of a key that was met. It is the replay's own.
func (r *Replay[S, D]) State(key string) (s *S, ok bool) {
	e := r.fold.entries.byKey.get(key)
	if e == nil || !e.exists {
		return nil, false
	}
	return e.state, true
}

// Next returns the instant of the earliest wake-up.
func (r *Replay[S, D]) Next() (due int64, ok bool) {
	w, ok, err := r.fold.earliest()
	if err != nil || !ok { // no error without a store
		return 0, false
	}
	return w.Due, true
}
