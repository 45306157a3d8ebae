// Package history is what models of buying know of a customer: how often they
// came back, when last, and how long they have been known.
//
//	orders → histories → fit → parameters
//	profile → a history → P(alive), orders to come
//
// Times are durations, and parameters name their unit, so that weeks are never
// taken for days.
//
// Not obvious: the orders of a customer on one date are one. The first order
// makes the customer known and is no repeat, so a customer who ordered once has
// no repeats and a recency of zero.
package history

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Unit is what the parameters of a model count time in.
type Unit time.Duration

// Units of parameters, and the month of a customer's value over months.
const (
	Day   = Unit(24 * time.Hour)
	Week  = 7 * Day
	Month = time.Duration(Week) * 4345 / 1000
)

// Of is d in this unit.
func (u Unit) Of(d time.Duration) float64 { return float64(d) / float64(u) }

// Times is how long n of this unit are, at most about 146 years.
func (u Unit) Times(n float64) time.Duration {
	return time.Duration(max(min(n*float64(u), 1<<62), -1<<62))
}

func (u Unit) String() string {
	switch u {
	case Day:
		return "day"
	case Week:
		return "week"
	}
	return time.Duration(u).String()
}

// MarshalText writes a unit of parameters.
func (u Unit) MarshalText() ([]byte, error) { return []byte(u.String()), u.Validate() }

// UnmarshalText reads what MarshalText writes.
func (u *Unit) UnmarshalText(text []byte) error {
	for _, unit := range []Unit{Day, Week} {
		if unit.String() == string(text) {
			*u = unit
			return nil
		}
	}
	return fmt.Errorf("unit: got %q, want day or week", text)
}

// Validate says whether parameters can be in this unit.
func (u Unit) Validate() error {
	if u != Day && u != Week {
		return fmt.Errorf("unit: got %v, want day or week", u)
	}
	return nil
}

// History is what a customer did up to some instant, now.
type History struct {
	// Repeats is x, the orders after the first.
	Repeats int
	// Recency is t_x, from the first order to the last.
	Recency time.Duration
	// Age is T, from the first order to now.
	Age time.Duration
}

// Valid says whether there can be such a history.
func (h History) Valid() bool {
	return h.Repeats >= 0 && h.Recency >= 0 && h.Recency <= h.Age && (h.Repeats > 0 || h.Recency == 0)
}

// Compare orders histories.
func (h History) Compare(other History) int {
	switch {
	case h.Repeats != other.Repeats:
		return h.Repeats - other.Repeats
	case h.Recency != other.Recency:
		return int(min(max(h.Recency-other.Recency, -1), 1))
	}
	return int(min(max(h.Age-other.Age, -1), 1))
}

// Silent is the probability, in [0, 1], that a customer with a history places no
// order within the time after it: the likelihood of so much more silence. logTail
// is the part of a model's log-likelihood in which the times stand. NaN of no valid
// history.
func (h History) Silent(within time.Duration, logTail func(History) float64) float64 {
	if !h.Valid() {
		return math.NaN()
	}
	later := h
	later.Age += within
	return min(1, math.Exp(logTail(later)-logTail(h)))
}

// Tally is a history that customers share.
type Tally struct {
	History
	Customers int
}

// Tallies are the different histories of a cohort, in order, so that a fit
// depends neither on the order of the customers nor pays for each.
func Tallies(histories []History) ([]Tally, error) {
	if len(histories) == 0 {
		return nil, errors.New("got no customers, want at least one")
	}
	sorted := slices.SortedFunc(slices.Values(histories), History.Compare)
	var tallies []Tally
	for _, h := range sorted {
		if !h.Valid() {
			return nil, fmt.Errorf("got a history of %d repeats, recency %v and age %v, want 0 ≤ recency ≤ age, and no recency without repeats",
				h.Repeats, h.Recency, h.Age)
		}
		if last := len(tallies) - 1; last >= 0 && tallies[last].History == h {
			tallies[last].Customers++
		} else {
			tallies = append(tallies, Tally{h, 1})
		}
	}
	return tallies, nil
}

// Sum is of over all customers.
func Sum(tallies []Tally, of func(History) float64) float64 {
	sum := 0.0
	for _, t := range tallies {
		sum += float64(t.Customers) * of(t.History)
	}
	return sum
}

// Pace is how many repeat orders there are in a unit of time, above 0, and the
// mean age, at least a day, so that a fit can begin there.
func Pace(tallies []Tally, unit Unit) (rate, age float64) {
	repeats := Sum(tallies, func(h History) float64 { return float64(h.Repeats) })
	ages := Sum(tallies, func(h History) float64 { return unit.Of(h.Age) })
	customers := Sum(tallies, func(History) float64 { return 1 })
	age = max(ages/customers, unit.Of(time.Duration(Day)))
	return (repeats + .5) / (age * customers), age
}

// Order is a purchase. Its date is that of At in At's own zone.
type Order struct {
	Customer string
	At       time.Time
	Amount   float64
}

// Customer is one of a cohort, at the end of its calibration.
type Customer struct {
	ID string
	History
	// MeanRepeat is the mean amount of the dates of repeat orders; 0 without any.
	MeanRepeat float64
	// Later are the dates of orders after the calibration, up to the evaluation's
	// end.
	Later int
}

// Cohort are the customers who ordered up to the date calibrated, in order of
// their ids, with what they did up to its end, and later, up to the date
// evaluated. Amounts below zero are money back, which lowers the amount of its
// date and is no order; neither is a date whose orders are all such.
func Cohort(orders []Order, calibrated, evaluated time.Time) []Customer {
	end, last := date(calibrated), date(evaluated)
	sorted := slices.SortedStableFunc(slices.Values(orders), func(a, b Order) int {
		if c := strings.Compare(a.Customer, b.Customer); c != 0 {
			return c
		}
		return date(a.At) - date(b.At)
	})
	var customers []Customer
	for start := 0; start < len(sorted); {
		stop := start
		for stop < len(sorted) && sorted[stop].Customer == sorted[start].Customer {
			stop++
		}
		if c, ok := customer(sorted[start:stop], end, last); ok {
			customers = append(customers, c)
		}
		start = stop
	}
	return customers
}

// customer folds the orders of one, sorted by date.
func customer(orders []Order, end, last int) (Customer, bool) {
	c := Customer{ID: orders[0].Customer}
	first, known, repeated := 0, false, 0.0
	for start := 0; start < len(orders); {
		day, ordered, amount := date(orders[start].At), false, 0.0
		for ; start < len(orders) && date(orders[start].At) == day; start++ {
			amount += orders[start].Amount
			ordered = ordered || orders[start].Amount >= 0
		}
		switch {
		case !ordered || day > last:
		case !known && day <= end:
			first, known = day, true
			c.Age = days(end - day)
		case known && day <= end:
			c.Repeats++
			c.Recency = days(day - first)
			repeated += amount
		case known:
			c.Later++
		}
	}
	if c.Repeats > 0 {
		c.MeanRepeat = repeated / float64(c.Repeats)
	}
	return c, known
}

func days(n int) time.Duration { return Day.Times(float64(n)) }

// date is the day of an instant in its own zone, counted.
func date(at time.Time) int {
	year, month, day := at.Date()
	return int(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}
