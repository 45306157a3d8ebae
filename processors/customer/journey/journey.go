// Package journey leads a customer through the steps of a journey: when it
// starts, what moves it, what ends it, and what a step that is due sends.
//
//	facts → start, move, stop → due → send · hold · skip · cancel
//
// A cart's journey runs once per cart, beginning when the cart was left for the
// first step's wait. Later steps count from when the one before was due, so
// that a held step shifts none of them.
//
// A step that is due sends at once, or is held until limits allow it, or is
// skipped, with the reason: also when it could only go out a day late, or not
// before the next step. What was decided but is not yet sent is cancelled by
// whatever makes it wrong.
//
// Not obvious: an outage can make a delivery stale before it is tried; its step
// is then decided once more, as of now, under another delivery id. A run keeps
// the instants that it has when the playbook changes; a playbook that comes in
// force starts no journey, since nothing happened to the customer.
package journey

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

const (
	hour = 60 * 60 * 1000
	// WorthFor is how long after it was due a step may still be sent.
	WorthFor = 24 * hour
	// patience is how long after it was due a delivery's outcome is waited for:
	// longer than deliveries are kept.
	patience = 8 * 24 * hour
	// remembered is how long a mail can count against a cap.
	remembered = 32 * 24 * hour
)

// Limits say when a mail may go out, as the profile is when they are asked.
type Limits interface {
	// Free returns the first instant from at on, and why not at itself.
	Free(at int64) (free int64, reason string)
	// End returns until when what may go out at the instant at still may; 0: for ever.
	End(at int64) int64
}

// Book keeps one customer's journeys, at one instant.
type Book struct {
	Profile  *profile.Profile
	Playbook *playbook.Playbook
	Scores   playbook.Scores
	Now      int64
	// Salt goes into every draw.
	Salt   string
	Limits Limits
	// Decisions are what all that happened led to, in order.
	Decisions []Decision
}

// Kind of a decision.
type Kind uint8

const (
	// Send a message.
	Send Kind = iota
	// Cancel a delivery that was not reported sent.
	Cancel
	// Hold a step until limits allow it; it is decided again then.
	Hold
	// Skip a step.
	Skip
)

// Decision is what becomes of a step or of a delivery.
type Decision struct {
	Kind     Kind
	Delivery string
	Journey  string
	Instance string
	Step     int // from 1
	Reason   string
	// Message is nil where none was chosen.
	Message *playbook.Message
	// Subject is the place of the drawn one.
	Subject int
	// Cart is the StartedAt of the cart that it is about; 0: none.
	Cart        int64
	Due, GiveUp int64
}

// CartChanged starts the journeys of the cart that began at started, or moves
// those whose first mail is not decided. late: it moves, but starts nothing.
func (b *Book) CartChanged(started int64, late bool) {
	k := b.cart(started)
	if k == nil {
		return
	}
	for j := range b.ofCarts {
		due := k.ChangedAt + j.Steps[0].After
		switch at, running := b.find(j.Name, cartInstance(k)); {
		case running:
			if r := &b.Profile.Runs[at]; r.Step == 0 && due > r.Due {
				r.Due, r.HeldTo = max(due, b.Now), 0
			}
		case !late:
			b.startCart(j, k, max(due, b.Now))
		}
	}
}

// Joined starts the journeys of a cart that an anonymous visitor brought along.
// Becoming known is a sign of life: what would be due already waits once more.
func (b *Book) Joined(started int64) {
	k := b.cart(started)
	if k == nil {
		return
	}
	for j := range b.ofCarts {
		due := k.ChangedAt + j.Steps[0].After
		if due <= b.Now {
			due = b.Now + j.Steps[0].After
		}
		b.startCart(j, k, due)
	}
}

// Viewed puts off first steps that are not due yet: whoever looks around has
// not left.
func (b *Book) Viewed(at int64) {
	for i := range b.Profile.Runs {
		r := &b.Profile.Runs[i]
		j := b.journey(r.Journey)
		if j != nil && j.Start.Kind == playbook.CartAbandoned && r.Step == 0 && r.HeldTo == 0 && r.Due > b.Now {
			r.Due = max(r.Due, at+j.Steps[0].After)
		}
	}
}

// SegmentChanged starts the journeys that begin with an entry or a leave.
func (b *Book) SegmentChanged(segment string, entered bool) {
	kind := playbook.Left
	if entered {
		kind = playbook.Entered
	}
	for i := range b.Playbook.Journeys {
		if j := &b.Playbook.Journeys[i]; j.Start.Kind == kind && j.Start.Segment == segment {
			b.start(profile.Run{Journey: j.Name, Instance: instance(segment, b.Now), From: b.Now, Due: b.Now + j.Steps[0].After})
		}
	}
}

// Happened starts the journeys that begin with an event of the storefront's own.
// Two of one name at one instant are one: their journeys would have one name, too.
func (b *Book) Happened(event string, at int64) {
	same := 0
	for _, n := range b.Profile.Named {
		if n.Name == event && n.At == at {
			same++
		}
	}
	if same > 1 {
		return
	}
	for i := range b.Playbook.Journeys {
		j := &b.Playbook.Journeys[i]
		if j.Stop == playbook.Ordered && b.Profile.Orders.Last >= at {
			continue // ordered since
		}
		if j.Start.Kind == playbook.Happened && j.Start.Event == event {
			b.start(profile.Run{Journey: j.Name, Instance: instance(event, at), From: at, Due: max(b.Now, at+j.Steps[0].After)})
		}
	}
}

// Ordered stops what an order ends: the journeys of carts that it closed, all of
// them changed up to the instant at, and others that began up to since.
func (b *Book) Ordered(at, since int64) {
	b.stop(func(r *profile.Run, j *playbook.Journey) string {
		if j == nil || j.Stop == playbook.Never {
			return ""
		}
		ends := j.Stop == playbook.Ordered && r.From <= since
		if j.Start.Kind == playbook.CartAbandoned {
			k := b.cart(r.From)
			ends = k == nil || j.Stop == playbook.Ordered && k.ChangedAt <= at
		}
		if ends {
			return "ordered"
		}
		return ""
	})
}

// Undone stops every journey, for the reason given. One that has sent nothing
// may begin again for its cart, under the customer's other name.
func (b *Book) Undone(reason string) {
	b.stop(func(r *profile.Run, _ *playbook.Journey) string {
		if k := b.cart(r.From); k != nil && r.Step == 0 {
			k.Done = slices.DeleteFunc(k.Done, func(journey string) bool { return journey == r.Journey })
		}
		return reason
	})
}

// InForce fits the runs to a playbook that was not in force before.
func (b *Book) InForce() {
	b.stop(func(_ *profile.Run, j *playbook.Journey) string {
		if j == nil {
			return "no longer in the playbook"
		}
		return ""
	})
	b.each(func(r *profile.Run, j *playbook.Journey) {
		if r.Step >= len(j.Steps) {
			r.Due, r.HeldTo = 0, 0
		}
	})
}

// Reported brings in what became of a delivery.
func (b *Book) Reported(o *schemas.Outcome) {
	switch o.GetKind() {
	case schemas.Outcome_SENT, schemas.Outcome_IN_DOUBT:
	case schemas.Outcome_FAILED, schemas.Outcome_STALE, schemas.Outcome_CANCELLED, schemas.Outcome_SHADOWED, schemas.Outcome_SKIPPED:
		b.Profile.Mails = slices.DeleteFunc(b.Profile.Mails, func(m profile.Mail) bool { return m.Delivery == o.GetDeliveryId() })
	default:
		return
	}
	b.each(func(r *profile.Run, j *playbook.Journey) {
		if r.Delivery != o.GetDeliveryId() || r.Delivery == "" {
			return
		}
		r.Delivery = ""
		if o.GetKind() == schemas.Outcome_STALE {
			b.stale(r, j)
		}
	})
}

// stale takes a run back to the step whose delivery came too late, if sending
// it still makes sense.
func (b *Book) stale(r *profile.Run, j *playbook.Journey) {
	waits := r.Due == 0 || r.HeldTo == 0 && r.Due > b.Now // the next step has not come up
	if r.Again || !waits || r.Step != r.DeliveryStep+1 || r.DeliveryStep >= len(j.Steps) || b.Now-r.DeliveryDue > WorthFor {
		b.Decisions = append(b.Decisions, Decision{Kind: Skip, Delivery: b.id(r, r.DeliveryStep, "missed"), Journey: r.Journey,
			Instance: r.Instance, Step: r.DeliveryStep + 1, Reason: "missed"})
		return
	}
	r.Step, r.Due, r.HeldTo, r.Again = r.DeliveryStep, r.DeliveryDue, b.Now, true
}

// Next is when the next step is due, or a run gives up waiting; 0: never.
func (b *Book) Next() int64 {
	next := int64(0)
	for i := range b.Profile.Runs {
		r := &b.Profile.Runs[i]
		at := due(r)
		if r.Delivery != "" && (at == 0 || r.DeliveryDue+patience < at) {
			at = r.DeliveryDue + patience
		}
		if next == 0 || at < next {
			next = at
		}
	}
	return next
}

// due is when the run's next step is looked at; 0: it has none left.
func due(r *profile.Run) int64 {
	if r.HeldTo != 0 {
		return r.HeldTo
	}
	return r.Due
}

func (b *Book) startCart(j *playbook.Journey, k *profile.Cart, due int64) {
	at, done := slices.BinarySearch(k.Done, j.Name)
	if done {
		return
	}
	if b.start(profile.Run{Journey: j.Name, Instance: cartInstance(k), Cart: k.ID, From: k.StartedAt, Due: due}) {
		k.Done = slices.Insert(k.Done, at, j.Name)
	}
}

// start adds r unless it runs already, or too many do.
func (b *Book) start(r profile.Run) bool {
	at, running := b.find(r.Journey, r.Instance)
	if running || len(b.Profile.Runs) >= profile.MaxRuns {
		return false
	}
	b.Profile.Runs = slices.Insert(b.Profile.Runs, at, r)
	return true
}

// stop ends the runs that reason names a reason for.
func (b *Book) stop(reason func(*profile.Run, *playbook.Journey) string) {
	b.keep(func(r *profile.Run, j *playbook.Journey) bool {
		why := reason(r, j)
		if why != "" {
			b.cancel(r, why)
		}
		return why == ""
	})
}

// cancel takes back the delivery that has no outcome yet.
func (b *Book) cancel(r *profile.Run, reason string) {
	if r.Delivery != "" {
		b.Decisions = append(b.Decisions, Decision{Kind: Cancel, Delivery: r.Delivery, Journey: r.Journey, Instance: r.Instance,
			Step: r.DeliveryStep + 1, Reason: reason})
		r.Delivery = ""
	}
}

// each visits the runs, and ends those that have nothing left to wait for.
func (b *Book) each(visit func(*profile.Run, *playbook.Journey)) {
	b.keep(func(r *profile.Run, j *playbook.Journey) bool {
		if j != nil {
			visit(r, j)
		}
		return r.Due != 0 || r.Delivery != ""
	})
}

// keep goes through the runs where they lie, and drops those that it is told to.
func (b *Book) keep(keep func(*profile.Run, *playbook.Journey) bool) {
	runs, kept := b.Profile.Runs, 0
	for i := range runs {
		if !keep(&runs[i], b.journey(runs[i].Journey)) {
			continue
		}
		if kept < i {
			runs[kept] = runs[i]
		}
		kept++
	}
	clear(runs[kept:])
	b.Profile.Runs = runs[:kept]
}

func (b *Book) journey(name string) *playbook.Journey {
	at, found := slices.BinarySearchFunc(b.Playbook.Journeys, name, func(j playbook.Journey, name string) int { return strings.Compare(j.Name, name) })
	if !found {
		return nil
	}
	return &b.Playbook.Journeys[at]
}

func (b *Book) find(journey, instance string) (int, bool) {
	return slices.BinarySearchFunc(b.Profile.Runs, profile.Run{Journey: journey, Instance: instance}, func(x, y profile.Run) int {
		return cmp.Or(strings.Compare(x.Journey, y.Journey), strings.Compare(x.Instance, y.Instance))
	})
}

// ofCarts visits the journeys that run once per cart.
func (b *Book) ofCarts(visit func(*playbook.Journey) bool) {
	for i := range b.Playbook.Journeys {
		if j := &b.Playbook.Journeys[i]; j.Start.Kind == playbook.CartAbandoned && !visit(j) {
			return
		}
	}
}

func (b *Book) cart(started int64) *profile.Cart {
	for i := range b.Profile.Carts {
		if b.Profile.Carts[i].StartedAt == started {
			return &b.Profile.Carts[i]
		}
	}
	return nil
}

// id names what a step of a run delivers; last tells apart what one step may
// lead to after a stale delivery.
func (b *Book) id(r *profile.Run, step int, last string) string {
	return profile.Derive("delivery", b.Profile.Customer, r.Journey, r.Instance, strconv.Itoa(step), last)
}

func cartInstance(k *profile.Cart) string { return instance(k.ID, k.StartedAt) }

func instance(what string, at int64) string { return what + "@" + strconv.FormatInt(at, 10) }
