package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/idna"

	"segue/processors/sender/dkim"
	"segue/processors/sender/domain"
)

// dnsTimeout bounds all that is asked about one domain.
const dnsTimeout = 30 * time.Second

func newMailCheckCommand() *cobra.Command {
	var leave []string
	var server string
	cmd := &cobra.Command{
		Use:   "check [DOMAIN...]",
		Short: "Say whether the world will believe a domain's mails",
		Long: `Ask DNS what it tells mailbox providers about a sending domain, the one in From,
and say what is wrong and the record that mends it: SPF, DKIM with the keys of
sender.dkim, DMARC and whether one of them speaks for From, MX for bounces and
answers, the names of the addresses that mails leave from, and what else Gmail
and Yahoo ask of who sends in bulk.

Without DOMAIN it looks at the domains of sender.dkim. Bounces go to the domain
of sender.return_path. What is wrong fails the command.`,
		Example: `  segue mail check shop.example --ip 203.0.113.7,2001:db8::7
  segue mail check --dns ns1.shop.example:53   what others will hear`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := load(cmd)
			if err != nil {
				return err
			}
			keys, err := l.Sender.keys()
			if err != nil {
				return err
			}
			questions, err := l.questions(keys, args, leave)
			if err != nil {
				return usageError{fmt.Errorf("segue mail check: %w", err)}
			}
			if server != "" && !isAddress(server) {
				return usageError{fmt.Errorf("segue mail check: --dns: got %q, want host:port", server)}
			}
			var errs []error
			for _, q := range questions {
				errs = append(errs, checkDomain(cmd.Context(), nameServer(server), q, cmd.OutOrStdout()))
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().StringSliceVar(&leave, "ip", nil, "`IP,…` that mails leave from, the relay's or those of who runs it")
	cmd.Flags().StringVar(&server, "dns", "", "`HOST:PORT` of the name server to ask instead of this machine's")
	return cmd
}

// questions are what to ask about domains; by default those that there are keys
// of.
func (l *loaded) questions(keys dkim.Keys, domains, leave []string) ([]domain.Question, error) {
	if len(domains) == 0 {
		for _, k := range keys {
			domains = append(domains, k.Domain)
		}
		slices.Sort(domains)
		domains = slices.Compact(domains)
	}
	if len(domains) == 0 {
		return nil, errors.New("got nothing, want DOMAIN, or keys in sender.dkim")
	}
	var addresses []netip.Addr
	for _, text := range leave {
		ip, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("--ip: got %q, want an address such as 203.0.113.7", text)
		}
		addresses = append(addresses, ip.Unmap())
	}
	relay, plain := l.Sender.SMTP.weakest()
	var all []domain.Question
	for _, name := range domains {
		ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(name, "."))
		if err != nil || !strings.Contains(ascii, ".") {
			return nil, fmt.Errorf("got %q, want a domain such as shop.example", name)
		}
		_, back, _ := strings.Cut(l.Sender.ReturnPath, "@")
		all = append(all, domain.Question{Domain: ascii, Return: cmp.Or(strings.ToLower(back), ascii), Keys: keys.Of(ascii), Leave: addresses,
			Relay: relay, Plain: plain, Links: l.Links.URL})
	}
	return all, nil
}

// weakest is the host of the first relay that gets mails in plain sight, or of the
// first of all, if none does.
func (s *SMTP) weakest() (host string, plain bool) {
	fallback, _ := s.fallback()
	for _, r := range fallback {
		if r.TLS == "none" && !isLoopback(r.Addr) && !plain {
			host, plain = r.Addr, true
		}
	}
	if own := s.TLS == "none" && !isLoopback(s.Address); own || !plain {
		host, plain = s.Address, own
	}
	host, _, _ = net.SplitHostPort(host)
	return host, plain
}

// nameServer asks the server at address, or whom this machine asks.
func nameServer(address string) *net.Resolver {
	if address == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
}

func checkDomain(ctx context.Context, dns domain.Resolver, q domain.Question, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	found := domain.Judge(domain.Look(ctx, dns, q))
	fmt.Fprintln(out, q.Domain)
	wrong := 0
	for _, f := range found {
		if f.Verdict == domain.Wrong {
			wrong++
		}
		fmt.Fprintf(out, "  %-6s %-6s %s\n", f.Verdict, f.What, f.Says)
		if f.Publish != nil {
			fmt.Fprintf(out, "  %-6s %-6s publish  %s\n", "", "", f.Publish)
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%s: wrong: %d of %d", q.Domain, wrong, len(found))
	}
	return nil
}
