package score

import (
	"math"

	"segue/schemas/models"
	"segue/schemas/profile"
)

// Whoever is gone is silent in every way from one moment on, which nobody sees.
// Until then they order, look around and read mail at rates of their own. The
// rates are drawn from gamma distributions, as in Pareto/NBD, whose part for the
// orders this is: with nothing known but orders, churn is 1 - P(alive) of that
// model (Schmittlein, Morrison and Colombo 1987; Fader and Hardie 2005).
//
// After a last sign of life at a and t days of silence, with k happenings of a kind
// in b days at a (its prior included), being alive has seen the silence of
// all kinds, of weight ∏ ((b+v)/(b+t))^k against having left v days after a:
//
//	odds of gone to alive = ∫₀ᵗ s/(β+v) ∏ ((b+t)/(b+v))^k dv
//
// where leaving itself, at a rate of Gamma(s, β), is one of the kinds. Every factor
// rises with t, so the odds only rise with silence, from 0 at the last sign of
// life; and the kind that is most regular and silent for longest decides. Mails are
// silent only while some are sent: their factor stops at the last one sent.

// nodes and weights of Gauss and Legendre for 10 points, of which these are the
// upper half between -1 and 1 (Abramowitz and Stegun, table 25.4).
var nodes, weights = func() (x, w [10]float64) {
	at := [5]float64{.1488743389816312, .4333953941292472, .6794095682990244, .8650633666889845, .9739065285171717}
	of := [5]float64{.2955242247147529, .2692667193099964, .2190863625159820, .1494513491505806, .0666713443086881}
	for i := range at {
		x[4-i], x[5+i] = (1-at[i])/2, (1+at[i])/2
		w[4-i], w[5+i] = of[i]/2, of[i]/2
	}
	return x, w
}()

// kind is one way of being silent, counted in days from the last sign of life.
type kind struct {
	k, b float64
	// until is when silence stops to mean anything.
	until float64
}

// churn is what the odds need.
type churn struct {
	since int64   // the last sign of life; 0: there was none
	log   float64 // of s
	kinds [4]kind // the first is leaving
	n     int
	scale float64 // days in which silence begins to tell
}

// signs of life: the last of any.
func lastSign(p *profile.Profile, o *orders) int64 {
	return max(o.last, p.OnSite.At, p.InMail.At)
}

func (r *Reader) leaving() *churn {
	if !r.first(knowChurn) {
		return &r.churn
	}
	p, o, c, set := r.p, r.ordered(), &r.churn, &r.set.Churn
	*c = churn{since: lastSign(p, o)}
	if c.since == 0 {
		return c
	}
	origin := o.first
	if o.days == 0 {
		origin = p.FirstSeen
	}
	s := set.Purchases.S
	if len(p.Tickets.Open) > 0 {
		s *= set.OpenTicket
	}
	c.log = math.Log(s)
	never := math.Inf(1)
	c.add(s, set.Purchases.BetaDays+days(c.since-min(origin, c.since)), never)
	if o.days > 0 {
		c.add(set.Purchases.R+float64(o.days-1), set.Purchases.AlphaDays+days(c.since-o.first), never)
	}
	c.rhythm(p.OnSite, set.Site, never)
	if p.Sent.Last > c.since {
		c.rhythm(p.InMail, set.Mail, days(p.Sent.Last-c.since))
	}
	rate := 0.0
	for _, x := range c.kinds[:c.n] {
		rate += x.k / x.b
	}
	c.scale = 1 / rate
	return c
}

func (c *churn) rhythm(r profile.Rhythm, prior models.Rate, until float64) {
	if r.At == 0 {
		return
	}
	n, span := r.Count()
	c.add(prior.Shape+float64(n-1), prior.Days+float64(span)+days(c.since-r.At), until)
}

func (c *churn) add(k, b, until float64) {
	c.kinds[c.n] = kind{k, b, until}
	c.n++
}

// alive is 1 - churn.
func (r *Reader) alive(now int64) float64 {
	if r.known&knowAlive == 0 || r.last.now != now {
		r.last.now, r.last.alive = now, 1/(1+r.leaving().odds(now))
		r.known |= knowAlive
	}
	return r.last.alive
}

func (c *churn) odds(now int64) float64 {
	if c.since == 0 || now <= c.since {
		return 0
	}
	return c.after(days(now - c.since))
}

// after are the odds after t days of silence.
func (c *churn) after(t float64) float64 {
	silent := c.log // of being alive, negative
	from, odds := 0.0, 0.0
	for _, x := range c.kinds[:c.n] {
		silent += x.k * math.Log(x.b+min(t, x.until))
	}
	for _, x := range c.kinds[:c.n] {
		if x.until < t { // the integrand has an edge there
			odds += c.left(from, x.until, silent)
			from = x.until
		}
	}
	return odds + c.left(from, t, silent)
}

// left integrates over leaving between two instants. The steps grow with the
// distance from the last sign of life, as the integrand falls.
func (c *churn) left(from, to, silent float64) float64 {
	a, b := math.Log1p(from/c.scale), math.Log1p(to/c.scale)
	sum := 0.0
	leave := &c.kinds[0]
	for i, x := range nodes {
		u := a + (b-a)*x
		v := c.scale * (math.Exp(u) - 1)
		log := silent + u - (leave.k+1)*math.Log(leave.b+v)
		for _, x := range c.kinds[1:c.n] {
			log -= x.k * math.Log(x.b+min(v, x.until))
		}
		sum += weights[i] * math.Exp(log)
	}
	return sum * (b - a) * c.scale
}

// reaches is how many days of silence it takes until the odds are a number,
// from a time at which they are less; more than most: it takes longer. Newton's steps
// in logarithms: the odds are nearly a straight line there at first, and bend up.
func (c *churn) reaches(odds, most float64) float64 {
	target := math.Log(odds)
	t := min(c.scale, most/2)
	for range 40 {
		x := c.after(t)
		rise := c.kinds[0].k / (c.kinds[0].b + t)
		rate := 0.0
		for _, k := range c.kinds[:c.n] {
			if t < k.until {
				rate += k.k / (k.b + t)
			}
		}
		step := (target - math.Log(x)) / (t * (rise/x + rate))
		if t *= math.Exp(max(-3, min(step, 3))); t > most {
			return t
		}
		if math.Abs(step) < 1e-13 {
			break
		}
	}
	return t
}
