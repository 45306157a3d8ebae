package inbox

import (
	"bytes"
	"embed"
	"encoding/json"
	"html"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed pages
var files embed.FS

var (
	listPage = page("list.html")
	mailPage = page("mail.html")
	livePage = page("live.html")
)

func page(name string) *template.Template {
	return template.Must(template.New(name).Funcs(template.FuncMap{
		"when": func(t time.Time) string { return t.Format("2 Jan 2006 15:04") },
	}).ParseFS(files, "pages/"+name, "pages/frame.html"))
}

const (
	perPage = 100
	// pageCSP: our pages run nothing, and frame nothing but a mail of ours.
	pageCSP = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	// mailCSP: a mail shows pictures and its own styles, runs nothing, and its
	// links open elsewhere.
	mailCSP = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src http: https: data:; frame-ancestors 'self'"
	// noPixel is what a mail's pixel becomes here.
	noPixel = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
)

func (b *Inbox) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", b.list)
	mux.HandleFunc("GET /mails.json", b.json)
	if b.Live != nil {
		mux.HandleFunc("GET /live", b.live)
	}
	mux.HandleFunc("GET /mails/{id}", b.one(b.show))
	mux.HandleFunc("GET /mails/{id}/html", b.one(func(w http.ResponseWriter, _ *http.Request, m Mail) {
		body := m.HTML
		if m.Links.Open != "" {
			body = strings.ReplaceAll(body, html.EscapeString(m.Links.Open), noPixel)
		}
		write(w, "text/html; charset=utf-8", mailCSP, []byte(`<base target="_blank">`+body))
	}))
	mux.HandleFunc("GET /mails/{id}/text", b.one(func(w http.ResponseWriter, _ *http.Request, m Mail) {
		write(w, "text/plain; charset=utf-8", pageCSP, []byte(m.Text))
	}))
	mux.HandleFunc("GET /mails/{id}/source", b.one(func(w http.ResponseWriter, _ *http.Request, m Mail) {
		write(w, "text/plain; charset=utf-8", pageCSP, m.Raw)
	}))
	return mux
}

func write(w http.ResponseWriter, contentType, csp string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Security-Policy", csp)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	w.Write(body)
}

// one finds the mail that a path names.
func (b *Inbox) one(show func(http.ResponseWriter, *http.Request, Mail)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(r.PathValue("id"))
		m, ok := b.Mail(id)
		if err != nil || !ok {
			http.Error(w, "no such mail, or no longer kept", http.StatusNotFound)
			return
		}
		show(w, r, m)
	}
}

// row is a mail and what was done with it.
type row struct {
	Mail
	Marks
}

// search returns what matches words, newest first.
func (b *Inbox) search(words string) (rows []row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	want := strings.Fields(strings.ToLower(words))
	for _, k := range slices.Backward(b.kept) {
		text := strings.ToLower(strings.Join([]string{k.To, k.ToName, k.Subject, k.Reason, k.CustomerID, k.DeliveryID}, "\n"))
		if !slices.ContainsFunc(want, func(word string) bool { return !strings.Contains(text, word) }) {
			rows = append(rows, row{k.Mail, b.marks[k.DeliveryID]})
		}
	}
	return rows
}

func (b *Inbox) list(w http.ResponseWriter, r *http.Request) {
	q := r.FormValue("q")
	from, _ := strconv.Atoi(r.FormValue("from"))
	rows := b.search(q)
	from = min(max(from, 0), len(rows))
	to := min(from+perPage, len(rows))
	link := func(at int) string {
		return "/?" + url.Values{"q": {q}, "from": {strconv.Itoa(max(at, 0))}}.Encode()
	}
	view := struct {
		Query        string
		Rows         []row
		Found, Total int
		Newer, Older string
		Live         bool
	}{Live: b.Live != nil, Query: q, Rows: rows[from:to], Found: len(rows), Total: b.Count()}
	if from > 0 {
		view.Newer = link(from - perPage)
	}
	if to < len(rows) {
		view.Older = link(to)
	}
	render(w, listPage, view)
}

func (b *Inbox) show(w http.ResponseWriter, r *http.Request, m Mail) {
	b.mu.Lock()
	marks := b.marks[m.DeliveryID]
	b.mu.Unlock()
	_, older := b.Mail(m.ID - 1)
	_, newer := b.Mail(m.ID + 1)
	view := struct {
		Mail
		Marks
		Text         string
		As           string
		Older, Newer int
	}{Mail: m, Marks: marks, Text: m.Text, As: r.FormValue("as")}
	if view.As == "source" {
		view.Text = string(m.Raw)
	}
	if older {
		view.Older = m.ID - 1
	}
	if newer {
		view.Newer = m.ID + 1
	}
	render(w, mailPage, view)
}

// live shows what goes on beside the mails. The page loads itself anew.
func (b *Inbox) live(w http.ResponseWriter, _ *http.Request) {
	var body bytes.Buffer
	goes, err := b.Live(&body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	render(w, livePage, struct {
		Goes bool
		Body template.HTML
	}{goes, template.HTML(body.String())})
}

func render(w http.ResponseWriter, t *template.Template, view any) {
	var body bytes.Buffer
	if err := t.Execute(&body, view); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	write(w, "text/html; charset=utf-8", pageCSP, body.Bytes())
}

func (b *Inbox) json(w http.ResponseWriter, r *http.Request) {
	rows := b.search(r.FormValue("q"))
	if rows == nil {
		rows = []row{}
	}
	body, err := json.Marshal(rows)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	write(w, "application/json", pageCSP, body)
}
