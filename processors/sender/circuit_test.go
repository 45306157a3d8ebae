package sender

import (
	"fmt"
	"testing"
	"time"

	"segue/processors/sender/breaker"
	"segue/processors/sender/inbox"
	"segue/schemas"
)

// returned says that a mail of a journey came back.
func (r *rig) returned(kind schemas.Outcome_Kind, journey string, n int) {
	r.t.Helper()
	for i := range n {
		id := fmt.Sprintf("%s %d of %s", label(kind), i, journey)
		r.produce(schemas.Events, id, schemas.Encode(&schemas.Event{Id: id, Customer: id, Source: "returns",
			Body: &schemas.Event_Outcome{Outcome: &schemas.Outcome{Kind: kind, DeliveryId: id, Journey: journey}}}))
	}
}

// said waits until the topic pauses holds so many records, and returns them.
func (r *rig) said(want int) (all []*schemas.Pause) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(all) < want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("pauses: got %v, want %d", all, want)
		}
		all = nil
		for _, rec := range r.readAll(schemas.Pauses) {
			p := new(schemas.Pause)
			if err := schemas.Decode(rec.Value, p); err != nil {
				r.t.Fatal(err)
			}
			all = append(all, p)
		}
	}
	return all
}

// counted waits until the breaker has written down that it read all events.
func (r *rig) counted() {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		saved := new(schemas.MailCounts)
		for _, rec := range r.readAll(schemas.Returned) {
			if err := schemas.Decode(rec.Value, saved); err != nil {
				r.t.Fatal(err)
			}
		}
		behind := len(saved.GetNext()) == 0
		for p, end := range r.Ends(schemas.Events) {
			behind = behind || saved.GetNext()[p] < end
		}
		if !behind {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the breaker's counts: got %v, want all of %v", saved, r.Ends(schemas.Events))
		}
	}
}

var tenOfHundred = breaker.Bounds{Complaints: 0.02, Bounces: 0.10, Window: 24 * time.Hour, Of: 100}

func TestTooManyBouncesPauseTheJourney(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.change = func(c *Config) { c.Breaker = tenOfHundred }
	two := func(c *Config) { c.Instance = "two" }
	one, other := r.start(), r.start(two)
	r.quiet(one, other)
	r.counted()
	r.returned(schemas.Outcome_BOUNCED, "cart", 10)
	r.returned(schemas.Outcome_COMPLAINED, "birthday", 2)
	r.produce(schemas.Events, "ada", []byte(`{"id":"json","outcome":{"kind":"BOUNCED","journey":"cart"}}`))
	r.produce(schemas.Events, "ada", []byte("\xff\xff"))
	r.returned(schemas.Outcome_BOUNCED, "cart", 1)
	p := r.said(1)[0]
	if want := "11 bounces of 0 (counted as 100) mails in 24h: 11%, over the bound of 10%"; p.GetJourney() != "cart" || !p.GetBreaker() || p.GetReason() != want {
		t.Errorf("pause: got %v, want cart's: %s", p, want)
	}
	for i := range 10 {
		r.send(r.delivery(fmt.Sprint("c", i)))
		r.send(r.delivery(fmt.Sprint("b", i), ofJourney("birthday")))
	}
	r.quiet(one, other)
	if n := r.inbox.Count(); n != 10 {
		t.Errorf("mails: got %d, want birthday's 10", n)
	}

	// Resumed, it goes on, and what came back before no longer counts.
	r.clock.MoveTo(epoch.Add(time.Minute))
	r.resume("cart")
	await(t, func() bool { return r.inbox.Count() == 20 })
	r.returned(schemas.Outcome_BOUNCED, "cart", 11)
	if p := r.said(3)[2]; p.GetJourney() != "cart" || p.GetResumed() {
		t.Errorf("pause: got %v, want cart's again", p)
	}
}

// Whoever takes over counts on where the last one was, and what came meanwhile.
func TestBreakerCountsAcrossOwners(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.change = func(c *Config) { c.Breaker = tenOfHundred }
	first := r.start()
	r.quiet(first)
	r.counted()
	r.returned(schemas.Outcome_COMPLAINED, "cart", 1)
	first.end()
	r.returned(schemas.Outcome_COMPLAINED, "cart", 1)
	second := r.start()
	r.quiet(second)
	r.returned(schemas.Outcome_COMPLAINED, "cart", 1)
	if p := r.said(1)[0]; p.GetReason() != "3 complaints of 0 (counted as 100) mails in 24h: 3%, over the bound of 2%" {
		t.Errorf("pause: got %v, want the three complaints", p)
	}
	second.end()
	r.quiet(r.start())
	if all := r.said(1); len(all) != 1 {
		t.Errorf("pauses: got %v, want one", all)
	}
}

// Journeys that are each within the bounds can be over them together.
func TestAllJourneysTogether(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.change = func(c *Config) { c.Breaker = tenOfHundred }
	s := r.start()
	r.quiet(s)
	r.counted()
	r.returned(schemas.Outcome_COMPLAINED, "cart", 2)
	r.returned(schemas.Outcome_COMPLAINED, "birthday", 2)
	if p := r.said(1)[0]; p.GetJourney() != EveryJourney {
		t.Errorf("pause: got %v, want all journeys'", p)
	}
	r.send(r.delivery("d1"))
	r.quiet(s)
	if n := r.inbox.Count(); n != 0 {
		t.Errorf("mails: got %d, want none", n)
	}
}

func TestWhatTellsAnOutcome(t *testing.T) {
	outcome := schemas.Encode(&schemas.Event{Id: "d1/sent", Customer: "ada", Body: &schemas.Event_Outcome{Outcome: &schemas.Outcome{Kind: schemas.Outcome_SENT}}})
	for value, want := range map[string]bool{
		string(outcome): true, string(outcome[:len(outcome)-1]): false, "": false, "\xff\xff": false, `{"outcome":{}}`: false,
		string(schemas.Encode(&schemas.Event{Id: "1", Customer: "ada", Body: &schemas.Event_View{View: &schemas.View{Category: "mugs"}}})): false,
	} {
		if got := tellsOutcome([]byte(value)); got != want {
			t.Errorf("tellsOutcome(%q): got %t, want %t", value, got, want)
		}
	}
}
