package customer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"segue/processors/customer/score"
	"segue/processors/model/gammagamma"
	"segue/processors/model/history"
	"segue/processors/model/linear"
	"segue/processors/model/pair"
	"segue/processors/model/paretonbd"
	"segue/schemas/models"
	"segue/schemas/playbook"
)

// errNoOrder is of a history that nothing can be fitted to.
var errNoOrder = errors.New("fit: got no order, want the orders of some customers")

// Fit makes models of what is known up to until, 0: the last event. say hears, as
// soon as it is known, a line for each model that was fitted, and of each that was
// not, why; About has them all.
func (h *Past) Fit(id string, until int64, say func(line string)) (*models.Set, error) {
	until = max(until, h.to)
	if err := h.let(until); err != nil {
		return nil, err
	}
	var said []string
	tell := func(format string, args ...any) {
		line := fmt.Sprintf(format, args...)
		said = append(said, line)
		say(line)
	}
	s, buyers, err := h.learn(until, tell)
	if err != nil {
		return nil, err
	}
	h.value(h.held, until, tell)
	s.ID = id
	said = slices.Insert(said, 0, fmt.Sprintf("Fitted to %d orders of %d customers from %s to %s.", h.orders, buyers, date(h.from), date(until)))
	s.About = strings.Join(said, "\n") + "\n"
	return asWritten(s)
}

// asWritten is s as Parse reads it. Products that go with others are left out from the
// end on where it would be too large.
func asWritten(s *models.Set) (*models.Set, error) {
	for {
		next := s.Next
		s.Next = slices.Clone(next)
		slices.SortStableFunc(s.Next, func(a, b models.Pair) int { return strings.Compare(a.After, b.After) })
		text, err := s.Write()
		if err != nil {
			return nil, err
		}
		if len(text) <= models.MaxSize || len(next) == 0 {
			return models.Parse(s.ID, text)
		}
		s.Next = next[:len(next)*3/4]
	}
}

// let lets time pass for everybody.
func (h *Past) let(until int64) error {
	for _, c := range h.known() {
		if err := h.until(c, until); err != nil {
			return err
		}
	}
	return nil
}

// learn fits all that can be to what is known by an instant.
func (h *Past) learn(until int64, tell func(string, ...any)) (*models.Set, int, error) {
	s := *h.base
	var buyers, site, mail []history.History
	var spent []gammagamma.Spending
	browsing := false
	all := h.known()
	for _, c := range all {
		h.read(&s, c)
		if x, mean, ok := h.reader.History(until); ok {
			buyers = append(buyers, x)
			spent = append(spent, gammagamma.Spending{Repeats: x.Repeats, Mean: mean})
		}
		site, mail = rhythm(site, c.OnSite, until), rhythm(mail, c.InMail, until)
		browsing = browsing || c.OnSite.At > 0 || c.InMail.At > 0 || len(c.Named) > 0
	}
	if len(buyers) == 0 {
		return nil, 0, errNoOrder
	}
	if err := fitPurchases(&s, buyers, tell); err != nil {
		return nil, 0, err
	}
	fitValue(&s, spent, tell)
	h.fitNextOrder(&s, tell)
	fitRate("churn.site (days with a visit)", &s.Churn.Site, site, tell)
	fitRate("churn.mail (days with a mail opened or clicked)", &s.Churn.Mail, mail, tell)
	fitEngagement(&s, all, tell)
	if browsing {
		h.fitPropensity(&s, until, tell)
	} else {
		tell("propensity: as before, nothing is known but orders")
	}
	h.fitPrice(&s, tell)
	h.fitSensitivity(&s, all, tell)
	h.fitPairs(&s, tell)
	s.Value.Ranks = h.ranks(&s, all, until)
	tell("value.ranks: of those of %d customers who bought", len(all))
	tell("as before, since no history tells: churn.open_ticket, value.horizon_days, the half-lives of propensity and engagement")
	return &s, len(buyers), nil
}

// within is x, or the nearest that a set may hold.
func within(low, x, high float64) float64 { return max(low, min(x, high)) }

const least, greatest = 1e-6, 999_999

func fitPurchases(s *models.Set, buyers []history.History, tell func(string, ...any)) error {
	f, err := paretonbd.Fit(buyers, history.Day)
	if err != nil {
		return err
	}
	p := f.Parameters
	s.Churn.Purchases = models.Purchases{R: within(least, p.R, greatest), AlphaDays: within(least, p.Alpha, greatest),
		S: within(least, p.S, greatest), BetaDays: within(least, p.Beta, greatest)}
	days, repeated := 0, 0
	for _, b := range buyers {
		days += 1 + b.Repeats
		if b.Repeats > 0 {
			repeated++
		}
	}
	tell("churn: Pareto/NBD of %d customers with %d days of orders, log-likelihood %.3f", len(buyers), days, f.LogLikelihood)
	if repeated == 0 {
		tell("churn: nobody ordered on a second day, so how soon customers leave is hardly known")
	}
	return nil
}

func fitValue(s *models.Set, spent []gammagamma.Spending, tell func(string, ...any)) {
	x, err := gammagamma.Fit(spent)
	if err != nil {
		tell("value: as before, %v", err)
		return
	}
	p := x.Parameters
	s.Value.P, s.Value.Q, s.Value.V = within(least, p.P, greatest), within(1+least, p.Q, greatest), within(least, p.V, 1e12-1)
	line := fmt.Sprintf("value: Gamma-Gamma, log-likelihood %.3f, customers with a second day of orders: %d", x.LogLikelihood, x.Customers)
	if c := gammagamma.Correlation(spent); !math.IsNaN(c) {
		line += fmt.Sprintf("; amounts and repeats correlate by %.3f, taken for 0", c)
	}
	tell("%s", line)
}

// weights are those of the usual gap that are tried, in gaps.
var weights = [...]float64{.25, .5, 1, 2, 4, 8, 16, 32}

// fitNextOrder takes the weight under which each gap is foretold best from those
// before it.
func (h *Past) fitNextOrder(s *models.Set, tell func(string, ...any)) {
	n := float64(len(h.gaps))
	if n == 0 {
		tell("next_order: as before, nobody ordered on a second day")
		return
	}
	usual := 0.0
	for _, g := range h.gaps {
		usual += float64(g.days) / n
	}
	off := func(weight float64) (sum float64) {
		for _, g := range h.gaps {
			sum += math.Abs((weight*usual+float64(g.span))/(weight+float64(g.before)) - float64(g.days))
		}
		return sum / n
	}
	best, own := off(greatest), float64(greatest)
	alone := best
	for _, w := range weights {
		if x := off(w); x < best {
			best, own = x, w
		}
	}
	s.NextOrder = models.NextOrder{Days: within(1, usual, 3659), Gaps: own}
	tell("next_order: %.1f days between orders, of %d gaps; a customer's next is foretold to %.1f days, by that alone to %.1f", usual, len(h.gaps), best, alone)
}

func fitRate(name string, into *models.Rate, of []history.History, tell func(string, ...any)) {
	if len(of) == 0 {
		tell("%s: as before, none is known", name)
		return
	}
	f, err := paretonbd.Fit(of, history.Day)
	if err != nil {
		tell("%s: as before, %v", name, err)
		return
	}
	*into = models.Rate{Shape: within(least, f.Parameters.R, greatest), Days: within(least, f.Parameters.Alpha, greatest)}
	tell("%s: fitted, customers: %d", name, len(of))
}

// fewMailed customers do not tell by how much they differ.
const fewMailed = 20

// fitEngagement takes a share of mails that is Beta distributed over customers, by
// its moments.
func fitEngagement(s *models.Set, all []*past, tell func(string, ...any)) {
	var opened, sent int64
	var shares, noise []float64
	for _, c := range all {
		n, k := score.Mailed(c.Profile)
		opened, sent = opened+k, sent+n
		if n > 0 {
			shares, noise = append(shares, float64(k)/float64(n)), append(noise, 1/float64(n))
		}
	}
	if sent == 0 {
		tell("engagement: as before, no mail is known")
		return
	}
	s.Engagement.Rate = within(.001, float64(opened)/float64(sent), .99)
	if len(shares) < fewMailed {
		tell("engagement: %.3f of %d mails opened or clicked; how much customers differ as before, %d are few", s.Engagement.Rate, sent, len(shares))
		return
	}
	mean, variance, chance := 0.0, 0.0, 0.0
	for _, x := range shares {
		mean += x / float64(len(shares))
	}
	for i, x := range shares {
		variance += (x - mean) * (x - mean) / float64(len(shares))
		chance += mean * (1 - mean) * noise[i] / float64(len(shares))
	}
	s.Engagement.Mails = 1000 // they do not differ by more than chance
	if variance > chance {
		s.Engagement.Mails = within(1, mean*(1-mean)/(variance-chance)-1, 1000)
	}
	tell("engagement: %.3f of %d mails opened or clicked by %d customers; it weighs as much as %.1f mails", s.Engagement.Rate, sent, len(shares), s.Engagement.Mails)
}

// fitPropensity learns from the samples of which a week has passed.
func (h *Past) fitPropensity(s *models.Set, until int64, tell func(string, ...any)) {
	rows, day, week := h.answered(0, until)
	for _, x := range []struct {
		name     string
		happened []bool
		into     *models.Logit
	}{{"propensity.day", day, &s.Propensity.Day}, {"propensity.week", week, &s.Propensity.Week}} {
		m, err := linear.Fit(rows, x.happened)
		if err != nil {
			tell("%s: as before, %v", x.name, err)
			continue
		}
		*x.into = models.Logit{Base: within(-50, m.Intercept, 50), Weights: map[string]float64{}}
		for i, w := range m.Weights {
			if w != 0 {
				x.into.Of[i] = within(-50, w, 50)
				x.into.Weights[models.Features[i].Name] = x.into.Of[i]
			}
		}
		tell("%s: of %d moments, an order after %d of them", x.name, len(rows), counts(x.happened))
	}
}

// answered are the samples after from of which a week has passed by until.
func (h *Past) answered(from, until int64) (rows [][]float64, day, week7 []bool) {
	for i := range h.samples {
		if x := &h.samples[i]; x.at > from && x.at+week <= until {
			rows, day, week7 = append(rows, x.seen[:]), append(day, x.day), append(week7, x.week)
		}
	}
	return rows, day, week7
}

func counts(happened []bool) (n int) {
	for _, x := range happened {
		if x {
			n++
		}
	}
	return n
}

func (h *Past) fitPrice(s *models.Set, tell func(string, ...any)) {
	prices := slices.Sorted(slices.Values(h.prices))
	if len(prices) < 4 {
		tell("price: as before, %d things were bought of which the price is known", len(prices))
		return
	}
	low, premium := prices[len(prices)/4], prices[len(prices)*3/4]
	if low == premium {
		tell("price: as before, most things cost the same, %v", low)
		return
	}
	s.Price.Low, s.Price.Premium = low, premium
	tell("price: low below %v, premium from %v, the quarters of %d things bought", low, premium, len(prices))
}

// fitSensitivity learns what share of all that was done was done for the price. A
// history without any discount is taken for one that does not tell of them.
func (h *Past) fitSensitivity(s *models.Set, all []*past, tell func(string, ...any)) {
	if !slices.ContainsFunc(all, func(c *past) bool { return c.Orders.Discounted > 0 }) {
		s.Price.Order = 0
	}
	var by, of float64
	for _, c := range all {
		h.read(s, c)
		x, most := h.reader.Sensitive()
		by, of = by+x, of+most
	}
	if of == 0 {
		tell("price_sensitivity: as before, neither discounts nor prices are known")
		return
	}
	s.Price.Sensitivity = within(.01, by/of, .99)
	tell("price_sensitivity: usually %.2f", s.Price.Sensitivity)
}

// perProduct of those that go with a product are kept: nobody is offered more.
const perProduct = 5

// fitPairs takes the products that go with each other. The first of each product come
// first, of those that are bought most before others.
func (h *Past) fitPairs(s *models.Set, tell func(string, ...any)) {
	if h.baskets.Len() == 0 {
		tell("next: as before, no order names a product")
		return
	}
	s.Next = nil
	rules := h.baskets.Learn(pair.Options{PerProduct: perProduct})
	for i := range perProduct {
		for _, product := range rules.Products {
			if buy, chance := rules.After(product, i); chance > 0 {
				s.Next = append(s.Next, models.Pair{After: product, Buy: buy, Chance: chance})
			}
		}
	}
	h.popular = rules.Products
	total := len(s.Next)
	s.Next = s.Next[:min(total, models.MaxPairs)]
	tell("next: %d of %d pairs of products that go together, of %d in %d orders", len(s.Next), total, h.baskets.Products(), h.baskets.Len())
}

// ranks are the hundredths of the values of all who are worth anything, as the
// station ranks has them; nil: nobody is.
func (h *Past) ranks(s *models.Set, all []*past, until int64) []float64 {
	var values, ranks []float64
	for _, c := range all {
		h.read(s, c)
		if v, _ := h.reader.At(playbook.Value, until); v > 0 {
			values = append(values, float64(v)/1e6)
		}
	}
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	for i := 1; i < 100; i++ {
		ranks = append(ranks, values[i*len(values)/100])
	}
	return ranks
}
