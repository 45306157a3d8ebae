package main

import (
	"slices"
	"testing"
)

// Nobody who only knows a write key leads the shop's customers elsewhere, unless
// the shop says so.
func TestMailsLeadToTheShop(t *testing.T) {
	for _, tc := range []struct {
		links       string
		hosts, want []string
	}{
		{"https://t.shop.example", nil, []string{"shop.example"}},
		{"https://links.shop.co.uk:8443/m", nil, []string{"shop.co.uk"}},
		{"https://t.shop.example", []string{"shop.example", "cdn.example"}, []string{"shop.example", "cdn.example"}},
		{"https://t.shop.example", []string{"*"}, nil},
		{"http://127.0.0.1:8080", nil, nil},
		{"http://[::1]:8080", nil, nil},
		{"http://localhost:8080", nil, nil},
		{"", nil, nil},
	} {
		c := Config{Links: Links{URL: tc.links}, Collector: Collector{Hosts: tc.hosts}}
		if got := c.mailHosts(); !slices.Equal(got, tc.want) {
			t.Errorf("links.url %q, collector.hosts %q: mails lead to %q, want %q", tc.links, tc.hosts, got, tc.want)
		}
	}
}
