// Package inbox is a mail server for tests and the demo: it takes every mail,
// delivers none, and shows each as it looks.
//
//	sender ─SMTP─▶ inbox ─HTTP─▶ whoever wants to read the mails
//
// It can refuse, stay silent or hang up as real servers do, when a test asks
// for it.
//
// Not obvious: looking at a mail here is no open. The page shows the mail without
// its pixel, so that whoever watches a demo does not become part of it; its
// links are real ones, and following one is a click. Mails are kept compressed,
// the newest Keep of them.
package inbox

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"segue/processors/stream"
)

// Config of an inbox.
type Config struct {
	// SMTPListen and HTTPListen are addresses; default a free port of loopback.
	SMTPListen, HTTPListen string
	// Dir, if any, gets every mail as a file, .eml.
	Dir string
	// Keep is how many mails are kept to be shown; default 50,000.
	Keep int
	// Clock says when a mail was received; the machine's if nil.
	Clock stream.Clock
	Log   *slog.Logger

	// Live writes what /live shows beside the mails, and says whether it goes on
	// changing; nil: there is no such page.
	Live func(io.Writer) (goes bool, err error)
	// OnMail sees every mail that was taken.
	OnMail func(Mail)
	// Recipient may refuse an address, with an *smtp.SMTPError.
	Recipient func(to string) error
	// Answer may refuse a mail, with an *smtp.SMTPError, or return ErrHangUp or
	// ErrSilent.
	Answer func(Mail) error
}

var (
	// ErrHangUp drops the mail, and the connection without an answer.
	ErrHangUp = errors.New("hang up")
	// ErrSilent takes the mail, and drops the connection without an answer.
	ErrSilent = errors.New("take the mail and hang up")
)

const (
	defaultKeep = 50_000
	maxMessage  = 10 << 20
	ioTimeout   = time.Minute
)

// Inbox is an SMTP server with pages.
type Inbox struct {
	Config
	smtp  net.Listener
	http  net.Listener
	pages http.Handler

	mu    sync.Mutex
	kept  []*kept // by id, without a gap
	count int
	marks map[string]Marks
}

// Marks is what the reader of a mail did.
type Marks struct {
	Opened       bool `json:"opened,omitempty"`
	Clicked      bool `json:"clicked,omitempty"`
	Unsubscribed bool `json:"unsubscribed,omitempty"`
}

// kept is a mail without its bodies, and all of it compressed.
type kept struct {
	Mail
	packed []byte
}

// New listens at once.
func New(c Config) (*Inbox, error) {
	if c.Keep <= 0 {
		c.Keep = defaultKeep
	}
	if c.Clock == nil {
		c.Clock = stream.RealClock{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Dir != "" {
		if err := os.MkdirAll(c.Dir, 0o755); err != nil {
			return nil, fmt.Errorf("inbox: %w", err)
		}
	}
	b := &Inbox{Config: c, marks: map[string]Marks{}}
	b.pages = b.handler()
	var err error
	if b.smtp, err = listen(c.SMTPListen); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	if b.http, err = listen(c.HTTPListen); err != nil {
		b.smtp.Close()
		return nil, fmt.Errorf("inbox: %w", err)
	}
	return b, nil
}

func listen(addr string) (net.Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	return net.Listen("tcp", addr)
}

// SMTPAddr is where mails are taken, host:port.
func (b *Inbox) SMTPAddr() string { return b.smtp.Addr().String() }

// URL is where they are shown.
func (b *Inbox) URL() string { return "http://" + b.http.Addr().String() + "/" }

// Run takes and shows mails until ctx ends.
func (b *Inbox) Run(ctx context.Context) error {
	mails := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{inbox: b, conn: c}, nil
	}))
	mails.Domain = "localhost"
	mails.MaxMessageBytes = maxMessage
	mails.ReadTimeout, mails.WriteTimeout = ioTimeout, ioTimeout
	mails.EnableSMTPUTF8 = true
	mails.ErrorLog = slog.NewLogLogger(b.Log.Handler(), slog.LevelDebug)
	pages := &http.Server{Handler: b.pages, ReadHeaderTimeout: ioTimeout, ErrorLog: slog.NewLogLogger(b.Log.Handler(), slog.LevelDebug)}

	ended := make(chan error, 2)
	go func() { ended <- mails.Serve(b.smtp) }()
	go func() { ended <- pages.Serve(b.http) }()
	var err error
	left := 2
	select {
	case <-ctx.Done():
	case err = <-ended:
		left--
	}
	mails.Close()
	pages.Close()
	for range left {
		<-ended
	}
	if err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	return nil
}

// Mails returns what is kept, oldest first, without text, HTML and source.
func (b *Inbox) Mails() []Mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	mails := make([]Mail, len(b.kept))
	for i, k := range b.kept {
		mails[i] = k.Mail
	}
	return mails
}

// Count is how many mails were taken.
func (b *Inbox) Count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}

// Mail returns all of a mail that is kept.
func (b *Inbox) Mail(id int) (Mail, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.kept) == 0 || id < b.kept[0].ID || id > b.kept[len(b.kept)-1].ID {
		return Mail{}, false
	}
	k := b.kept[id-b.kept[0].ID]
	raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(k.packed)))
	if err != nil {
		panic(fmt.Sprintf("mail %d was packed by us and cannot be unpacked: %v", id, err))
	}
	m := parse(raw)
	m.ID, m.Received, m.ReturnPath = k.ID, k.Received, k.ReturnPath
	return m, true
}

// Mark notes what was done with the mail of a delivery, for the pages.
func (b *Inbox) Mark(delivery string, m Marks) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.marks[delivery]
	b.marks[delivery] = Marks{
		Opened: old.Opened || m.Opened, Clicked: old.Clicked || m.Clicked, Unsubscribed: old.Unsubscribed || m.Unsubscribed,
	}
}

var packers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // only a bad level is an error
	return w
}}

// take keeps a mail.
func (b *Inbox) take(m Mail) error {
	var packed bytes.Buffer
	w := packers.Get().(*flate.Writer)
	w.Reset(&packed)
	w.Write(m.Raw)
	w.Close()
	packers.Put(w)

	b.mu.Lock()
	b.count++
	m.ID = b.count
	slim := m
	slim.HTML, slim.Text, slim.Raw = "", "", nil
	b.kept = append(b.kept, &kept{Mail: slim, packed: packed.Bytes()})
	if len(b.kept) > b.Keep {
		delete(b.marks, b.kept[0].DeliveryID)
		b.kept[0] = nil
		b.kept = b.kept[1:]
	}
	b.mu.Unlock()
	if b.Dir != "" {
		if err := os.WriteFile(filepath.Join(b.Dir, fileName(m)), m.Raw, 0o644); err != nil {
			return err
		}
	}
	if b.OnMail != nil {
		b.OnMail(m)
	}
	return nil
}

// fileName is a mail's number and recipient: they sort by time.
func fileName(m Mail) string {
	to := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@.-_", r) {
			return r
		}
		return '_'
	}, m.To)
	return fmt.Sprintf("%06d-%.100s.eml", m.ID, to)
}
