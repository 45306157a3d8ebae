package sender

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"segue/schemas"
)

const (
	// pausedKept is how many paused deliveries stay in memory; there is room for as
	// many others.
	pausedKept = window / 2
	// rereadEvery is how often, at most, the log is read again for paused deliveries
	// whose time is over.
	rereadEvery = int64(10 * time.Minute / time.Millisecond)
)

// errAgain ends a session that has skipped what it has to see now.
var errAgain = errors.New("read paused deliveries again")

// skipped are paused deliveries that are in the log alone, so that others go on
// behind them. The group's offset waits for the first; a new session reads them all.
type skipped struct {
	journeys map[string]struct{}
	from     int64 // offset of the first
	until    int64 // instant at which the first of them gives up; 0: none does
}

// skip forgets the paused deliveries that came last, beyond those that are kept.
// They were looked at, and had no reason to end.
func (l *ledger) skip() {
	if len(l.pauses) == 0 || len(l.open) <= pausedKept {
		return
	}
	var paused []*delivery
	for _, d := range l.open {
		if d.state == waiting && d.looked && l.paused(d) != nil {
			paused = append(paused, d)
		}
	}
	if len(paused) <= pausedKept {
		return
	}
	slices.SortFunc(paused, func(a, b *delivery) int { return cmp.Compare(a.offset, b.offset) })
	s := &l.skipped
	for _, d := range paused[pausedKept:] {
		delete(l.open, d.GetId())
		if s.journeys == nil {
			s.journeys, s.from = map[string]struct{}{}, d.offset
		}
		s.journeys[d.GetJourney()] = struct{}{}
		s.from = min(s.from, d.offset)
		if until := schemas.Millis(d.GetGiveUpAt()); until != 0 && (s.until == 0 || until < s.until) {
			s.until = until
		}
	}
}

// again reports whether what was skipped is to be read now: somebody of it is no
// longer paused, or its time is over. If not, at is the instant when that will be;
// 0: none. began is when it was read last.
func (l *ledger) again(began, now int64) (ok bool, at int64) {
	for journey := range l.skipped.journeys {
		if l.pauses.of(journey) == nil {
			return true, 0
		}
	}
	if l.skipped.until == 0 {
		return false, 0
	}
	if at = max(l.skipped.until, began+rereadEvery); at <= now {
		return true, 0
	}
	return false, at
}
