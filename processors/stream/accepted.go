package stream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protojson"

	"segue/schemas"
	"segue/state"
)

// clockSkew is how far behind the broker's clock a station's may have been when
// it put something out.
const clockSkew = time.Minute

// witness stands in for the task while what another version had decided is
// folded again, and tells of each decision that differs from what that version
// put out. What Compose filled in from tables counts, too.
type witness[S, D any] struct {
	Task[S, D]
	dead          string // the topic, without prefix
	former        map[place]*former
	woken         map[string]*woken // the keys whose wake-ups put something out
	in            Input             // of the present step
	present       bool              // there is one
	now           []Output          // what it puts out
	alike, differ int
	tell          func(in Input, was, now *Output)
}

// former is what the other version put out at one step, which is forgotten once
// it is compared.
type former struct {
	next int64 // record of the log at that time
	outs []Output
}

// woken says from where on a key is folded again: what a profile that was
// restored is ahead by is not. A refold that was cut short looks like that, too:
// a wake-up that this version does not ask for is not named then.
type woken struct {
	asOf, due    int64 // at the start: the last record, and the next wake-up; 0: none
	record, wake int64 // folded again first; -1 and 0: none
}

// foldsAgain reports whether a wake-up that this version does not come to lies
// in what it folds again.
func (k *woken) foldsAgain(due, next int64) bool {
	return next > k.asOf &&
		(k.due != 0 && k.due <= due || k.record >= 0 && k.record < next || k.wake != 0 && k.wake < due)
}

// refoldAccepted folds again what another version had folded, and compares.
func (p *Processor[S, D]) refoldAccepted(ctx context.Context, x *partition[S, D]) error {
	from, f := x.fold.pos, x.fold
	w := &witness[S, D]{Task: p.c.Task, dead: p.c.DeadLetters, former: map[place]*former{}, woken: map[string]*woken{}}
	w.tell = func(in Input, was, now *Output) {
		p.metrics.compared.WithLabelValues("otherwise").Inc()
		a, b := apart(was, now)
		p.c.Log.Warn("decided otherwise", "partition", x.id, "offset", in.Offset, "key", in.Key, "instant", in.Now,
			"topic", cmp.Or(was, now).Topic, "was", a, "now", b)
	}
	if err := p.readFormer(ctx, x, w); err != nil {
		return fmt.Errorf("read what fold version %d put out: %w", x.committed.Fold, err)
	}
	f.task, f.out, f.dead = w, w.out, w.buried
	err := p.refold(ctx, x)
	f.task, f.out, f.dead = p.c.Task, nil, nil
	w.compare()
	if err != nil {
		return err
	}
	w.compareRest()
	p.metrics.compared.WithLabelValues("alike").Add(float64(w.alike))
	p.c.Log.Warn("what another fold version put out is compared", "partition", x.id, "from", from.Next, "to", x.committed.M.Next,
		"decisions", w.alike+w.differ, "differ", w.differ)
	return nil
}

// readFormer collects what x put out from where it stands on. None of it is
// older than its clock, or than the first wake-up that is due: where a refold
// was cut short, wake-ups are behind the records. What lies beyond M is not folded
// again; if there is any, the partition is another's by now.
func (p *Processor[S, D]) readFormer(ctx context.Context, x *partition[S, D], w *witness[S, D]) error {
	var v storeView[S, D]
	first, err := x.fold.next(&v, state.Wake{Due: math.MaxInt64})
	if err := errors.Join(err, v.close()); err != nil {
		return err
	}
	since := max(min(x.fold.pos.Clock, first.Due)-clockSkew.Milliseconds(), 0)
	for _, topic := range append(slices.Clone(p.c.Outputs), p.c.DeadLetters) {
		err := p.readSince(ctx, p.c.Prefix+topic, since, func(r *kgo.Record) error {
			at, next, ok, err := readCause(r, p.c.Input, x.id)
			if err != nil || !ok || at.offset >= 0 && next < x.fold.pos.Next || !x.committed.M.reaches(at, next) {
				return err
			}
			return w.add(x.fold, at, next, topic, r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readSince hands on what a topic holds from an instant on: of all partitions,
// since a merge goes to whichever its key has.
func (p *Processor[S, D]) readSince(ctx context.Context, topic string, at int64, take func(*kgo.Record) error) error {
	first, err := p.cluster.Since(ctx, topic, at)
	if err != nil {
		return err
	}
	end, err := p.cluster.Ends(ctx, topic)
	if err != nil {
		return err
	}
	for id := range int32(len(first)) {
		if first[id] >= end[id] {
			continue
		}
		err := p.cluster.Read(ctx, topic, id, first[id], func(r *kgo.Record) (bool, error) {
			return r.Offset+1 >= end[id], take(r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// add notes what the other version put out.
func (w *witness[S, D]) add(f *fold[S, D], at place, next int64, topic string, r *kgo.Record) error {
	o := Output{Topic: topic, Key: string(r.Key), Value: r.Value}
	if topic == w.dead {
		o = w.letter(o.Key, headerOf(r, "reason"))
	}
	step := w.former[at]
	if step == nil {
		step = &former{next: next}
		w.former[at] = step
	}
	step.outs = append(step.outs, o)
	if key := at.wake.Key; at.offset < 0 && w.woken[key] == nil {
		e, err := f.load(key)
		if err != nil {
			return err
		}
		w.woken[key] = &woken{asOf: e.asOf, due: f.due(e), record: -1}
	}
	return nil
}

// letter is a dead letter as it is compared: what it holds is the record itself.
func (w *witness[S, D]) letter(key, reason string) Output {
	return Output{Topic: w.dead, Key: key, Reason: reason}
}

// Advance hands on to the task.
func (w *witness[S, D]) Advance(s *S, in Input) (decisions []D, next int64, err error) {
	w.compare()
	decisions, next, err = w.Task.Advance(s, in)
	w.step(in) // not of one that panics: it is taken again, or buried
	if k := w.woken[in.Key]; k != nil && err == nil {
		switch {
		case in.Offset < 0 && k.wake == 0:
			k.wake = in.Now
		case in.Offset >= 0 && k.record < 0:
			k.record = in.Offset
		}
	}
	return decisions, next, err
}

func (w *witness[S, D]) out(in Input, o Output) {
	w.step(in)
	if d, large := tooLarge(in, o); large {
		o = w.letter(in.Key, d.reason)
	}
	w.now = append(w.now, o)
}

func (w *witness[S, D]) buried(d deadLetter) {
	w.step(d.in)
	w.now = append(w.now, w.letter(d.in.Key, d.reason))
}

// step says which one is present.
func (w *witness[S, D]) step(in Input) {
	if !w.present || stepPlace(w.in) != stepPlace(in) {
		w.compare()
		w.in, w.present = in, true
	}
}

// compare tells how the present step differs from what it once put out.
func (w *witness[S, D]) compare() {
	if !w.present {
		return
	}
	w.present = false
	at := stepPlace(w.in)
	var was []Output
	if step := w.former[at]; step != nil {
		was = step.outs
		delete(w.former, at)
	}
	w.pair(w.in, was, w.now)
	w.now = nil
}

// compareRest tells of wake-ups that the other version came to, and this one
// does not. A record that is not folded again is one that a profile had met.
func (w *witness[S, D]) compareRest() {
	var rest []place
	for at, step := range w.former {
		if at.offset < 0 && w.woken[at.wake.Key].foldsAgain(at.wake.Due, step.next) {
			rest = append(rest, at)
		}
	}
	slices.SortFunc(rest, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.wake.Due, b.wake.Due), strings.Compare(a.wake.Key, b.wake.Key))
	})
	for _, at := range rest {
		w.pair(Input{Key: at.wake.Key, Now: at.wake.Due, Offset: -1}, w.former[at].outs, nil)
	}
}

// pair sets what was put out beside what would be: first what is the same, then
// what goes to the same topic.
func (w *witness[S, D]) pair(in Input, was, now []Output) {
	now = slices.Clone(now)
	take := func(fits func(Output) bool) *Output {
		i := slices.IndexFunc(now, fits)
		if i < 0 {
			return nil
		}
		o := now[i]
		now = slices.Delete(now, i, i+1)
		return &o
	}
	var others []Output
	for _, a := range was {
		if take(func(b Output) bool { return same(a, b) }) == nil {
			others = append(others, a)
		} else {
			w.alike++
		}
	}
	for _, a := range others {
		w.differ++
		w.tell(in, &a, take(func(b Output) bool { return a.Topic == b.Topic }))
	}
	for _, b := range now {
		w.differ++
		w.tell(in, nil, &b)
	}
}

func same(a, b Output) bool {
	return a.Topic == b.Topic && a.Key == b.Key && a.Reason == b.Reason && bytes.Equal(a.Value, b.Value)
}

// apart writes both for people, as far as it takes to see how they differ.
func apart(was, now *Output) (a, b string) {
	const head, most = 60, 240
	a, b = readable(was), readable(now)
	if was != nil && now != nil {
		n := 0
		for n < min(len(a), len(b)) && a[n] == b[n] {
			n++
		}
		if n -= 20; n > head {
			a, b = a[:head]+"…"+a[n:], b[:head]+"…"+b[n:]
		}
	}
	short := func(s string) string {
		if len(s) > most {
			s = s[:most] + "…"
		}
		return strings.ToValidUTF8(s, "")
	}
	return short(a), short(b)
}

func readable(o *Output) string {
	switch {
	case o == nil:
		return "nothing"
	case o.Reason != "":
		return "dead letter: " + o.Reason
	}
	if t, ok := schemas.TopicNamed(o.Topic); ok && t.New != nil {
		m := t.New()
		if schemas.Decode(o.Value, m) == nil {
			var compact bytes.Buffer // protojson puts in spaces at random
			if text, err := protojson.Marshal(m); err == nil && json.Compact(&compact, text) == nil {
				return compact.String()
			}
		}
	}
	return string(o.Value)
}
