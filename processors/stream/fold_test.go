package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"segue/schemas"
	"segue/state"
)

func openStore(t testing.TB) *state.Store {
	t.Helper()
	s, err := state.Open("state", state.Options{FS: vfs.NewMem(), Memory: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// drawLog draws a log with all that rules are about. Record times step back
// now and then, as those of a new leader do.
func drawLog(t *rapid.T) []record {
	at := int64(1_700_000_000_000)
	var log []record
	for range rapid.IntRange(1, 60).Draw(t, "records") {
		at += rapid.SampledFrom([]int64{-2, 0, 0, 1, 1, 60_000, hour, hour, 3 * hour, day, day + 1}).Draw(t, "step")
		r := record{offset: int64(len(log)), at: at}
		switch kind := rapid.SampledFrom([]string{"cart", "cart", "cart", "view", "order", "nag", "tick", "version", "version", "marker", "bad", "panic"}).Draw(t, "kind"); kind {
		case "tick":
			r.value = tickValue
		case "version":
			r.value = inForce(rapid.SampledFrom([]string{"r1", "r2", "r3"}).Draw(t, "version"))
		case "marker":
			r.marker = true
		default:
			r.key, r.value = []byte(rapid.SampledFrom([]string{"ada", "bob", "cy", "dee", "eve"}).Draw(t, "key")), []byte(kind)
		}
		log = append(log, r)
	}
	// Last, the clock runs far ahead, so that nothing is left due.
	return append(log, record{offset: int64(len(log)), at: at + 10*day, value: tickValue})
}

// encodedState is how the fold would store what it knows of a key.
func encodedState(t interface{ Fatal(...any) }, f *fold[toyState, string], e *entry[toyState]) string {
	s, err := f.stateOf(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(f.task.Encode(nil, s))
}

func judge(log []record) *oracle {
	o := newOracle()
	for _, r := range log {
		var ev schemas.Event
		if len(r.key) == 0 && schemas.Decode(r.value, &ev) == nil && ev.GetSkip() != nil {
			o.skips.heed(ev.GetSkip(), r.offset)
		}
	}
	for _, r := range log {
		if !r.marker {
			o.record(r)
		}
	}
	return o
}

// world is what a processor lives in: a log, a store that can be lost, what
// the group holds, the topic of profiles, and outputs that are committed.
type world struct {
	t         *rapid.T
	log       []record
	s         *state.Store
	id        int32
	x         *partition[toyState, string]
	suspects  map[place]bool
	committed commit
	began     bool
	profiles  map[string][]byte
	flushing  map[string][]byte
	outs      map[string][]string
	pending   [][2]string
	spawned   []func() error // what brings a flight to the store, at its time
}

func (w *world) try(err error) {
	var suspect *suspectError
	if errors.As(err, &suspect) { // the loop's answer to everything
		w.suspects[suspect.place] = true
		w.crash()
	} else if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) take() {
	store := w.s.Partition(w.id)
	w.x = &partition[toyState, string]{id: w.id, store: store, fold: newFold(new(toy), store), fresh: !w.began, committed: w.committed}
	f := w.x.fold
	f.suspect = w.suspects
	head, ok, err := store.Head()
	if err != nil {
		w.t.Fatal(err)
	}
	if ok {
		var l local
		if err := json.Unmarshal(head.Position, &l); err != nil {
			w.t.Fatal(err)
		}
		f.reset(l.M, head)
		w.x.stored = l.M
	} else if w.began {
		w.restore()
	}
	w.try(w.refold())
}

func (w *world) restore() {
	r, err := w.x.store.Replace()
	if err != nil {
		w.t.Fatal(err)
	}
	for k, v := range w.profiles {
		if err := r.Put(k, v); err != nil {
			w.t.Fatal(err)
		}
	}
	floor := w.committed.F
	floor.Frontier = state.Wake{}
	at, err := json.Marshal(local{M: floor})
	if err != nil {
		w.t.Fatal(err)
	}
	head, err := r.Finish(at, func(b []byte) (int64, error) {
		e, _, err := decodeEnvelope(b)
		return e.next, err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.x.fold.reset(floor, head)
	w.x.stored = floor
}

func (w *world) refold() error {
	f, want := w.x.fold, w.committed.M
	for f.pos.Next < want.Next {
		if err := f.record(context.Background(), w.log[f.pos.Next]); err != nil {
			return err
		}
	}
	if f.pos.Frontier.Less(want.Frontier) {
		if _, err := f.drain(state.Wake{Due: want.Frontier.Due, Key: want.Frontier.Key + "\x00"}, forever); err != nil {
			return err
		}
		if f.pos.Frontier.Less(want.Frontier) {
			f.pos.Frontier = want.Frontier
		}
	}
	f.out = func(in Input, o Output) {
		w.x.outs++
		w.pending = append(w.pending, [2]string{o.Key, string(o.Value)})
	}
	f.dead = func(d deadLetter) {
		w.x.outs++
		w.pending = append(w.pending, [2]string{d.in.Key, fmt.Sprintf("dead %d", d.in.Offset)})
	}
	return nil
}

// crash forgets what is in memory. What was to be written may still come to
// its turn.
func (w *world) crash() {
	w.pending = nil
	w.x.release()
	w.take()
}

// background takes the write-back one step on.
func (w *world) background(step string) {
	x, f := w.x, w.x.fold
	switch l := f.flight; {
	case step == "write" && len(w.spawned) > 0:
		_ = w.spawned[0]() // whoever lands asks how it went
		w.spawned = w.spawned[1:]
	case l == nil && step == "freeze":
		if x.outs == 0 && !x.fresh {
			w.try(f.freeze("", 0))
		}
	case l != nil && step == "save" && !l.handed:
		f.saveNext(rapid.IntRange(1, 2).Draw(w.t, "entries"))
		if l.complete() {
			l.handed = true
			w.spawned = append(w.spawned, l.write)
		}
	case l != nil && step == "land":
		ended, err := l.landed()
		if w.try(err); ended && err == nil {
			x.land()
		}
	}
}

func (w *world) commit() {
	w.flushing = map[string][]byte{}
	x := w.x
	if err := x.flush(2, func(key string, _ *toyState, fold []byte) int { w.flushing[key] = slices.Clone(fold); return 1 }); err != nil {
		w.t.Fatal(err)
	}
	w.began = true
	w.committed = commit{M: x.fold.pos, F: x.floor}
	text, err := w.committed.encode()
	if err != nil {
		w.t.Fatal(err)
	}
	if w.committed, err = decodeCommit(x.fold.pos.Next, text); err != nil {
		w.t.Fatal(err)
	}
	for _, o := range w.pending {
		w.outs[o[0]] = append(w.outs[o[0]], o[1])
	}
	for k, v := range w.flushing {
		w.profiles[k] = v
	}
	w.pending = nil
	x.fresh, x.committed, x.outs, x.fold.clean = false, w.committed, 0, x.clean
}

// Whatever happens in between, what is committed in the end is what the plain
// fold says, key by key, and so is the state.
func TestAnyHistoryGivesTheSame(t *testing.T) {
	s := openStore(t)
	var id int32
	rapid.Check(t, func(t *rapid.T) {
		id++
		w := &world{t: t, s: s, id: id, log: drawLog(t), suspects: map[place]bool{}, profiles: map[string][]byte{}, outs: map[string][]string{}}
		w.take()
		for range rapid.IntRange(0, 120).Draw(t, "events") {
			f := w.x.fold
			switch event := rapid.SampledFrom([]string{"record", "record", "record", "record", "drain", "drain", "commit", "commit", "apply", "freeze", "save", "write", "land", "flush", "crash", "pack", "forget", "lost disk"}).Draw(t, "event"); event {
			case "record":
				if f.pos.Next < int64(len(w.log)) {
					w.try(f.record(t.Context(), w.log[f.pos.Next]))
				}
			case "drain":
				_, err := f.drain(state.Wake{Due: f.pos.Clock}, rapid.IntRange(1, 3).Draw(t, "budget"))
				w.try(err)
			case "commit":
				w.commit()
			case "apply":
				if w.x.outs == 0 && !w.x.fresh {
					w.try(w.x.apply("", 0))
				}
			case "freeze", "save", "write", "land":
				w.background(event)
			case "flush":
				w.x.flushTo = rapid.Uint64Range(0, f.nextDirty).Draw(t, "number")
			case "pack":
				f.shrink(f.entries.ring.bytes, evictions)
			case "forget":
				f.shrink(0, evictions)
			case "crash":
				w.crash()
			case "lost disk":
				if w.began {
					if _, err := w.x.store.Replace(); err != nil {
						t.Fatal(err)
					}
				}
				w.crash()
			}
		}
		for {
			f := w.x.fold
			if f.pos.Next < int64(len(w.log)) {
				w.try(f.record(t.Context(), w.log[f.pos.Next]))
				continue
			}
			done, err := f.drain(state.Wake{Due: f.pos.Clock}, 5)
			w.try(err)
			if done && f == w.x.fold {
				break
			}
		}
		w.commit()
		want := judge(w.log)
		for _, key := range []string{"ada", "bob", "cy", "dee", "eve"} {
			if got, want := strings.Join(w.outs[key], "\n"), strings.Join(want.outs[key], "\n"); got != want {
				t.Fatalf("outputs of %s: got\n%s\nwant\n%s", key, got, want)
			}
			e, err := w.x.fold.load(key)
			if err != nil {
				t.Fatal(err)
			}
			if o := want.states[key]; o != nil {
				if got, want := encodedState(t, w.x.fold, e), string(want.toy.Encode(nil, o)); got != want {
					t.Fatalf("state of %s: got %s, want %s", key, got, want)
				}
				if e.next != want.next[key] {
					t.Fatalf("next wake-up of %s: got %d, want %d", key, e.next, want.next[key])
				}
			}
		}
		if _, ok, err := w.x.fold.earliest(); ok || err != nil {
			t.Fatalf("something is still due: %v", err)
		}
		if n := w.x.fold.asking; n != 0 {
			t.Fatalf("%d keys are said to ask for a wake-up, want none", n)
		}
	})
}

// A replay gives what a cluster gives, and its clock may stop anywhere.
func TestReplayGivesTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := drawLog(t)
		log = slices.DeleteFunc(log, func(r record) bool { return r.marker })
		got := map[string][]string{}
		r := NewReplay(new(toy), func(at int64, in Input, out Output) {
			text := string(out.Value)
			if out.Topic == "dead-letters" {
				text = fmt.Sprintf("dead %d", in.Offset)
				if out.Reason == "" {
					t.Error("a dead letter without a reason")
				}
			}
			got[out.Key] = append(got[out.Key], text)
		})
		for i, rec := range log {
			log[i].offset = int64(i)
			if err := r.Record(t.Context(), rec.at, string(rec.key), rec.value); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 9).Draw(t, "pause") == 0 && i+1 < len(log) {
				if err := r.Until(t.Context(), log[i+1].at-1); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := judge(log)
		for key := range want.outs {
			if a, b := strings.Join(got[key], "\n"), strings.Join(want.outs[key], "\n"); a != b {
				t.Fatalf("outputs of %s: got\n%s\nwant\n%s", key, a, b)
			}
		}
	})
}

// The story of a cart: reminded after an hour of silence, not when bought, and
// a day later no longer busy.
func TestReplayOfACart(t *testing.T) {
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).UnixMilli()
	var story []string
	r := NewReplay(new(toy), func(at int64, in Input, out Output) {
		what, _, _ := strings.Cut(strings.SplitN(string(out.Value), " ", 2)[1], " count")
		story = append(story, fmt.Sprintf("%v %s %s", time.Duration(at-start)*time.Millisecond, out.Key, what))
	})
	record := func(after time.Duration, key, what string) {
		t.Helper()
		if err := r.Record(t.Context(), start+after.Milliseconds(), key, []byte(what)); err != nil {
			t.Fatal(err)
		}
	}
	record(0, "ada", "cart")
	record(0, "bob", "cart")
	record(59*time.Minute, "bob", "order")
	if due, ok := r.Next(); !ok || due != start+hour {
		t.Errorf("Next() = %d, %v, want an hour after the cart", due-start, ok)
	}
	record(2*time.Hour, "ada", "view")
	record(3*time.Hour, "ada", "view")
	if err := r.Until(t.Context(), start+2*day); err != nil {
		t.Fatal(err)
	}
	want := []string{"59m0s bob thanks", "1h0m0s ada remind", "3h0m0s ada busy true", "24h0m0s ada busy false"}
	if !slices.Equal(story, want) {
		t.Errorf("got %q, want %q", story, want)
	}
	if s, ok := r.State("ada"); !ok || s.Count != 3 {
		t.Errorf(`State("ada") = %+v, %v, want three records`, s, ok)
	}
	if _, ok := r.State("eve"); ok {
		t.Error(`State("eve") is there, but eve never came`)
	}
}

// A new version meets everyone at its instant, also those whom it tells nothing.
func TestVersionWakesEveryKey(t *testing.T) {
	s := openStore(t)
	x := &partition[toyState, string]{store: s.Partition(0), fold: newFold(new(toy), s.Partition(0))}
	f := x.fold
	var got []string
	f.out = func(in Input, o Output) { got = append(got, fmt.Sprintf("%s@%d", in.Key, in.Now)) }
	fold := func(r record) {
		t.Helper()
		r.offset = f.pos.Next
		if err := f.record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"ada", "bob", "cy", "dee"} {
		fold(record{at: 1000, key: []byte(key), value: []byte("view")})
	}
	if err := x.apply("", 0); err != nil {
		t.Fatal(err)
	}
	fold(record{at: 2000, value: inForce("r2")})
	fold(record{at: 3000, key: []byte("cy"), value: []byte("view")}) // meets the version first
	if due, ok, _ := f.earliest(); !ok || due.Due != 2000 {
		t.Fatalf("earliest() = %v, %v, want the version's instant", due, ok)
	}
	for range 2 { // a slice at a time
		if done, err := f.drain(state.Wake{Due: f.pos.Clock}, 1); done || err != nil {
			t.Fatalf("drain = %v, %v, want more to do", done, err)
		}
		if err := x.apply("", 0); err != nil {
			t.Fatal(err)
		}
	}
	if done, err := f.drain(state.Wake{Due: f.pos.Clock}, forever); !done || err != nil {
		t.Fatalf("drain = %v, %v", done, err)
	}
	if want := []string{"cy@2000", "ada@2000", "bob@2000", "dee@2000"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if f.sweeping || f.pos.Frontier.Less(f.swept()) {
		t.Errorf("the sweep does not end: frontier %v", f.pos.Frontier)
	}
}

// What other versions read is spelled the same for ever.
func TestFormats(t *testing.T) {
	if got, want := fmt.Sprintf("%x", envelope{asOf: 300, next: 1_700_000_000_000, version: 7}.encode(nil)), "01d80480a0abfef9620e"; got != want {
		t.Errorf("envelope: got %s, want %s", got, want)
	}
	at := Position{Next: 9, Clock: 5, Version: Version{"id@1", 3, 4}, Frontier: state.Wake{Due: 4, Key: "ada"}}
	got, err := commit{Topic: "AAAA", Fold: 2, M: at, F: Position{Next: 1}, Skips: []int64{3}}.encode()
	if want := `{"topic":"AAAA","fold":2,"m":{"n":9,"c":5,"v":"id@1","va":3,"vs":4,"fd":4,"fk":"YWRh"},"f":{"n":1},"skip":[3]}`; err != nil || got != want {
		t.Errorf("commit: got %s, %v, want %s", got, err, want)
	}
}

func FuzzDecodeEnvelope(f *testing.F) {
	f.Add(envelope{asOf: -1}.encode(nil))
	f.Add(append(envelope{asOf: 42, next: 1_700_000_000_000, version: 7}.encode(nil), "the task's"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, rest, err := decodeEnvelope(b)
		if err != nil {
			return
		}
		again, rest2, err := decodeEnvelope(append(e.encode(nil), rest...))
		if err != nil || again != e || string(rest2) != string(rest) {
			t.Errorf("got %+v %q %v, want %+v %q", again, rest2, err, e, rest)
		}
	})
}

func FuzzDecodeCommit(f *testing.F) {
	c := commit{Topic: "t", Fold: 2, M: Position{Next: 9, Clock: 5, Version: Version{"v", 3, 4}, Frontier: state.Wake{Due: 4, Key: "\xff\x00"}}, Skips: []int64{3}, Wakes: []skippedWake{{4, []byte("\xff\x00"), 8}}}
	text, err := c.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(int64(9), text)
	f.Add(int64(0), "{}")
	f.Fuzz(func(t *testing.T, offset int64, text string) {
		c, err := decodeCommit(offset, text)
		if err != nil {
			return
		}
		text, err = c.encode()
		if err != nil {
			return
		}
		if again, err := decodeCommit(offset, text); err != nil || fmt.Sprint(again) != fmt.Sprint(c) {
			t.Errorf("got %+v, %v, want %+v", again, err, c)
		}
	})
}
