package history

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"segue/processors/collector/segment"
	"segue/schemas"
)

// Options say what a file does not. Instants are in milliseconds.
type Options struct {
	// AsOf is when what has no time of its own was so.
	AsOf int64
	// Latest is what no event is after: behind the records by enough to be late.
	Latest int64
	// ReceivedAt is when it came.
	ReceivedAt int64
}

// Reader reads a file as events.
type Reader struct {
	kind    *Kind
	options Options
	rows    rows
	unused  map[string]bool

	ahead *read // of the next entry
}

// read is one row.
type read struct {
	row   row
	line  int
	end   int64
	wrong string
}

// NewReader reads the header, if there is one.
func NewReader(in io.Reader, k *Kind, o Options) (*Reader, error) {
	all, err := newRows(in, k)
	if err != nil {
		return nil, err
	}
	return &Reader{kind: k, options: o, rows: all, unused: map[string]bool{}}, nil
}

// Unused are the columns seen so far that nothing is made of.
func (r *Reader) Unused() []string { return slices.Sorted(maps.Keys(r.unused)) }

// Next returns the next entry; io.EOF after the last. Another error is the
// file's, and ends it.
func (r *Reader) Next() (Entry, error) {
	first, err := r.row()
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Line: first.line, End: first.end}
	if first.wrong != "" {
		e.Problems = []string{problem(first.line, first.wrong)}
		return e, nil
	}
	var lines []int // of products
	if r.kind.items {
		if lines, e.End, err = r.gather(first); err != nil {
			return e, err
		}
	}
	r.read(&e, first.row, lines)
	return e, nil
}

func problem(line int, text string) string { return fmt.Sprintf("line %d: %s", line, text) }

// row returns the next row, which may have been looked at before.
func (r *Reader) row() (*read, error) {
	if next := r.ahead; next != nil {
		r.ahead = nil
		return next, nil
	}
	next := new(read)
	var err error
	if next.row, next.line, next.end, next.wrong, err = r.rows.next(); err != nil {
		return nil, err
	}
	for name := range next.row {
		if i := slices.IndexFunc(r.kind.Columns, func(c Column) bool { return c.Name == name }); i < 0 && !r.kind.others {
			r.unused[name] = true
			delete(next.row, name)
		}
	}
	return next, nil
}

// product are the columns of one product.
var product = []string{"product_id", "name", "category", "price", "quantity"}

// gather joins the rows of an order into its first, whose columns hold for the
// whole, and returns where its products stand.
func (r *Reader) gather(first *read) (lines []int, end int64, err error) {
	products, whole := first.row["products"].([]any)
	end = first.end
	take := func(next *read) {
		p := map[string]any{}
		for _, name := range product {
			if value, ok := next.row[name]; ok {
				p[name] = value
				delete(next.row, name)
			}
		}
		if len(p) > 0 {
			products, lines = append(products, p), append(lines, next.line)
		}
		end = next.end
	}
	take(first)
	for !whole {
		next, err := r.row()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		if next.wrong != "" || next.row["order_id"] != first.row["order_id"] || next.row["customer"] != first.row["customer"] {
			r.ahead = next
			break
		}
		take(next)
	}
	if products != nil {
		first.row["products"] = products
	}
	return lines, end, nil
}

// read turns a row into events, or says what is wrong with it.
func (r *Reader) read(e *Entry, fields row, lines []int) {
	wrong := func(line int, format string, args ...any) {
		e.Problems = append(e.Problems, problem(line, fmt.Sprintf(format, args...)))
	}
	times := map[string]int64{}
	for _, c := range r.kind.Columns {
		value := fields[c.Name]
		switch {
		case value == nil && c.Needed:
			wrong(e.Line, "%s: got nothing, want %s", c.Name, c.Holds)
		case value != nil && c.time:
			at, ok := instant(value)
			if !ok {
				wrong(e.Line, "%s: got %q, want a time with its zone, such as 2026-03-29T12:00:00Z", c.Name, fmt.Sprint(value))
			}
			times[c.Name] = at
		case value != nil && c.truth:
			said, ok := truth(value)
			if !ok {
				wrong(e.Line, "%s: got %q, want true or false", c.Name, fmt.Sprint(value))
			}
			fields[c.Name] = said
		}
	}
	if said, ok := fields["subscribed"].(bool); ok && said && fields["subscribed_at"] == nil {
		wrong(e.Line, "subscribed_at: got nothing, want when they said so: what they said since counts more")
	}
	if r.kind.Name == "suppressions" && fields["customer"] == nil {
		if e.Email, _ = fields["email"].(string); e.Email == "" {
			wrong(e.Line, "customer: got nothing, want a customer or an email")
		}
		fields["customer"] = e.Email // until the customer is found
	}
	if len(e.Problems) > 0 {
		return
	}
	for _, c := range r.kind.calls(fields) {
		at, ok := times[c.time]
		if !ok {
			at = r.options.AsOf
		}
		events, err := r.events(c, at)
		var problems segment.Problems
		switch {
		case errors.As(err, &problems):
			for _, p := range problems {
				line, column := e.Line, r.kind.column(p.Field, c.time)
				if i, name, ok := ofProduct(column); ok && i < len(lines) {
					line, column = lines[i], name
				}
				wrong(line, "%s: got %s, want %s", column, p.Got, p.Want)
			}
		case err != nil:
			wrong(e.Line, "%v", err)
		case len(events) > 1: // by a name that storefronts give to consent
			wrong(e.Line, "a column says whether they want e-mail: call it subscribed, and say in subscribed_at since when")
		}
		e.Events = append(e.Events, events...)
	}
	if len(e.Problems) > 0 {
		e.Events = nil
	}
}

func (r *Reader) events(c call, at int64) ([]*schemas.Event, error) {
	text, err := c.body(at, r.options.Latest)
	if err != nil {
		return nil, err
	}
	body, err := segment.Read("", text)
	if err != nil {
		return nil, err
	}
	return body.Events(segment.Receipt{At: r.options.ReceivedAt, Source: Source})
}

// ofProduct splits products[2].price.
func ofProduct(column string) (i int, name string, ok bool) {
	rest, ok := strings.CutPrefix(column, "products[")
	if !ok {
		return 0, "", false
	}
	number, name, ok := strings.Cut(rest, "].")
	i, err := strconv.Atoi(number)
	return i, name, ok && err == nil
}

// layouts of times: ISO 8601, and what shops export.
var layouts = []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700"}

func instant(value any) (ms int64, ok bool) {
	text, _ := value.(string)
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil && t.UnixMilli() > 0 && t.Year() <= 9999 {
			return t.UnixMilli(), true
		}
	}
	return 0, false
}

func truth(value any) (said, ok bool) {
	switch strings.ToLower(fmt.Sprint(value)) {
	case "true", "yes", "1":
		return true, true
	case "false", "no", "0":
		return false, true
	}
	return false, false
}
