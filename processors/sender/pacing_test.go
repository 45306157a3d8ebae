package sender

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"segue/processors/sender/inbox"
	"segue/processors/sender/pace"
	"segue/schemas"
)

func to(address string) func(*schemas.Delivery) {
	return func(d *schemas.Delivery) { d.To = address }
}

// arrivals runs the clock from wait to wait, and returns when which domain got
// its mails, in seconds from the beginning.
func (r *rig) arrivals(s *running, mails int) map[string][]int {
	r.t.Helper()
	for r.quiet(s); r.inbox.Count() < mails; r.quiet(s) {
		at, ok := r.clock.Next()
		if !ok {
			r.t.Fatalf("mails: got %d, want %d, and nothing waits", r.inbox.Count(), mails)
		}
		r.clock.MoveTo(at)
	}
	got := map[string][]int{}
	for _, m := range r.inbox.Mails() {
		got[domain(m.To)] = append(got[domain(m.To)], int(m.Received.Sub(epoch).Seconds()))
	}
	for _, all := range got {
		slices.Sort(all)
	}
	return got
}

// TestPaceOfADomain: one domain gets a mail a minute, and nobody else waits for it.
func TestPaceOfADomain(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.change = func(c *Config) {
		c.Pace.Domains = map[string]pace.Limits{"slow.example": {AtOnce: 1, PerMinute: 1}}
	}
	for i := range 3 {
		r.send(r.delivery(fmt.Sprint("s", i), to("a@Slow.example")))
		r.send(r.delivery(fmt.Sprint("f", i)))
	}
	got := r.arrivals(r.start(), 6)
	if fmt.Sprint(got["slow.example"]) != "[0 60 120]" || fmt.Sprint(got["example.com"]) != "[0 0 0]" {
		t.Errorf("arrivals: got %v, want one a minute at slow.example and all at once elsewhere", got)
	}
}

// TestServerAsksForSlower: four refusals halve the pace again and again; what was
// refused goes out when the server is content, and other domains were not slowed.
func TestServerAsksForSlower(t *testing.T) {
	for words, want := range map[string]int{"4.7.28 our system has detected an unusual rate": 1, "4.2.0 Greylisted, come back": 0} {
		var no atomic.Int32
		no.Store(4)
		r := newRig(t, inbox.Config{Recipient: func(to string) error {
			if strings.HasSuffix(to, "slow.example") && no.Add(-1) >= 0 {
				return &smtp.SMTPError{Code: 450, Message: words}
			}
			return nil
		}})
		for i := range 4 {
			r.send(r.delivery(fmt.Sprint("s", i), to("a@slow.example")))
		}
		r.send(r.delivery("f"))
		r.change = func(c *Config) { c.SMTP.Connections = 1 } // one after the other, so that each halves
		s := r.start()
		r.arrivals(s, 1)
		if got := s.pacer.slowed(); got != want {
			t.Errorf("%q: slowed domains: got %d, want %d", words, got, want)
		}
		r.arrivals(s, 5)
		for _, o := range r.outcomes(5) {
			if o.GetKind() != schemas.Outcome_SENT {
				t.Errorf("%q: outcome: got %v, want sent", words, o)
			}
		}
		s.end()
	}
}

func TestWarmUpHoldsMailsBack(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.change = func(c *Config) {
		c.Pace.WarmUps = map[string]pace.WarmUp{"shop.example": {Start: epoch, PerDay: []int{24}}}
	}
	for i := range 3 {
		r.send(r.delivery(fmt.Sprint("d", i)))
	}
	r.send(r.delivery("warm", func(d *schemas.Delivery) { d.From = "hello@warm.example" }))
	got := fmt.Sprint(r.arrivals(r.start(), 4)["example.com"])
	if want := "[0 0 3600 7200]"; got != want {
		t.Errorf("arrivals: got %s, want %s: one an hour, and at once from a domain that is warm", got, want)
	}
}

// TestHeldBackTooLong: who waits for the pace until its time is over has failed,
// and who is cancelled meanwhile is cancelled.
func TestHeldBackTooLong(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.change = func(c *Config) { c.Pace.Default = pace.Limits{AtOnce: 1, PerMinute: 1} }
	patient := func(d *schemas.Delivery) { d.GiveUpAt = schemas.Timestamp(epoch.Add(30 * time.Second).UnixMilli()) }
	r.send(r.delivery("d1"))
	r.send(r.delivery("d2", patient, func(d *schemas.Delivery) { d.Customer = "customer of d1" }))
	d3 := r.delivery("d3", func(d *schemas.Delivery) { d.Customer = "customer of d1" })
	r.send(d3)
	s := r.start()
	r.quiet(s)
	r.cancel(d3, "ordered")
	r.outcomes(2)
	r.quiet(s)
	if at, ok := r.clock.Next(); !ok || !at.Equal(epoch.Add(30*time.Second)) {
		t.Fatalf("next: got %v, %t, want the end of d2's time", at, ok)
	}
	r.clock.MoveTo(epoch.Add(30 * time.Second))
	for _, o := range r.outcomes(3) {
		want := map[string]schemas.Outcome_Kind{"d1": schemas.Outcome_SENT, "d2": schemas.Outcome_FAILED, "d3": schemas.Outcome_CANCELLED}[o.GetDeliveryId()]
		if o.GetKind() != want || want == schemas.Outcome_FAILED && !strings.Contains(o.GetReason(), "pace of its domain") {
			t.Errorf("outcome: got %v, want %v", o, want)
		}
	}
}

func TestWhatAsksForSlower(t *testing.T) {
	said := func(code int) error { return &smtp.SMTPError{Code: code, Message: "said so"} }
	for _, tc := range []struct {
		result result
		err    error
		want   pace.Answer
	}{
		{accepted, nil, pace.Taken}, {refusedNow, said(421), pace.Slower}, {refusedNow, said(450), pace.Slower}, {refusedNow, said(451), pace.Slower},
		{refusedNow, said(452), pace.Neither}, {refused, said(550), pace.Neither}, {unreachable, said(421), pace.Neither},
		{refusedNow, errors.New("connection lost"), pace.Neither}, {unanswered, errors.New("connection lost"), pace.Neither},
	} {
		if got := asked(tc.result, tc.err); got != tc.want {
			t.Errorf("asked(%s, %v) = %d, want %d", tc.result, tc.err, got, tc.want)
		}
	}
	for address, want := range map[string]string{"a@Shop.example": "shop.example", "A <a@shop.example>": "shop.example", "none": "", "": "", `"x@y" <a@shop.example>`: "shop.example"} {
		if got := domain(address); got != want {
			t.Errorf("domain(%q) = %q, want %q", address, got, want)
		}
	}
}

// TestWarmUpOutlivesTheProcess: another one knows what set out today, of all
// partitions, and waits for tomorrow.
func TestWarmUpOutlivesTheProcess(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.change = func(c *Config) {
		c.Pace.WarmUps = map[string]pace.WarmUp{"shop.example": {Start: epoch.Truncate(24 * time.Hour), PerDay: []int{2, 24}}}
	}
	for i := range 12 {
		r.send(r.delivery(fmt.Sprint("d", i), func(d *schemas.Delivery) { d.GiveUpAt = nil }))
	}
	for life := 1; life <= 4; life++ {
		s := r.start()
		r.quiet(s)
		if got, want := r.inbox.Count(), min(life, 2); got != want {
			t.Fatalf("mails after life %d on the same day: got %d, want %d", life, got, want)
		}
		s.end()
	}
	r.clock.MoveTo(epoch.Truncate(24 * time.Hour).Add(24 * time.Hour))
	r.quiet(r.start())
	if got := r.inbox.Count(); got != 3 {
		t.Errorf("mails on the next day: got %d, want 3", got)
	}
}

// TestWarmUpWaitsForEveryPartition: while one of ours is not read, what sets out
// today is not known. What no warm-up limits does not wait, and nobody waits
// beyond its time.
func TestWarmUpWaitsForEveryPartition(t *testing.T) {
	r := newRig(t, inbox.Config{})
	first, held := make(chan struct{}, 1), make(chan struct{})
	r.change = func(c *Config) {
		c.Pace.WarmUps = map[string]pace.WarmUp{"shop.example": {Start: epoch.Truncate(24 * time.Hour), PerDay: []int{24}}}
		c.Hook = func(step string) error {
			if step == "fenced" {
				select {
				case first <- struct{}{}:
				default:
					<-held
				}
			}
			return nil
		}
	}
	for i := range 8 { // of both partitions
		r.send(r.delivery(fmt.Sprint("cold", i), func(d *schemas.Delivery) { d.GiveUpAt = schemas.Timestamp(epoch.Add(time.Hour).UnixMilli()) }))
		r.send(r.delivery(fmt.Sprint("warm", i), func(d *schemas.Delivery) { d.From = "hello@warm.example" }))
	}
	s := r.start()
	release := sync.OnceFunc(func() { close(held) })
	t.Cleanup(release)
	warm := len(r.outcomes(1))
	for _, o := range r.outcomes(warm) {
		if !strings.HasPrefix(o.GetDeliveryId(), "warm") || o.GetKind() != schemas.Outcome_SENT {
			t.Errorf("outcome while a partition is not read: got %v, want warm ones sent", o)
		}
	}
	r.clock.MoveTo(epoch.Add(time.Hour)) // the time is over of those that wait
	for gaveUp := 0; gaveUp == 0; {
		warm++
		for _, o := range r.outcomes(warm) {
			if o.GetKind() == schemas.Outcome_FAILED {
				gaveUp++
			} else if !strings.HasPrefix(o.GetDeliveryId(), "warm") {
				t.Fatalf("outcome while a partition is not read: got %v, want none sent", o)
			}
		}
	}
	release()
	r.quiet(s)
	if got := len(r.outcomes(16)); got != 16 {
		t.Errorf("outcomes: got %d, want 16", got)
	}
}

// TestWarmUpWithoutAPartitionThatLeft: one that went to another process, before it
// was read here, holds nothing up.
func TestWarmUpWithoutAPartitionThatLeft(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.change = func(c *Config) {
		c.Pace.WarmUps = map[string]pace.WarmUp{"shop.example": {Start: epoch.Truncate(24 * time.Hour), PerDay: []int{24 * 100}}}
	}
	s := r.start()
	r.quiet(s)
	left := &owner{Station: s.Station, partition: partitions, done: make(chan struct{}), cancel: func() {}}
	close(left.done)
	s.mu.Lock()
	s.owners[left.partition] = left
	s.mu.Unlock()
	s.pacer.expect([]int32{left.partition})
	r.send(r.delivery("d1"))
	s.read(1)
	if n := r.inbox.Count(); n != 0 {
		t.Errorf("mails before it left: got %d, want none", n)
	}
	s.await([]*owner{left})
	r.only(schemas.Outcome_SENT)
}
