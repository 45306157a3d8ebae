package sender

import (
	"net"
	"strings"
)

// mark is the header field by which a provider's webhook names the mail again,
// when r is a relay of one that would not name its return path: they put their
// own in its place, and take the field out.
func (r *Relay) mark(returnPath string) string {
	host, _, _ := net.SplitHostPort(r.Addr)
	host = strings.ToLower(host)
	of := func(domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) }
	switch {
	case strings.ContainsAny(returnPath, "\"\\\r\n"):
		return ""
	case of("sendgrid.net"):
		return `X-SMTPAPI: {"unique_args":{"segue_return":"` + returnPath + `"}}` + "\r\n"
	case of("postmarkapp.com"):
		return "X-PM-Metadata-segue-return: " + returnPath + "\r\n"
	case of("mailgun.org"):
		return `X-Mailgun-Variables: {"segue-return":"` + returnPath + `"}` + "\r\n"
	}
	return ""
}
