package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"segue/processors/sender/mail"
	"segue/processors/sender/pace"
)

// idleFor is how long a connection without mails is kept.
const idleFor = 20 * time.Second

// errand is one noted mail to hand over.
type errand struct {
	id      string
	journey string
	message mail.Message
	ticket  pace.Ticket
	// calledOff: a cancellation came since it was noted.
	calledOff *atomic.Bool
	// until is when it is given up; 0: never.
	until int64
	// called back: the session is gone, do not set out any more.
	calledBack <-chan struct{}
	answers    chan<- answer // has room for all that is in hand
}

// courier keeps one connection to one relay.
type courier struct {
	smtp   SMTP
	name   string // ours, for the greeting
	relay  Relay
	client *smtp.Client
	conn   *wire
	mails  int         // that the connection has carried
	forget func() bool // stops watching for the end
}

// deliver hands over what comes, until ctx ends.
func (s *Station) deliver(ctx context.Context) {
	c := courier{smtp: s.SMTP, name: greetingName(s.PublicURL)}
	defer c.hangUp()
	for {
		var idle <-chan time.Time
		if c.client != nil {
			idle = time.After(idleFor)
		}
		select {
		case <-ctx.Done():
			return
		case <-idle:
			c.hangUp()
		case e := <-s.errands:
			a, ok := s.handOver(ctx, &c, e)
			if !ok {
				return
			}
			e.answers <- a
		}
	}
}

func (s *Station) handOver(ctx context.Context, c *courier, e errand) (answer, bool) {
	told := pace.Neither
	defer func() { s.pacer.back(e.ticket, told, s.Clock.Now()) }()
	// It waited for a connection, maybe for as long as the server took.
	pauses, _, err := s.brake.now()
	off := e.calledOff.Load() || err != nil || pauses.of(e.journey) != nil || e.until != 0 && s.Clock.Now().UnixMilli() >= e.until
	select {
	case <-e.calledBack:
		off = true
	default:
	}
	if off {
		return answer{id: e.id, result: untried}, true
	}
	if s.hook("hand-over") != nil {
		return answer{}, false
	}
	result, err := s.sendByAny(ctx, c, e.message)
	if s.hook("answered") != nil || ctx.Err() != nil {
		return answer{}, false
	}
	told = asked(result, err)
	a := answer{id: e.id, result: result, reply: reply(err)}
	if result != unreachable {
		s.gate.reached()
		return a, true
	}
	if pause := s.gate.away(s.Clock.Now()); pause > 0 {
		s.Log.Warn("no mail server can be reached; mails wait", "for", pause, "cause", err)
	}
	return a, true
}

// sendByAny hands m to the first relay that can be reached: one that cannot be
// has not seen it.
func (s *Station) sendByAny(ctx context.Context, c *courier, m mail.Message) (result result, err error) {
	all := s.SMTP.relays()
	for _, i := range s.relays.order(s.Clock.Now()) {
		c.turnTo(all[i])
		began := time.Now()
		result, err = c.send(ctx, m)
		s.metrics.smtpSeconds.Observe(time.Since(began).Seconds())
		if result != unreachable {
			s.relays.reached(i)
			return result, err
		}
		if ctx.Err() != nil {
			break
		}
		if pause, news := s.relays.away(i, s.Clock.Now()); news {
			s.Log.Warn("mail server cannot be reached", "server", all[i].Addr, "next try in", pause, "cause", err)
		}
	}
	return result, err
}

// turnTo makes r the relay of what comes next.
func (c *courier) turnTo(r Relay) {
	if r != c.relay {
		c.hangUp()
		c.relay = r
	}
}

// send hands m over, and says what that came to. Until the last byte is written
// the server cannot have taken the mail; after it only the answer tells.
func (c *courier) send(ctx context.Context, m mail.Message) (result, error) {
	// A connection that lay idle may be dead: that is nobody's failure.
	for fresh := c.client == nil; ; fresh = true {
		if err := c.connect(ctx); err != nil {
			return unreachable, err
		}
		err := c.conn.whole(c.begin(m))
		if err == nil {
			break
		}
		if code := replyCode(err); code != 0 && code != 421 {
			return c.refusal(err)
		}
		c.drop()
		if fresh {
			return unreachable, err
		}
	}
	// From here on it may be this mail that the server does not like.
	if err := c.conn.whole(c.client.Rcpt(m.To, nil)); err != nil {
		return c.refusal(fmt.Errorf("recipient %s: %w", m.To, err))
	}
	w, err := c.client.Data()
	if err = c.conn.whole(err); err == nil {
		c.conn.SetDeadline(time.Now().Add(c.smtp.Timeout))
		_, err = w.Write(append([]byte(c.relay.mark(m.From)), m.Raw...))
	}
	if err != nil {
		return c.refusal(fmt.Errorf("data: %w", err))
	}
	if err = c.conn.whole(w.Close()); err != nil { // the last byte, and the answer
		err = fmt.Errorf("end of data: %w", err)
	}
	switch code := replyCode(err); {
	case err == nil, code/100 == 2:
		if c.mails++; c.mails >= c.smtp.MailsPerConnection {
			c.hangUp()
		}
		return accepted, nil
	case code < 400:
		c.drop()
		return unanswered, err
	}
	return c.refusal(err)
}

// refusal says what an error before the last byte, or an answer after it, means.
func (c *courier) refusal(err error) (result, error) {
	switch code := replyCode(err); {
	case code == 0:
		c.drop()
		return refusedNow, fmt.Errorf("connection lost before the mail's end: %w", err)
	case code == 421: // going away
		c.drop()
		return refusedNow, err
	case code >= 500:
		return refused, c.reset(err)
	}
	return refusedNow, c.reset(err)
}

func (c *courier) begin(m mail.Message) error {
	var opts *smtp.MailOptions
	if !ascii(m.From) || !ascii(m.To) {
		opts = &smtp.MailOptions{UTF8: true}
		if ok, _ := c.client.Extension("SMTPUTF8"); !ok {
			return &smtp.SMTPError{Code: 553, Message: "the mail server takes no addresses beyond ASCII"}
		}
	}
	if err := c.client.Mail(m.From, opts); err != nil {
		return fmt.Errorf("sender %s: %w", m.From, err)
	}
	return nil
}

// connect makes the connection, if there is none. Whatever goes wrong here is
// the server's state, not the mail's.
func (c *courier) connect(ctx context.Context) error {
	if c.client != nil {
		return nil
	}
	dialCtx, cancel := context.WithTimeout(ctx, c.smtp.Timeout)
	defer cancel()
	dialled, err := c.smtp.Dial(dialCtx, "tcp", c.relay.Addr)
	if err != nil {
		return err
	}
	conn := &wire{Conn: dialled}
	forget := context.AfterFunc(ctx, func() { conn.Close() })
	host, _, _ := net.SplitHostPort(c.relay.Addr)
	secure := &tls.Config{ServerName: host, RootCAs: c.smtp.RootCAs, MinVersion: tls.VersionTLS12}
	var client *smtp.Client
	switch c.relay.TLS {
	case "tls":
		encrypted := tls.Client(conn, secure)
		if err := encrypted.HandshakeContext(dialCtx); err != nil {
			forget()
			conn.Close()
			return fmt.Errorf("tls: %w", err)
		}
		client = smtp.NewClient(encrypted)
	case "starttls":
		conn.SetDeadline(time.Now().Add(c.smtp.Timeout))
		if client, err = smtp.NewClientStartTLS(conn, secure); err != nil {
			forget()
			conn.Close()
			return fmt.Errorf("starttls: %w", err)
		}
		conn.SetDeadline(time.Time{})
	default:
		client = smtp.NewClient(conn)
	}
	client.CommandTimeout, client.SubmissionTimeout = c.smtp.Timeout, c.smtp.Timeout
	if err := conn.whole(c.greet(client, host)); err != nil {
		forget()
		client.Close()
		return err
	}
	c.client, c.conn, c.forget, c.mails = client, conn, forget, 0
	return nil
}

func (c *courier) greet(client *smtp.Client, host string) error {
	if err := client.Hello(c.name); err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	if c.relay.User == "" {
		return nil
	}
	how, err := c.login(client, host)
	if err == nil {
		err = loggedIn(how, client.Auth(how))
	}
	if err != nil {
		return fmt.Errorf("log in as %s: %w", c.relay.User, err)
	}
	return nil
}

// wire remembers that nothing more could be read. The library takes a line that
// breaks off, be it by silence, for a whole one: half an answer is none.
type wire struct {
	net.Conn
	broken error
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err != nil {
		w.broken = err
	}
	return n, err
}

// whole returns err, or why an answer that seems good was not whole.
func (w *wire) whole(err error) error {
	if err == nil && w.broken != nil {
		return fmt.Errorf("the answer breaks off: %w", w.broken)
	}
	return err
}

// reset makes the connection ready for another mail after err.
func (c *courier) reset(err error) error {
	if c.client.Reset() != nil {
		c.drop()
	}
	return err
}

func (c *courier) drop() {
	c.forget()
	c.client.Close()
	c.client = nil
}

func (c *courier) hangUp() {
	if c.client != nil {
		c.client.Quit()
		c.drop()
	}
}

// greetingName is the host of our public URL: a name that can be looked up.
func greetingName(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil || net.ParseIP(u.Hostname()) != nil {
		return "localhost"
	}
	return u.Hostname()
}

// replyCode is the server's, or 0 if err is not an answer of the server.
func replyCode(err error) int {
	var se *smtp.SMTPError
	if errors.As(err, &se) {
		return se.Code
	}
	return 0
}

// reply is what the server, or the way to it, said.
func reply(err error) string {
	var se *smtp.SMTPError
	switch {
	case err == nil:
		return "250 accepted"
	case errors.As(err, &se):
		return fmt.Sprintf("%d %s", se.Code, se.Message)
	}
	return err.Error()
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
