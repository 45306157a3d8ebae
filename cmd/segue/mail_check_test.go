package main

import (
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"segue/processors/sender/domain/zone"
)

// serveZone answers DNS from a file's records, at DNS: zone FILE.
func serveZone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: zone FILE")
	}
	s, err := zone.New(strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")...)
	ts.Check(err)
	ts.Defer(s.Close)
	ts.Setenv("DNS", s.Addr())
}

func TestWeakestRelay(t *testing.T) {
	for _, test := range []struct {
		smtp  SMTP
		host  string
		plain bool
	}{
		{SMTP{Address: "relay.example:587", TLS: "starttls"}, "relay.example", false},
		{SMTP{Address: "relay.example:25", TLS: "none", Fallback: []string{"none://other.example:25"}}, "relay.example", true},
		{SMTP{Address: "127.0.0.1:25", TLS: "none"}, "127.0.0.1", false},
		{SMTP{Address: "127.0.0.1:25", TLS: "none", Fallback: []string{"tls://a.example:465", "none://b.example:25"}}, "b.example", true},
	} {
		if host, plain := test.smtp.weakest(); host != test.host || plain != test.plain {
			t.Errorf("weakest of %+v = %s, %t, want %s, %t", test.smtp, host, plain, test.host, test.plain)
		}
	}
}
