package playbook

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// How large and how deep a playbook may be: far more than anybody writes, and
// little enough that the parser cannot be made to overflow its stack.
const (
	maxYAML   = 256 << 10
	maxColumn = 200
	maxFlow   = 16
)

// document collects what is wrong while a playbook is read.
type document struct {
	file  string
	errs  []*Error
	named []naming
}

// entry is a place in the document: a value, what it is called and where it is.
// A value that is absent has no node, and is reported where it is missing. Every
// reading method reports what is wrong and returns a zero value, so that reading
// goes on to the next error.
type entry struct {
	d                  *document
	node               ast.Node
	name, path         string
	line, column       int
	keyLine, keyColumn int // of its key in a mapping
	// silent: what it would be part of is wrong itself, and reported.
	silent bool
}

func (d *document) fail(line, column int, path, got, want string) {
	d.errs = append(d.errs, &Error{File: d.file, Line: line, Column: column, Path: path, Got: got, Want: want})
}

func (e entry) fail(got, want string) {
	if !e.silent {
		e.d.fail(e.line, e.column, e.path, got, want)
	}
}

// open parses source and returns its top.
func (d *document) open(source []byte) (top entry, ok bool) {
	defer func() {
		if r := recover(); r != nil { // the parser does not promise to survive everything
			d.fail(1, 1, "", "what the YAML parser cannot read", "YAML")
			ok = false
		}
	}()
	if len(source) > maxYAML {
		d.fail(0, 0, "", fmt.Sprintf("%d bytes", len(source)), fmt.Sprintf("at most %d", maxYAML))
		return entry{}, false
	}
	tokens := lexer.Tokenize(string(source))
	if !d.shallow(tokens) {
		return entry{}, false
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, column, message := 1, 1, err.Error()
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			message = syntax.GetMessage()
			if t := syntax.GetToken(); t != nil {
				line, column = t.Position.Line, t.Position.Column
			}
		}
		d.fail(line, column, "", "what is not YAML", "YAML: "+message)
		return entry{}, false
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 1:
	case 0:
		d.fail(1, 1, "", "nothing", "a playbook")
		return entry{}, false
	default:
		d.fail(1, 1, "", fmt.Sprintf("%d documents", len(bodies)), "one playbook")
		return entry{}, false
	}
	return d.entry(bodies[0], "", ""), true
}

// shallow reports whether the parser's recursion stays small.
func (d *document) shallow(tokens token.Tokens) bool {
	flow := 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			if t.Position.Column > maxColumn {
				flow = maxFlow + 1
			}
		}
		if flow > maxFlow {
			d.fail(t.Position.Line, t.Position.Column, "", "values nested too deeply", "a flatter playbook")
			return false
		}
	}
	return true
}

func (d *document) entry(n ast.Node, name, path string) entry {
	e := entry{d: d, node: n, name: name, path: path, line: 1, column: 1}
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		n = m.Values[0].Key // a block begins at its first key, its token is the colon
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		e.line, e.column = t.Position.Line, t.Position.Column
	}
	return e
}

// is says what a node is, for people.
func is(n ast.Node) string {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case *ast.SequenceNode:
		if len(n.Values) == 0 {
			return "an empty list"
		}
		return "a list"
	case *ast.AliasNode, *ast.AnchorNode:
		return "an anchor or alias"
	case *ast.TagNode:
		return "a tag"
	default:
		s := strings.TrimSpace(n.GetToken().Value)
		if s == "" {
			return `""`
		}
		return brief(s)
	}
}

func brief(s string) string {
	if s = strings.Join(strings.Fields(s), " "); len([]rune(s)) > 60 {
		return string([]rune(s)[:59]) + "…"
	}
	return s
}

// missing reports whether nothing was written.
func (e entry) missing() bool {
	_, null := e.node.(*ast.NullNode)
	return e.node == nil || null
}

// pairs returns the keys and values of a mapping in the order of the file; ok:
// it is one.
func (e entry) pairs(want string) (out []entry, ok bool) {
	var values []*ast.MappingValueNode
	switch n := e.node.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		e.fail(is(e.node), want)
		return nil, false
	}
	for _, v := range values {
		key := e.d.entry(v.Key, "", e.path)
		name, plain := scalar(v.Key)
		if !plain || v.Key.IsMergeKey() {
			key.fail("a key that is not a plain name", want)
			continue
		}
		path := strings.TrimPrefix(e.path+"."+name, ".")
		if slices.ContainsFunc(out, func(x entry) bool { return x.name == name }) {
			key.path = path
			key.fail("the key a second time", "each key once")
			continue
		}
		value := key
		if _, null := v.Value.(*ast.NullNode); !null && v.Value != nil {
			value = e.d.entry(v.Value, "", "")
		}
		value.node, value.name, value.path = v.Value, name, path
		value.keyLine, value.keyColumn = key.line, key.column
		out = append(out, value)
	}
	return out, true
}

// failKey reports what is wrong with the key itself.
func (e entry) failKey(path, got, want string) { e.d.fail(e.keyLine, e.keyColumn, path, got, want) }

// fields returns the values of a mapping that has no other keys than these.
func (e entry) fields(keys ...string) map[string]entry {
	pairs, ok := e.pairs("the keys " + strings.Join(keys, ", "))
	out := make(map[string]entry, len(keys))
	for _, k := range keys {
		out[k] = entry{d: e.d, name: k, path: strings.TrimPrefix(e.path+"."+k, "."), line: e.line, column: e.column, silent: e.silent || !ok}
	}
	for _, v := range pairs {
		if _, known := out[v.name]; known {
			out[v.name] = v
			continue
		}
		want := "one of " + strings.Join(keys, ", ")
		if near := nearest(v.name, keys); near != "" {
			want = "a key that is known; did you mean " + near + "?"
		}
		v.failKey(e.path, "the key "+brief(v.name), want)
	}
	return out
}

// list returns the elements of a list; a single value is a list of one.
func (e entry) list() []entry {
	s, ok := e.node.(*ast.SequenceNode)
	if !ok {
		if e.missing() {
			return nil
		}
		return []entry{e}
	}
	var out []entry
	for i, v := range s.Values {
		if v == nil {
			continue
		}
		out = append(out, e.d.entry(v, fmt.Sprint(i), fmt.Sprintf("%s[%d]", e.path, i)))
	}
	return out
}

// scalar returns a single value as it was written.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// text returns a single value, not empty; want says what it should be. What is
// absent is an error.
func (e entry) text(want string) string {
	s, ok := scalar(e.node)
	if s = strings.TrimSpace(s); !ok || s == "" {
		e.fail(is(e.node), want)
		return ""
	}
	return s
}

// optional returns a single value, or "" when nothing was written.
func (e entry) optional(want string) string {
	if e.node == nil {
		return ""
	}
	return e.text(want)
}
