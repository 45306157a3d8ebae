package collector

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"segue/schemas"
	"segue/schemas/link"
)

// The page where somebody chooses which mails they get. It has no table that
// knows what they chose before, so that it works with nothing but the link: what
// is left as it is now stays so, and what the page shows is never wrong.

const (
	// undoes is the field of the button that takes a choice back.
	undoes = "undoes"
	// pauseDays is how long a break is.
	pauseDays = 30
	// maxForm bounds what a page sends, in bytes, and maxID an event's id in it.
	maxForm, maxID = 16 << 10, 64
)

func choosing(token string, l link.Link, text string) page {
	p := page{status: http.StatusOK, Title: "What may we send you?", Text: text, Choices: &choices{},
		Buttons: []button{{To: "../u/" + token, Text: "Unsubscribe from everything", Quiet: true}}}
	if l.Topics != "" {
		p.Choices.Topics = strings.Split(l.Topics, "\n")
	}
	return p
}

// servePreferencesPage asks, and changes nothing.
func (s *Station) servePreferencesPage(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	l, err := s.config.Links.Verify(link.Unsubscribe, token)
	if err != nil {
		notOurs.write(w)
		return
	}
	choosing(token, l, "Offers and reminders by e-mail from this shop. Whatever you leave stays as it is.").write(w)
}

func (s *Station) servePreferences(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	l, err := s.config.Links.Verify(link.Unsubscribe, token)
	if err != nil {
		notOurs.write(w)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	chosen, noted, ok := &schemas.Preferences{}, []string(nil), false
	if err := r.ParseForm(); err == nil {
		chosen, noted, ok = chosenIn(r.PostForm, l)
	}
	if !ok {
		p := choosing(token, l, "That was none of the choices on this page. Nothing was changed.")
		p.status = http.StatusBadRequest
		p.write(w)
		return
	}
	if chosen == nil {
		choosing(token, l, "You left everything as it is. Nothing was changed.").write(w)
		return
	}
	chosen.DeliveryId = l.Delivery
	e := s.event(l)
	e.Body = &schemas.Event_Preferences{Preferences: chosen}
	switch {
	case !s.note(e):
		later(again(r.PostForm)).write(w)
	case chosen.GetUndoes() != "":
		page{status: http.StatusOK, Title: "It is as it was", Text: "Your last choice was taken back.", Elsewhere: "../p/" + token, Name: "Choose something else"}.write(w)
	default:
		page{status: http.StatusOK, Title: "Saved", Noted: noted, Buttons: []button{undo("", e.GetId())},
			Elsewhere: "../p/" + token, Name: "Choose something else"}.write(w)
	}
}

// again is a button that sends the same form once more.
func again(form url.Values) button {
	b := button{Text: "Save"}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if value := form.Get(name); value != "" {
			b.Fields = append(b.Fields, field{name, value})
		}
	}
	return b
}

// chosenIn reads the form of the page of l. chosen is nil when all stays as it
// is; not ok: it is no form of that page.
func chosenIn(form url.Values, l link.Link) (chosen *schemas.Preferences, noted []string, ok bool) {
	if id := form.Get(undoes); id != "" {
		return &schemas.Preferences{Undoes: id}, nil, len(id) <= maxID && utf8.ValidString(id)
	}
	p := &schemas.Preferences{}
	switch form.Get("often") {
	case "":
	case "every":
		p.Frequency = schemas.Preferences_EVERY_MAIL
		noted = append(noted, "We write whenever there is something.")
	case "week":
		p.Frequency = schemas.Preferences_WEEKLY
		noted = append(noted, "At most one mail a week.")
	case "month":
		p.Frequency = schemas.Preferences_MONTHLY
		noted = append(noted, "At most one mail a month.")
	default:
		return nil, nil, false
	}
	if l.Topics != "" {
		for i, topic := range strings.Split(l.Topics, "\n") {
			switch form.Get(fmt.Sprintf("topic%d", i)) {
			case "":
			case "yes":
				p.Resume = append(p.Resume, topic)
				noted = append(noted, "Yes: "+topic)
			case "no":
				p.Stop = append(p.Stop, topic)
				noted = append(noted, "No more: "+topic)
			default:
				return nil, nil, false
			}
		}
	}
	switch form.Get("pause") {
	case "":
	case "month":
		p.PauseDays = proto.Int32(pauseDays)
		noted = append(noted, fmt.Sprintf("No mail for %d days.", pauseDays))
	case "end":
		p.PauseDays = proto.Int32(0)
		noted = append(noted, "The break is over.")
	default:
		return nil, nil, false
	}
	if len(noted) == 0 {
		return nil, nil, true
	}
	return p, noted, true
}
