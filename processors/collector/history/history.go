// Package history reads what a shop already knows, so that it need not begin
// with strangers: files of orders, of customers, and of who must not be mailed.
//
//	orders.csv, customers.csv, suppressions.csv → history → events
//
// A file is CSV with a header, or JSON with one object per line and the same
// names. What a row says becomes calls of Segment's API, and so is checked, and
// turned into events, as if the storefront had sent it.
//
// Not obvious: history informs and never triggers. What it says happened at the
// time that the row gives, but no later than Options.Latest, which lies far
// enough behind the record to be late. The id of an event is a hash of what the
// row says, so that a row which is read twice within a day folds once.
package history

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"segue/schemas"
)

// Kind is what a file holds.
type Kind struct {
	Name string
	// Rows says in a sentence what one row is.
	Rows    string
	Columns []Column
	// others is what becomes of columns that are not listed: traits, or nothing.
	others bool
	// items: rows that follow each other and differ in their product are one order.
	items bool
	// calls are Segment's calls for an entry, each with the time's column.
	calls func(row) []call
}

// Column is one of a file, or a field of an object.
type Column struct {
	Name string
	// Needed says that no row may leave it out.
	Needed bool
	// Holds says what it is, for people.
	Holds string
	// time and truth say how it is read.
	time, truth bool
}

// Source is what imported events say they came from.
const Source = "import"

// Kinds are all that there is to import.
var Kinds = []Kind{
	{
		Name: "orders",
		Rows: "One row per order, or one per product of it: rows of the same order follow each other.",
		Columns: []Column{
			{Name: "customer", Needed: true, Holds: "who ordered: the userId that the storefront sends"},
			{Name: "order_id", Needed: true, Holds: "the shop's; an order counts once"},
			{Name: "ordered_at", Needed: true, time: true, Holds: "when, with its zone: 2026-03-29T12:00:00Z"},
			{Name: "currency", Holds: "of ISO 4217, such as EUR"},
			{Name: "total", Holds: "what was paid, such as 12.50; else the sum of products"},
			{Name: "discount", Holds: "what was taken off the price, such as 2.50"},
			{Name: "coupon", Holds: "that was redeemed"},
			{Name: "cancelled_at", time: true, Holds: "when it was cancelled, if it was"},
			{Name: "product_id", Holds: "what was bought; also name, category, price, quantity"},
			{Name: "name"}, {Name: "category"}, {Name: "price"}, {Name: "quantity"},
			{Name: "products", Holds: "in JSON, a list of all of these instead"},
		},
		items: true,
		calls: orderCalls,
	},
	{
		Name: "customers",
		Rows: "One row per customer. Every other column is kept as a trait of its name.",
		Columns: []Column{
			{Name: "customer", Needed: true, Holds: "the userId that the storefront sends"},
			{Name: "email", Holds: "ada@example.com"},
			{Name: "first_name", Holds: "and last_name: as mails address them"},
			{Name: "last_name"},
			{Name: "time_zone", Holds: "of IANA, such as Europe/London"},
			{Name: "country", Holds: "of ISO 3166-1, such as GB"},
			{Name: "language", Holds: "of BCP 47, such as en-GB"},
			{Name: "subscribed", truth: true, Holds: "whether they want e-mail: true, false or nothing"},
			{Name: "subscribed_at", time: true, Holds: "when they said so; needed with subscribed true"},
			{Name: "as_of", time: true, Holds: "when all this was so; else when the file was written"},
		},
		others: true,
		calls:  customerCalls,
	},
	{
		Name: "suppressions",
		Rows: "One row per customer who must not be mailed: each is unsubscribed.",
		Columns: []Column{
			{Name: "customer", Holds: "the userId that the storefront sends"},
			{Name: "email", Holds: "instead of it: the customers who have this address now"},
			{Name: "at", time: true, Holds: "since when; else when the file was written"},
		},
		calls: suppressionCalls,
	},
}

// row is an entry's fields by column, those that are not empty.
type row map[string]any

// call is one of Segment's, with the column that holds its time.
type call struct {
	time   string
	fields map[string]any
}

func track(time, event string, r row, properties map[string]any) call {
	return call{time, map[string]any{"type": "track", "event": event, "userId": r["customer"], "properties": properties}}
}

// orderCalls are a purchase and, of one that was cancelled, that too.
func orderCalls(r row) []call {
	products := r["products"]
	if products == nil {
		products = []any{}
	}
	calls := []call{track("ordered_at", "Order Completed", r, map[string]any{
		"order_id": r["order_id"], "total": r["total"], "currency": r["currency"], "discount": r["discount"], "coupon": r["coupon"], "products": products})}
	if r["cancelled_at"] != nil {
		calls = append(calls, track("cancelled_at", "Order Cancelled", r, map[string]any{"order_id": r["order_id"]}))
	}
	return calls
}

// traits are the columns of customers that Segment's traits call otherwise.
var traits = map[string]string{"first_name": "firstName", "last_name": "lastName", "time_zone": "timezone"}

// customerCalls say who it is and, at its own time, whether they want e-mail.
func customerCalls(r row) []call {
	known := map[string]any{}
	for column, value := range r {
		switch column {
		case "customer", "subscribed", "subscribed_at", "as_of":
		default:
			if name, ok := traits[column]; ok {
				column = name
			}
			known[column] = value
		}
	}
	calls := []call{{"as_of", map[string]any{"type": "identify", "userId": r["customer"], "traits": known}}}
	switch r["subscribed"] {
	case true:
		calls = append(calls, track("subscribed_at", "Subscribed", r, nil))
	case false:
		calls = append(calls, track("subscribed_at", "Unsubscribed", r, nil))
	}
	return calls
}

func suppressionCalls(r row) []call {
	return []call{track("at", "Unsubscribed", r, nil)}
}

// body is c as it would have come over HTTP, of something that happened at. Its
// id depends on what it says, and on nothing else.
func (c call) body(at, latest int64) ([]byte, error) {
	c.fields["timestamp"] = stamp(at)
	said, err := json.Marshal(c.fields) // in the order of names
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(said)
	c.fields["messageId"] = Source + "/" + hex.EncodeToString(sum[:12])
	c.fields["timestamp"] = stamp(min(at, latest))
	return json.Marshal(c.fields)
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// column is how a problem's field is called in the file.
func (k *Kind) column(field, time string) string {
	for _, prefix := range []string{"properties.", "traits."} {
		field = strings.TrimPrefix(field, prefix)
	}
	switch field {
	case "userId":
		return "customer"
	case "timestamp":
		return time
	}
	for ours, theirs := range traits {
		if field == theirs {
			return ours
		}
	}
	return field
}

// Entry is what one row, or the rows of one order, came to.
type Entry struct {
	// Line is where it starts, from 1.
	Line int
	// End is how many bytes of the file lie before the next one.
	End    int64
	Events []*schemas.Event
	// Email is whom the events are about where the row names an address alone:
	// their customer is still to be found.
	Email string
	// Problems say what is wrong with it, and on which line; then there are no
	// events.
	Problems []string
}
