package facts

import (
	"slices"
	"strings"

	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// Redirect empties the profile of somebody who became another, and returns what it
// held.
func Redirect(p *profile.Profile, known string) *profile.Profile {
	held := *p
	*p = profile.Profile{Customer: p.Customer, RedirectTo: known, Known: p.Known, Names: p.Names, FirstSeen: p.FirstSeen, LastSeen: p.LastSeen,
		Holdout: p.Holdout, Playbook: p.Playbook, Seen: slices.Clone(p.Seen), SeenOverflow: p.SeenOverflow}
	held.Names, held.Segments, held.Runs, held.Scores, held.Next = nil, nil, nil, nil, 0
	return &held
}

// KnownAs notes that name became p. Of too many, the one not heard of for the
// longest is dropped, and returned; else "".
func KnownAs(p *profile.Profile, name string) (dropped string) {
	p.Names = append(slices.DeleteFunc(p.Names, func(n string) bool { return n == name }), name)
	if len(p.Names) > profile.MaxNames {
		dropped, p.Names = p.Names[0], p.Names[1:]
	}
	return dropped
}

// Merge brings what an anonymous visitor did into the customer it became. What
// happened is merged by when it happened, mails that count against the caps
// included; what the customer is (name, address, holdout) stays, and gaps are
// filled. Instants are clamped to now: the other partition's clock may be ahead.
// The starts of the carts that came along, or changed, are returned.
func Merge(p, from *profile.Profile, now int64, pb *playbook.Playbook) (carts []int64) {
	clamp(from, now)
	ordered, theyOrdered := p.Orders.Last, from.Orders.Last
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&p.Email, from.Email)
	fill(&p.FirstName, from.FirstName)
	fill(&p.LastName, from.LastName)
	fill(&p.TimeZone, from.TimeZone)
	fill(&p.Country, from.Country)
	fill(&p.Language, from.Language)
	fill(&p.Orders.Currency, from.Orders.Currency)
	for _, address := range from.Bounced {
		bounced(p, address)
	}
	if strings.EqualFold(p.Email, from.Email) {
		softly(p, pb, from.SoftBounces...)
	}
	if from.Suppressed == complained {
		p.Suppressed = complained
	}
	if from.Consent != profile.Unsaid {
		say(p, from.Consent, from.ConsentAt)
	}
	suppress(p)
	if x := from.Preferences; x != nil && (p.Preferences == nil || p.Preferences.At < x.At) {
		p.Preferences = x
	}
	p.MachineOpens += from.MachineOpens
	p.MachineClicks += from.MachineClicks
	p.RefusedLinks += from.RefusedLinks
	p.Traits = union(p.Traits, from.Traits, func(a, b profile.Trait) int { return strings.Compare(a.Name, b.Name) }, profile.MaxTraits)
	p.OnSite.Join(from.OnSite)
	p.InMail.Join(from.InMail)
	p.FirstSeen = earliest(p.FirstSeen, from.FirstSeen)
	p.LastSeen = max(p.LastSeen, from.LastSeen)

	from.Orders.Recent = slices.DeleteFunc(from.Orders.Recent, func(o profile.Order) bool { // both may have heard of one
		known := o.ID != "" && slices.ContainsFunc(p.Orders.Recent, func(x profile.Order) bool { return x.ID == o.ID })
		if known && !o.Cancelled {
			pb.RecordCancelled(from, o, now)
			from.Orders.Count--
			from.Orders.ValueMicros -= o.Counts()
			from.Orders.Discounted -= o.Discount()
		}
		return known
	})
	if from.Orders.Currency != "" && from.Orders.Currency != p.Orders.Currency {
		exchange(from, p.Orders.Currency, now, pb)
	}
	for _, t := range [][2]*profile.Tally{
		{&p.Orders.Tally, &from.Orders.Tally}, {&p.Views.Tally, &from.Views.Tally}, {&p.Visits, &from.Visits}, {&p.Sent, &from.Sent},
		{&p.Opened, &from.Opened}, {&p.Clicked, &from.Clicked}, {&p.Tickets.Tally, &from.Tickets.Tally}} {
		t[0].Count += t[1].Count
		t[0].First = earliest(t[0].First, t[1].First)
		t[0].Last = max(t[0].Last, t[1].Last)
	}
	p.Orders.ValueMicros += from.Orders.ValueMicros
	p.Orders.Discounted += from.Orders.Discounted
	for _, o := range from.Orders.Recent {
		p.Orders.Recent = insert(p.Orders.Recent, o, func(x profile.Order) int64 { return x.At }, profile.MaxOrders)
	}
	for _, v := range from.Views.Recent {
		p.Views.Recent = insert(p.Views.Recent, v, func(x profile.View) int64 { return x.At }, profile.MaxViews)
	}
	for _, n := range from.Named {
		p.Named = insert(p.Named, n, func(x profile.Named) int64 { return x.At }, profile.MaxNamed)
	}
	for _, m := range from.Mails {
		p.Mails = insert(p.Mails, m, func(x profile.Mail) int64 { return x.At }, profile.MaxMails)
	}
	p.Tickets.Open = append(p.Tickets.Open, from.Tickets.Open...)
	p.Tickets.Open = p.Tickets.Open[:min(len(p.Tickets.Open), profile.MaxNamed)]
	carts = mergeCarts(p, from.Carts, ordered, theyOrdered)
	pb.Merge(p, from, now)
	for _, s := range from.Seen {
		if len(p.Seen) < profile.MaxSeen {
			p.Seen = insert(p.Seen, s, func(x profile.Seen) int64 { return x.At }, profile.MaxSeen)
		}
	}
	return carts
}

// exchange makes p's sums hold another currency. What is not remembered order by
// order is left out of them.
func exchange(p *profile.Profile, currency string, now int64, pb *playbook.Playbook) {
	sum := int64(0)
	for i := range p.Orders.Recent {
		o := &p.Orders.Recent[i]
		before := o.Counts()
		switch o.Currency {
		case "":
			o.Currency = p.Orders.Currency
		case currency:
			o.Currency = ""
		}
		sum += o.Counts()
		pb.RecordRevalued(p, *o, o.Counts()-before, now)
	}
	p.Orders.Currency, p.Orders.ValueMicros = currency, sum
}

// mergeCarts takes over the carts that the customer's last order has not closed, once
// the visitor's has closed the customer's; what each had left open of their own
// stays. One with an id that is known is that cart.
func mergeCarts(p *profile.Profile, carts []profile.Cart, ordered, theyOrdered int64) (started []int64) {
	p.Carts = slices.DeleteFunc(p.Carts, func(k profile.Cart) bool { return k.ChangedAt <= theyOrdered })
	for _, k := range carts {
		if ordered > 0 && k.ChangedAt <= ordered+ClockSkew {
			continue
		}
		same := slices.IndexFunc(p.Carts, func(x profile.Cart) bool { return x.ID != "" && x.ID == k.ID })
		if same >= 0 {
			x := &p.Carts[same]
			switch { // what was told whole holds what was changed before, under either name
			case k.ChangedAt <= x.WholeAt:
			case x.ChangedAt <= k.WholeAt:
				x.Items = k.Items
			default:
				for _, i := range k.Items {
					x.Items = add(x.Items, i)
				}
			}
			x.WholeAt = max(x.WholeAt, k.WholeAt)
			x.ChangedAt = max(x.ChangedAt, k.ChangedAt)
			started = append(started, x.StartedAt)
			x.Done = slices.Compact(slices.Sorted(slices.Values(append(x.Done, k.Done...))))
			continue
		}
		for slices.ContainsFunc(p.Carts, func(x profile.Cart) bool { return x.StartedAt == k.StartedAt }) {
			k.StartedAt++
		}
		p.Carts = insert(p.Carts, k, func(x profile.Cart) int64 { return x.StartedAt }, profile.MaxCarts)
		started = append(started, k.StartedAt)
	}
	return started
}

func clamp(p *profile.Profile, now int64) {
	at := func(instants ...*int64) {
		for _, x := range instants {
			*x = min(*x, now)
		}
	}
	at(&p.FirstSeen, &p.LastSeen, &p.ConsentAt, &p.OnSite.At, &p.InMail.At)
	for _, t := range []*profile.Tally{&p.Orders.Tally, &p.Views.Tally, &p.Visits, &p.Sent, &p.Opened, &p.Clicked, &p.Tickets.Tally} {
		at(&t.First, &t.Last)
	}
	for i := range p.Orders.Recent {
		at(&p.Orders.Recent[i].At)
	}
	for i := range p.Carts {
		at(&p.Carts[i].StartedAt, &p.Carts[i].ChangedAt, &p.Carts[i].WholeAt)
	}
	for i := range p.Views.Recent {
		at(&p.Views.Recent[i].At)
	}
	for i := range p.Named {
		at(&p.Named[i].At)
	}
	for i := range p.Mails {
		at(&p.Mails[i].At)
	}
	for i := range p.Series {
		for n := range p.Series[i].Points {
			at(&p.Series[i].Points[n].At)
		}
	}
	for i := range p.Seen {
		at(&p.Seen[i].At)
	}
	for i := range p.SoftBounces {
		at(&p.SoftBounces[i])
	}
	if p.Preferences != nil {
		at(&p.Preferences.At)
	}
}

func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// union adds to a, sorted, what it lacks of b, up to limit.
func union[T any](a, b []T, compare func(T, T) int, limit int) []T {
	for _, x := range b {
		if i, found := slices.BinarySearchFunc(a, x, compare); !found && len(a) < limit {
			a = slices.Insert(a, i, x)
		}
	}
	return a
}
