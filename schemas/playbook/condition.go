package playbook

import "segue/schemas/profile"

// Facts is what a condition reads.
type Facts struct {
	Profile *profile.Profile
	// Cart is what the journey is about; nil outside a cart's journey.
	Cart *profile.Cart
	// Scores are the customer's; nil: no models are in force.
	Scores Scores
	Now    int64

	product *Product // in where(…)
}

// Condition is a question about one customer, such as
//
//	orders.count >= 3 && since(last.open) > days(60)
//
// It is CEL in syntax and types. It is evaluated by its own nodes, not by CEL's
// interpreter: those know when time alone changes what they say, and cost a
// fraction of a microsecond.
type Condition struct {
	source   string
	root     node
	needs    []Need
	crosses  []*crossing
	segments []reference
	scored   bool  // it reads one
	test     *test // of a segment alone
}

// Source returns what the marketer wrote.
func (c *Condition) Source() string { return c.source }

// Needs returns the windows that c reads.
func (c *Condition) Needs() []Need { return c.needs }

// Holds reports whether c holds, and when that becomes otherwise if nothing
// happens: the earliest such instant after f.Now, to the millisecond; 0: never.
// Where a score is read it may be one at which to ask again.
func (c *Condition) Holds(f Facts) (holds bool, next int64) {
	v, until := c.root.eval(f)
	// What was read stays as it is until then, so the answer does too. A part that
	// changes may leave the whole as it was: then look from there.
	for round := 0; until != 0; round++ {
		if f.Now = until; c.scored && round == patience {
			return v.n != 0, until // a score may never settle
		}
		var later value
		if later, until = c.root.eval(f); later != v {
			return v.n != 0, f.Now
		}
	}
	return v.n != 0, 0
}

// HoldsAt reports whether c, a condition of a segment, holds for who stands so.
func (c *Condition) HoldsAt(s *profile.Standing) bool { return c.test.holds(s.Levels) }

// Why returns the condition with the values that it read, in parentheses:
//
//	orders.count >= 3 (4) && since(last.open) > days(60) (never)
func (c *Condition) Why(f Facts) string {
	w := writer{Facts: f}
	c.root.write(&w, 0)
	return string(w.out)
}

// value is what a node says: text in s, all else in n (truth as 0 and 1, money
// and fractions in micros, instants and lengths in milliseconds).
type value struct {
	n int64
	s string
}

func truth(b bool) value {
	if b {
		return value{n: 1}
	}
	return value{}
}

// kind is the type of an expression.
type kind uint8

const (
	boolean kind = iota
	number
	money
	text
	instant
	length
	fraction
)
