package sender

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"segue/processors/sender/inbox"
	"segue/schemas"
)

// TestFallbackTakesOver: the first relay is away, and when it is back gets its
// mails again.
func TestFallbackTakesOver(t *testing.T) {
	r := newRig(t, inbox.Config{})
	preferred := &post{}
	there := preferred.open(t, "none").relay.Addr
	var back atomic.Bool
	r.change = func(c *Config) {
		c.SMTP.Fallback = []Relay{{Addr: c.SMTP.Addr}}
		c.SMTP.Addr = there
		c.SMTP.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == there && !back.Load() {
				return nil, errors.New("no route")
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	}
	s := r.start()
	send := func(n int) {
		t.Helper()
		id := fmt.Sprint("d", n)
		r.send(r.delivery(id))
		for _, o := range r.outcomes(n) {
			if o.GetKind() != schemas.Outcome_SENT {
				t.Fatalf("outcome: got %v, want sent", o)
			}
		}
		r.quiet(s)
	}
	send(1)
	if n := r.inbox.Count(); n != 1 || s.gate.closed(r.clock.Now()) {
		t.Errorf("mails at the fallback: got %d, want 1, and no pause", n)
	}
	back.Store(true)
	send(2)
	if n := preferred.taken.Load(); n != 0 {
		t.Errorf("mails at the relay that rests: got %d, want none", n)
	}
	r.clock.MoveTo(r.clock.Now().Add(firstPause))
	send(3)
	send(4)
	if n := preferred.taken.Load(); n != 2 || r.inbox.Count() != 2 {
		t.Errorf("mails at the relay that is back: got %d and %d at the fallback, want 2 and 2", n, r.inbox.Count())
	}
}

// TestRelays: whoever works is tried before whoever rests, in order of
// preference; one mail at a time tries a relay whose rest is over; and a relay
// that answers is the first again.
func TestRelays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "relays")
		r, now := newRelays(n), epoch
		works := make([]bool, n)
		for range rapid.IntRange(1, 60).Draw(t, "mails") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90_000).Draw(t, "ms")) * time.Millisecond)
			i := rapid.IntRange(0, n-1).Draw(t, "relay")
			works[i] = rapid.Bool().Draw(t, "works")
			before := slices.Clone(r.rests)
			order := r.order(now)
			if sorted := slices.Sorted(slices.Values(order)); fmt.Sprint(sorted) != fmt.Sprint(every(n)) {
				t.Fatalf("order = %v, want each of %d relays once", order, n)
			}
			rests := func(i int) bool { return now.Before(before[i].until) }
			for a := range order[:n-1] {
				x, y := order[a], order[a+1]
				if rests(x) && !rests(y) || rests(x) == rests(y) && x > y {
					t.Fatalf("order = %v, with rests %v at %v", order, before, now)
				}
			}
			again := r.order(now)
			for i := range n {
				if before[i].failures > 0 && !rests(i) && !now.Before(r.rests[i].until) {
					t.Fatalf("relay %d is tried by a second mail: order = %v", i, again)
				}
				if rest := r.rests[i].until.Sub(now); rest > longPause {
					t.Fatalf("relay %d rests for %v, want at most %v", i, rest, longPause)
				}
			}
			for _, i := range order {
				if works[i] {
					r.reached(i)
					if r.lost(i) {
						t.Fatalf("relay %d answered, and is held for away", i)
					}
					break
				}
				r.away(i, now)
				if !now.Before(r.rests[i].until) {
					t.Fatalf("relay %d could not be reached, and does not rest", i)
				}
			}
		}
	})
}

func every(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}
