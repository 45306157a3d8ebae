package sender

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	netsmtp "net/smtp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"segue/processors/sender/mail"
)

var letter = mail.Message{From: "hello@shop.example", To: "ada@example.com", Raw: []byte("Subject: x\r\n\r\nwords\r\n.\r\nmore\r\n")}

// post is a mail server that asks for a password, if it has one, and says what
// it is told to, once.
type post struct {
	password string
	ways     []string                 // to log in, PLAIN if nil
	mail     func(c *smtp.Conn) error // at MAIL
	rcpt     func(c *smtp.Conn) error
	data     func(c *smtp.Conn, r io.Reader) error
	rounds   int  // of SCRAM
	liar     bool // takes any login
	said     atomic.Bool
	taken    atomic.Int32
	met      atomic.Int32 // connections
}

type postSession struct {
	*post
	conn *smtp.Conn
	user bool
}

func (p *post) NewSession(c *smtp.Conn) (smtp.Session, error) {
	p.met.Add(1)
	return &postSession{post: p, conn: c}, nil
}

func (s *postSession) Reset()        {}
func (s *postSession) Logout() error { return nil }

func (s *postSession) Rcpt(string, *smtp.RcptOptions) error {
	if s.rcpt != nil && !s.said.Swap(true) {
		return s.rcpt(s.conn)
	}
	return nil
}

func (s *postSession) AuthMechanisms() []string {
	if s.ways == nil {
		return []string{sasl.Plain}
	}
	return s.ways
}

func (s *postSession) Auth(way string) (sasl.Server, error) {
	check := func(user, password string) error {
		if user != "segue" || password != s.password {
			return errors.New("wrong")
		}
		s.user = true
		return nil
	}
	switch way {
	case sasl.Login:
		return &loginServer{check: check}, nil
	case cramMD5:
		return &cramServer{session: s}, nil
	case scramSHA256:
		return &scramServer{session: s}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
}

// loginServer asks for a name and then for a password.
type loginServer struct {
	check func(user, password string) error
	said  []string
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	if response != nil {
		l.said = append(l.said, string(response))
	}
	switch len(l.said) {
	case 0:
		return []byte("Username:"), false, nil
	case 1:
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.said[0], l.said[1])
}

// cramServer asks what RFC 2195 asks in its example, and compares with what the
// standard library's client would say.
type cramServer struct {
	session *postSession
	asked   bool
}

func (c *cramServer) Next(response []byte) ([]byte, bool, error) {
	challenge := []byte("<1896.697170952@postoffice.reston.mci.net>")
	if !c.asked {
		c.asked = true
		return challenge, false, nil
	}
	want, err := netsmtp.CRAMMD5Auth("segue", c.session.password).Next(challenge, true)
	if err != nil || string(response) != string(want) {
		return nil, true, errors.New("wrong")
	}
	c.session.user = true
	return nil, true, nil
}

// scramServer is the other side of RFC 5802, with the salt and the rounds of RFC
// 7677's example.
type scramServer struct {
	session *postSession
	said    string // by both, so far
	salted  []byte
}

func (c *scramServer) Next(response []byte) ([]byte, bool, error) {
	sign := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	first, begins := strings.CutPrefix(string(response), "n,,")
	switch {
	case begins:
		salt, rounds := "W22ZaJ0SNY7soEsUEjb6gQ==", c.session.rounds
		if rounds == 0 {
			rounds = 4096
		}
		raw, err := base64.StdEncoding.DecodeString(salt)
		if err != nil {
			return nil, true, err
		}
		if c.salted, err = pbkdf2.Key(sha256.New, c.session.password, raw, min(rounds, 4096), sha256.Size); err != nil {
			return nil, true, err
		}
		_, nonce, _ := strings.Cut(first, ",r=")
		answer := fmt.Sprintf("r=%s%%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=%s,i=%d", nonce, salt, rounds)
		c.said = first + "," + answer
		return []byte(answer), false, nil
	case len(response) == 0:
		return nil, true, nil
	}
	without, proof, _ := strings.Cut(string(response), ",p=")
	c.said += "," + without
	client := sign(c.salted, "Client Key")
	stored := sha256.Sum256(client)
	want := sign(stored[:], c.said)
	for i := range want {
		want[i] ^= client[i]
	}
	if proof != base64.StdEncoding.EncodeToString(want) {
		return nil, true, errors.New("wrong")
	}
	c.session.user = true
	if c.session.liar {
		return nil, true, nil
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(sign(sign(c.salted, "Server Key"), c.said))), false, nil
}

func (s *postSession) Mail(string, *smtp.MailOptions) error {
	if s.password != "" && !s.user {
		return smtp.ErrAuthRequired
	}
	if s.mail != nil && !s.said.Swap(true) {
		return s.mail(s.conn)
	}
	return nil
}

func (s *postSession) Data(r io.Reader) error {
	if s.data != nil && !s.said.Swap(true) {
		return s.data(s.conn, r)
	}
	if _, err := io.ReadAll(r); err != nil {
		return err
	}
	s.taken.Add(1)
	return nil
}

// open serves p with the given way of TLS, and returns a courier for it.
func (p *post) open(t *testing.T, security string) *courier {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cert, pool := certificate(t)
	s := smtp.NewServer(p)
	s.AllowInsecureAuth = true
	s.ErrorLog = quietLog{}
	if security != "none" {
		s.TLSConfig = cert
	}
	if security == "tls" {
		l = tls.NewListener(l, cert)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	c := &courier{name: "localhost", relay: Relay{Addr: l.Addr().String(), TLS: security}, smtp: SMTP{MailsPerConnection: 100, Timeout: 5 * time.Second, RootCAs: pool, Dial: new(net.Dialer).DialContext}}
	t.Cleanup(func() {
		c.hangUp()
		s.Close()
		l.Close() // a server that was closed before it served would serve for ever
		<-done
	})
	return c
}

type quietLog struct{}

func (quietLog) Printf(string, ...any) {}
func (quietLog) Println(...any)        {}

func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

func TestCourierLogsIn(t *testing.T) {
	for _, security := range []string{"none", "starttls", "tls"} {
		p := &post{password: "secret"}
		c := p.open(t, security)
		c.relay.User, c.relay.Password = "segue", "secret"
		for range 2 {
			if got, err := c.send(t.Context(), letter); got != accepted {
				t.Errorf("%s: got %s, %v, want accepted", security, got, err)
			}
		}
		if n := p.met.Load(); security != "starttls" && n != 1 { // which begins anew
			t.Errorf("%s: got %d connections for two mails, want 1", security, n)
		}
		c.hangUp()
		c.relay.Password = "wrong"
		if got, err := c.send(t.Context(), letter); got != unreachable {
			t.Errorf("%s: wrong password: got %s, %v, want unreachable", security, got, err)
		}
		c.smtp.RootCAs = x509.NewCertPool()
		if got, err := c.send(t.Context(), letter); security != "none" && got != unreachable {
			t.Errorf("%s: unknown authority: got %s, %v, want unreachable", security, got, err)
		}
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	say := func(code int) error { return &smtp.SMTPError{Code: code, Message: "said so"} }
	read := func(then func(c *smtp.Conn) error) func(*smtp.Conn, io.Reader) error {
		return func(c *smtp.Conn, r io.Reader) error {
			if _, err := io.ReadAll(r); err != nil {
				return err
			}
			return then(c)
		}
	}
	hangUp := func(c *smtp.Conn) error {
		c.Conn().Close()
		return say(451)
	}
	for name, test := range map[string]struct {
		post *post
		want result
	}{
		"550 at MAIL":                  {&post{mail: func(*smtp.Conn) error { return say(550) }}, refused},
		"450 at MAIL":                  {&post{mail: func(*smtp.Conn) error { return say(450) }}, refusedNow},
		"421 at MAIL":                  {&post{mail: func(*smtp.Conn) error { return say(421) }}, unreachable},
		"gone at MAIL":                 {&post{mail: hangUp}, unreachable},
		"421 at RCPT":                  {&post{rcpt: func(*smtp.Conn) error { return say(421) }}, refusedNow},
		"550 at RCPT":                  {&post{rcpt: func(*smtp.Conn) error { return say(550) }}, refused},
		"gone at RCPT":                 {&post{rcpt: hangUp}, refusedNow},
		"452 after DATA":               {&post{data: read(func(*smtp.Conn) error { return say(452) })}, refusedNow},
		"421 after DATA":               {&post{data: read(func(*smtp.Conn) error { return say(421) })}, refusedNow},
		"554 after DATA":               {&post{data: read(func(*smtp.Conn) error { return say(554) })}, refused},
		"gone after DATA":              {&post{data: read(hangUp)}, unanswered},
		"an answer that is none at it": {&post{data: read(func(*smtp.Conn) error { return say(354) })}, unanswered},
	} {
		t.Run(name, func(t *testing.T) {
			c := test.post.open(t, "none")
			if got, err := c.send(t.Context(), letter); got != test.want || err == nil {
				t.Errorf("got %s, %v, want %s", got, err, test.want)
			}
			// Whatever it was, the next mail is not harmed by it.
			if got, err := c.send(t.Context(), letter); got != accepted {
				t.Errorf("next mail: got %s, %v, want accepted", got, err)
			}
		})
	}
}

// TestConnectionThatDiedIdle: the server closed it between two mails.
func TestConnectionThatDiedIdle(t *testing.T) {
	p := &post{}
	c := p.open(t, "none")
	if got, err := c.send(t.Context(), letter); got != accepted {
		t.Fatalf("got %s, %v, want accepted", got, err)
	}
	c.conn.Close()
	if got, err := c.send(t.Context(), letter); got != accepted {
		t.Errorf("got %s, %v, want accepted through a new connection", got, err)
	}
	if n := p.taken.Load(); n != 2 {
		t.Errorf("mails: got %d, want 2", n)
	}
}

func TestWaysToLogIn(t *testing.T) {
	for _, way := range []string{sasl.Plain, sasl.Login, scramSHA256, cramMD5} {
		p := &post{password: "secret", ways: []string{"GSSAPI", way}}
		c := p.open(t, "starttls")
		c.relay.User, c.relay.Password = "segue", "secret"
		if got, err := c.send(t.Context(), letter); got != accepted {
			t.Errorf("%s: got %s, %v, want accepted", way, got, err)
		}
		c.hangUp()
		c.relay.Password = "wrong"
		if got, err := c.send(t.Context(), letter); got != unreachable {
			t.Errorf("%s, wrong password: got %s, %v, want unreachable", way, got, err)
		}
	}
}

// TestServerThatDoesNotKnowThePassword gets no mail, and cannot keep us busy.
func TestServerThatDoesNotKnowThePassword(t *testing.T) {
	for want, p := range map[string]*post{
		"log in as segue: the server did not prove that it knows the password":          {password: "secret", liar: true},
		`log in as segue: SCRAM-SHA-256: got "2000000000" rounds, want at most 1048576`: {password: "secret", rounds: 2_000_000_000},
	} {
		p.ways = []string{scramSHA256}
		c := p.open(t, "none")
		c.relay.User, c.relay.Password = "segue", "secret"
		if got, err := c.send(t.Context(), letter); got != unreachable || err == nil || err.Error() != want || p.taken.Load() != 0 {
			t.Errorf("got %s, %v and %d mails, want unreachable: %s", got, err, p.taken.Load(), want)
		}
	}
}

// TestPasswordStaysUnread: without TLS it is told to nobody elsewhere, but may be
// proved.
func TestPasswordStaysUnread(t *testing.T) {
	for way, want := range map[string]result{sasl.Plain: unreachable, sasl.Login: unreachable, scramSHA256: accepted, cramMD5: accepted} {
		p := &post{password: "secret", ways: []string{way}}
		c := p.open(t, "none")
		here := c.relay.Addr
		c.smtp.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, here)
		}
		c.relay = Relay{Addr: "relay.example:25", User: "segue", Password: "secret"}
		if got, err := c.send(t.Context(), letter); got != want {
			t.Errorf("%s: got %s, %v, want %s", way, got, err, want)
		}
	}
}

// TestServerThatHidesSTARTTLS: whoever stands between may cut it out of the
// greeting, and learns nothing by it.
func TestServerThatHidesSTARTTLS(t *testing.T) {
	p := &post{}
	c := p.open(t, "none")
	c.relay.TLS = "starttls"
	if got, err := c.send(t.Context(), letter); got != unreachable || p.taken.Load() != 0 {
		t.Errorf("got %s, %v and %d mails, want unreachable and none", got, err, p.taken.Load())
	}
}

func TestConnectionIsUsedAgain(t *testing.T) {
	p := &post{}
	c := p.open(t, "none")
	c.smtp.MailsPerConnection = 3
	for range 7 {
		if got, err := c.send(t.Context(), letter); got != accepted {
			t.Fatalf("got %s, %v, want accepted", got, err)
		}
	}
	if n := p.met.Load(); n != 3 {
		t.Errorf("connections for 7 mails, 3 on each: got %d, want 3", n)
	}
}
