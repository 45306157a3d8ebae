package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"segue/benchmarks/storefront"
	"segue/schemas"
	"segue/schemas/playbook"
)

// audit holds what was promised against what the log and the inbox say. It
// knows no station: only records, mails, and what the storefront says it did.
//
// Time in it is the log's: a record counts as known once its own time has
// passed, since every instant is quiet before the clock moves on.
type audit struct {
	playbook *playbook.Playbook
	source   string // of what the storefront posted

	people     map[string]*person
	deliveries map[string]*audited
	mails      []auditedMail
	byMail     map[string]int // mails by delivery

	posted    int
	postedIDs storefront.Digest
	lines     map[int]int // how often a line of the file is in the log
	opens     int
	clicks    int
	unsubs    int
	dead      []string

	zones map[string]*time.Location
}

// person is what decides whether a mail was right, in order of the log.
type person struct{ moments []moment }

type moment struct {
	at   int64
	kind momentKind
	zone string
}

type momentKind uint8

const (
	carted momentKind = iota
	ordered
	subscribed
	unsubscribed
	moved // to another time zone
)

// audited is a delivery and what became of it.
type audited struct {
	delivery *schemas.Delivery
	outcomes []schemas.Outcome_Kind
}

type auditedMail struct {
	at       int64
	delivery string
	to       string
}

func newAudit(pb *playbook.Playbook, source string) *audit {
	return &audit{
		playbook: pb, source: source,
		people: map[string]*person{}, deliveries: map[string]*audited{}, byMail: map[string]int{},
		lines: map[int]int{}, zones: map[string]*time.Location{},
	}
}

// event brings in a record of events; at is its time.
func (a *audit) event(at int64, e *schemas.Event) {
	if e.GetSource() == a.source {
		a.account(e)
	}
	who := func(kind momentKind, zone string) {
		p := a.people[e.GetCustomer()]
		if p == nil {
			p = &person{}
			a.people[e.GetCustomer()] = p
		}
		p.moments = append(p.moments, moment{at, kind, zone})
	}
	switch body := e.GetBody().(type) {
	case *schemas.Event_Cart:
		if c := body.Cart.GetChange(); c == schemas.CartChange_ADDED || c == schemas.CartChange_REPLACED {
			who(carted, "")
		}
	case *schemas.Event_Order:
		who(ordered, "")
	case *schemas.Event_Subscription:
		if body.Subscription.GetSubscribed() {
			who(subscribed, "")
			return
		}
		who(unsubscribed, "")
		a.unsubs++
	case *schemas.Event_Identify:
		if zone := body.Identify.GetTimeZone(); zone != "" {
			who(moved, zone)
		}
	case *schemas.Event_Engagement:
		switch body.Engagement.GetKind() {
		case schemas.Engagement_OPENED:
			a.opens++
		case schemas.Engagement_CLICKED:
			a.clicks++
		}
	case *schemas.Event_Outcome:
		if o := body.Outcome; final(o.GetKind()) {
			a.of(o.GetDeliveryId()).outcomes = append(a.of(o.GetDeliveryId()).outcomes, o.GetKind())
		}
	}
}

// final reports whether a delivery ends in kind.
func final(kind schemas.Outcome_Kind) bool {
	switch kind {
	case schemas.Outcome_SENT, schemas.Outcome_FAILED, schemas.Outcome_STALE, schemas.Outcome_CANCELLED, schemas.Outcome_IN_DOUBT, schemas.Outcome_SHADOWED:
		return true
	}
	return false
}

// account counts what the storefront posted.
func (a *audit) account(e *schemas.Event) {
	switch body := e.GetBody().(type) {
	case *schemas.Event_Link:
		return // the collector's own, beside the identify it came with
	case *schemas.Event_Order:
		for _, p := range body.Order.GetProducts() {
			if _, line, ok := strings.Cut(p.GetUrl(), "#"); ok {
				a.line(line)
			}
		}
	case *schemas.Event_OrderCancelled:
		if line, ok := strings.CutPrefix(e.GetId(), "refund-line-"); ok {
			a.line(line)
		}
	case *schemas.Event_Named:
		for item := range strings.FieldsSeq(body.Named.GetProperties()["items"]) {
			line, _, _ := strings.Cut(item, ":")
			a.line(line)
		}
	}
	a.posted++
	a.postedIDs.Add(e.GetId())
}

func (a *audit) line(number string) {
	n, _ := strconv.Atoi(number) // what is no number is line 0, which the file does not have
	a.lines[n]++
}

// command brings in a record of deliveries.
func (a *audit) command(c *schemas.DeliveryCommand) {
	if d := c.GetSend(); d != nil {
		a.of(d.GetId()).delivery = d
	}
}

// mail brings in what lay in the inbox.
func (a *audit) mail(at time.Time, delivery, to string) {
	a.mails = append(a.mails, auditedMail{at.UnixMilli(), delivery, to})
	a.byMail[delivery]++
}

// deadLetter brings in a record of dead-letters.
func (a *audit) deadLetter(key, reason string) {
	a.dead = append(a.dead, fmt.Sprintf("%s: %s", textOr(key, "no key"), reason))
}

func (a *audit) of(delivery string) *audited {
	d := a.deliveries[delivery]
	if d == nil {
		d = &audited{}
		a.deliveries[delivery] = d
	}
	return d
}

// broken returns a line per broken promise, in a fixed order; none is good.
func (a *audit) broken(did storefront.Ledger) []string {
	return slices.Concat(a.brokenMails(), a.brokenCaps(), a.brokenDeliveries(), a.brokenAccount(did))
}

// brokenMails looks at each mail on its own.
func (a *audit) brokenMails() (lines []string) {
	slices.SortStableFunc(a.mails, func(x, y auditedMail) int {
		return cmp.Or(cmp.Compare(x.at, y.at), strings.Compare(x.delivery, y.delivery))
	})
	steps := map[string]string{}
	reported := map[string]bool{}
	for _, m := range a.mails {
		say := func(format string, args ...any) {
			lines = append(lines, fmt.Sprintf("mail %s to %s at %s: ", m.delivery, m.to, a.local(m, time.UTC))+fmt.Sprintf(format, args...))
		}
		d := a.of(m.delivery).delivery
		if d == nil {
			say("nobody asked for it")
			continue
		}
		if n := a.byMail[m.delivery]; n > 1 && !reported[m.delivery] {
			reported[m.delivery] = true
			say("sent %d times", n)
		}
		step := fmt.Sprintf("%s, journey %s of %s, step %d", d.GetCustomer(), d.GetJourney(), d.GetInstance(), d.GetStep())
		if other, ok := steps[step]; ok && other != m.delivery {
			say("repeats %s: %s", other, step)
		}
		steps[step] = m.delivery
		if d.GetTo() != m.to {
			say("went to another than %s", d.GetTo())
		}
		p := a.people[d.GetCustomer()]
		if p == nil {
			p = &person{}
		}
		if order, ok := p.boughtBefore(m.at); ok && a.aboutCart(d.GetJourney()) {
			say("after its purchase at %s", time.UnixMilli(order).UTC().Format(time.DateTime))
		}
		if since, ok := p.unsubscribedAt(m.at); ok {
			say("to somebody who unsubscribed at %s", time.UnixMilli(since).UTC().Format(time.DateTime))
		}
		if q := a.playbook.Limits.Quiet; q != nil {
			local := time.UnixMilli(m.at).In(a.zone(p, m.at))
			if quiet(q, local.Hour()*60+local.Minute()) {
				say("in quiet hours: it was %s there", local.Format("15:04 MST"))
			}
		}
	}
	return lines
}

func (a *audit) local(m auditedMail, zone *time.Location) string {
	return time.UnixMilli(m.at).In(zone).Format(time.DateTime)
}

// aboutCart reports whether a journey is about a cart, which a purchase closes.
func (a *audit) aboutCart(journey string) bool {
	return slices.ContainsFunc(a.playbook.Journeys, func(j playbook.Journey) bool {
		return j.Name == journey && j.Start.Kind == playbook.CartAbandoned
	})
}

func quiet(q *playbook.Quiet, minute int) bool {
	if q.From > q.To {
		return minute >= q.From || minute < q.To
	}
	return minute >= q.From && minute < q.To
}

// boughtBefore returns the last order before at, if nothing was put into a cart
// since: then there was nothing left to remind of.
func (p *person) boughtBefore(at int64) (order int64, ok bool) {
	for _, m := range p.moments {
		switch {
		case m.kind == ordered && m.at < at:
			order, ok = m.at, true
		case m.kind == carted && m.at <= at:
			ok = false
		}
	}
	return order, ok
}

// unsubscribedAt returns since when p was unsubscribed at at.
func (p *person) unsubscribedAt(at int64) (since int64, ok bool) {
	for _, m := range p.moments {
		switch {
		case m.at >= at:
			return since, ok
		case m.kind == subscribed:
			ok = false
		case m.kind == unsubscribed && !ok:
			since, ok = m.at, true
		}
	}
	return since, ok
}

// zone returns where p was at at; the store's when it never said.
func (a *audit) zone(p *person, at int64) *time.Location {
	zone := a.playbook.Store.Zone
	if zone == nil {
		zone = time.UTC
	}
	for _, m := range p.moments {
		if m.kind != moved || m.at > at {
			continue
		}
		if a.zones[m.zone] == nil {
			loaded, err := time.LoadLocation(m.zone)
			if err != nil {
				continue // not a zone: whatever was known before holds
			}
			a.zones[m.zone] = loaded
		}
		zone = a.zones[m.zone]
	}
	return zone
}

// brokenCaps counts each customer's mails by calendar day, week and month.
func (a *audit) brokenCaps() (lines []string) {
	for _, limit := range a.playbook.Limits.AtMost {
		counts := map[string]int{}
		for _, m := range a.mails {
			d := a.of(m.delivery).delivery
			if d == nil {
				continue
			}
			p := a.people[d.GetCustomer()]
			if p == nil {
				p = &person{}
			}
			counts[d.GetCustomer()+" "+period(time.UnixMilli(m.at).In(a.zone(p, m.at)), limit.Per)]++
		}
		for _, key := range slices.Sorted(maps.Keys(counts)) {
			if n := counts[key]; n > limit.N {
				lines = append(lines, fmt.Sprintf("customer %s: got %d mails, want at most %d", key, n, limit.N))
			}
		}
	}
	return lines
}

// period names the calendar period that t is in.
func period(t time.Time, per playbook.Period) string {
	switch per {
	case playbook.Day:
		return "on " + t.Format(time.DateOnly)
	case playbook.Week:
		year, week := t.ISOWeek()
		return fmt.Sprintf("in week %d-W%02d", year, week)
	default:
		return "in " + t.Format("2006-01")
	}
}

// brokenDeliveries wants one outcome of each, and a mail for each that is sent.
func (a *audit) brokenDeliveries() (lines []string) {
	for _, id := range slices.Sorted(maps.Keys(a.deliveries)) {
		d := a.deliveries[id]
		if d.delivery == nil {
			if len(d.outcomes) > 0 {
				lines = append(lines, fmt.Sprintf("delivery %s: outcome %s of what nobody asked for", id, outcomes(d.outcomes)))
			}
			continue
		}
		if len(d.outcomes) != 1 {
			lines = append(lines, fmt.Sprintf("delivery %s to %s: got %s, want exactly one outcome", id, d.delivery.GetTo(), outcomes(d.outcomes)))
		}
		sent := slices.Contains(d.outcomes, schemas.Outcome_SENT)
		if mails := a.byMail[id]; sent && mails == 0 {
			lines = append(lines, fmt.Sprintf("delivery %s to %s: sent, but not in the inbox", id, d.delivery.GetTo()))
		} else if !sent && mails > 0 && !slices.Contains(d.outcomes, schemas.Outcome_IN_DOUBT) {
			lines = append(lines, fmt.Sprintf("delivery %s to %s: in the inbox, but %s", id, d.delivery.GetTo(), outcomes(d.outcomes)))
		}
	}
	return lines
}

func outcomes(kinds []schemas.Outcome_Kind) string {
	if len(kinds) == 0 {
		return "no outcome"
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = outcomeName(k)
	}
	return strings.Join(names, " and ")
}

func outcomeName(k schemas.Outcome_Kind) string {
	return strings.ReplaceAll(strings.ToLower(k.String()), "_", "-")
}

// brokenAccount compares the log with what the storefront did.
func (a *audit) brokenAccount(did storefront.Ledger) (lines []string) {
	if a.posted != did.Posted {
		lines = append(lines, fmt.Sprintf("events that the storefront posted: got %d in the log, want %d", a.posted, did.Posted))
	}
	for _, c := range []struct {
		what      string
		got, want int
	}{{"opens", a.opens, did.Opens}, {"clicks", a.clicks, did.Clicks}, {"unsubscribes", a.unsubs, did.Unsubscriptions}} {
		if c.got < c.want { // more are of a person who reads along
			lines = append(lines, fmt.Sprintf("%s: got %d in the log, want %d or more", c.what, c.got, c.want))
		}
	}
	if a.posted == did.Posted && a.postedIDs != did.PostedIDs {
		lines = append(lines, fmt.Sprintf("events that the storefront posted: the %d ids in the log are others", a.posted))
	}
	for n := 1; n <= did.Lines; n++ {
		if got := a.lines[n]; got != 1 {
			lines = append(lines, fmt.Sprintf("line %d of the orders: got it %d times in the log, want once", n, got))
		}
	}
	if extra := len(a.lines) - did.Lines; extra > 0 {
		lines = append(lines, fmt.Sprintf("lines of the orders: got %d in the log, want %d", len(a.lines), did.Lines))
	}
	for _, d := range a.dead {
		lines = append(lines, "dead letter: "+d)
	}
	return lines
}
