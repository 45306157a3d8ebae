package mail

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// plainText is a page as plain text: its words, line by line, with links behind
// what they are called.
func plainText(page string) string {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return "" // only a reader's error, and a string has none
	}
	var w textWriter
	w.node(root)
	return strings.TrimSpace(w.b.String()) + "\n"
}

// textWriter owes a space or line breaks until the next word is written.
type textWriter struct {
	b     strings.Builder
	space bool
	lines int
}

func (w *textWriter) node(n *html.Node) {
	switch n.Type {
	case html.TextNode:
		w.words(n.Data)
		return
	case html.ElementNode:
		if hidden(n) {
			return
		}
	}
	gap := around(n)
	w.lines = max(w.lines, gap)
	switch n.DataAtom {
	case atom.Br:
		w.lines++
	case atom.Hr:
		w.words("—")
	case atom.Li:
		w.words("•")
		w.space = true
	case atom.Img:
		w.words(attr(n, "alt"))
	case atom.Td, atom.Th:
		w.space = true
	}
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		w.node(child)
	}
	if target := attr(n, "href"); n.DataAtom == atom.A && target != "" {
		w.space = true
		w.words("<" + strings.TrimPrefix(target, "mailto:") + ">")
	}
	w.lines = max(w.lines, gap)
}

func (w *textWriter) words(s string) {
	words := strings.Fields(s)
	if len(words) == 0 {
		w.space = w.space || s != ""
		return
	}
	switch {
	case w.b.Len() == 0:
	case w.lines > 0:
		w.b.WriteString(strings.Repeat("\n", min(w.lines, 2)))
	case w.space || strings.ContainsAny(s[:1], " \t\r\n"):
		w.b.WriteByte(' ')
	}
	w.b.WriteString(strings.Join(words, " "))
	w.lines, w.space = 0, strings.ContainsAny(s[len(s)-1:], " \t\r\n")
}

// around is how many line breaks stand before and after an element.
func around(n *html.Node) int {
	switch n.DataAtom {
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.Ul, atom.Ol, atom.Table, atom.Blockquote, atom.Hr:
		return 2
	case atom.Div, atom.Tr, atom.Li, atom.Body, atom.Section, atom.Header, atom.Footer, atom.Center:
		return 1
	}
	return 0
}

// hidden: not for reading, by eye or aloud.
func hidden(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Head, atom.Style, atom.Script, atom.Title, atom.Template:
		return true
	}
	style := strings.ReplaceAll(strings.ToLower(attr(n, "style")), " ", "")
	return strings.Contains(style, "display:none") || attr(n, "aria-hidden") == "true"
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
