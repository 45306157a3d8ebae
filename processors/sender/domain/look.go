package domain

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"blitiri.com.ar/go/spf"
	"golang.org/x/net/publicsuffix"
)

// Resolver asks DNS, as *net.Resolver does.
type Resolver = spf.DNSResolver

// nobody is an address that no SPF record lets through, so that all of it is
// evaluated (RFC 5737: it is nobody's).
var nobody = netip.MustParseAddr("192.0.2.1")

// Look asks DNS all that Judge wants to know.
func Look(ctx context.Context, dns Resolver, q Question) Facts {
	dns = rooted{dns}
	f := Facts{Question: q, MX: map[string]answer[[]*net.MX]{}, Hosts: map[string]answer[[]netip.Addr]{}}

	f.SPF = txt(ctx, dns, q.Return, "v=spf1")
	evaluate := func(ip netip.Addr) (spf.Result, error) {
		return spf.CheckHostWithSender(ip.AsSlice(), q.Return, "postmaster@"+q.Return, spf.WithContext(ctx), spf.WithResolver(dns))
	}
	if len(f.SPF.Got) == 1 {
		result, err := evaluate(nobody)
		f.Limits.Got = string(result)
		if result == spf.PermError || result == spf.TempError {
			f.Limits.Err = err
		}
	}
	for _, ip := range q.Leave {
		result, _ := evaluate(ip)
		l := leave{SPF: string(result)}
		l.Names.Got, l.Names.Err = dns.LookupAddr(ctx, ip.String())
		l.Names = unlessNone(l.Names)
		for _, name := range l.Names.Got {
			if slices.Contains(addresses(ctx, dns, name).Got, ip) {
				l.Returns = append(l.Returns, strings.TrimSuffix(name, "."))
			}
		}
		f.Let = append(f.Let, l)
	}

	for _, k := range q.Keys {
		f.DKIM = append(f.DKIM, txt(ctx, dns, k.Name(), ""))
	}

	f.DMARCAt = q.Domain
	f.DMARC = txt(ctx, dns, "_dmarc."+q.Domain, "v=DMARC1")
	if above := organization(q.Domain); len(f.DMARC.Got) == 0 && f.DMARC.Err == nil && above != q.Domain {
		f.DMARCAt, f.DMARC = above, txt(ctx, dns, "_dmarc."+above, "v=DMARC1")
	}

	for _, name := range []string{q.Domain, q.Return} {
		var mx answer[[]*net.MX]
		mx.Got, mx.Err = dns.LookupMX(ctx, name)
		f.MX[name], f.Hosts[name] = unlessNone(mx), addresses(ctx, dns, name)
	}
	if u, err := url.Parse(q.Links); err == nil && u.Host != "" {
		f.LinkHost = u.Hostname()
		f.Hosts[f.LinkHost] = addresses(ctx, dns, f.LinkHost)
	}
	return f
}

// txt are the records at name that begin with version.
func txt(ctx context.Context, dns Resolver, name, version string) (a answer[[]string]) {
	all, err := dns.LookupTXT(ctx, name)
	for _, text := range all {
		rest, ok := cutFold(text, version)
		if ok && (version == "" || rest == "" || strings.ContainsAny(rest[:1], " ;")) {
			a.Got = append(a.Got, text)
		}
	}
	a.Err = err
	return unlessNone(a)
}

func cutFold(text, prefix string) (rest string, ok bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return "", false
	}
	return text[len(prefix):], true
}

func addresses(ctx context.Context, dns Resolver, host string) (a answer[[]netip.Addr]) {
	all, err := dns.LookupIPAddr(ctx, host)
	for _, ip := range all {
		if addr, ok := netip.AddrFromSlice(ip.IP); ok {
			a.Got = append(a.Got, addr.Unmap())
		}
	}
	a.Err = err
	return unlessNone(a)
}

func unlessNone[T any](a answer[T]) answer[T] {
	if dns, ok := errors.AsType[*net.DNSError](a.Err); ok && dns.IsNotFound {
		a.Err = nil
	}
	return a
}

// organization is the domain that was registered, as shop.example of
// mail.shop.example.
func organization(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return domain
	}
	return org
}

// rooted asks for names as they are, without the search list of this machine.
type rooted struct{ Resolver }

func (r rooted) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return r.Resolver.LookupTXT(ctx, root(name))
}

func (r rooted) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return r.Resolver.LookupMX(ctx, root(name))
}

func (r rooted) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	if net.ParseIP(host) == nil {
		host = root(host)
	}
	return r.Resolver.LookupIPAddr(ctx, host)
}

func root(name string) string { return strings.TrimSuffix(name, ".") + "." }
