package returns

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/textproto"
	"strings"
)

// maxParts of a report are read: it has three.
const maxParts = 16

// maxField is where a field is not continued any more: nothing that long is an
// answer, and to join its lines takes the square of their number.
const maxField = 8 << 10

// ReadReport reads a mail: a delivery report (RFC 3464, RFC 6533) or a feedback
// report (RFC 5965). nil: it tells of nothing that came back, as an answer that
// somebody is on holiday, or a report that a mail arrived.
func ReadReport(raw []byte) (*Return, error) {
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" {
		return nil, nil
	}
	report := strings.ToLower(params["report-type"])
	if report != "delivery-status" && report != "feedback-report" {
		return nil, nil
	}
	if params["boundary"] == "" {
		return nil, errors.New("multipart/report: got no boundary, want one")
	}
	r := new(Return)
	for _, field := range []string{"Delivered-To", "X-Original-To", "To"} {
		r.Paths = append(r.Paths, addresses(m.Header.Get(field))...)
	}
	told := false
	parts := multipart.NewReader(m.Body, params["boundary"])
	for range maxParts {
		p, err := parts.NextRawPart()
		if err != nil { // what is cut off at its end is still told; io.EOF is the end itself
			break
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		switch {
		case report == "delivery-status" && (kind == "message/delivery-status" || kind == "message/global-delivery-status") && !told:
			told = true
			err = r.deliveryStatus(content(p))
		case report == "feedback-report" && kind == "message/feedback-report" && !told:
			told = true
			err = r.feedback(content(p))
		case kind == "message/rfc822", kind == "message/global", kind == "text/rfc822-headers", kind == "message/global-headers":
			r.original(content(p))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
	}
	switch {
	case !told:
		return nil, fmt.Errorf("multipart/report: got no part message/%s, want one", report)
	case r.Kind == 0:
		return nil, nil
	}
	return r, nil
}

// content is a part's, decoded as far as it can be.
func content(p *multipart.Part) []byte {
	var from io.Reader = p
	switch strings.ToLower(strings.TrimSpace(p.Header.Get("Content-Transfer-Encoding"))) {
	case "base64":
		from = base64.NewDecoder(base64.StdEncoding, p)
	case "quoted-printable":
		from = quotedprintable.NewReader(p)
	}
	b, _ := io.ReadAll(from)
	return b
}

// deliveryStatus reads what became of each recipient; of several that failed,
// the gravest counts. Our mails have one.
func (r *Return) deliveryStatus(b []byte) error {
	all, err := groups(b)
	if err != nil {
		return err
	}
	recipients := 0
	for i, g := range all {
		address := typed(g.Get("Original-Recipient"))
		if address == "" {
			address = typed(g.Get("Final-Recipient"))
		}
		action := strings.ToLower(strings.TrimSpace(g.Get("Action")))
		if address == "" && action == "" {
			continue // of the message as a whole
		}
		recipients++
		switch action {
		case "failed":
		case "delayed", "delivered", "relayed", "expanded":
			continue
		default:
			return fmt.Errorf("group %d: Action: got %.40q, want failed, delayed, delivered, relayed or expanded", i+1, action)
		}
		said := typed(g.Get("Diagnostic-Code"))
		if kind := gravity(g.Get("Status"), said); r.Kind == 0 || kind == Hard {
			r.Kind, r.Address, r.Said = kind, address, said
			if said == "" {
				r.Said = g.Get("Status")
			}
		}
	}
	if recipients == 0 {
		return errors.New("got no Final-Recipient, want one at least")
	}
	return nil
}

// feedback reads a complaint.
func (r *Return) feedback(b []byte) error {
	all, err := groups(b)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("Feedback-Type: got none, want one such as abuse")
	}
	g := all[0]
	switch kind := strings.ToLower(strings.TrimSpace(g.Get("Feedback-Type"))); kind {
	case "":
		return errors.New("Feedback-Type: got none, want one such as abuse")
	case "abuse", "fraud", "opt-out", "opt-out-list", "miscategorized":
		r.Kind, r.Said = Spam, kind
	default: // not-spam, virus, auth-failure and what else there will be
		return nil
	}
	r.Address = strings.Trim(strings.TrimSpace(g.Get("Original-Rcpt-To")), "<>")
	r.Paths = append(r.Paths, addresses(g.Get("Original-Mail-From"))...)
	return nil
}

// original takes from the mail that came back what we have signed. Only its
// header is read, and may be all that is there.
func (r *Return) original(b []byte) {
	h, _ := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(b, "\r\n\r\n"...)))).ReadMIMEHeader()
	if r.Unsubscribe == "" {
		r.Unsubscribe = h.Get("List-Unsubscribe")
	}
	r.Paths = append(r.Paths, addresses(h.Get("Return-Path"))...)
}

// typed is the value of a field behind its type, as in "rfc822; ada@example.org".
func typed(field string) string {
	_, value, ok := strings.Cut(field, ";")
	if !ok {
		value = field
	}
	return strings.Trim(strings.TrimSpace(value), "<>")
}

// addresses are those in a field, as far as they can be read.
func addresses(field string) (all []string) {
	if list, err := netmail.ParseAddressList(field); err == nil {
		for _, a := range list {
			all = append(all, a.Address)
		}
		return all
	}
	if s := strings.Trim(strings.TrimSpace(field), "<>"); s != "" {
		return []string{s}
	}
	return nil
}

// groups reads fields as they stand in reports: groups of lines, blank ones in
// between.
func groups(b []byte) (all []textproto.MIMEHeader, err error) {
	var g textproto.MIMEHeader
	last, n := "", 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimRight(line, "\r\n \t")
		switch name, value, ok := strings.Cut(line, ":"); {
		case line == "":
			g = nil
		case line[0] == ' ' || line[0] == '\t':
			if g == nil {
				return nil, fmt.Errorf("line %d: got %.40q, want a field: it continues none", n, line)
			}
			values := g[last]
			if value := &values[len(values)-1]; len(*value) < maxField {
				*value += " " + strings.TrimSpace(line)
			}
		case !ok || strings.ContainsAny(name, " \t"):
			return nil, fmt.Errorf("line %d: got %.40q, want a field such as Action: failed", n, line)
		default:
			if g == nil {
				g = textproto.MIMEHeader{}
				all = append(all, g)
			}
			last = textproto.CanonicalMIMEHeaderKey(name)
			g.Add(last, strings.TrimSpace(value))
		}
	}
	return all, nil
}
