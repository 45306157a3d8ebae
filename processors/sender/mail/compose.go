package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
	netmail "net/mail"
	"strings"
	"time"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"segue/schemas"
	"segue/schemas/link"
)

// Header fields of our own.
const (
	HeaderCustomer = "X-Segue-Customer"
	HeaderDelivery = "X-Segue-Delivery"
	HeaderReason   = "X-Segue-Reason"
)

// headerFeedback names what a provider counts complaints by: journey, message,
// step, and the domain that sends.
const headerFeedback = "Feedback-ID"

// Composer knows what all mails have in common.
type Composer struct {
	// PublicURL is where opens, clicks and unsubscribes arrive.
	PublicURL string
	Keys      link.Keys
	// Sign signs a mail that is from a domain; nil: nobody does.
	Sign func(domain string, raw []byte) ([]byte, error)
}

// Message is a mail and its envelope.
type Message struct {
	From, To string
	Raw      []byte
}

// Compose renders d. An error means that it can never be sent.
func (c Composer) Compose(d *schemas.Delivery, t *Templates, date time.Time) (Message, error) {
	from, err := netmail.ParseAddress(d.GetFrom())
	if err != nil {
		return Message{}, fmt.Errorf("from %q: %w", d.GetFrom(), err)
	}
	to, err := netmail.ParseAddress(d.GetTo())
	if err != nil {
		return Message{}, fmt.Errorf("to %q: %w", d.GetTo(), err)
	}
	for _, a := range []*netmail.Address{from, to} {
		if a.Address, err = knownEverywhere(a.Address); err != nil {
			return Message{}, err
		}
	}
	if d.GetToName() != "" {
		to.Name = oneLine(d.GetToName())
	}
	l := link.Link{Customer: d.GetCustomer(), Delivery: d.GetId(), Journey: d.GetJourney(), Step: int(d.GetStep()),
		At: date.UnixMilli(), Topics: topics(d.GetTopics())}
	unsubscribe := c.url(l, link.Unsubscribe, "")

	vars, err := variables(d.GetContextJson())
	if err != nil {
		return Message{}, err
	}
	vars["unsubscribe_url"] = unsubscribe
	vars["preferences_url"] = c.preferences(l)
	vars["postal_address"] = d.GetPostalAddress()
	subject, err := t.Line(d.GetSubject(), vars)
	if err != nil {
		return Message{}, fmt.Errorf("subject %q: %w", d.GetSubject(), err)
	}
	if subject == "" {
		return Message{}, fmt.Errorf("subject %q: got nothing, want a line", d.GetSubject())
	}
	page, err := t.HTML(d.GetTemplate(), vars)
	if err != nil {
		return Message{}, err
	}
	page = withFooter(page, unsubscribe, d.GetPostalAddress())
	page = c.tracked(page, l)

	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(gomail.EncodingQP))
	m.FromMailAddress(from)
	m.ToMailAddress(to)
	m.Subject(oneLine(subject))
	m.SetDateWithValue(date)
	m.SetMessageIDWithValue(messageID(d.GetId(), from.Address))
	// Preformatted: a word of a header's value may be split, a URL may not.
	m.SetGenHeaderPreformatted(gomail.HeaderListUnsubscribe, "<"+unsubscribe+">")
	m.SetGenHeader(gomail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click") // of two that are preformatted the order is drawn
	_, domain, _ := strings.Cut(from.Address, "@")
	m.SetGenHeader(headerFeedback, fmt.Sprintf("%s:%s:%d:%s", label(d.GetJourney()), label(d.GetMessage()), d.GetStep(), cut(label(domain), maxSenderID)))
	m.SetGenHeader(HeaderCustomer, oneLine(d.GetCustomer()))
	m.SetGenHeader(HeaderDelivery, oneLine(d.GetId()))
	if d.GetReason() != "" {
		m.SetGenHeader(HeaderReason, oneLine(d.GetReason()))
	}
	m.SetBodyString(gomail.TypeTextPlain, plainText(page))
	m.AddAlternativeString(gomail.TypeTextHTML, page)
	var raw bytes.Buffer
	if _, err := m.WriteTo(&raw); err != nil {
		return Message{}, fmt.Errorf("write MIME: %w", err)
	}
	signed := raw.Bytes()
	if c.Sign != nil {
		if signed, err = c.Sign(domain, signed); err != nil {
			return Message{}, err
		}
	}
	return Message{From: from.Address, To: to.Address, Raw: signed}, nil
}

const (
	// maxText is bytes of what others write into a header. A line of it has room for
	// 998, and only between words is it broken.
	maxText = 480
	// maxLabel is bytes of a part of a Feedback-ID, and maxSenderID of its last, as
	// Gmail has it.
	maxLabel, maxSenderID = 64, 15
)

// oneLine makes s fit a header.
func oneLine(s string) string { return cut(strings.Join(strings.Fields(s), " "), maxText) }

// cut is s, or as much of it as has room in so many bytes.
func cut(s string, room int) string {
	if len(s) <= room {
		return s
	}
	for !utf8.RuneStart(s[room]) {
		room--
	}
	return s[:room]
}

// knownEverywhere is an address whose domain goes by its name in ASCII: not every
// mail server takes another.
func knownEverywhere(address string) (string, error) {
	i := strings.LastIndexByte(address, '@') + 1
	if !strings.ContainsFunc(address[i:], func(r rune) bool { return r >= utf8.RuneSelf }) {
		return address, nil
	}
	domain, err := idna.Lookup.ToASCII(address[i:])
	if err != nil {
		return "", fmt.Errorf("domain of %q: %w", address, err)
	}
	return address[:i] + domain, nil
}

// label makes name into a part of a Feedback-ID, whose parts colons separate.
func label(name string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || r == ':' {
			return '-'
		}
		return r
	}, cut(name, maxLabel))
}

// messageID is the same however often a delivery is composed, so that even a
// repeat would be recognised as one.
func messageID(delivery, from string) string {
	sum := sha256.Sum256([]byte(delivery))
	_, domain, _ := strings.Cut(from, "@")
	return hex.EncodeToString(sum[:16]) + "@" + domain
}

// withFooter adds what every mail must have and this template left out.
func withFooter(page, unsubscribe, address string) string {
	var parts []string
	if words := strings.Fields(address); len(words) > 0 {
		shown := strings.Join(strings.Fields(plainText(page)), " ")
		if !strings.Contains(shown, strings.Join(words, " ")) {
			parts = append(parts, html.EscapeString(address))
		}
	}
	if !strings.Contains(page, html.EscapeString(unsubscribe)) {
		parts = append(parts, `<a href="`+html.EscapeString(unsubscribe)+`">Unsubscribe</a>`)
	}
	if len(parts) == 0 {
		return page
	}
	footer := `<p style="font:12px sans-serif;color:#666;text-align:center">` + strings.Join(parts, "<br>") + "</p>"
	if i := strings.LastIndex(page, "</body>"); i >= 0 {
		return page[:i] + footer + page[i:]
	}
	return page + footer
}
