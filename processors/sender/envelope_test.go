package sender

import (
	"testing"

	"segue/processors/sender/inbox"
	"segue/schemas"
	"segue/schemas/link"
)

// TestReturnPathNamesTheDelivery: who gets the answer of a server finds the
// command that the mail came from.
func TestReturnPathNamesTheDelivery(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.change = func(c *Config) { c.ReturnPath = "bounces@mail.shop.example" }
	for _, id := range []string{"d1", "d2", "d3"} {
		r.send(r.delivery(id))
	}
	r.quiet(r.start())
	log := r.Committed(schemas.Deliveries)
	for _, m := range r.inbox.Mails() {
		place, err := r.keys.VerifyReturn(m.ReturnPath)
		if err != nil {
			t.Fatalf("return path: got %q, want one of ours", m.ReturnPath)
		}
		var c schemas.DeliveryCommand
		for _, record := range log[place.Partition] {
			if record.Offset != place.Offset {
				continue
			}
			if err := schemas.Decode(record.Value, &c); err != nil {
				t.Fatal(err)
			}
		}
		if id := c.GetSend().GetId(); id != m.DeliveryID || place.Print != link.Fingerprint(id) {
			t.Errorf("return path of %s leads to %q", m.DeliveryID, id)
		}
	}
	if n := r.inbox.Count(); n != 3 {
		t.Errorf("mails: got %d, want 3", n)
	}
}

// TestAnswersWithoutReturnPath go to whom the mail is from.
func TestAnswersWithoutReturnPath(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.send(r.delivery("d1"))
	r.quiet(r.start())
	if m := r.inbox.Mails(); len(m) != 1 || m[0].ReturnPath != "hello@shop.example" {
		t.Errorf("got %+v, want one with the return path hello@shop.example", m)
	}
}
