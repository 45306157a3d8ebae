package collector

import (
	"crypto/rand"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"segue/schemas"
	"segue/schemas/link"
)

// sourceMail is the source of events that a mail's links cause.
const sourceMail = "mail"

// gif is one transparent pixel.
var gif, _ = base64.StdEncoding.DecodeString("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")

// serveOpen answers with a picture; that it was asked for is an open.
func (s *Station) serveOpen(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutSuffix(r.PathValue("token"), ".gif")
	l, err := s.config.Links.Verify(link.Open, token)
	if !ok || err != nil {
		notOurs.write(w)
		return
	}
	if r.Method == http.MethodGet {
		s.appendClick(s.engagement(l, schemas.Engagement_OPENED))
	}
	private(w)
	w.Header().Set("Content-Type", "image/gif")
	_, _ = w.Write(gif)
}

// serveClick sends the shopper on, to nowhere but where the sender signed.
func (s *Station) serveClick(w http.ResponseWriter, r *http.Request) {
	l, err := s.config.Links.Verify(link.Click, r.PathValue("token"))
	if err != nil {
		notOurs.write(w)
		return
	}
	if r.Method == http.MethodGet {
		s.appendClick(s.engagement(l, schemas.Engagement_CLICKED))
	}
	private(w)
	http.Redirect(w, r, l.URL, http.StatusFound)
}

// serveUnsubscribePage asks, and changes nothing.
func (s *Station) serveUnsubscribePage(w http.ResponseWriter, r *http.Request) {
	if _, err := s.config.Links.Verify(link.Unsubscribe, r.PathValue("token")); err != nil {
		notOurs.write(w)
		return
	}
	asking.write(w)
}

// serveUnsubscribe takes the button of the page and a mail program's own (RFC
// 8058, List-Unsubscribe=One-Click) alike: the link says all.
func (s *Station) serveUnsubscribe(w http.ResponseWriter, r *http.Request) {
	l, err := s.config.Links.Verify(link.Unsubscribe, r.PathValue("token"))
	if err != nil {
		notOurs.write(w)
		return
	}
	e := s.event(l)
	e.Body = &schemas.Event_Subscription{Subscription: &schemas.Subscription{DeliveryId: l.Delivery}}
	h := &held{room: s.room}
	if !h.take(callCost) {
		later.write(w)
		return
	}
	if err := s.appendAll([]outgoing{s.outgoing(e)}, h.giveBack); err != nil {
		later.write(w)
		return
	}
	done.write(w)
}

func (s *Station) engagement(l link.Link, kind schemas.Engagement_Kind) *schemas.Event {
	e := s.event(l)
	e.Body = &schemas.Event_Engagement{Engagement: &schemas.Engagement{Kind: kind, DeliveryId: l.Delivery, Url: l.URL,
		Journey: l.Journey, Step: int32(l.Step)}}
	return e
}

// event is what a link's use is worth. Each use has its own id, an unsubscribe
// too: it may be the second one, with a new consent in between, and folding it
// twice changes nothing.
func (s *Station) event(l link.Link) *schemas.Event {
	now := schemas.Timestamp(s.config.Clock.Now().UnixMilli())
	return &schemas.Event{Id: rand.Text(), OccurredAt: now, ReceivedAt: now, Customer: l.Customer, Source: sourceMail}
}

// private keeps an answer out of caches, so that the next use is seen too.
func private(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Robots-Tag", "noindex")
}

// page is what a person sees.
type page struct {
	status      int
	Title, Text string
	Button      string
}

var (
	asking = page{http.StatusOK, "Stop these e-mails?", "You will get no more offers and reminders by e-mail from this shop.", "Unsubscribe"}
	done   = page{http.StatusOK, "You are unsubscribed", "You will get no more offers and reminders by e-mail from this shop.", ""}
	later  = page{http.StatusServiceUnavailable, "That did not work yet", "We could not note it down just now. Please press the button again in a minute.", "Unsubscribe"}
	// It tells a forger nothing, and a person what to do.
	notOurs = page{http.StatusNotFound, "This link does not work", "It is not one that this shop has sent, or a part of it is missing. Please try it from the e-mail once more.", ""}
)

func (p page) write(w http.ResponseWriter) {
	private(w)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer") // the address is the key
	if p.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	w.WriteHeader(p.status)
	_ = pageTemplate.Execute(w, p) // whoever asked may be gone
}

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
:root { color-scheme: light dark }
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 28rem; margin: 18vh auto 0; padding: 0 1.5rem; text-align: center }
h1 { font-size: 1.6rem; line-height: 1.25 }
button { font: inherit; font-weight: 600; margin-top: 1rem; padding: .7rem 2rem; border: 0; border-radius: .5rem; color: #fff; background: #1a5fb4; cursor: pointer }
button:hover, button:focus-visible { background: #134a8e }
</style>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
{{if .Button}}<form method="post"><button>{{.Button}}</button></form>
{{end}}</html>
`))
