package inbox

import (
	"errors"
	"io"

	"github.com/emersion/go-smtp"
)

// session is one connection's mails, one after the other.
type session struct {
	inbox *Inbox
	conn  *smtp.Conn
	from  string
	to    []string
}

func (s *session) Reset()        { s.to = nil }
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.inbox.Recipient != nil {
		if err := s.inbox.Recipient(to); err != nil {
			return err
		}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := parse(raw)
	m.Received, m.ReturnPath = s.inbox.Clock.Now(), s.from
	if m.To == "" && len(s.to) > 0 {
		m.To = s.to[0]
	}
	var verdict error
	if s.inbox.Answer != nil {
		verdict = s.inbox.Answer(m)
	}
	hangUp := errors.Is(verdict, ErrHangUp) || errors.Is(verdict, ErrSilent)
	if verdict == nil || errors.Is(verdict, ErrSilent) {
		if err := s.inbox.take(m); err != nil {
			s.inbox.Log.Error("mail cannot be kept", "to", m.To, "cause", err)
			return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "cannot be kept"}
		}
	}
	if hangUp {
		s.conn.Conn().Close()
	}
	return verdict
}
