package sender

import (
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"segue/processors/sender/inbox"
	"segue/schemas"
	"segue/schemas/link"
)

// TestTryNamesTheStep: whatever goes wrong with a test mail, it is said at which
// step, and what was answered.
func TestTryNamesTheStep(t *testing.T) {
	no := &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "not you"}
	r := newRig(t, inbox.Config{})
	d := r.delivery("d1")
	for name, test := range map[string]struct {
		post     *post
		security string
		change   func(*SMTP)
		result   string
		want     string
	}{
		"taken":              {post: &post{}, result: "accepted"},
		"nobody there":       {post: &post{}, change: func(s *SMTP) { s.Addr = closedAddr(t) }, result: "unreachable", want: "connect: connection refused"},
		"no TLS":             {post: &post{}, change: func(s *SMTP) { s.TLS = "starttls" }, result: "unreachable", want: "starttls: smtp: server doesn't support STARTTLS"},
		"unknown authority":  {post: &post{}, security: "starttls", change: func(s *SMTP) { s.RootCAs = nil }, result: "unreachable", want: "tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		"the same, with TLS": {post: &post{}, security: "tls", change: func(s *SMTP) { s.RootCAs = nil }, result: "unreachable", want: "tls: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		"wrong password":     {post: &post{password: "secret"}, change: func(s *SMTP) { s.User, s.Password = "segue", "wrong" }, result: "unreachable", want: "log in as segue: "},
		"no password":        {post: &post{password: "secret"}, result: "refused", want: "sender hello@shop.example: SMTP error 502: Please authenticate first"},
		"sender refused":     {post: &post{mail: func(*smtp.Conn) error { return no }}, result: "refused", want: "sender hello@shop.example: SMTP error 550: not you"},
		"recipient refused":  {post: &post{rcpt: func(*smtp.Conn) error { return no }}, result: "refused", want: "recipient d1@example.com: SMTP error 550: not you"},
		"mail refused": {post: &post{data: func(_ *smtp.Conn, r io.Reader) error {
			io.Copy(io.Discard, r)
			return no
		}}, result: "refused", want: "end of data: SMTP error 550: not you"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.security == "" {
				test.security = "none"
			}
			of := test.post.open(t, test.security)
			c := Config{SMTP: of.smtp, PublicURL: "https://t.shop.example", Links: r.keys}
			c.SMTP.Addr, c.SMTP.TLS = of.relay.Addr, test.security
			if test.change != nil {
				test.change(&c.SMTP)
			}
			got, err := Try(t.Context(), c, d, map[string][]byte{"cart.html": []byte(page)})
			if err != nil || len(got) != 1 || got[0].Result != test.result || got[0].Accepted() != (test.result == "accepted") {
				t.Fatalf("got %+v, %v, want one trial: %s", got, err, test.result)
			}
			if said := got[0].Err; test.want == "" && said != nil || test.want != "" && (said == nil || !strings.Contains(said.Error(), test.want)) {
				t.Errorf("got %v, want %q", said, test.want)
			}
		})
	}
}

// TestTriedMailCounts for nobody: it names no customer, and none of its links
// would be taken for one's.
func TestTriedMailCounts(t *testing.T) {
	r := newRig(t, inbox.Config{})
	d := r.delivery("d1", func(d *schemas.Delivery) { d.Customer = "" })
	c := Config{SMTP: SMTP{Addr: r.inbox.SMTPAddr()}, PublicURL: "https://t.shop.example", Links: r.keys, ReturnPath: "bounces@mail.shop.example"}
	if got, err := Try(t.Context(), c, d, map[string][]byte{"cart.html": []byte(page)}); err != nil || !got[0].Accepted() {
		t.Fatalf("got %+v, %v, want it accepted", got, err)
	}
	m, _ := r.inbox.Mail(1)
	if m.Links.Open != "" || len(m.Links.Clicks) != 0 || !strings.Contains(m.HTML, `href="https://shop.example/cart?a=1&amp;b=2"`) {
		t.Errorf("links: got %+v in %s, want none but those of the shop", m.Links, m.HTML)
	}
	token := strings.TrimPrefix(m.Links.Unsubscribe, "https://t.shop.example/u/")
	if l, err := r.keys.Verify(link.Unsubscribe, token); err == nil {
		t.Errorf("link to unsubscribe: got %+v, want one that is not valid", l)
	}
	if _, err := r.keys.VerifyReturn(m.ReturnPath); err == nil || m.ReturnPath != "bounces@mail.shop.example" {
		t.Errorf("return path: got %s, want bounces@mail.shop.example", m.ReturnPath)
	}
}
