package score

import (
	"math"
	"sort"
	"time"

	"segue/processors/model/gammagamma"
	"segue/processors/model/history"
	"segue/processors/model/special"
)

// orders are what a customer bought, by days: the orders of one day are one.
type orders struct {
	days        int // with an order; the first is no repeat
	first, last int64
	mean        float64 // money of the days after the first; 0: there are none
}

// ordered sums them up. Orders that are no longer kept are taken
// to have come as many on a day as those that are.
func (r *Reader) ordered() *orders {
	if !r.first(knowOrders) {
		return &r.orders
	}
	p, o := r.p, &r.orders
	*o = orders{}
	kept, before, firstDay := 0, int64(-1), int64(0)
	for i := range p.Orders.Recent {
		x := &p.Orders.Recent[i]
		if x.Cancelled {
			continue
		}
		if kept++; x.At/day != before {
			before = x.At / day
			o.days++
		}
		if o.first == 0 {
			o.first = x.At
		}
		if o.days == 1 {
			firstDay += x.Counts()
		}
		o.last = x.At
	}
	if older := int(p.Orders.Count) - kept; older > 0 {
		o.days += max(1, older*max(1, o.days)/max(1, kept))
		o.first, o.last = min(p.Orders.First, max(o.first, p.Orders.First)), max(o.last, p.Orders.First)
		firstDay = p.Orders.ValueMicros / int64(o.days) // which is not known
	}
	if o.days > 1 {
		o.mean = max(0, float64(p.Orders.ValueMicros-firstDay)/million/float64(o.days-1))
	}
	return o
}

// value is what is likely to be spent within the horizon: the orders that
// Pareto/NBD expects of who is alive, as churn says, times the mean order that
// Gamma-Gamma expects (Fader and Hardie 2013). It falls with silence: the rate of
// orders and being alive do, and the latter by more than a longer life gives.
func (r *Reader) value(now int64) float64 {
	o := r.ordered()
	if o.days == 0 {
		return 0
	}
	set, c := &r.set.Churn.Purchases, r.leaving()
	age := days(max(now, o.last) - o.first)
	s, b := c.kinds[0].k, set.BetaDays+age
	stay := special.Saturation(s-1, math.Log1p(r.set.Value.HorizonDays/b)) // ∫₀ʰ (b/(b+u))^s du, in units of b
	orders := (set.R + float64(o.days-1)) / (set.AlphaDays + age) * b * stay * r.alive(now)
	return orders * r.meanOrder()
}

func (r *Reader) meanOrder() float64 {
	o, v := r.ordered(), &r.set.Value
	seen := gammagamma.Spending{Repeats: max(0, o.days-1), Mean: o.mean}
	if o.mean == 0 {
		seen.Repeats = 0
	}
	return gammagamma.Parameters{P: v.P, Q: v.Q, V: v.V}.Mean(seen)
}

// rank is the share of ranks, which divide all customers into parts of one size,
// that value exceeds; between two, in proportion.
func rank(ranks []float64, value float64) float64 {
	if len(ranks) == 0 {
		return 0
	}
	i := sort.SearchFloat64s(ranks, value)
	low, part := 0.0, 1.0
	if i > 0 {
		low = ranks[i-1]
	}
	if i < len(ranks) && ranks[i] > low {
		part = (value - low) / (ranks[i] - low)
	} else if i == len(ranks) {
		part = 0
	}
	return (float64(i) + max(0, part)) / float64(len(ranks)+1)
}

// nextOrder is when the next order is likely: a gap after the last one that is
// between the customer's own and the usual one; past, when they are late. 0: none
// was placed.
func (r *Reader) nextOrder() int64 {
	o := r.ordered()
	if o.days == 0 {
		return 0
	}
	return o.last + int64(r.gap()*day)
}

func (r *Reader) gap() float64 {
	o, n := r.ordered(), &r.set.NextOrder
	return (n.Gaps*n.Days + days(o.last-o.first)) / (n.Gaps + float64(o.days-1))
}

// History is what models of buying learn from: the days with an order up to an
// instant, and the mean amount of those after the first. False: there are none.
func (r *Reader) History(now int64) (h history.History, mean float64, ok bool) {
	o := r.ordered()
	if o.days == 0 {
		return h, 0, false
	}
	days := func(from, to int64) time.Duration { return history.Day.Times(float64(to/day - from/day)) }
	return history.History{Repeats: o.days - 1, Recency: days(o.first, o.last), Age: days(o.first, max(now, o.last))}, o.mean, true
}
