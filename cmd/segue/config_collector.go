package main

import (
	"net"
	"net/url"
	"slices"

	"golang.org/x/net/publicsuffix"
)

// anywhere in collector.hosts bounds nothing.
const anywhere = "*"

// mailHosts are where what an unsigned call says may lead mails; nil: anywhere. If
// nobody said, that is the domain that mails' own links are under.
func (c *Config) mailHosts() []string {
	switch {
	case slices.Contains(c.Collector.Hosts, anywhere):
		return nil
	case len(c.Collector.Hosts) > 0:
		return c.Collector.Hosts
	}
	u, err := url.Parse(c.Links.URL)
	if err != nil || net.ParseIP(u.Hostname()) != nil {
		return nil
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(u.Hostname())
	if err != nil { // localhost: somebody tries
		return nil
	}
	return []string{domain}
}
