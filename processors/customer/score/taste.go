package score

import (
	"math"
	"slices"
	"strings"

	"segue/schemas/models"
	"segue/schemas/profile"
)

// engagement is a share of mails, and when the last was opened or clicked.
type engagement struct {
	since int64
	share float64
}

// Mailed is how many mails a customer had, and how many of them were opened or clicked.
func Mailed(p *profile.Profile) (sent, opened int64) {
	sent = max(p.Sent.Count, p.Opened.Count, p.Clicked.Count) // other tools send, too
	return sent, min(sent, p.Opened.Count+p.Clicked.Count)
}

// engaged is the share of mails that were opened or clicked by a person, which
// fades with the time since the last; 0: none ever was.
func (r *Reader) engaged(now int64) float64 {
	e, set := &r.engagement, &r.set.Engagement
	if r.first(knowEngagement) {
		sent, opened := Mailed(r.p)
		*e = engagement{r.p.InMail.At, (set.Rate*set.Mails + float64(opened)) / (set.Mails + float64(sent))}
	}
	if e.since == 0 {
		return 0
	}
	return e.share * math.Exp2(-days(max(0, now-e.since))/set.HalfLifeDays)
}

// prices is what somebody did about prices: each count beside how many there
// could have been.
type prices struct {
	orders, discounted int64 // since ever; the rest is of what is kept
	views, cheap       int   // looks at products that have a price
	tried              int   // coupons, beyond those that the orders had
	sorted             int   // lists with the cheapest first
}

// priced sums it up. A coupon is tried once, whether it is told when it is entered
// or when it is taken or refused (Segment's spec), or both.
func (r *Reader) priced() *prices {
	if !r.first(knowPrices) {
		return &r.prices
	}
	p, x, set := r.p, &r.prices, &r.set.Price
	*x = prices{orders: p.Orders.Count, discounted: p.Orders.Discounted}
	for i := range p.Views.Recent {
		if price := p.Views.Recent[i].PriceMicros; price > 0 && set.Premium > 0 {
			x.views++
			if float64(price)/million < set.Low {
				x.cheap++
			}
		}
	}
	entered, answered := 0, 0
	for i := range p.Named {
		switch n := &p.Named[i]; {
		case n.CheapestFirst:
			x.sorted++
		case strings.EqualFold(n.Name, "Coupon Entered"):
			entered++
		case strings.EqualFold(n.Name, "Coupon Applied"), strings.EqualFold(n.Name, "Coupon Denied"):
			answered++
		}
	}
	x.tried = max(0, max(entered, answered)-int(x.discounted))
	return x
}

// Sensitive is how much speaks for somebody buying by price, of how much speaks at
// all; an order weighs more than a look.
func (r *Reader) Sensitive() (by, of float64) {
	x, order := r.priced(), r.set.Price.Order
	signs := float64(x.tried + x.sorted)
	return signs + float64(x.cheap) + order*float64(x.discounted), signs + float64(x.views) + order*float64(x.orders)
}

// priceSensitivity is that share, drawn to the usual one where little is known.
func (r *Reader) priceSensitivity() float64 {
	set := &r.set.Price
	x, of := r.Sensitive()
	return (set.Sensitivity*set.Weight + x) / (set.Weight + of)
}

// tiers counts prices below Low, between, and from Premium on.
type tiers struct{ low, mid, premium int }

func (r *Reader) count(t *tiers, micros int64) {
	switch price := float64(micros) / million; {
	case price <= 0 || r.set.Price.Premium == 0:
	case price < r.set.Price.Low:
		t.low++
	case price < r.set.Price.Premium:
		t.mid++
	default:
		t.premium++
	}
}

// name is that of the middle one, by price.
func (t tiers) name() string {
	half := (t.low + t.mid + t.premium + 1) / 2
	switch {
	case half == 0:
		return ""
	case t.low >= half:
		return "low"
	case t.low+t.mid >= half:
		return "mid"
	}
	return "premium"
}

func (r *Reader) boughtTier() string {
	var t tiers
	for i := range r.p.Orders.Recent {
		if o := &r.p.Orders.Recent[i]; !o.Cancelled {
			for j := range o.Items {
				r.count(&t, o.Items[j].PriceMicros)
			}
		}
	}
	return t.name()
}

func (r *Reader) browsedTier() string {
	var t tiers
	for i := range r.p.Views.Recent {
		r.count(&t, r.p.Views.Recent[i].PriceMicros)
	}
	return t.name()
}

// tally counts a few texts, in no more memory than there is here: those that come
// up after it is full are left out.
type tally struct {
	of [24]struct {
		text string
		n    int
	}
	len int
}

func (t *tally) add(text string, n int) {
	if text == "" {
		return
	}
	for i := range t.of[:t.len] {
		if t.of[i].text == text {
			t.of[i].n += n
			return
		}
	}
	if t.len < len(t.of) {
		t.of[t.len].text, t.of[t.len].n = text, n
		t.len++
	}
}

// most is the text that counts most; of two the one that came up last.
func (t *tally) most() (text string, n int) {
	for _, x := range t.of[:t.len] {
		if x.n >= n {
			text, n = x.text, x.n
		}
	}
	return text, n
}

// favourite is the category that was bought and browsed most, of what is kept; a
// thing bought counts as five seen, and one look is none. The older one wins a tie:
// else who goes to and fro between two would have another with every look.
func (r *Reader) favourite() string {
	const bought, enough = 5, 2
	var t tally
	for i := len(r.p.Orders.Recent) - 1; i >= 0; i-- {
		if o := &r.p.Orders.Recent[i]; !o.Cancelled {
			for j := range o.Items {
				t.add(o.Items[j].Category, bought)
			}
		}
	}
	for i := len(r.p.Views.Recent) - 1; i >= 0; i-- {
		t.add(r.p.Views.Recent[i].Category, 1)
	}
	text, n := t.most()
	if n < enough {
		return ""
	}
	return text
}

// narrowest is the last part of a category such as "Home > Kitchen > Mugs".
func narrowest(category string) string {
	return strings.TrimSpace(category[strings.LastIndexAny(category, ">/|")+1:])
}

// Interest is so many views of a category within so long, and no order of it since
// the first of them.
const (
	interestViews  = 3
	interestWindow = 14 * day
)

// interest is the category of which that holds most, by how many views, and until
// when.
func (r *Reader) interest(now int64) (category string, n int, until int64) {
	var t tally
	views := r.p.Views.Recent
	from := len(views)
	for from > 0 && views[from-1].At > now-interestWindow {
		from--
	}
	for i := len(views) - 1; i >= from; i-- {
		v := &views[i]
		if !r.boughtSince(v.Category, v.At) {
			t.add(v.Category, 1)
		}
	}
	if from < len(views) {
		until = views[from].At + interestWindow // then it is out
	}
	if category, n = t.most(); n < interestViews {
		category = ""
	}
	return category, n, until
}

func (r *Reader) boughtSince(category string, at int64) bool {
	all := r.p.Orders.Recent
	for i := len(all) - 1; i >= 0 && all[i].At >= at; i-- {
		if !all[i].Cancelled && slices.ContainsFunc(all[i].Items, func(x profile.Item) bool { return x.Category == category }) {
			return true
		}
	}
	return false
}

// next is what is most likely bought after the last order, of what the customer
// does not have; none: Buy is "".
func (r *Reader) next() (best models.Pair) {
	all, pairs := r.p.Orders.Recent, r.set.Next
	if len(pairs) == 0 {
		return best
	}
	for i := len(all) - 1; i >= 0 && best.Buy == ""; i-- { // of the last order that leads anywhere
		if all[i].Cancelled {
			continue
		}
		for j := range all[i].Items {
			after := all[i].Items[j].Product
			at, _ := slices.BinarySearchFunc(pairs, after, func(x models.Pair, name string) int { return strings.Compare(x.After, name) })
			for ; at < len(pairs) && pairs[at].After == after; at++ {
				if pairs[at].Chance > best.Chance && !r.has(pairs[at].Buy) {
					best = pairs[at]
				}
			}
		}
	}
	return best
}

func (r *Reader) has(product string) bool {
	return slices.ContainsFunc(r.p.Orders.Recent, func(o profile.Order) bool {
		return !o.Cancelled && slices.ContainsFunc(o.Items, func(x profile.Item) bool { return x.Product == product })
	})
}
