package playbook

import (
	"slices"
	"sort"
	"strings"

	"segue/schemas/profile"
)

// node is a part of a condition. It has no state, and may be read by many
// goroutines at once.
type node interface {
	eval(*state) value
	kind() kind
	write(w *writer, precedence int)
}

// constant is written in the condition.
type constant struct {
	of     kind
	value  value
	source string
}

func (c *constant) kind() kind        { return c.of }
func (c *constant) eval(*state) value { return c.value }

// read is a name.
type read struct{ *variable }

func (r read) kind() kind          { return r.variable.kind }
func (r read) eval(s *state) value { return r.read(s) }

// trait is one of the customer's own words.
type trait struct{ name string }

func (trait) kind() kind { return text }
func (t trait) eval(s *state) value {
	all := s.Profile.Traits
	i := sort.Search(len(all), func(i int) bool { return all[i].Name >= t.name })
	if i == len(all) || all[i].Name != t.name {
		return value{}
	}
	return value{s: all[i].Value}
}

// count is how many happenings lie in a window, or their money.
type count struct {
	need   Need
	money  bool
	source string
}

func (c *count) kind() kind {
	if c.money {
		return money
	}
	return number
}

func (c *count) eval(s *state) value {
	n, leaves := c.total(&s.Facts)
	s.changes(leaves)
	return value{n: n}
}

// total returns the count, and when the oldest point in the window leaves it.
func (c *count) total(f *Facts) (n, leaves int64) {
	series := find(f.Profile, c.need.ID)
	if series == nil {
		return 0, 0
	}
	if c.need.Window == 0 {
		return series.Count, 0
	}
	points := series.Points
	for i := len(points) - 1; i >= 0 && points[i].At > f.Now-c.need.Window; i-- {
		if c.money {
			n += points[i].Micros
		} else {
			n += points[i].N
		}
		leaves = points[i].At + c.need.Window
	}
	return n, leaves
}

// fallsBelow returns when a count that is n or more becomes less; 0: never.
func (c *count) fallsBelow(s *state, n int64) int64 {
	series := find(s.Profile, c.need.ID)
	if series == nil || c.need.Window == 0 || n <= 0 {
		return 0
	}
	for i := len(series.Points) - 1; i >= 0; i-- {
		if n -= series.Points[i].N; n <= 0 {
			return series.Points[i].At + c.need.Window
		}
	}
	return 0
}

// threshold compares a count with a constant. Between events a count only
// falls, so that the instant of crossing is one of its points.
type threshold struct {
	count *count
	op    string
	n     int64
}

func (t *threshold) kind() kind { return boolean }
func (t *threshold) eval(s *state) value {
	c, _ := t.count.total(&s.Facts) // the points that leave before the crossing change nothing
	switch t.op {
	case ">=", "<":
		s.changes(t.count.fallsBelow(s, t.n))
	case ">", "<=":
		s.changes(t.count.fallsBelow(s, t.n+1))
	case "==", "!=":
		if c == t.n {
			s.changes(t.count.fallsBelow(s, t.n))
		} else {
			s.changes(t.count.fallsBelow(s, t.n+1))
		}
	}
	return truth(compares(t.op, c, t.n))
}

// elapsed compares the time since an instant with a constant length.
type elapsed struct {
	since  node
	op     string
	length int64
	source string // of the length
}

func (e *elapsed) kind() kind { return boolean }
func (e *elapsed) eval(s *state) value {
	at := e.since.eval(s).n
	if at == 0 {
		return truth(e.op == ">" || e.op == ">=") // never is longer ago than anything
	}
	switch e.op {
	case ">=", "<":
		s.changes(at + e.length)
	case ">", "<=":
		s.changes(at + e.length + 1)
	}
	return truth(compares(e.op, s.Now-at, e.length))
}

// comparison is of two things of the same kind.
type comparison struct {
	op          string
	left, right node
}

func (c *comparison) kind() kind { return boolean }
func (c *comparison) eval(s *state) value {
	l, r := c.left.eval(s), c.right.eval(s)
	if c.left.kind() == text {
		return truth((l.s == r.s) == (c.op == "=="))
	}
	return truth(compares(c.op, l.n, r.n))
}

func compares(op string, l, r int64) bool {
	switch op {
	case "<":
		return l < r
	case "<=":
		return l <= r
	case ">":
		return l > r
	case ">=":
		return l >= r
	case "==":
		return l == r
	}
	return l != r
}

// oneOf asks whether a text is in a list.
type oneOf struct {
	text node
	list []string
}

func (o *oneOf) kind() kind          { return boolean }
func (o *oneOf) eval(s *state) value { return truth(slices.Contains(o.list, o.text.eval(s).s)) }

// sum adds or subtracts numbers or money.
type sum struct {
	op          string
	left, right node
}

func (a *sum) kind() kind { return a.left.kind() }
func (a *sum) eval(s *state) value {
	l, r := a.left.eval(s).n, a.right.eval(s).n
	if a.op == "-" {
		r = -r
	}
	return value{n: l + r}
}

// logic is && or ||. The right side is not read when the left decides; then it
// cannot change the answer before the left does.
type logic struct {
	op          string
	left, right node
}

func (l *logic) kind() kind { return boolean }
func (l *logic) eval(s *state) value {
	if left := l.left.eval(s); (left.n != 0) == (l.op == "||") {
		return left
	}
	return l.right.eval(s)
}

type not struct{ of node }

func (n not) kind() kind          { return boolean }
func (n not) eval(s *state) value { return truth(n.of.eval(s).n == 0) }

// find returns the series of a need, or nil.
func find(p *profile.Profile, need uint64) *profile.Series {
	i, found := place(p, need)
	if !found {
		return nil
	}
	return &p.Series[i]
}

// place returns where the series of a need is, or would be.
func place(p *profile.Profile, need uint64) (int, bool) {
	lo, hi := 0, len(p.Series)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if p.Series[mid].Need < need {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(p.Series) && p.Series[lo].Need == need
}

func quote(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
