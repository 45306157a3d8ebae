package domain

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"segue/processors/sender/dkim"
	"segue/processors/sender/domain/zone"
)

// keysOf makes an RSA and an Ed25519 key of a domain.
func keysOf(t testing.TB, domain string) dkim.Keys {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for name, key := range map[string]any{"s1": r, "s2": e} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		files[name+"._domainkey."+domain] = file
	}
	keys, err := dkim.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func serve(t testing.TB, lines ...string) *zone.Server {
	t.Helper()
	s, err := zone.New(lines...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

var leaves = []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")}

// question is that of a shop with nothing wrong on its own side.
func question(t testing.TB) Question {
	return Question{Domain: "shop.example", Return: "mail.shop.example", Keys: keysOf(t, "shop.example"), Leave: leaves,
		Relay: "relay.shop.example", Links: "https://t.shop.example"}
}

// TestPublishWhatIsAskedFor: who publishes what it says, and asks again, ends
// with nothing wrong.
func TestPublishWhatIsAskedFor(t *testing.T) {
	q, s := question(t), serve(t, "t.shop.example. A 198.51.100.1")
	for round := 1; ; round++ {
		found := Judge(Look(t.Context(), s.Resolver(), q))
		published := 0
		for _, f := range found {
			switch {
			case f.Verdict == Wrong && f.Publish == nil && f.What != "from":
				t.Errorf("round %d: %s: got nothing to publish for: %s", round, f.What, f.Says)
			case f.Verdict != Right && f.Publish != nil:
				published++
				if f.Publish.Type == "TXT" { // in the place of what is there
					s.Withdraw(f.Publish.Name, "TXT")
				}
				if err := s.Publish(f.Publish.String()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if published == 0 {
			if round < 2 || slices.ContainsFunc(found, func(f Finding) bool { return f.Verdict != Right }) {
				t.Errorf("round %d: got %+v, want all right", round, found)
			}
			return
		}
		if round > 5 {
			t.Fatalf("round %d: still asks for more: %+v", round, found)
		}
	}
}

// good is a zone in which nothing of a question is wrong.
func good(t testing.TB, q Question) []string {
	lines := []string{
		`mail.shop.example. TXT "v=spf1 ip4:203.0.113.0/24 ip6:2001:db8::7 -all"`,
		`_dmarc.shop.example. TXT "v=DMARC1; p=quarantine; rua=mailto:dmarc@shop.example"`,
		"shop.example. MX 10 mx.shop.example.", "mail.shop.example. MX 10 mx.shop.example.",
		"7.113.0.203.in-addr.arpa. PTR mail.shop.example.", "mail.shop.example. A 203.0.113.7",
		"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.shop.example.", "mail.shop.example. AAAA 2001:db8::7",
		"t.shop.example. A 198.51.100.1",
	}
	for _, k := range q.Keys {
		record, err := k.Record()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, Record{k.Name(), "TXT", record}.String())
	}
	return lines
}

// TestWhatIsWrong changes one thing of a good zone each time.
func TestWhatIsWrong(t *testing.T) {
	q := question(t)
	many := func(s *zone.Server) { // eleven includes
		spf := "v=spf1"
		for i := range 11 {
			spf += fmt.Sprintf(" include:s%d.example", i)
			s.Publish(fmt.Sprintf(`s%d.example. TXT "v=spf1 ip4:192.0.2.%d -all"`, i, 100+i))
		}
		s.Publish(Record{"mail.shop.example", "TXT", spf + " -all"}.String())
	}
	text := func(name string, values ...string) func(*zone.Server) {
		return func(s *zone.Server) {
			s.Withdraw(name, "TXT")
			for _, v := range values {
				s.Publish(Record{name, "TXT", v}.String())
			}
		}
	}
	for name, test := range map[string]struct {
		zone     func(*zone.Server)
		question func(*Question)
		want     string // what is not right, in order
		publish  string
	}{
		"nothing":     {},
		"no SPF":      {zone: text("mail.shop.example", "another=text", "v=spf10 -all"), want: "wrong spf mail.shop.example: got no SPF record, want one that names who may send; Gmail and Yahoo ask for it", publish: `mail.shop.example. TXT "v=spf1 ip6:2001:db8::7 ip4:203.0.113.7 ~all"`},
		"two SPF":     {zone: text("mail.shop.example", "v=spf1 mx -all", "v=spf1 ip4:203.0.113.7 MX ?all"), want: "wrong spf mail.shop.example: got 2 SPF records, want one: with several none holds. Publish one in their place", publish: `mail.shop.example. TXT "v=spf1 mx ip4:203.0.113.7 ~all"`},
		"open SPF":    {zone: text("mail.shop.example", "v=spf1 mx +all"), want: `wrong spf mail.shop.example: got "v=spf1 mx +all", which lets everybody send`, publish: `mail.shop.example. TXT "v=spf1 mx ~all"`},
		"endless SPF": {zone: text("mail.shop.example", "v=spf1 ip4:203.0.113.7 ip6:2001:db8::7"), want: `note spf mail.shop.example: got "v=spf1 ip4:203.0.113.7 ip6:2001:db8::7", which says nothing against others; end it with ~all or -all`, publish: `mail.shop.example. TXT "v=spf1 ip4:203.0.113.7 ip6:2001:db8::7 ~all"`},
		"broken SPF":  {zone: text("mail.shop.example", "v=spf1 ip4:300.1.2.3 -all"), want: `wrong spf mail.shop.example: got "v=spf1 ip4:300.1.2.3 -all", which cannot be evaluated, so that it does not hold: `},
		"ten look-ups and one": {zone: func(s *zone.Server) { s.Withdraw("mail.shop.example", "TXT"); many(s) },
			want: `wrong spf mail.shop.example: got "v=spf1 include:s0.example include:s1.example include:s2.example include:s3.example include:s4.example include:s5.example include:s6.example include:s7.example include:s8.example include:s9.example include:s10.example -all", which takes more than the 10 look-ups that are allowed, so that it does not hold: name addresses (ip4:, ip6:) in the place of some include, a, mx, exists or redirect`},
		"another's SPF": {zone: text("mail.shop.example", "v=spf1 ip4:203.0.113.7 ~all"), want: "wrong spf mail.shop.example: got softfail for 2001:db8::7, want pass", publish: `mail.shop.example. TXT "v=spf1 ip6:2001:db8::7 ip4:203.0.113.7 ~all"`},
		"unknown addresses": {question: func(q *Question) { q.Leave = nil },
			want: `note spf mail.shop.example: got "v=spf1 ip4:203.0.113.0/24 ip6:2001:db8::7 -all"; whether it lets your mails through is known with the addresses that they leave from`},
		"no DKIM":                          {zone: text("s1._domainkey.shop.example"), want: "wrong dkim s1._domainkey.shop.example: got no record, want the public half of the key", publish: `s1._domainkey.shop.example. TXT "v=DKIM1; k=rsa; p=`},
		"another key":                      {zone: text("s2._domainkey.shop.example", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="), want: "wrong dkim s2._domainkey.shop.example: its signatures do not verify with what is published: ", publish: `s2._domainkey.shop.example. TXT "v=DKIM1; k=ed25519; p=`},
		"revoked key":                      {zone: text("s1._domainkey.shop.example", "v=DKIM1; p="), want: "wrong dkim s1._domainkey.shop.example: its signatures do not verify with what is published: dkim: key revoked"},
		"two keys":                         {zone: text("s1._domainkey.shop.example", "v=DKIM1; p=a", "v=DKIM1; p=b"), want: "wrong dkim s1._domainkey.shop.example: got 2 TXT records, want one, in their place"},
		"no DMARC":                         {zone: text("_dmarc.shop.example"), want: "wrong dmarc _dmarc.shop.example: got no record, want a policy, and be it p=none; Gmail and Yahoo ask for it. Reports go to an address that you read", publish: `_dmarc.shop.example. TXT "v=DMARC1; p=none; rua=mailto:dmarc-reports@shop.example"`},
		"broken DMARC":                     {zone: text("_dmarc.shop.example", "v=DMARC1; p=perhaps"), want: `wrong dmarc _dmarc.shop.example: got "v=DMARC1; p=perhaps": `},
		"two DMARC":                        {zone: text("_dmarc.shop.example", "v=DMARC1; p=none", "v=DMARC1; p=reject"), want: "wrong dmarc _dmarc.shop.example: got 2 records, want one: with several none holds. Keep this one"},
		"no reports":                       {zone: text("_dmarc.shop.example", "v=DMARC1; p=reject;"), want: "note dmarc _dmarc.shop.example: p=reject, but no reports: without them nobody sees what fails, or who forges", publish: `_dmarc.shop.example. TXT "v=DMARC1; p=reject; rua=mailto:dmarc-reports@shop.example"`},
		"strict, with another return path": {zone: text("_dmarc.shop.example", "v=DMARC1; p=reject; aspf=s; adkim=s; rua=mailto:a@shop.example")},
		"nobody speaks for From": {zone: func(s *zone.Server) {
			text("_dmarc.shop.example", "v=DMARC1; p=reject; aspf=s; adkim=s; rua=mailto:a@shop.example")(s)
		}, question: func(q *Question) { q.Keys = nil },
			want: "wrong dkim shop.example: its mails are not signed, want a key of it in sender.dkim; Gmail and Yahoo ask for it. Make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out s1.pem\n" +
				"wrong from neither SPF nor DKIM speaks for shop.example, so that DMARC fails; Gmail and Yahoo ask for one. Mend dkim or spf above, with a domain of the same organization; adkim=s and aspf=s want the very domain"},
		"policy of the organization": {question: func(q *Question) { q.Domain = "news.shop.example" },
			want: "wrong mx news.shop.example: got no MX and no address, want a server that takes bounces and answers", publish: "news.shop.example. MX 10 mail.shop.example."},
		"no mails taken":      {zone: func(s *zone.Server) { s.Withdraw("mail.shop.example", "MX"); s.Publish("mail.shop.example. MX 0 .") }, want: "wrong mx mail.shop.example: says that it takes no mails, and servers refuse what no answer can be sent to"},
		"no MX":               {zone: func(s *zone.Server) { s.Withdraw("mail.shop.example", "MX") }, want: "note mx mail.shop.example: got no MX, so that answers go to 203.0.113.7; say so with one"},
		"no name":             {zone: func(s *zone.Server) { s.Withdraw("7.113.0.203.in-addr.arpa", "PTR") }, want: "wrong ptr 203.0.113.7: got no name, want one; Gmail and Yahoo ask for it. Whoever gave you the address publishes it", publish: "7.113.0.203.in-addr.arpa. PTR mail.shop.example."},
		"a name of another":   {zone: func(s *zone.Server) { s.Withdraw("mail.shop.example", "AAAA") }, want: "wrong ptr 2001:db8::7: is mail.shop.example, which does not lead back to it; Gmail and Yahoo ask for both", publish: "mail.shop.example. AAAA 2001:db8::7"},
		"links lead nowhere":  {zone: func(s *zone.Server) { s.Withdraw("t.shop.example", "A") }, want: "wrong a t.shop.example: got no address, so that links of mails, unsubscribing among them, lead nowhere: publish the collector's"},
		"links without TLS":   {question: func(q *Question) { q.Links = "http://t.shop.example" }, want: `wrong links links.url: got "http://t.shop.example", want https://, without which nobody unsubscribes with one click (RFC 8058); Gmail and Yahoo ask for it`},
		"relay without TLS":   {question: func(q *Question) { q.Plain = true }, want: "wrong tls mails go to the relay relay.shop.example without TLS, want sender.smtp.tls: starttls or tls; Gmail asks for it all the way"},
		"a server that fails": {zone: func(s *zone.Server) { s.Fail("_dmarc.shop.example") }, want: "wrong dmarc _dmarc.shop.example cannot be asked for: server misbehaving"},
	} {
		t.Run(name, func(t *testing.T) {
			q, s := q, serve(t, good(t, q)...)
			if test.zone != nil {
				test.zone(s)
			}
			if test.question != nil {
				test.question(&q)
			}
			var got, publish []string
			for _, f := range Judge(Look(t.Context(), s.Resolver(), q)) {
				if f.Verdict == Right {
					continue
				}
				got = append(got, fmt.Sprintf("%s %s %s", f.Verdict, f.What, f.Says))
				if f.Publish != nil {
					publish = append(publish, f.Publish.String())
				}
			}
			said := strings.Join(got, "\n")
			if test.want == "" && said != "" || !strings.HasPrefix(said, test.want) || len(got) != strings.Count(test.want, "\n")+min(len(test.want), 1) {
				t.Errorf("got\n%s\nwant\n%s", said, test.want)
			}
			if test.publish != "" && !slices.ContainsFunc(publish, func(p string) bool { return strings.HasPrefix(p, test.publish) }) {
				t.Errorf("to publish: got %q, want %q", publish, test.publish)
			}
		})
	}
}

// TestLongTextIsCut: pieces of a text in a zone are at most 255 bytes long, and
// together are what it says.
func TestLongTextIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z=;]{1,900}`).Draw(t, "text")
		line := Record{"shop.example", "TXT", text}.String()
		value, ok := strings.CutPrefix(line, "shop.example. TXT ")
		joined := ""
		for piece := range strings.SplitSeq(value, `" "`) {
			if piece = strings.Trim(piece, `"`); len(piece) > 255 {
				t.Fatalf("got a piece of %d bytes", len(piece))
			}
			joined += piece
		}
		if !ok || joined != text {
			t.Fatalf("got %s of %q", line, text)
		}
	})
}
