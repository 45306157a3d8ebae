package sender

import (
	"sync"
	"time"
)

const (
	firstPause = time.Second
	longPause  = time.Minute
)

// pauseAfter is how long to wait for a server that could not be reached, after
// so many other failures.
func pauseAfter(failures int) time.Duration {
	return min(firstPause<<min(failures, 16), longPause)
}

// gate bounds what is in hand, and closes while the mail server cannot be
// reached: for longer each time, and then for all but one mail, which finds out.
type gate struct {
	mu       sync.Mutex
	slots    int
	taken    int
	failures int
	until    time.Time
	// changed is closed, and replaced, when more may go out.
	changed chan struct{}
}

func newGate(slots int) *gate {
	return &gate{slots: slots, changed: make(chan struct{})}
}

// free returns how many may go out at now. If that is none: until when the
// server is left alone, if it is, and a channel that is closed when that or the
// number of those in hand changed.
func (g *gate) free(now time.Time) (n int, until time.Time, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Before(g.until) {
		until = g.until
	}
	return g.places(now), until, g.changed
}

// take takes up to want places.
func (g *gate) take(want int, now time.Time) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(g.places(now), want)
	g.taken += n
	return n
}

func (g *gate) places(now time.Time) int {
	switch {
	case now.Before(g.until):
		return 0
	case g.failures > 0:
		return max(1-g.taken, 0)
	}
	return max(g.slots-g.taken, 0)
}

// give returns n places.
func (g *gate) give(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n > 0 {
		g.taken -= n
		g.wake()
	}
}

// reached: the server answered.
func (g *gate) reached() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failures == 0 {
		return
	}
	g.failures, g.until = 0, time.Time{}
	g.wake()
}

// away: the server could not be reached. Mails that set out before it was known
// say nothing new. It returns how long nothing goes out; 0 if that was known.
func (g *gate) away(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Before(g.until) {
		return 0
	}
	pause := pauseAfter(g.failures)
	g.failures++
	g.until = now.Add(pause)
	g.wake()
	return pause
}

func (g *gate) closed(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return now.Before(g.until)
}

// news: something else than places may let more out.
func (g *gate) news() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wake()
}

func (g *gate) wake() {
	close(g.changed)
	g.changed = make(chan struct{})
}
