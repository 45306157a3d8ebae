package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"segue/schemas"
)

// good is a mail that nobody has anything to say of.
var good = map[string][]byte{
	"mail.html": []byte(`<!doctype html>
<html lang="en">
<head><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>@media (prefers-color-scheme: dark) { .x { color: #fff } }</style></head>
<body>
<!-- <img> in a comment is none --><p>Hello {% if customer.age < 9 %}you{% endif %}, here is what you left behind. We keep it for you for a while, and a person answers whoever writes to us.</p>
<table role="presentation" width="560">{% for item in cart.items %}{% include "item.html" %}{% endfor %}</table>
<a href="https://shop.example/cart">Back to your cart</a> <a href="mailto:help@shop.example">Ask us</a>
<p>{{ postal_address }} <a href="{{ unsubscribe_url }}">Unsubscribe</a></p>
</body></html>`),
	"item.html": []byte("<tr>\n  <td><img src=\"https://shop.example/mug.jpg\" width=\"64\" alt=\"{{ item.name }}\"></td>\n</tr>"),
}

func delivery() *schemas.Delivery {
	return &schemas.Delivery{
		Id: "d1", Customer: "ada", Journey: "cart", Step: 1, Message: "reminder", To: "ada@example.com", From: "Alder & Oak <hello@alder.example>",
		Subject: "Still yours, {{ customer.first_name }}", Template: "mail.html", PostalAddress: "1 High Street, London",
		ContextJson: []byte(`{"customer":{"first_name":"Ada"},"cart":{"items":[{"name":"Mug"},{"name":"Jug"}]}}`),
	}
}

func TestRules(t *testing.T) {
	replace := func(old, new string) func(*schemas.Delivery, map[string][]byte) {
		return func(_ *schemas.Delivery, files map[string][]byte) {
			for name, source := range files {
				files[name] = []byte(strings.ReplaceAll(string(source), old, new))
			}
		}
	}
	from := func(address string) func(*schemas.Delivery, map[string][]byte) {
		return func(d *schemas.Delivery, _ map[string][]byte) { d.From = address }
	}
	subject := func(s string) func(*schemas.Delivery, map[string][]byte) {
		return func(d *schemas.Delivery, _ map[string][]byte) { d.Subject = s }
	}
	inBody := func(tag string) func(*schemas.Delivery, map[string][]byte) {
		return replace("<p>Hello", tag+"<p>Hello")
	}
	const column = 36 // of what inBody puts in
	for name, test := range map[string]struct {
		change func(*schemas.Delivery, map[string][]byte)
		want   []string // wrong, unless it begins with "advice "
	}{
		"good":               {func(*schemas.Delivery, map[string][]byte) {}, nil},
		"no alt":             {replace(` alt="{{ item.name }}"`, ""), []string{`templates/item.html:2:7: <img> has no alt; want what it shows, or alt="" if it shows nothing`}},
		"nothing to say":     {replace(` alt="{{ item.name }}"`, ` alt=""`), nil},
		"relative picture":   {replace(`https://shop.example/mug.jpg`, "/mug.jpg"), []string{`templates/item.html:2:7: <img> has the src "/mug.jpg"; want an https address: a mail has no page that it is relative to`}},
		"picture within":     {replace(`https://shop.example/mug.jpg`, "data:image/png;base64,AAAA"), []string{`templates/item.html:2:7: <img> holds its picture; Gmail shows none of these`}},
		"http picture":       {replace(`https://shop.example/mug.jpg`, "http://shop.example/mug.jpg"), []string{`advice templates/item.html:2:7: <img> has the src "http://shop.example/mug.jpg"; want https: clients block others`}},
		"no width":           {replace(` width="64"`, ""), []string{`advice templates/item.html:2:7: <img> has no width: Outlook shows it as large as the file is`}},
		"relative link":      {replace(`https://shop.example/cart`, "/cart"), []string{`templates/mail.html:8:1: the link "Back to your cart" leads nowhere; want an https address, mailto: or tel:`}},
		"script for link":    {replace(`https://shop.example/cart`, "javascript:go()"), []string{`templates/mail.html:8:1: the link "Back to your cart" leads nowhere; want an https address, mailto: or tel:`}},
		"http link":          {replace(`https://shop.example/cart`, "http://shop.example/cart"), []string{`advice templates/mail.html:8:1: the link "Back to your cart" leads to http://shop.example/cart; want https`}},
		"link of nothing":    {replace(`>Back to your cart<`, "><"), []string{`advice templates/mail.html:8:1: a link without words: who listens hears its address`}},
		"hidden unsubscribe": {replace(`>Unsubscribe<`, "><"), []string{"HTML part: no link to unsubscribe that can be seen", `advice templates/mail.html:9:25: a link without words: who listens hears its address`}},
		"long":               {replace("Hello", strings.Repeat("very ", 21<<10)), []string{"HTML part: 106 kB; Gmail cuts it off after 102 kB, and hides the rest with the link to unsubscribe"}},
		"not so long":        {replace("Hello", strings.Repeat("very ", 20<<10)), nil},
		"few words":          {replace("here is what you left behind. We keep it for you for a while, and a person answers whoever writes to us.", ""), []string{"advice text part: 14 words; so few beside a page look like spam"}},
		"left over":          {replace("Hello", "{% raw %}{{ customer.first_name }}{% endraw %}"), []string{"text part: {{ is left over from a template"}},
		"script":             {inBody("<script>go()</script>"), []string{fmt.Sprintf("templates/mail.html:6:%d: <script> is taken out by mail clients", column)}},
		"form":               {inBody("<form><input></form>"), []string{fmt.Sprintf("templates/mail.html:6:%d: <form> is taken out by mail clients", column), fmt.Sprintf("templates/mail.html:6:%d: <input> is taken out by mail clients", column+6)}},
		"onclick":            {replace("<p>Hello", `<p onclick="go()">Hello`), []string{"templates/mail.html:6:36: onclick of <p> is taken out by mail clients"}},
		"style sheet":        {replace("<style>", `<link rel="stylesheet" href="https://shop.example/a.css"><style>`), []string{"templates/mail.html:4:1: a style sheet elsewhere is not loaded; want it inlined"}},
		"long style":         {replace("<style>", "<style>"+strings.Repeat("a{color:red}", 700)), []string{"templates/mail.html:4:1: <style> has 8458 characters; Gmail drops all of it above 8192"}},
		"loaded font":        {replace("<style>", "<style>@import url(x);"), []string{"advice templates/mail.html:4:1: <style> loads from elsewhere; most clients do not"}},
		"too wide":           {replace(`width="560"`, `width="960"`), []string{"templates/mail.html:7:1: <table> is 960 wide; more than 640 does not fit a client's pane"}},
		"flex":               {replace("<p>Hello", `<p style="color:red; display: flex">Hello`), []string{"advice templates/mail.html:6:36: display:flex does nothing in Outlook; tables do"}},
		"a table of figures": {replace(` role="presentation"`, ""), []string{`advice templates/mail.html:7:1: <table> without role="presentation": who listens hears rows and columns`}},
		"no lang":            {replace(` lang="en"`, ""), []string{"advice templates/mail.html:2:1: <html> has no lang: who listens hears it in the wrong language"}},
		"no viewport":        {replace(`viewport`, "view"), []string{`advice templates/mail.html:3:1: no <meta name="viewport">: telephones show it small`}},
		"no color-scheme":    {replace(`"color-scheme"`, `"color"`), []string{`advice templates/mail.html:3:1: no <meta name="color-scheme" content="light dark">: clients make dark colours of their own`}},
		"no dark style":      {replace(`prefers-color-scheme`, "prefers-reduced-motion"), []string{"advice templates/mail.html:3:1: no style for dark screens (@media (prefers-color-scheme: dark))"}},
		"a mailbox":          {from("Alder <alder@Gmail.com>"), []string{"From: got a mailbox at gmail.com, want a domain of the shop: nobody else may send for that one"}},
		"no domain":          {from("Alder <alder@localhost>"), []string{`From: got domain "localhost", want one that DNS knows`}},
		"nameless":           {from("hello@alder.example"), []string{"advice From: names nobody: clients show the bare address"}},
		"an answer":          {subject("Re: {{ customer.first_name }}"), []string{`Subject: "Re: Ada" pretends to be an answer`}},
		"a loud subject":     {subject("BUY NOW, {{ customer.first_name | upcase }}!!"), []string{`advice Subject: "BUY NOW, ADA!!" is all capitals`, `advice Subject: "BUY NOW, ADA!!" has several exclamation marks`}},
		"a long subject":     {subject(strings.Repeat("ä", 71)), []string{`advice Subject: "` + strings.Repeat("ä", 71) + `" has 71 characters; after 70 clients cut it off, telephones after 40`}},
	} {
		t.Run(name, func(t *testing.T) {
			d, files := delivery(), map[string][]byte{"mail.html": good["mail.html"], "item.html": good["item.html"]}
			test.change(d, files)
			found, err := Message(d, files)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range found {
				if f.Wrong {
					got = append(got, f.String())
				} else {
					got = append(got, "advice "+f.String())
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// What the composer always adds is checked all the same: nobody else would notice
// that it was lost.
func TestHeadersThatAreMissing(t *testing.T) {
	raw := "From: a@shop.example, b@shop.example\r\nSubject: \r\nList-Unsubscribe: <http://shop.example/u>\r\n" +
		"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<img src=\"https://x.example/a.png\" alt=\"\" width=\"9\">\r\n--b--\r\n"
	m, err := Read([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range Check(m) {
		if f.Wrong {
			got = append(got, f.String())
		}
	}
	want := []string{
		`From: got "a@shop.example, b@shop.example", want one address`,
		"Subject: is empty",
		`List-Unsubscribe: got "http://shop.example/u", want an https link: Gmail and Yahoo ask for it`,
		`List-Unsubscribe-Post: got "", want List-Unsubscribe=One-Click`,
		"HTML part: no link to unsubscribe that can be seen",
		"text part: no words: pictures alone say nothing to who reads text or listens, and look like spam",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Reading never fails on what a composer may make of anybody's template.
func FuzzRead(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x\r\n--b--\r\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if m, err := Read(raw); err == nil {
			Check(m)
		}
	})
}
