package playbook

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
)

// maxCondition bounds a condition's source, in code points.
const maxCondition = 2000

// fault is what is wrong at one place of a condition.
type fault struct {
	line, column int // from 0
	got, want    string
}

func (f *fault) Error() string { return "got " + f.got + ", want " + f.want }

// compile turns source into a condition. inCart: cart.* is known. The error
// joins faults.
func compile(source string, inCart bool) (*Condition, error) {
	checked, issues := environment().Compile(prefixed(source))
	if issues.Err() != nil {
		var faults []error
		for _, e := range issues.Errors() {
			if strings.Contains(e.Message, "(dyn") || strings.Contains(e.Message, ", dyn") {
				continue // follows from a name that is not known
			}
			faults = append(faults, explain(source, e))
			if strings.HasPrefix(e.Message, "Syntax error") {
				break // the parser stumbles on from here
			}
		}
		return nil, errors.Join(faults...)
	}
	c := compiler{ast: checked.NativeRep(), inCart: inCart}
	root := c.node(c.ast.Expr())
	if root != nil && root.kind() != boolean {
		c.fail(c.ast.Expr(), source, "what holds or not, such as orders.count >= 3")
	}
	if len(c.faults) > 0 {
		return nil, errors.Join(c.faults...)
	}
	needs := slices.CompactFunc(slices.SortedFunc(slices.Values(c.needs), func(a, b Need) int { return cmp.Compare(a.ID, b.ID) }),
		func(a, b Need) bool { return a.ID == b.ID })
	scored := false
	visit(root, func(n node) { scored = scored || reads(n)&ofScores != 0 })
	return &Condition{source: source, root: root, needs: needs, crosses: c.crosses, segments: c.segments, scored: scored}, nil
}

var (
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']+)'(?: \(did you mean '([^']+)'\?\))?`)
	overload   = regexp.MustCompile(`^found no matching overload for '([^']+)' applied to '\((.*)\)'`)
)

// explain says in a marketer's words what CEL's checker found.
func explain(source string, e *common.Error) *fault {
	f := &fault{line: e.Location.Line() - 1, column: e.Location.Column()}
	if m := undeclared.FindStringSubmatch(e.Message); m != nil {
		f.got, f.want = unknown(source, f, m[1])
		return f
	}
	if m := overload.FindStringSubmatch(e.Message); m != nil {
		f.got, f.want = mismatch(m[1], m[2])
		return f
	}
	message := firstLine(strings.TrimPrefix(e.Message, "Syntax error: "))
	f.got, f.want = source, "a condition: "+message
	switch {
	case strings.Contains(message, "token recognition error at: '= "):
		f.got, f.want = "=", "== to compare"
	case strings.Contains(message, "'and'"):
		f.got, f.want = "and", "&&"
	case strings.Contains(message, "'or'"):
		f.got, f.want = "or", "||"
	}
	return f
}

// unknown explains a name that the language does not have.
func unknown(source string, f *fault, name string) (got, want string) {
	if op := operator(name); op != name {
		return op, "one of && || ! == != < <= > >= + - in"
	}
	if whole := dotted(source, f.line, f.column, name); whole != "" {
		name = whole
	}
	all := Names()
	if slices.Contains(all, name) {
		return name + "(…)", name + " without arguments"
	}
	if near := nearest(name, all); near != "" {
		return name, "a name that is known; did you mean " + near + "?"
	}
	family, _, member := strings.Cut(name, ".")
	var relatives []string
	for _, n := range all {
		if strings.HasPrefix(n, family+".") {
			relatives = append(relatives, n)
		}
	}
	switch {
	case len(relatives) > 0:
		return name, "a name that is known, such as " + strings.Join(relatives, ", ")
	case member:
		return name, "a name that is known; there is nothing called " + family
	}
	return name, "a name that is known"
}

// mismatch explains arguments of the wrong types.
func mismatch(function, types string) (got, want string) {
	types = strings.NewReplacer("uint", "unsigned number", "int", "number", "double", "fraction", "string", "text").Replace(types)
	op := operator(function)
	switch {
	case function == "_[_]":
		return "[…]", traits + `["…"]`
	case op != function && function != inWord:
		got := types
		if l, r, ok := strings.Cut(types, ", "); ok && !strings.Contains(r, ", ") {
			got = l + " " + op + " " + r
		}
		want = "both sides of one kind, such as orders.count >= 3, cart.value >= money(50) or since(last.visit) > days(7)"
		if strings.Contains(types, "fraction") {
			want = "a score on one side of < <= > >= and a written fraction on the other, such as scores.churn >= 0.5"
		}
		if strings.Contains(types, "length of time") {
			want = "a length of time on both sides of < <= > >=, such as since(last.visit) > days(7)"
		}
		return got, want
	}
	return op + "(" + types + ")", usage(function)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	line, _, _ = strings.Cut(line, " expecting {") // a list of every token helps nobody
	return strings.ReplaceAll(line, "'<EOF>'", "its end")
}

// dotted returns the dotted name of source around line and column that ends in
// or starts with name.
func dotted(source string, line, column int, name string) string {
	lines := strings.Split(source, "\n")
	if line < 0 || line >= len(lines) {
		return ""
	}
	for _, at := range nameInSource.FindAllStringIndex(lines[line], -1) {
		word := lines[line][at[0]:at[1]]
		if at[0] <= column && column <= at[1] && (strings.HasPrefix(word, name) || strings.HasSuffix(word, name)) {
			return word
		}
	}
	return ""
}

var nameInSource = regexp.MustCompile(`[A-Za-z_]\w*(\.[A-Za-z_]\w*)*`)

// usage returns how a function is called.
func usage(function string) string {
	for _, c := range counters {
		if c.name != function {
			continue
		}
		switch {
		case c.where:
			return function + "(product.price < money(20), days(30))"
		case c.filter:
			return fmt.Sprintf(`%s("…", days(30)) or %s("…")`, function, function)
		default:
			return function + "(days(30))"
		}
	}
	switch function {
	case "since", "until":
		return function + "(last.visit) or another instant"
	case "money":
		return "money(50)"
	case "contains":
		return `product.name.contains("oak")`
	case inWord, "entered":
		return operator(function) + `("segment")`
	case "sequence":
		return sequenceUsage
	case "happened":
		return `happened("Quiz Taken")`
	case "nothing":
		return "nothing(hours(2))"
	case "viewed", "carted", "bought":
		return function + `(), ` + function + `("product") or ` + function + `(product.category == "mugs")`
	case "visited", "opened", "clicked":
		return function + "()"
	}
	return function + "(7)"
}

type compiler struct {
	ast       *ast.AST
	inCart    bool
	needs     []Need
	crosses   []*crossing
	segments  []reference
	inProduct bool // in where(…)
	faults    []error
}

func (c *compiler) fail(e ast.Expr, got, want string) node {
	f := &fault{got: got, want: want}
	if at := c.ast.SourceInfo().GetStartLocation(e.ID()); at.Line() > 0 {
		f.line, f.column = at.Line()-1, at.Column()
	}
	c.faults = append(c.faults, f)
	return nil
}

// node returns e as it is evaluated, or nil after a fault.
func (c *compiler) node(e ast.Expr) node {
	switch e.Kind() {
	case ast.LiteralKind:
		return c.literal(e)
	case ast.IdentKind:
		return c.name(e, e.AsIdent())
	case ast.SelectKind:
		if s := e.AsSelect(); s.Operand().Kind() == ast.IdentKind && s.Operand().AsIdent() == traits && !s.IsTestOnly() {
			return c.trait(e, s.FieldName())
		}
	case ast.CallKind:
		return c.call(e, e.AsCall())
	}
	return c.fail(e, "an expression of this form", "names, numbers, texts and comparisons")
}

func (c *compiler) name(e ast.Expr, name string) node {
	for i := range variables {
		if v := &variables[i]; v.name == name {
			switch {
			case v.product && !c.inProduct:
				return c.fail(e, name, "a name that is known here; product.… is known in where(…) and in the steps of a sequence, such as views.where(product.price < money(20), days(7))")
			case c.inProduct && !v.product:
				return c.fail(e, name, "what is known of each product: product.id, .name, .category and .price")
			case v.cart && !c.inCart:
				v = ofNewest(v)
			}
			return read{v}
		}
	}
	return c.fail(e, name, name+`["…"]`)
}

func (c *compiler) trait(e ast.Expr, name string) node {
	if c.inProduct {
		return c.fail(e, traits, "what is known of each product: product.id, .name, .category and .price")
	}
	return trait{name}
}

func (c *compiler) literal(e ast.Expr) node {
	switch v := e.AsLiteral().Value().(type) {
	case int64:
		if v < -maxNumber || v > maxNumber {
			return c.fail(e, strconv.FormatInt(v, 10), "a whole number up to a thousand million million")
		}
		return &constant{of: number, value: value{n: v}, source: strconv.FormatInt(v, 10)}
	case string:
		return &constant{of: text, value: value{s: v}, source: quote(v)}
	case float64:
		micros := int64(math.Round(v * 1e6))
		if v < 0 || v > 1 || math.Abs(v*1e6-float64(micros)) > 1e-6 {
			return c.fail(e, strconv.FormatFloat(v, 'f', -1, 64), "a fraction from 0.0 to 1.0 of at most six decimals")
		}
		return &constant{of: fraction, value: value{n: micros}, source: share(micros)}
	case bool:
		return &constant{of: boolean, value: truth(v), source: strconv.FormatBool(v)}
	}
	return c.fail(e, fmt.Sprint(e.AsLiteral().Value()), "a whole number, a text, true or false")
}

func (c *compiler) call(e ast.Expr, call ast.CallExpr) node {
	name, args := call.FunctionName(), call.Args()
	if c.inProduct && operator(name) == name && name != "money" && name != "contains" {
		return c.fail(e, name+"(…)", "what is known of each product: product.id, .name, .category and .price")
	}
	switch name {
	case "contains":
		of := c.node(call.Target())
		part, ok := literalText(args[0])
		if !ok || part == "" {
			return c.fail(args[0], "contains of no written text", usage(name))
		}
		if of == nil {
			return nil
		}
		return &contains{of, part}
	case inWord, "entered":
		return c.segment(e, name, args[0])
	case "sequence":
		return c.sequence(e, args)
	case "viewed", "carted", "bought", "visited", "opened", "clicked", "happened", "nothing":
		return c.fail(e, name+"(…) alone", "it in a sequence, such as "+sequenceUsage)
	case "_&&_", "_||_":
		if l, r := c.node(args[0]), c.node(args[1]); l != nil && r != nil {
			return &logic{op: operator(name), left: l, right: r}
		}
		return nil
	case "!_":
		if of := c.node(args[0]); of != nil {
			return not{of}
		}
		return nil
	case "_+_", "_-_":
		if l, r := c.node(args[0]), c.node(args[1]); l != nil && r != nil {
			if moves(l) || moves(r) {
				return c.fail(e, "a sum with a score, which moves by itself", alone)
			}
			return &sum{op: operator(name), left: l, right: r}
		}
		return nil
	case "_[_]":
		if key, ok := literalText(args[1]); ok {
			return c.trait(e, key)
		}
		return c.fail(args[1], "a trait that is not named", traits+`["…"]`)
	case "@in":
		return c.oneOf(args)
	case "money":
		return c.money(e, args[0])
	case "since", "until":
		return c.fail(e, name+"(…) alone", name+"(…) compared with a length, such as "+name+"(last.visit) > days(7)")
	}
	if _, ok := lengths[name]; ok {
		return c.length(e)
	}
	if i := slices.IndexFunc(counters, func(x counter) bool { return x.name == name }); i >= 0 {
		return c.count(&counters[i], args)
	}
	return c.comparison(e, operator(name), args)
}

// segment returns in("…") or entered("…").
func (c *compiler) segment(e ast.Expr, name string, arg ast.Expr) node {
	segment, ok := literalText(arg)
	if !ok || segment == "" {
		return c.fail(arg, operator(name)+" of no written text", usage(name))
	}
	r := reference{segment: segment}
	if at := c.ast.SourceInfo().GetStartLocation(e.ID()); at.Line() > 0 {
		r.line, r.column = at.Line()-1, at.Column()
	}
	c.segments = append(c.segments, r)
	if name == inWord {
		return member{segment}
	}
	return enteredAt{segment}
}

// predicate returns what is asked of each product, and as it is written.
func (c *compiler) predicate(e ast.Expr) (node, string) {
	c.inProduct = true
	n := c.node(e)
	c.inProduct = false
	if n == nil {
		return nil, ""
	}
	w := writer{bare: true}
	n.write(&w, 0)
	return n, string(w.out)
}

// need notes a window that is read.
func (c *compiler) need(n Need, source string) count {
	n.ID = n.id()
	c.needs = append(c.needs, n)
	return count{need: n, source: source}
}

func (c *compiler) oneOf(args []ast.Expr) node {
	of := c.node(args[0])
	if args[1].Kind() != ast.ListKind {
		return c.fail(args[1], "a list that is not written out", `in ["GB", "IE"]`)
	}
	var list []string
	for _, x := range args[1].AsList().Elements() {
		s, ok := literalText(x)
		if !ok {
			return c.fail(x, "an element that is not written out", `in ["GB", "IE"]`)
		}
		list = append(list, s)
	}
	if of == nil {
		return nil
	}
	return &oneOf{text: of, list: list}
}

// maxNumber bounds what is written, so that what lies next to it is a number, too.
const maxNumber = 1e15

// alone is how a score is compared.
const alone = "a score and a written number, such as scores.churn >= 0.5 or scores.value >= money(100), joined by && and ||"

// moves reports whether n is a score that is a number.
func moves(n node) bool {
	r, ok := n.(read)
	return ok && r.moves
}

func literalText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().Value().(string)
	return s, ok
}

func (c *compiler) money(e, arg ast.Expr) node {
	units := math.NaN()
	if arg.Kind() == ast.LiteralKind {
		switch v := arg.AsLiteral().Value().(type) {
		case int64:
			units = float64(v)
		case float64:
			units = v
		}
	}
	if math.IsNaN(units) || math.Abs(units) > 1e9 {
		return c.fail(e, "money of what is not an amount", "a written amount up to a thousand million, such as money(49.90)")
	}
	micros := int64(math.Round(units * 1e6))
	return &constant{of: money, value: value{n: micros}, source: "money(" + strings.TrimSuffix(amount(micros), ".00") + ")"}
}

// length returns days(7) and its like.
func (c *compiler) length(e ast.Expr) node {
	name, args := e.AsCall().FunctionName(), e.AsCall().Args()
	n := int64(0)
	if args[0].Kind() == ast.LiteralKind {
		n, _ = args[0].AsLiteral().Value().(int64)
	}
	if unit := lengths[name]; n <= 0 || n > maxSpan/unit {
		return c.fail(e, name+"(…) of no positive written number", name+"(7), at most ten years")
	}
	return &constant{of: length, value: value{n: n * lengths[name]}, source: name + "(" + strconv.FormatInt(n, 10) + ")"}
}

// isLength returns the constant length that e is, if it is one.
func (c *compiler) isLength(e ast.Expr) (*constant, bool) {
	if e.Kind() != ast.CallKind {
		return nil, false
	}
	if _, ok := lengths[e.AsCall().FunctionName()]; !ok {
		return nil, false
	}
	n, _ := c.length(e).(*constant)
	return n, true
}

func (c *compiler) count(of *counter, args []ast.Expr) node {
	need, written := Need{Kind: of.of}, []string(nil)
	if of.filter {
		filter, ok := literalText(args[0])
		if !ok || filter == "" {
			return c.fail(args[0], of.name+" of no written text", usage(of.name))
		}
		need.Filter, written = filter, append(written, quote(filter))
		args = args[1:]
	}
	if of.where {
		if need.where.of, need.Filter = c.predicate(args[0]); need.where.of == nil {
			return nil
		}
		written, args = append(written, need.Filter), args[1:]
	}
	if len(args) > 0 {
		window, ok := c.isLength(args[0])
		if !ok {
			return c.fail(args[0], "a window that is not written out", usage(of.name))
		}
		if window == nil {
			return nil
		}
		need.Window, written = window.value.n, append(written, window.source)
	}
	n := c.need(need, of.name+"("+strings.Join(written, ", ")+")")
	n.money = of.sum
	return &n
}

func (c *compiler) comparison(e ast.Expr, name string, args []ast.Expr) node {
	op, ok := relations[name]
	if !ok {
		return c.fail(e, name, "a function that is known")
	}
	left, right := args[0], args[1]
	if _, ok := c.isLength(left); ok || left.Kind() == ast.LiteralKind { // the constant stands on the right
		left, right, op = right, left, op.mirrored()
	}
	if left.Kind() == ast.CallKind && (left.AsCall().FunctionName() == "since" || left.AsCall().FunctionName() == "until") {
		function := left.AsCall().FunctionName()
		length, ok := c.isLength(right)
		if !ok {
			return c.fail(e, function+"(…) compared with something that moves too", "a written length, such as "+function+"(last.visit) > days(7)")
		}
		of := c.node(left.AsCall().Args()[0])
		if of == nil || length == nil {
			return nil
		}
		if function == "until" {
			return &ahead{of: of, op: op, length: length.value.n, source: length.source}
		}
		return &elapsed{since: of, op: op, length: length.value.n, source: length.source}
	}
	l, r := c.node(left), c.node(right)
	if l == nil || r == nil {
		return nil
	}
	if _, fixed := l.(*constant); fixed {
		if _, fixed := r.(*constant); fixed {
			return c.fail(e, "a comparison of two constants", "a name on one side, such as orders.count >= 3")
		}
		l, r, op = r, l, op.mirrored()
	}
	if moves(l) || moves(r) {
		than, fixed := r.(*constant)
		if !fixed {
			return c.fail(e, "a score, which moves by itself, compared with what is not written out", alone)
		}
		score := l.(read)
		x := &crossing{score: score, of: scoreNamed(score.name), op: op, than: than, edges: op.edges(than.value.n)}
		c.crosses = append(c.crosses, x)
		return x
	}
	if n, ok := l.(*count); ok {
		if fixed, ok := r.(*constant); ok {
			return &threshold{count: n, op: op, than: fixed}
		}
	}
	b := balance{comparison: comparison{op: op, left: l, right: r}}
	b.weigh(l, 1, false)
	b.weigh(r, 1, true)
	if len(b.counts) == 0 {
		return &b.comparison
	}
	return &b
}
