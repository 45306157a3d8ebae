package models

// Feature is what propensity sees of a customer, as of the last sign of life. What
// it counts enters as ln(1+n).
type Feature struct {
	Name  string
	Speed Speed
	About string // for people
	// Counts: it is a number of something.
	Counts bool
}

// Speed is how a feature fades after the last sign of life.
type Speed uint8

const (
	Fast Speed = iota
	Slow
	Lasting
)

// FeatureCount is how many there are.
const FeatureCount = len(features)

var features = [...]Feature{
	{"views_hour", Fast, "products and lists seen within an hour", true},
	{"views_again", Fast, "looks at the product seen last, again within a day", true},
	{"cart", Fast, "things in an open cart", true},
	{"searches", Fast, "searches within a day", true},
	{"sizing", Fast, "looks at a sizing guide within a day", true},
	{"shipping", Fast, "looks at how things are shipped within a day", true},
	{"just_ordered", Fast, "orders within a day", true},
	{"clicked", Fast, "a mail opened or clicked within a day", false},
	{"views_week", Slow, "products and lists seen within a week", true},
	{"days_back", Slow, "further days on the site within two weeks", true},
	{"cart_kept", Slow, "an open cart", false},
	{"orders", Lasting, "orders since ever", true},
	{"morning", Lasting, "the last sign came from 6 to 12, by the customer's clock", false},
	{"evening", Lasting, "it came from 18 to 24", false},
	{"night", Lasting, "it came from 0 to 6", false},
}

// Features by number, as Logit.Of has them.
var Features = features[:]
