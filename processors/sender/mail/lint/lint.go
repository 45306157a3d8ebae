// Package lint says what mail clients and mailbox providers will not like about a
// message, before anybody gets it.
//
//	delivery + templates → composed mail → rules → findings, each with its place
//
// Rules are pure functions over what would be handed over, headers and both
// parts, not over templates: a partial, a loop or a filter can hide anything. So
// that a finding still names file, line and column, the templates are composed a
// second time with every tag marked by its place.
//
// Sources: Gmail's and Yahoo's rules for bulk senders (support.google.com/mail/answer/81126,
// senders.yahooinc.com/best-practices), RFC 8058 (one-click), RFC 5322 (headers),
// developers.google.com/gmail/design/css (what Gmail keeps of a style).
package lint

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"regexp"
	"strings"
	"time"

	"golang.org/x/net/html"

	"segue/processors/sender/mail"
	"segue/schemas"
	"segue/schemas/link"
)

// Finding is something that a rule says of a message.
type Finding struct {
	// Wrong: it must be mended. Otherwise it is advice.
	Wrong bool
	// Place is file:line:column of a template, a header's name, or the part.
	Place string
	Text  string
}

func (f Finding) String() string { return f.Place + ": " + f.Text }

// Mail is a message as a client reads it.
type Mail struct {
	Header  netmail.Header
	Subject string
	Text    string
	// HTML is the part as it is sent; Page the same, parsed, with each element's place.
	HTML string
	Page *html.Node
}

// publicURL stands for the shop's: where links of a mail point is not judged.
const publicURL = "https://mail.example"

var keys, _ = link.NewKeys("no secret: nothing that is signed here leaves")

// Message composes d, and returns what all rules say of it; an error if it cannot
// be composed at all.
func Message(d *schemas.Delivery, files map[string][]byte) ([]Finding, error) {
	c := mail.Composer{PublicURL: publicURL, Keys: keys}
	date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // any
	sent, err := c.Compose(d, mail.NewTemplates(files), date)
	if err != nil {
		return nil, err
	}
	m, err := Read(sent.Raw)
	if err != nil {
		return nil, err
	}
	marked, err := c.Compose(d, mail.NewTemplates(markedFiles(files)), date)
	if err != nil {
		return nil, err
	}
	placed, err := Read(marked.Raw)
	if err != nil {
		return nil, err
	}
	m.Page = placed.Page
	return Check(m), nil
}

// Check returns what all rules say of m, each finding once.
func Check(m *Mail) (found []Finding) {
	seen := map[Finding]bool{}
	for _, rule := range rules {
		for _, f := range rule(m) {
			if !seen[f] {
				seen[f] = true
				found = append(found, f)
			}
		}
	}
	return found
}

// Read takes a mail apart as a client does: a text and an HTML part.
func Read(raw []byte) (*Mail, error) {
	msg, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read mail: %w", err)
	}
	m := &Mail{Header: msg.Header}
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		return nil, fmt.Errorf("read subject: %w", err)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		return nil, fmt.Errorf("read content type: %w", err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read parts: %w", err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return nil, fmt.Errorf("read part: %w", err)
		}
		switch kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind {
		case "text/plain":
			m.Text = string(body)
		case "text/html":
			m.HTML = string(body)
		}
	}
	m.Page, err = html.Parse(strings.NewReader(m.HTML))
	return m, err
}

// target is where a link of a mail leads: a click's to what it redirects to.
func target(href string) string {
	token, ok := strings.CutPrefix(href, publicURL+"/c/")
	if !ok {
		return href
	}
	l, err := keys.Verify(link.Click, token)
	if err != nil {
		return href
	}
	return l.URL
}

// placeAttribute is where a tag stands in its template.
const placeAttribute = "data-segue-place"

// Liquid and comments are passed over: they may hold what looks like a tag.
var tags = regexp.MustCompile(`(?s)\{\{.*?\}\}|\{%.*?%\}|<!--.*?-->|<[a-zA-Z][a-zA-Z0-9]*`)

// markedFiles are templates whose tags say where they stand.
func markedFiles(files map[string][]byte) map[string][]byte {
	marked := maps.Clone(files)
	for name, source := range files {
		var b bytes.Buffer
		end := 0
		for _, at := range tags.FindAllIndex(source, -1) {
			tag := source[at[0]:at[1]]
			b.Write(source[end:at[1]])
			if end = at[1]; tag[0] == '<' && tag[1] != '!' {
				fmt.Fprintf(&b, ` %s="%s"`, placeAttribute, placeIn(name, source, at[0]))
			}
		}
		b.Write(source[end:])
		marked[name] = b.Bytes()
	}
	return marked
}

func placeIn(name string, source []byte, at int) string {
	line := bytes.Count(source[:at], []byte("\n")) + 1
	column := at - (bytes.LastIndexByte(source[:at], '\n') + 1) + 1
	return fmt.Sprintf("templates/%s:%d:%d", name, line, column)
}

// place is an element's, or that of the nearest around it.
func place(n *html.Node) string {
	for ; n != nil; n = n.Parent {
		if at := attr(n, placeAttribute); at != "" {
			return at
		}
	}
	return "HTML part"
}

func attr(n *html.Node, key string) string {
	value, _ := attribute(n, key)
	return value
}

func attribute(n *html.Node, key string) (value string, ok bool) {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val, true
		}
	}
	return "", false
}

// elements are those of page, in order, that have one of these names.
func elements(page *html.Node, names ...string) (found []*html.Node) {
	for n := range page.Descendants() {
		for _, name := range names {
			if n.Type == html.ElementNode && n.Data == name {
				found = append(found, n)
			}
		}
	}
	return found
}

// words are an element's text, with what images say.
func words(n *html.Node) string {
	var all []string
	for d := range n.Descendants() {
		switch {
		case d.Type == html.TextNode && (d.Parent == nil || d.Parent.Data != "style" && d.Parent.Data != "title"):
			all = append(all, strings.Fields(d.Data)...)
		case d.Type == html.ElementNode && d.Data == "img":
			all = append(all, strings.Fields(attr(d, "alt"))...)
		}
	}
	return strings.Join(all, " ")
}
