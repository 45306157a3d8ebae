package domain

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"blitiri.com.ar/go/spf"
	"github.com/emersion/go-msgauth/dmarc"
)

// Judge says what is right and what is wrong.
func Judge(f Facts) (all []Finding) {
	ofSPF, passes := judgeSPF(f)
	ofDKIM, proven := judgeDKIM(f)
	all = append(ofSPF, ofDKIM...)
	all = append(all, judgeDMARC(f, passes, proven)...)
	all = append(all, judgeAnswers(f)...)
	all = append(all, judgeAddresses(f)...)
	return append(all, judgeRest(f)...)
}

func finding(v Verdict, what, format string, args ...any) Finding {
	return Finding{Verdict: v, What: what, Says: fmt.Sprintf(format, args...)}
}

func (f Finding) publish(name, kind, value string) Finding {
	f.Publish = &Record{name, kind, value}
	return f
}

// unknown is what DNS did not answer.
func unknown(what, name string, err error) Finding {
	if dns, ok := errors.AsType[*net.DNSError](err); ok { // the rest of it says whom this machine asks
		err = errors.New(dns.Err)
	}
	return finding(Wrong, what, "%s cannot be asked for: %v", name, err)
}

// judgeSPF also says whether SPF passes, as far as is known.
func judgeSPF(f Facts) (all []Finding, passes bool) {
	say := func(v Verdict, format string, args ...any) Finding {
		return finding(v, "spf", "%s: "+format, append([]any{f.Return}, args...)...)
	}
	switch n := len(f.SPF.Got); {
	case f.SPF.Err != nil:
		return []Finding{unknown("spf", f.Return, f.SPF.Err)}, false
	case n == 0:
		return []Finding{say(Wrong, "got no SPF record, want one that names who may send; Gmail and Yahoo ask for it").
			publish(f.Return, "TXT", newSPF(f))}, false
	case n > 1:
		return []Finding{say(Wrong, "got %d SPF records, want one: with several none holds. Publish one in their place", n).
			publish(f.Return, "TXT", joinSPF(f.SPF.Got))}, false
	}
	record := f.SPF.Got[0]
	switch {
	case f.Limits.Got == "temperror":
		return []Finding{unknown("spf", f.Return, f.Limits.Err)}, false
	case errors.Is(f.Limits.Err, spf.ErrLookupLimitReached):
		return []Finding{say(Wrong, "got %q, which takes more than the 10 look-ups that are allowed, so that it does not hold: name addresses (ip4:, ip6:) in the place of some include, a, mx, exists or redirect", record)}, false
	case f.Limits.Err != nil:
		return []Finding{say(Wrong, "got %q, which cannot be evaluated, so that it does not hold: %v", record, f.Limits.Err)}, false
	case f.Limits.Got == "pass":
		return []Finding{say(Wrong, "got %q, which lets everybody send", record).
			publish(f.Return, "TXT", withEnd(record, "~all"))}, false
	case f.Limits.Got == "neutral":
		all = append(all, say(Note, "got %q, which says nothing against others; end it with ~all or -all", record).
			publish(f.Return, "TXT", withEnd(record, "~all")))
	}
	passes = true
	if len(f.Leave) == 0 {
		all = append(all, say(Note, "got %q; whether it lets your mails through is known with the addresses that they leave from", record))
	}
	for i, ip := range f.Leave {
		switch got := f.Let[i].SPF; got {
		case "pass":
			all = append(all, say(Right, "lets %s through", ip))
		case "temperror":
			passes = false
			all = append(all, say(Wrong, "could not be asked about %s", ip))
		default:
			passes = false
			record = withAddress(record, ip) // with those before it
			all = append(all, say(Wrong, "got %s for %s, want pass", got, ip).publish(f.Return, "TXT", record))
		}
	}
	return all, passes
}

func newSPF(f Facts) string {
	record := "v=spf1 ~all"
	for _, ip := range f.Leave {
		record = withAddress(record, ip)
	}
	if len(f.Leave) > 0 {
		return record
	}
	if ip, err := netip.ParseAddr(f.Relay); err == nil || f.Relay == "localhost" || f.Relay == "" {
		if err == nil && !ip.IsLoopback() && !ip.IsPrivate() {
			return withAddress(record, ip)
		}
		return "v=spf1 mx ~all"
	}
	return "v=spf1 a:" + f.Relay + " ~all"
}

// withAddress lets ip through, before what the record says of all others.
func withAddress(record string, ip netip.Addr) string {
	term := "ip4:" + ip.String()
	if ip.Is6() {
		term = "ip6:" + ip.String()
	}
	terms := strings.Fields(record)
	return strings.Join(append([]string{terms[0], term}, terms[1:]...), " ")
}

// withEnd puts end in the place of what the record says of all others.
func withEnd(record, end string) string {
	terms := strings.Fields(record)
	kept := terms[:0]
	for _, term := range terms {
		if name := strings.ToLower(strings.TrimLeft(term, "+-~?")); name != "all" && name != "ip4:0.0.0.0/0" && name != "ip6:::/0" {
			kept = append(kept, term)
		}
	}
	return strings.Join(append(kept, end), " ")
}

// joinSPF says in one record what several say.
func joinSPF(records []string) string {
	joined, end := []string{"v=spf1"}, "~all"
	seen := map[string]bool{}
	for _, record := range records {
		for _, term := range strings.Fields(record)[1:] {
			term = strings.ToLower(term)
			switch {
			case strings.TrimLeft(term, "+-~?") == "all", strings.HasPrefix(term, "redirect="):
			case !seen[term]:
				seen[term] = true
				joined = append(joined, term)
			}
		}
	}
	return strings.Join(append(joined, end), " ")
}

// judgeDKIM also says which keys' signatures verify.
func judgeDKIM(f Facts) (all []Finding, proven []string) {
	if len(f.Keys) == 0 {
		return []Finding{finding(Wrong, "dkim", "%s: its mails are not signed, want a key of it in sender.dkim; Gmail and Yahoo ask for it. Make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out s1.pem", f.Domain)}, nil
	}
	for i, k := range f.Keys {
		got := f.DKIM[i]
		if got.Err != nil {
			all = append(all, unknown("dkim", k.Name(), got.Err))
			continue
		}
		say := func(v Verdict, format string, args ...any) Finding {
			return finding(v, "dkim", "%s: "+format, append([]any{k.Name()}, args...)...)
		}
		record, err := k.Record()
		if err != nil {
			all = append(all, say(Wrong, "%v", err))
			continue
		}
		err = k.Published(got.Got)
		switch {
		case len(got.Got) == 0:
			all = append(all, say(Wrong, "got no record, want the public half of the key").publish(k.Name(), "TXT", record))
		case len(got.Got) > 1:
			all = append(all, say(Wrong, "got %d TXT records, want one, in their place", len(got.Got)).publish(k.Name(), "TXT", record))
		case err != nil:
			all = append(all, say(Wrong, "its signatures do not verify with what is published: %v", err).publish(k.Name(), "TXT", record))
		case isTest(got.Got[0]):
			proven = append(proven, k.Domain)
			all = append(all, say(Note, "signatures verify, but t=y says that they are a test, and may be passed over").publish(k.Name(), "TXT", record))
		default:
			proven = append(proven, k.Domain)
			all = append(all, say(Right, "signatures verify"))
		}
	}
	return all, proven
}

// isTest reports whether a key's record has the flag y among those of t.
func isTest(record string) bool {
	for tag := range strings.SplitSeq(record, ";") {
		name, flags, _ := strings.Cut(tag, "=")
		if strings.TrimSpace(name) != "t" {
			continue
		}
		for flag := range strings.SplitSeq(flags, ":") {
			if strings.TrimSpace(flag) == "y" {
				return true
			}
		}
	}
	return false
}

func judgeDMARC(f Facts, passes bool, proven []string) (all []Finding) {
	name := "_dmarc." + f.DMARCAt
	say := func(v Verdict, format string, args ...any) Finding {
		return finding(v, "dmarc", "%s: "+format, append([]any{name}, args...)...)
	}
	const reports = "v=DMARC1; p=none; rua=mailto:dmarc-reports@"
	if f.DMARC.Err != nil {
		return []Finding{unknown("dmarc", name, f.DMARC.Err)}
	}
	if len(f.DMARC.Got) == 0 {
		return []Finding{finding(Wrong, "dmarc", "_dmarc.%s: got no record, want a policy, and be it p=none; Gmail and Yahoo ask for it. Reports go to an address that you read", f.Domain).
			publish("_dmarc."+f.Domain, "TXT", reports+f.Domain)}
	}
	if n := len(f.DMARC.Got); n > 1 {
		return []Finding{say(Wrong, "got %d records, want one: with several none holds. Keep this one", n).publish(name, "TXT", f.DMARC.Got[0])}
	}
	got := f.DMARC.Got[0]
	policy, err := dmarc.Parse(got)
	if err != nil {
		return []Finding{say(Wrong, "got %q: %v", got, err).publish(name, "TXT", reports+f.DMARCAt)}
	}
	p := policy.Policy
	if f.DMARCAt != f.Domain && policy.SubdomainPolicy != "" {
		p = policy.SubdomainPolicy
	}
	if len(policy.ReportURIAggregate) == 0 {
		all = append(all, say(Note, "p=%s, but no reports: without them nobody sees what fails, or who forges", p).
			publish(name, "TXT", strings.TrimRight(got, "; ")+"; rua=mailto:dmarc-reports@"+f.DMARCAt))
	} else {
		all = append(all, say(Right, "p=%s, reports to %s", p, strings.Join(policy.ReportURIAggregate, ", ")))
	}
	if passes && aligned(f.Domain, f.Return, policy.SPFAlignment) {
		return append(all, finding(Right, "from", "SPF of %s speaks for %s", f.Return, f.Domain))
	}
	for _, of := range proven {
		if aligned(f.Domain, of, policy.DKIMAlignment) {
			return append(all, finding(Right, "from", "DKIM of %s speaks for %s", of, f.Domain))
		}
	}
	return append(all, finding(Wrong, "from", "neither SPF nor DKIM speaks for %s, so that DMARC fails; Gmail and Yahoo ask for one. Mend dkim or spf above, with a domain of the same organization%s", f.Domain, strictly(policy)))
}

func strictly(policy *dmarc.Record) string {
	if policy.DKIMAlignment == dmarc.AlignmentStrict || policy.SPFAlignment == dmarc.AlignmentStrict {
		return "; adkim=s and aspf=s want the very domain"
	}
	return ""
}

// aligned reports whether what holds for domain of speaks for from.
func aligned(from, of string, mode dmarc.AlignmentMode) bool {
	if mode == dmarc.AlignmentStrict {
		return from == of
	}
	return organization(from) == organization(of)
}

// judgeAnswers asks whether answers and bounces find their way.
func judgeAnswers(f Facts) (all []Finding) {
	names := []string{f.Domain}
	if f.Return != f.Domain {
		names = append(names, f.Return)
	}
	for _, name := range names {
		mx, hosts := f.MX[name], f.Hosts[name]
		say := func(v Verdict, format string, args ...any) Finding {
			return finding(v, "mx", "%s: "+format, append([]any{name}, args...)...)
		}
		switch {
		case mx.Err != nil:
			all = append(all, unknown("mx", name, mx.Err))
		case len(mx.Got) == 1 && mx.Got[0].Host == ".":
			all = append(all, say(Wrong, "says that it takes no mails, and servers refuse what no answer can be sent to").publish(name, "MX", "10 "+mailHost(name)))
		case len(mx.Got) > 0:
			all = append(all, say(Right, "answers go to %s", hostsOf(mx.Got)))
		case hosts.Err != nil:
			all = append(all, unknown("mx", name, hosts.Err))
		case len(hosts.Got) > 0:
			all = append(all, say(Note, "got no MX, so that answers go to %s; say so with one", hosts.Got[0]).publish(name, "MX", "10 "+name+"."))
		default:
			all = append(all, say(Wrong, "got no MX and no address, want a server that takes bounces and answers").publish(name, "MX", "10 "+mailHost(name)))
		}
	}
	return all
}

// mailHost is a likely name of a server of domain's organization.
func mailHost(domain string) string { return "mail." + organization(domain) + "." }

func hostsOf(all []*net.MX) string {
	var hosts []string
	for _, mx := range all {
		hosts = append(hosts, strings.TrimSuffix(mx.Host, "."))
	}
	return strings.Join(hosts, ", ")
}

// judgeAddresses asks whether the addresses that mails leave from have names that
// lead back to them.
func judgeAddresses(f Facts) (all []Finding) {
	for i, ip := range f.Leave {
		say := func(v Verdict, format string, args ...any) Finding {
			return finding(v, "ptr", "%s: "+format, append([]any{ip}, args...)...)
		}
		switch l := f.Let[i]; {
		case l.Names.Err != nil:
			all = append(all, unknown("ptr", ip.String(), l.Names.Err))
		case len(l.Returns) > 0:
			all = append(all, say(Right, "is %s, and back", l.Returns[0]))
		case len(l.Names.Got) == 0:
			all = append(all, say(Wrong, "got no name, want one; Gmail and Yahoo ask for it. Whoever gave you the address publishes it").
				publish(reverse(ip), "PTR", mailHost(f.Return)))
		default:
			kind := "A"
			if ip.Is6() {
				kind = "AAAA"
			}
			name := strings.TrimSuffix(l.Names.Got[0], ".")
			all = append(all, say(Wrong, "is %s, which does not lead back to it; Gmail and Yahoo ask for both", name).publish(name, kind, ip.String()))
		}
	}
	return all
}

func judgeRest(f Facts) (all []Finding) {
	if hosts := f.Hosts[f.LinkHost]; f.LinkHost != "" {
		switch {
		case hosts.Err != nil:
			all = append(all, unknown("a", f.LinkHost, hosts.Err))
		case len(hosts.Got) == 0:
			all = append(all, finding(Wrong, "a", "%s: got no address, so that links of mails, unsubscribing among them, lead nowhere: publish the collector's", f.LinkHost))
		default:
			all = append(all, finding(Right, "a", "%s: links lead to %s", f.LinkHost, hosts.Got[0]))
		}
	}
	if strings.HasPrefix(f.Links, "https://") {
		all = append(all, finding(Right, "links", "one click unsubscribes"))
	} else {
		all = append(all, finding(Wrong, "links", "links.url: got %q, want https://, without which nobody unsubscribes with one click (RFC 8058); Gmail and Yahoo ask for it", f.Links))
	}
	if f.Plain {
		all = append(all, finding(Wrong, "tls", "mails go to the relay %s without TLS, want sender.smtp.tls: starttls or tls; Gmail asks for it all the way", f.Relay))
	}
	return all
}

// reverse is the name at which an address's name is published.
func reverse(ip netip.Addr) string {
	var b strings.Builder
	raw := ip.AsSlice()
	for i := len(raw) - 1; i >= 0; i-- {
		if ip.Is6() {
			fmt.Fprintf(&b, "%x.%x.", raw[i]&15, raw[i]>>4)
		} else {
			fmt.Fprintf(&b, "%d.", raw[i])
		}
	}
	if ip.Is6() {
		return b.String() + "ip6.arpa"
	}
	return b.String() + "in-addr.arpa"
}
