package playbook

import (
	"strconv"
	"strings"
	"time"
)

// writer writes a condition with the values that it reads.
type writer struct {
	Facts
	bare bool // without the values
	out  []byte
}

func (w *writer) text(parts ...string) {
	for _, p := range parts {
		w.out = append(w.out, p...)
	}
}

// values writes what the nodes that are not constant say, in parentheses.
func (w *writer) values(nodes ...node) {
	if w.bare {
		return
	}
	var values []string
	for _, n := range nodes {
		if _, fixed := n.(*constant); !fixed {
			v, _ := n.eval(w.Facts)
			values = append(values, shown(n.kind(), v))
		}
	}
	if len(values) > 0 {
		w.text(" (", strings.Join(values, ", "), ")")
	}
}

func (w *writer) infix(op string, own, precedence int, left, right node) {
	if own < precedence {
		w.text("(")
		defer w.text(")")
	}
	left.write(w, own)
	w.text(" ", op, " ")
	right.write(w, own)
}

const (
	orPrecedence = iota + 1
	andPrecedence
	comparePrecedence
	sumPrecedence
	notPrecedence
)

func (c *constant) write(w *writer, _ int) { w.text(c.source) }
func (t trait) write(w *writer, _ int)     { w.text(traits, "[", quote(t.name), "]") }
func (c *count) write(w *writer, _ int)    { w.text(c.source) }

func (r read) write(w *writer, precedence int) {
	w.text(r.name)
	if r.variable.kind == boolean && precedence != comparePrecedence { // a comparison shows its own values
		w.values(r)
	}
}

func (t *threshold) write(w *writer, _ int) {
	w.text(t.count.source, " ", t.op.String(), " ", t.than.source)
	w.values(t.count)
}

func (e *elapsed) write(w *writer, _ int) {
	w.text("since(")
	e.since.write(w, 0)
	w.text(") ", e.op.String(), " ", e.source)
	if w.bare {
		return
	}
	if since, _ := e.since.eval(w.Facts); since.n == 0 {
		w.text(" (never)")
	} else {
		w.text(" (", Span(w.Now-since.n), ")")
	}
}

func (a *ahead) write(w *writer, _ int) {
	w.text("until(")
	a.of.write(w, 0)
	w.text(") ", a.op.String(), " ", a.source)
	if w.bare {
		return
	}
	if at, _ := a.of.eval(w.Facts); at.n == 0 {
		w.text(" (never)")
	} else {
		w.text(" (", Span(at.n-w.Now), ")")
	}
}

func (c *crossing) write(w *writer, _ int) {
	w.text(c.score.name, " ", c.op.String(), " ", c.than.source)
	if !w.bare {
		w.text(" (", shown(c.score.kind(), c.near(w.Facts)), ")")
	}
}

// near is the score with as many decimals as say why.
func (c *crossing) near(f Facts) value {
	v, _ := c.score.eval(f)
	for unit := int64(10_000); unit > 1; unit /= 10 {
		if near := (v.n + unit/2) / unit * unit; c.op.holds(near, c.than.value.n) == c.op.holds(v.n, c.than.value.n) {
			return value{n: near}
		}
	}
	return v
}

func (c *comparison) write(w *writer, precedence int) {
	if comparePrecedence < precedence {
		w.text("(")
		defer w.text(")")
	}
	w.infix(c.op.String(), comparePrecedence, 0, c.left, c.right)
	w.values(c.left, c.right)
}

func (o *oneOf) write(w *writer, _ int) {
	o.text.write(w, comparePrecedence)
	quoted := make([]string, len(o.list))
	for i, s := range o.list {
		quoted[i] = quote(s)
	}
	w.text(" in [", strings.Join(quoted, ", "), "]")
	w.values(o.text)
}

func (a *sum) write(w *writer, precedence int) {
	if sumPrecedence < precedence {
		w.text("(")
		defer w.text(")")
	}
	a.left.write(w, sumPrecedence)
	w.text(" ", a.op, " ")
	a.right.write(w, sumPrecedence+1) // a - (b - c)
}

func (l *logic) write(w *writer, precedence int) {
	own := orPrecedence
	if l.op == "&&" {
		own = andPrecedence
	}
	w.infix(l.op, own, precedence, l.left, l.right)
}

func (n not) write(w *writer, _ int) {
	w.text("!")
	_, name := n.of.(read)
	if !name {
		w.text("(")
	}
	n.of.write(w, 0)
	if !name {
		w.text(")")
	}
}

// shown returns a value as people read it.
func shown(k kind, v value) string {
	switch k {
	case boolean:
		return strconv.FormatBool(v.n != 0)
	case money:
		return amount(v.n)
	case fraction:
		return share(v.n)
	case text:
		return quote(v.s)
	case instant:
		if v.n == 0 {
			return "never"
		}
		return time.UnixMilli(v.n).UTC().Format("2006-01-02 15:04:05")
	case length:
		return Span(v.n)
	}
	return strconv.FormatInt(v.n, 10)
}

// share returns millionths as a fraction: 0.5, 1.0.
func share(micros int64) string {
	s := strconv.FormatFloat(float64(micros)/1e6, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// amount returns micros with two decimals, or more where they are not zero.
func amount(micros int64) string {
	sign := ""
	u := uint64(micros)
	if micros < 0 {
		sign, u = "-", -u
	}
	decimals := strconv.FormatUint(1e6+u%1e6, 10)[1:]
	return sign + strconv.FormatUint(u/1e6, 10) + "." + decimals[:2] + strings.TrimRight(decimals[2:], "0")
}

// Span returns a length of time as a playbook writes it, in its two largest
// units: 61d4h, 2h30m, 45s.
func Span(ms int64) string {
	sign := ""
	if ms < 0 {
		sign, ms = "-", -ms
	}
	units := []struct {
		name string
		ms   int64
	}{{"d", 86_400_000}, {"h", 3_600_000}, {"m", 60_000}, {"s", 1000}}
	for i, u := range units {
		if ms < u.ms {
			continue
		}
		out := sign + strconv.FormatInt(ms/u.ms, 10) + u.name
		if i+1 < len(units) {
			if rest := ms % u.ms / units[i+1].ms; rest > 0 {
				out += strconv.FormatInt(rest, 10) + units[i+1].name
			}
		}
		return out
	}
	return sign + strconv.FormatInt(ms, 10) + "ms"
}
