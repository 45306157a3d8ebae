package score

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"segue/schemas/models"
	"segue/schemas/playbook"
)

// reason is what a score is so for, and how much that weighs.
type reason struct {
	weight float64
	text   string
}

// reasons is how many reasons are given at most.
const reasons = 3

// Reasons say in words and numbers what made a score what it is at an instant, the
// weightiest first.
func (r *Reader) Reasons(s playbook.Score, now int64) []string {
	var all []reason
	switch s {
	case playbook.Churn:
		all = r.whyGone(now)
	case playbook.PropensityDay:
		all = r.whyLikely(&r.set.Propensity.Day, now)
	case playbook.Propensity:
		all = r.whyLikely(&r.set.Propensity.Week, now)
	case playbook.Value, playbook.ValueRank:
		all = r.whyWorth(now)
	case playbook.NextOrder:
		o := r.ordered()
		all = []reason{{2, fmt.Sprintf("last order on %s", time.UnixMilli(o.last).UTC().Format(time.DateOnly))}, {1, fmt.Sprintf("usually %s between orders", span(r.gap()))}}
	case playbook.InterestCategory:
		if _, n, _ := r.interest(now); n > 0 {
			all = []reason{{1, fmt.Sprintf("looks within %s, and nothing bought of it: %d, it takes %d", span(interestWindow/day), n, interestViews)}}
		}
	case playbook.NextProduct:
		if x := r.next(); x.Buy != "" {
			all = []reason{{1, fmt.Sprintf("has %s, after which %.0f%% buy it, and does not have it", x.After, 100*x.Chance)}}
		}
	case playbook.OrdersTier, playbook.ViewsTier:
		if x := r.set.Price; x.Premium > 0 {
			all = []reason{{1, fmt.Sprintf("low is less than %.2f, premium from %.2f on", x.Low, x.Premium)}}
		}
	case playbook.PriceSensitivity:
		all = r.whySensitive()
	case playbook.Engagement:
		p := r.p
		all = []reason{{2, fmt.Sprintf("opened or clicked %d of %d mails", p.Opened.Count+p.Clicked.Count, p.Sent.Count)},
			{1, fmt.Sprintf("last %s ago", span(days(now-p.InMail.At)))}}
	}
	slices.SortStableFunc(all, func(a, b reason) int { return cmp.Compare(math.Abs(b.weight), math.Abs(a.weight)) })
	var texts []string
	for _, x := range all[:min(len(all), reasons)] {
		if x.weight != 0 {
			texts = append(texts, x.text)
		}
	}
	return texts
}

// whyGone weighs each way of being silent by what it takes from the odds of being
// alive.
func (r *Reader) whyGone(now int64) (all []reason) {
	c, o, p := r.leaving(), r.ordered(), r.p
	if c.since == 0 {
		return nil
	}
	t := days(now - c.since)
	weigh := func(x kind) float64 { return x.k * math.Log1p(min(t, x.until)/x.b) }
	switch {
	case t <= 0:
		return []reason{{1, "seen right now"}}
	case t < 1:
		return []reason{{1, "seen " + span(t) + " ago"}}
	}
	i := 1
	if o.days > 0 {
		all = append(all, reason{weigh(c.kinds[i]), fmt.Sprintf("no order for %s, usually %s between orders", span(days(now-o.last)), span(r.gap()))})
		i++
	}
	if n, over := p.OnSite.Count(); n > 0 {
		all = append(all, reason{weigh(c.kinds[i]), fmt.Sprintf("not on the site for %s, after %d days with a visit in %d", span(days(now-p.OnSite.At)), n, over+1)})
		i++
	}
	if i < c.n {
		n, over := p.InMail.Count()
		all = append(all, reason{weigh(c.kinds[i]), fmt.Sprintf("no mail opened for %s, after %d days with one in %d", span(days(now-p.InMail.At)), n, over+1)})
	}
	if n := len(p.Tickets.Open); n > 0 {
		all = append(all, reason{math.Log(r.set.Churn.OpenTicket), fmt.Sprintf("waits for support, open tickets: %d", n)})
	}
	return all
}

func (r *Reader) whyLikely(m *models.Logit, now int64) (all []reason) {
	for i, x := range r.Features(now) {
		if w := m.Of[i] * x; w != 0 {
			text := models.Features[i].About
			if n := math.Round(math.Expm1(r.fading().seen[i])); models.Features[i].Counts {
				text += ": " + strconv.Itoa(int(n))
			}
			all = append(all, reason{w, fmt.Sprintf("%s (%+.2f)", text, w)})
		}
	}
	return append(all, reason{.01, "last seen " + span(days(now-r.fading().since)) + " ago"})
}

func (r *Reader) whyWorth(now int64) []reason {
	o := r.ordered()
	if o.days == 0 {
		return nil
	}
	return []reason{{3, fmt.Sprintf("days with an order: %d, the first %s ago", o.days, span(days(now-o.first)))},
		{2, fmt.Sprintf("an order is worth %.2f", r.meanOrder())},
		{1, fmt.Sprintf("still a customer with %.0f%%", 100*r.alive(now))}}
}

// whySensitive weighs each sign by how far it is from the usual share.
func (r *Reader) whySensitive() (all []reason) {
	x, set := r.priced(), &r.set.Price
	sign := func(weight float64, by, of int64, format string, args ...any) {
		if of > 0 {
			all = append(all, reason{weight * (float64(by) - set.Sensitivity*float64(of)), fmt.Sprintf(format, args...)})
		}
	}
	sign(set.Order, x.discounted, x.orders, "orders with a discount: %d of %d", x.discounted, x.orders)
	sign(1, int64(x.cheap), int64(x.views), "looks at what costs less than %.2f: %d of %d", set.Low, x.cheap, x.views)
	sign(1, int64(x.tried), int64(x.tried), "coupons tried without such an order: %d", x.tried)
	sign(1, int64(x.sorted), int64(x.sorted), "lists with the cheapest first: %d", x.sorted)
	return all
}

// span is a number of days as a playbook writes it.
func span(d float64) string { return playbook.Span(int64(d * day)) }
