// Package score says what a customer is likely to do, and to like.
//
//	profile, models, now → Reader → At, Text, Turns → conditions, the topic scores
//
// Between events every score only rises or only falls, or does so up to an instant
// that is known; so the instant at which it crosses a threshold is solved for, to
// the millisecond, and nobody polls. Scores are rounded to six decimals before
// anything is decided by them: the last bit of math.Exp differs between
// processors.
//
//	churn            0..1, rises   gone: nothing will be heard of them again
//	propensity_day   0..1, falls*  an order within 24 hours
//	propensity       0..1, falls*  an order within 7 days
//	value            money, falls  to be spent within a year; undiscounted, 0 before a first order
//	value_rank       0..1, falls   share of those who bought that is worth less
//	next_order       instant       the last order, and the gap usual for them after it
//	price_sensitivity 0..1         share of orders with a discount, of looks at what is cheap, of coupons tried and lists by price
//	engagement       0..1, falls   share of mails opened or clicked, fading with silence
//
// (*) or turns once, at an instant that is known, where what fades fast weighs against
// an order and what fades slowly for it, or the other way round.
//
// Not obvious: each is a function of what the profile keeps anyway, and of two sets
// of days (profile.Rhythm), so that a fold, a replay and a fit that looks at
// the same events see the same numbers.
package score

import (
	"math"
	"time"

	"segue/schemas/models"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

const day = 24 * 60 * 60 * 1000

// million is what fractions and money are counted in.
const million = 1e6

// most bounds money: it must stay a whole number of millionths.
const most = 1e17

// Reader reads the scores of one customer. What it has worked out stays until the
// next Of.
type Reader struct {
	set  *models.Set
	p    *profile.Profile
	zone *time.Location

	known      parts
	orders     orders
	churn      churn
	propensity fading
	engagement engagement
	prices     prices

	last struct { // the last answer of leaving: several scores ask for it
		now   int64
		alive float64
	}
}

var _ playbook.Scores = (*Reader)(nil)

// parts are what a Reader has worked out.
type parts uint8

const (
	knowOrders parts = 1 << iota
	knowChurn
	knowPropensity
	knowEngagement
	knowPrices
	knowAlive
)

// Of makes r read another profile, or the same after it has changed. zone is the
// customer's.
func (r *Reader) Of(set *models.Set, p *profile.Profile, zone *time.Location) {
	r.set, r.p, r.zone, r.known = set, p, zone, 0
}

// first says whether a part is asked for the first time.
func (r *Reader) first(part parts) bool {
	first := r.known&part == 0
	r.known |= part
	return first
}

// At is part of playbook.Scores.
func (r *Reader) At(s playbook.Score, now int64) (v, until int64) {
	x, until := r.exact(s, now)
	return rounded(s, x), until
}

// rounded is x in what conditions compare.
func rounded(s playbook.Score, x float64) int64 {
	if s == playbook.NextOrder {
		return int64(x)
	}
	return int64(math.Round(min(x*million, most)))
}

// exact is At before it is rounded.
func (r *Reader) exact(s playbook.Score, now int64) (x float64, until int64) {
	switch s {
	case playbook.Churn:
		return 1 - r.alive(now), 0
	case playbook.Value:
		return r.value(now), 0
	case playbook.ValueRank:
		return rank(r.set.Value.Ranks, r.value(now)), 0
	case playbook.PropensityDay:
		return r.fading().at(&r.propensity.day, now)
	case playbook.Propensity:
		return r.fading().at(&r.propensity.week, now)
	case playbook.NextOrder:
		return float64(r.nextOrder()), 0
	case playbook.PriceSensitivity:
		return r.priceSensitivity(), 0
	case playbook.Engagement:
		return r.engaged(now), 0
	}
	return 0, 0
}

// Text is part of playbook.Scores.
func (r *Reader) Text(s playbook.Score, now int64) (text string, until int64) {
	switch s {
	case playbook.OrdersTier:
		return r.boughtTier(), 0
	case playbook.ViewsTier:
		return r.browsedTier(), 0
	case playbook.FavouriteCategory:
		return r.favourite(), 0
	case playbook.FavouriteType:
		return narrowest(r.favourite()), 0
	case playbook.InterestCategory:
		category, _, until := r.interest(now)
		return category, until
	case playbook.NextProduct:
		return r.next().Buy, 0
	}
	return "", 0
}

func days(ms int64) float64 { return float64(ms) / day }
