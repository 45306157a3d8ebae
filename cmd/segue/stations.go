package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"segue/processors/collector"
	"segue/processors/collector/machine"
	"segue/processors/collector/returns"
	"segue/processors/customer"
	"segue/processors/ranks"
	"segue/processors/sender"
	"segue/processors/stream"
	"segue/schemas/link"
)

// stations are the processors of the path, in its order.
var stations = []station{
	{"collector", "HTTP, SMTP → events, catalog: what shoppers do, what comes of mails", startCollector},
	{"customer", "events → segment-changes, deliveries, profiles: the fold", startCustomer},
	{"sender", "deliveries → SMTP → events: one outcome for each", startSender},
	{"ranks", "profiles → models, events: how much more each is worth than others", startRanks},
}

func startCollector(p process) (func(context.Context) error, error) {
	keys, err := p.Links.keys()
	if len(p.Collector.WriteKeys) == 0 {
		err = errors.Join(err, errors.New("collector.write_keys: got none, want at least one key and its source's name, as in SEGUE_COLLECTOR_WRITE_KEYS=KEY=shop"))
	}
	machines, errMachines := p.Collector.machines()
	office, errReturns := startReturns(p, keys)
	if err = errors.Join(err, errMachines, errReturns); err != nil {
		return nil, err
	}
	hosts := p.mailHosts()
	s, err := collector.New(collector.Config{
		Listen: p.Collector.Listen, WriteKeys: p.Collector.WriteKeys, CatalogKeys: p.Collector.CatalogKeys, Links: keys, Machines: machines, Returns: office,
		SigningSecrets: p.Collector.SigningSecrets, Hosts: hosts, MaxInFlightBytes: int64(p.Collector.MaxInFlight),
		Kafka: p.kafka, Prefix: p.Prefix, Clock: stream.RealClock{}, Log: p.log, Metrics: p.metrics, Ready: p.ready,
	})
	if err != nil {
		return nil, err
	}
	p.serveDebug(s.ServeDebug)
	if hosts == nil && p.Kafka.Embedded == "" && !slices.Contains(p.Collector.Hosts, anywhere) {
		p.log.Warn("mails lead wherever anybody with a write key says: collector.hosts is empty, and links.url names no domain of the shop's")
	}
	p.log.Info("collecting", "url", "http://"+s.Addr().String(), "mails lead to", cmp.Or(strings.Join(hosts, ", "), "anywhere"))
	return func(ctx context.Context) error {
		defer office.Close() // webhooks come as long as the collector answers
		group, ctx := errgroup.WithContext(ctx)
		errs := make([]error, 2)
		for i, run := range []func(context.Context) error{s.Run, office.Run} {
			group.Go(func() error { errs[i] = run(ctx); return errs[i] })
		}
		_ = group.Wait() // the first of them
		return errors.Join(errs...)
	}, nil
}

// startReturns takes bounces and complaints, beside the collector and over its HTTP.
func startReturns(p process, keys link.Keys) (*returns.Office, error) {
	hooks, err := p.Returns.webhooks()
	secure, errTLS := p.Returns.TLS.config()
	if err = errors.Join(err, errTLS); err != nil {
		return nil, err
	}
	return returns.New(returns.Config{
		Kafka: p.kafka, Prefix: p.Prefix, Links: keys, Webhooks: hooks, Listen: p.Returns.Listen, TLS: secure,
		Complaints: p.Returns.Complaints, Maildir: p.Returns.Maildir, Clock: stream.RealClock{}, Log: p.log, Metrics: p.metrics,
	})
}

func startCustomer(p process) (func(context.Context) error, error) {
	instance, err := p.instance()
	if err != nil {
		return nil, err
	}
	s, err := customer.New(customer.Config{
		Kafka: p.kafka, Prefix: p.Prefix, Instance: instance, Dir: p.Customer.Dir, Memory: p.Customer.stationMemory(),
		Salt: p.Customer.Salt, AcceptRefold: p.Customer.AcceptRefold,
		Clock: stream.RealClock{}, Log: p.log, Metrics: p.metrics, Ready: p.ready,
	})
	if err != nil {
		return nil, err
	}
	p.serveCustomers(s.ServeHTTP)
	return s.Run, nil
}

func startSender(p process) (func(context.Context) error, error) {
	instance, err := p.instance()
	c, errMails := p.senderConfig()
	err = errors.Join(err, errMails)
	// Somebody's variable was empty: everybody would get mail.
	if from := p.from["sender.only_to"]; len(p.Sender.OnlyTo) == 0 && (from == "--only-to" || strings.HasPrefix(from, "SEGUE_")) {
		err = errors.Join(err, fmt.Errorf("%s: sender.only_to: got nothing, want addresses, with * for anything, as *@shop.example", from))
	}
	if err != nil {
		return nil, err
	}
	c.DryRun, c.OnlyTo = p.Sender.DryRun, p.Sender.OnlyTo
	c.Breaker = p.Sender.Breaker.bounds()
	c.Kafka, c.Prefix, c.Instance = p.kafka, p.Prefix, instance
	c.Clock, c.Log, c.Metrics, c.Ready = stream.RealClock{}, p.log, p.metrics, p.ready
	s, err := sender.New(c)
	if err != nil {
		return nil, err
	}
	return s.Run, nil
}

func startRanks(p process) (func(context.Context) error, error) {
	s, err := ranks.New(ranks.Config{
		Kafka: p.kafka, Prefix: p.Prefix, Interval: p.Ranks.Interval, MinCustomers: p.Ranks.MinCustomers,
		Clock: stream.RealClock{}, Log: p.log, Metrics: p.metrics, Ready: p.ready,
	})
	if err != nil {
		return nil, err
	}
	return s.Run, nil
}

// machines are who opens and clicks in readers' place.
func (c *Collector) machines() (*machine.Machines, error) {
	if c.Machines == "" {
		return machine.Shipped(), nil
	}
	text, err := os.ReadFile(c.Machines)
	if err != nil {
		return nil, fmt.Errorf("collector.machines: %w", err)
	}
	m, err := machine.Parse(c.Machines, text)
	if err != nil {
		return nil, fmt.Errorf("collector.machines: %w", err)
	}
	return m, nil
}

// keys are what signs links.
func (l *Links) keys() (link.Keys, error) {
	if len(l.Secrets) == 0 {
		return link.Keys{}, fmt.Errorf("links.secrets: got none, want at least one of %d bytes or more, the same for every collector and sender", minSecret)
	}
	keys, err := link.NewKeys(l.Secrets...)
	if err != nil {
		return link.Keys{}, fmt.Errorf("links.secrets: %w", err)
	}
	return keys, nil
}

// instance is this process's name, by default the host's.
func (l *loaded) instance() (string, error) {
	if l.Instance != "" {
		return l.Instance, nil
	}
	host, err := os.Hostname()
	if err != nil || !isTopicPart(host) {
		return "", fmt.Errorf("instance: got \"\" on host %q, want a name that stays the same after a restart: %w", host, err)
	}
	return host, nil
}

// tryingKey is a write key that an embedded Segue takes when none is set.
const tryingKey = "try"

// forTrying fills in what an embedded Segue can know by itself: it is alone,
// and everything of it lies in one folder.
func (l *loaded) forTrying() error {
	dir := l.Kafka.Embedded
	fill := func(key string, set func()) {
		if l.from[key] == "default" {
			set()
			l.from[key] = "--embedded"
		}
	}
	fill("instance", func() { l.Instance = "embedded" })
	fill("customer.dir", func() { l.Customer.Dir = filepath.Join(dir, "customer") })
	fill("collector.write_keys", func() { l.Collector.WriteKeys = map[string]string{tryingKey: "trying"} })
	fill("collector.catalog_keys", func() { l.Collector.CatalogKeys = map[string]string{tryingKey: "trying"} })
	fill("links.url", func() { l.Links.URL = "http://" + l.Collector.Listen })
	var err error
	fill("links.secrets", func() {
		var secret string
		secret, err = keptSecret(filepath.Join(dir, "links.secret"))
		l.Links.Secrets = []string{secret}
	})
	return err
}

// keptSecret reads a secret, or makes one when there is none yet.
func keptSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		text = []byte(rand.Text())
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("secret of links: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
