package sender

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/sender/mail"
	"segue/processors/sender/pace"
	"segue/schemas"
)

const (
	// window is how many deliveries of a partition wait in memory; the others
	// wait in the topic.
	window  = 1000
	pollMax = 500
)

// session is one ownership of one partition, from the producer id on. After any
// error it is thrown away, and the next begins from the log.
type session struct {
	*Station
	partition int32
	owner     *owner
	// client writes, reads attempts, and then is the lookout.
	client *kgo.Client
	// taker reads deliveries for what to do.
	taker *kgo.Client

	ledger        *ledger
	taken, looked int64 // next offsets of both readers

	takes, looks chan []*kgo.Record
	broken       chan error // of the readers
	answers      chan answer
	ending       chan struct{} // closed when the session does

	// places at the gate that are taken by this session.
	places int
	// sweep are ended attempts whose deliveries the log has dropped.
	sweep []string
	// began is when it was opened, milliseconds.
	began int64
	// spaced is the earliest time, by the machine, of the next transaction.
	spaced time.Time
}

// work runs one session. stop asks it to finish what is in hand; ctx ends it.
func (o *owner) work(ctx context.Context, stop <-chan struct{}) error {
	s := &session{
		Station: o.Station, partition: o.partition, owner: o, ledger: newLedger(),
		takes: make(chan []*kgo.Record), looks: make(chan []*kgo.Record), broken: make(chan error, 2),
		answers: make(chan answer, o.gate.slots), ending: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer s.close()
	defer cancel() // the readers, before their clients
	defer func() { s.gate.give(s.places) }()
	callBack := sync.OnceFunc(func() { close(s.ending) })
	defer callBack()
	if err := s.open(ctx, stop); err != nil {
		return err
	}
	s.began = s.Clock.Now().UnixMilli()
	go s.read(ctx, s.taker, s.takes)
	go s.read(ctx, s.client, s.looks)
	err := s.loop(ctx, stop)
	s.owner.falter()
	callBack()
	s.hear(stop)
	s.keep()
	return err
}

func (s *session) close() {
	for _, c := range []*kgo.Client{s.client, s.taker} {
		if c != nil {
			c.Close()
		}
	}
}

// read passes on what a client polls.
func (s *session) read(ctx context.Context, client *kgo.Client, to chan<- []*kgo.Record) {
	for {
		fetches := client.PollRecords(ctx, pollMax)
		if ctx.Err() != nil {
			return
		}
		if err := fetches.Err(); err != nil {
			s.broken <- fmt.Errorf("read %s partition %d: %w", s.topic(schemas.Deliveries), s.partition, err)
			return
		}
		select {
		case to <- fetches.Records():
		case <-ctx.Done():
			return
		}
	}
}

// loop turns until it is told to stop, or has to read again what it skipped, and
// nothing is in hand.
func (s *session) loop(ctx context.Context, stop <-chan struct{}) error {
	stopping := false
	var end error
	for {
		p, err := s.turn(ctx, stopping)
		if err != nil {
			return err
		}
		if stopping && s.ledger.inHand == 0 && !s.pending() {
			return end
		}
		if p.again && !stopping {
			stopping, end = true, errAgain
			continue
		}
		takes := s.takes
		if s.full() || stopping {
			takes = nil
		}
		var clock <-chan struct{}
		forget := func() {}
		if !p.at.IsZero() {
			clock, forget = s.Clock.At(p.at)
		}
		var spacing <-chan time.Time
		if p.spaced {
			spacing = time.After(time.Until(s.spaced))
		}
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case err = <-s.broken:
		case <-stop:
			stop, stopping, end = nil, true, nil
		case records := <-takes:
			s.take(records)
		case records := <-s.looks:
			s.look(records)
		case a := <-s.answers:
			s.answered(a)
		case <-p.gate:
		case <-p.brake:
		case <-clock:
		case <-spacing:
		}
		forget()
		if err != nil {
			return err
		}
	}
}

// pause is what the loop waits for, besides records and answers.
type pause struct {
	at     time.Time       // an instant of the clock
	gate   <-chan struct{} // a place at the gate
	brake  <-chan struct{} // what is paused, or no longer
	spaced bool            // the time of the next transaction
	again  bool            // nothing more: what was skipped is to be read
}

// turn does all that can be done now.
func (s *session) turn(ctx context.Context, stopping bool) (p pause, err error) {
	for more := true; more; {
		select {
		case a := <-s.answers:
			s.answered(a)
		default:
			more = false
		}
	}
	now := s.Clock.Now()
	if s.ledger.pauses, p.brake, err = s.brake.now(); err != nil {
		return p, err
	}
	if !time.Now().Before(s.spaced) {
		var out []errand
		if !stopping {
			if out, err = s.choose(ctx, now); err != nil {
				s.stay(out, now)
				return p, err
			}
		}
		if len(out) > 0 || s.pending() {
			if err := s.hand(ctx, now, out); err != nil {
				return p, err
			}
		}
	}
	s.ledger.skip()
	due, later := s.ledger.due(now.UnixMilli())
	again, reread := s.ledger.again(s.began, now.UnixMilli())
	p.again = again
	busy := s.ledger.inHand > 0 || s.pending() || again
	p.spaced = s.pending()
	if later == 0 || reread != 0 && reread < later {
		later = reread
	}
	if later != 0 {
		p.at = time.UnixMilli(later)
	}
	if len(due) > 0 && !stopping {
		free, until, changed := s.gate.free(now)
		paced, ask, soon := s.pacer.ready(due, now)
		if !paced {
			until = ask
		}
		if free > 0 && paced || unlooked(due) {
			p.spaced, busy = true, true
		} else {
			p.gate, busy = changed, busy || soon || until.IsZero()
			if !until.IsZero() && (p.at.IsZero() || until.Before(p.at)) {
				p.at = until
			}
		}
	}
	next := min(s.taken, s.looked)
	if s.full() { // what is not taken waits for others to end
		next = s.looked
	}
	s.owner.publish(standing{
		live: true, next: next, offset: s.ledger.oldest(s.taken), busy: busy, at: p.at, open: len(s.ledger.open),
	})
	return p, nil
}

// hand records what there is to record, the notes of out among it, and gives out
// to the couriers.
func (s *session) hand(ctx context.Context, now time.Time, out []errand) error {
	given := 0
	defer func() { s.stay(out[given:], now) }()
	if err := s.transact(ctx, now.UnixMilli(), out); err != nil {
		return err
	}
	s.leave()
	for _, e := range out {
		select {
		case s.errands <- e:
			given++
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// stay: out did not set out after all.
func (s *session) stay(out []errand, now time.Time) {
	for _, e := range out {
		s.pacer.back(e.ticket, pace.Neither, now)
		s.answered(answer{id: e.id, result: untried})
	}
}

// leave gives back the places of all whose outcome is recorded: what is in doubt
// after a crash had a place.
func (s *session) leave() {
	s.gate.give(s.places - s.ledger.inHand)
	s.places = s.ledger.inHand
}

// full: no more deliveries are taken until some have ended.
func (s *session) full() bool { return len(s.ledger.open) >= window }

// pending reports whether something waits to be recorded.
func (s *session) pending() bool {
	return len(s.ledger.ended)+len(s.ledger.withdrawn)+len(s.sweep) > 0
}

func unlooked(due []*delivery) bool {
	for _, d := range due {
		if !d.looked {
			return true
		}
	}
	return false
}

// choose ends what must not be tried, leaves alone what is paused, and composes
// as many of the others as the gate and the pace of their domains let out.
func (s *session) choose(ctx context.Context, now time.Time) (out []errand, err error) {
	due, _ := s.ledger.due(now.UnixMilli())
	free, _, _ := s.gate.free(now)
	if paced, _, _ := s.pacer.ready(due, now); len(due) == 0 || (free == 0 || !paced) && !unlooked(due) {
		return nil, nil
	}
	if err := s.lookToEnd(ctx); err != nil {
		return nil, err
	}
	if s.ledger.pauses, err = s.brake.toEnd(ctx); err != nil {
		return nil, err
	}
	due, _ = s.ledger.due(now.UnixMilli()) // without what was cancelled meanwhile
	tries := due[:0]
	for _, d := range due {
		if !s.ledger.judge(d, now.UnixMilli()) || s.ledger.paused(d) != nil {
			continue
		}
		why := s.shadow.of(d.GetTo())
		if why == "" {
			tries = append(tries, d)
			continue
		}
		if _, ok, err := s.compose(ctx, d, now); err != nil {
			return nil, err
		} else if ok {
			s.ledger.end(d, outcome{kind: schemas.Outcome_SHADOWED, reason: why})
		}
	}
	places := s.gate.take(len(tries), now)
	s.places += places
	defer func() {
		s.gate.give(places - len(out))
		s.places -= places - len(out)
	}()
	for _, d := range tries {
		if len(out) == places {
			break
		}
		ticket, ok := s.pacer.take(s.partition, d, now)
		if !ok {
			d.paced = true
			continue
		}
		m, ok, err := s.compose(ctx, d, now)
		if err != nil || !ok {
			s.pacer.back(ticket, pace.Neither, now)
		}
		if err != nil {
			return out, err
		}
		if !ok {
			continue
		}
		s.ledger.handOver(d)
		out = append(out, errand{id: d.GetId(), journey: d.GetJourney(), message: m, ticket: ticket, calledOff: &d.calledOff, until: schemas.Millis(d.GetGiveUpAt()), calledBack: s.ending, answers: s.answers})
	}
	return out, nil
}

// compose makes d into a mail, or ends it if that cannot be done.
func (s *session) compose(ctx context.Context, d *delivery, now time.Time) (m mail.Message, ok bool, err error) {
	templates, err := s.templates(ctx, d.GetPlaybook())
	if err != nil {
		return m, false, err
	}
	if templates == nil {
		s.ledger.end(d, outcome{kind: schemas.Outcome_FAILED, cause: "template", reason: fmt.Sprintf("template: playbook %q is not in %s", d.GetPlaybook(), s.topic(schemas.Playbooks))})
		return m, false, nil
	}
	if m, err = s.composer.Compose(d.Delivery, templates, now); err != nil {
		s.ledger.end(d, outcome{kind: schemas.Outcome_FAILED, cause: "template", reason: "template: " + err.Error()})
		return m, false, nil
	}
	m.From = s.returnPath(d, m.From)
	return m, true, nil
}

// lookToEnd returns when the lookout has seen all that was appended before the
// call: a cancellation among it stops its delivery.
func (s *session) lookToEnd(ctx context.Context) error {
	end, err := s.offset(ctx, schemas.Deliveries, logEnd)
	if err != nil {
		return err
	}
	for s.looked < end {
		select {
		case records := <-s.looks:
			s.look(records)
		case err := <-s.broken:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *session) take(records []*kgo.Record) {
	for _, r := range records {
		if !r.Attrs.IsControl() {
			s.ledger.take(r.Offset, r.Timestamp.UnixMilli(), r.Key, r.Value)
		}
		s.taken = r.Offset + 1
	}
}

func (s *session) look(records []*kgo.Record) {
	for _, r := range records {
		if !r.Attrs.IsControl() {
			s.ledger.look(r.Offset, r.Value, s.taken)
		}
		s.looked = r.Offset + 1
	}
}

func (s *session) answered(a answer) {
	s.metrics.attempts.WithLabelValues(a.result.String()).Inc()
	s.ledger.answered(a, s.Clock.Now().UnixMilli())
}
