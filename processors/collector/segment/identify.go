package segment

import (
	"net/mail"
	"strings"

	"segue/schemas"
)

// Traits that have a field of their own, by the names that storefronts use.
var (
	firstName = []string{"firstName", "first_name"}
	lastName  = []string{"lastName", "last_name"}
	timeZone  = []string{"timezone", "timeZone", "time_zone"}
	language  = []string{"language", "locale"}
	// consent says whether the customer wants e-mail.
	consent = []string{"emailSubscribed", "email_subscribed", "subscribed", "accepts_marketing"}
)

const maxEmail = 254 // RFC 5321, 4.5.3.1.3

// identify says what is known of a customer, and whom an anonymous one became.
func (c *call) identify() []*schemas.Event {
	traits := c.object("traits")
	i := &schemas.Identify{Email: traits.email(), FirstName: traits.text(maxText, firstName...), LastName: traits.text(maxText, lastName...)}
	if name := traits.text(maxText, "name"); i.FirstName == "" && i.LastName == "" {
		i.FirstName, i.LastName, _ = strings.Cut(strings.TrimSpace(name), " ")
	}
	if i.TimeZone = traits.text(maxText, timeZone...); i.TimeZone != "" && !isTimeZone(i.TimeZone) {
		name, value := traits.first(timeZone)
		traits.wrong(name, value, "an IANA time zone such as Europe/London")
	}
	if z := c.context.text(maxText, "timezone"); i.TimeZone == "" && z != "" {
		if isTimeZone(z) {
			i.TimeZone = z
		} else {
			c.context.note("timezone", "is no zone of IANA's, and left out")
		}
	}
	if i.Language = traits.text(maxText, language...); i.Language == "" {
		i.Language = c.context.text(maxText, "locale")
	}
	own := append([]string{"email", "name"}, consent...)
	for _, names := range [][]string{firstName, lastName, timeZone, language} {
		own = append(own, names...)
	}
	// A country may be written out; only a code has its place.
	country := traits.text(maxText, "country")
	if address, ok := traits.values["address"].(map[string]any); ok && country == "" {
		country, _ = address["country"].(string)
	}
	if code := strings.ToUpper(country); len(code) == 2 && isUpper(code) {
		i.Country = code
		own = append(own, "country")
	}
	i.Traits = traits.rest(own...)
	c.unsaid(traits)

	e := c.event("")
	e.Body = &schemas.Event_Identify{Identify: i}
	events := []*schemas.Event{e}
	if subscribed, known := traits.truth(consent...); known {
		e := c.event("/consent")
		e.Body = &schemas.Event_Subscription{Subscription: &schemas.Subscription{Subscribed: subscribed}}
		events = append(events, e)
	}
	if h := &c.head; h.UserId != "" && h.AnonymousId != "" && h.UserId != h.AnonymousId {
		events = append(events, c.link(h.AnonymousId))
	}
	return events
}

// unsaid notes what mails to a customer will lack.
func (c *call) unsaid(traits fields) {
	traits.lacks("no mail goes out, unless an earlier call told the address", "email")
	traits.lacks("no mail goes out where the playbook wants consent said, unless an earlier call did", consent...)
	if !c.context.has("timezone") {
		traits.lacks("quiet hours and caps go by the shop's zone", timeZone...)
	}
	if c.head.UserId == "" {
		c.note("userId", anonymous)
	} else {
		c.lacks("what the visitor did before is not theirs", "anonymousId")
	}
}

// group says what a customer belongs to. Of several groups the last is kept: a
// customer's traits are one flat table.
func (c *call) group() []*schemas.Event {
	traits := map[string]string{"group": c.needed("the group's id", "groupId")}
	for name, value := range c.object("traits").rest() {
		traits["group."+name] = value
	}
	e := c.event("")
	e.Body = &schemas.Event_Identify{Identify: &schemas.Identify{Traits: traits}}
	return []*schemas.Event{e}
}

// alias says whom the customer previousId became.
func (c *call) alias() []*schemas.Event {
	previous := c.needed("whom userId was before", "previousId")
	if previous == c.head.UserId {
		c.wrong("previousId", previous, "another than userId")
	}
	if c.receipt.Open {
		c.note("previousId", "who was ever named by userId stays who they are, unless a signed call says so")
	}
	return []*schemas.Event{c.link(previous)}
}

// link lies under the anonymous id and makes its profile a redirect. By an open key
// that may be anybody's wish.
func (c *call) link(anonymous string) *schemas.Event {
	e := c.event("/link")
	e.Customer, e.AnonymousId = anonymous, anonymous
	e.Body = &schemas.Event_Link{Link: &schemas.Link{Known: c.head.UserId, Trusted: !c.receipt.Open}}
	return e
}

// email reads an address, bare and on one line.
func (f fields) email() string {
	s := strings.TrimSpace(f.text(maxText, "email"))
	if s == "" {
		return ""
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > maxEmail {
		f.wrong("email", s, "an e-mail address such as ada@example.com")
		return ""
	}
	return s
}

// isTimeZone reports whether s looks like an IANA name. Whether there is such a
// zone is a matter of the tables at hand, and those of the fold count.
func isTimeZone(s string) bool {
	if s == "" || len(s) > 64 || s == "Local" {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_+-", r))
		}) {
			return false
		}
	}
	return true
}
