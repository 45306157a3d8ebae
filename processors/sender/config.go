package sender

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/sender/breaker"
	"segue/processors/sender/dkim"
	"segue/processors/sender/mail"
	"segue/processors/sender/pace"
	"segue/processors/stream"
	"segue/schemas/link"
)

// Config of a station.
type Config struct {
	Kafka []kgo.Opt
	// Prefix goes before topics, the group and transactional ids.
	Prefix string
	// Instance names this process among its like, the same after a restart.
	Instance string

	SMTP SMTP
	// PublicURL is where recipients reach the collector: opens, clicks and
	// unsubscribes arrive there.
	PublicURL string
	Links     link.Keys
	// ReturnPath is where mail servers send what they could not deliver, with a
	// token that names the delivery; "": to the address in From.
	ReturnPath string
	// DKIM signs mails of the domains that it has keys of.
	DKIM dkim.Keys
	// Pace is how fast mails may go to whom; by default as many at once to a
	// domain as there are connections.
	Pace pace.Config

	// DryRun hands over nothing, and OnlyTo only what goes to an address like one of
	// these, as *@shop.example. All else comes as far as a mail, and ends as shadowed.
	DryRun bool
	OnlyTo []string

	// Breaker bounds what may come back, of all senders' mails; zero: nothing does.
	Breaker breaker.Bounds

	// Clock is the machine's if nil.
	Clock   stream.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Ready hears whether every partition that is ours is being worked on.
	Ready func(ok bool, why string)

	// Patience is how long a stop, or a partition that goes to another, may finish
	// what is in hand; default 20s. A stop ends within that and a quarter of it.
	Patience time.Duration
	// CommitSpacing is the least time between two transactions of a partition;
	// default 20ms, below which a real broker may still be busy with the last.
	CommitSpacing time.Duration

	// Hook is called at every step of the protocol; its error ends the process
	// there, as a crash would. For tests.
	Hook func(step string) error
}

// SMTP says how to reach the mail server: the relay that is named here.
type SMTP struct {
	Addr           string
	User, Password string
	TLS            string
	// Fallback take over, the first that can be reached, while the relay above
	// cannot be.
	Fallback []Relay
	// RootCAs are the machine's if nil.
	RootCAs *x509.CertPool
	// Timeout bounds connecting, and each answer; default 1 minute.
	Timeout time.Duration
	// Connections that work side by side, default 8; and as many mails are in
	// hand at most, which a crash leaves in doubt.
	Connections int
	// MailsPerConnection, after which a connection is made anew; default 100.
	MailsPerConnection int
	// Dial is a net.Dialer's if nil.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

const (
	defaultSpacing     = 20 * time.Millisecond
	defaultPatience    = 20 * time.Second
	defaultTimeout     = time.Minute
	defaultConnections = 8
	defaultPerConnect  = 100
)

// complete fills in defaults, and refuses what cannot work.
func (c *Config) complete() error {
	if c.Instance == "" {
		return errors.New("instance: got none, want a name that stays the same after a restart")
	}
	for _, r := range c.SMTP.relays() {
		if err := r.check(); err != nil {
			return err
		}
	}
	// Without it nobody could unsubscribe.
	if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("public url: got %q, want where recipients reach the collector, such as https://t.shop.example", c.PublicURL)
	}
	if c.ReturnPath != "" {
		if err := link.CheckReturnAddress(c.ReturnPath); err != nil {
			return fmt.Errorf("return path: %w", err)
		}
	}
	if c.Breaker != (breaker.Bounds{}) {
		if err := c.Breaker.Check(); err != nil {
			return fmt.Errorf("breaker: %w", err)
		}
	}
	if c.SMTP.Timeout <= 0 {
		c.SMTP.Timeout = defaultTimeout
	}
	if c.SMTP.Connections <= 0 {
		c.SMTP.Connections = defaultConnections
	}
	if c.Pace.Default.AtOnce <= 0 {
		c.Pace.Default.AtOnce = c.SMTP.Connections
	}
	if c.SMTP.MailsPerConnection <= 0 {
		c.SMTP.MailsPerConnection = defaultPerConnect
	}
	if c.SMTP.Dial == nil {
		c.SMTP.Dial = new(net.Dialer).DialContext
	}
	if c.Clock == nil {
		c.Clock = stream.RealClock{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Ready == nil {
		c.Ready = func(bool, string) {}
	}
	if c.Patience == 0 {
		c.Patience = defaultPatience
	}
	if c.CommitSpacing == 0 {
		c.CommitSpacing = defaultSpacing
	}
	if c.Hook == nil {
		c.Hook = func(string) error { return nil }
	}
	return nil
}

func (c *Config) composer() mail.Composer {
	return mail.Composer{PublicURL: c.PublicURL, Keys: c.Links, Sign: c.DKIM.Sign}
}

// relays are all that there are, in order of preference.
func (s *SMTP) relays() []Relay {
	return append([]Relay{{Addr: s.Addr, User: s.User, Password: s.Password, TLS: s.TLS}}, s.Fallback...)
}

func (r *Relay) check() error {
	if _, _, err := net.SplitHostPort(r.Addr); err != nil {
		return fmt.Errorf("smtp address: got %q, want host:port: %w", r.Addr, err)
	}
	switch r.TLS {
	case "", "none", "starttls", "tls":
		return nil
	}
	return fmt.Errorf("smtp tls of %s: got %q, want none, starttls or tls", r.Addr, r.TLS)
}
