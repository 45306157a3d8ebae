package sender

import (
	"testing"
	"time"

	"segue/processors/sender/inbox"
	"segue/schemas"
)

// behind starts a station whose one connection is busy with a first mail, and
// returns when a second is taken and waits behind it. free lets the server answer.
func behind(t *testing.T, change ...func(*schemas.Delivery)) (r *rig, s *running, second *schemas.Delivery, free func()) {
	t.Helper()
	busy, answer := make(chan struct{}), make(chan struct{})
	r = newRig(t, inbox.Config{Answer: func(m inbox.Mail) error {
		if m.DeliveryID == "d1" {
			close(busy)
			<-answer
		}
		return nil
	}})
	r.change = func(c *Config) { c.SMTP.Connections = 1 }
	second = r.delivery("d2", append(change, func(d *schemas.Delivery) { d.Customer = "customer of d1" })...)
	s = r.start()
	r.send(r.delivery("d1"))
	<-busy
	r.send(second)
	s.read(2)
	return r, s, second, func() { close(answer) }
}

// read waits until the lookout has seen so many records.
func (s *running) read(records int64) {
	for {
		var next int64
		for _, o := range s.ours() {
			next += o.state().next
		}
		if next >= records {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func kinds(outcomes []*schemas.Outcome) map[string]schemas.Outcome_Kind {
	all := map[string]schemas.Outcome_Kind{}
	for _, o := range outcomes {
		all[o.GetDeliveryId()] = o.GetKind()
	}
	return all
}

// A mail that waits for a connection is not handed over any more once it is
// cancelled: the customer bought while the server was slow.
func TestCancelledBehindASlowServer(t *testing.T) {
	r, s, second, free := behind(t)
	r.cancel(second, "ordered")
	s.read(3)
	free()
	got := kinds(r.outcomes(2))
	if got["d1"] != schemas.Outcome_SENT || got["d2"] != schemas.Outcome_CANCELLED || mailsTo(r.inbox)["d2"] != 0 {
		t.Errorf("outcomes %v, mails %v, want d1 sent and d2 cancelled", got, mailsTo(r.inbox))
	}
}

// Nor once its time is over: what waits for a connection at nine in the evening
// is not for the quiet hours.
func TestGivenUpBehindASlowServer(t *testing.T) {
	r, _, _, free := behind(t, func(d *schemas.Delivery) { d.GiveUpAt = schemas.Timestamp(epoch.Add(time.Minute).UnixMilli()) })
	r.clock.MoveTo(epoch.Add(time.Minute))
	free()
	got := kinds(r.outcomes(2))
	if got["d1"] != schemas.Outcome_SENT || got["d2"] != schemas.Outcome_FAILED || mailsTo(r.inbox)["d2"] != 0 {
		t.Errorf("outcomes %v, mails %v, want d1 sent and d2 given up", got, mailsTo(r.inbox))
	}
}
