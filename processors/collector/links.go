package collector

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
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
	s.engaged(r, l, schemas.Engagement_OPENED)
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
	s.engaged(r, l, schemas.Engagement_CLICKED)
	private(w)
	http.Redirect(w, r, l.URL, http.StatusFound)
}

// serveUnsubscribePage asks, and changes nothing.
func (s *Station) serveUnsubscribePage(w http.ResponseWriter, r *http.Request) {
	if _, err := s.config.Links.Verify(link.Unsubscribe, r.PathValue("token")); err != nil {
		notOurs.write(w)
		return
	}
	unsubscribing(r.PathValue("token")).write(w)
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
	if !s.note(e) {
		later(button{Text: "Unsubscribe"}).write(w)
		return
	}
	unsubscribed(r.PathValue("token"), e.GetId()).write(w)
}

// note appends what a person chose, and reports whether Kafka has it.
func (s *Station) note(e *schemas.Event) bool {
	all := []outgoing{s.outgoing(e)}
	h := &held{room: s.room}
	return h.take(callCost) && s.appendAll(all, h.giveBack) == nil
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
