package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"segue/schemas"
	"segue/schemas/playbook"
)

// tally counts what the topics tell: what any team downstream could know.
type tally struct {
	mu       sync.Mutex
	zone     *time.Location // of the store
	segments []playbook.Segment

	events   int
	shoppers int
	members  map[string]int
	counts   mailCounts
	letters  map[string]*letter // by delivery, until it has its end
	touched  map[string]int64   // when a customer last clicked a mail
	seen     map[string]uint8   // which deliveries were opened, and clicked
	names    map[string]string  // of customers
	watched  []*watched
	sampled  int64           // when those were asked for
	models   time.Time       // when those of the shop's own came in force
	crossed  []shownCrossing // latest first
	mails    []shownMail     // latest first
	news     []string        // not told yet
	told     map[string]bool
}

// letter is a delivery on its way. Its command, its outcome and the mail itself
// are told in different places, in any order.
type letter struct {
	delivery *schemas.Delivery
	subject  string
	sentAt   int64
}

const (
	// shownMails is how many of the latest are kept.
	shownMails = 16
	// recoveredWithin is how long after a click an order counts as its work.
	recoveredWithin = 24 * time.Hour

	openedBit, clickedBit = 1, 2
)

func newTally(zone *time.Location, segments []playbook.Segment) *tally {
	return &tally{
		zone: zone, segments: segments, names: map[string]string{}, members: map[string]int{}, letters: map[string]*letter{},
		touched: map[string]int64{}, seen: map[string]uint8{}, told: map[string]bool{},
	}
}

// change brings in a record of segment-changes.
func (t *tally) change(c *schemas.SegmentChange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cross(c)
	if !c.GetEntered() {
		t.members[c.GetSegment()]--
		return
	}
	t.members[c.GetSegment()]++
	t.watch(c)
	t.tell(schemas.Millis(c.GetAt()), "segment "+c.GetSegment(), fmt.Sprintf("%s is the first in segment %s: %s", c.GetCustomer(), c.GetSegment(), strings.Join(c.GetReasons(), "; ")))
}

// command brings in a record of deliveries.
func (t *tally) command(c *schemas.DeliveryCommand) {
	d := c.GetSend()
	if d == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.letter(d.GetId())
	l.delivery = d
	t.show(d.GetId(), l)
}

// subject brings in a mail that lies in the inbox.
func (t *tally) subject(delivery, subject string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.letter(delivery).subject = subject
}

// event brings in a record of events; at is its time.
func (t *tally) event(at int64, e *schemas.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.IsControl() {
		return
	}
	t.events++
	switch body := e.GetBody().(type) {
	case *schemas.Event_Identify:
		t.shoppers++
		t.names[e.GetCustomer()] = strings.TrimSpace(body.Identify.GetFirstName() + " " + body.Identify.GetLastName())
	case *schemas.Event_Outcome:
		t.outcome(at, e, body.Outcome)
	case *schemas.Event_Engagement:
		t.engaged(at, e, body.Engagement)
	case *schemas.Event_Subscription:
		if !body.Subscription.GetSubscribed() {
			t.counts.Unsubscribed++
			t.tell(at, "unsubscribed", e.GetCustomer()+" unsubscribes: no mail from now on")
		}
	case *schemas.Event_Order:
		clicked, ok := t.touched[e.GetCustomer()]
		if !ok {
			return
		}
		delete(t.touched, e.GetCustomer())
		if at-clicked <= recoveredWithin.Milliseconds() {
			t.counts.Recovered++
			t.counts.RecoveredMicros += body.Order.GetTotalMicros()
			t.tell(at, "recovered", fmt.Sprintf("%s comes back through a mail and orders for £%s", e.GetCustomer(), thousands(int(body.Order.GetTotalMicros()/1e6))))
		}
	}
}

func (t *tally) outcome(at int64, e *schemas.Event, o *schemas.Outcome) {
	id := o.GetDeliveryId()
	switch o.GetKind() {
	case schemas.Outcome_SENT:
		l := t.letter(id)
		l.sentAt = at
		t.counts.Sent++
		t.show(id, l)
		return
	case schemas.Outcome_HELD:
		t.counts.Held++
		t.tell(at, "held", e.GetCustomer()+" gets no mail yet: "+o.GetReason())
		return
	case schemas.Outcome_SKIPPED:
		t.counts.Skipped++
		kind, _, _ := strings.Cut(o.GetReason(), ":") // what follows are values
		t.tell(at, "skipped "+kind, e.GetCustomer()+" gets no mail: "+o.GetReason())
	case schemas.Outcome_CANCELLED:
		t.counts.Cancelled++
		t.tell(at, "cancelled", e.GetCustomer()+" was faster than the mail: "+o.GetReason())
	case schemas.Outcome_STALE:
		t.counts.Stale++
		t.tell(at, "stale", e.GetCustomer()+": a mail came too late to be sent")
	case schemas.Outcome_FAILED:
		t.counts.Failed++
		t.tell(at, "failed", e.GetCustomer()+": a mail failed: "+o.GetReason())
	}
	delete(t.letters, id)
}

func (t *tally) engaged(at int64, e *schemas.Event, g *schemas.Engagement) {
	bit, count, what := uint8(openedBit), &t.counts.Opened, "opens"
	if g.GetKind() == schemas.Engagement_CLICKED {
		bit, count, what = clickedBit, &t.counts.Clicked, "clicks"
		t.touched[e.GetCustomer()] = at
	}
	if id := g.GetDeliveryId(); t.seen[id]&bit == 0 {
		t.seen[id] |= bit
		*count++
		t.tell(at, what, e.GetCustomer()+" "+what+" a mail")
	}
}

func (t *tally) letter(delivery string) *letter {
	l := t.letters[delivery]
	if l == nil {
		l = &letter{}
		t.letters[delivery] = l
	}
	return l
}

// show adds a mail to the latest once both are known: that it went out, and why.
func (t *tally) show(id string, l *letter) {
	if l.delivery == nil || l.sentAt == 0 {
		return
	}
	delete(t.letters, id)
	if l.subject == "" {
		l.subject = l.delivery.GetSubject()
	}
	m := shownMail{At: time.UnixMilli(l.sentAt).In(t.zone), To: l.delivery.GetTo(), Subject: l.subject, Reason: why(l.delivery)}
	t.mails = slices.Insert(t.mails, 0, m)
	t.mails = t.mails[:min(len(t.mails), shownMails)]
	t.tell(l.sentAt, fmt.Sprintf("mail %s %d", l.delivery.GetJourney(), l.delivery.GetStep()),
		fmt.Sprintf("mail to %s: %q, for %s", m.To, m.Subject, m.Reason))
}

// why is a delivery's reason, with what it is about.
func why(d *schemas.Delivery) string {
	var about struct {
		Cart struct {
			Items []struct{ Name string }
			Value string
		}
	}
	if err := json.Unmarshal(d.GetContextJson(), &about); err != nil || len(about.Cart.Items) == 0 {
		return d.GetReason()
	}
	more := ""
	if n := len(about.Cart.Items) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("%s: %s left, %s%s", d.GetReason(), about.Cart.Value, about.Cart.Items[0].Name, more)
}

// tell notes what happened for the first time.
func (t *tally) tell(at int64, what, news string) {
	if !t.told[what] {
		t.told[what] = true
		t.news = append(t.news, time.UnixMilli(at).In(t.zone).Format("2006-01-02 15:04")+"  "+news)
	}
}

// fill puts what is known into s.
func (t *tally) fill(s *scene) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Events, s.Shoppers, s.Counts, s.Mails = t.events, t.shoppers, t.counts, slices.Clone(t.mails)
	s.Segments, s.Watched, s.Models = nil, nil, t.models
	for i := range t.segments {
		x := &t.segments[i]
		s.Segments = append(s.Segments, headcount{x.Name, x.About, t.members[x.Name]})
	}
	s.Crossings = slices.Clone(t.crossed)
	for i := range s.Crossings {
		s.Crossings[i].Customer = t.name(s.Crossings[i].Customer)
	}
	for _, w := range t.watched {
		s.Watched = append(s.Watched, watched{t.name(w.Customer), slices.Clone(w.Churn), slices.Clone(w.Propensity)})
	}
}

// learnt notes that models of the shop's own are in force.
func (t *tally) learnt(now time.Time, events int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.models = now.In(t.zone)
	t.tell(now.UnixMilli(), "models", fmt.Sprintf("models fitted to the shop's own %s events are in force: who crosses now does because of them", thousands(events)))
}

// happened is what is new since it was last asked.
func (t *tally) happened() (news []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	news, t.news = t.news, nil
	return news
}
