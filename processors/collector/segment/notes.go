package segment

import (
	"slices"
	"strings"

	"segue/schemas"
)

// Taken is what became of one call.
type Taken struct {
	// Type is track, identify and so on; Name is the event's, of a track.
	Type, Name string
	Events     []*schemas.Event
	Notes      []Note
}

// Note is something that a call did not say, or said in vain, and what that
// costs: for whoever builds the storefront.
type Note struct {
	// Field is its path within the call, such as properties.cart_id.
	Field string `json:"field"`
	Costs string `json:"costs"`
}

// note says what a field costs. What holds for each product of a list is said once.
func (f fields) note(field, costs string) {
	c := f.call
	if slices.ContainsFunc(c.notes, func(n Note) bool { return n.Costs == costs }) {
		return
	}
	path := strings.TrimPrefix(strings.TrimPrefix(f.name(field), c.path), ".")
	c.notes = append(c.notes, Note{Field: path, Costs: costs})
}

// lacks notes what it costs that none of names is there.
func (f fields) lacks(costs string, names ...string) {
	if !f.has(names...) {
		f.note(names[0], costs)
	}
}

// has reports whether one of names is there.
func (f fields) has(names ...string) bool {
	_, value := f.first(names)
	return value != nil
}

const anonymous = "it is an anonymous visitor's until an identify names both ids"

// slips are what programs write where they know no id.
var slips = []string{"null", "undefined", "nil", "none", "nan", "0", "anonymous", "[object object]"}

// lacking notes what a call leaves out that every call may say.
func (c *call) lacking(kind string) {
	if c.receipt.NewID != nil {
		c.lacks("sent twice, it counts twice", "messageId")
	}
	for _, name := range []string{"userId", "anonymousId"} {
		if id, _ := c.values[name].(string); slices.Contains(slips, strings.ToLower(id)) {
			c.note(name, "looks like no id, and all who get it are one customer")
		}
	}
	if kind != "identify" && kind != "alias" && c.head.UserId == "" {
		c.note("userId", anonymous)
	}
}
