// Package playbook is what marketers write: goals, brand, limits, segments,
// journeys and messages, strict at load.
//
//	playbook.yaml + templates → Parse → in force by a control record → Advance
//
// Conditions are CEL in syntax and types, over these names and no others:
//
//	orders views visits sent opened clicked tickets   .count, .within(days(7))
//	orders.value  orders.spent(days(90))              money, in the first order's currency
//	orders views  .in_category("mugs", days(7))  .of_product("m1")
//	events.named("Quiz Taken", days(7))               any event of the storefront's own
//	tickets.open  carts.open                          now
//	first.seen first.order  last.seen .order .view    instants, for since(…) > days(60)
//	.visit .sent .open .click .ticket
//	customer.email .first_name .last_name .country    texts, "" when not known
//	.language .traits["plan"]  customer.subscribed
//	cart.value cart.size cart.currency                in the steps of a cart's journey of that cart,
//	                                                  elsewhere of the open one that changed last
//	carted.within .in_category .of_product            what was put in a cart
//	views orders carted  .where(product.price < money(20) && product.name.contains("oak"), days(7))
//	product.id .name .category .price                 as the event carried it, in where(…) alone
//	in("vip")  entered("vip")                         other segments; the instant of entering, never
//	                                                  for who is not in it
//	sequence([viewed("mug"), happened("Products Searched"), nothing(hours(2))], days(1))
//	scores.churn .propensity_day .propensity          fractions from 0.0 to 1.0, each compared
//	.value_rank .price_sensitivity .engagement        with a written number
//	scores.value                                      money
//	scores.next_order                                 an instant, for until(…) < days(7)
//	orders.price_tier views.price_tier                "", low, mid, premium
//	favourite.category favourite.product_type         texts
//	interest.category next.product
//	days(n) hours(n) minutes(n) money(x)              constants
//
// A sequence is written as a list because it is read as one, and its window comes
// last as every window does. Its steps happen one after the other, with whatever
// between, within the window: viewed carted bought (of any product, of one, or where
// something holds of it), visited, opened, clicked, happened. Nothing, at its end,
// is the silence since: what comes within a minute of the last step is part of it,
// such as the page that shows what was found. It holds until the customer comes back.
// Each step is a window like any other, so a sequence is found across the customer's
// names and in whatever order things arrived.
//
// Not obvious: a condition tells when time alone can change it, to the
// millisecond, so nothing ever polls; and it names the windows it needs (Needs),
// which the fold then keeps. That is why what cannot say when it changes, such
// as comparing two since(…) or two scores, is not in the language.
package playbook

import "time"

// Playbook is one version. It is never changed after Parse.
type Playbook struct {
	ID      string
	Version string // id@hash of all it was made of

	Store Store
	Brand Brand
	Goals []Goal
	// Consent is what a commercial mail needs.
	Consent  Consent
	Limits   Limits
	Segments []Segment // by name
	// Order are the segments by place, each behind those that it asks about.
	Order    []int
	Journeys []Journey // by name
	Messages map[string]*Message
	// Needs are the windows that conditions ask for, by ID.
	Needs      []Need
	counts     [kinds]map[string][]int32
	thresholds [scoreCount][]int64
	index
	// Files are templates and partials by name.
	Files map[string][]byte

	yaml []byte
}

// Store is the shop.
type Store struct {
	Name, URL, Currency string
	// Zone holds for customers whose own is not known.
	Zone *time.Location
}

// Brand is how the shop speaks.
type Brand struct {
	Voice              string
	Promises, NeverSay []string
	From               string // Name <address>
	Address            string // postal
}

// Goal is what people want of a journey.
type Goal struct {
	Name, Metric string
	Change       float64 // -0.10 is -10%
	Within       int64   // milliseconds
}

// Consent is what must be known before a commercial mail goes out.
type Consent uint8

const (
	// Explicit: the customer subscribed.
	Explicit Consent = iota
	// Purchase: the customer subscribed, or ordered and did not unsubscribe.
	Purchase
)

// Limits hold for all journeys together.
type Limits struct {
	Quiet   *Quiet
	AtMost  []Cap
	Holdout float64 // share of customers, in [0, 1), that get nothing
	// SoftBounces are how many make an address one that does not work. Zero: DefaultSoftBounces.
	SoftBounces SoftBounces
}

// SoftBounces are N mails that an address did not take within a time, in
// milliseconds, and nobody who opened or clicked one since.
type SoftBounces struct {
	N      int
	Within int64
}

// DefaultSoftBounces hold where a playbook says nothing.
var DefaultSoftBounces = SoftBounces{N: 5, Within: 30 * 86_400_000}

// Softly is how many soft bounces make an address one that does not work.
func (pb *Playbook) Softly() SoftBounces {
	if pb == nil || pb.Limits.SoftBounces.N == 0 {
		return DefaultSoftBounces
	}
	return pb.Limits.SoftBounces
}

// Quiet hours, in minutes of the customer's local day. From > To: over midnight.
type Quiet struct{ From, To int }

// Cap is N mails per calendar period in the customer's zone.
type Cap struct {
	N   int
	Per Period
}

// Period of a cap; weeks start on Monday.
type Period uint8

const (
	Day Period = iota
	Week
	Month
)

// Segment is a set of customers. Leave nil: who no longer meets Enter leaves.
type Segment struct {
	Name string
	// About says who is in it, for people.
	About        string
	Enter, Leave *Condition
	// Stay is how long a member stays at least, in milliseconds.
	Stay int64
}

// Journey is what happens to one customer after Start.
type Journey struct {
	Name string
	// Topic is what customers call its mails, and can stop them by.
	Topic string
	Start Start
	Stop  Stop
	Goal  string
	Steps []Step
}

// Start says what begins a journey.
type Start struct {
	Kind    StartKind
	Segment string // of Entered and Left
	Event   string // of Happened
}

// StartKind is one of a few.
type StartKind uint8

const (
	// CartAbandoned: once per cart; the first step's wait counts from the last
	// cart change, and a view moves it.
	CartAbandoned StartKind = iota
	// Entered and Left: once per entry into a segment.
	Entered
	Left
	// Happened: once per named event that is not late.
	Happened
)

// Stop says what ends a journey at once.
type Stop uint8

const (
	// Ordered: any order of the customer.
	Ordered Stop = iota
	// OrderedCart: an order of this very cart.
	OrderedCart
	// Never.
	Never
)

// Step waits, then sends at most one message.
type Step struct {
	After int64 // milliseconds since the end of the step before
	// When nil: always. A step whose condition fails is passed over.
	When *Condition
	// Choose: the first choice whose condition holds; else Send ("" for none).
	Choose []Choice
	Send   string
}

// Choice of a message.
type Choice struct {
	When *Condition
	Send string
}

// Message is one mail.
type Message struct {
	Name     string
	Subjects []string // liquid; one is drawn per delivery
	Body     string   // name of the HTML template in Files
	GiveUp   int64    // milliseconds after due at which sending is given up
}
