package segment

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"segue/schemas"
)

// Bounds of single values, in bytes. An id becomes a key, or is looked up.
const (
	maxID   = 256
	maxText = 1024
	maxURL  = 8 << 10
	// maxCount is of pieces in one line of a cart.
	maxCount = 1_000_000
)

// fields reads an object of a call, and notes what is wrong with it. null and
// the empty string are the same as a field that is not there.
type fields struct {
	call   *call
	path   string
	values map[string]any
}

// name is the path of a field, as a problem names it.
func (f fields) name(field string) string {
	switch {
	case f.path == "" && field == "":
		return "body"
	case f.path == "" || field == "":
		return f.path + field
	}
	return f.path + "." + field
}

// wrong notes that a field is not what it should be.
func (f fields) wrong(field string, got any, want string) {
	p := f.call.problems
	*p = append(*p, Problem{Item: f.call.item, Field: f.name(field), Got: describeValue(got), Want: want})
}

// first returns the first of names that is there, with its value.
func (f fields) first(names []string) (string, any) {
	for _, name := range names {
		if v := f.values[name]; v != nil && v != "" {
			return name, v
		}
	}
	return names[0], nil
}

// text reads text of at most limit bytes; a number is taken as it is written.
func (f fields) text(limit int, names ...string) string {
	name, value := f.first(names)
	var s string
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		s = v
	case json.Number:
		s = v.String()
	default:
		f.wrong(name, value, "text")
		return ""
	}
	if len(s) > limit {
		f.wrong(name, plain(fmt.Sprintf("%d bytes", len(s))), fmt.Sprintf("at most %d bytes", limit))
		return ""
	}
	return s
}

// id reads text that names something: a customer, an order, a product.
func (f fields) id(names ...string) string {
	s := f.text(maxID, names...)
	bad := func(r rune) bool { return r == utf8.RuneError || unicode.IsControl(r) }
	if strings.ContainsFunc(s, bad) { // half a surrogate reads as RuneError, whichever it is
		name, value := f.first(names)
		f.wrong(name, value, "no control characters, nor broken ones")
		return ""
	}
	return s
}

// needed is id for a field that must be there.
func (f fields) needed(what string, names ...string) string {
	if name, value := f.first(names); value == nil {
		f.wrong(name, nil, what)
		return ""
	}
	return f.id(names...)
}

// truth reads true or false, also as text; known is false where neither is there.
func (f fields) truth(names ...string) (value, known bool) {
	name, v := f.first(names)
	switch v {
	case nil:
		return false, false
	case true, "true":
		return true, true
	case false, "false":
		return false, true
	}
	f.wrong(name, v, "true or false")
	return false, false
}

// count reads a whole number from 0; 3.0 is whole.
func (f fields) count(name string) int64 {
	_, value := f.first([]string{name})
	if value == nil {
		return 0
	}
	micros, err := parseMicros(value)
	n := micros / microsPerUnit
	if err != "" || micros%microsPerUnit != 0 || n < 0 || n > maxCount {
		f.wrong(name, value, fmt.Sprintf("a whole number from 0 to %d", maxCount))
		return 0
	}
	return n
}

// money reads an amount in micros, 0 or more.
func (f fields) money(names ...string) int64 {
	name, value := f.first(names)
	if value == nil {
		return 0
	}
	micros, want := parseMicros(value)
	if want == "" && micros < 0 {
		want = "an amount that is not negative"
	}
	if want != "" {
		f.wrong(name, value, want)
		return 0
	}
	return micros
}

// currency reads an ISO 4217 code.
func (f fields) currency() string {
	s := strings.ToUpper(f.id("currency"))
	if s != "" && !(len(s) == 3 && isUpper(s)) {
		f.wrong("currency", s, "a code of ISO 4217 such as EUR")
		return ""
	}
	return s
}

// instant reads a time in milliseconds; 0: none.
func (f fields) instant(names ...string) int64 {
	name, value := f.first(names)
	if value == nil {
		return 0
	}
	s, _ := value.(string)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || !strict(s) || t.UnixMilli() <= 0 || t.Year() > 9999 {
		f.wrong(name, value, "a time of ISO 8601 since 1970 with its zone, such as 2026-03-29T12:00:00.000Z")
		return 0
	}
	return t.UnixMilli()
}

// strict refuses what time.Parse lets pass: an hour of one digit, a comma for the
// point, an offset of a day and more.
func strict(s string) bool {
	if len(s) < len("2026-03-29T12:00:00Z") {
		return false
	}
	offset := s[len(s)-len("00:00"):]
	return s[13] == ':' && s[19] != ',' && (s[len(s)-1] == 'Z' || offset < "24" && offset[3] < '6')
}

// object reads an object; where there is none, one without fields.
func (f fields) object(name string) fields {
	inner := fields{call: f.call, path: f.name(name)}
	if value := f.values[name]; value != nil && value != "" {
		var ok bool
		if inner.values, ok = value.(map[string]any); !ok {
			f.wrong(name, value, "an object")
		}
	}
	return inner
}

// list reads a list of objects; there is false where the call has none.
func (f fields) list(name string) (all []fields, there bool) {
	value := f.values[name]
	if value == nil {
		return nil, false
	}
	values, ok := value.([]any)
	if !ok {
		f.wrong(name, value, "a list of objects")
		return nil, false
	}
	for i, v := range values {
		inner := fields{call: f.call, path: fmt.Sprintf("%s[%d]", f.name(name), i)}
		if inner.values, ok = v.(map[string]any); !ok {
			inner.wrong("", v, "an object")
			continue
		}
		all = append(all, inner)
	}
	return all, true
}

// rest returns all fields but some as text; what is not text stays JSON.
func (f fields) rest(but ...string) map[string]string {
	texts := map[string]string{}
	for name, value := range f.values {
		if value == nil || slices.Contains(but, name) {
			continue
		}
		if s, ok := value.(string); ok {
			texts[name] = s
			continue
		}
		texts[name] = asJSON(value)
	}
	return texts
}

// times fills in when it happened and when it came, as the package says.
func (c *call) times() {
	received := c.receipt.At
	if archived := received == 0; archived {
		received = c.instant("receivedAt")
	}
	at, original, sent := c.instant("timestamp"), c.instant("originalTimestamp"), c.instant("sentAt")
	switch {
	case at == 0:
		at = original
	case original != 0:
		sent = 0 // who passes a call on has corrected timestamp, and keeps the original beside it
	}
	if at == 0 {
		c.note("timestamp", "it happens when it arrives")
	}
	if at != 0 && received != 0 {
		if sent != 0 {
			if at += received - sent; at <= 0 {
				c.wrong("sentAt", c.values["sentAt"], "a time nearer to timestamp")
			}
		}
		if at > received {
			c.note("timestamp", "lies after its arrival: it happens when it arrives")
			at = received
		}
		if received-at > schemas.LateAfter {
			c.note("timestamp", "lies a quarter of an hour and more before its arrival: it informs, and starts no journey")
		}
	}
	c.head.OccurredAt, c.head.ReceivedAt = schemas.Timestamp(at), schemas.Timestamp(received)
}

func isUpper(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 'A' || r > 'Z' })
}

// asJSON writes a value that came from JSON.
func asJSON(value any) string {
	var b strings.Builder
	switch v := value.(type) {
	case map[string]any:
		b.WriteByte('{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(asJSON(name) + ":" + asJSON(v[name]))
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(asJSON(v[i]))
		}
		b.WriteByte(']')
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case nil:
		return "null"
	case string:
		quoted := json.NewEncoder(&b)
		quoted.SetEscapeHTML(false)
		_ = quoted.Encode(v) // text always encodes
		return strings.TrimSuffix(b.String(), "\n")
	}
	return b.String()
}

// plain is what a problem got, in words.
type plain string

// describeValue says what a problem got.
func describeValue(got any) string {
	switch v := got.(type) {
	case nil:
		return "nothing"
	case plain:
		return string(v)
	}
	return short([]byte(asJSON(got)))
}

// short cuts b to what fits in a message.
func short(b []byte) string {
	const limit = 60
	s := string(b)
	if len(s) <= limit {
		return s
	}
	cut := limit
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
