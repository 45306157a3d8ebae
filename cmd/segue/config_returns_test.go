package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// A webhook is there once its secret is set, and a wrong one stops the start.
func TestWebhooksThatAreSet(t *testing.T) {
	r := Returns{SESTopics: []string{"arn:aws:sns:eu-west-1:123456789012:bounces"}, Postmark: "postmark:sixteen bytes or more", Mailgun: "sixteen bytes or more",
		SendGrid: "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhAA=="}
	if _, err := r.webhooks(); err == nil || !strings.HasPrefix(err.Error(), "returns.sendgrid: sendgrid key: ") {
		t.Errorf("a key that is none: got %v, want it refused", err)
	}
	r.SendGrid = ""
	all, err := r.webhooks()
	if names := slices.Sorted(maps.Keys(all)); err != nil || !slices.Equal(names, []string{"mailgun", "postmark", "ses"}) {
		t.Errorf("got %v, %v, want mailgun, postmark and ses", names, err)
	}
}
