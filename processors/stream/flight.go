package stream

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"

	"segue/state"
)

// flight is a generation of entries on its way to the store, as they were when
// it was frozen. The loop saves them a slice at a time, and each before it
// changes; once all are, write brings them to the store from any goroutine.
// Only when the loop learns that it has landed does it look there for them.
type flight[S any] struct {
	generation uint32
	entries    []*entry[S]
	next       int  // entries before it are saved
	handed     bool // to whoever writes
	bytes      int64

	store           *state.Partition
	pos             Position
	head            state.Head
	listed, cleaned uint64 // of the dirty index: smaller numbers are in it, and out of it again
	pages           [][]saved
	values          []byte // the page that is being filled

	mu    sync.Mutex
	ended bool
	err   error
}

// saved is an entry as it was.
type saved struct {
	key      string
	value    []byte
	dirty    uint64
	from, to int64 // its place in the wake-up index
}

const (
	savedPage  = 1 << 12
	valuesPage = 1 << 20
)

// freeze begins a flight of everything that is newer than the store. Nothing
// may be on its way, and everything of the partition committed.
func (f *fold[S, D]) freeze(topic string, foldVersion int) error {
	f.addFloor()
	at, err := json.Marshal(local{topic, foldVersion, f.pos})
	if err != nil {
		return err
	}
	floors, err := json.Marshal(f.floors)
	if err != nil {
		return err
	}
	generation := f.entries.open
	frozen, bytes := f.entries.freeze()
	f.flight = &flight[S]{
		generation: generation, entries: frozen, bytes: bytes, store: f.store, pos: f.pos, listed: f.listed, cleaned: f.cleaned,
		head: state.Head{Position: at, Dirty: f.nextDirty, Clean: f.clean, Wakes: f.asking, Floors: floors},
	}
	return nil
}

// saveNext saves entries in flight, at most so many, and returns how many were.
func (f *fold[S, D]) saveNext(most int) (n int) {
	l := f.flight
	for ; n < most && l.next < len(l.entries); n++ {
		if e := l.entries[l.next]; e.saved != l.generation {
			f.save(e)
		}
		l.next++
	}
	return n
}

func (l *flight[S]) complete() bool { return l.next == len(l.entries) }

func (f *fold[S, D]) save(e *entry[S]) {
	l := f.flight
	if len(l.values) > valuesPage-valuesPage/8 {
		l.values = make([]byte, 0, valuesPage)
	}
	start := len(l.values)
	l.values = f.encode(l.values, e)
	s := saved{key: e.key, value: l.values[start:], dirty: e.dirty, from: e.storedNext, to: e.next}
	if n := len(l.pages); n == 0 || len(l.pages[n-1]) == savedPage {
		l.pages = append(l.pages, make([]saved, 0, min(savedPage, len(l.entries))))
	}
	last := &l.pages[len(l.pages)-1]
	*last = append(*last, s)
	e.saved, e.storedNext = l.generation, e.next
}

// write brings a flight whose entries are all saved to the store. It may be
// called from any goroutine, and more than once.
func (l *flight[S]) write() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended, l.err = true, l.batch().Apply()
	}
	return l.err
}

var errCancelled = errors.New("cancelled")

// cancel keeps a flight from the store, unless it is there already. It waits
// for one that is being written.
func (l *flight[S]) cancel() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended, l.err = true, errCancelled
	}
}

// landed returns whether the flight has ended, and how, without waiting for it.
func (l *flight[S]) landed() (ended bool, err error) {
	if !l.mu.TryLock() {
		return false, nil // it is being written
	}
	defer l.mu.Unlock()
	return l.ended, l.err
}

// letGo is after how many entries whoever writes lets the loop have a processor.
const letGo = 128

// batch is in the order of the store's keys.
func (l *flight[S]) batch() *state.Batch {
	all := slices.Concat(l.pages...)
	b := l.store.Batch(len(all))
	b.Head(l.head)
	for n, i := range keyOrder(all) {
		b.Put(all[i].key, all[i].dirty, all[i].value)
		if n%letGo == letGo-1 {
			runtime.Gosched()
		}
	}
	for _, m := range moves(all) {
		if m.gone {
			b.NoWake(m.Wake)
		} else {
			b.Wake(m.Wake)
		}
	}
	if l.head.Clean > l.cleaned {
		b.Cleaned(l.head.Clean)
	}
	all = slices.DeleteFunc(all, func(s saved) bool { return s.dirty < l.listed })
	slices.SortFunc(all, func(x, y saved) int { return cmp.Compare(x.dirty, y.dirty) })
	for i := range all {
		b.Dirtied(all[i].dirty, all[i].key)
	}
	return b
}

// keyOrder returns the order of the keys. Most differ in the few bytes after what
// all have in common, and numbers are sorted many times faster than strings.
func keyOrder(all []saved) []int {
	if len(all) == 0 {
		return nil
	}
	common := len(all[0].key)
	for i := range all {
		for !strings.HasPrefix(all[i].key, all[0].key[:common]) {
			common--
		}
	}
	type place struct {
		next uint64 // bytes
		i    int
	}
	places := make([]place, len(all))
	for i := range all {
		var next [8]byte
		copy(next[:], all[i].key[common:])
		places[i] = place{binary.BigEndian.Uint64(next[:]), i}
	}
	slices.SortFunc(places, func(x, y place) int {
		if x.next != y.next {
			return cmp.Compare(x.next, y.next)
		}
		return strings.Compare(all[x.i].key, all[y.i].key)
	})
	order := make([]int, len(all))
	for n, p := range places {
		order[n] = p.i
	}
	return order
}

// move is what changes in the wake-up index.
type move struct {
	state.Wake
	gone bool
}

func moves(all []saved) (moves []move) {
	for _, s := range all {
		if s.from == s.to {
			continue
		}
		if s.from != 0 {
			moves = append(moves, move{state.Wake{Due: s.from, Key: s.key}, true})
		}
		if s.to != 0 {
			moves = append(moves, move{state.Wake{Due: s.to, Key: s.key}, false})
		}
	}
	slices.SortFunc(moves, func(x, y move) int { return x.Compare(y.Wake) })
	return moves
}

// land says that the flight is in the store.
func (f *fold[S, D]) land() {
	l := f.flight
	f.entries.landed, f.listed, f.cleaned = l.generation, l.head.Dirty, l.head.Clean
	f.flight = nil
	f.queue()
	f.look()
}

// queue makes the wake-ups in memory afresh.
func (f *fold[S, D]) queue() {
	f.wakes = f.wakes[:0]
	add := func(es []*entry[S]) {
		for _, e := range es {
			e.queued = 0
			f.wakes.add(e, f.due(e))
		}
	}
	if f.flight != nil {
		add(f.flight.entries)
	}
	add(f.entries.touched)
}
