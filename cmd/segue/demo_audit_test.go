package main

import (
	"strings"
	"testing"
	"time"

	"segue/benchmarks/storefront"
	"segue/schemas"
	"segue/schemas/playbook"
)

// story is a log in which every promise was kept. at is a London wall clock on
// 1 June 2011, as 2006-01-02 15:04 when another day is meant.
type story struct {
	*audit
	did storefront.Ledger
	t   *testing.T
}

func newStory(t *testing.T) *story {
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	s := &story{t: t, audit: newAudit(&playbook.Playbook{
		Store: playbook.Store{Zone: zone},
		Limits: playbook.Limits{
			Quiet:  &playbook.Quiet{From: 21 * 60, To: 8 * 60},
			AtMost: []playbook.Cap{{N: 1, Per: playbook.Day}, {N: 3, Per: playbook.Week}},
		},
		Journeys: []playbook.Journey{{Name: "cart", Start: playbook.Start{Kind: playbook.CartAbandoned}}},
	}, "storefront")}
	s.says("09:00", "who", &schemas.Event{Body: &schemas.Event_Identify{Identify: &schemas.Identify{TimeZone: "Europe/London"}}})
	s.says("09:01", "cart", added())
	s.delivers("d1", 1)
	s.sends("10:01", "d1", schemas.Outcome_SENT)
	return s
}

func (s *story) time(at string) time.Time {
	if len(at) == len("15:04") {
		at = "2011-06-01 " + at
	}
	t, err := time.ParseInLocation("2006-01-02 15:04", at, s.playbook.Store.Zone)
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

func added() *schemas.Event {
	return &schemas.Event{Body: &schemas.Event_Cart{Cart: &schemas.CartChange{Change: schemas.CartChange_ADDED}}}
}

func bought() *schemas.Event {
	return &schemas.Event{Body: &schemas.Event_Order{Order: &schemas.Order{Products: []*schemas.Product{{Url: "https://shop.example/p/1#1"}}}}}
}

// says posts an event of ada, and puts it into the log.
func (s *story) says(at, id string, e *schemas.Event) {
	e.Id, e.Customer, e.Source = id, "ada", "storefront"
	s.did.Posted++
	s.did.PostedIDs.Add(id)
	if _, ok := e.GetBody().(*schemas.Event_Order); ok {
		s.did.Lines++
	}
	s.event(s.time(at).UnixMilli(), e)
}

func (s *story) delivers(id string, step int32) {
	s.command(&schemas.DeliveryCommand{Command: &schemas.DeliveryCommand_Send{Send: &schemas.Delivery{
		Id: id, Customer: "ada", Journey: "cart", Instance: "c1", Step: step, To: "ada@mail.example",
	}}})
}

// sends puts a mail into the inbox and its outcome into the log.
func (s *story) sends(at, id string, outcome schemas.Outcome_Kind) {
	if outcome == schemas.Outcome_SENT {
		s.mail(s.time(at), id, "ada@mail.example")
	}
	s.event(s.time(at).UnixMilli(), &schemas.Event{Customer: "ada", Source: "sender", Body: &schemas.Event_Outcome{
		Outcome: &schemas.Outcome{Kind: outcome, DeliveryId: id},
	}})
}

func unsubscribe() *schemas.Event {
	return &schemas.Event{Customer: "ada", Source: "mail", Body: &schemas.Event_Subscription{Subscription: &schemas.Subscription{}}}
}

func TestAuditOfWhatWasKept(t *testing.T) {
	s := newStory(t)
	s.says("10:30", "order", bought())
	s.says("2011-06-02 09:00", "again", added())
	s.delivers("d2", 2)
	s.sends("2011-06-02 10:00", "d2", schemas.Outcome_SENT)
	s.delivers("d3", 3)
	s.sends("2011-06-02 10:00", "d3", schemas.Outcome_CANCELLED)
	if got := s.broken(s.did); len(got) > 0 {
		t.Errorf("broken: got %q, want none", got)
	}
}

func TestAuditFinds(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*story)
		want string
	}{
		{"a mail after its purchase", func(s *story) {
			s.says("2011-06-02 09:00", "order", bought())
			s.delivers("d2", 2)
			s.sends("2011-06-02 10:01", "d2", schemas.Outcome_SENT)
		}, "mail d2 to ada@mail.example at 2011-06-02 09:01:00: after its purchase at 2011-06-02 08:00:00"},
		{"a mail to somebody unsubscribed", func(s *story) {
			s.event(s.time("2011-06-02 09:00").UnixMilli(), unsubscribe())
			s.did.Unsubscriptions++
			s.delivers("d2", 2)
			s.sends("2011-06-02 10:01", "d2", schemas.Outcome_SENT)
		}, "mail d2 to ada@mail.example at 2011-06-02 09:01:00: to somebody who unsubscribed at 2011-06-02 08:00:00"},
		{"a mail twice", func(s *story) { s.mail(s.time("2011-06-02 10:01"), "d1", "ada@mail.example") },
			"mail d1 to ada@mail.example at 2011-06-01 09:01:00: sent 2 times"},
		{"a step twice", func(s *story) {
			s.delivers("d2", 1)
			s.sends("2011-06-02 10:01", "d2", schemas.Outcome_SENT)
		}, "mail d2 to ada@mail.example at 2011-06-02 09:01:00: repeats d1: ada, journey cart of c1, step 1"},
		{"a mail in quiet hours", func(s *story) {
			s.delivers("d2", 2)
			s.sends("2011-06-02 21:00", "d2", schemas.Outcome_SENT)
		}, "mail d2 to ada@mail.example at 2011-06-02 20:00:00: in quiet hours: it was 21:00 BST there"},
		{"a mail in quiet hours of another zone", func(s *story) {
			s.says("11:00", "moves", &schemas.Event{Body: &schemas.Event_Identify{Identify: &schemas.Identify{TimeZone: "Australia/Sydney"}}})
			s.delivers("d2", 2)
			s.sends("2011-06-02 13:00", "d2", schemas.Outcome_SENT)
		}, "mail d2 to ada@mail.example at 2011-06-02 12:00:00: in quiet hours: it was 22:00 AEST there"},
		{"two mails on one day", func(s *story) {
			s.delivers("d2", 2)
			s.sends("20:59", "d2", schemas.Outcome_SENT)
		}, "customer ada on 2011-06-01: got 2 mails, want at most 1"},
		{"four mails in one week", func(s *story) {
			for i, day := range []string{"2011-06-02", "2011-06-03", "2011-06-05"} {
				id := "e" + string(rune('0'+i))
				s.delivers(id, int32(2+i))
				s.sends(day+" 12:00", id, schemas.Outcome_SENT)
			}
		}, "customer ada in week 2011-W22: got 4 mails, want at most 3"},
		{"a delivery without outcome", func(s *story) { s.delivers("d2", 2) },
			"delivery d2 to ada@mail.example: got no outcome, want exactly one outcome"},
		{"a delivery with two outcomes", func(s *story) { s.sends("10:02", "d1", schemas.Outcome_IN_DOUBT) },
			"delivery d1 to ada@mail.example: got sent and in-doubt, want exactly one outcome"},
		{"an outcome of nothing", func(s *story) { s.sends("10:02", "d9", schemas.Outcome_FAILED) },
			"delivery d9: outcome failed of what nobody asked for"},
		{"a mail that nobody asked for", func(s *story) { s.mail(s.time("2011-06-02 10:01"), "d9", "ada@mail.example") },
			"mail d9 to ada@mail.example at 2011-06-02 09:01:00: nobody asked for it"},
		{"a mail to another", func(s *story) {
			s.delivers("d2", 2)
			s.sends("2011-06-02 10:01", "d2", schemas.Outcome_SENT)
			s.mails[1].to = "bob@mail.example"
		}, "mail d2 to bob@mail.example at 2011-06-02 09:01:00: went to another than ada@mail.example"},
		{"a mail that was sent but did not come", func(s *story) {
			s.delivers("d2", 2)
			s.sends("2011-06-02 10:01", "d2", schemas.Outcome_SENT)
			s.mails = s.mails[:1]
			delete(s.byMail, "d2")
		}, "delivery d2 to ada@mail.example: sent, but not in the inbox"},
		{"a mail that came but was not sent", func(s *story) {
			s.delivers("d2", 2)
			s.mail(s.time("2011-06-02 10:01"), "d2", "ada@mail.example")
			s.sends("2011-06-02 10:01", "d2", schemas.Outcome_STALE)
		}, "delivery d2 to ada@mail.example: in the inbox, but stale"},
		{"an event that was lost", func(s *story) { s.did.Posted++ },
			"events that the storefront posted: got 2 in the log, want 3"},
		{"an event in place of another", func(s *story) { s.did.PostedIDs.Add("other") },
			"events that the storefront posted: the 2 ids in the log are others"},
		{"an event twice", func(s *story) {
			s.event(s.time("11:00").UnixMilli(), &schemas.Event{Id: "cart", Customer: "ada", Source: "storefront", Body: added().GetBody()})
		}, "events that the storefront posted: got 3 in the log, want 2"},
		{"a line that was lost", func(s *story) { s.did.Lines++ },
			"line 1 of the orders: got it 0 times in the log, want once"},
		{"an open that was lost", func(s *story) { s.did.Opens++ }, "opens: got 0 in the log, want 1 or more"},
		{"a click that was lost", func(s *story) { s.did.Clicks++ }, "clicks: got 0 in the log, want 1 or more"},
		{"an unsubscribe that was lost", func(s *story) { s.did.Unsubscriptions++ }, "unsubscribes: got 0 in the log, want 1 or more"},
		{"a dead letter", func(s *story) { s.deadLetter("ada", "decode event: cut short") },
			"dead letter: ada: decode event: cut short"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStory(t)
			c.do(s)
			if got := strings.Join(s.broken(s.did), "\n"); got != c.want {
				t.Errorf("broken:\n got %s\nwant %s", got, c.want)
			}
		})
	}
}
