package sender

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"segue/schemas"
)

const (
	// staleAfter: a delivery appended later than this after it was due is not
	// sent; the station that decided it decides once more.
	staleAfter = int64(2 * time.Minute / time.Millisecond)
	firstWait  = int64(30 * time.Second / time.Millisecond)
	longWait   = int64(30 * time.Minute / time.Millisecond)
	// settledHalf is how many settled deliveries are remembered, up to twice.
	settledHalf = 10_000
)

// ledger is what is known of one partition's deliveries: a pure machine that
// says which mail may be tried, and which has ended how.
type ledger struct {
	// known is what attempts said, of deliveries that were not read yet.
	known map[string]*schemas.Attempt
	// heard is what came of notes and is not recorded yet; before is the same of
	// former sessions, by delivery, of those that were not read yet.
	heard  []hearing
	before map[string]hearing
	// cancelled are cancellations whose delivery was not read yet.
	cancelled map[string]cancellation
	// open are deliveries without a recorded outcome.
	open map[string]*delivery
	// settled are the last deliveries that have an outcome, in two halves: whoever
	// names one again gets no second mail.
	settled [2]map[string]struct{}
	// ended wait for their outcome to be recorded; withdrawn for their note to go.
	ended, withdrawn []*delivery
	inHand           int
	// pauses as they are known now, and whom they concern that is not in open.
	pauses  pauses
	skipped skipped
}

type cancellation struct {
	offset int64
	reason string
}

// delivery is one command on its way to an outcome.
type delivery struct {
	*schemas.Delivery
	offset   int64
	appended int64 // the record's time, milliseconds
	// dead is a record that is no delivery, and goes to dead-letters as it came.
	dead *deadLetter

	state state
	// at is the instant of the next try; 0: at once.
	at     int64
	number int32 // attempts so far
	// note is the offset of the last note in attempts, once that was written.
	note int64
	// looked: the partition was read to its end after this was.
	looked bool
	// stopped: a cancellation came while it was in hand. calledOff tells the
	// courier, who may not have set out.
	stopped *cancellation
	// paced: it had to wait for its domain.
	paced     bool
	calledOff atomic.Bool
	outcome   outcome
}

type state uint8

const (
	waiting state = iota
	inHand
	ended
)

// outcome is what became of a delivery, and why.
type outcome struct {
	kind schemas.Outcome_Kind
	// cause is one of few words, for metrics; reason is for people.
	cause, reason string
	// reply of the mail server, if one answered.
	reply string
}

type deadLetter struct {
	key, value []byte
	reason     string
}

// answer is what a hand-over came to.
type answer struct {
	id     string
	result result
	reply  string
}

type result uint8

const (
	// accepted by the server.
	accepted result = iota
	// refusedNow: another try may do (4xx), and this one has left nothing behind.
	refusedNow
	// refused for good (5xx).
	refused
	// unreachable: the server did not get to see the mail.
	unreachable
	// unanswered: the connection broke after the mail's last byte.
	unanswered
	// untried: it was called off, or its time was over, before a connection was free.
	untried
)

func (r result) String() string {
	return [...]string{"accepted", "refused-now", "refused", "unreachable", "unanswered", "untried"}[r]
}

func newLedger() *ledger {
	return &ledger{
		known:     map[string]*schemas.Attempt{},
		before:    map[string]hearing{},
		cancelled: map[string]cancellation{},
		open:      map[string]*delivery{},
		settled:   [2]map[string]struct{}{{}, {}},
	}
}

// settle remembers that a delivery has its outcome.
func (l *ledger) settle(id string) {
	if len(l.settled[0]) >= settledHalf {
		l.settled = [2]map[string]struct{}{{}, l.settled[0]}
	}
	l.settled[0][id] = struct{}{}
}

func (l *ledger) hasOutcome(id string) bool {
	_, newer := l.settled[0][id]
	_, older := l.settled[1][id]
	return newer || older
}

// take brings in a record of deliveries, in order of the log.
func (l *ledger) take(offset, appended int64, key, value []byte) {
	var cmd schemas.DeliveryCommand
	err := schemas.Decode(value, &cmd)
	send := cmd.GetSend()
	switch {
	case err == nil && cmd.GetCancel() != nil:
		// Its delivery came before it, so whoever it meant was stopped by now.
		if c, ok := l.cancelled[cmd.GetCancel().GetDeliveryId()]; ok && c.offset <= offset {
			delete(l.cancelled, cmd.GetCancel().GetDeliveryId())
		}
		return
	case err != nil:
		err = fmt.Errorf("decode: %w", err)
	case send == nil:
		err = fmt.Errorf("command: got none that is known, want send or cancel")
	case send.GetId() == "" || send.GetCustomer() == "":
		err = fmt.Errorf("delivery: got id %q of customer %q, want both", send.GetId(), send.GetCustomer())
	}
	d := &delivery{Delivery: send, offset: offset, appended: appended}
	if err != nil {
		d.Delivery = &schemas.Delivery{Id: fmt.Sprintf("offset %d", offset)}
		d.dead = &deadLetter{key: key, value: value, reason: err.Error()}
	}
	id := d.GetId()
	attempt, known := l.known[id]
	delete(l.known, id)
	if known && attempt.GetOutcome() != schemas.Outcome_KIND_UNSPECIFIED {
		l.settle(id)
		return
	}
	if l.open[id] != nil || l.hasOutcome(id) {
		return
	}
	l.open[id] = d
	c, stopped := l.cancelled[id]
	switch {
	case known:
		d.number = attempt.GetNumber()
		h, heard := l.before[id]
		if delete(l.before, id); !heard {
			l.inDoubt(d)
			return
		}
		d.state, d.note = inHand, h.note
		l.inHand++
		l.answered(h.answer, h.at)
	case d.dead != nil:
		l.end(d, outcome{kind: schemas.Outcome_FAILED, cause: "unreadable", reason: err.Error()})
	case stopped:
		l.end(d, outcome{kind: schemas.Outcome_CANCELLED, reason: c.reason})
	}
}

// look brings in a record of deliveries that the lookout saw.
func (l *ledger) look(offset int64, value []byte, taken int64) {
	var cmd schemas.DeliveryCommand
	if schemas.Decode(value, &cmd) != nil || cmd.GetCancel() == nil {
		return
	}
	id, c := cmd.GetCancel().GetDeliveryId(), cancellation{offset: offset, reason: cmd.GetCancel().GetReason()}
	d := l.open[id]
	switch {
	case d == nil && offset >= taken:
		l.cancelled[id] = c
	case d != nil && d.state == waiting:
		l.end(d, outcome{kind: schemas.Outcome_CANCELLED, reason: c.reason})
	case d != nil:
		d.stopped = &c
		d.calledOff.Store(true)
	}
}

// due returns who may be tried by now, or must be looked at, in order of the log,
// and the earliest instant after now that somebody waits for; 0: none.
func (l *ledger) due(now int64) (ready []*delivery, next int64) {
	for _, d := range l.open {
		at := d.at
		if until := schemas.Millis(d.GetGiveUpAt()); d.looked && l.paused(d) != nil {
			if until == 0 {
				continue
			}
			at = until
		}
		switch {
		case d.state != waiting:
		case at <= now:
			ready = append(ready, d)
		case next == 0 || at < next:
			next = at
		}
	}
	slices.SortFunc(ready, func(a, b *delivery) int { return cmp.Compare(a.offset, b.offset) })
	return ready, next
}

// paused returns the pause that holds d back, or nil.
func (l *ledger) paused(d *delivery) *schemas.Pause { return l.pauses.of(d.GetJourney()) }

// judge ends d if it must not be tried (again), and reports whether it may be.
func (l *ledger) judge(d *delivery, now int64) bool {
	d.looked = true
	due := schemas.Millis(d.GetDueAt())
	if late := d.appended - due; due != 0 && late > staleAfter {
		l.end(d, outcome{kind: schemas.Outcome_STALE, reason: fmt.Sprintf("decided %s after it was due", millis(late))})
		return false
	}
	if until := schemas.Millis(d.GetGiveUpAt()); until != 0 && now >= until {
		o := outcome{kind: schemas.Outcome_FAILED, cause: "gave-up", reason: fmt.Sprintf("gave up after %d attempts", d.number), reply: d.outcome.reply}
		if pause := l.paused(d); pause != nil {
			o.cause, o.reason = "paused", "paused until its time was over: "+pause.GetReason()
		} else if d.paced && d.number == 0 {
			o.cause, o.reason = "paced", "held back by the pace of its domain until its time was over"
		}
		l.end(d, o)
		return false
	}
	return true
}

// notWritten is the offset of no record.
const notWritten = -1

// handOver notes that d goes out now.
func (l *ledger) handOver(d *delivery) {
	d.number++
	d.state, d.note = inHand, notWritten
	l.inHand++
}

// answered brings in what a hand-over came to.
func (l *ledger) answered(a answer, now int64) {
	d := l.open[a.id]
	if d == nil || d.state != inHand {
		return
	}
	l.inHand--
	l.heard = append(l.heard, hearing{a, d.note, now})
	d.outcome.reply = a.reply
	switch a.result {
	case accepted:
		l.end(d, outcome{kind: schemas.Outcome_SENT, reason: d.GetReason(), reply: a.reply})
	case refused:
		l.end(d, outcome{kind: schemas.Outcome_FAILED, cause: "refused", reason: "refused by the mail server", reply: a.reply})
	case unanswered:
		l.end(d, outcome{kind: schemas.Outcome_IN_DOUBT, cause: "unanswered", reason: "the connection broke before the mail server's answer", reply: a.reply})
	default:
		l.later(d, a, now)
	}
}

// later lets d wait for another try, unless none would come in time.
func (l *ledger) later(d *delivery, a answer, now int64) {
	if d.stopped != nil {
		l.end(d, outcome{kind: schemas.Outcome_CANCELLED, reason: d.stopped.reason, reply: a.reply})
		return
	}
	d.at = now
	if a.result == refusedNow {
		d.at += wait(d.number)
	} else {
		d.number-- // no attempt: the server did not see the mail
	}
	if until := schemas.Millis(d.GetGiveUpAt()); until != 0 && d.at >= until {
		l.end(d, outcome{kind: schemas.Outcome_FAILED, cause: "gave-up", reason: fmt.Sprintf("gave up after %d attempts", d.number), reply: a.reply})
		return
	}
	d.state = waiting
	l.withdrawn = append(l.withdrawn, d)
}

// wait is how long to wait after so many attempts, in milliseconds.
func wait(attempts int32) int64 {
	return min(firstWait<<min(max(attempts-1, 0), 16), longWait)
}

// inDoubt ends d, of which a predecessor left a note and nothing else.
func (l *ledger) inDoubt(d *delivery) {
	l.end(d, outcome{kind: schemas.Outcome_IN_DOUBT, cause: "stopped", reason: "the sender stopped between hand-over and answer"})
}

func (l *ledger) end(d *delivery, o outcome) {
	d.state, d.outcome = ended, o
	l.ended = append(l.ended, d)
}

// recorded forgets what a committed transaction has recorded.
func (l *ledger) recorded() {
	for _, d := range l.ended {
		delete(l.open, d.GetId())
		l.settle(d.GetId())
	}
	l.ended, l.withdrawn, l.heard = nil, nil, nil
}

// oldest returns the offset of the oldest delivery without a recorded outcome;
// next if there is none.
func (l *ledger) oldest(next int64) int64 {
	for _, d := range l.open {
		next = min(next, d.offset)
	}
	if l.skipped.journeys != nil {
		next = min(next, l.skipped.from)
	}
	return next
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
