package sender

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"segue/processors/sender/inbox"
	"segue/schemas"
)

func TestDryRunHandsOverNothing(t *testing.T) {
	r := newRig(t, inbox.Config{Recipient: func(to string) error { t.Errorf("RCPT TO %s, want no mail at all", to); return nil }})
	change := func(c *Config) { c.DryRun = true }
	r.change = change
	stopped := r.delivery("stopped")
	r.send(r.delivery("d1"))
	r.send(r.delivery("broken", func(d *schemas.Delivery) { d.Template = "broken.html" }))
	r.send(r.delivery("late", func(d *schemas.Delivery) { d.DueAt = schemas.Timestamp(epoch.Add(-time.Hour).UnixMilli()) }))
	r.send(stopped)
	r.cancel(stopped, "ordered")
	s := r.start()
	want := map[string]string{"d1": "shadowed: dry run", "broken": "failed: template", "late": "stale: decided 1h0m0s after", "stopped": "cancelled: ordered"}
	for _, o := range r.outcomes(4) {
		if got := label(o.GetKind()) + ": " + o.GetReason(); !strings.HasPrefix(got, want[o.GetDeliveryId()]) {
			t.Errorf("%s: got %q, want %q", o.GetDeliveryId(), got, want[o.GetDeliveryId()])
		}
	}
	r.quiet(s)
	s.end()

	// What was shadowed stays so.
	r.change = func(*Config) {}
	r.quiet(r.start())
	if got := r.outcomes(4); len(got) != 4 || r.inbox.Count() != 0 {
		t.Errorf("without dry run: got outcomes %v and %d mails, want the four of before and none", got, r.inbox.Count())
	}
}

func TestOnlyTo(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.change = func(c *Config) { c.OnlyTo = []string{"*@shop.example", "ada+*@example.com"} }
	gets := []string{"kim@shop.example", "Kim Lee <KIM.LEE@Shop.Example>", "ada+1@example.com"}
	none := []string{"ada@example.com", "kim@shop.example.com", "kim@ashop.example", `"x@shop.example"@example.com`, "shop.example <eve@example.com>", "bada+1@example.com"}
	to := map[string]string{}
	for i, address := range slices.Concat(gets, none) {
		d := r.delivery(string(rune('a'+i)), func(d *schemas.Delivery) { d.To, d.ToName = address, "" })
		to[d.GetId()] = address
		r.send(d)
	}
	r.start()
	got := map[schemas.Outcome_Kind][]string{}
	for _, o := range r.outcomes(len(to)) {
		got[o.GetKind()] = append(got[o.GetKind()], to[o.GetDeliveryId()])
	}
	for _, of := range [][]string{gets, none, got[schemas.Outcome_SENT], got[schemas.Outcome_SHADOWED]} {
		slices.Sort(of)
	}
	if want := map[schemas.Outcome_Kind][]string{schemas.Outcome_SENT: gets, schemas.Outcome_SHADOWED: none}; !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("outcomes: got %q, want %q", got, want)
	}
	if n := r.inbox.Count(); n != len(gets) {
		t.Errorf("mails: got %d, want %d", n, len(gets))
	}
}

func TestOnlyToWantsAddresses(t *testing.T) {
	_, err := newShadow(false, []string{"shop.example"})
	if err == nil || !strings.Contains(err.Error(), `got "shop.example"`) {
		t.Errorf("newShadow: got %v, want what is wrong", err)
	}
}
