package lint

import (
	"fmt"
	netmail "net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// rules are all that is checked, in the order that findings come in.
var rules = []func(*Mail) []Finding{
	senderOf, subject, unsubscribe, size, textPart, leftovers, images, links, dropped, styles, page, dark,
}

const (
	// gmailCuts: what is longer is hidden behind "View entire message", and the
	// way to unsubscribe with it.
	gmailCuts = 102 << 10
	// gmailDropsStyle: a longer <style> is dropped whole.
	gmailDropsStyle = 8192
	longSubject     = 70
	widest          = 640
	fewWords        = 20
)

func wrong(place, format string, args ...any) Finding {
	return Finding{true, place, fmt.Sprintf(format, args...)}
}

func advice(place, format string, args ...any) Finding {
	return Finding{false, place, fmt.Sprintf(format, args...)}
}

// Domains of mailboxes: their DMARC has others' mails from them thrown away.
var mailboxes = []string{"gmail.com", "googlemail.com", "yahoo.com", "ymail.com", "aol.com", "outlook.com", "hotmail.com", "live.com", "icloud.com", "me.com", "gmx.de", "web.de", "mail.ru"}

func senderOf(m *Mail) (found []Finding) {
	from, err := netmail.ParseAddressList(m.Header.Get("From"))
	if err != nil || len(from) != 1 {
		return []Finding{wrong("From", "got %q, want one address", m.Header.Get("From"))}
	}
	_, domain, _ := strings.Cut(from[0].Address, "@")
	domain = strings.ToLower(domain)
	switch {
	case slices.Contains(mailboxes, domain):
		found = append(found, wrong("From", "got a mailbox at %s, want a domain of the shop: nobody else may send for that one", domain))
	case !strings.Contains(domain, "."):
		found = append(found, wrong("From", "got domain %q, want one that DNS knows", domain))
	}
	if from[0].Name == "" {
		found = append(found, advice("From", "names nobody: clients show the bare address"))
	}
	for _, name := range []string{"Date", "Message-Id"} {
		if m.Header.Get(name) == "" {
			found = append(found, wrong(name, "is not there"))
		}
	}
	return found
}

var answers = regexp.MustCompile(`(?i)^(re|fwd?|aw)\s*:`)

func subject(m *Mail) (found []Finding) {
	letters := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, m.Subject)
	switch n := utf8.RuneCountInString(m.Subject); {
	case strings.TrimSpace(m.Subject) == "":
		found = append(found, wrong("Subject", "is empty"))
	case n > longSubject:
		found = append(found, advice("Subject", "%q has %d characters; after %d clients cut it off, telephones after 40", m.Subject, n, longSubject))
	}
	if answers.MatchString(m.Subject) {
		found = append(found, wrong("Subject", "%q pretends to be an answer", m.Subject))
	}
	if len(letters) >= 8 && strings.ToUpper(letters) == letters && strings.ToLower(letters) != letters {
		found = append(found, advice("Subject", "%q is all capitals", m.Subject))
	}
	if strings.Contains(m.Subject, "!!") {
		found = append(found, advice("Subject", "%q has several exclamation marks", m.Subject))
	}
	return found
}

func unsubscribe(m *Mail) (found []Finding) {
	header := strings.Trim(m.Header.Get("List-Unsubscribe"), "<>")
	if !strings.HasPrefix(header, "https://") {
		found = append(found, wrong("List-Unsubscribe", "got %q, want an https link: Gmail and Yahoo ask for it", header))
	}
	if got := m.Header.Get("List-Unsubscribe-Post"); got != "List-Unsubscribe=One-Click" {
		found = append(found, wrong("List-Unsubscribe-Post", "got %q, want List-Unsubscribe=One-Click", got))
	}
	if !slices.ContainsFunc(elements(m.Page, "a"), func(a *html.Node) bool { return header != "" && attr(a, "href") == header && words(a) != "" }) {
		found = append(found, wrong("HTML part", "no link to unsubscribe that can be seen"))
	}
	return found
}

func size(m *Mail) []Finding {
	if n := len(m.HTML); n > gmailCuts {
		return []Finding{wrong("HTML part", "%d kB; Gmail cuts it off after %d kB, and hides the rest with the link to unsubscribe", n>>10, gmailCuts>>10)}
	}
	return nil
}

// textPart: it is made from the HTML part, which may hold nothing but pictures.
func textPart(m *Mail) []Finding {
	n := 0
	for _, word := range strings.Fields(m.Text) {
		if !strings.HasPrefix(word, "<http") && strings.ContainsFunc(word, unicode.IsLetter) {
			n++
		}
	}
	switch {
	case n == 0:
		return []Finding{wrong("text part", "no words: pictures alone say nothing to who reads text or listens, and look like spam")}
	case n < fewWords:
		return []Finding{advice("text part", "%d words; so few beside a page look like spam", n)}
	}
	return nil
}

var liquid = regexp.MustCompile(`\{\{|\}\}|\{%|%\}`)

func leftovers(m *Mail) (found []Finding) {
	for place, text := range map[string]string{"Subject": m.Subject, "text part": m.Text} {
		if left := liquid.FindString(text); left != "" {
			found = append(found, wrong(place, "%s is left over from a template", left))
		}
	}
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.Place, b.Place) })
	return found
}

func images(m *Mail) (found []Finding) {
	for _, img := range elements(m.Page, "img") {
		src := attr(img, "src")
		if strings.HasPrefix(src, publicURL+"/o/") {
			continue
		}
		if _, ok := attribute(img, "alt"); !ok {
			found = append(found, wrong(place(img), `<img> has no alt; want what it shows, or alt="" if it shows nothing`))
		}
		switch u, err := url.Parse(src); {
		case err != nil || u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "data":
			found = append(found, wrong(place(img), "<img> has the src %q; want an https address: a mail has no page that it is relative to", cut(src)))
		case u.Scheme == "data":
			found = append(found, wrong(place(img), "<img> holds its picture; Gmail shows none of these"))
		case u.Scheme == "http":
			found = append(found, advice(place(img), "<img> has the src %q; want https: clients block others", cut(src)))
		}
		if attr(img, "width") == "" {
			found = append(found, advice(place(img), "<img> has no width: Outlook shows it as large as the file is"))
		}
	}
	return found
}

func links(m *Mail) (found []Finding) {
	for _, a := range elements(m.Page, "a", "area") {
		href, ok := attribute(a, "href")
		to := target(href)
		switch {
		case !ok && attr(a, "name")+attr(a, "id") == "":
			found = append(found, wrong(place(a), "the link %q leads nowhere; want an https address, mailto: or tel:", cut(words(a))))
		case strings.HasPrefix(to, "http://"):
			found = append(found, advice(place(a), "the link %q leads to %s; want https", cut(words(a)), cut(to)))
		}
		if words(a) == "" && ok {
			found = append(found, advice(place(a), "a link without words: who listens hears its address"))
		}
	}
	return found
}

// dropped by clients, and with it what it was there for.
func dropped(m *Mail) (found []Finding) {
	for _, n := range elements(m.Page, "script", "form", "input", "button", "iframe", "object", "embed", "video", "audio", "svg", "canvas", "base") {
		found = append(found, wrong(place(n), "<%s> is taken out by mail clients", n.Data))
	}
	for _, n := range elements(m.Page, "link") {
		if strings.EqualFold(attr(n, "rel"), "stylesheet") {
			found = append(found, wrong(place(n), "a style sheet elsewhere is not loaded; want it inlined"))
		}
	}
	for n := range m.Page.Descendants() {
		for _, a := range n.Attr {
			if n.Type == html.ElementNode && strings.HasPrefix(a.Key, "on") && len(a.Key) > 2 {
				found = append(found, wrong(place(n), "%s of <%s> is taken out by mail clients", a.Key, n.Data))
			}
		}
	}
	return found
}

func styles(m *Mail) (found []Finding) {
	for _, n := range elements(m.Page, "style") {
		css := ""
		for c := range n.ChildNodes() {
			css += c.Data
		}
		if len(css) > gmailDropsStyle {
			found = append(found, wrong(place(n), "<style> has %d characters; Gmail drops all of it above %d", len(css), gmailDropsStyle))
		}
		if strings.Contains(css, "@import") || strings.Contains(css, "@font-face") {
			found = append(found, advice(place(n), "<style> loads from elsewhere; most clients do not"))
		}
	}
	for n := range m.Page.Descendants() {
		style := strings.ToLower(strings.ReplaceAll(attr(n, "style"), " ", ""))
		for _, property := range []string{"position:absolute", "position:fixed", "float:", "display:flex", "display:grid", "background-image:"} {
			if strings.Contains(";"+style, ";"+property) {
				found = append(found, advice(place(n), "%s does nothing in Outlook; tables do", strings.TrimSuffix(property, ":")))
			}
		}
		if width, err := strconv.Atoi(strings.TrimSuffix(attr(n, "width"), "px")); err == nil && width > widest {
			found = append(found, wrong(place(n), "<%s> is %d wide; more than %d does not fit a client's pane", n.Data, width, widest))
		}
	}
	return found
}

func page(m *Mail) (found []Finding) {
	top := elements(m.Page, "html")
	if len(top) == 0 || attr(top[0], "lang") == "" {
		found = append(found, advice(placeOf(top), "<html> has no lang: who listens hears it in the wrong language"))
	}
	if !hasMeta(m, "viewport") {
		found = append(found, advice(placeOf(elements(m.Page, "head")), `no <meta name="viewport">: telephones show it small`))
	}
	for _, t := range elements(m.Page, "table") {
		if role := attr(t, "role"); role != "presentation" && role != "none" && len(elements(t, "th")) == 0 {
			found = append(found, advice(place(t), `<table> without role="presentation": who listens hears rows and columns`))
		}
	}
	return found
}

// dark: without a word of it clients turn colours as they see fit.
func dark(m *Mail) (found []Finding) {
	head := placeOf(elements(m.Page, "head"))
	if !hasMeta(m, "color-scheme") {
		found = append(found, advice(head, `no <meta name="color-scheme" content="light dark">: clients make dark colours of their own`))
	}
	if !strings.Contains(m.HTML, "prefers-color-scheme") {
		found = append(found, advice(head, "no style for dark screens (@media (prefers-color-scheme: dark))"))
	}
	return found
}

func placeOf(found []*html.Node) string {
	if len(found) == 0 {
		return "HTML part"
	}
	return place(found[0])
}

func hasMeta(m *Mail, name string) bool {
	return slices.ContainsFunc(elements(m.Page, "meta"), func(n *html.Node) bool { return strings.EqualFold(attr(n, "name"), name) && attr(n, "content") != "" })
}

// cut is s, shortened for a line.
func cut(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:57]) + "…"
	}
	return s
}
