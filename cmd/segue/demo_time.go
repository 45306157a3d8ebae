package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	"segue/benchmarks/storefront"
	"segue/processors/stream"
)

const (
	// batching is how much of what the shop does is posted at once: less than a
	// mail may be late, and never past an instant that somebody waits for.
	batching = time.Minute
	// afterwards is how long the clock runs on after the last order, so that
	// every journey that it left open ends.
	afterwards = 6 * 24 * time.Hour
	// quietWithin is how long one instant may take; then something is stuck.
	quietWithin = 2 * time.Minute
	// Pauses between two looks at whether all is quiet.
	shortestPause, longestPause = 50 * time.Microsecond, time.Millisecond
)

// metronome drives the one clock of an accelerated run: when the present
// instant is quiet, it moves to the next at which anything happens.
type metronome struct {
	clock *stream.VirtualClock
	shop  *storefront.Storefront
	speed float64 // virtual seconds per real second, at most; 0: no bound
	// ends returns where the logs end that stations read, by station.
	ends func() map[string]map[int32]int64
	// settled returns how far each station has come, and whether it rests.
	settled []settler
	// pending is what the collector has not written yet.
	pending func() int
	// nextWake is when the fold next has something to do by itself. It is asked
	// for, since a loop that looks up from its wait has told the clock nothing.
	nextWake func() (due int64, ok bool)
	// then is done once the clock comes to when: the shop's own people do it.
	when time.Time
	then func(context.Context) error
}

// settler is a station that knows whether it has anything left to do now.
type settler struct {
	name    string
	settled func(now time.Time) (next map[int32]int64, ok bool)
}

// run returns when the shop has ended and its last journeys, too.
func (m *metronome) run(ctx context.Context) error {
	began, from := time.Now(), m.clock.Now()
	for {
		waited, waits, err := m.quiet(ctx)
		if err != nil {
			return err
		}
		next, ok := m.next(waited, waits)
		if !ok {
			return nil
		}
		appointed := m.then != nil && !next.Before(m.when)
		if appointed {
			next = m.when
		}
		if m.speed > 0 {
			due := began.Add(time.Duration(float64(next.Sub(from)) / m.speed))
			select {
			case <-time.After(time.Until(due)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		m.clock.MoveTo(next)
		if err := m.shop.Post(ctx, next); err != nil {
			return err
		}
		if appointed {
			if err := m.then(ctx); err != nil {
				return err
			}
			m.then = nil
		}
	}
}

// next is the next instant; false after the last. waited is the first that a
// station waits for, if one does.
func (m *metronome) next(waited time.Time, waits bool) (time.Time, bool) {
	planned, plans := m.shop.Next()
	end, ended := m.shop.End()
	switch {
	case !plans && ended && (!waits || waited.After(end.Add(afterwards))):
		return time.Time{}, false
	case !plans:
		return waited, waits
	case waits && waited.Before(planned):
		return waited, true
	}
	until := planned.Add(batching)
	if waits && waited.Before(until) {
		until = waited
	}
	return m.shop.LastBefore(until), true
}

// quiet returns when nothing is left to do at the present instant: all that was
// posted is in the log, every station has come to the end of what it reads, and
// that end is still where it was when the first was asked. It returns the next
// instant that a station waits for.
func (m *metronome) quiet(ctx context.Context) (waited time.Time, waits bool, err error) {
	now := m.clock.Now()
	pause := shortestPause
	for began := time.Now(); ; {
		why := m.restless(now)
		if why == "" {
			waited, waits = m.waited()
			return waited, waits, nil
		}
		if time.Since(began) > quietWithin {
			return waited, false, fmt.Errorf("time stands still at %s: %s", now.UTC().Format(time.RFC3339Nano), why)
		}
		select {
		case <-ctx.Done():
			return waited, false, ctx.Err()
		case <-time.After(pause):
			pause = min(pause*5/4, longestPause)
		}
	}
}

// waited is the first instant that a station waits for.
func (m *metronome) waited() (at time.Time, ok bool) {
	at, ok = m.clock.Next()
	if due, wakes := m.nextWake(); wakes {
		if tick := time.UnixMilli(due + 1); !ok || tick.Before(at) {
			return tick, true
		}
	}
	return at, ok
}

// restless says what is not quiet; "" when all is.
func (m *metronome) restless(now time.Time) string {
	if n := m.pending(); n > 0 {
		return fmt.Sprintf("the collector has %d events to write", n)
	}
	before := m.ends()
	for _, s := range m.settled {
		next, ok := s.settled(now)
		if !ok {
			return fmt.Sprintf("%s has things to do; it is at %v of %v", s.name, next, before[s.name])
		}
		if !maps.Equal(next, before[s.name]) {
			return fmt.Sprintf("%s is at %v of %v", s.name, next, before[s.name])
		}
	}
	after := m.ends()
	for name, ends := range before {
		if !maps.Equal(ends, after[name]) {
			return "the log of " + name + " grows"
		}
	}
	return ""
}
