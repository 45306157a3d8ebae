package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"segue/processors/sender"
	"segue/processors/sender/breaker"
	"segue/processors/sender/dkim"
	pacing "segue/processors/sender/pace"
)

// senderConfig is all of a sender that concerns its mails.
func (l *loaded) senderConfig() (sender.Config, error) {
	links, err := l.Links.keys()
	if l.Links.URL == "" {
		err = errors.Join(err, errors.New(`links.url: got "", want where recipients reach the collector, as https://t.shop.example: without it no mail could be unsubscribed from`))
	}
	if err != nil {
		return sender.Config{}, err
	}
	keys, err := l.Sender.keys()
	if err != nil {
		return sender.Config{}, err
	}
	relays, err := l.Sender.SMTP.relays()
	if err != nil {
		return sender.Config{}, err
	}
	limits := l.Sender.Pace.limits()
	limits.WarmUps, _ = l.Sender.WarmUp.warmUps()
	return sender.Config{SMTP: relays, PublicURL: l.Links.URL, Links: links, ReturnPath: l.Sender.ReturnPath, DKIM: keys, Pace: limits}, nil
}

// keys are what signs mails.
func (s *Sender) keys() (dkim.Keys, error) {
	keys, err := dkim.Load(s.DKIM)
	if err != nil {
		return nil, fmt.Errorf("sender.dkim: %w", err)
	}
	return keys, nil
}

// relays are how mails leave.
func (s *SMTP) relays() (sender.SMTP, error) {
	fallback, _ := s.fallback()
	relays := sender.SMTP{Addr: s.Address, User: s.User, Password: s.Password, TLS: s.TLS, Fallback: fallback,
		Connections: s.Connections, MailsPerConnection: s.MailsPerConnection}
	if s.CA != "" {
		var err error
		if relays.RootCAs, err = authorities(s.CA); err != nil {
			return sender.SMTP{}, fmt.Errorf("sender.smtp.ca: %w", err)
		}
	}
	return relays, nil
}

// fallback reads the relays that take over.
func (s *SMTP) fallback() (relays []sender.Relay, ok bool) {
	for _, text := range s.Fallback {
		u, err := url.Parse(text)
		if err != nil || !slices.Contains([]string{"none", "starttls", "tls"}, u.Scheme) || !isAddress(u.Host) || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" {
			return nil, false
		}
		r := sender.Relay{Addr: u.Host, TLS: u.Scheme, User: u.User.Username()}
		r.Password, _ = u.User.Password()
		relays = append(relays, r)
	}
	return relays, true
}

// limits are how fast mails may go to whom. What is not said of a domain is as
// anyDomain has it.
func (p *Pace) limits() pacing.Config {
	c := pacing.Config{
		Default: pacing.Limits{AtOnce: p.AtOnce[anyDomain], PerMinute: p.PerMinute[anyDomain]},
		Domains: map[string]pacing.Limits{},
	}
	of := func(name string) pacing.Limits {
		if l, ok := c.Domains[strings.ToLower(name)]; ok {
			return l
		}
		return c.Default
	}
	for name, n := range p.AtOnce {
		l := of(name)
		l.AtOnce = n
		c.Domains[strings.ToLower(name)] = l
	}
	for name, n := range p.PerMinute {
		l := of(name)
		l.PerMinute = n
		c.Domains[strings.ToLower(name)] = l
	}
	delete(c.Domains, anyDomain)
	return c
}

// anyDomain stands for each domain that is not named.
const anyDomain = "*"

// warmUps are the sending domains that are new.
func (w *WarmUp) warmUps() (all map[string]pacing.WarmUp, ok bool) {
	all = map[string]pacing.WarmUp{}
	for name, day := range w.Start {
		start, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return nil, false
		}
		all[strings.ToLower(name)] = pacing.WarmUp{Start: start, PerDay: w.PerDay}
	}
	return all, true
}

// bounds are what the circuit breaker allows.
func (b *Breaker) bounds() breaker.Bounds {
	return breaker.Bounds{Complaints: float64(b.Complaints), Bounces: float64(b.Bounces), Window: b.Window, Of: int64(b.Of)}
}

func positive(numbers map[string]int) bool {
	for _, n := range numbers {
		if n <= 0 {
			return false
		}
	}
	return true
}
