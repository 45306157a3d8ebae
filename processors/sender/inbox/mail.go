package inbox

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"

	"segue/processors/sender/mail"
)

// Mail is one that was taken. What it does not have is empty.
type Mail struct {
	ID         int       `json:"id"` // from 1, in order of arrival
	Received   time.Time `json:"received"`
	ReturnPath string    `json:"return_path,omitempty"` // where answers go
	From       string    `json:"from"`
	To         string    `json:"to"` // the address alone
	ToName     string    `json:"to_name,omitempty"`
	Subject    string    `json:"subject"`
	MessageID  string    `json:"message_id"`
	CustomerID string    `json:"customer,omitempty"`
	DeliveryID string    `json:"delivery,omitempty"`
	// Reason is why it was sent.
	Reason string `json:"reason,omitempty"`
	Links  Links  `json:"links"`

	Text string `json:"text,omitempty"`
	HTML string `json:"html,omitempty"`
	Raw  []byte `json:"-"`
}

// Links are what a reader can do with a mail.
type Links struct {
	Open        string   `json:"open,omitempty"` // the pixel
	Clicks      []string `json:"clicks,omitempty"`
	Unsubscribe string   `json:"unsubscribe,omitempty"`
}

// parse reads as much of a mail as is there.
func parse(raw []byte) Mail {
	m := Mail{Raw: raw}
	msg, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		m.Text = string(raw)
		return m
	}
	words := new(mime.WordDecoder)
	header := func(name string) string {
		value := msg.Header.Get(name)
		if decoded, err := words.DecodeHeader(value); err == nil {
			return decoded
		}
		return value
	}
	m.From, m.Subject = header("From"), header("Subject")
	m.MessageID = msg.Header.Get("Message-ID")
	m.CustomerID, m.DeliveryID, m.Reason = header(mail.HeaderCustomer), header(mail.HeaderDelivery), header(mail.HeaderReason)
	if to, err := msg.Header.AddressList("To"); err == nil {
		m.To, m.ToName = to[0].Address, to[0].Name
	}
	m.Links.Unsubscribe, _, _ = strings.Cut(strings.TrimPrefix(msg.Header.Get("List-Unsubscribe"), "<"), ">")
	m.part(msg.Header.Get("Content-Type"), msg.Header.Get("Content-Transfer-Encoding"), msg.Body)
	m.readLinks()
	return m
}

func (m *Mail) part(contentType, encoding string, body io.Reader) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err != nil {
				return
			}
			m.part(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p)
		}
	}
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	b, _ := io.ReadAll(body) // what cannot be decoded is shown as far as it can
	switch {
	case kind == "text/html" && m.HTML == "":
		m.HTML = string(b)
	case kind == "text/plain" && m.Text == "":
		m.Text = string(b)
	}
}

// readLinks finds the links that the collector answers, by their paths.
func (m *Mail) readLinks() {
	z := html.NewTokenizer(strings.NewReader(m.HTML))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			for _, a := range token.Attr {
				switch {
				case token.Data == "img" && a.Key == "src" && collected(a.Val, "/o/"):
					m.Links.Open = a.Val
				case token.Data == "a" && a.Key == "href" && collected(a.Val, "/c/"):
					m.Links.Clicks = append(m.Links.Clicks, a.Val)
				case token.Data == "a" && a.Key == "href" && collected(a.Val, "/u/") && m.Links.Unsubscribe == "":
					m.Links.Unsubscribe = a.Val
				}
			}
		}
	}
}

func collected(target, path string) bool {
	u, err := url.Parse(target)
	return err == nil && strings.Contains(u.Path, path)
}
