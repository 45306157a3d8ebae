package stream

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
	"segue/state"
)

// plain is the state of a partition at a position, by the rules, in a map: an
// oracle that can begin at a floor, and stop at a frontier.
type plain struct {
	toy   toy
	pos   Position
	keys  map[string]*plainKey
	skips skips
}

type plainKey struct {
	envelope
	state []byte
}

func (k *plainKey) String() string {
	return fmt.Sprintf("%s as of %d, next %d, version %d", k.state, k.asOf, k.next, k.version)
}

func (p *plain) due(k *plainKey) int64 {
	if k.version < p.pos.Version.Since && (k.next == 0 || p.pos.Version.At < k.next) {
		return p.pos.Version.At
	}
	return k.next
}

func (p *plain) step(key string, now, offset int64, value []byte) {
	k := p.keys[key]
	s := p.toy.New(key)
	if k != nil {
		var err error
		if s, err = p.toy.Decode(k.state); err != nil {
			panic(err)
		}
	} else {
		k = &plainKey{envelope: envelope{asOf: -1}}
	}
	if offset < 0 && p.skips.has(place{-1, state.Wake{Due: now, Key: key}}) {
		if k.version = p.pos.Version.Since; k.next <= now {
			k.next = 0
		}
		return
	}
	next, err := func() (next int64, err error) {
		defer func() {
			if recover() != nil {
				err = errPanic
			}
		}()
		_, next, err = p.toy.Advance(s, Input{Key: key, Now: now, Offset: offset, Value: value, Version: p.pos.Version.Name})
		return next, err
	}()
	if err != nil {
		return // of records alone: the toy's wake-ups do not fail
	}
	if next != 0 {
		next = max(next, now+1)
	}
	p.keys[key] = k
	k.state, k.next, k.version = p.toy.Encode(nil, s), next, p.pos.Version.Since
	if offset >= 0 {
		k.asOf = offset
	}
}

// drain fires what is due before until, in order.
func (p *plain) drain(until state.Wake) {
	for {
		w := until
		for key, k := range p.keys {
			if d := (state.Wake{Due: p.due(k), Key: key}); d.Due != 0 && d.Less(w) {
				w = d
			}
		}
		if w == until {
			return
		}
		p.step(w.Key, w.Due, -1, nil)
	}
}

func (p *plain) record(r *kgo.Record) {
	p.pos.Next = r.Offset + 1
	if r.Attrs.IsControl() || p.skips.has(place{offset: r.Offset}) {
		return
	}
	now := max(r.Timestamp.UnixMilli(), p.pos.Clock)
	defer func() { p.pos.Clock = now }()
	if len(r.Key) > 0 {
		key := string(r.Key)
		if k := p.keys[key]; k != nil {
			if r.Offset <= k.asOf {
				return
			}
			for due := p.due(k); due != 0 && due < now; due = p.due(k) {
				p.step(key, due, -1, nil)
			}
		}
		p.step(key, now, r.Offset, r.Value)
		return
	}
	var ev schemas.Event
	if schemas.Decode(r.Value, &ev) == nil {
		if v := ev.GetPlaybook().GetVersion(); v != "" && v != p.pos.Version.Name {
			p.drain(state.Wake{Due: now})
			p.pos.Version = Version{Name: v, At: now, Since: r.Offset + 1}
		}
	}
}

// to folds a partition's log up to a position.
func (p *plain) to(log []*kgo.Record, m Position) {
	for _, r := range log {
		if r.Offset >= p.pos.Next && r.Offset < m.Next {
			p.record(r)
		}
	}
	p.pos.Next = m.Next
	p.drain(state.Wake{Due: m.Frontier.Due, Key: m.Frontier.Key + "\x00"})
}

// log is what was ever committed to a partition of events, and what is skipped.
func (w *simulation) log(partition int32) (log []*kgo.Record, skipped skips) {
	skipped = skips{}
	for _, r := range w.b.logs["events"][partition].all {
		if !r.visible() {
			continue
		}
		log = append(log, r.Record)
		var ev schemas.Event
		if len(r.Key) == 0 && !r.marker && schemas.Decode(r.Value, &ev) == nil && ev.GetSkip() != nil {
			skipped.heed(ev.GetSkip(), r.Offset)
		}
	}
	return log, skipped
}

// profiles are what a restore would read, once all is decided.
func (w *simulation) profiles(partition int32) (map[string]*plainKey, error) {
	m := map[string]*plainKey{}
	for _, r := range w.b.logs["profiles"][partition].records {
		if r.marker || !r.visible() {
			continue
		}
		fold, err := new(toy).Restore(r.Value)
		if err != nil {
			return nil, err
		}
		env, rest, err := decodeEnvelope(fold)
		if err != nil {
			return nil, err
		}
		m[string(r.Key)] = &plainKey{env, rest}
	}
	return m, nil
}

// check holds what the group has against what it stands for.
func (w *simulation) check() {
	for p := range w.partitions {
		held, ok := w.b.group.offsets[p]
		if !ok || held.number == w.number[p] {
			continue
		}
		w.number[p] = held.number
		c, err := decodeCommit(held.at, held.metadata)
		if err != nil {
			w.failf("partition %d: %v", p, err)
			return
		}
		before := w.held[p]
		switch {
		case c.M.Next < before.M.Next || c.M.Frontier.Less(before.M.Frontier):
			w.failf("partition %d: M went back from %+v to %+v", p, before.M, c.M)
		case c.F.Next < before.F.Next:
			w.failf("partition %d: F went back from %+v to %+v", p, before.F, c.F)
		case c.F.Next > c.M.Next:
			w.failf("partition %d: F %+v is beyond M %+v", p, c.F, c.M)
		case w.b.logs["events"][p].start > c.F.Next:
			w.failf("partition %d: the log begins at %d, beyond F", p, w.b.logs["events"][p].start)
		}
		w.held[p] = c
	}
}

// prove restores a partition from profiles, folds from F, and compares with
// the fold of the whole log, both at M.
func (w *simulation) prove(partition int32) {
	w.check()
	c, ok := w.held[partition]
	if !ok || w.b.unstable(partition) { // a new owner would wait
		return
	}
	w.count("floors proven")
	log, skipped := w.log(partition)
	want := &plain{keys: map[string]*plainKey{}, skips: skipped}
	want.to(log, c.M)
	got := &plain{skips: c.skips(), pos: c.F}
	var err error
	if got.keys, err = w.profiles(partition); err != nil {
		w.failf("profiles of partition %d: %v", partition, err)
		return
	}
	got.pos.Frontier = state.Wake{}
	maps.Copy(got.skips, skipped) // a control record within the span says it as well
	got.to(log, c.M)
	w.compare(fmt.Sprintf("partition %d restored at floor %+v and folded to %+v", partition, c.F, c.M), got.keys, want.keys)
}

func (w *simulation) compare(what string, got, want map[string]*plainKey) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] == nil || got[key].String() != want[key].String() {
			w.failf("%s: %s is\n%v, want\n%v", what, key, got[key], want[key])
			return
		}
	}
	if len(got) > len(want) {
		w.failf("%s: %d keys, want %d", what, len(got), len(want))
	}
}

// verdict: outputs and dead letters are those of the single-threaded fold, in
// order, and profiles its states.
func (w *simulation) verdict() {
	got, want := map[string][]string{}, map[string][]string{}
	for _, l := range w.b.logs["out"] {
		for _, r := range l.all {
			if !r.marker && r.visible() {
				got[string(r.Key)] = append(got[string(r.Key)], string(r.Value))
			}
		}
	}
	for _, r := range w.b.logs["dead-letters"][0].all {
		if !r.marker && r.visible() {
			key := letters(headerOf(r.Record, "partition"), string(r.Key), headerOf(r.Record, "offset"))
			got[key] = append(got[key], headerOf(r.Record, "offset"))
		}
	}
	for p := range w.partitions {
		log, skipped := w.log(p)
		for at := range skipped {
			if at.offset < 0 {
				w.count("skips of wake-ups")
			} else {
				w.count("skips")
			}
		}
		o := newOracle()
		o.skips = skipped
		for _, r := range log {
			switch {
			case r.Attrs.IsControl():
			case len(r.Key) == 0 && schemas.Decode(r.Value, new(schemas.Event)) != nil:
				o.outs[""] = append(o.outs[""], fmt.Sprintf("dead %d", r.Offset))
				o.record(fromKafka(r)) // its time counts
			default:
				o.record(fromKafka(r))
			}
		}
		o.drain(math.MaxInt64)
		for key, outs := range o.outs {
			for _, out := range outs {
				if offset, ok := strings.CutPrefix(out, "dead "); ok {
					key := letters(fmt.Sprint(p), key, offset)
					want[key] = append(want[key], offset)
				} else {
					want[key] = append(want[key], out)
				}
			}
		}
		w.standsAtEnd(p, log, skipped)
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if a, b := strings.Join(got[key], "\n"), strings.Join(want[key], "\n"); a != b {
			w.failf("outputs of %s: got\n%s\nwant\n%s", key, a, b)
			return
		}
	}
	for key := range got {
		if want[key] == nil {
			w.failf("outputs of %s, which nothing caused: %v", key, got[key])
		}
	}
}

// letters names dead letters that have an order: a record that is skipped fires
// none of the wake-ups before it.
func letters(partition, key, offset string) string {
	if offset == "-1" {
		return fmt.Sprintf("dead wake-ups of %s/%s", partition, key)
	}
	return fmt.Sprintf("dead letters of %s/%s", partition, key)
}

// standsAtEnd: after a graceful stop of everyone profiles are all there is.
func (w *simulation) standsAtEnd(partition int32, log []*kgo.Record, skipped skips) {
	c := w.held[partition]
	end := w.b.logs["events"][partition].end
	if c.M.Next != end || c.F != c.M {
		w.failf("partition %d was stopped gracefully at M %+v and F %+v, the log ends at %d", partition, c.M, c.F, end)
		return
	}
	want := &plain{keys: map[string]*plainKey{}, skips: skipped}
	want.to(log, c.M)
	got, err := w.profiles(partition)
	if err != nil {
		w.failf("profiles of partition %d: %v", partition, err)
		return
	}
	w.compare(fmt.Sprintf("profiles of partition %d", partition), got, want.keys)
}

// floor is F of a partition, as the group holds it.
func (w *simulation) floor(partition int32) int64 {
	o := w.b.group.fetch(partition)
	c, err := decodeCommit(o.offset, o.metadata)
	if err != nil { // nothing yet
		return 0
	}
	return c.F.Next
}
