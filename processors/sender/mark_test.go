package sender

import (
	"context"
	"net"
	"strings"
	"testing"

	"segue/processors/sender/inbox"
	"segue/schemas"
)

// A mail over a provider's relay says what its webhook is to say; the rest of the
// mail is as ever.
func TestMailSaysItsReturnPath(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.change = func(c *Config) {
		c.ReturnPath = "bounces@mail.shop.example"
		c.SMTP.Addr = "smtp.postmarkapp.com:587"
		c.SMTP.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, r.inbox.SMTPAddr())
		}
	}
	r.send(r.delivery("d1"))
	r.start()
	r.only(schemas.Outcome_SENT)
	m, _ := r.inbox.Mail(1)
	want := r.inbox.Mails()[0].ReturnPath
	field, rest, _ := strings.Cut(string(m.Raw), "\r\n")
	path, ok := strings.CutPrefix(field, "X-PM-Metadata-segue-return: ")
	if _, err := r.keys.VerifyReturn(path); !ok || err != nil || path != want || len(path) > 80 { // what Postmark takes
		t.Errorf("the mail begins with %q, want the field with %s", field, want)
	}
	if strings.Contains(rest, "segue-return") {
		t.Errorf("the field comes twice:\n%s", m.Raw)
	}
}

// What a provider tells of a mail names it by what the mail said: what it says
// is what package returns reads.
func TestMarksOfProviders(t *testing.T) {
	const path = "bounces+token@mail.shop.example"
	for addr, want := range map[string]string{
		"smtp.sendgrid.net:587":               `X-SMTPAPI: {"unique_args":{"segue_return":"` + path + `"}}`,
		"smtp.postmarkapp.com:587":            "X-PM-Metadata-segue-return: " + path,
		"SMTP.EU.mailgun.org:587":             `X-Mailgun-Variables: {"segue-return":"` + path + `"}`,
		"email-smtp.eu-west-1.amazonaws.com:": "", // it tells the return path
		"relay.shop.example:25":               "",
		"notsendgrid.net:587":                 "",
	} {
		if got := (&Relay{Addr: addr}).mark(path); strings.TrimSuffix(got, "\r\n") != want {
			t.Errorf("mark of %s = %q, want %q", addr, got, want)
		}
	}
	if got := (&Relay{Addr: "smtp.sendgrid.net:587"}).mark("a\"b@x"); got != "" {
		t.Errorf("mark of an address with a quote = %q, want none", got)
	}
}
