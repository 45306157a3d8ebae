package stream

import (
	"errors"
	"fmt"
	"math"

	"segue/state"
)

// due is when the entry is woken next: when it asked for, or at once when a
// newer version is in force than the one that decided last; 0: never.
func (f *fold[S, D]) due(e *entry[S]) int64 {
	if e.exists && e.version < f.pos.Version.Since && (e.next == 0 || f.pos.Version.At < e.next) {
		return f.pos.Version.At
	}
	return e.next
}

// look starts to look at the store afresh.
func (f *fold[S, D]) look() {
	f.firstKnown = f.store == nil
	f.first = state.Wake{Due: math.MaxInt64}
	f.sweeping = f.pos.Version.Since > 0 && f.pos.Frontier.Less(f.swept())
	f.cursor = ""
	if f.pos.Frontier.Due == f.pos.Version.At {
		f.cursor = f.pos.Frontier.Key
	}
}

// swept is the frontier once every key has met the version in force.
func (f *fold[S, D]) swept() state.Wake { return state.Wake{Due: f.pos.Version.At + 1} }

// drain fires wake-ups before until, in order, at most budget: rule 4. done:
// none is left.
func (f *fold[S, D]) drain(until state.Wake, budget int) (done bool, err error) {
	var v storeView[S, D]
	defer func() { err = errors.Join(err, v.close()) }()
	for fired := 0; ; fired++ {
		w, err := f.next(&v, until)
		if err != nil {
			return false, err
		}
		if !w.Less(until) {
			f.sweptBefore(until)
			return true, nil
		}
		if fired >= budget {
			return false, nil
		}
		if err := f.fire(w); err != nil {
			return false, err
		}
		if f.relieve != nil && fired%128 == 127 {
			landed := f.entries.landed
			if err := f.relieve(); err != nil {
				return false, err
			}
			if f.entries.landed != landed { // the view is of what was there before
				if err := v.close(); err != nil {
					return false, err
				}
			}
		}
	}
}

// fire wakes one key in the background.
func (f *fold[S, D]) fire(w state.Wake) error {
	e, err := f.keep(w.Key)
	if err != nil {
		return err
	}
	if due := f.due(e); due != w.Due {
		return fmt.Errorf("wake-up index: %q at %d, its state says %d", w.Key, w.Due, due)
	}
	if err := f.step(e, f.wakeUp(e, w.Due), w.Due); err != nil {
		return err
	}
	f.pos.Frontier = w
	return nil
}

// next is the earliest of the wake-ups in memory, of the sweep and of the
// store's index, as far as they can be before until.
func (f *fold[S, D]) next(v *storeView[S, D], until state.Wake) (w state.Wake, err error) {
	w = f.pending()
	if f.store == nil {
		return w, nil
	}
	if f.sweeping && f.pos.Version.At <= until.Due && f.pos.Version.At <= w.Due {
		key, err := v.older(f)
		if err != nil {
			return w, err
		}
		if s := (state.Wake{Due: f.pos.Version.At, Key: key}); key != "" && s.Less(w) {
			w = s
		}
	}
	if !f.firstKnown || f.first.Less(until) && f.first.Less(w) {
		if err := v.seek(f); err != nil {
			return w, err
		}
		if f.first.Less(w) {
			w = f.first
		}
	}
	return w, nil
}

// sweptBefore notes that no key is left that an older version decided last,
// when all before until has fired.
func (f *fold[S, D]) sweptBefore(until state.Wake) {
	if f.sweeping && f.pos.Version.At < until.Due {
		f.sweeping = false
		if f.pos.Frontier.Less(f.swept()) {
			f.pos.Frontier = f.swept()
		}
	}
}

// earliest is the wake-up that is due next.
func (f *fold[S, D]) earliest() (w state.Wake, ok bool, err error) {
	w = f.pending()
	if !f.firstKnown {
		var v storeView[S, D]
		if err := errors.Join(v.seek(f), v.close()); err != nil {
			return w, false, err
		}
	}
	if f.first.Less(w) {
		w = f.first
	}
	if f.sweeping && f.pos.Version.At < w.Due {
		w = state.Wake{Due: f.pos.Version.At}
	}
	return w, w.Due != math.MaxInt64, nil
}

// pending is the earliest wake-up of what is newer than the store.
func (f *fold[S, D]) pending() state.Wake {
	for len(f.wakes) > 0 {
		s := f.wakes[0]
		due := f.due(s.e)
		if due == s.due {
			return state.Wake{Due: due, Key: s.e.key}
		}
		f.wakes.again(due)
	}
	return state.Wake{Due: math.MaxInt64}
}

// storeView is how a drain looks at the store, with iterators that are opened
// when they are needed first.
type storeView[S, D any] struct{ index, sweep *state.Iterator }

// seek finds the first entry of the index whose key is not newer in memory.
func (v *storeView[S, D]) seek(f *fold[S, D]) (err error) {
	if v.index == nil {
		if v.index, err = f.store.Wakes(f.pos.Frontier); err != nil {
			return err
		}
	}
	for v.index.Valid() && f.entries.hides(peek(v.index.KeyBytes())) {
		v.index.Next()
	}
	f.first, f.firstKnown = state.Wake{Due: math.MaxInt64}, true
	if v.index.Valid() {
		f.first = v.index.Wake()
	}
	return nil
}

// older finds the first key in the store that an older version decided last;
// "" when none is left.
func (v *storeView[S, D]) older(f *fold[S, D]) (key string, err error) {
	if v.sweep == nil {
		if v.sweep, err = f.store.Values(f.cursor); err != nil {
			return "", err
		}
	}
	for ; v.sweep.Valid(); v.sweep.Next() {
		if f.entries.hides(peek(v.sweep.KeyBytes())) {
			continue
		}
		env, _, err := decodeEnvelope(v.sweep.Value())
		if err != nil {
			return "", fmt.Errorf("decode the state of %q: %w", v.sweep.Key(), err)
		}
		if env.version < f.pos.Version.Since {
			f.cursor = v.sweep.Key()
			return f.cursor, nil
		}
	}
	return "", nil
}

func (v *storeView[S, D]) close() (err error) {
	for _, it := range []*state.Iterator{v.index, v.sweep} {
		if it != nil {
			err = errors.Join(err, it.Close())
		}
	}
	v.index, v.sweep = nil, nil
	return err
}

// drainTo fires all up to a frontier, and stands there.
func (f *fold[S, D]) drainTo(frontier state.Wake) error {
	if !f.pos.Frontier.Less(frontier) {
		return nil
	}
	if _, err := f.drain(state.Wake{Due: frontier.Due, Key: frontier.Key + "\x00"}, forever); err != nil {
		return err
	}
	if f.pos.Frontier.Less(frontier) {
		f.pos.Frontier = frontier
	}
	return nil
}
