package returns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/net/netutil"
)

// maxConnections of mail servers are open at the same time, each with a mail of
// up to MaxBody.
const maxConnections = 64

// listen is an SMTP server that takes mails to return paths and to the addresses
// for complaints, and nothing else: it relays none.
func (o *Office) listen(ctx context.Context) error {
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{o: o, ctx: ctx}, nil }))
	server.Domain = "returns"
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	server.MaxMessageBytes = MaxBody
	server.MaxRecipients = 1 // a report is about the one mail
	server.EnableSMTPUTF8 = true
	server.ErrorLog = silent{}
	server.TLSConfig = o.TLS
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.AckTimeout+time.Second)
		defer cancel()
		if server.Shutdown(last) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(netutil.LimitListener(o.listener, maxConnections))
	if !stop() {
		<-ended // of the mails that are under way, not only of the listener
	}
	if err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("returns: serve SMTP at %s: %w", o.listener.Addr(), err)
	}
	return nil
}

// silent drops what the library logs of connections that strangers break off.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// session is one connection's mails, one after the other.
type session struct {
	o   *Office
	ctx context.Context
	to  string
}

func (s *session) Reset()        { s.to = "" }
func (s *session) Logout() error { return nil }

func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	_, err := s.o.Links.VerifyReturn(to)
	if err != nil && !slices.ContainsFunc(s.o.Complaints, func(a string) bool { return strings.EqualFold(a, to) }) {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "not a return path of ours"}
	}
	s.to = to
	return nil
}

func (s *session) Data(from io.Reader) error {
	raw, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	if !s.o.begin(s.ctx) {
		return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "going away"}
	}
	defer s.o.end()
	switch err := s.o.mail(s.ctx, raw, s.to); {
	case errors.Is(err, errUnreadable):
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: clean(err.Error())}
	case err != nil:
		s.o.Log.Warn("a mail that came back waits with its server", "cause", err)
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again later"}
	}
	return nil
}

// errUnreadable is in the error of a mail that claims to be a report and is none.
var errUnreadable = errors.New("not a report")

// mail brings in what one mail tells; to is where it was sent, if that is known.
func (o *Office) mail(ctx context.Context, raw []byte, to ...string) error {
	r, err := ReadReport(raw)
	if err != nil {
		o.count("mail", "unreadable")
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if r == nil {
		o.count("mail", "nothing")
		return nil
	}
	r.Paths = append(to, r.Paths...)
	return o.bring(ctx, "mail", []Return{*r})
}
