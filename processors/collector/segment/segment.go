// Package segment reads Segment's HTTP tracking API: the body of a call becomes
// events of the shop.
//
//	storefront ─ batch, track, identify, page … ─▶ segment → events
//
// Everything here is a function of the body and of when it came, for the
// collector and for replaying an archive of calls alike.
//
//	identify     → Identify; Subscription, where a trait says so;
//	               Link under anonymousId, where both ids are there
//	alias        → Link under previousId
//	group        → Identify with the group's traits
//	page, screen → Visit
//	track        → by its name (names.go): View, CartChange, Order, OrderCancelled,
//	               Engagement, Rejection, Subscription, Ticket; any other Named
//
// Beside it, what is not Segment's: a body of products becomes records of the
// catalog (catalog.go).
//
// Names of events are those of Ecommerce Spec V2; V1's become V2's, and case and
// separators do not matter. What decides (ids, money, counts, times) must be
// right; what only decorates (addresses of pictures) is left out when it is not,
// and a Note says so, as it does for what is missing.
// That a mail came back is believed by signed calls alone: nothing undoes it. So is
// that a customer who is known became another.
//
// Not obvious: a body is taken whole or not at all, and the error names every
// item that is wrong. A client's clock is never trusted to be ahead: what it
// stamped is moved by the difference between its sentAt and our receipt, and
// never lies after that.
package segment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"segue/schemas"
)

// Segment's limits, in bytes of JSON, and in calls of a batch.
const (
	MaxBody  = 500 << 10
	MaxItem  = 32 << 10
	MaxItems = 2500
)

// maxProblems bounds an answer to a body that is wrong throughout.
const maxProblems = 20

// Problem is one thing that is wrong with a body.
type Problem struct {
	// Item is its place in the batch, from 0; -1: the body itself.
	Item int `json:"item"`
	// Field is the path to it, such as batch[3].properties.price.
	Field string `json:"field"`
	Got   string `json:"got"`
	Want  string `json:"want"`
	// TooLarge: only its size is wrong.
	TooLarge bool `json:"-"`
}

// Problems are all that is wrong with a body, or the first of it.
type Problems []Problem

func (p Problems) Error() string {
	var b strings.Builder
	for i, x := range p {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s: got %s, want %s", x.Field, x.Got, x.Want)
	}
	return b.String()
}

// Body is a body that was read, but for its items.
type Body struct {
	// WriteKey is the one that stands in the body, or "".
	WriteKey string

	endpoint string
	batch    bool
	items    []json.RawMessage
	// shared holds for items that do not say it themselves.
	shared map[string]any
}

// Read reads a body of /v1/ENDPOINT (batch, import, track, identify, page, screen,
// alias, group). endpoint "" is a line of an archive: a batch or any call. The
// error is Problems.
func Read(endpoint string, body []byte) (*Body, error) {
	wrong := func(field, got, want string) (*Body, error) {
		return nil, Problems{{Item: -1, Field: field, Got: got, Want: want}}
	}
	if !utf8.Valid(body) {
		return wrong("body", "bytes that are not UTF-8", "JSON")
	}
	var outer map[string]json.RawMessage
	if err := json.Unmarshal(body, &outer); err != nil || outer == nil {
		return wrong("body", describe(body, err), "a JSON object")
	}
	raw, there := outer["batch"]
	b := &Body{endpoint: endpoint}
	switch endpoint {
	case "batch", "import":
		b.batch, b.endpoint = true, ""
	case "":
		b.batch = there
	}
	if key, ok := outer["writeKey"]; ok && json.Unmarshal(key, &b.WriteKey) != nil {
		return wrong("writeKey", short(key), "text")
	}
	if !b.batch {
		b.items = []json.RawMessage{body}
		return b, nil
	}
	if !there {
		return wrong("batch", "nothing", "a list of calls")
	}
	if json.Unmarshal(raw, &b.items) != nil || b.items == nil {
		return wrong("batch", short(raw), "a list of calls")
	}
	if n := len(b.items); n > MaxItems && endpoint != "" {
		return nil, Problems{{Item: -1, Field: "batch", TooLarge: true, Got: fmt.Sprintf("%d calls", n), Want: fmt.Sprintf("at most %d", MaxItems)}}
	}
	b.shared = map[string]any{}
	for _, name := range []string{"sentAt", "context"} {
		if value, ok := outer[name]; ok {
			b.shared[name] = decode(value)
		}
	}
	return b, nil
}

// decode reads valid JSON; a number keeps its digits.
func decode(raw []byte) (value any) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return nil
	}
	return value
}

// describe says what is wrong with a body that is no JSON object.
func describe(body []byte, err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("%v (byte %d of %d)", err, syntax.Offset, len(body))
	}
	return short(body)
}

// Receipt is what the station adds to a body.
type Receipt struct {
	// At is when the body came, in milliseconds; 0: it was archived, and each
	// call's receivedAt counts, if there is one.
	At int64
	// Source names the write key.
	Source string
	// Open: the key lies open, as in a browser, and anybody may say anything by it.
	// What can never be taken back counts by its name alone, and a Link is not
	// trusted.
	Open bool
	// Hosts, if any, are those that an Open call may lead to, each with what lies
	// below it.
	Hosts []string
	// NewID gives an id to a call that has none; nil: it stays without.
	NewID func() string
}

// Events returns what the body says, in its order. The error is Problems, and
// then there are no events.
func (b *Body) Events(r Receipt) ([]*schemas.Event, error) {
	taken, err := b.Take(r)
	if err != nil {
		return nil, err
	}
	var events []*schemas.Event
	for _, t := range taken {
		events = append(events, t.Events...)
	}
	return events, nil
}

// Take returns what became of each call, in their order. The error is Problems,
// and then nothing is taken.
func (b *Body) Take(r Receipt) ([]Taken, error) {
	var taken []Taken
	var problems Problems
	for i, raw := range b.items {
		c := call{item: i, receipt: r, problems: &problems}
		root := ""
		if b.batch {
			root = fmt.Sprintf("batch[%d]", i)
		}
		taken = append(taken, c.read(b, root, raw))
		if len(problems) >= maxProblems {
			problems = problems[:maxProblems]
			break
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return taken, nil
}

// Events returns what a line of an archive says: a call, or a batch of them, at
// the times that it carries.
func Events(line []byte) ([]*schemas.Event, error) {
	b, err := Read("", line)
	if err != nil {
		return nil, err
	}
	return b.Events(Receipt{})
}

// call is one item on its way to events.
type call struct {
	item     int
	receipt  Receipt
	problems *Problems
	notes    []Note
	// named is the event's name, of a track.
	named string

	fields        // of the item itself
	context, page fields
	// head is what all events of the call share.
	head schemas.Event
}

func (c *call) read(b *Body, root string, raw json.RawMessage) Taken {
	c.fields = fields{call: c, path: root}
	if len(raw) > MaxItem {
		*c.problems = append(*c.problems, Problem{Item: c.item, Field: c.name(""), TooLarge: true,
			Got: fmt.Sprintf("%d bytes", len(raw)), Want: fmt.Sprintf("at most %d", MaxItem)})
		return Taken{}
	}
	var ok bool
	if c.values, ok = decode(raw).(map[string]any); !ok {
		c.wrong("", plain(short(raw)), "an object")
		return Taken{}
	}
	for name, value := range b.shared {
		if _, ok := c.values[name]; !ok {
			c.values[name] = value
		}
	}
	c.context = c.object("context")
	c.page = c.context.object("page")
	kind := c.kind(b.endpoint)
	c.identity(kind)
	c.times()
	events := c.events(kind)
	c.lacking(kind)
	return Taken{Type: kind, Name: c.named, Events: events, Notes: c.notes}
}

// kind is the type of the call: of the endpoint, or what a batch's item says.
func (c *call) kind(endpoint string) string {
	said := c.text(maxID, "type")
	if endpoint == "" {
		return said
	}
	if said != "" && said != endpoint {
		c.wrong("type", said, endpoint)
	}
	return endpoint
}

func (c *call) events(kind string) []*schemas.Event {
	switch kind {
	case "track":
		return c.track()
	case "identify":
		return c.identify()
	case "alias":
		return c.alias()
	case "group":
		return c.group()
	case "page", "screen":
		return c.visit()
	}
	c.wrong("type", c.values["type"], "track, identify, page, screen, alias or group")
	return nil
}

// identity fills in who it is about, and the call's id.
func (c *call) identity(kind string) {
	h := &c.head
	h.Source = c.receipt.Source
	h.Id = c.id("messageId")
	if end := h.Id[strings.LastIndexByte(h.Id, '/')+1:]; end != h.Id && reserved[squeeze(end)] {
		c.wrong("messageId", h.Id, "an id that does not end as Segue's own do: what has one id folds once")
	}
	if h.Id == "" && c.receipt.NewID != nil {
		h.Id = c.receipt.NewID()
	}
	known := len(*c.problems)
	h.UserId, h.AnonymousId = c.id("userId"), c.id("anonymousId")
	if h.Customer = h.UserId; h.Customer == "" {
		h.Customer = h.AnonymousId
	}
	if len(*c.problems) > known {
		return
	}
	if h.Customer == "" {
		c.wrong("userId", nil, "userId or anonymousId")
	} else if h.UserId == "" && kind == "alias" {
		c.wrong("userId", nil, "whom previousId became")
	}
}

// event is one event of the call. What differs from its first has an id of its
// own: both may come to lie in one profile.
func (c *call) event(suffix string) *schemas.Event {
	h := &c.head
	e := &schemas.Event{Id: h.Id, OccurredAt: h.OccurredAt, ReceivedAt: h.ReceivedAt, Customer: h.Customer,
		UserId: h.UserId, AnonymousId: h.AnonymousId, Source: h.Source}
	if e.Id != "" {
		e.Id += suffix
	}
	return e
}

func (c *call) visit() []*schemas.Event {
	properties := c.object("properties")
	seen := func(name string) string {
		if said := properties.text(maxURL, name); said != "" {
			return said
		}
		return c.page.text(maxURL, name)
	}
	e := c.event("")
	title := seen("title")
	if title == "" {
		title = c.text(maxText, "name") // a screen has no other
	}
	e.Body = &schemas.Event_Visit{Visit: &schemas.Visit{Url: seen("url"), Title: title, Referrer: seen("referrer")}}
	return []*schemas.Event{e}
}
