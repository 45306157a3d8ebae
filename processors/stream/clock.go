package stream

import (
	"sync"
	"time"
)

// Clock is the time of a run. It decides nothing about a customer (record
// times do): it says when to append a tick, try a mail again or give one up.
type Clock interface {
	Now() time.Time
	// At returns a channel that is closed once it is t or later. stop forgets it.
	At(t time.Time) (reached <-chan struct{}, stop func())
}

// RealClock is the machine's clock.
type RealClock struct{}

// Now is time.Now.
func (RealClock) Now() time.Time { return time.Now() }

// At closes the channel from a timer of the runtime.
func (RealClock) At(t time.Time) (<-chan struct{}, func()) {
	reached := make(chan struct{})
	timer := time.AfterFunc(time.Until(t), func() { close(reached) })
	return reached, func() { timer.Stop() }
}

// VirtualClock is one clock for all stations of an accelerated run. It stands
// still until its driver moves it: when the present instant is quiet, to the
// next one that somebody waits for.
type VirtualClock struct {
	mu    sync.Mutex
	now   time.Time
	waits map[*wait]struct{}
}

type wait struct {
	at      time.Time
	reached chan struct{}
}

// NewVirtualClock starts at t.
func NewVirtualClock(t time.Time) *VirtualClock {
	return &VirtualClock{now: t, waits: map[*wait]struct{}{}}
}

// Now is the instant that the driver last moved to.
func (c *VirtualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// At registers somebody who waits for t.
func (c *VirtualClock) At(t time.Time) (<-chan struct{}, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &wait{at: t, reached: make(chan struct{})}
	if !t.After(c.now) {
		close(w.reached)
		return w.reached, func() {}
	}
	c.waits[w] = struct{}{}
	return w.reached, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waits, w)
	}
}

// Next returns the earliest instant that somebody waits for.
func (c *VirtualClock) Next() (at time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.waits {
		if !ok || w.at.Before(at) {
			at, ok = w.at, true
		}
	}
	return at, ok
}

// MoveTo moves the clock to t, never back, and wakes whoever waited for it.
func (c *VirtualClock) MoveTo(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.Before(c.now) {
		return
	}
	c.now = t
	for w := range c.waits {
		if !w.at.After(t) {
			close(w.reached)
			delete(c.waits, w)
		}
	}
}
