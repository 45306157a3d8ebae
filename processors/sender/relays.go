package sender

import (
	"sync"
	"time"
)

// Relay is a mail server that takes mails for everybody.
type Relay struct {
	Addr           string // host:port
	User, Password string
	// TLS is "tls" from the first byte, "starttls", or "none" ("" is none too).
	TLS string
}

// relays says who is to be tried first. A relay that cannot be reached rests,
// for longer each time, and others take over. When its rest is over one mail
// tries it again; if that reaches it, all go back to it.
type relays struct {
	mu    sync.Mutex
	rests []rest // in order of preference
}

// rest is what is known of one relay.
type rest struct {
	failures int
	until    time.Time
}

func newRelays(n int) *relays { return &relays{rests: make([]rest, n)} }

// order returns all relays, those to be tried first in front: who rests comes
// last, since the gate lets nobody out for whom that would be all there is.
func (r *relays) order(now time.Time) (first []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var resting []int
	for i := range r.rests {
		of := &r.rests[i]
		if now.Before(of.until) {
			resting = append(resting, i)
			continue
		}
		if of.failures > 0 { // this one tries it, and the others see it rest
			of.until = now.Add(pauseAfter(of.failures))
			of.failures++
		}
		first = append(first, i)
	}
	return append(first, resting...)
}

func (r *relays) reached(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rests[i] = rest{}
}

// away: relay i could not be reached. It reports whether that is news, and for
// how long the relay rests. Who set out before it was known says nothing new.
func (r *relays) away(i int, now time.Time) (pause time.Duration, news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := &r.rests[i]
	if of.failures == 0 {
		*of, news = rest{failures: 1, until: now.Add(pauseAfter(0))}, true
	}
	return of.until.Sub(now), news
}

// lost reports whether relay i was not reached when it was last tried.
func (r *relays) lost(i int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rests[i].failures > 0
}
