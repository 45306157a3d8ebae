package stream

import (
	"errors"
	"fmt"

	"segue/state"
)

// walked is what a store holds of a partition, all of it read once.
type walked struct {
	keys, wakes, dirty int
	wrong              misfits
}

// misfits are what does not fit in a store: the first few, and how many.
type misfits struct {
	first []error
	all   int
}

// misfitsShown are said; where much is wrong, more would not help.
const misfitsShown = 5

func (m *misfits) add(format string, a ...any) {
	if m.all++; m.all <= misfitsShown {
		m.first = append(m.first, fmt.Errorf(format, a...))
	}
}

func (m *misfits) err() error {
	if m.all > misfitsShown {
		return errors.Join(append(m.first, fmt.Errorf("and %d more", m.all-misfitsShown))...)
	}
	return errors.Join(m.first...)
}

// walk reads every value of a store, and whether the indexes say the same: one
// wake-up for each key that asked for one, one entry for each that is dirty. An
// entry that fits its value is the only one of its key, so equal numbers mean
// that none is missing.
func walk[S, D any](task Task[S, D], store *state.Partition, head state.Head) (w walked, err error) {
	asking, dirty := 0, 0
	values, err := store.Values("")
	if err != nil {
		return w, err
	}
	for ; values.Valid(); values.Next() {
		w.keys++
		key := values.Key()
		env, number, err := readValue(task, store, key)
		if err != nil {
			w.wrong.add("value of %q: %w", key, err)
			continue
		}
		if env.next != 0 {
			asking++
		}
		if number >= head.Clean {
			dirty++
		}
		if number >= head.Dirty {
			w.wrong.add("value of %q: got dirty number %d, want less than %d", key, number, head.Dirty)
		}
	}
	if err := values.Close(); err != nil {
		return w, err
	}
	wakes, err := store.Wakes(state.Wake{})
	if err != nil {
		return w, err
	}
	for ; wakes.Valid(); wakes.Next() {
		w.wakes++
		at := wakes.Wake()
		if env, _, err := readValue(task, store, at.Key); err == nil && env.next != at.Due {
			w.wrong.add("wake-up index: %q is listed at %d, its value asks for %d", at.Key, at.Due, env.next)
		} else if err != nil {
			w.wrong.add("wake-up index: %q is listed at %d: %w", at.Key, at.Due, err)
		}
	}
	if err := wakes.Close(); err != nil {
		return w, err
	}
	listed, err := store.Dirty(head.Clean)
	if err != nil {
		return w, err
	}
	for ; listed.Valid(); listed.Next() {
		w.dirty++
		if _, number, err := readValue(task, store, listed.Key()); err == nil && number != listed.Number() {
			w.wrong.add("dirty index: %q is listed as %d, its value is %d", listed.Key(), listed.Number(), number)
		} else if err != nil {
			w.wrong.add("dirty index: %q is listed: %w", listed.Key(), err)
		}
	}
	if w.wakes != asking || int64(w.wakes) != head.Wakes {
		w.wrong.add("wake-up index: got %d entries, want %d for the values, and %d as the head says", w.wakes, asking, head.Wakes)
	}
	if w.dirty != dirty {
		w.wrong.add("dirty index: got %d entries, want %d for the values", w.dirty, dirty)
	}
	return w, listed.Close()
}

var errNoValue = errors.New("there is no value")

// readValue decodes one value, and returns its dirty number.
func readValue[S, D any](task Task[S, D], store *state.Partition, key string) (env envelope, dirty uint64, err error) {
	value, dirty, ok, err := store.Get(key)
	if err != nil {
		return env, 0, err
	}
	if !ok {
		return env, 0, errNoValue
	}
	env, rest, err := decodeEnvelope(value)
	if err == nil {
		_, err = task.Decode(rest)
	}
	return env, dirty, err
}
