package playbook

import (
	"slices"
	"strings"
)

// Reasons say in words what decided: a sentence for each comparison that made the
// condition hold or fail, with what was read, its value, and what that is compared
// with.
//
//	orders: 3, at least 2
//	first order: 278d7h ago, more than 180d
//	churn: 0.5, at least 0.5 (not on the site for 68d7h, after 7 days with a visit in 211)
func (c *Condition) Reasons(f Facts) []string {
	v, _ := c.root.eval(f)
	return reasons(nil, c.root, f, v.n != 0)
}

// reasons appends why n holds or not.
func reasons(all []string, n node, f Facts, holds bool) []string {
	switch n := n.(type) {
	case *logic:
		for _, side := range []node{n.left, n.right} {
			// Of what must hold together, or fail together, each part decides; else those that do so.
			if v, _ := side.eval(f); (v.n != 0) == holds {
				all = reasons(all, side, f, holds)
			}
		}
		return all
	case not:
		return reasons(all, n.of, f, !holds)
	case *constant:
		return all // true is no reason
	}
	said, why := sentence(n, f, holds), because(f, n)
	if slices.ContainsFunc(all, func(x string) bool { return strings.HasSuffix(x, why) }) {
		why = "" // value and its rank are so for the same
	}
	return append(all, said+why)
}

// sentence is one comparison in words.
func sentence(n node, f Facts, holds bool) string {
	switch n := n.(type) {
	case *threshold:
		return measured(n.count, n.op, n.than, f, holds)
	case *crossing:
		v := n.near(f)
		if off := v.n - n.than.value.n; off != 0 && v.n%1000 != 0 { // it has crossed a moment ago, or is about to
			return label(n.score.name) + ": just " + map[bool]string{true: "less than ", false: "more than "}[off < 0] + bare(n.than)
		}
		return label(n.score.name) + ": " + shown(n.score.kind(), v) + compared(n.op, holds, bare(n.than))
	case *elapsed:
		since, _ := n.since.eval(f)
		if since.n == 0 {
			return words(n.since) + ": never"
		}
		return words(n.since) + ": " + distance(since.n-f.Now) + compared(n.op, holds, Span(n.length))
	case *ahead:
		at, _ := n.of.eval(f)
		if at.n == 0 {
			return words(n.of) + ": never"
		}
		return words(n.of) + ": " + distance(at.n-f.Now) + compared(n.op, holds, Span(n.length))
	case *balance:
		return measured(n.left, n.op, n.right, f, holds)
	case *comparison:
		return measured(n.left, n.op, n.right, f, holds)
	case *oneOf:
		return words(n.text) + ": " + valued(n.text, f) + among(holds, "one of "+strings.Join(n.list, ", "))
	case *contains:
		return words(n.text) + ": " + valued(n.text, f) + among(holds, "with "+quote(n.part))
	case *sequence:
		w := writer{Facts: f}
		n.write(&w, 0)
		return string(w.out)
	}
	if holds { // a name that is true or not, a segment
		return words(n)
	}
	return "not " + words(n)
}

// measured says what left is, and how that compares with right.
func measured(left node, op relation, right node, f Facts, holds bool) string {
	if _, fixed := left.(*constant); fixed {
		left, right, op = right, left, op.mirrored()
	}
	said := words(left) + ": " + valued(left, f)
	than, fixed := right.(*constant)
	switch {
	case left.kind() == text && fixed && (op == equal) == holds: // it is that
	case left.kind() == text && fixed && than.value.s == "": // it is something
	case left.kind() == text && fixed:
		said += ", not " + than.value.s
	case fixed:
		said += compared(op, holds, bare(than))
	default:
		said += compared(op, holds, words(right)+" "+valued(right, f))
	}
	return said
}

// compared says that something is so compared with a number, or, where it fails,
// what is so instead.
func compared(op relation, holds bool, with string) string {
	if !holds {
		op = ^op & (less | equal | greater)
	}
	return ", " + map[relation]string{less: "less than", less | equal: "at most", equal: "exactly", greater | equal: "at least", greater: "more than",
		less | greater: "not"}[op] + " " + with
}

func among(holds bool, what string) string {
	if holds {
		return ", " + what
	}
	return ", not " + what
}

// because is what the score is so for that n compares; "" when it compares none.
func because(f Facts, n node) string {
	var of string
	switch n := n.(type) {
	case *crossing:
		of = n.score.name
	case *comparison:
		of = scoreIn(n.left) + scoreIn(n.right)
	case *oneOf:
		of = scoreIn(n.text)
	case *ahead:
		of = scoreIn(n.of)
	}
	if of == "" || f.Scores == nil {
		return ""
	}
	if why := f.Scores.Reasons(scoreNamed(of), f.Now); len(why) > 0 {
		return " (" + strings.Join(why, "; ") + ")"
	}
	return ""
}

// scoreIn is the name of the score that n is; "" for none.
func scoreIn(n node) string {
	if r, ok := n.(read); ok && r.of&ofScores != 0 {
		return r.name
	}
	return ""
}

// distance is how far an instant lies ahead, or back.
func distance(ms int64) string {
	switch {
	case ms <= -1000:
		return Span(-ms) + " ago"
	case ms < 1000:
		return "now"
	}
	return "in " + Span(ms)
}

// valued is the value of n as people read it; texts without quotes.
func valued(n node, f Facts) string {
	v, _ := n.eval(f)
	if n.kind() != text {
		return shown(n.kind(), v)
	}
	if v.s == "" {
		return "none"
	}
	return v.s
}

// bare is a constant as people read it.
func bare(c *constant) string { return shown(c.of, c.value) }

// words are what a node reads, in words that stay close to its name.
func words(n node) string {
	switch n := n.(type) {
	case read:
		return label(n.name)
	case *count:
		return n.words()
	case trait:
		return "customer " + n.name
	case member:
		return "in " + n.segment
	case enteredAt:
		return "entered " + n.segment
	case *sum:
		return words(n.left) + " " + n.op + " " + words(n.right)
	}
	w := writer{bare: true}
	n.write(&w, 0)
	return string(w.out)
}

// label is a name in words: orders.count is orders, scores.value_rank value rank.
func label(name string) string {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "scores."), ".count")
	return strings.NewReplacer(".", " ", "_", " ").Replace(name)
}

// words of a count: views in mugs within 7d.
func (c *count) words() string {
	what := "events"
	for _, x := range counters {
		if x.of == c.need.Kind && x.sum == c.money {
			what, _, _ = strings.Cut(x.name, ".")
		}
	}
	if c.money {
		what = "spent on " + what
	}
	switch c.need.Kind {
	case OrdersInCategory, ViewsInCategory, CartedInCategory:
		what += " in " + c.need.Filter
	case OrdersOfProduct, ViewsOfProduct, CartedOfProduct:
		what += " of " + c.need.Filter
	case OrdersWhere, ViewsWhere, CartedWhere:
		what += " where " + c.need.Filter
	case Named:
		what = c.need.Filter
	}
	if c.need.Window == 0 {
		return what
	}
	return what + " within " + Span(c.need.Window)
}
