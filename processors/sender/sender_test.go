package sender

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"segue/processors/sender/inbox"
	"segue/schemas"
	"segue/schemas/link"
)

func TestDeliveryReachesItsCustomer(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.send(r.delivery("d1"))
	r.start()

	o := r.only(schemas.Outcome_SENT)
	if o.GetJourney() != "cart" || o.GetStep() != 1 || o.GetInstance() != "cart 1" || o.GetMessage() != "reminder" || o.GetPlaybook() != playbookV1 || o.GetReason() != "journey cart, step 1" {
		t.Errorf("outcome: got %v, want what the delivery says", o)
	}
	m, _ := r.inbox.Mail(1)
	if m.Subject != "Your Mug ♥" || m.To != "d1@example.com" || m.ToName != "Ada" || m.DeliveryID != "d1" || m.Reason != "journey cart, step 1" {
		t.Errorf("mail: got %+v", m)
	}
	if strings.Contains(m.HTML, "<script>") || !strings.Contains(m.HTML, "&lt;script&gt;") {
		t.Errorf("HTML: got %q, want the product's name escaped", m.HTML)
	}
	if len(m.Links.Clicks) != 1 {
		t.Fatalf("clicks: got %q, want one", m.Links.Clicks)
	}
	token := strings.TrimPrefix(m.Links.Clicks[0], "https://t.shop.example/c/")
	if l, err := r.keys.Verify(link.Click, token); err != nil || l.URL != "https://shop.example/cart?a=1&b=2" || l.Delivery != "d1" {
		t.Errorf("click: got %+v, %v", l, err)
	}
	token = strings.TrimPrefix(m.Links.Unsubscribe, "https://t.shop.example/u/")
	if l, err := r.keys.Verify(link.Unsubscribe, token); err != nil || l.Customer != "customer of d1" {
		t.Errorf("unsubscribe: got %+v, %v", l, err)
	}
}

func TestCancelledBeforeTheFirstAttempt(t *testing.T) {
	r := newRig(t, inbox.Config{})
	d := r.delivery("d1")
	r.send(d)
	r.cancel(d, "ordered")
	r.start()

	if o := r.only(schemas.Outcome_CANCELLED); o.GetReason() != "ordered" {
		t.Errorf("reason: got %q, want ordered", o.GetReason())
	}
	if n := r.inbox.Count(); n != 0 {
		t.Errorf("mails: got %d, want none", n)
	}
}

func TestDeliveryAppendedLateIsStale(t *testing.T) {
	r := newRig(t, inbox.Config{})
	due := func(before time.Duration) func(*schemas.Delivery) {
		return func(d *schemas.Delivery) { d.DueAt = schemas.Timestamp(epoch.Add(-before).UnixMilli()) }
	}
	r.send(r.delivery("in time", due(2*time.Minute), func(d *schemas.Delivery) { d.To = "a@example.com" }))
	r.send(r.delivery("late", due(2*time.Minute+time.Millisecond)))
	r.start()
	for _, o := range r.outcomes(2) {
		want := schemas.Outcome_SENT
		if o.GetDeliveryId() == "late" {
			want = schemas.Outcome_STALE
		}
		if o.GetKind() != want {
			t.Errorf("outcome: got %v, want %v", o, want)
		}
	}
}

func TestRefusalForNowIsTriedAgain(t *testing.T) {
	var refusals atomic.Int32
	r := newRig(t, inbox.Config{Answer: func(inbox.Mail) error {
		if refusals.Add(1) <= 2 {
			return &smtp.SMTPError{Code: 451, Message: "greylisted"}
		}
		return nil
	}})
	r.send(r.delivery("d1"))
	s := r.start()
	for _, wait := range []time.Duration{30 * time.Second, time.Minute} {
		r.quiet(s)
		before := refusals.Load()
		r.clock.MoveTo(r.clock.Now().Add(wait - time.Millisecond))
		r.quiet(s)
		if n := refusals.Load(); n != before {
			t.Fatalf("attempts before %s: got %d, want %d", wait, n, before)
		}
		r.clock.MoveTo(r.clock.Now().Add(time.Millisecond))
	}
	r.only(schemas.Outcome_SENT)
	if n := r.inbox.Count(); n != 1 {
		t.Errorf("mails: got %d, want 1", n)
	}
}

func TestCancelWhileWaitingForAnotherTry(t *testing.T) {
	r := newRig(t, inbox.Config{Answer: func(inbox.Mail) error { return &smtp.SMTPError{Code: 451, Message: "later"} }})
	d := r.delivery("d1")
	r.send(d)
	s := r.start()
	r.quiet(s)
	r.cancel(d, "unsubscribed")
	if o := r.only(schemas.Outcome_CANCELLED); o.GetReason() != "unsubscribed" {
		t.Errorf("reason: got %q, want unsubscribed", o.GetReason())
	}
}

func TestGivesUp(t *testing.T) {
	var tries atomic.Int32
	r := newRig(t, inbox.Config{Answer: func(inbox.Mail) error {
		tries.Add(1)
		return &smtp.SMTPError{Code: 451, Message: "not today"}
	}})
	r.send(r.delivery("d1", func(d *schemas.Delivery) {
		d.GiveUpAt = schemas.Timestamp(epoch.Add(2 * time.Minute).UnixMilli())
	}))
	s := r.start()
	for range 2 {
		r.quiet(s)
		if at, ok := r.clock.Next(); ok {
			r.clock.MoveTo(at)
		}
	}
	o := r.only(schemas.Outcome_FAILED)
	if !strings.HasPrefix(o.GetReason(), "gave up after 3 attempts") || o.GetSmtpReply() != "451 not today" {
		t.Errorf("outcome: got %v", o)
	}
	if n := tries.Load(); n != 3 { // at 0 s, 30 s, 90 s; the next would be at 210 s
		t.Errorf("attempts: got %d, want 3", n)
	}
}

func TestRefusalForGoodFails(t *testing.T) {
	r := newRig(t, inbox.Config{Recipient: func(string) error { return &smtp.SMTPError{Code: 550, Message: "no such user"} }})
	r.send(r.delivery("d1"))
	r.start()
	if o := r.only(schemas.Outcome_FAILED); o.GetSmtpReply() != "550 no such user" {
		t.Errorf("outcome: got %v", o)
	}
}

func TestLostAnswerIsInDoubt(t *testing.T) {
	r := newRig(t, inbox.Config{Answer: func(m inbox.Mail) error {
		if m.DeliveryID == "d1" {
			return inbox.ErrSilent
		}
		return nil
	}})
	r.send(r.delivery("d1"))
	s := r.start()
	r.only(schemas.Outcome_IN_DOUBT)
	r.clock.MoveTo(epoch.Add(24 * time.Hour))
	r.quiet(s)
	if n := r.inbox.Count(); n != 1 {
		t.Errorf("mails: got %d, want the one that the server took", n)
	}
}

func TestDeadServerLosesNothing(t *testing.T) {
	r := newRig(t, inbox.Config{})
	addr := closedAddr(t)
	r.change = func(c *Config) { c.SMTP.Addr = addr }
	for _, id := range []string{"d1", "d2", "d3"} {
		r.send(r.delivery(id))
	}
	s := r.start()
	for range 5 { // one probe after each pause, no spinning
		r.quiet(s)
		at, ok := r.clock.Next()
		if !ok {
			t.Fatal("paused: nobody waits for the end of the pause")
		}
		r.clock.MoveTo(at)
	}
	s.end()
	if n := r.inbox.Count(); n != 0 {
		t.Fatalf("mails: got %d, want none yet", n)
	}
	r.change = func(*Config) {}
	r.start()
	for _, o := range r.outcomes(3) {
		if o.GetKind() != schemas.Outcome_SENT {
			t.Errorf("outcome: got %v, want sent", o)
		}
	}
	if n := r.inbox.Count(); n != 3 {
		t.Errorf("mails: got %d, want 3", n)
	}
}

func TestServerAwayUntilGiveUp(t *testing.T) {
	r := newRig(t, inbox.Config{})
	addr := closedAddr(t)
	r.change = func(c *Config) { c.SMTP.Addr = addr }
	r.send(r.delivery("d1", func(d *schemas.Delivery) { d.GiveUpAt = schemas.Timestamp(epoch.Add(time.Minute).UnixMilli()) }))
	s := r.start()
	for r.clock.Now().Before(epoch.Add(2 * time.Minute)) {
		r.quiet(s)
		at, ok := r.clock.Next()
		if !ok {
			break
		}
		r.clock.MoveTo(at)
	}
	if o := r.only(schemas.Outcome_FAILED); !strings.HasPrefix(o.GetReason(), "gave up") {
		t.Errorf("outcome: got %v", o)
	}
}

func TestWhatCannotBeRenderedFails(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*schemas.Delivery)
		want   string
	}{
		"unknown filter":   {func(d *schemas.Delivery) { d.Template = "broken.html" }, "no_such_filter"},
		"no such template": {func(d *schemas.Delivery) { d.Template = "gone.html" }, "template gone.html: not among the playbook's files"},
		"no such playbook": {func(d *schemas.Delivery) { d.Playbook = "main@gone" }, `playbook "main@gone" is not in playbooks`},
		"bad address":      {func(d *schemas.Delivery) { d.To = "ada@example.com\r\nBcc: all@example.com" }, "to "},
		"bad context":      {func(d *schemas.Delivery) { d.ContextJson = []byte("[") }, "context: "},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, inbox.Config{})
			r.send(r.delivery("d1", test.change))
			r.start()
			if o := r.only(schemas.Outcome_FAILED); !strings.HasPrefix(o.GetReason(), "template: ") || !strings.Contains(o.GetReason(), test.want) {
				t.Errorf("reason: got %q, want template: … %s", o.GetReason(), test.want)
			}
			if n := r.inbox.Count(); n != 0 {
				t.Errorf("mails: got %d, want none", n)
			}
		})
	}
}

func TestUnreadableRecordIsADeadLetter(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.produce(schemas.Deliveries, "ada", []byte("\xff\xff"))
	d := r.delivery("d1", func(d *schemas.Delivery) { d.Customer = "ada" })
	r.send(d)
	r.start()
	r.only(schemas.Outcome_SENT)
	letters := r.readAll(schemas.DeadLetters)
	if len(letters) != 1 || string(letters[0].Key) != "ada" || string(letters[0].Value) != "\xff\xff" {
		t.Fatalf("dead letters: got %v", letters)
	}
}

func TestSameDeliveryTwiceIsSentOnce(t *testing.T) {
	r := newRig(t, inbox.Config{})
	d := r.delivery("d1")
	r.send(d)
	r.send(d)
	s := r.start()
	r.only(schemas.Outcome_SENT)
	r.quiet(s)
	r.send(d) // also when its outcome is known by now
	r.quiet(s)
	r.only(schemas.Outcome_SENT)
	if got := mailsTo(r.inbox)["d1"]; got != 1 {
		t.Errorf("mails: got %d, want 1", got)
	}
}
