package playbook

import (
	"slices"
	"sort"
	"strings"
)

// node is a part of a condition. It has no state, and may be read by many
// goroutines at once.
type node interface {
	// eval returns what the node says, and until when it is sure to say so if
	// nothing happens: an instant after f.Now; 0: for ever.
	eval(f Facts) (v value, until int64)
	kind() kind
	write(w *writer, precedence int)
}

// constant is written in the condition.
type constant struct {
	of     kind
	value  value
	source string
}

func (c *constant) kind() kind                { return c.of }
func (c *constant) eval(Facts) (value, int64) { return c.value, 0 }

// read is a name.
type read struct{ *variable }

func (r read) kind() kind                  { return r.variable.kind }
func (r read) eval(f Facts) (value, int64) { return r.read(f) }

// trait is one of the customer's own words.
type trait struct{ name string }

func (trait) kind() kind { return text }
func (t trait) eval(f Facts) (value, int64) {
	all := f.Profile.Traits
	i := sort.Search(len(all), func(i int) bool { return all[i].Name >= t.name })
	if i == len(all) || all[i].Name != t.name {
		return value{}, 0
	}
	return value{s: all[i].Value}, 0
}

// elapsed compares the time since an instant with a constant length.
type elapsed struct {
	since  node
	op     relation
	length int64
	source string // of the length
}

func (e *elapsed) kind() kind { return boolean }
func (e *elapsed) eval(f Facts) (value, int64) {
	since, until := e.since.eval(f)
	if since.n == 0 {
		return truth(e.op&greater != 0), until // never is longer ago than anything
	}
	turns := since.n + e.length
	if e.op == greater || e.op == less|equal {
		turns++
	}
	if turns > f.Now {
		until = Sooner(until, turns)
	}
	return truth(e.op.holds(f.Now-since.n, e.length)), until
}

// ahead compares the time to an instant with a constant length. What is past is
// less than nothing ahead.
type ahead struct {
	of     node
	op     relation
	length int64
	source string // of the length
}

func (a *ahead) kind() kind { return boolean }
func (a *ahead) eval(f Facts) (value, int64) {
	at, until := a.of.eval(f)
	if at.n == 0 {
		return truth(a.op&greater != 0), until // never is later than anything
	}
	turns := at.n - a.length
	if a.op == greater|equal || a.op == less {
		turns++
	}
	if turns > f.Now {
		until = Sooner(until, turns)
	}
	return truth(a.op.holds(at.n-f.Now, a.length)), until
}

// comparison is of two things of the same kind.
type comparison struct {
	op          relation
	left, right node
}

func (c *comparison) kind() kind { return boolean }
func (c *comparison) eval(f Facts) (value, int64) {
	l, until := c.left.eval(f)
	r, rightUntil := c.right.eval(f)
	until = Sooner(until, rightUntil)
	if c.left.kind() == text {
		return truth((l.s == r.s) == (c.op == equal)), until
	}
	return truth(c.op.holds(l.n, r.n)), until
}

// relation is an operator that compares: a bit for each answer of cmp.Compare
// that it accepts.
type relation uint8

const (
	less relation = 1 << iota
	equal
	greater
)

var relations = map[string]relation{"<": less, "<=": less | equal, ">": greater, ">=": greater | equal, "==": equal, "!=": less | greater}

func (r relation) String() string {
	for name, x := range relations {
		if x == r {
			return name
		}
	}
	return ""
}

// mirrored is the relation when its sides change places.
func (r relation) mirrored() relation { return r&equal | r&less<<2 | r&greater>>2 }

func (r relation) holds(left, right int64) bool {
	switch {
	case left < right:
		return r&less != 0
	case left > right:
		return r&greater != 0
	}
	return r&equal != 0
}

// oneOf asks whether a text is in a list.
type oneOf struct {
	text node
	list []string
}

func (o *oneOf) kind() kind { return boolean }
func (o *oneOf) eval(f Facts) (value, int64) {
	v, until := o.text.eval(f)
	return truth(slices.Contains(o.list, v.s)), until
}

// sum adds or subtracts numbers or money.
type sum struct {
	op          string
	left, right node
}

func (a *sum) kind() kind { return a.left.kind() }
func (a *sum) eval(f Facts) (value, int64) {
	l, until := a.left.eval(f)
	r, rightUntil := a.right.eval(f)
	if a.op == "-" {
		r.n = -r.n
	}
	return value{n: l.n + r.n}, Sooner(until, rightUntil)
}

// logic is && or ||. The right side is not read when the left decides; then it
// cannot change the answer before the left does.
type logic struct {
	op          string
	left, right node
}

func (l *logic) kind() kind { return boolean }
func (l *logic) eval(f Facts) (value, int64) {
	left, until := l.left.eval(f)
	if (left.n != 0) == (l.op == "||") {
		return left, until
	}
	right, rightUntil := l.right.eval(f)
	return right, Sooner(until, rightUntil)
}

type not struct{ of node }

func (n not) kind() kind { return boolean }
func (n not) eval(f Facts) (value, int64) {
	v, until := n.of.eval(f)
	return truth(v.n == 0), until
}

// Sooner returns the earlier of two instants; 0 is never.
func Sooner(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func quote(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
