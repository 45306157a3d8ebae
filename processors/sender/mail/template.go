package mail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/osteele/liquid"
	"github.com/osteele/liquid/parser"
	"github.com/osteele/liquid/render"
)

const (
	// outFilter is put behind every {{ … }}. No template can name it, since it
	// would be there twice.
	outFilter = "written_out"
	// depthKey counts includes within includes; no expression can name it.
	depthKey = "include depth"
	maxDepth = 16
)

// Templates are the files of one playbook version, compiled when first used.
type Templates struct {
	files map[string][]byte
	html  *liquid.Engine
	plain *liquid.Engine

	mu       sync.Mutex
	compiled map[string]*liquid.Template
}

// NewTemplates takes templates and partials by name.
func NewTemplates(files map[string][]byte) *Templates {
	t := &Templates{files: files, html: liquid.NewEngine(), plain: liquid.NewEngine(), compiled: map[string]*liquid.Template{}}
	t.html.RegisterFilter(outFilter, func(v any) string { return html.EscapeString(text(v)) })
	t.html.RegisterTag("include", t.include)
	t.plain.RegisterFilter(outFilter, text)
	t.plain.RegisterTag("include", func(render.Context) (string, error) {
		return "", fmt.Errorf("include: got one in a subject, want it in a body only")
	})
	return t
}

// HTML renders the file called name; what it writes out is escaped.
func (t *Templates) HTML(name string, vars map[string]any) (out string, err error) {
	defer recovered(&err)
	tpl, err := t.file(name)
	if err != nil {
		return "", err
	}
	b, serr := tpl.Render(vars)
	if serr != nil {
		return "", fmt.Errorf("template %s: %w", name, serr)
	}
	return string(b), nil
}

// Line renders source as one line of plain text, such as a subject.
func (t *Templates) Line(source string, vars map[string]any) (out string, err error) {
	defer recovered(&err)
	tpl, serr := t.plain.ParseString(writeOut(source))
	if serr != nil {
		return "", serr
	}
	b, serr := tpl.Render(vars)
	if serr != nil {
		return "", serr
	}
	return strings.Join(strings.Fields(string(b)), " "), nil
}

// recovered makes a panic of the template engine an error of this mail.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("template engine: %v", r)
	}
}

func (t *Templates) file(name string) (*liquid.Template, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tpl := t.compiled[name]; tpl != nil {
		return tpl, nil
	}
	source, ok := t.files[name]
	if !ok {
		return nil, fmt.Errorf("template %s: not among the playbook's files", name)
	}
	tpl, err := t.html.ParseTemplateLocation([]byte(writeOut(string(source))), name, 1)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	t.compiled[name] = tpl
	return tpl, nil
}

// include writes another file of the version, as {% include "name.html" %}. The
// engine's own would read the disk.
func (t *Templates) include(ctx render.Context) (string, error) {
	value, err := ctx.EvaluateString(ctx.TagArgs())
	if err != nil {
		return "", err
	}
	name, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("include %s: got %v, want a file's name", ctx.TagArgs(), value)
	}
	vars := maps.Clone(ctx.Bindings())
	depth, _ := vars[depthKey].(int)
	if depth >= maxDepth {
		return "", fmt.Errorf("include %s: %d deep, want at most %d: does it include itself?", name, depth+1, maxDepth)
	}
	vars[depthKey] = depth + 1
	tpl, err := t.file(name)
	if err != nil {
		if beside := path.Join(path.Dir(ctx.SourceFile()), name); beside != name {
			tpl, err = t.file(beside)
		}
	}
	if err != nil {
		return "", err
	}
	out, serr := tpl.Render(vars)
	if serr != nil {
		return "", serr
	}
	return string(out), nil
}

// writeOut puts outFilter behind every {{ … }} that is not within raw.
func writeOut(source string) string {
	var b strings.Builder
	raw := false
	for _, token := range parser.Scan(source, parser.SourceLoc{}, nil) {
		if token.Type == parser.TagTokenType {
			raw = token.Name == "raw" || raw && token.Name != "endraw"
		}
		if token.Type != parser.ObjTokenType || raw {
			b.WriteString(token.Source)
			continue
		}
		head, tail := "{{", "}}"
		if strings.HasPrefix(token.Source, "{{-") {
			head = "{{-"
		}
		if strings.HasSuffix(token.Source, "-}}") {
			tail = "-}}"
		}
		fmt.Fprintf(&b, "%s %s | %s %s", head, token.Args, outFilter, tail)
	}
	return b.String()
}

// text says how a value reads; nothing for one that is missing.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		var b strings.Builder
		for _, item := range v {
			b.WriteString(text(item))
		}
		return b.String()
	}
	return fmt.Sprint(v)
}

// variables reads what a delivery carries for its templates. Whole numbers stay
// whole.
func variables(contextJSON []byte) (map[string]any, error) {
	vars := map[string]any{}
	if len(contextJSON) == 0 {
		return vars, nil
	}
	dec := json.NewDecoder(bytes.NewReader(contextJSON))
	dec.UseNumber()
	if err := dec.Decode(&vars); err != nil {
		return nil, fmt.Errorf("context: %w", err)
	}
	if vars == nil { // null
		vars = map[string]any{}
	}
	for name, v := range vars {
		vars[name] = numbers(v)
	}
	return vars, nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := strconv.Atoi(v.String()); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}
