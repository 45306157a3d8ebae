package sender

import (
	"sync/atomic"
	"testing"
	"time"

	"segue/processors/sender/inbox"
	"segue/schemas"
)

// says writes what a person, or the breaker, said of a journey.
func (r *rig) says(p *schemas.Pause) {
	r.t.Helper()
	p.At = schemas.Timestamp(r.clock.Now().UnixMilli())
	r.Produce(PauseRecord(schemas.Pauses, p))
}

func (r *rig) pause(journey string) {
	r.t.Helper()
	r.says(&schemas.Pause{Journey: journey, Reason: "wrong prices", By: "ann"})
}

func (r *rig) resume(journey string) {
	r.t.Helper()
	r.says(&schemas.Pause{Journey: journey, Resumed: true, By: "ann"})
}

func ofJourney(name string) func(*schemas.Delivery) {
	return func(d *schemas.Delivery) { d.Journey = name }
}

func TestPausedMailsWait(t *testing.T) {
	r := newRig(t, inbox.Config{})
	two := func(c *Config) { c.Instance = "two" }
	one, other := r.start(), r.start(two)
	r.quiet(one, other)
	r.pause("cart")
	for _, id := range []string{"c1", "c2", "c3", "c4"} {
		r.send(r.delivery(id))
		r.send(r.delivery("b"+id, ofJourney("birthday")))
	}
	for range 2 { // it holds for all senders, and for those that come after them
		for _, o := range r.outcomes(4) {
			if o.GetKind() != schemas.Outcome_SENT || o.GetJourney() != "birthday" {
				t.Errorf("outcome: got %v, want birthday's sent", o)
			}
		}
		r.quiet(one, other)
		one.end()
		other.end()
		one, other = r.start(), r.start(two)
	}
	r.resume("cart")
	for _, o := range r.outcomes(8) {
		if o.GetKind() != schemas.Outcome_SENT {
			t.Errorf("outcome: got %v, want sent", o)
		}
	}
	if n := r.inbox.Count(); n != 8 {
		t.Errorf("mails: got %d, want 8", n)
	}
}

// A pause of all journeys is one of its own: it ends alone.
func TestPauseOfAllJourneys(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.pause(EveryJourney)
	r.pause("cart")
	stopped := r.delivery("stopped")
	r.send(stopped)
	r.send(r.delivery("c1"))
	r.send(r.delivery("b1", ofJourney("birthday")))
	s := r.start()
	r.quiet(s)
	r.cancel(stopped, "ordered") // who waits can be called back
	r.only(schemas.Outcome_CANCELLED)
	r.resume(EveryJourney)
	if o := r.outcomes(2)[1]; o.GetDeliveryId() != "b1" || o.GetKind() != schemas.Outcome_SENT {
		t.Errorf("outcome: got %v, want b1 sent", o)
	}
	r.quiet(s)
	if got := mailsTo(r.inbox); len(got) != 1 {
		t.Errorf("mails: got %v, want b1's alone", got)
	}
}

func TestPausedUntilItIsTooLate(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.pause("cart")
	r.send(r.delivery("d1", func(d *schemas.Delivery) { d.GiveUpAt = schemas.Timestamp(epoch.Add(time.Hour).UnixMilli()) }))
	s := r.start()
	r.quiet(s)
	r.clock.MoveTo(epoch.Add(time.Hour - time.Millisecond))
	r.quiet(s)
	if got := r.readAll(schemas.Events); len(got) != 0 {
		t.Fatalf("before its time is over: got %d outcomes, want none", len(got))
	}
	r.clock.MoveTo(epoch.Add(time.Hour))
	if o := r.only(schemas.Outcome_FAILED); o.GetReason() != "paused until its time was over: wrong prices" {
		t.Errorf("reason: got %q", o.GetReason())
	}
}

// A pause that is said while a mail is noted still holds it back.
func TestPauseBetweenNoteAndHandOver(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.send(r.delivery("d1"))
	var s *running
	started := make(chan struct{})
	r.change = func(c *Config) {
		c.Hook = func(step string) error {
			if <-started; step == "noted" {
				r.pause("cart")
				for p, news, _ := s.brake.now(); p.of("cart") == nil; p, news, _ = s.brake.now() {
					<-news
				}
			}
			return nil
		}
	}
	s = r.start()
	close(started)
	r.quiet(s)
	if n := r.inbox.Count(); n != 0 {
		t.Fatalf("mails: got %d, want none", n)
	}
	s.end()
	r.change = func(*Config) {}
	r.resume("cart")
	r.start()
	r.only(schemas.Outcome_SENT) // the note was taken back: nothing is in doubt
}

// What nobody can read may have been a pause.
func TestUnreadablePauseStopsAll(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.produce(schemas.Pauses, "cart", []byte("\xff\xff"))
	r.send(r.delivery("d1"))
	var sessions atomic.Int32
	begun := make(chan struct{})
	r.change = func(c *Config) {
		c.Hook = func(step string) error {
			if step == "fenced" && sessions.Add(1) == 2*partitions {
				close(begun)
			}
			return nil
		}
	}
	r.start()
	<-begun // again, after sessions that ended over it
	if n := r.inbox.Count(); n != 0 {
		t.Errorf("mails: got %d, want none", n)
	}
	r.resume("cart")
	r.only(schemas.Outcome_SENT)
}

func TestPausesOf(t *testing.T) {
	all, cart := &schemas.Pause{Reason: "all"}, &schemas.Pause{Reason: "cart"}
	for _, test := range []struct {
		p       pauses
		journey string
		want    *schemas.Pause
	}{
		{nil, "cart", nil}, {pauses{"cart": cart}, "cart", cart}, {pauses{"cart": cart}, "carts", nil},
		{pauses{EveryJourney: all}, "cart", all}, {pauses{EveryJourney: all, "cart": cart}, "cart", all}, {pauses{EveryJourney: all}, "", all},
	} {
		if got := test.p.of(test.journey); got != test.want {
			t.Errorf("of(%q) in %v: got %v, want %v", test.journey, test.p, got, test.want)
		}
	}
}
