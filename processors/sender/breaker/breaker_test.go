package breaker

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"segue/schemas"
)

var gmail = Bounds{Complaints: 0.003, Bounces: 0.05, Window: 24 * time.Hour, Of: 1000}

func nobody(string) bool { return false }

// A journey to an old list: its mails come back, and it is stopped; the others
// are not. Resumed, it begins anew.
func TestOneBadJourney(t *testing.T) {
	c, at := New(nil), int64(1000*hour)
	take := func(n int, kind schemas.Outcome_Kind, journey string) {
		for range n {
			c.Take(at, &schemas.Outcome{Kind: kind, Journey: journey})
		}
	}
	want := func(what string, want ...Trip) {
		t.Helper()
		if got := c.Trips(gmail, nobody); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	take(2000, schemas.Outcome_SENT, "cart")
	take(400, schemas.Outcome_SENT, "win-back")
	take(50, schemas.Outcome_BOUNCED, "win-back")
	take(3, schemas.Outcome_COMPLAINED, "win-back")
	want("at the bounds")
	at += 23 * hour
	take(1, schemas.Outcome_BOUNCED, "win-back")
	want("one bounce more", Trip{"win-back", "51 bounces of 400 (counted as 1000) mails in 24h: 5.1%, over the bound of 5%"})
	take(1, schemas.Outcome_COMPLAINED, "win-back")
	want("one complaint more", Trip{"win-back", "4 complaints of 400 (counted as 1000) mails in 24h: 0.4%, over the bound of 0.3%"})
	if got := c.Trips(gmail, func(j string) bool { return j == "win-back" }); got != nil {
		t.Errorf("paused: got %v, want nothing more", got)
	}
	take(3, schemas.Outcome_COMPLAINED, "")
	take(4, schemas.Outcome_COMPLAINED, "cart")
	if got, want := c.Trips(gmail, func(j string) bool { return j == "win-back" }), []Trip{{"", "7 complaints of 2000 mails in 24h: 0.35%, over the bound of 0.3%"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("all the others: got %v, want %v", got, want)
	}
	if !c.Resumed("win-back", at+1) || c.Resumed("win-back", at+1) {
		t.Error("Resumed: want it to be news once")
	}
	if !c.Resumed("", at+1) {
		t.Error("Resumed all: want news")
	}
	want("resumed")
	at += 2
	take(4, schemas.Outcome_COMPLAINED, "win-back")
	want("it goes on", Trip{"win-back", "4 complaints of 0 (counted as 1000) mails in 24h: 0.4%, over the bound of 0.3%"})
	at += 24 * hour
	take(1, schemas.Outcome_SENT, "cart")
	want("a day later")
}

func TestWhatCounts(t *testing.T) {
	for _, test := range []struct {
		o    *schemas.Outcome
		want Counts
	}{
		{&schemas.Outcome{Kind: schemas.Outcome_SENT, SmtpReply: "250 accepted"}, Counts{HandedOver: 1}},
		{&schemas.Outcome{Kind: schemas.Outcome_FAILED, SmtpReply: "550 no such user"}, Counts{HandedOver: 1, Bounced: 1}},
		{&schemas.Outcome{Kind: schemas.Outcome_FAILED, SmtpReply: "451 later"}, Counts{}},
		{&schemas.Outcome{Kind: schemas.Outcome_FAILED, SmtpReply: "5"}, Counts{}},
		{&schemas.Outcome{Kind: schemas.Outcome_FAILED}, Counts{}},
		{&schemas.Outcome{Kind: schemas.Outcome_BOUNCED}, Counts{Bounced: 1}},
		{&schemas.Outcome{Kind: schemas.Outcome_BOUNCED, Soft: true}, Counts{}},
		{&schemas.Outcome{Kind: schemas.Outcome_COMPLAINED}, Counts{Complained: 1}},
		{&schemas.Outcome{Kind: schemas.Outcome_IN_DOUBT}, Counts{}},
		{&schemas.Outcome{Kind: schemas.Outcome_SHADOWED}, Counts{}},
		{&schemas.Outcome{Kind: schemas.Outcome_SKIPPED}, Counts{}},
	} {
		c := New(nil)
		test.o.Journey = "cart"
		if counted := c.Take(hour, test.o); c.Within("cart", gmail.Window) != test.want || counted != (test.want != Counts{}) {
			t.Errorf("%v: got %v, %t, want %v", test.o, c.Within("cart", gmail.Window), counted, test.want)
		}
	}
}

// taken is an outcome for a rival that keeps them all.
type taken struct {
	at int64
	o  *schemas.Outcome
}

func drawn(t *rapid.T) (all []taken) {
	kinds := []schemas.Outcome_Kind{schemas.Outcome_SENT, schemas.Outcome_SENT, schemas.Outcome_SENT, schemas.Outcome_BOUNCED, schemas.Outcome_COMPLAINED, schemas.Outcome_HELD}
	for range rapid.IntRange(0, 60).Draw(t, "outcomes") {
		all = append(all, taken{rapid.Int64Range(0, 40*hour).Draw(t, "at"), &schemas.Outcome{
			Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Journey: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "journey")}})
	}
	return all
}

var small = Bounds{Complaints: 0.1, Bounces: 0.25, Window: 5 * time.Hour, Of: 5}

// The counter says what counting all outcomes again would, however they are
// ordered, and wherever it was saved and read back.
func TestCounterAgainstAllOutcomes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawn(t)
		pausedNow := rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "paused")
		paused := func(j string) bool { return j == pausedNow && j != "" }
		now := int64(0)
		for _, x := range all {
			if x.o.GetKind() != schemas.Outcome_HELD {
				now = max(now, x.at/hour)
			}
		}
		count := func(of func(string) bool) (n Counts) {
			for _, x := range all {
				if x.at/hour > now-5 && of(x.o.GetJourney()) {
					switch x.o.GetKind() {
					case schemas.Outcome_SENT:
						n.HandedOver++
					case schemas.Outcome_BOUNCED:
						n.Bounced++
					case schemas.Outcome_COMPLAINED:
						n.Complained++
					}
				}
			}
			return n
		}
		broken := func(n Counts) bool {
			of := max(n.HandedOver, 5)
			return n.Complained*10 > of || n.Bounced*4 > of
		}
		var want []string
		left := map[string]bool{}
		for _, j := range []string{"a", "b", "c"} {
			switch bad := broken(count(func(of string) bool { return of == j })); {
			case paused(j):
			case bad:
				want = append(want, j)
			default:
				left[j] = true
			}
		}
		if broken(count(func(j string) bool { return left[j] })) {
			want = append(want, "")
		}

		c := New(nil)
		for i, x := range rapid.Permutation(all).Draw(t, "order") {
			c.Take(x.at, x.o)
			if rapid.IntRange(0, 9).Draw(t, fmt.Sprint("save", i)) == 0 {
				c = New(c.Save())
			}
		}
		var got []string
		for _, trip := range c.Trips(small, paused) {
			got = append(got, trip.Journey)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("trips: got %q, want %q", got, want)
		}
		if again := New(c.Save()); !proto.Equal(again.Save(), c.Save()) {
			t.Fatalf("saved and read: got %v, want %v", again.Save(), c.Save())
		}
	})
}

// More mails that arrive never stop anything, and more that come back never let
// anything go on.
func TestTripsAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := Counts{rapid.Int64Range(0, 3000).Draw(t, "handed over"), rapid.Int64Range(0, 200).Draw(t, "bounced"), rapid.Int64Range(0, 12).Draw(t, "complained")}
		over := gmail.over(n) != ""
		if better := n.plus(Counts{HandedOver: 1}); !over && gmail.over(better) != "" {
			t.Fatalf("%v is under the bounds, %v over", n, better)
		}
		for _, worse := range []Counts{n.plus(Counts{Bounced: 1}), n.plus(Counts{Complained: 1})} {
			if over && gmail.over(worse) == "" {
				t.Fatalf("%v is over the bounds, %v under", n, worse)
			}
		}
		if n.Complained <= 3 && n.Bounced <= 50 && over {
			t.Fatalf("%v is over the bounds, but is not of a thousand mails", n)
		}
	})
}

func TestBoundsThatBoundNothing(t *testing.T) {
	if err := gmail.Check(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*Bounds){
		func(b *Bounds) { b.Complaints = -0.1 }, func(b *Bounds) { b.Bounces = 1.5 }, func(b *Bounds) { b.Window = 90 * time.Minute },
		func(b *Bounds) { b.Window = 0 }, func(b *Bounds) { b.Of = 0 },
	} {
		b := gmail
		if change(&b); b.Check() == nil {
			t.Errorf("%+v: got no error", b)
		}
	}
}
