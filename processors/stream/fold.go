package stream

import (
	"context"
	"fmt"
	"math"
	"slices"
	"unsafe"

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
	skips   skips                     // steps that are never taken
	alone   func(p place) error       // called before every step; nil: they go on together
	count   func(wake bool, at int64) // nil: nobody counts

	pos       Position
	nextDirty uint64
	clean     uint64  // entries with a smaller number are in profiles
	listed    uint64  // entries with a smaller number were in the store's dirty index,
	cleaned   uint64  // and those with a smaller one than this are out of it again
	floors    []floor // the first holds for the number clean
	asking    int64   // keys that asked to be woken
	steps     int     // since the loop last looked
	scratch   []byte
	warmth    byte // nothing, but what warm reads has to go somewhere
	entries   *entries[S]
	wakes     wakes[S] // of entries that are newer than the store
	flight    *flight[S]

	first      state.Wake // of the store's index, beyond the frontier, not hidden
	firstKnown bool
	sweeping   bool   // keys may be left that an older version decided last
	cursor     string // where in the store the sweep looks on
}

// record is what a partition is folded from.
type record struct {
	offset, at int64
	key, value []byte
	marker     bool // a transaction's, or an aborted gap: moves the position only
}

func newFold[S, D any](task Task[S, D], store *state.Partition) *fold[S, D] {
	f := &fold[S, D]{task: task, store: store, suspect: map[place]bool{}, skips: skips{}}
	f.reset(Position{}, empty)
	return f
}

// empty is the head of a partition without keys.
var empty = state.Head{Dirty: 1, Clean: 1}

// reset forgets what is in memory: the partition stands where the store does.
func (f *fold[S, D]) reset(pos Position, head state.Head) {
	f.pos, f.asking = pos, head.Wakes
	f.nextDirty, f.listed, f.clean, f.cleaned = head.Dirty, head.Dirty, head.Clean, head.Clean
	f.floors = readFloors(head)
	f.addFloor()
	f.entries, f.wakes, f.flight = newEntries[S](), nil, nil
	f.look()
}

// record folds one record: rules 1, 3 and 5.
func (f *fold[S, D]) record(ctx context.Context, r record) error {
	if r.offset < f.pos.Next {
		return nil
	}
	f.pos.Next = r.offset
	if r.marker || f.skips.has(place{offset: r.offset}) {
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
	e := f.entries.get(peek(r.key))
	if e == nil {
		var err error
		if e, err = f.meet(r, now); e == nil {
			return err
		}
	}
	if r.offset <= e.asOf {
		return nil // after a restore: the profile had folded it
	}
	for due := f.due(e); due != 0 && due < now; due = f.due(e) {
		if err := f.step(e, f.wakeUp(e, due), due); err != nil {
			return err
		}
	}
	return f.step(e, f.input(e.key, r, now), r.at)
}

func (f *fold[S, D]) input(key string, r record, now int64) Input {
	return Input{Key: key, Now: now, Offset: r.offset, Value: r.value, Version: f.pos.Version.Name}
}

func (f *fold[S, D]) wakeUp(e *entry[S], due int64) Input {
	return Input{Key: e.key, Now: due, Offset: -1, Version: f.pos.Version.Name}
}

// meet brings the key of a record to memory; nil without an error when it is
// none that may be folded.
func (f *fold[S, D]) meet(r record, now int64) (*entry[S], error) {
	key := string(r.key)
	if len(key) > maxKey {
		f.bury(deadLetter{f.input(key, r, now), r.at, fmt.Sprintf("key of %d bytes, want at most %d", len(key), maxKey)})
		return nil, nil
	}
	e, err := f.load(key)
	if err != nil {
		return nil, err
	}
	if !e.exists && f.belongs != nil {
		if err := f.belongs(key); err != nil {
			f.bury(deadLetter{f.input(key, r, now), r.at, err.Error()})
			return nil, nil
		}
	}
	f.entries.add(e)
	return e, nil
}

// warmAhead is how many records are warmed before they are folded.
const warmAhead = 64

// warm fetches from memory what the next records will need, a kind after the
// other: so waits for memory overlap, which in steps they cannot.
func (f *fold[S, D]) warm(n int, key func(i int) []byte) {
	var slots [warmAhead]*indexed[S]
	var found [warmAhead]*entry[S]
	n = min(n, warmAhead)
	for i := range n {
		slots[i] = f.entries.byKey.home(peek(key(i)))
		f.warmth += byte(slots[i].hash)
	}
	for i := range n {
		if e := slots[i].e; e != nil {
			found[i] = e
			f.warmth += byte(e.touched)
		}
	}
	for i := range n {
		switch e := found[i]; {
		case e == nil || len(e.key) == 0:
		case e.state != nil:
			f.warmth += e.key[0] + *(*byte)(unsafe.Pointer(e.state))
		case len(e.packed) > 0:
			f.warmth += e.key[0] + e.packed[0]
		}
	}
}

// control takes a record without key in.
func (f *fold[S, D]) control(ctx context.Context, r record, now int64) error {
	in := f.input("", r, now)
	var ev schemas.Event
	if err := schemas.Decode(r.value, &ev); err != nil {
		f.bury(deadLetter{in, r.at, "no key, and no control record: " + err.Error()})
		return nil
	}
	switch body := ev.GetBody().(type) {
	case *schemas.Event_Tick:
	case *schemas.Event_Skip:
		f.skips.heed(body.Skip, r.offset)
	case *schemas.Event_Playbook:
		v := schemas.ParseInForce(f.pos.Version.Name)
		v.Playbook = body.Playbook.GetVersion()
		return f.inForce(ctx, v.String(), now)
	case *schemas.Event_Models:
		v := schemas.ParseInForce(f.pos.Version.Name)
		v.Models = body.Models.GetVersion()
		return f.inForce(ctx, v.String(), now)
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
	f.queue()
	return nil
}

// load returns the state of a key, packed maybe, from memory or from the store.
// It does not keep what it had to fetch: whoever reads is no reason to.
func (f *fold[S, D]) load(key string) (*entry[S], error) {
	if e := f.entries.byKey.get(key); e != nil {
		return e, nil
	}
	e := &entry[S]{key: key, envelope: envelope{asOf: -1}}
	if f.store != nil && !f.entries.whole {
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
	return e, nil
}

// keep loads the state of a key that is about to change.
func (f *fold[S, D]) keep(key string) (*entry[S], error) {
	e, err := f.load(key)
	if err == nil && f.entries.byKey.get(key) == nil {
		f.entries.add(e)
	}
	return e, err
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

// pack encodes the state for memory alone. It is worth it if that takes less than
// half of what the state does.
func (f *fold[S, D]) pack(e *entry[S]) (size uint32, small bool) {
	if e.packed == nil {
		f.scratch = f.encodeState(f.scratch[:0], e)
		e.packed = slices.Clone(f.scratch)
	}
	return uint32(len(e.packed) + len(e.key) + overhead), 2*len(e.packed) <= f.task.Size(e.state)
}

// stateOf decodes the state of an entry that is packed, and leaves it so, until
// done.
func (f *fold[S, D]) stateOf(e *entry[S]) (*S, error) {
	if e.state != nil {
		return e.state, nil
	}
	s, err := f.task.Decode(e.packed)
	if err != nil {
		return nil, fmt.Errorf("unpack the state of %q: %w", e.key, err)
	}
	return s, nil
}

// unpack brings the state back. What it was packed as stays until it changes.
func (f *fold[S, D]) unpack(e *entry[S]) error {
	if e.state != nil {
		return nil
	}
	s, err := f.stateOf(e)
	if err != nil {
		return err
	}
	e.state = s
	f.entries.loosen(e)
	f.entries.resize(e, f.size(e))
	return nil
}

// done gives back what stateOf returned.
func (f *fold[S, D]) done(e *entry[S], s *S) {
	if s != e.state {
		f.task.Release(s)
	}
}

func (f *fold[S, D]) shrink(limit int64, most int) {
	f.entries.shrink(limit, most, f.pack, f.task.Release)
}

func (f *fold[S, D]) encode(dst []byte, e *entry[S]) []byte {
	return f.encodeState(e.envelope.encode(dst), e)
}

// encodeState appends what the task makes of the state.
func (f *fold[S, D]) encodeState(dst []byte, e *entry[S]) []byte {
	if e.packed != nil {
		return append(dst, e.packed...)
	}
	return f.task.Encode(dst, e.state)
}

// overhead is the entry, its places in the index and in lists, and its wake-up.
const overhead = 208

// size adds what the runtime keeps around a state that is not packed.
func (f *fold[S, D]) size(e *entry[S]) uint32 {
	return uint32(f.task.Size(e.state) + len(e.packed) + len(e.key) + overhead)
}
