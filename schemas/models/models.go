// Package models is the parameters of everything that predicts, as one version:
// data that a store fits from its own history and puts in force.
//
//	history → segue fit → models.yaml → in force by a control record → scores
//
// Times are in days and money in units of the store's currency, as the names of
// the fields say. Default is the set of who has fitted none yet; it says how it was
// obtained.
package models

import (
	"bytes"
	_ "embed" // the default set
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"segue/schemas"
	"segue/schemas/strict"
)

// Set is one version. It is never changed after Parse.
type Set struct {
	ID string `yaml:"id"`
	// About says how the set was obtained: from which data, when, how good.
	About string `yaml:"about"`

	Churn      Churn      `yaml:"churn"`
	Value      Value      `yaml:"value"`
	NextOrder  NextOrder  `yaml:"next_order"`
	Propensity Propensity `yaml:"propensity"`
	Engagement Engagement `yaml:"engagement"`
	Price      Price      `yaml:"price"`
	// Next are the products that are bought with others, by After.
	Next []Pair `yaml:"next,omitempty"`

	Version string `yaml:"-"` // id@hash of the yaml
	yaml    []byte
}

// Churn is when somebody is gone.
type Churn struct {
	Purchases Purchases `yaml:"purchases"`
	// Site and Mail are the rates of days on which a customer looks around, and
	// opens or clicks, before anything is known of them.
	Site Rate `yaml:"site"`
	Mail Rate `yaml:"mail"`
	// OpenTicket is by how much sooner they leave who wait for support.
	OpenTicket float64 `yaml:"open_ticket"`
}

// Purchases are the parameters of Pareto/NBD: orders come at a rate drawn from
// Gamma(R, AlphaDays), and customers leave at one from Gamma(S, BetaDays).
type Purchases struct {
	R         float64 `yaml:"r"`
	AlphaDays float64 `yaml:"alpha_days"`
	S         float64 `yaml:"s"`
	BetaDays  float64 `yaml:"beta_days"`
}

// Rate is a gamma distribution: Shape happenings in Days.
type Rate struct {
	Shape float64 `yaml:"shape"`
	Days  float64 `yaml:"days"`
}

// Value is what an order is worth: Gamma-Gamma with P, Q and V, the last in units
// of the store's currency.
type Value struct {
	P           float64 `yaml:"p"`
	Q           float64 `yaml:"q"`
	V           float64 `yaml:"v"`
	HorizonDays float64 `yaml:"horizon_days"`
	// Ranks are values, in units of the currency, that divide the customers who are
	// worth anything into parts of one size; none: no rank is known.
	Ranks []float64 `yaml:"ranks,omitempty"`
	// RanksOf says whose, and when.
	RanksOf string `yaml:"ranks_of,omitempty"`
}

// NextOrder is the usual time between two orders, and how many gaps of a customer's
// own weigh as much.
type NextOrder struct {
	Days float64 `yaml:"days"`
	Gaps float64 `yaml:"gaps"`
}

// Propensity is to order within a time: logistic in Features.
type Propensity struct {
	FastHours float64 `yaml:"fast_hours"` // half-life of what fades fast
	SlowDays  float64 `yaml:"slow_days"`
	// Events are what the storefront calls its own events.
	Events Events `yaml:"events"`
	Day    Logit  `yaml:"day"`
	Week   Logit  `yaml:"week"`
}

// Events are names of the storefront's own, in any case.
type Events struct {
	Search   []string `yaml:"search"`
	Sizing   []string `yaml:"sizing"`
	Shipping []string `yaml:"shipping"`
}

// Logit is base + weights · features, in log-odds. What is not named weighs
// nothing.
type Logit struct {
	Base    float64            `yaml:"base"`
	Weights map[string]float64 `yaml:"weights"`

	Of [FeatureCount]float64 `yaml:"-"` // Weights by Feature
}

// Engagement is the share of mails that are opened or clicked, of somebody who
// fades when they stop.
type Engagement struct {
	Rate         float64 `yaml:"rate"`  // of those of whom little is known,
	Mails        float64 `yaml:"mails"` // which weighs as much as so many mails
	HalfLifeDays float64 `yaml:"half_life_days"`
}

// Price is what is cheap, in units of the currency: below Low, and from Premium
// on. Both 0: no tier is known.
type Price struct {
	Low     float64 `yaml:"low"`
	Premium float64 `yaml:"premium"`
	// Sensitivity of those of whom little is known, which weighs as much as so many
	// looks at a product, as an order does; 0: orders do not tell of discounts.
	Sensitivity float64 `yaml:"sensitivity"`
	Weight      float64 `yaml:"weight"`
	Order       float64 `yaml:"order"`
}

// Pair is a product that goes with another: beside that, one that is bought is this
// with Chance.
type Pair struct {
	After  string  `yaml:"after"`
	Buy    string  `yaml:"buy"`
	Chance float64 `yaml:"chance"`
}

//go:embed default.yaml
var shipped []byte

// Default is the set that comes with Segue.
var Default = sync.OnceValue(func() *Set {
	s, err := Parse("default.yaml", shipped)
	if err != nil {
		panic("models that come with Segue: " + err.Error()) // a test reads them
	}
	return s
})

// MaxSize bounds a set, in bytes as it is written: it travels as one record.
const MaxSize = 900 << 10

// MaxPairs is how many products that follow others a fit takes; they are most of a
// set.
const MaxPairs = 10_000

// Parse reads a set. Everything that is wrong is in the error.
func Parse(name string, text []byte) (*Set, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%s: got %d bytes, want at most %d", name, len(text), MaxSize)
	}
	s := &Set{yaml: bytes.Clone(text)}
	if err := strict.Unmarshal(name, text, s); err != nil {
		return nil, err
	}
	s.Version = s.ID + "@" + hash(text)
	return s, s.check(name)
}

func (s *Set) check(name string) error {
	var wrong []error
	fail := func(path, got, want string) {
		wrong = append(wrong, fmt.Errorf("%s: %s: got %s, want %s", name, path, got, want))
	}
	between := func(path string, x, low, high float64) {
		if !(x > low && x < high) {
			fail(path, fmt.Sprint(x), fmt.Sprintf("a number between %v and %v", low, high))
		}
	}
	const most = 1e6
	if !schemas.IsName(s.ID) {
		fail("id", fmt.Sprintf("%q", s.ID), "small letters, digits and hyphens, at most 63")
	}
	if strings.TrimSpace(s.About) == "" {
		fail("about", "nothing", "how the set was obtained")
	}
	c := &s.Churn
	between("churn.purchases.r", c.Purchases.R, 0, most)
	between("churn.purchases.alpha_days", c.Purchases.AlphaDays, 0, most)
	between("churn.purchases.s", c.Purchases.S, 0, most)
	between("churn.purchases.beta_days", c.Purchases.BetaDays, 0, most)
	between("churn.site.shape", c.Site.Shape, 0, most)
	between("churn.site.days", c.Site.Days, 0, most)
	between("churn.mail.shape", c.Mail.Shape, 0, most)
	between("churn.mail.days", c.Mail.Days, 0, most)
	if !(c.OpenTicket >= 1 && c.OpenTicket < 100) {
		fail("churn.open_ticket", fmt.Sprint(c.OpenTicket), "a number from 1 to 100: who waits leaves no later")
	}
	between("value.p", s.Value.P, 0, most)
	between("value.q", s.Value.Q, 1, most) // else the mean order is without bound
	between("value.v", s.Value.V, 0, 1e12)
	between("value.horizon_days", s.Value.HorizonDays, 0, 3660)
	if !slices.IsSorted(s.Value.Ranks) || slices.ContainsFunc(s.Value.Ranks, func(x float64) bool { return !(x >= 0 && x < 1e12) }) {
		fail("value.ranks", "others", "amounts that rise")
	}
	between("next_order.days", s.NextOrder.Days, 0, 3660)
	between("next_order.gaps", s.NextOrder.Gaps, 0, most)
	between("propensity.fast_hours", s.Propensity.FastHours, 0, 24*366)
	between("propensity.slow_days", s.Propensity.SlowDays, s.Propensity.FastHours/24, 366)
	s.Propensity.Day.check("propensity.day", fail)
	s.Propensity.Week.check("propensity.week", fail)
	between("engagement.rate", s.Engagement.Rate, 0, 1)
	between("engagement.mails", s.Engagement.Mails, 0, most)
	between("engagement.half_life_days", s.Engagement.HalfLifeDays, 0, 3660)
	if p := s.Price; !(p.Low >= 0 && p.Premium >= p.Low && p.Premium < 1e12) {
		fail("price", fmt.Sprintf("low %v, premium %v", p.Low, p.Premium), "amounts, the first no more than the second")
	}
	between("price.sensitivity", s.Price.Sensitivity, 0, 1)
	between("price.weight", s.Price.Weight, 0, most)
	if !(s.Price.Order >= 0 && s.Price.Order < most) {
		fail("price.order", fmt.Sprint(s.Price.Order), fmt.Sprintf("a number from 0 to %v", most))
	}
	for i, x := range s.Next {
		if x.After == "" || x.Buy == "" || !(x.Chance > 0 && x.Chance <= 1) {
			fail(fmt.Sprintf("next[%d]", i), fmt.Sprintf("%+v", x), "two products, and a chance up to 1")
		}
	}
	slices.SortStableFunc(s.Next, func(a, b Pair) int { return strings.Compare(a.After, b.After) })
	return errors.Join(wrong...)
}

// check fills Of.
func (l *Logit) check(path string, fail func(path, got, want string)) {
	names := make([]string, FeatureCount)
	for i, f := range Features {
		names[i] = f.Name
		l.Of[i] = l.Weights[f.Name]
	}
	for name, w := range l.Weights {
		switch {
		case !slices.Contains(names, name):
			fail(path+".weights", name, "one of "+strings.Join(names, ", "))
		case math.IsNaN(w) || math.Abs(w) > 50:
			fail(path+".weights."+name, fmt.Sprint(w), "a number up to 50")
		}
	}
	if !(math.Abs(l.Base) <= 50) {
		fail(path+".base", fmt.Sprint(l.Base), "a number up to 50")
	}
}
