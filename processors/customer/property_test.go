package customer

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// Whatever shoppers, the mail server and the station do, and whoever turns out to
// be whom: nobody is mailed after their order, after they unsubscribed, in quiet
// hours or over a cap; a step is delivered once, or once more after a stale
// delivery; of whoever was to be forgotten nothing is left, under no name of
// theirs; and the same log gives the same outputs again.
func TestPromises(t *testing.T) {
	yaml := strings.NewReplacer("at_most: [1 per day, 3 per week]", "at_most: [2 per day, 5 per week]", "after: 24h", "after: 5h", "after: 3d", "after: 20h").Replace(shop(t))
	pb := parse(t, yaml)
	edited := parse(t, strings.Replace(yaml, "views.within(days(7)) >= 3", "views.within(days(1)) >= 2", 1))
	zones := map[string]string{"ada": "Europe/London", "bob": "America/New_York", "cem": "Asia/Kathmandu"}
	does := []string{"cart_add sku=mug price=12.50", "cart_add sku=chair price=120", "cart_remove sku=mug", "checkout", "order total=10", "order total=10",
		"view sku=mug", "visit", "unsubscribe", "subscribe", "order total=5 ago=9d", "cart_add sku=jug price=9 ago=3m", "cart_add sku=mug price=3 ago=2d", "bounced", "opened",
		"cart_add sku=mug price=4 cart=c1", "order total=10 cart=c1",
		"prefers often=weekly", "prefers often=every_mail stop=cart", "prefers resume=cart pause=1", "prefers pause=0", "opened machine=scanner"}
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, rapid.SampledFrom([]time.Month{3, 10, 11}).Draw(t, "month"), rapid.IntRange(1, 30).Draw(t, "day"), 0, 0, 0, 0, time.UTC).UnixMilli()
		w := newWorld(t, start)
		p := promises{t: t, zones: zones, sent: map[string]int{}, delivered: map[string]int{}, stale: map[string]bool{}, off: map[string]bool{},
			ordered: map[string]bool{}, barred: map[string]string{}, changed: map[string]int64{}, said: map[string]int64{}}
		w.seen, w.folded = p.see, p.folded
		w.inForce(pb)
		at := start
		for _, name := range []string{"ada", "bob", "cem"} {
			for _, line := range []string{"identify email=" + name + "@example.com zone=" + zones[name], "subscribe"} {
				key, e := w.event(name+" "+line, at)
				w.record(at, key, e)
			}
		}
		for range rapid.IntRange(5, 60).Draw(t, "events") {
			at = max(at, w.clock) + rapid.SampledFrom([]int64{1, 1000, 20 * 60_000, 3_600_000, 7 * 3_600_000}).Draw(t, "gap")
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				w.until(at)
				w.smtpDown = !w.smtpDown
				w.settle()
			case 1:
				if w.stationDown {
					w.stationUp(at, rapid.Bool().Draw(t, "blinks"))
				} else {
					w.until(at)
					w.stationDown = true
				}
			case 2:
				w.until(at)
				w.inForce(rapid.SampledFrom([]*playbook.Playbook{pb, edited}).Draw(t, "playbook"))
			default:
				name := rapid.SampledFrom([]string{"ada", "bob", "cem", "anon-1", "anon-2", "anon-3"}).Draw(t, "who")
				does := rapid.SampledFrom(does).Draw(t, "does")
				if strings.HasPrefix(name, "anon") && rapid.IntRange(0, 4).Draw(t, "logs in") == 0 {
					does = "becomes known=" + rapid.SampledFrom([]string{"ada", "bob", "anon-1", "anon-2"}).Draw(t, "known")
				}
				if rapid.IntRange(0, 29).Draw(t, "forget") == 0 {
					does = "forget"
				}
				key, e := w.event(name+" "+does, at)
				w.record(at, key, e)
			}
		}
		w.smtpDown = false
		if w.stationDown {
			w.stationUp(w.clock, false)
		}
		w.until(w.clock + 12*24*3_600_000)
		w.settle()
		for _, name := range []string{"ada", "bob", "cem"} {
			if s, ok := w.replay.State(name); ok && len(s.Runs) > 0 {
				t.Errorf("%s: %d journeys still run twelve days later", name, len(s.Runs))
			}
		}
		for _, name := range []string{"ada", "bob", "cem", "anon-1", "anon-2", "anon-3"} {
			p.forgotten(w, name)
		}
		w.refold()
	})
}

// promises watches what goes out. It knows what was folded: what the log holds
// while the station is down cannot stop the sender.
type promises struct {
	t         *rapid.T
	zones     map[string]string
	sent      map[string]int    // per customer and period
	delivered map[string]int    // per customer, instance and step
	stale     map[string]bool   // the same
	off       map[string]bool   // deliveries that were cancelled
	ordered   map[string]bool   // customers without a cart since
	barred    map[string]string // customers who are not to be mailed, and why
	changed   map[string]int64  // by customer: when a cart of theirs was
	said      map[string]int64  // by customer: when they subscribed, or unsubscribed
}

// folded notes what forbids a mail, and what allows one again.
func (p *promises) folded(key string, value []byte) {
	var e schemas.Event
	if err := schemas.Decode(value, &e); err != nil {
		p.t.Fatal(err)
	}
	m := e.GetMerge()
	switch {
	case m.GetForwarded() != nil:
		p.happened(key, m.GetForwarded())
	case m != nil:
		p.merged(key, m.GetState())
	default:
		p.happened(key, &e)
	}
}

func (p *promises) happened(key string, e *schemas.Event) {
	at := schemas.Millis(e.GetOccurredAt())
	switch body := e.GetBody().(type) {
	case *schemas.Event_Order:
		if body.Order.GetTotalMicros() == 10e6 && at >= p.changed[key] {
			p.ordered[key] = true
		}
	case *schemas.Event_Cart:
		p.cart(key, at)
	case *schemas.Event_Subscription:
		p.subscribed(key, at, body.Subscription.GetSubscribed())
	case *schemas.Event_Outcome:
		if body.Outcome.GetKind() == schemas.Outcome_BOUNCED && p.barred[key] != "forgotten" {
			p.barred[key] = "bounced"
		}
	case *schemas.Event_Forget:
		if body.Forget.GetStandsFor() == "" {
			p.barred[key] = "forgotten"
		}
	}
}

// forgotten wants nothing to be left of somebody who was forgotten, nor of who
// stands for them.
func (p *promises) forgotten(w *world, name string) {
	s, ok := w.replay.State(name)
	switch {
	case !ok:
	case s.Forgotten != 0:
		if !reflect.DeepEqual(s, &profile.Profile{Customer: name, Forgotten: s.Forgotten}) {
			p.t.Errorf("%s is forgotten, but %+v is left", name, s)
		}
	case p.barred[name] == "forgotten":
		p.t.Errorf("%s was to be forgotten, but is known: %+v", name, s)
	case s.RedirectTo != "":
		if known, ok := w.replay.State(s.RedirectTo); !ok || known.Forgotten != 0 {
			p.t.Errorf("%s stands for %s, who is forgotten, or was never met", name, s.RedirectTo)
		}
	}
}

// merged is told what was known of a visitor who became key.
func (p *promises) merged(key string, state []byte) {
	if len(state) == 0 { // a name that held nothing
		return
	}
	from, err := profile.Decode(state)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, k := range from.Carts {
		p.cart(key, k.ChangedAt)
	}
	if from.Consent != profile.Unsaid {
		p.subscribed(key, from.ConsentAt, from.Consent == profile.Subscribed)
	}
}

func (p *promises) cart(key string, at int64) {
	p.changed[key] = max(p.changed[key], at)
	delete(p.ordered, key)
}

func (p *promises) subscribed(key string, at int64, yes bool) {
	if at < p.said[key] {
		return
	}
	p.said[key] = at
	switch {
	case p.barred[key] == "bounced" || p.barred[key] == "forgotten": // which consent does not undo
	case yes:
		delete(p.barred, key)
	default:
		p.barred[key] = "unsubscribed"
	}
}

func (p *promises) see(at int64, o stream.Output) {
	switch o.Topic {
	case schemas.Deliveries:
		var c schemas.DeliveryCommand
		if err := schemas.Decode(o.Value, &c); err != nil {
			p.t.Fatal(err)
		}
		if d := c.GetSend(); d != nil {
			step := fmt.Sprint(d.GetCustomer(), d.GetInstance(), d.GetStep())
			if n := p.delivered[step]; n > 0 && !p.stale[step] || n > 1 {
				p.t.Errorf("step %s is delivered again", step)
			}
			p.delivered[step]++
			p.free(at, d.GetCustomer(), "decided")
			if due, end := schemas.Millis(d.GetDueAt()), schemas.Millis(d.GetGiveUpAt()); due > at || end <= at {
				p.t.Errorf("delivery of %s: due at %d, given up at %d, decided at %d", step, due, end, at)
			}
		} else {
			p.off[c.GetCancel().GetDeliveryId()] = true
		}
	case schemas.Events:
		var e schemas.Event
		if err := schemas.Decode(o.Value, &e); err != nil {
			p.t.Fatal(err)
		}
		switch out := e.GetOutcome(); out.GetKind() {
		case schemas.Outcome_STALE:
			p.stale[fmt.Sprint(o.Key, out.GetInstance(), out.GetStep())] = true
		case schemas.Outcome_SENT:
			if p.off[out.GetDeliveryId()] {
				p.t.Errorf("%s: sent although it was cancelled", out.GetDeliveryId())
			}
			if p.ordered[o.Key] || p.barred[o.Key] != "" {
				p.t.Errorf("%s: sent although ordered: %v, barred: %q", o.Key, p.ordered[o.Key], p.barred[o.Key])
			}
			local := p.free(at, o.Key, "sent")
			year, week := local.ISOWeek()
			for period, most := range map[string]int{local.Format(time.DateOnly): 2, fmt.Sprint(year, week): 5} {
				if p.sent[o.Key+period]++; p.sent[o.Key+period] > most {
					p.t.Errorf("%s: more than %d mails in %s", o.Key, most, period)
				}
			}
		}
	}
}

// free wants at to be outside the customer's quiet hours.
func (p *promises) free(at int64, customer, what string) time.Time {
	zone, err := time.LoadLocation(p.zones[customer])
	if err != nil {
		p.t.Fatal(err)
	}
	local := time.UnixMilli(at).In(zone)
	if local.Hour() >= 21 || local.Hour() < 8 {
		p.t.Errorf("%s: %s at %s, in quiet hours", customer, what, local)
	}
	return local
}
