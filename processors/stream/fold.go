package stream

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"segue/schemas"
	"segue/state"
)

// forever is a budget without end.
const forever = math.MaxInt

// maxKey keeps the frontier small enough for the commit's metadata.
const maxKey = 256

// fold is one partition: the rules of time and versions, and nothing of Kafka.
// It is used by one goroutine.
type fold[S, D any] struct {
	task    Task[S, D]
	store   *state.Partition          // nil: all is in memory
	out     func(in Input, o Output)  // nil: silently
	dead    func(d deadLetter)        // with out
	belongs func(key string) error    // nil: every key does
	relieve func() error              // called within long drains; nil: memory is no concern
	suspect map[place]bool            // steps that panicked before: keep a copy
	careful bool                      // keep a copy before every step
	skips   map[int64]bool            // offsets that are never folded
	count   func(wake bool, at int64) // nil: nobody counts

	pos       Position
	nextDirty uint64
	clean     uint64   // entries with a smaller number are in profiles
	dirtied   *dirtied // the first that the store does not list yet
	asking    int64    // keys that asked to be woken
	entries   *entries[S]
	wakes     wakeHeap // of touched entries; some are out of date

	first      state.Wake // of the store's index, beyond the frontier, not touched
	firstKnown bool
	sweeping   bool   // keys may be left that an older version decided last
	cursor     string // where in the store the sweep looks on
}

// place is a step that may be poisonous: a record's offset, or a wake-up.
type place struct {
	offset int64 // -1: the wake-up
	wake   state.Wake
}

// dirtied is where an entry became newer than in profiles.
type dirtied struct {
	number uint64
	at     Position
}

// record is what a partition is folded from.
type record struct {
	offset, at int64
	key, value []byte
	marker     bool // a transaction's, or an aborted gap: moves the position only
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

func newFold[S, D any](task Task[S, D], store *state.Partition) *fold[S, D] {
	f := &fold[S, D]{task: task, store: store, suspect: map[place]bool{}, skips: map[int64]bool{}}
	f.reset(Position{}, empty)
	return f
}

// empty is the head of a partition without keys.
var empty = state.Head{Dirty: 1, Clean: 1}

// reset forgets what is in memory: the partition stands where the store does.
func (f *fold[S, D]) reset(pos Position, head state.Head) {
	f.pos, f.nextDirty, f.clean, f.asking = pos, head.Dirty, head.Clean, head.Wakes
	f.entries, f.wakes, f.dirtied = newEntries[S](), nil, nil
	f.look()
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

// due is when the entry is woken next: when it asked for, or at once when a
// newer version is in force than the one that decided last; 0: never.
func (f *fold[S, D]) due(e *entry[S]) int64 {
	if e.exists && e.version < f.pos.Version.Since && (e.next == 0 || f.pos.Version.At < e.next) {
		return f.pos.Version.At
	}
	return e.next
}

// record folds one record: rules 1, 3 and 5.
func (f *fold[S, D]) record(ctx context.Context, r record) error {
	if r.offset < f.pos.Next {
		return nil
	}
	f.pos.Next = r.offset
	if r.marker || f.skips[r.offset] {
		f.pos.Next++
		return nil
	}
	now := max(r.at, f.pos.Clock)
	var err error
	if len(r.key) > 0 {
		err = f.keyed(r, now)
	} else {
		err = f.control(ctx, r, now)
	}
	if err != nil {
		return err
	}
	if f.count != nil {
		f.count(false, now)
	}
	f.pos.Next, f.pos.Clock = r.offset+1, now
	return nil
}

func (f *fold[S, D]) keyed(r record, now int64) error {
	in := Input{Key: string(r.key), Now: now, Offset: r.offset, Value: r.value, Version: f.pos.Version.Name}
	if len(r.key) > maxKey {
		f.bury(deadLetter{in, r.at, fmt.Sprintf("key of %d bytes, want at most %d", len(r.key), maxKey)})
		return nil
	}
	e, err := f.load(in.Key)
	if err != nil {
		return err
	}
	if r.offset <= e.asOf {
		return nil // after a restore: the profile had folded it
	}
	if !e.exists && f.belongs != nil {
		if err := f.belongs(in.Key); err != nil {
			f.bury(deadLetter{in, r.at, err.Error()})
			return nil
		}
	}
	for due := f.due(e); due != 0 && due < now; due = f.due(e) {
		if err := f.step(e, Input{Key: in.Key, Now: due, Offset: -1, Version: in.Version}, due); err != nil {
			return err
		}
	}
	return f.step(e, in, r.at)
}

// control takes a record without key in.
func (f *fold[S, D]) control(ctx context.Context, r record, now int64) error {
	in := Input{Now: now, Offset: r.offset, Value: r.value, Version: f.pos.Version.Name}
	var ev schemas.Event
	if err := schemas.Decode(r.value, &ev); err != nil {
		f.bury(deadLetter{in, r.at, "no key, and no control record: " + err.Error()})
		return nil
	}
	switch body := ev.GetBody().(type) {
	case *schemas.Event_Tick:
	case *schemas.Event_Skip:
		f.skips[body.Skip.GetOffset()] = true
	case *schemas.Event_Playbook:
		return f.inForce(ctx, body.Playbook.GetVersion(), now)
	default:
		f.bury(deadLetter{in, r.at, fmt.Sprintf("no key, and no control record: %T", body)})
	}
	return nil
}

// inForce is the barrier: what is due before the version fires under the
// former one; then all keys are woken at its instant.
func (f *fold[S, D]) inForce(ctx context.Context, name string, now int64) error {
	if name == f.pos.Version.Name {
		return nil
	}
	if _, err := f.drain(state.Wake{Due: now}, forever); err != nil {
		return err
	}
	if err := f.task.Load(ctx, name); err != nil {
		return fmt.Errorf("load version %q, put in force at offset %d: %w", name, f.pos.Next, err)
	}
	f.pos.Version = Version{Name: name, At: now, Since: f.pos.Next + 1}
	f.sweeping, f.cursor = true, ""
	for _, e := range f.entries.touched {
		f.push(e)
	}
	return nil
}

// load brings the state of a key to memory.
func (f *fold[S, D]) load(key string) (*entry[S], error) {
	if e := f.entries.get(key); e != nil {
		return e, nil
	}
	e := &entry[S]{key: key, envelope: envelope{asOf: -1}}
	if f.store != nil {
		value, dirty, ok, err := f.store.Get(key)
		if err != nil {
			return nil, err
		}
		if ok {
			if err := f.decode(e, value); err != nil {
				return nil, err
			}
			e.dirty, e.exists, e.storedNext = dirty, true, e.next
		}
	}
	if !e.exists {
		e.state = f.task.New(key)
	}
	e.size = f.size(e)
	f.entries.add(e)
	return e, nil
}

func (f *fold[S, D]) decode(e *entry[S], value []byte) error {
	env, rest, err := decodeEnvelope(value)
	if err == nil {
		e.envelope = env
		e.state, err = f.task.Decode(rest)
	}
	if err != nil {
		return fmt.Errorf("decode the state of %q: %w", e.key, err)
	}
	return nil
}

func (f *fold[S, D]) encode(dst []byte, e *entry[S]) []byte {
	return f.task.Encode(e.envelope.encode(dst), e.state)
}

// size adds what the runtime keeps around a state.
func (f *fold[S, D]) size(e *entry[S]) int64 {
	const overhead = 256 // the entry, its place in the map, its wake-up
	return int64(f.task.Size(e.state)) + int64(2*len(e.key)) + overhead
}

// step advances one key by one input. at is the record's own time.
func (f *fold[S, D]) step(e *entry[S], in Input, at int64) error {
	here := place{offset: in.Offset}
	if in.Offset < 0 {
		here.wake = state.Wake{Due: in.Now, Key: in.Key}
	}
	var before []byte
	if f.careful || f.suspect[here] {
		before = f.task.Encode(nil, e.state)
	}
	decisions, next, err := f.advance(e.state, in)
	if err != nil {
		if before == nil && errors.Is(err, errPanic) {
			return &suspectError{here, err}
		}
		if before != nil {
			s, decodeErr := f.task.Decode(before)
			if decodeErr != nil {
				return fmt.Errorf("undo a step of %q: %w", e.key, decodeErr)
			}
			if e.exists {
				e.state = s
			} else {
				e.state = f.task.New(e.key)
			}
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
	if next != 0 && next <= in.Now {
		next = in.Now + 1 // rule 2: this is what makes the frontier one
	}
	if e.next != 0 {
		f.asking--
	}
	if next != 0 {
		f.asking++
	}
	e.exists, e.next, e.version = true, next, f.pos.Version.Since
	if in.Offset >= 0 {
		e.asOf = in.Offset
	}
	f.push(e)
	f.entries.resize(e, f.size(e))
	if in.Offset < 0 && f.count != nil {
		f.count(true, in.Now)
	}
	if f.out == nil {
		return nil
	}
	for _, d := range decisions {
		outs, err := f.compose(e.state, in, d)
		if err != nil {
			f.bury(deadLetter{in, at, "compose: " + err.Error()})
		}
		for _, o := range outs {
			f.out(in, o)
		}
	}
	return nil
}

var errPanic = errors.New("panic")

func (f *fold[S, D]) advance(s *S, in Input) (decisions []D, next int64, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanic, r)
		}
	}()
	return f.task.Advance(s, in)
}

func (f *fold[S, D]) compose(s *S, in Input, d D) (outs []Output, err error) {
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

// touch marks e as newer than the store and, unless it is so already, as newer
// than profiles from here on.
func (f *fold[S, D]) touch(e *entry[S]) {
	f.entries.touch(e)
	if e.dirty < f.clean {
		at := f.pos
		e.dirty, e.dirtiedAt = f.nextDirty, &at
		f.nextDirty++
		if f.dirtied == nil {
			f.dirtied = &dirtied{e.dirty, at}
		}
	}
	if e.key == f.first.Key {
		f.firstKnown = f.store == nil
	}
}

func (f *fold[S, D]) push(e *entry[S]) {
	if len(f.wakes) > 1024+4*len(f.entries.touched) { // most are out of date
		f.wakes = f.wakes[:0]
		for _, t := range f.entries.touched {
			if due := f.due(t); due != 0 {
				f.wakes = append(f.wakes, state.Wake{Due: due, Key: t.key})
			}
		}
		heap.Init(&f.wakes)
		return
	}
	if due := f.due(e); due != 0 {
		heap.Push(&f.wakes, state.Wake{Due: due, Key: e.key})
	}
}

// drain fires wake-ups before until, in order, at most budget: rule 4. done:
// none is left.
func (f *fold[S, D]) drain(until state.Wake, budget int) (done bool, err error) {
	var index, sweep *state.Iterator
	defer func() {
		for _, it := range []*state.Iterator{index, sweep} {
			if it != nil {
				err = errors.Join(err, it.Close())
			}
		}
	}()
	for fired := 0; ; fired++ {
		w := f.pending()
		if f.store != nil && f.sweeping && f.pos.Version.At <= until.Due && f.pos.Version.At <= w.Due {
			if sweep == nil {
				if sweep, err = f.store.Values(f.cursor); err != nil {
					return false, err
				}
			}
			var key string
			if key, err = f.older(sweep); err != nil {
				return false, err
			}
			if s := (state.Wake{Due: f.pos.Version.At, Key: key}); key != "" && s.Less(w) {
				w = s
			}
		}
		if f.store != nil && (!f.firstKnown || f.first.Less(until) && f.first.Less(w)) {
			if index == nil {
				if index, err = f.store.Wakes(f.pos.Frontier); err != nil {
					return false, err
				}
			}
			f.seek(index)
			if f.first.Less(w) {
				w = f.first
			}
		}
		if !w.Less(until) {
			if f.sweeping && f.pos.Version.At < until.Due {
				f.sweeping = false
				if f.pos.Frontier.Less(f.swept()) {
					f.pos.Frontier = f.swept()
				}
			}
			return true, nil
		}
		if fired >= budget {
			return false, nil
		}
		e, err := f.load(w.Key)
		if err != nil {
			return false, err
		}
		if due := f.due(e); due != w.Due {
			return false, fmt.Errorf("wake-up index: %q at %d, its state says %d", w.Key, w.Due, due)
		}
		if err := f.step(e, Input{Key: w.Key, Now: w.Due, Offset: -1, Version: f.pos.Version.Name}, w.Due); err != nil {
			return false, err
		}
		f.pos.Frontier = w
		if f.relieve != nil && fired%256 == 255 {
			touched := len(f.entries.touched)
			if err := f.relieve(); err != nil {
				return false, err
			}
			if len(f.entries.touched) < touched { // applied: the iterators are out of date
				err = errors.Join(closeAll(index, sweep))
				index, sweep = nil, nil
				if err != nil {
					return false, err
				}
			}
		}
	}
}

func closeAll(its ...*state.Iterator) (err error) {
	for _, it := range its {
		if it != nil {
			err = errors.Join(err, it.Close())
		}
	}
	return err
}

// pending is the earliest wake-up of what was touched.
func (f *fold[S, D]) pending() state.Wake {
	for len(f.wakes) > 0 {
		w := f.wakes[0]
		if e := f.entries.byKey[w.Key]; e != nil && e.touched && f.due(e) == w.Due {
			return w
		}
		heap.Pop(&f.wakes)
	}
	return state.Wake{Due: math.MaxInt64}
}

// seek moves to the first entry of the index that was not touched since.
func (f *fold[S, D]) seek(index *state.Iterator) {
	for index.Valid() && f.entries.isTouched(index.Key()) {
		index.Next()
	}
	f.first, f.firstKnown = state.Wake{Due: math.MaxInt64}, true
	if index.Valid() {
		f.first = index.Wake()
	}
}

// older moves to the first key in the store that an older version decided
// last; "" when none is left.
func (f *fold[S, D]) older(sweep *state.Iterator) (key string, err error) {
	for ; sweep.Valid(); sweep.Next() {
		key := sweep.Key()
		if f.entries.isTouched(key) {
			continue
		}
		env, _, err := decodeEnvelope(sweep.Value())
		if err != nil {
			return "", fmt.Errorf("decode the state of %q: %w", key, err)
		}
		if env.version < f.pos.Version.Since {
			f.cursor = key
			return key, nil
		}
	}
	return "", nil
}

// earliest is the wake-up that is due next.
func (f *fold[S, D]) earliest() (w state.Wake, ok bool, err error) {
	w = f.pending()
	if !f.firstKnown {
		index, err := f.store.Wakes(f.pos.Frontier)
		if err != nil {
			return w, false, err
		}
		f.seek(index)
		if err := index.Close(); err != nil {
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

// apply adds all that was touched, and the head, to the batch. Once that is
// written, applied says so.
func (f *fold[S, D]) apply(b *state.Batch, head []byte) error {
	var value []byte
	for _, e := range f.entries.sorted() {
		value = f.encode(value[:0], e)
		b.Put(e.key, e.dirty, value)
		b.Wake(e.key, e.storedNext, e.next)
		if e.dirtiedAt != nil {
			at, err := e.dirtiedAt.MarshalJSON()
			if err != nil {
				return err
			}
			b.Dirtied(e.dirty, e.key, at)
		}
	}
	b.Head(state.Head{Position: head, Dirty: f.nextDirty, Clean: f.clean, Wakes: f.asking})
	return nil
}

func (f *fold[S, D]) applied() {
	f.entries.settle()
	f.wakes, f.dirtied = f.wakes[:0], nil
	f.look()
}

// skipped lists the offsets to skip from an offset on.
func (f *fold[S, D]) skipped(from int64) (offsets []int64) {
	for o := range f.skips {
		if o >= from {
			offsets = append(offsets, o)
		}
	}
	slices.Sort(offsets)
	return offsets
}

// forgetSkips drops what no restore can meet any more.
func (f *fold[S, D]) forgetSkips(before int64) {
	for o := range f.skips {
		if o < before {
			delete(f.skips, o)
		}
	}
}
