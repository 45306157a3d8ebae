package collector

import (
	"embed"
	"html/template"
	"net/http"
	"strconv"
)

// page is what a person sees. Nothing in it needs a script.
type page struct {
	status      int
	Title, Text string
	// Noted is what was chosen, a line each.
	Noted   []string
	Buttons []button
	// Choices is the form of preferences; nil: another page.
	Choices *choices
	// Elsewhere is another page of the same link, and how it is called.
	Elsewhere, Name string
}

// button is a form with nothing to fill in.
type button struct {
	To, Text string // To "": where the page is
	Fields   []field
	Quiet    bool // it is not what most came for
}

type field struct{ Name, Value string }

type choices struct{ Topics []string }

func unsubscribing(token string) page {
	return page{status: http.StatusOK, Title: "Stop these e-mails?", Text: "You will get no more offers and reminders by e-mail from this shop.",
		Buttons: []button{{Text: "Unsubscribe"}}, Elsewhere: "../p/" + token, Name: "Or choose which ones you get"}
}

func unsubscribed(token, event string) page {
	return page{status: http.StatusOK, Title: "You are unsubscribed", Text: "You will get no more offers and reminders by e-mail from this shop.",
		Buttons: []button{undo("../p/"+token, event)}}
}

func undo(to, event string) button {
	return button{To: to, Text: "Undo", Fields: []field{{undoes, event}}, Quiet: true}
}

// later asks for what was pressed once more.
func later(again button) page {
	return page{status: http.StatusServiceUnavailable, Title: "That did not work yet",
		Text: "We could not note it down just now. Please press the button again in a minute.", Buttons: []button{again}}
}

// notOurs tells a forger nothing, and a person what to do.
var notOurs = page{status: http.StatusNotFound, Title: "This link does not work",
	Text: "It is not one that this shop has sent, or a part of it is missing. Please try it from the e-mail once more."}

//go:embed pages/page.html
var pageFile embed.FS

var pageTemplate = template.Must(template.ParseFS(pageFile, "pages/page.html"))

func (p page) write(w http.ResponseWriter) {
	private(w)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "no-referrer") // the address is the key
	if p.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	w.WriteHeader(p.status)
	_ = pageTemplate.Execute(w, p) // whoever asked may be gone
}
