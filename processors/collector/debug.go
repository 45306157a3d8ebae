package collector

import (
	"embed"
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"segue/processors/collector/segment"
)

// Bounds of what is kept for who builds a storefront: the last calls of each
// source, of a call the first items, and of these no more bytes than that.
const (
	keptCalls = 50
	keptItems = 20
	keptBytes = 64 << 10
)

// understood is one item of a call, and what became of it.
type understood struct {
	kind, name string
	customer   string
	messages   []proto.Message
	notes      []segment.Note
}

func (t *taken) understand(c segment.Taken) {
	u := understood{kind: c.Type, name: c.Name, notes: c.Notes}
	for _, e := range c.Events {
		if u.customer == "" {
			u.customer = e.GetCustomer()
		}
		u.messages = append(u.messages, e)
	}
	t.items = append(t.items, u)
}

func (t *taken) list(l segment.Listing) {
	u := understood{kind: "product", name: l.ID, notes: l.Notes}
	if l.Product != nil {
		u.messages = []proto.Message{l.Product}
	}
	t.items = append(t.items, u)
}

// debug holds the last calls of each source, in memory alone; "" is who showed
// no key of ours.
type debug struct {
	mu   sync.Mutex
	last int64
	kept map[string][]keptCall
}

// keptCall is written out only when somebody asks.
type keptCall struct {
	number        int64
	at            time.Time
	source, path  string
	agent, origin string
	status        int
	problem       string
	wrong         segment.Problems
	bytes         int
	items         []understood
	left          int // items that were not kept
}

func newDebug() *debug { return &debug{kept: map[string][]keptCall{}} }

func (d *debug) keep(r *http.Request, path string, at time.Time, t *taken) {
	c := keptCall{at: at, path: path, agent: cut(r.UserAgent()), origin: cut(r.Header.Get("Origin")), source: t.source,
		status: t.status, problem: t.Error, wrong: t.Problems, bytes: t.bytes, items: t.items}
	size := 0
	for i, u := range t.items {
		for _, m := range u.messages {
			size += proto.Size(m)
		}
		if i == keptItems || size > keptBytes {
			c.items, c.left = slices.Clone(t.items[:i]), len(t.items)-i // not the rest of its array
			break
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	c.number = d.last
	kept := append(d.kept[t.source], c)
	if len(kept) > keptCalls {
		kept = slices.Delete(kept, 0, len(kept)-keptCalls)
	}
	d.kept[t.source] = kept
}

// cut bounds what a client says of itself.
func cut(s string) string { return s[:min(len(s), 200)] }

// after returns the calls since the one numbered n, in their order, and the last
// number. Who has seen later ones saw them of a former life.
func (d *debug) after(n int64) (all []keptCall, last int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n > d.last {
		n = 0
	}
	for _, kept := range d.kept {
		for _, c := range kept {
			if c.number > n {
				all = append(all, c)
			}
		}
	}
	slices.SortFunc(all, func(a, b keptCall) int { return int(a.number - b.number) })
	return all, d.last
}

// The answer to GET /debug/calls.
type (
	shownCalls struct {
		Sources []string    `json:"sources"`
		Last    int64       `json:"last"`
		Calls   []shownCall `json:"calls"`
	}
	shownCall struct {
		Number int64  `json:"number"`
		At     string `json:"at"`
		// Source is the write key's; "" where the call showed none of ours.
		Source string           `json:"source"`
		Path   string           `json:"path"`
		Agent  string           `json:"agent,omitempty"`
		Origin string           `json:"origin,omitempty"`
		Bytes  int              `json:"bytes"`
		Status int              `json:"status"`
		Error  string           `json:"error,omitempty"`
		Wrong  segment.Problems `json:"problems,omitempty"`
		Items  []shownItem      `json:"items"`
		Left   int              `json:"left,omitempty"`
	}
	shownItem struct {
		Type     string            `json:"type"`
		Name     string            `json:"name,omitempty"`
		Customer string            `json:"customer,omitempty"`
		Became   []json.RawMessage `json:"became"`
		Notes    []segment.Note    `json:"notes"`
	}
)

// ServeDebug answers GET /debug/calls?after=NUMBER with the last calls to this
// process, what was understood of each, and what that lacked. It shows personal
// data: whoever serves it asks who is there.
func (s *Station) ServeDebug(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.ParseInt(r.FormValue("after"), 10, 64)
	if r.FormValue("after") != "" && err != nil {
		http.Error(w, "after: got no number, want that of the last call seen", http.StatusBadRequest)
		return
	}
	calls, last := s.debug.after(after)
	shown := shownCalls{Sources: s.sourceNames(), Last: last, Calls: []shownCall{}}
	for _, c := range calls {
		shown.Calls = append(shown.Calls, c.show())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(shown) // whoever asked may be gone
}

func (s *Station) sourceNames() []string {
	names := slices.Collect(maps.Values(s.config.WriteKeys))
	names = slices.AppendSeq(names, maps.Values(s.config.CatalogKeys))
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *keptCall) show() shownCall {
	shown := shownCall{Number: c.number, At: c.at.UTC().Format("2006-01-02T15:04:05.000Z"), Source: c.source, Path: c.path, Agent: c.agent, Origin: c.origin,
		Bytes: c.bytes, Status: c.status, Error: c.problem, Wrong: c.wrong, Items: []shownItem{}, Left: c.left}
	for _, u := range c.items {
		item := shownItem{Type: u.kind, Name: u.name, Customer: u.customer, Became: []json.RawMessage{}, Notes: u.notes}
		for _, m := range u.messages {
			text, err := protojson.Marshal(m)
			if err != nil {
				text, _ = json.Marshal(err.Error())
			}
			item.Became = append(item.Became, text)
		}
		shown.Items = append(shown.Items, item)
	}
	return shown
}

//go:embed debug
var debugFiles embed.FS

// DebugPage serves GET /debug/, a page that shows in a browser what ServeDebug
// answers, live. By itself it tells nothing of anybody.
func DebugPage() http.Handler {
	files, err := fs.Sub(debugFiles, "debug")
	if err != nil {
		panic(err) // it is embedded
	}
	serve := http.StripPrefix("/debug/", http.FileServerFS(files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache")
		serve.ServeHTTP(w, r)
	})
}
