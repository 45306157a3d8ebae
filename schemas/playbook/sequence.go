package playbook

import (
	"math"
	"sort"

	"cel.dev/cel-go/common/ast"
)

// moment is how long after a step what comes is part of it: the page that shows
// what was searched for, say.
const moment = 60_000

// sequence asks whether things happened one after the other within a window, and,
// with silence, whether nothing followed for so long.
//
// It is a question to the windows of its steps, and keeps nothing else: so it does
// not matter in which order things arrived, or under which of a customer's names
// they happened.
type sequence struct {
	steps   []step
	silence int64 // 0: none is asked for
	quiet   string
	window  int64
	within  string
}

// step is one thing that happens.
type step struct {
	count
}

func (s *sequence) kind() kind { return boolean }
func (s *sequence) eval(f Facts) (value, int64) {
	first, last := s.latest(f, nil)
	if first == 0 {
		return value{}, 0 // what is missing can only happen
	}
	ends := first + s.window
	if s.silence == 0 {
		return truth(true), ends
	}
	seen := max(last, f.Profile.LastSeen)
	begins := seen + s.silence
	switch {
	case seen > last+moment || begins >= ends:
		return value{}, 0
	case f.Now < begins:
		return value{}, begins
	}
	return truth(true), ends
}

// latest returns when the first and the last step of the sequence happened that
// began latest; 0: there is none. at, if given, is filled with all of them.
func (s *sequence) latest(f Facts, at []int64) (first, last int64) {
	before := int64(math.MaxInt64)
	for i := len(s.steps) - 1; i >= 0; i-- {
		_, points := s.steps[i].inside(f)
		n := sort.Search(len(points), func(i int) bool { return points[i].At >= before })
		if n == 0 {
			return 0, 0
		}
		before = points[n-1].At
		if last == 0 {
			last = before
		}
		if at != nil {
			at[i] = before
		}
	}
	return before, last
}

func (s *sequence) write(w *writer, _ int) {
	w.text("sequence([")
	for i := range s.steps {
		if i > 0 {
			w.text(", ")
		}
		w.text(s.steps[i].source)
	}
	if s.silence > 0 {
		w.text(", nothing(", s.quiet, ")")
	}
	w.text("], ", s.within, ")")
	if w.bare {
		return
	}
	at := make([]int64, len(s.steps))
	if first, _ := s.latest(w.Facts, at); first == 0 {
		w.text(" (not in this order)")
		return
	}
	w.text(" (")
	for i, x := range at {
		if i > 0 {
			w.text(", ")
		}
		w.text(Span(w.Now-x), " ago")
	}
	if s.silence > 0 {
		w.text(", nothing for ", Span(w.Now-w.Profile.LastSeen))
	}
	w.text(")")
}

// steps are the functions that say what happens in a sequence, with what they count
// without an argument, of a product and where something holds of it.
var steps = map[string]struct {
	of, product, where Kind
	products           bool
}{
	"viewed":  {Views, ViewsOfProduct, ViewsWhere, true},
	"carted":  {Carted, CartedOfProduct, CartedWhere, true},
	"bought":  {Orders, OrdersOfProduct, OrdersWhere, true},
	"visited": {of: Visits},
	"opened":  {of: Opened},
	"clicked": {of: Clicked},
}

const sequenceUsage = `sequence([viewed("mug"), happened("Products Searched"), nothing(hours(2))], days(1)): two steps or more, and a window`

func (c *compiler) sequence(e ast.Expr, args []ast.Expr) node {
	window, ok := c.isLength(args[1])
	if !ok || args[0].Kind() != ast.ListKind {
		return c.fail(e, "a sequence that is not written out", sequenceUsage)
	}
	if window == nil {
		return nil
	}
	s := &sequence{window: window.value.n, within: window.source}
	elements := args[0].AsList().Elements()
	for i, x := range elements {
		call := x.AsCall()
		if call.FunctionName() != "nothing" {
			next, ok := c.step(x, call, s.window)
			if !ok {
				return nil
			}
			s.steps = append(s.steps, next)
			continue
		}
		length, ok := c.isLength(call.Args()[0])
		switch {
		case !ok:
			return c.fail(x, "nothing(…) of no written length", "nothing(hours(2))")
		case length == nil:
			return nil
		case i+1 < len(elements) || i == 0:
			return c.fail(x, "nothing(…) where a step follows, or none came before", "nothing(…) at the end: it looks back from now")
		case length.value.n >= s.window:
			return c.fail(x, "nothing("+length.source+") in a window of "+s.within, "a silence shorter than the window")
		}
		s.silence, s.quiet = length.value.n, length.source
	}
	if len(s.steps) < 2 && s.silence == 0 {
		return c.fail(e, "a sequence of fewer than two steps", sequenceUsage)
	}
	return s
}

func (c *compiler) step(e ast.Expr, call ast.CallExpr, window int64) (step, bool) {
	name, args := call.FunctionName(), call.Args()
	need, written := Need{Window: window}, ""
	of, known := steps[name]
	switch {
	case name == "happened":
		need.Kind = Named
		need.Filter, known = literalText(args[0])
		if !known || need.Filter == "" {
			c.fail(args[0], "happened of no written text", `happened("Quiz Taken")`)
			return step{}, false
		}
		written = quote(need.Filter)
	case !known:
		c.fail(e, "a step that is not written out", sequenceUsage)
		return step{}, false
	case len(args) == 0:
		need.Kind = of.of
	default:
		if id, ok := literalText(args[0]); ok && id != "" {
			need.Kind, need.Filter, written = of.product, id, quote(id)
			break
		}
		need.Kind = of.where
		if need.where.of, need.Filter = c.predicate(args[0]); need.where.of == nil {
			return step{}, false
		}
		written = need.Filter
	}
	return step{c.need(need, name+"("+written+")")}, true
}
