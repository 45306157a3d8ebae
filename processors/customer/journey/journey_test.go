package journey

import (
	"fmt"
	"testing"

	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

const now = int64(1_768_212_000_000)

// anytime is limits that allow everything, or from an instant on.
type anytime struct{ from int64 }

func (a anytime) Free(at int64) (int64, string) {
	if at < a.from {
		return a.from, "quiet hours"
	}
	return at, ""
}
func (anytime) End(int64) int64 { return 0 }

const steps = "[{after: 1h, send: a}, {after: 24h, send: b}, {after: 24h, send: a}]"

func parsed(t *testing.T, journeys string) *playbook.Playbook {
	t.Helper()
	pb, err := playbook.Parse("p.yaml", []byte("store: {name: S, url: https://s.example, currency: GBP, time_zone: UTC}\n"+
		"brand: {from: S <a@s.example>, address: Here}\njourneys:\n"+journeys+
		"messages:\n  a: {subjects: [A], body: m.html}\n  b: {subjects: [B1, B2], body: m.html}\n"), map[string][]byte{"m.html": []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	return pb
}

// book is of somebody who may be mailed, with one cart and its journey begun.
func book(t *testing.T) *Book {
	b := &Book{Playbook: parsed(t, "  cart: {start: cart.abandoned, steps: "+steps+"}\n"), Now: now, Salt: "salt",
		Limits: anytime{},
		Profile: &profile.Profile{Customer: "ada", Email: "ada@example.com", Consent: profile.Subscribed,
			Carts: []profile.Cart{{ID: "c", StartedAt: now, ChangedAt: now, Items: []profile.Item{{Product: "mug", Quantity: 1}}}}}}
	b.CartChanged(now, false)
	return b
}

// at moves the book to an instant and decides what is due.
func (b *Book) at(t *testing.T, at int64, want ...string) {
	t.Helper()
	b.Now, b.Decisions = at, nil
	b.Due()
	b.told(t, want...)
}

func (b *Book) told(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, d := range b.Decisions {
		got = append(got, fmt.Sprintf("%s %d: %s", [...]string{"send", "cancel", "hold", "skip"}[d.Kind], d.Step, d.Reason))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("at %+d: decided %q, want %q", b.Now-now, got, want)
	}
}

func (b *Book) reported(at int64, kind schemas.Outcome_Kind) {
	b.Now, b.Decisions = at, nil
	b.Reported(&schemas.Outcome{Kind: kind, DeliveryId: b.Profile.Runs[0].Delivery})
}

func TestSteps(t *testing.T) {
	b := book(t)
	if b.Next() != now+hour {
		t.Errorf("Next = %+d, want an hour", b.Next()-now)
	}
	b.at(t, now+hour, "send 1: journey cart, step 1")
	b.reported(now+hour, schemas.Outcome_SENT)
	b.at(t, now+25*hour, "send 2: journey cart, step 2")
	b.reported(now+25*hour, schemas.Outcome_FAILED)
	if len(b.Profile.Mails) != 1 {
		t.Errorf("%d mails count against the caps, want 1: the other failed", len(b.Profile.Mails))
	}
	b.at(t, now+49*hour, "send 3: journey cart, step 3")
	b.reported(now+49*hour, schemas.Outcome_IN_DOUBT)
	if len(b.Profile.Runs) != 0 || len(b.Profile.Mails) != 2 || b.Next() != 0 {
		t.Errorf("at the end: runs %+v, mails %+v", b.Profile.Runs, b.Profile.Mails)
	}
	if b.CartChanged(now, false); len(b.Profile.Runs) != 0 {
		t.Error("the journey began again for the same cart")
	}
}

// A step whose delivery has no outcome when the next is due is taken back.
func TestNobodyGetsTwoAtOnce(t *testing.T) {
	b := book(t)
	b.at(t, now+hour, "send 1: journey cart, step 1")
	b.at(t, now+25*hour, "cancel 1: step 2 is due", "send 2: journey cart, step 2")
}

func TestHeldAtMostADay(t *testing.T) {
	b := book(t)
	b.Limits = anytime{now + 25*hour - 1}
	b.at(t, now+hour, "hold 1: quiet hours")
	if b.Next() != now+25*hour-1 {
		t.Errorf("Next = %+d, want when the hold ends", b.Next()-now)
	}
	b.at(t, now+25*hour-1, "send 1: journey cart, step 1")
	if d := b.Decisions[0]; d.Due != now+25*hour-1 || d.GiveUp <= d.Due {
		t.Errorf("due at %+d, want when the hold ended", d.Due-now)
	}
	b.Limits = anytime{}
	b.at(t, now+25*hour, "cancel 1: step 2 is due", "send 2: journey cart, step 2") // the hold shifted nothing

	b = book(t)
	b.Limits = anytime{now + 25*hour}
	b.at(t, now+hour, "skip 1: too late after quiet hours") // not before the next step

	b = book(t)
	b.Profile.Runs[0].Step, b.Profile.Runs[0].Due = 2, now
	b.Limits = anytime{now + WorthFor + 1}
	b.at(t, now, "skip 3: too late after quiet hours") // more than a day
}

func TestStale(t *testing.T) {
	b := book(t)
	b.at(t, now+hour, "send 1: journey cart, step 1")
	first := b.Decisions[0].Delivery
	b.reported(now+3*hour, schemas.Outcome_STALE)
	b.at(t, now+3*hour, "send 1: journey cart, step 1")
	if second := b.Decisions[0]; second.Delivery == first || second.Due != now+3*hour || len(b.Profile.Mails) != 1 {
		t.Errorf("decided again: %+v with mails %+v; the first was %s", second, b.Profile.Mails, first)
	}
	b.reported(now+3*hour, schemas.Outcome_STALE)
	b.told(t, "skip 1: missed")
	b.at(t, now+25*hour, "send 2: journey cart, step 2") // where it would have been anyway

	// Once the next step has come up, the one before it is missed.
	b = book(t)
	b.at(t, now+hour, "send 1: journey cart, step 1")
	b.reported(now+25*hour, schemas.Outcome_STALE)
	b.told(t, "skip 1: missed")

	// What was stale can be held, too, and stays the second try.
	b = book(t)
	b.at(t, now+hour, "send 1: journey cart, step 1")
	b.reported(now+3*hour, schemas.Outcome_STALE)
	b.Limits = anytime{now + 5*hour}
	b.at(t, now+3*hour, "hold 1: quiet hours")
	b.at(t, now+5*hour, "send 1: journey cart, step 1")
	b.reported(now+5*hour, schemas.Outcome_STALE)
	b.told(t, "skip 1: missed")
}

func TestAnOutcomeIsNotWaitedForForEver(t *testing.T) {
	b := book(t)
	b.Profile.Runs[0].Step, b.Profile.Runs[0].Due = 2, now
	b.at(t, now, "send 3: journey cart, step 3")
	if want := now + patience; b.Next() != want {
		t.Errorf("Next = %+d, want %+d", b.Next()-now, want-now)
	}
	b.at(t, b.Next())
	if len(b.Profile.Runs) != 0 {
		t.Errorf("still waiting: %+v", b.Profile.Runs)
	}
}

func TestPlaybookComesInForce(t *testing.T) {
	b := book(t)
	b.at(t, now+hour, "send 1: journey cart, step 1")
	b.Decisions = nil
	b.Playbook = parsed(t, "  cart: {start: cart.abandoned, steps: [{after: 1h, send: a}]}\n")
	b.InForce()
	if r := b.Profile.Runs[0]; r.Due != 0 || r.Delivery == "" {
		t.Errorf("a journey that lost its later steps: %+v", r)
	}
	b.Playbook = parsed(t, "  other: {start: cart.abandoned, steps: "+steps+"}\n")
	b.InForce()
	b.told(t, "cancel 1: no longer in the playbook")

	// A shorter wait that is over already counts from now.
	b = book(t)
	b.Playbook = parsed(t, "  cart: {start: cart.abandoned, steps: [{after: 1h, send: a}, {after: 2h, send: a}]}\n")
	b.Profile.Runs[0].HeldTo = now + 9*hour
	b.at(t, now+9*hour, "send 1: journey cart, step 1")
	if b.Next() != now+11*hour {
		t.Errorf("Next = %+d, want two hours from now", b.Next()-now)
	}
}

func TestBounds(t *testing.T) {
	b := book(t)
	b.Playbook = parsed(t, `  quiz: {start: happened("Quiz"), steps: [{after: 1h, send: a}]}`+"\n")
	b.Profile.Runs = nil
	for i := range int64(2 * profile.MaxRuns) {
		b.Happened("Quiz", now+i)
		b.Happened("Quiz", now+i)
	}
	if len(b.Profile.Runs) != profile.MaxRuns {
		t.Errorf("%d runs, want at most %d", len(b.Profile.Runs), profile.MaxRuns)
	}
	for i := range int64(2 * profile.MaxMails) {
		b.Now = now + i
		b.reserve(fmt.Sprint(i))
	}
	if len(b.Profile.Mails) != profile.MaxMails {
		t.Errorf("%d mails remembered, want %d", len(b.Profile.Mails), profile.MaxMails)
	}
	b.Now = now + 60*24*hour
	if b.reserve("x"); len(b.Profile.Mails) != 1 {
		t.Errorf("%d mails remembered two months later, want 1", len(b.Profile.Mails))
	}
}
