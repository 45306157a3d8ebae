// Package profile is what the fold knows of one customer: a function of the
// log alone. Conditions of a playbook read it, the customer station's decisions
// change it, Encode brings it to disk.
//
// It is a plain struct of small sorted arrays, not of maps: the order in which
// things are met must never decide, and a decoded profile should cost little.
//
// Not obvious: what is kept does not depend on the playbook, but for Series,
// which are the windows that its conditions ask for. Instants are milliseconds
// since the Unix epoch; 0 is never.
package profile

// How much is kept whatever the playbook says.
const (
	MaxViews  = 64
	MaxOrders = 32
	MaxNamed  = 64
	MaxCarts  = 4
	MaxItems  = 50 // of a cart
	MaxBought = 20 // items of an order
	MaxTraits = 64
	MaxRuns   = 32
	MaxMails  = 128
	MaxNames  = 64
	// MaxBounced addresses of a customer are remembered.
	MaxBounced = 4
	// MaxStopped topics a customer can stop.
	MaxStopped = 32
	// MaxSoftBounces in a row are remembered.
	MaxSoftBounces = 16
	// MaxText and MaxURL are bytes: a profile must fit a record.
	MaxText = 128
	MaxURL  = 512
	// CartLapse is how long an untouched cart is remembered: what is put in
	// later is another cart.
	CartLapse = 30 * 24 * 60 * 60 * 1000
	// MaxSeen and SeenFor bound the memory of event ids.
	MaxSeen = 512
	SeenFor = 24 * 60 * 60 * 1000
)

// Profile is one customer.
type Profile struct {
	Customer string
	// RedirectTo is set when this profile became another. RedirectTrusted: a
	// trusted source said so, and not only somebody outside.
	RedirectTo      string
	RedirectTrusted bool
	// Known: somebody named the customer by userId. From then on no link from
	// outside redirects them; RefusedLinks would have.
	Known        bool
	RefusedLinks int64
	// Names became this customer, the last heard of last.
	Names []string
	// Forgotten is when the customer was erased: all else is empty, for good.
	Forgotten int64

	Email, FirstName, LastName  string
	TimeZone, Country, Language string
	Traits                      []Trait // by name
	Consent                     Consent
	ConsentAt                   int64 // when it was said
	// Suppressed says why no mail may go out: "complained", "bounced",
	// "unsubscribed"; "" when it may.
	Suppressed string
	Bounced    []string // addresses, the last one last
	Holdout    bool     // drawn at first contact

	FirstSeen, LastSeen int64

	Orders  Orders
	Carts   []Cart // by StartedAt, oldest first
	Views   Views
	Visits  Tally
	Sent    Tally
	Opened  Tally
	Clicked Tally
	Tickets Tickets
	Named   []Named // the last MaxNamed, oldest first

	Segments []Membership // by name
	Runs     []Run        // journeys that run, by journey, then instance
	Mails    []Mail       // reserved against the caps, oldest first
	Series   []Series     // by Need

	Seen         []Seen // ids of the last day, oldest first
	SeenOverflow int64  // ids forgotten too early

	// Playbook is the version that last decided.
	Playbook string
	// Next is when anything here can change without an event; 0: never.
	Next int64

	// MachineOpens and MachineClicks are what Opened and Clicked leave out:
	// proxies and scanners did it.
	MachineOpens, MachineClicks int64
	// SoftBounces are when mails to Email came back that it may take another time,
	// oldest first, since it was last known to work.
	SoftBounces []int64
	// Preferences are nil until something is chosen. They are replaced, never
	// changed.
	Preferences *Preferences

	// OnSite and InMail are the days on which the customer looked around or wrote
	// to support, and opened or clicked.
	OnSite, InMail Rhythm
	// Scores as they were last published, by Of. What was never is 0 or "".
	Scores []Score
	// Models is the version that last scored.
	Models string

	// Standing follows from the rest, and is not part of the bytes.
	Standing Standing
}

// Preferences are what the customer chose on the page that mails lead to.
type Preferences struct {
	Choice
	At int64
	// Last names the event of the last choice, which can be taken back; 0: none
	// can. It found things as Before, and Consent.
	Last   uint64
	Before Choice
	// Unsubscribed: the last choice was to unsubscribe.
	Unsubscribed bool
	Consent      Consent
}

// Choice among mails.
type Choice struct {
	Frequency Frequency
	Stopped   []string // topics, by name
	PausedTo  int64    // no mail before; 0: no pause
}

// Frequency is how many mails the customer wants, at most.
type Frequency uint8

const (
	EveryMail Frequency = iota
	Weekly
	Monthly
)

// Chosen is what holds of the customer's preferences.
func (p *Profile) Chosen() Choice {
	if p.Preferences == nil {
		return Choice{}
	}
	return p.Preferences.Choice
}

// Consent is what the customer said about e-mail.
type Consent uint8

const (
	Unsaid Consent = iota
	Subscribed
	Unsubscribed
)

// Trait is one of the customer's own words about itself.
type Trait struct{ Name, Value string }

// Tally counts since ever.
type Tally struct {
	Count int64
	First int64
	Last  int64
}

// Orders are what was bought. Cancelled ones count no more. Sums hold one
// currency, the first; orders in others count without their money.
type Orders struct {
	Tally
	ValueMicros int64
	Currency    string
	Discounted  int64   // of Count, how many had a discount
	Recent      []Order // the last MaxOrders, oldest first
}

// Order is one purchase.
type Order struct {
	ID          string
	At          int64
	ValueMicros int64
	Currency    string // when it is another than that of the sums; else ""
	Items       []Item
	Cancelled   bool
	Discounted  bool // something was taken off its price
}

// Counts is what the order adds to sums.
func (o *Order) Counts() int64 {
	if o.Cancelled || o.Currency != "" {
		return 0
	}
	return o.ValueMicros
}

// Discount is what the order adds to Orders.Discounted.
func (o *Order) Discount() int64 {
	if o.Cancelled || !o.Discounted {
		return 0
	}
	return 1
}

// Item is a product in a cart or an order.
type Item struct {
	Product, Name, Category string
	URL, Image              string
	PriceMicros             int64
	Quantity                int64
}

// Cart is an open cart; an order closes it.
type Cart struct {
	// ID is the storefront's, or "" when carts are joined by customer.
	ID        string
	StartedAt int64 // with ID, what a journey's instance is named by
	ChangedAt int64
	WholeAt   int64 // when the storefront last told all that lies in it; 0: never
	Currency  string
	URL       string   // where the storefront shows it
	Items     []Item   // in the order of adding
	Done      []string // journeys that have run for it, by name
}

// Value is the sum of the cart's items in micros.
func (c *Cart) Value() int64 {
	var sum int64
	for i := range c.Items {
		sum += c.Items[i].PriceMicros * c.Items[i].Quantity
	}
	return sum
}

// Views are products and categories seen.
type Views struct {
	Tally
	Recent []View // the last MaxViews, oldest first
}

// View is one product or category seen.
type View struct {
	At                int64
	Product, Category string
	PriceMicros       int64
}

// Tickets are cases with support.
type Tickets struct {
	Tally
	Open []string // ids, by age; "" for one without
}

// Named is any other event.
type Named struct {
	Name string
	At   int64
	// CheapestFirst: a list was put in the order of prices.
	CheapestFirst bool
}

// Membership is a segment that the customer is in.
type Membership struct {
	Segment string
	Since   int64
}

// Run is a journey on its way.
type Run struct {
	Journey  string
	Instance string // what it runs once per: a cart, or the entry into a segment
	Cart     string // the cart's ID, when it is about one
	From     int64  // the cart's StartedAt; else when the run began
	Step     int    // the next one, from 0
	Due      int64  // of the next step; 0: the last step is out
	HeldTo   int64  // when a held step is looked at again; 0: not held
	// Delivery is the mail that has no outcome yet; what undoes it cancels it.
	// The other two are of the last delivery, with or without one.
	Delivery     string
	DeliveryStep int
	DeliveryDue  int64
	// Again: the last delivery came back stale, and its step is decided, or was,
	// a second time.
	Again bool
}

// Mail is a delivery that counts against the caps.
type Mail struct {
	Delivery string
	At       int64
}

// Series are the instants of one condition's window. Up to MaxInstants are
// exact; beyond, neighbours fall together within 1/256 of the window.
type Series struct {
	Need   uint64  // names window and filter; playbook.Need.ID
	Points []Point // by At, oldest first
	Count  int64   // since ever, when the need has no window
}

// MaxInstants are kept exactly per window.
const MaxInstants = 256

// Point is N events at one instant, or falling together at the last one's.
type Point struct {
	At int64
	N  int64
	// Micros is the money of these events, for sums.
	Micros int64
}

// Seen is the id of an event that has been folded.
type Seen struct {
	Hash uint64
	At   int64
}

// Score is one as it was last published.
type Score struct {
	Of int64  // playbook.Score
	N  int64  // in millionths, or an instant
	S  string // of a score that is a text
	At int64
}
