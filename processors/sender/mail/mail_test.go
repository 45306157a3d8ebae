package mail

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"segue/schemas"
	"segue/schemas/link"
)

var date = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func composer(t testing.TB) Composer {
	keys, err := link.NewKeys("a secret of sixteen bytes or more")
	if err != nil {
		t.Fatal(err)
	}
	return Composer{PublicURL: "https://t.shop.example", Keys: keys}
}

func delivery() *schemas.Delivery {
	return &schemas.Delivery{
		Id: "d1", Customer: "ada", Journey: "cart", Step: 2, Message: "come back", To: "ada@example.com", ToName: "Ada Lovelace", From: "Alder & Oak <hello@shop.example>",
		Subject: "Still yours ♥, {{ customer.first_name }}", Template: "cart.html", Reason: "journey cart, step 2", PostalAddress: "1 High Street, London",
		Topics:      []string{"News", "Reminders"},
		ContextJson: []byte(`{"customer":{"first_name":"Ada"},"cart":{"count":2,"items":[{"name":"Mug & \"Saucer\"","price":"£12.50"},{"name":"Lamp","price":"£40"}]}}`),
	}
}

// parts returns a mail's header and its two parts.
func parts(t *testing.T, raw []byte) (header netmail.Header, text, html string) {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type: got %q, %v", kind, err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	for _, to := range []*string{&text, &html} {
		p, err := r.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		*to = string(b)
	}
	return m.Header, text, html
}

func TestComposeAWholeMail(t *testing.T) {
	files := map[string][]byte{
		"cart.html": []byte(`<html><head><title>no</title></head><body><div style="display: none">preview</div><b aria-hidden="true">♥</b>
<h1>Hello {{ customer.first_name }}</h1><table>{% for item in cart.items %}{% include "row.html" %}{% endfor %}</table>
<p>{{ cart.count }} things wait. <a href="https://shop.example/cart">Back to your cart</a></p>{{ missing.name }}
<p>{{ postal_address }} · <a href="{{ unsubscribe_url }}">Unsubscribe</a> or <a href="{{ preferences_url }}">choose</a></p></body></html>`),
		"row.html": []byte(`<tr><td>{{ item.name }}</td><td>{{ item.price }}</td></tr>`),
	}
	c := composer(t)
	m, err := c.Compose(delivery(), NewTemplates(files), date)
	if err != nil {
		t.Fatal(err)
	}
	header, text, html := parts(t, m.Raw)
	if subject, _ := new(mime.WordDecoder).DecodeHeader(header.Get("Subject")); subject != "Still yours ♥, Ada" {
		t.Errorf("subject: got %q", subject)
	}
	unsubscribe := strings.Trim(header.Get("List-Unsubscribe"), "<>")
	for name, want := range map[string]string{
		"From": `"Alder & Oak" <hello@shop.example>`, "To": `"Ada Lovelace" <ada@example.com>`, "Date": "Mon, 02 Mar 2026 09:00:00 +0000",
		"List-Unsubscribe-Post": "List-Unsubscribe=One-Click", HeaderDelivery: "d1", HeaderCustomer: "ada", HeaderReason: "journey cart, step 2",
		"Feedback-ID": "cart:come-back:2:shop.example",
		"Message-Id":  "<" + messageID("d1", "hello@shop.example") + ">",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if l, err := c.Keys.Verify(link.Unsubscribe, strings.TrimPrefix(unsubscribe, "https://t.shop.example/u/")); err != nil || l != (link.Link{Kind: link.Unsubscribe, Customer: "ada", Delivery: "d1", Journey: "cart", Step: 2, At: date.UnixMilli(), Topics: "News\nReminders"}) {
		t.Errorf("List-Unsubscribe: got %+v, %v", l, err)
	}
	click := c.url(link.Link{Customer: "ada", Delivery: "d1", Journey: "cart", Step: 2, At: date.UnixMilli()}, link.Click, "https://shop.example/cart")
	want := strings.Join([]string{
		"Hello Ada", "", `Mug & "Saucer" £12.50`, "Lamp £40", "",
		"2 things wait. Back to your cart <" + click + ">", "",
		"1 High Street, London · Unsubscribe <" + unsubscribe + "> or choose <" + strings.Replace(unsubscribe, "/u/", "/p/", 1) + ">", "",
	}, "\n")
	if text = strings.ReplaceAll(text, "\r\n", "\n"); strings.TrimSpace(text) != strings.TrimSpace(want) {
		t.Errorf("text: got\n%s\nwant\n%s", text, want)
	}
	for _, part := range []string{"Mug &amp; &#34;Saucer&#34;", `href="` + click + `"`, "/o/", ".gif"} {
		if !strings.Contains(html, part) {
			t.Errorf("HTML: got no %q in\n%s", part, html)
		}
	}
}

func TestEveryMailHasAWayOutAndAnAddress(t *testing.T) {
	c := composer(t)
	m, err := c.Compose(delivery(), NewTemplates(map[string][]byte{"cart.html": []byte("<p>Hello</p>")}), date)
	if err != nil {
		t.Fatal(err)
	}
	_, text, html := parts(t, m.Raw)
	for _, part := range []string{text, html} {
		if !strings.Contains(part, "1 High Street, London") || !strings.Contains(part, "https://t.shop.example/u/") {
			t.Errorf("got %q, want the postal address and the unsubscribe link", part)
		}
	}
}

func TestEscaping(t *testing.T) {
	for source, want := range map[string]string{
		`{{ v }}`:                                    "&lt;b&gt;",
		`{{- v -}}`:                                  "&lt;b&gt;",
		`{{ v | upcase }}`:                           "&lt;B&gt;",
		`{{ v | escape }}`:                           "&amp;lt;b&amp;gt;",
		`{% assign w = v %}{{ w }}`:                  "&lt;b&gt;",
		`{% for x in list %}{{ x }}{% endfor %}`:     "&lt;i&gt;",
		`{{ list }}`:                                 "&lt;i&gt;",
		`{% raw %}{{ v }}{% endraw %}`:               "{{ v }}",
		`{{ none }}{{ none.of.these }}`:              "",
		`{{ none | default: "<u>" }}`:                "&lt;u&gt;",
		`{{ n }} {{ f }} {{ big }}`:                  "3 0.5 1000000000",
		`{% if n > 2 %}many{% else %}few{% endif %}`: "many",
	} {
		vars, err := variables([]byte(`{"v":"<b>","list":["<i>"],"n":3,"f":0.5,"big":1000000000}`))
		if err != nil {
			t.Fatal(err)
		}
		got, err := NewTemplates(map[string][]byte{"x": []byte(source)}).HTML("x", vars)
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", source, got, err, want)
		}
	}
}

func TestLinksOfAMail(t *testing.T) {
	c := composer(t)
	l := link.Link{Customer: "ada", Delivery: "d1", Topics: "News"}
	for source, want := range map[string]string{
		`<a class="x" href="https://shop.example/a?b=1&amp;c=2">x</a>`: c.url(l, link.Click, "https://shop.example/a?b=1&c=2"),
		`<a href="mailto:help@shop.example">x</a>`:                     `href="mailto:help@shop.example"`,
		`<a href="javascript:alert(1)">x</a>`:                          `<a>x</a>`,
		`<a href=" JaVaScRiPt:alert(1)">x</a>`:                         `<a>x</a>`,
		`<a href="data:text/html,x">x</a>`:                             `<a>x</a>`,
		`<a href="/cart">x</a>`:                                        `<a>x</a>`,
		`<a href="` + c.url(l, link.Unsubscribe, "") + `">x</a>`:       c.url(l, link.Unsubscribe, ""),
		`<a href="` + c.preferences(l) + `">x</a>`:                     c.preferences(l),
		`<!--[if mso]><a href="https://x.example">x</a><![endif]-->`:   `<!--[if mso]><a href="https://x.example">x</a><![endif]-->`,
	} {
		if got := c.tracked(source, l); !strings.Contains(got, want) {
			t.Errorf("tracked(%s): got %s, want %s in it", source, got, want)
		}
	}
}

// However many topics a shop has, a line of the header holds the link.
func TestManyTopics(t *testing.T) {
	d := delivery()
	d.Customer = strings.Repeat("c", 256)
	for range 50 {
		d.Topics = append(d.Topics, strings.Repeat("t", 60))
	}
	m, err := composer(t).Compose(d, NewTemplates(map[string][]byte{"cart.html": nil}), date)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(m.Raw), "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes, want at most 998: %.40s", len(line), line)
		}
	}
}

func TestWhatIsWrongWithATemplateIsSaid(t *testing.T) {
	for name, test := range map[string]struct{ source, want string }{
		"unknown filter":   {`{{ a | shine }}`, "shine"},
		"unclosed":         {`{% if a %}`, "if"},
		"no such file":     {`{% include "gone.html" %}`, "gone.html"},
		"includes itself":  {`{% include "x" %}`, "does it include itself?"},
		"include a number": {`{% include 5 %}`, "file's name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewTemplates(map[string][]byte{"x": []byte(test.source)}).HTML("x", map[string]any{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	for _, to := range []string{"", "ada", "ada@example.com, bob@example.com", "ada@example.com\r\nBcc: all@example.com", "ada@exa\nmple.com"} {
		d := delivery()
		d.To = to
		if _, err := composer(t).Compose(d, NewTemplates(map[string][]byte{"cart.html": nil}), date); err == nil {
			t.Errorf("to %q: got no error", to)
		}
	}
}

// FuzzCompose: whatever a storefront and a customer put into a mail, its header
// stays ours and its links stay signed.
func FuzzCompose(f *testing.F) {
	f.Add("Ada", "Mug", "https://shop.example/cart", "why")
	f.Add("x\r\nBcc: all@example.com\r\n\r\n", "<script>alert(1)</script>", "javascript:alert(1)", "\u2028=?utf-8?q?x?=")
	f.Add(`"><img src=x onerror=y>`, "{{ customer.email }}", `" onclick="x`, strings.Repeat("word ", 300))
	files := map[string][]byte{"cart.html": []byte(`<p title="{{ name }}">{{ product }}</p><a href="{{ url }}">go</a>`)}
	f.Fuzz(func(t *testing.T, name, product, url, reason string) {
		context, err := contextJSON(name, product, url)
		if err != nil {
			t.Skip()
		}
		d := delivery()
		d.ToName, d.Subject, d.Reason, d.ContextJson = name, "For {{ name }}: {{ product }}", reason, context
		c := composer(t)
		m, err := c.Compose(d, NewTemplates(files), date)
		if err != nil {
			t.Fatalf("compose: %v", err)
		}
		header, _, html := parts(t, m.Raw)
		for key := range header {
			if !known[key] {
				t.Errorf("header %s is not ours", key)
			}
		}
		for part := range strings.SplitSeq(html, "href=") {
			if i := strings.IndexAny(part, " >"); i > 0 && strings.HasPrefix(part, `"`) && !strings.HasPrefix(part, `"https://t.shop.example/`) {
				t.Errorf("link %q is not signed", part[:i])
			}
		}
		if strings.Contains(html, "<script") || strings.Contains(html, "<img src=x") {
			t.Errorf("HTML: got %s", html)
		}
	})
}

var known = map[string]bool{
	"From": true, "To": true, "Subject": true, "Date": true, "Message-Id": true, "Mime-Version": true, "Content-Type": true,
	"List-Unsubscribe": true, "Feedback-Id": true, "List-Unsubscribe-Post": true, HeaderCustomer: true, HeaderDelivery: true, HeaderReason: true,
}

func contextJSON(name, product, url string) ([]byte, error) {
	return json.Marshal(map[string]string{"name": name, "product": product, "url": url})
}

// TestLongNames: whatever is long, and however its words stand, each line of the
// header has room for it, and none is empty to the eye: some readers take that for
// the end of the header.
func TestLongNames(t *testing.T) {
	for name, long := range map[string]string{
		"a word": strings.Repeat("x", 2000), "words": strings.Repeat("word ", 400), "spaces": strings.Repeat("a"+strings.Repeat(" ", 200), 4),
		"beyond ASCII": strings.Repeat("é", 1000), "a comma": strings.Repeat("a,", 1000), "quotes": strings.Repeat(`"`, 1000),
	} {
		t.Run(name, func(t *testing.T) {
			d := delivery()
			d.ToName, d.Subject, d.Reason, d.Message = long, long, long, long
			m, err := composer(t).Compose(d, NewTemplates(map[string][]byte{"cart.html": nil}), date)
			if err != nil {
				t.Fatal(err)
			}
			head, _, _ := strings.Cut(string(m.Raw), "\r\n\r\n")
			for line := range strings.SplitSeq(head, "\r\n") {
				if len(line) > 998 || strings.TrimSpace(line) == "" {
					t.Errorf("a line of %d bytes, want at most 998, and something in it: %.60q", len(line), line)
				}
			}
			if header, _, _ := parts(t, m.Raw); header.Get("Mime-Version") == "" || header.Get("To") == "" {
				t.Errorf("header: got %v, want all of it", header)
			}
		})
	}
}

// TestNamesOfDomains: a domain beyond ASCII goes by the name that every mail server
// knows it by, and a mailbox beyond ASCII keeps its own.
func TestNamesOfDomains(t *testing.T) {
	d := delivery()
	d.From, d.To = "Bücher <post@Bücher.example>", "zoë@bücher.example"
	signedFor := ""
	c := composer(t)
	c.Sign = func(domain string, raw []byte) ([]byte, error) { signedFor = domain; return raw, nil }
	m, err := c.Compose(d, NewTemplates(map[string][]byte{"cart.html": nil}), date)
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := parts(t, m.Raw)
	if m.From != "post@xn--bcher-kva.example" || m.To != "zoë@xn--bcher-kva.example" || signedFor != "xn--bcher-kva.example" {
		t.Errorf("envelope: got from %s to %s, signed for %s, want xn--bcher-kva.example", m.From, m.To, signedFor)
	}
	for _, name := range []string{"From", "To", "Message-Id", "Feedback-Id"} {
		if got := header.Get(name); strings.Contains(got, "ücher.example") {
			t.Errorf("%s: got %q, want the domain as xn--bcher-kva.example", name, got)
		}
	}
}

// Gmail counts complaints by a last part of 5 to 15 characters, the same for all
// mails of a domain.
func TestWhoComplaintsAreCountedFor(t *testing.T) {
	for from, want := range map[string]string{"shop.example": "shop.example", "news.alder-and-oak.example": "news.alder-and-"} {
		d := delivery()
		d.From, d.Journey = "hello@"+from, "win: back"
		m, err := composer(t).Compose(d, NewTemplates(map[string][]byte{"cart.html": nil}), date)
		if err != nil {
			t.Fatal(err)
		}
		header, _, _ := parts(t, m.Raw)
		if got := header.Get("Feedback-ID"); got != "win--back:come-back:2:"+want {
			t.Errorf("Feedback-ID of %s: got %q, want %q at its end", from, got, want)
		}
	}
}
