package playbook

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/osteele/liquid"
)

// templates is the folder beside the YAML that templates and partials lie in.
const templates = "templates/"

// TemplateNames are what a template and a subject can show: what the customer
// station puts into a delivery, and what the sender adds. A name that ends in
// [] is a list; its elements have the names below it.
var TemplateNames = []string{
	"customer.first_name", "customer.last_name", "customer.email", "customer.country", "customer.language", "customer.traits",
	"cart.items", "cart.value", "cart.currency", "cart.url",
	"store.name", "store.url",
	"brand.address", "brand.promises",
	"unsubscribe_url", "preferences_url",
}

var (
	liquidTag    = regexp.MustCompile(`(?s)\{%-?\s*(\w+)\s*(.*?)\s*-?%\}`)
	liquidOutput = regexp.MustCompile(`(?s)\{\{-?\s*(.*?)\s*-?\}\}`)
	liquidLocal  = regexp.MustCompile(`^(?:(\w+)\s*=|(\w+)\s+in\s)`)
	liquidQuoted = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	liquidName   = regexp.MustCompile(`(?:^|[^\w.])([a-z_]\w*(?:\.\w+)*)`)
	included     = regexp.MustCompile(`^"([^"]+)"$|^'([^']+)'$`)
)

var liquidEngine = liquid.NewEngine()

// checkTemplates checks every file, and that no partial includes itself.
func checkTemplates(files map[string][]byte) (errs []*Error) {
	locals := make(map[string]bool) // a partial sees the names of what includes it
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for local := range localNames(files[name]) {
			locals[local] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		errs = append(errs, checkLiquid(templates+name, files[name], locals, files)...)
		if path := circle(name, files); path != nil {
			errs = append(errs, &Error{File: templates + name, Line: 1, Got: "a template that includes itself: " + strings.Join(path, " → "), Want: "partials without a circle"})
		}
	}
	return errs
}

// checkLiquid checks one source: its syntax, what it includes and, as far as
// that can be seen without rendering, the names that it shows. files is nil for
// a subject, which cannot include.
func checkLiquid(file string, source []byte, locals map[string]bool, files map[string][]byte) (errs []*Error) {
	fail := func(at int, got, want string) {
		errs = append(errs, &Error{File: file, Line: 1 + strings.Count(string(source[:at]), "\n"), Got: got, Want: want})
	}
	defer func() {
		if r := recover(); r != nil {
			fail(0, "what the liquid parser cannot read", "a liquid template")
		}
	}()
	if _, err := liquidEngine.ParseTemplateLocation(source, file, 1); err != nil {
		line := max(1, err.LineNumber())
		_, message, _ := strings.Cut(err.Error(), ": ")
		return []*Error{{File: file, Line: line, Got: "a template that does not parse", Want: "liquid: " + firstLine(message)}}
	}
	// An output or a tag without its end is plain text to the parser.
	rest := liquidOutput.ReplaceAllFunc(liquidTag.ReplaceAllFunc(source, blank), blank)
	for _, open := range []string{"{{", "{%"} {
		if at := strings.Index(string(rest), open); at >= 0 {
			fail(at, brief(string(rest[at:min(len(rest), at+40)])), "an end to "+open)
		}
	}
	for _, m := range liquidTag.FindAllSubmatchIndex(source, -1) {
		tag, rest := string(source[m[2]:m[3]]), string(source[m[4]:m[5]])
		if tag != "include" {
			continue
		}
		name := included.FindStringSubmatch(rest)
		if files == nil {
			fail(m[0], "include", "a subject without files")
		} else if name == nil {
			fail(m[0], "include "+brief(rest), `include of a name in quotes, such as include "header.html"`)
		} else if partial := name[1] + name[2]; files[partial] == nil {
			want := "a file in " + templates
			if near := nearest(partial, slices.Sorted(maps.Keys(files))); near != "" {
				want += "; did you mean " + near + "?"
			}
			fail(m[0], brief(partial)+", which is not there", want)
		}
	}
	for _, m := range liquidOutput.FindAllSubmatchIndex(source, -1) {
		expression, _, _ := strings.Cut(liquidQuoted.ReplaceAllString(string(source[m[2]:m[3]]), `""`), "|")
		for _, n := range liquidName.FindAllStringSubmatch(expression, -1) {
			if name := n[1]; !shows(name, locals) {
				want := "a name that a template can show"
				if near := nearest(name, TemplateNames); near != "" {
					want += "; did you mean " + near + "?"
				}
				fail(m[0], name, want)
			}
		}
	}
	return errs
}

// blank returns as many bytes that say nothing; lines stay lines.
func blank(b []byte) []byte {
	out := bytes.Repeat([]byte{' '}, len(b))
	for i := range b {
		if b[i] == '\n' {
			out[i] = '\n'
		}
	}
	return out
}

// shows reports whether a template can show name.
func shows(name string, locals map[string]bool) bool {
	root, _, _ := strings.Cut(name, ".")
	if locals[root] || slices.Contains([]string{"forloop", "true", "false", "nil", "blank", "empty"}, root) {
		return true
	}
	return slices.ContainsFunc(TemplateNames, func(known string) bool {
		return name == known || strings.HasPrefix(name, known+".")
	})
}

// localNames yields what a template names itself.
func localNames(source []byte) map[string]bool {
	names := make(map[string]bool)
	for _, m := range liquidTag.FindAllSubmatch(source, -1) {
		switch string(m[1]) {
		case "assign", "for", "tablerow":
			if n := liquidLocal.FindSubmatch(m[2]); n != nil {
				names[string(n[1])+string(n[2])] = true
			}
		case "capture":
			names[string(m[2])] = true
		}
	}
	return names
}

// circle returns the way from name back to itself through includes, or nil.
func circle(name string, files map[string][]byte) []string {
	seen := make(map[string]bool)
	var walk func(at string, path []string) []string
	walk = func(at string, path []string) []string {
		path = append(path, at)
		for _, m := range liquidTag.FindAllSubmatch(files[at], -1) {
			n := included.FindStringSubmatch(string(m[2]))
			if string(m[1]) != "include" || n == nil {
				continue
			}
			next := n[1] + n[2]
			if next == name {
				return append(path, next)
			}
			if !seen[next] {
				seen[next] = true
				if found := walk(next, path); found != nil {
					return found
				}
			}
		}
		return nil
	}
	return walk(name, nil)
}
