package customer

import (
	"fmt"
	"slices"

	"segue/processors/model/linear"
	"segue/processors/model/measure"
	"segue/schemas/models"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// held is what models of the time before Plan.Hold foretold.
type held struct {
	set *models.Set // nil: nobody had ordered
	// offered is to how many of those who bought something new a product would have
	// been offered before, taken how many bought it, and popular the most popular.
	offered, taken, takenPopular int
}

// guess is what was foretold of one who had ordered.
type guess struct {
	gone          float64
	silent        float64 // days since the last order
	repeats       float64 // days with an order, after the first
	next, popular string
	has           []string
	ordered, told bool
}

// Foretold is what the score of churn was at Plan.Hold of a customer who had
// ordered by then, what needs no model, and what came.
type Foretold struct {
	// Gone is scores.churn, in [0, 1].
	Gone float64
	// SilentDays are those since the last order, Repeats the days with one after the
	// first.
	SilentDays, Repeats float64
	// Ordered: they did, after it. Seen: there was any sign of life.
	Ordered, Seen bool
}

// hold fits to what is known, and foretells.
func (h *Past) hold() error {
	h.held = &held{}
	at := h.plan.Hold
	if err := h.let(at); err != nil {
		return err
	}
	set, _, err := h.learn(at, func(string, ...any) {})
	if err == errNoOrder {
		return nil
	}
	if err != nil {
		return err
	}
	set.ID, set.About = "held", "what is held out is not in it"
	if set, err = asWritten(set); err != nil {
		return err
	}
	h.held.set = set
	for _, c := range h.known() {
		h.read(set, c)
		x, _, ok := h.reader.History(at)
		if !ok {
			continue
		}
		gone, _ := h.reader.At(playbook.Churn, at)
		c.guess = &guess{gone: float64(gone) / 1e6, silent: (x.Age - x.Recency).Hours() / 24, repeats: float64(x.Repeats)}
		if len(set.Next) > 0 {
			c.guess.next, _ = h.reader.Text(playbook.NextProduct, at)
			c.guess.has = owned(c.Profile)
			if i := slices.IndexFunc(h.popular, func(p string) bool { return !slices.Contains(c.guess.has, p) }); i >= 0 {
				c.guess.popular = h.popular[i]
			}
		}
	}
	return nil
}

// bought notes what somebody ordered after all.
func (d *held) bought(c *past, products []string) {
	g := c.guess
	if g == nil {
		return
	}
	g.ordered = true
	fresh := slices.ContainsFunc(products, func(p string) bool { return !slices.Contains(g.has, p) })
	if g.next == "" || g.told || !fresh {
		return
	}
	g.told = true
	d.offered++
	if slices.Contains(products, g.next) {
		d.taken++
	}
	if slices.Contains(products, g.popular) {
		d.takenPopular++
	}
}

// Foretold are those who had ordered by Plan.Hold, once all is folded.
func (h *Past) Foretold() ([]Foretold, error) {
	if h.held == nil { // nothing came later
		if err := h.hold(); err != nil {
			return nil, err
		}
	}
	return h.foretold(), nil
}

func (h *Past) foretold() []Foretold {
	var all []Foretold
	for _, c := range h.known() {
		if g := c.guess; g != nil {
			all = append(all, Foretold{g.gone, g.silent, g.repeats, g.ordered, c.LastSeen > h.plan.Hold})
		}
	}
	return all
}

// value tells what the models of the time before were worth.
func (h *Past) value(d *held, until int64, tell func(string, ...any)) {
	if d == nil || d.set == nil {
		tell("held out: nothing, so nothing shows how good this is")
		return
	}
	h.churnHeld(until, tell)
	if h.held.set.Propensity.Day.Base != h.base.Propensity.Day.Base {
		h.propensityHeld(until, tell)
	}
	if d.offered > 0 {
		tell("held out: next_product was in the next order of something new in %d of %d, the most popular product in %d", d.taken, d.offered, d.takenPopular)
	}
}

func (h *Past) churnHeld(until int64, tell func(string, ...any)) {
	var gone, recency []float64
	var silent []bool
	for _, x := range h.foretold() {
		gone, recency, silent = append(gone, x.Gone), append(recency, x.SilentDays), append(silent, !x.Ordered)
	}
	days := float64(until-h.plan.Hold) * 7 / week
	line := fmt.Sprintf("held out: of %d customers %d ordered in the last %.0f days", len(silent), len(silent)-counts(silent), days)
	if n := counts(silent); n == 0 || n == len(silent) {
		tell("%s, so no ranking shows", line)
		return
	}
	tell("%s; churn, fitted to the time before, ranks %.1f of 100 pairs right, recency alone %.1f", line, 100*measure.AUC(gone, silent), 100*measure.AUC(recency, silent))
}

func (h *Past) propensityHeld(until int64, tell func(string, ...any)) {
	rows, day, week7 := h.answered(h.plan.Hold, until)
	for _, x := range []struct {
		name     string
		model    *models.Logit
		happened []bool
	}{{"propensity.day", &h.held.set.Propensity.Day, day}, {"propensity.week", &h.held.set.Propensity.Week, week7}} {
		n := counts(x.happened)
		if n == 0 || n == len(rows) {
			continue
		}
		m := linear.Model{Intercept: x.model.Base, Weights: x.model.Of[:]}
		chances := make([]float64, len(rows))
		for i, row := range rows {
			chances[i] = m.Probability(row)
		}
		tell("held out: %s ranks %.1f of 100 pairs of %d moments right, and is off by %.1f points of 100", x.name,
			100*measure.AUC(chances, x.happened), len(rows), 100*measure.CalibrationError(measure.Calibration(chances, x.happened, 10)))
	}
}

// owned are the products of the orders that are kept.
func owned(p *profile.Profile) (products []string) {
	for _, o := range p.Orders.Recent {
		for _, x := range o.Items {
			if !o.Cancelled {
				products = append(products, x.Product)
			}
		}
	}
	return products
}
