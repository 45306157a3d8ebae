package mail

import (
	"fmt"
	"html"
	"strings"

	nethtml "golang.org/x/net/html"

	"segue/schemas/link"
)

// tracked returns page with its web links signed, so that a click is known, and
// with a pixel, so that an open is; but not of a mail that is nobody's. Links that
// a mail may not have (javascript: and the like, or relative ones) lose their
// target.
func (c Composer) tracked(page string, l link.Link) string {
	pixel := ""
	if l.Customer != "" {
		pixel = fmt.Sprintf(`<img src="%s" width="1" height="1" alt="" style="display:block;border:0;width:1px;height:1px">`,
			html.EscapeString(c.url(l, link.Open, "")))
	}
	var b strings.Builder
	put := false
	z := nethtml.NewTokenizer(strings.NewReader(page))
	for {
		kind := z.Next()
		if kind == nethtml.ErrorToken { // the end: a string has no other error
			break
		}
		raw := string(z.Raw()) // Token reuses its bytes
		token := z.Token()
		switch {
		case (kind == nethtml.StartTagToken || kind == nethtml.SelfClosingTagToken) && (token.Data == "a" || token.Data == "area"):
			b.WriteString(c.retarget(token, l).String())
			continue
		case kind == nethtml.EndTagToken && token.Data == "body" && !put:
			b.WriteString(pixel)
			put = true
		}
		b.WriteString(raw)
	}
	if !put {
		b.WriteString(pixel)
	}
	return b.String()
}

// retarget gives an anchor the target that it has in a mail.
func (c Composer) retarget(token nethtml.Token, l link.Link) nethtml.Token {
	attrs := token.Attr[:0]
	for _, a := range token.Attr {
		if a.Key == "href" {
			target := strings.TrimSpace(a.Val)
			scheme, _, _ := strings.Cut(strings.ToLower(target), ":")
			switch {
			case target == c.url(l, link.Unsubscribe, ""), target == c.preferences(l), scheme == "mailto", scheme == "tel":
			case link.Trackable(target) && l.Customer == "":
			case link.Trackable(target):
				a.Val = c.url(l, link.Click, target)
			default:
				continue
			}
		}
		attrs = append(attrs, a)
	}
	token.Attr = attrs
	return token
}

func (c Composer) url(l link.Link, kind link.Kind, target string) string {
	l.Kind, l.URL = kind, target
	if kind != link.Unsubscribe {
		l.Topics = ""
	}
	return c.Keys.URL(c.PublicURL, l)
}

func (c Composer) preferences(l link.Link) string {
	l.Kind = link.Unsubscribe
	return c.Keys.PreferencesURL(c.PublicURL, l)
}

// maxTopics is bytes: a line of a mail's header has room for 998 in all.
const maxTopics = 256

// topics are those that fit a link, one a line.
func topics(all []string) string {
	fit := ""
	for _, topic := range all {
		if len(fit)+len(topic) < maxTopics {
			fit += topic + "\n"
		}
	}
	return strings.TrimSuffix(fit, "\n")
}
