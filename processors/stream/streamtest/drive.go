package streamtest

import (
	"time"
)

// Station is what virtual time waits for.
type Station interface {
	// Settled returns the offset of the next record of each partition of the
	// station's input, and false while it has something to do before now.
	Settled(now time.Time) (next map[int32]int64, ok bool)
}

// Clock is moved by Drive.
type Clock interface {
	Now() time.Time
	Next() (at time.Time, ok bool)
	MoveTo(t time.Time)
}

// Drive moves the clock from instant to instant, each time when every station
// has read its input topic to the end and has settled, until nobody waits for
// an instant up to end. It returns how many there were.
func (c *Cluster) Drive(clock Clock, end time.Time, stations map[string]Station) (instants int) {
	c.t.Helper()
	for {
		c.quiet(clock, stations)
		at, ok := clock.Next()
		if !ok || at.After(end) {
			return instants
		}
		instants++
		clock.MoveTo(at)
	}
}

func (c *Cluster) quiet(clock Clock, stations map[string]Station) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if c.settled(clock.Now(), stations) {
			return
		}
	}
	c.t.Fatalf("the stations do not settle at %v", clock.Now())
}

// settled looks at all stations twice: what one puts out another may read.
func (c *Cluster) settled(now time.Time, stations map[string]Station) bool {
	for range min(len(stations), 2) {
		for topic, s := range stations {
			next, ok := s.Settled(now)
			if !ok || behind(next, c.Ends(topic)) {
				return false
			}
		}
	}
	return true
}
