package customer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"segue/processors/customer/facts"
	"segue/processors/customer/score"
	"segue/processors/model/gammagamma"
	"segue/processors/model/history"
	"segue/processors/model/linear"
	"segue/processors/model/paretonbd"
	"segue/schemas"
	"segue/schemas/models"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// Past is a store's own history, folded as the station does it, and what the scores
// saw of it: Fit makes models of that.
//
//	events, in order of time → Past → Fit → models
type Past struct {
	base      *models.Set
	customers map[string]*past
	reader    score.Reader
	from, to  int64
	orders    int
	browsing  bool // there is more than orders
	samples   []sample
	prices    []float64 // of what was bought
}

// past is that of one customer.
type past struct {
	*profile.Profile
	// open are the samples that may still be followed by an order.
	open []int
}

// sample is what propensity saw at an instant, and what followed.
type sample struct {
	at        int64
	seen      [models.FeatureCount]float64
	day, week bool
}

const week = 7 * 24 * 60 * 60 * 1000

// looks are when after an event propensity is asked, if nothing has happened before.
var looks = []int64{1, 6 * 3_600_000, 24 * 3_600_000, 72 * 3_600_000}

// maxSamples bounds the memory that they take.
const maxSamples = 400_000

// NewPast begins with nothing. What history does not tell stays as base has it.
func NewPast(base *models.Set) *Past { return &Past{base: base, customers: map[string]*past{}} }

// Event folds what happened at an instant, none before the last one.
func (h *Past) Event(key string, at int64, e *schemas.Event) {
	c := h.customers[key]
	if c == nil {
		c = &past{Profile: &profile.Profile{Customer: key}}
		h.customers[key] = c
	}
	h.from, h.to = cmp.Or(h.from, at), max(h.to, at)
	h.look(c, at)
	h.browsing = h.browsing || e.GetOrder() == nil
	if facts.Apply(c.Profile, e, at, nil).Bought {
		h.orders++
		h.followed(c, at)
		for _, x := range e.GetOrder().GetProducts() {
			if x.GetPriceMicros() > 0 {
				h.prices = append(h.prices, float64(x.GetPriceMicros())/1e6)
			}
		}
	}
}

// look takes the samples of a customer that lie between the last event and now.
func (h *Past) look(c *past, now int64) {
	last := c.LastSeen
	if last == 0 {
		return
	}
	h.reader.Of(h.base, c.Profile, time.UTC)
	for _, wait := range looks {
		if at := last + wait; at < now && len(h.samples) < maxSamples {
			c.open = append(c.open, len(h.samples))
			h.samples = append(h.samples, sample{at: at, seen: h.reader.Features(at)})
		}
	}
}

// followed marks the samples that an order followed.
func (h *Past) followed(c *past, at int64) {
	for _, i := range c.open {
		s := &h.samples[i]
		s.day = s.day || at-s.at <= week/7
		s.week = s.week || at-s.at <= week
	}
	c.open = c.open[:0] // those before are as much as they can be, or too old
}

// Fit makes models of what is known up to until, 0: the last event. said has a line
// for each model that was fitted, or why it was not.
func (h *Past) Fit(id string, until int64) (set *models.Set, said []string, err error) {
	until = max(until, h.to)
	for _, key := range slices.Sorted(maps.Keys(h.customers)) {
		h.look(h.customers[key], until)
	}
	s := *h.base
	s.ID = id
	s.Next = nil
	tell := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	var buyers, site, mail []history.History
	var spent []gammagamma.Spending
	gaps, span := 0, 0.0
	var opened, sent int64
	for _, key := range slices.Sorted(maps.Keys(h.customers)) {
		c := h.customers[key]
		h.reader.Of(&s, c.Profile, time.UTC)
		if x, mean, ok := h.reader.History(until); ok {
			buyers = append(buyers, x)
			spent = append(spent, gammagamma.Spending{Repeats: x.Repeats, Mean: mean})
			gaps, span = gaps+x.Repeats, span+history.Day.Of(x.Recency)
		}
		site, mail = rhythm(site, c.OnSite, until), rhythm(mail, c.InMail, until)
		opened, sent = opened+min(c.Sent.Count, c.Opened.Count+c.Clicked.Count), sent+c.Sent.Count
	}
	if len(buyers) == 0 {
		return nil, nil, errors.New("fit: got no order, want the orders of some customers")
	}
	purchases, err := paretonbd.Fit(buyers, history.Day)
	if err != nil {
		return nil, nil, err
	}
	s.Churn.Purchases = models.Purchases{R: purchases.Parameters.R, AlphaDays: purchases.Parameters.Alpha, S: purchases.Parameters.S, BetaDays: purchases.Parameters.Beta}
	tell("churn: Pareto/NBD of %d customers with %d days of orders, log-likelihood %.3f", len(buyers), gaps+len(buyers), purchases.LogLikelihood)
	if x, err := gammagamma.Fit(spent); err != nil {
		tell("value: as before, %v", err)
	} else {
		s.Value.P, s.Value.Q, s.Value.V = x.Parameters.P, x.Parameters.Q, x.Parameters.V
		tell("value: Gamma-Gamma of %d customers, log-likelihood %.3f; amounts and repeats correlate by %.3f, taken for 0", x.Customers, x.LogLikelihood, gammagamma.Correlation(spent))
	}
	if gaps > 0 {
		s.NextOrder.Days = max(1, span/float64(gaps))
		tell("next_order: %.1f days between orders, of %d gaps", s.NextOrder.Days, gaps)
	}
	for _, x := range []struct {
		name string
		of   []history.History
		into *models.Rate
	}{{"site", site, &s.Churn.Site}, {"mail", mail, &s.Churn.Mail}} {
		if f, err := paretonbd.Fit(x.of, history.Day); err != nil {
			tell("churn.%s: as before, %v", x.name, err)
		} else {
			*x.into = models.Rate{Shape: f.Parameters.R, Days: f.Parameters.Alpha}
			tell("churn.%s: the rate of days of %d customers", x.name, len(x.of))
		}
	}
	if sent > 0 {
		s.Engagement.Rate = min(.99, max(.001, float64(opened)/float64(sent)))
		tell("engagement: %.3f of %d mails opened or clicked", s.Engagement.Rate, sent)
	}
	h.fitPropensity(&s, until, tell)
	if n := len(h.prices); n >= 4 {
		slices.Sort(h.prices)
		s.Price.Low, s.Price.Premium = h.prices[n/4], h.prices[n*3/4]
		tell("price: low below %v, premium from %v, of %d things bought", s.Price.Low, s.Price.Premium, n)
	}
	s.Value.Ranks = h.ranks(&s, until)
	tell("value.ranks: of %d customers", len(h.customers))
	s.About = fmt.Sprintf("Fitted to %d orders of %d customers from %s to %s. %s.", h.orders, len(buyers), date(h.from), date(until), strings.Join(said, ". "))
	text, err := s.Write()
	if err != nil {
		return nil, nil, err
	}
	set, err = models.Parse(id, text)
	return set, said, err
}

func date(at int64) string { return time.UnixMilli(at).UTC().Format(time.DateOnly) }

// rhythm appends days on which something happened as if they were orders: of both
// the rates differ by customer.
func rhythm(all []history.History, r profile.Rhythm, until int64) []history.History {
	n, span := r.Count()
	if n == 0 {
		return all
	}
	recency := history.Day.Times(float64(span))
	return append(all, history.History{Repeats: n - 1, Recency: recency, Age: recency + time.Duration(until-r.At)*time.Millisecond})
}

// fitPropensity learns from the samples of which a week has passed. Orders alone
// do not show what leads to one.
func (h *Past) fitPropensity(s *models.Set, until int64, tell func(string, ...any)) {
	if !h.browsing {
		tell("propensity: as before, nothing is known but orders")
		return
	}
	var rows [][]float64
	var day, week7 []bool
	for i := range h.samples {
		if x := &h.samples[i]; x.at+week <= until {
			rows, day, week7 = append(rows, x.seen[:]), append(day, x.day), append(week7, x.week)
		}
	}
	for _, x := range []struct {
		name     string
		happened []bool
		into     *models.Logit
	}{{"propensity.day", day, &s.Propensity.Day}, {"propensity.week", week7, &s.Propensity.Week}} {
		m, err := linear.Fit(rows, x.happened)
		if err != nil {
			tell("%s: as before, %v", x.name, err)
			continue
		}
		*x.into = models.Logit{Base: m.Intercept, Weights: map[string]float64{}}
		for i, w := range m.Weights {
			if w != 0 {
				x.into.Weights[models.Features[i].Name] = max(-50, min(w, 50))
			}
		}
		tell("%s: of %d moments", x.name, len(rows))
	}
}

// ranks are the hundredths of all customers' values.
func (h *Past) ranks(s *models.Set, until int64) []float64 {
	var values, ranks []float64
	for _, c := range h.customers {
		h.reader.Of(s, c.Profile, time.UTC)
		v, _ := h.reader.At(playbook.Value, until)
		values = append(values, float64(v)/1e6)
	}
	slices.Sort(values)
	for i := 1; i < 100; i++ {
		ranks = append(ranks, values[i*len(values)/100])
	}
	return ranks
}
