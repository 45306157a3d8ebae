package customer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"segue/processors/customer/score"
	"segue/processors/model/history"
	"segue/processors/model/pair"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/models"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// Past is a store's own history, folded as the station folds it, and what the scores
// saw of it: Fit makes models of that.
//
//	events, in order of time → Past → Fit → models
//	                             → Foretold: what came after models of the time before
type Past struct {
	base      *models.Set
	plan      Plan
	task      *Task
	customers map[string]*past
	reader    score.Reader
	from, to  int64
	orders    int

	samples []sample
	stride  int // one of so many moments is a sample
	moments int
	prices  []float64 // of what was bought
	gaps    []gap
	baskets pair.Baskets
	popular []string // products, those most often bought first
	held    *held    // nil: what is held out has not begun
}

// Plan is what is known of a history before it is folded.
type Plan struct {
	// Events are how many there are, about: of very many not every moment is looked at.
	Events int
	// Hold is an instant after which what happens tells what models of the time before
	// it are worth; 0: nothing does. All of it is fitted to.
	Hold int64
	// Zone is the store's, of customers who have not told theirs; nil: UTC.
	Zone *time.Location
}

// past is that of one customer.
type past struct {
	*profile.Profile
	// open are the samples that may still be followed by an order.
	open []int
	// orderDays are the days with an order, of which the last and the first are known.
	orderDays, firstDay, lastDay int64
	// passed is up to when time has passed.
	passed int64
	guess  *guess // nil: they had not ordered when the holding out began
}

// sample is what propensity saw at an instant, and what followed.
type sample struct {
	at        int64
	seen      [models.FeatureCount]float64
	day, week bool
}

// gap is a time between two days with an order, and those before it.
type gap struct {
	before     int32
	span, days float32
}

const week = 7 * 24 * 60 * 60 * 1000

// looks are when after an event propensity is asked, if nothing has happened before.
var looks = [...]int64{1, 6 * 3_600_000, 24 * 3_600_000, 72 * 3_600_000}

// maxSamples bounds the memory that they take.
const maxSamples = 400_000

// noPlaybooks is where no version is found: a fit folds without one.
type noPlaybooks struct{}

func (noPlaybooks) Playbook(_ context.Context, version string) (*playbook.Playbook, error) {
	return nil, fmt.Errorf("got playbook %s, want none: a history is folded without", version)
}

// NewPast begins with nothing. What history does not tell stays as base has it.
func NewPast(base *models.Set, plan Plan) *Past {
	if plan.Zone == nil {
		plan.Zone = time.UTC
	}
	return &Past{base: base, plan: plan, task: NewTask(noPlaybooks{}, TaskOptions{}), customers: map[string]*past{},
		stride: 1 + len(looks)*plan.Events/maxSamples}
}

// Event folds what happened at an instant, none before the last one.
func (h *Past) Event(key string, at int64, e *schemas.Event) error {
	if h.plan.Hold > 0 && h.held == nil && at > h.plan.Hold && h.from > 0 {
		if err := h.hold(); err != nil {
			return err
		}
	}
	h.from, h.to = cmp.Or(h.from, at), max(h.to, at)
	c := h.customers[key]
	if c == nil {
		c = &past{Profile: h.task.New(key)}
		h.customers[key] = c
	}
	if err := h.until(c, at-1); err != nil {
		return err
	}
	before := c.Orders.Count
	decisions, err := h.advance(c, stream.Input{Key: key, Now: at, Value: schemas.Encode(e)})
	if err != nil {
		return fmt.Errorf("fold an event of %q: %w", key, err)
	}
	merge := e.GetMerge()
	if order := cmp.Or(e.GetOrder(), merge.GetForwarded().GetOrder()); order != nil && c.Orders.Count > before {
		h.bought(c, at, order)
	}
	for _, d := range decisions {
		if err := h.follow(c, at, d); err != nil {
			return err
		}
	}
	return nil
}

// follow brings what a customer's event writes to another's there, as the log does.
func (h *Past) follow(c *past, at int64, d Decision) error {
	switch {
	case d.Forward != nil:
		known := c.RedirectTo
		if len(d.Forward.GetState()) > 0 { // what they looked at leads to what they order from now on
			if to := h.customers[known]; to != nil {
				to.open = append(to.open, c.open...)
			} else {
				h.customers[known] = &past{Profile: h.task.New(known), open: c.open}
			}
			c.open = nil
		}
		return h.Event(known, at, &schemas.Event{Customer: known, AnonymousId: c.Customer, Body: &schemas.Event_Merge{Merge: d.Forward}})
	case d.Forget != nil:
		return h.Event(d.Forget.name, at, &schemas.Event{Customer: d.Forget.name, Body: &schemas.Event_Forget{Forget: d.Forget.Forget}})
	}
	return nil
}

// advance is a step of the station.
func (h *Past) advance(c *past, in stream.Input) ([]Decision, error) {
	decisions, _, err := h.task.Advance(c.Profile, in)
	return decisions, err
}

// until lets time pass for a customer, up to and including now: what is due
// happens, and samples are taken of what lies between.
func (h *Past) until(c *past, now int64) error {
	last, from := c.LastSeen, c.passed
	c.passed = max(c.passed, now)
	for i := 0; ; {
		look := int64(0)
		if i < len(looks) && last > 0 && c.RedirectTo == "" {
			if look = last + looks[i]; look <= from {
				i++
				continue
			}
		}
		switch {
		case c.Next > 0 && c.Next <= now && (look == 0 || c.Next <= look):
			if _, err := h.advance(c, stream.Input{Key: c.Customer, Now: c.Next, Offset: -1}); err != nil {
				return fmt.Errorf("let time pass for %q: %w", c.Customer, err)
			}
		case look > 0 && look <= now:
			h.look(c, look)
			i++
		default:
			return nil
		}
	}
}

// look takes a sample.
func (h *Past) look(c *past, at int64) {
	if h.moments++; h.moments%h.stride != 0 || len(h.samples) == maxSamples {
		return
	}
	h.read(h.base, c)
	c.open = append(c.open, len(h.samples))
	h.samples = append(h.samples, sample{at: at, seen: h.reader.Features(at)})
}

// read makes the scores those of a customer.
func (h *Past) read(set *models.Set, c *past) {
	h.reader.Of(set, c.Profile, h.task.zone(c.TimeZone, h.plan.Zone))
}

// bought notes an order: it answers what was asked before it.
func (h *Past) bought(c *past, at int64, order *schemas.Order) {
	h.orders++
	for _, i := range c.open {
		s := &h.samples[i]
		s.day = s.day || at-s.at <= week/7
		s.week = s.week || at-s.at <= week
	}
	c.open = c.open[:0] // those before are as much as they can be, or too old
	switch day := at / (week / 7); {
	case c.orderDays == 0:
		c.orderDays, c.firstDay, c.lastDay = 1, day, day
	case day > c.lastDay:
		h.gaps = append(h.gaps, gap{int32(c.orderDays - 1), float32(c.lastDay - c.firstDay), float32(day - c.lastDay)})
		c.orderDays, c.lastDay = c.orderDays+1, day
	}
	var products []string
	for _, x := range order.GetProducts() {
		if x.GetPriceMicros() > 0 {
			h.prices = append(h.prices, float64(x.GetPriceMicros())/1e6)
		}
		if x.GetId() != "" {
			products = append(products, x.GetId())
		}
	}
	if len(products) > 0 {
		h.baskets.Add(products...)
	}
	if h.held != nil {
		h.held.bought(c, products)
	}
}

// known are those of whom something is known by that name, in order.
func (h *Past) known() []*past {
	all := make([]*past, 0, len(h.customers))
	for _, key := range slices.Sorted(maps.Keys(h.customers)) {
		if c := h.customers[key]; c.RedirectTo == "" && c.Forgotten == 0 {
			all = append(all, c)
		}
	}
	return all
}

// rhythm appends days on which something happened as if they were orders: of both
// the rates differ by customer.
func rhythm(all []history.History, r profile.Rhythm, until int64) []history.History {
	n, span := r.Count()
	if n == 0 {
		return all
	}
	recency := history.Day.Times(float64(span))
	return append(all, history.History{Repeats: n - 1, Recency: recency, Age: recency + time.Duration(max(0, until-r.At))*time.Millisecond})
}

func date(at int64) string { return time.UnixMilli(at).UTC().Format(time.DateOnly) }
