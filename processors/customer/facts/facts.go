// Package facts brings what an event says into the customer's profile. It
// decides nothing about segments or mail.
//
//	event → facts → segment → journey
//
// Not obvious: windows and tallies use the instant at which a thing happened,
// clamped to the partition's clock, and lists are kept in that order, so that
// events which arrive out of order leave the same profile, as far as what is
// kept reaches; only what lies in a cart follows the arrival of its changes. A
// repeated event id changes nothing.
package facts

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// ClockSkew is how far, in milliseconds, the clocks of browsers and shop servers
// are trusted to lie apart: a cart changed so shortly after an order that arrived
// later was that order's.
const ClockSkew = 60 * 1000

// Happening is an event as the decisions after this one see it.
type Happening struct {
	Event *schemas.Event
	// At is when it happened, never after the record.
	At int64
	// Late things inform and trigger nothing.
	Late bool
	// Repeated: this event id was folded before.
	Repeated bool
	// Cart is the StartedAt of the open cart that changed; 0: none did.
	Cart int64
	// Ordered is up to when carts were closed, if this is an order; else 0.
	Ordered int64
	// Bought: it is an order that was not known before.
	Bought bool
}

// Apply brings e, of a record at now, into p. pb is nil while no playbook is in
// force; then no windows are kept.
func Apply(p *profile.Profile, e *schemas.Event, now int64, pb *playbook.Playbook) Happening {
	at := schemas.Millis(e.GetOccurredAt())
	if at <= 0 || at > now {
		at = now
	}
	h := Happening{Event: e, At: at, Late: now-at > schemas.LateAfter}
	if h.Repeated = !Remember(p, e.GetId(), now); h.Repeated {
		return h
	}
	if p.FirstSeen == 0 || at < p.FirstSeen {
		p.FirstSeen = at
	}
	b := book{p: p, pb: pb, at: at, now: now, late: h.Late}
	switch body := e.GetBody().(type) {
	case *schemas.Event_Outcome:
		b.outcome(body.Outcome)
		return h // ours, no sign of life
	case *schemas.Event_Merge, *schemas.Event_Forget:
		return h // what they carry has its own rules
	case *schemas.Event_Rejection:
		b.rejection(body.Rejection)
		return h // a mail server's word, no sign of life
	case *schemas.Event_Engagement:
		if body.Engagement.GetMachine() != "" {
			b.machine(body.Engagement)
			return h // nobody was there
		}
		b.engagement(body.Engagement)
	case *schemas.Event_Identify:
		b.identify(body.Identify)
	case *schemas.Event_Visit:
		b.visit()
	case *schemas.Event_View:
		b.view(body.View)
	case *schemas.Event_Cart:
		h.Cart = b.cart(body.Cart)
	case *schemas.Event_Order:
		before := p.Orders.Count
		h.Ordered = b.order(body.Order)
		h.Bought = p.Orders.Count > before
	case *schemas.Event_OrderCancelled:
		b.cancelOrder(body.OrderCancelled)
	case *schemas.Event_Ticket:
		b.ticket(body.Ticket)
	case *schemas.Event_Subscription:
		b.subscription(body.Subscription, e.GetId())
	case *schemas.Event_Preferences:
		b.preferences(body.Preferences, e.GetId())
	case *schemas.Event_Named:
		b.named(body.Named)
	}
	p.LastSeen = max(p.LastSeen, at)
	return h
}

// Remember reports whether id is new, and remembers it for a day.
func Remember(p *profile.Profile, id string, now int64) bool {
	if id == "" {
		return true
	}
	hash := hashed(id)
	forget := 0
	for forget < len(p.Seen) && p.Seen[forget].At <= now-profile.SeenFor {
		forget++
	}
	if forget == len(p.Seen) {
		forget, p.Seen = 0, p.Seen[:0] // and goes on in the same memory
	}
	p.Seen = p.Seen[forget:]
	for _, seen := range p.Seen {
		if seen.Hash == hash {
			return false
		}
	}
	if len(p.Seen) >= profile.MaxSeen {
		p.Seen = p.Seen[1:]
		p.SeenOverflow++
	}
	p.Seen = append(p.Seen, profile.Seen{Hash: hash, At: now})
	return true
}

// hashed is an id as it is remembered: not keyed by the customer, so that a merge
// takes it along.
func hashed(id string) uint64 { return xxhash.Sum64String(id) }

// book writes one event into a profile.
type book struct {
	p       *profile.Profile
	pb      *playbook.Playbook
	at, now int64
	late    bool
}

func count(t *profile.Tally, at int64) {
	t.Count++
	if t.First == 0 || at < t.First {
		t.First = at
	}
	t.Last = max(t.Last, at)
}

// insert keeps s ordered by instant and at most limit long; the oldest go.
func insert[T any](s []T, x T, at func(T) int64, limit int) []T {
	i := len(s)
	for i > 0 && at(s[i-1]) > at(x) {
		i--
	}
	if len(s) >= limit {
		if i == 0 {
			return s
		}
		copy(s[:i-1], s[1:i])
		s[i-1] = x
		return s
	}
	return slices.Insert(s, i, x)
}

// maxEmail is what SMTP carries.
const maxEmail = 254

// text is s as far as it is kept.
func text(s string) string { return clip(s, profile.MaxText) }

// clip cuts s to n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n])
}

// url is s, unless it is too long to be kept: a part of it leads nowhere.
func url(s string) string {
	if len(s) > profile.MaxURL {
		return ""
	}
	return s
}

func (b book) identify(i *schemas.Identify) {
	p := b.p
	// What is late fills gaps; it does not undo what was said since.
	set := func(field *string, value string) {
		if value != "" && (!b.late || *field == "") {
			*field = value
		}
	}
	if len(i.GetEmail()) <= maxEmail {
		before := p.Email
		if set(&p.Email, i.GetEmail()); !strings.EqualFold(before, p.Email) {
			p.SoftBounces = nil
		}
	}
	suppress(p)
	set(&p.FirstName, text(i.GetFirstName()))
	set(&p.LastName, text(i.GetLastName()))
	set(&p.TimeZone, text(i.GetTimeZone()))
	set(&p.Country, text(i.GetCountry()))
	set(&p.Language, text(i.GetLanguage()))
	for _, name := range slices.Sorted(maps.Keys(i.GetTraits())) {
		value := clip(i.GetTraits()[name], profile.MaxURL)
		name = text(name)
		at, found := slices.BinarySearchFunc(p.Traits, name, func(t profile.Trait, n string) int { return strings.Compare(t.Name, n) })
		if found {
			set(&p.Traits[at].Value, value)
		} else {
			p.Traits = slices.Insert(p.Traits, at, profile.Trait{Name: name, Value: value})
		}
	}
	if len(p.Traits) > profile.MaxTraits {
		p.Traits = p.Traits[:profile.MaxTraits]
	}
}

func (b book) visit() {
	count(&b.p.Visits, b.at)
	b.p.OnSite.Add(b.at)
	b.pb.RecordVisit(b.p, b.at, b.now)
}

func (b book) view(v *schemas.View) {
	seen := profile.View{At: b.at, Product: text(v.GetProduct().GetId()), Category: text(v.GetProduct().GetCategory()), PriceMicros: v.GetProduct().GetPriceMicros()}
	if seen.Category == "" {
		seen.Category = text(v.GetCategory())
	}
	count(&b.p.Views.Tally, b.at)
	b.p.OnSite.Add(b.at)
	b.p.Views.Recent = insert(b.p.Views.Recent, seen, func(x profile.View) int64 { return x.At }, profile.MaxViews)
	b.pb.RecordView(b.p, seen, v.GetProduct().GetName(), b.now)
}

func (b book) ticket(t *schemas.Ticket) {
	if t.GetClosed() {
		if i := slices.Index(b.p.Tickets.Open, text(t.GetTicketId())); i >= 0 {
			b.p.Tickets.Open = slices.Delete(b.p.Tickets.Open, i, i+1)
		}
		return
	}
	count(&b.p.Tickets.Tally, b.at)
	b.p.OnSite.Add(b.at)
	if len(b.p.Tickets.Open) < profile.MaxNamed {
		b.p.Tickets.Open = append(b.p.Tickets.Open, text(t.GetTicketId()))
	}
	b.pb.RecordTicket(b.p, b.at, b.now)
}

func (b book) engagement(e *schemas.Engagement) {
	b.p.SoftBounces = nil // it was taken, and read
	b.p.InMail.Add(b.at)
	switch e.GetKind() {
	case schemas.Engagement_OPENED:
		count(&b.p.Opened, b.at)
		b.pb.RecordOpened(b.p, b.at, b.now)
	case schemas.Engagement_CLICKED:
		count(&b.p.Clicked, b.at)
		b.pb.RecordClicked(b.p, b.at, b.now)
	}
}

// machine counts what proxies and scanners did apart: it says nothing of the
// customer.
func (b book) machine(e *schemas.Engagement) {
	switch e.GetKind() {
	case schemas.Engagement_OPENED:
		b.p.MachineOpens++
	case schemas.Engagement_CLICKED:
		b.p.MachineClicks++
	}
}

func (b book) named(n *schemas.Named) {
	named := profile.Named{Name: text(n.GetName()), At: b.at, CheapestFirst: n.GetCheapestFirst()}
	b.p.Named = insert(b.p.Named, named, func(x profile.Named) int64 { return x.At }, profile.MaxNamed)
	b.pb.RecordNamed(b.p, named, b.now)
}

func (b book) outcome(o *schemas.Outcome) {
	switch o.GetKind() {
	case schemas.Outcome_SENT:
		count(&b.p.Sent, b.at)
		b.pb.RecordSent(b.p, b.at, b.now)
	case schemas.Outcome_BOUNCED:
		address := cmp.Or(o.GetAddress(), b.p.Email)
		switch {
		case address == "" || len(address) > maxEmail:
		case !o.GetSoft():
			bounced(b.p, address)
			suppress(b.p)
		case strings.EqualFold(address, b.p.Email):
			softly(b.p, b.pb, b.at)
		}
	case schemas.Outcome_COMPLAINED:
		b.p.Suppressed = complained
	}
}

// rejection holds for our mails as well: the address and its reader are the same.
func (b book) rejection(r *schemas.Rejection) {
	switch address := cmp.Or(r.GetAddress(), b.p.Email); {
	case r.GetSpam():
		b.p.Suppressed = complained
	case address != "" && len(address) <= maxEmail:
		bounced(b.p, address)
		suppress(b.p)
	}
}

const complained = "complained"

// bounced notes that an address does not work, for as long as it is remembered.
func bounced(p *profile.Profile, address string) {
	p.Bounced = append(slices.DeleteFunc(p.Bounced, func(a string) bool { return strings.EqualFold(a, address) }), address)
	p.Bounced = p.Bounced[max(0, len(p.Bounced)-profile.MaxBounced):]
}

// softly notes that Email did not take mails at these instants. Too many in a row
// are as good as one that was hard.
func softly(p *profile.Profile, pb *playbook.Playbook, at ...int64) {
	for _, x := range at {
		p.SoftBounces = insert(p.SoftBounces, x, func(x int64) int64 { return x }, profile.MaxSoftBounces)
	}
	limit := pb.Softly()
	if n := len(p.SoftBounces); n > 0 {
		last := p.SoftBounces[n-1]
		p.SoftBounces = slices.DeleteFunc(p.SoftBounces, func(x int64) bool { return x <= last-limit.Within })
	}
	if len(p.SoftBounces) >= limit.N {
		bounced(p, p.Email)
		suppress(p)
	}
}

// suppress says why no mail may go out, the gravest first. Nothing undoes a
// complaint; a bounce is of the address, whoever has it again.
func suppress(p *profile.Profile) {
	switch {
	case p.Suppressed == complained:
	case slices.ContainsFunc(p.Bounced, func(a string) bool { return strings.EqualFold(a, p.Email) }):
		p.Suppressed = "bounced"
	case p.Consent == profile.Unsubscribed:
		p.Suppressed = "unsubscribed"
	default:
		p.Suppressed = ""
	}
}
