package stream

import (
	"errors"
	"fmt"

	"segue/state"
)

// place is a step that may be poisonous: a record's offset, or a wake-up.
type place struct {
	offset int64 // -1: the wake-up
	wake   state.Wake
}

// deadLetter is a step that could not be taken.
type deadLetter struct {
	in     Input
	at     int64 // of the record
	reason string
}

// suspectError asks for the span to be folded once more, with a copy of the
// state before this step: the panic may have left it half done.
type suspectError struct {
	place place
	err   error
}

func (e *suspectError) Error() string { return e.err.Error() }
func (e *suspectError) Unwrap() error { return e.err }

// step advances one key by one input. at is the record's own time.
func (f *fold[S, D]) step(e *entry[S], in Input, at int64) error {
	if f.alone != nil {
		if err := f.alone(stepPlace(in)); err != nil {
			return err
		}
	}
	if err := f.unpack(e); err != nil {
		return err
	}
	f.steps++
	f.hold(e)
	var before []byte
	if f.careful || len(f.suspect) > 0 && f.suspect[stepPlace(in)] {
		before = f.task.Encode(nil, e.state)
	}
	decisions, next, err := f.advance(e.state, in)
	if err != nil {
		if before == nil && errors.Is(err, errPanic) {
			return &suspectError{stepPlace(in), err}
		}
		if err := f.undo(e, before); err != nil {
			return err
		}
		f.bury(deadLetter{in, at, err.Error()})
		if in.Offset >= 0 {
			return nil
		}
		decisions, next = nil, e.next // a wake-up that fails is dropped
		if next <= in.Now {
			next = 0
		}
	}
	f.touch(e)
	e.packed = nil
	if next != 0 && next <= in.Now {
		next = in.Now + 1 // rule 2: this is what makes the frontier one
	}
	f.wake(e, next)
	e.exists, e.version = true, f.pos.Version.Since
	if in.Offset >= 0 {
		e.asOf = in.Offset
	}
	f.entries.resize(e, f.size(e))
	if in.Offset < 0 && f.count != nil {
		f.count(true, in.Now)
	}
	if f.out != nil && len(decisions) > 0 {
		f.compose(e.state, in, at, decisions)
	}
	return nil
}

func stepPlace(in Input) place {
	if in.Offset >= 0 {
		return place{offset: in.Offset}
	}
	return place{offset: -1, wake: state.Wake{Due: in.Now, Key: in.Key}}
}

var errPanic = errors.New("panic")

func (f *fold[S, D]) advance(s *S, in Input) (decisions []D, next int64, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanic, r)
		}
	}()
	if in.Offset < 0 && f.skips.has(stepPlace(in)) {
		return nil, 0, errKills // as if it had failed
	}
	return f.task.Advance(s, in)
}

// undo brings back the state before a step that failed. Without a copy the
// step has left it as it was.
func (f *fold[S, D]) undo(e *entry[S], before []byte) error {
	switch {
	case before == nil:
	case !e.exists:
		e.state = f.task.New(e.key)
	default:
		s, err := f.task.Decode(before)
		if err != nil {
			return fmt.Errorf("undo a step of %q: %w", e.key, err)
		}
		e.state = s
	}
	return nil
}

// compose puts out what was decided.
func (f *fold[S, D]) compose(s *S, in Input, at int64, decisions []D) {
	for _, d := range decisions {
		outs, err := f.composeOne(s, in, d)
		if err != nil {
			f.bury(deadLetter{in, at, "compose: " + err.Error()})
		}
		for _, o := range outs {
			f.out(in, o)
		}
	}
}

func (f *fold[S, D]) composeOne(s *S, in Input, d D) (outs []Output, err error) {
	defer func() {
		if r := recover(); r != nil {
			outs, err = nil, fmt.Errorf("%w: %v", errPanic, r)
		}
	}()
	return f.task.Compose(s, in, d)
}

func (f *fold[S, D]) bury(d deadLetter) {
	if f.dead != nil {
		f.dead(d)
	}
}

// hold makes way for a change of e: what is on its way to the store goes there
// as it was.
func (f *fold[S, D]) hold(e *entry[S]) {
	if f.flight != nil && e.touched == f.flight.generation && e.saved != e.touched {
		f.save(e)
	}
}

// touch marks e as newer than the store and, unless it is so already, as newer
// than profiles from here on.
func (f *fold[S, D]) touch(e *entry[S]) {
	if e.touched != f.entries.open {
		if e.key == f.first.Key {
			f.firstKnown = f.store == nil
		}
		f.entries.touch(e)
	}
	if e.dirty < f.clean {
		e.dirty = f.nextDirty
		f.nextDirty++
	}
}

// wake says when e asks to be woken.
func (f *fold[S, D]) wake(e *entry[S], next int64) {
	if e.next != next {
		if e.next != 0 {
			f.asking--
		}
		if next != 0 {
			f.asking++
		}
		e.next = next
	}
	f.wakes.add(e, next)
}
