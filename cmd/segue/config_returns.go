package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/mail"

	"segue/processors/collector/returns"
)

// Returns are bounces and complaints, which the collector takes.
type Returns struct {
	// Listen is HOST:PORT of an SMTP server for what comes back; empty: none.
	Listen string `koanf:"listen"`
	// TLS is what it offers STARTTLS with.
	TLS ReturnsTLS `koanf:"tls"`
	// Complaints are the addresses that mailbox providers send feedback reports to.
	Complaints []string `koanf:"complaints"`
	// Maildir is a mailbox that another mail server fills.
	Maildir string `koanf:"maildir"`
	// SESTopics are the ARNs of the SNS topics that SES publishes to.
	SESTopics []string `koanf:"ses_topics"`
	// SendGrid is the verification key of the event webhook.
	SendGrid string `koanf:"sendgrid"`
	// Postmark is USER:PASSWORD, as in the webhook's URL.
	Postmark string `koanf:"postmark" secret:"true"`
	// Mailgun is the webhook signing key.
	Mailgun string `koanf:"mailgun" secret:"true"`
}

// ReturnsTLS names PEM files of a certificate and its key; neither: no STARTTLS.
type ReturnsTLS struct {
	Cert string `koanf:"cert"`
	Key  string `koanf:"key"`
}

// config reads the files again for each connection: a certificate is renewed every
// few weeks. nil: there are none.
func (t ReturnsTLS) config() (*tls.Config, error) {
	if t.Cert == "" {
		return nil, nil
	}
	load := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		return &pair, err
	}
	if _, err := load(nil); err != nil {
		return nil, fmt.Errorf("returns.tls.cert: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: load}, nil
}

// webhooks are those that something is set for, by their names in the path.
func (r *Returns) webhooks() (map[string]returns.Webhook, error) {
	all := map[string]returns.Webhook{}
	var errs []error
	for _, w := range []struct {
		name, key string
		set       bool
		make      func() (returns.Webhook, error)
	}{
		{"ses", "ses_topics", len(r.SESTopics) > 0, func() (returns.Webhook, error) { return returns.SES(r.SESTopics, nil) }},
		{"sendgrid", "sendgrid", r.SendGrid != "", func() (returns.Webhook, error) { return returns.SendGrid(r.SendGrid) }},
		{"postmark", "postmark", r.Postmark != "", func() (returns.Webhook, error) { return returns.Postmark(r.Postmark) }},
		{"mailgun", "mailgun", r.Mailgun != "", func() (returns.Webhook, error) { return returns.Mailgun(r.Mailgun) }},
	} {
		if !w.set {
			continue
		}
		hook, err := w.make()
		if err != nil {
			errs = append(errs, fmt.Errorf("returns.%s: %w", w.key, err))
		}
		all[w.name] = hook
	}
	return all, errors.Join(errs...)
}

// isMailAddress reports whether s is an address alone.
func isMailAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}
