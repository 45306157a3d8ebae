package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"segue/schemas"
	"segue/schemas/playbook"
)

// A cart's day, as the topics tell it; the three come in any order.
func TestTallyOfADay(t *testing.T) {
	day := time.Date(2011, time.June, 1, 0, 0, 0, 0, time.UTC)
	at := func(hour int) int64 { return day.Add(time.Duration(hour) * time.Hour).UnixMilli() }
	outcome := func(kind schemas.Outcome_Kind, reason string) *schemas.Event {
		return &schemas.Event{Customer: "ada", Body: &schemas.Event_Outcome{Outcome: &schemas.Outcome{Kind: kind, DeliveryId: "d1", Reason: reason}}}
	}
	engaged := func(kind schemas.Engagement_Kind) *schemas.Event {
		return &schemas.Event{Customer: "ada", Body: &schemas.Event_Engagement{Engagement: &schemas.Engagement{Kind: kind, DeliveryId: "d1"}}}
	}
	command := &schemas.DeliveryCommand{Command: &schemas.DeliveryCommand_Send{Send: &schemas.Delivery{
		Id: "d1", Customer: "ada", Journey: "cart", Step: 1, To: "ada@mail.example", Subject: "Your {{ cart }}", Reason: "journey cart, step 1",
		ContextJson: []byte(`{"cart": {"items": [{"name": "Mug"}, {"name": "Bowl"}], "value": "£31.20"}}`),
	}}}
	events := []struct {
		hour int
		e    *schemas.Event
	}{
		{8, &schemas.Event{Customer: "ada", Body: &schemas.Event_Identify{Identify: &schemas.Identify{}}}},
		{9, outcome(schemas.Outcome_HELD, "quiet hours")},
		{10, outcome(schemas.Outcome_SENT, "")},
		{11, engaged(schemas.Engagement_OPENED)},
		{11, engaged(schemas.Engagement_OPENED)},
		{12, engaged(schemas.Engagement_CLICKED)},
		{12, &schemas.Event{Body: &schemas.Event_Tick{Tick: &schemas.Tick{}}}},
		{13, &schemas.Event{Customer: "ada", Body: &schemas.Event_Order{Order: &schemas.Order{TotalMicros: 1_250_500_000}}}},
		{14, &schemas.Event{Customer: "ada", Body: &schemas.Event_Order{Order: &schemas.Order{TotalMicros: 9_000_000}}}},
	}
	for _, commandFirst := range []bool{true, false} {
		tally := newTally(time.UTC, slices.DeleteFunc(shipped(t).Segments, func(s playbook.Segment) bool { return s.Name != "returning" && s.Name != "cart-open" }))
		tally.subject("d1", "Your mug")
		if commandFirst {
			tally.command(command)
		}
		for _, x := range events {
			tally.event(at(x.hour), x.e)
		}
		if !commandFirst {
			tally.command(command)
		}
		tally.change(&schemas.SegmentChange{Customer: "ada", Segment: "cart-open", Entered: true, At: schemas.Timestamp(at(8)), Reasons: []string{"carts open: 1, at least 1"}})
		tally.change(&schemas.SegmentChange{Customer: "ada", Segment: "cart-open", Entered: false})

		var s scene
		tally.fill(&s)
		news := tally.happened()
		if want := (mailCounts{Sent: 1, Opened: 1, Clicked: 1, Held: 1, Recovered: 1, RecoveredMicros: 1_250_500_000}); s.Counts != want {
			t.Errorf("counts: got %+v, want %+v", s.Counts, want)
		}
		if s.Events != 8 || s.Shoppers != 1 {
			t.Errorf("got %d events of %d shoppers, want 8 of 1", s.Events, s.Shoppers)
		}
		if want := []headcount{{"cart-open", "Something lies in the basket", 0}, {"returning", "Has ordered more than once", 0}}; !slices.Equal(s.Segments, want) {
			t.Errorf("segments: got %v, want %v", s.Segments, want)
		}
		if want := (shownMail{day.Add(10 * time.Hour), "ada@mail.example", "Your mug", "journey cart, step 1: £31.20 left, Mug and 1 more"}); len(s.Mails) != 1 || s.Mails[0] != want {
			t.Errorf("mails: got %v, want %v", s.Mails, want)
		}
		for _, want := range []string{
			"2011-06-01 08:00  ada is the first in segment cart-open: carts open: 1, at least 1",
			"2011-06-01 09:00  ada gets no mail yet: quiet hours",
			`2011-06-01 10:00  mail to ada@mail.example: "Your mug", for journey cart, step 1: £31.20 left, Mug and 1 more`,
			"2011-06-01 11:00  ada opens a mail",
			"2011-06-01 13:00  ada comes back through a mail and orders for £1,250",
		} {
			if !slices.Contains(news, want) {
				t.Errorf("news: got %q, want %q among them", news, want)
			}
		}
		if len(tally.letters) > 0 {
			t.Errorf("letters on their way: got %d, want none", len(tally.letters))
		}
	}
}

// Output that is no terminal gets lines, and no control characters.
func TestShowLines(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var out bytes.Buffer
	showDemo(ctx, &out, func() (*scene, []string) {
		defer cancel()
		return midyear(t), []string{"2011-03-23 14:05  ada opens a mail"}
	})
	if !strings.HasPrefix(out.String(), "2011-03-23 14:05  ada opens a mail\n") || strings.Contains(out.String(), "\x1b") {
		t.Errorf("got %q, want a plain line", out.String())
	}
	want := "2011-03-23 14:05  31 %, 6.2 days a second, 1,204 events/s; mails: 412 sent, 201 opened, 90 clicked, 120 held, 302 skipped; carts recovered: 41"
	if got := midyear(t).line(); got != want {
		t.Errorf("line:\n got %s\nwant %s", got, want)
	}
}
