// Package limit says when a customer may be mailed: not in quiet hours, not
// more often than the caps or the customer's own wish allow, not during a pause,
// all by the customer's own calendar.
//
//	journey: a step is due → limit: now, or from when on → journey: send, hold or skip
//
// Not obvious: a local day has 23, 24 or 25 hours, and a local time may come
// twice or never. Quiet hours are therefore asked of the wall clock at an
// instant, minute by minute in effect: where 02:30 never comes, quiet hours
// until 02:30 end when the clock jumps over it; where it comes twice, they are
// back with the hour that is lived again.
package limit

import (
	"fmt"
	"time"

	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// Limits are those of one customer.
type Limits struct {
	Of   *playbook.Limits
	Zone *time.Location
	// Chosen is what the customer wants.
	Chosen profile.Choice
	// Mails are reserved against the caps.
	Mails []profile.Mail
}

// horizon bounds the search for a free instant: every cap has one by then.
const horizon = 3 * 31 * 24 * time.Hour

// Free returns the first instant from at on at which a mail may go out. reason
// is "" when that is at itself, else what stands in the way at first.
func (l Limits) Free(at int64) (free int64, reason string) {
	if until := l.Chosen.PausedTo; at < until {
		at = until
		reason = "paused until " + time.UnixMilli(until).In(l.Zone).Format("2 January")
	}
	t, caps := time.UnixMilli(at).In(l.Zone), l.caps()
	for last := t.Add(horizon); t.Before(last); {
		if l.quiet(t) {
			t = l.turn(t, l.Of.Quiet.To, false)
			if reason == "" {
				reason = "quiet hours until " + t.Format("15:04")
			}
			continue
		}
		full, ok := l.full(caps, t)
		if !ok {
			break
		}
		t = next(full.Per, t)
		if reason == "" {
			reason = full.String()
		}
	}
	return t.UnixMilli(), reason
}

// End returns until when a mail that may go out at the instant at still may: the
// next quiet hours, or the end of a period that it counts against. 0: for ever.
func (l Limits) End(at int64) int64 {
	t := time.UnixMilli(at).In(l.Zone)
	end := int64(0)
	sooner := func(x time.Time) {
		if ms := x.UnixMilli(); end == 0 || ms < end {
			end = ms
		}
	}
	if q := l.Of.Quiet; q != nil && q.From != q.To {
		sooner(l.turn(t, q.From, true))
	}
	for _, c := range l.caps() {
		sooner(next(c.Per, t))
	}
	return end
}

// quiet reports whether the wall clock at t is within quiet hours.
func (l Limits) quiet(t time.Time) bool {
	q := l.Of.Quiet
	if q == nil {
		return false
	}
	m := t.Hour()*60 + t.Minute()
	if q.From <= q.To {
		return q.From <= m && m < q.To
	}
	return m >= q.From || m < q.To
}

// turn returns when quiet hours begin (or end) after t: when the wall clock
// shows minute, or passes it as clocks change.
func (l Limits) turn(t time.Time, minute int, quiet bool) time.Time {
	for {
		now := t.Hour()*60 + t.Minute()
		wait := time.Duration((minute-now+24*60)%(24*60)) * time.Minute
		at := t.Add(wait - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
		_, change := t.ZoneBounds()
		if change.IsZero() || at.Before(change) {
			return at
		}
		if t = change; l.quiet(t) == quiet {
			return t
		}
	}
}

// limited is a cap, and whose word it is.
type limited struct {
	playbook.Cap
	by string
}

func (c limited) String() string { return fmt.Sprintf("%s: %d per %s", c.by, c.N, name(c.Per)) }

// caps are the playbook's, and the customer's own.
func (l Limits) caps() []limited {
	all := make([]limited, 0, 4)
	for _, c := range l.Of.AtMost {
		all = append(all, limited{c, "cap"})
	}
	switch l.Chosen.Frequency {
	case profile.Weekly:
		all = append(all, limited{playbook.Cap{N: 1, Per: playbook.Week}, "chosen"})
	case profile.Monthly:
		all = append(all, limited{playbook.Cap{N: 1, Per: playbook.Month}, "chosen"})
	}
	return all
}

// full returns the one of caps that leaves no mail for the period that t lies in.
func (l Limits) full(caps []limited, t time.Time) (limited, bool) {
	for _, c := range caps {
		n := 0
		for _, m := range l.Mails {
			if same(c.Per, time.UnixMilli(m.At).In(l.Zone), t) {
				n++
			}
		}
		if n >= c.N {
			return c, true
		}
	}
	return limited{}, false
}

func name(p playbook.Period) string {
	return [...]string{playbook.Day: "day", playbook.Week: "week", playbook.Month: "month"}[p]
}

func same(p playbook.Period, a, b time.Time) bool { return first(p, a).Equal(first(p, b)) }

// next is when the period after t's begins.
func next(p playbook.Period, t time.Time) time.Time {
	f := first(p, t)
	switch p {
	case playbook.Week:
		f = f.AddDate(0, 0, 7)
	case playbook.Month:
		f = f.AddDate(0, 1, 0)
	default:
		f = f.AddDate(0, 0, 1)
	}
	return dayStart(f.Year(), f.Month(), f.Day(), t.Location())
}

// first is the first day of t's period, as a date without a zone.
func first(p playbook.Period, t time.Time) time.Time {
	y, m, d := t.Date()
	switch p {
	case playbook.Week:
		d -= (int(t.Weekday()) + 6) % 7
	case playbook.Month:
		d = 1
	}
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// dayStart is the first instant of a local day, which is not always midnight:
// clocks have been changed at midnight, too.
func dayStart(y int, m time.Month, d int, zone *time.Location) time.Time {
	t := time.Date(y, m, d, 12, 0, 0, 0, zone)
	for {
		midnight := t.Add(-time.Duration(t.Hour())*time.Hour - time.Duration(t.Minute())*time.Minute -
			time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
		change, _ := t.ZoneBounds()
		if change.IsZero() || midnight.After(change) {
			return midnight
		}
		before := change.Add(-time.Nanosecond)
		if before.Day() != d {
			return change
		}
		t = before
	}
}
