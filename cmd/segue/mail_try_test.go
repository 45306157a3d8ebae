package main

import (
	"bytes"
	"context"
	netmail "net/mail"
	"strings"
	"testing"

	"segue/processors/sender/inbox"
)

// TestEveryShippedMessageCanBeTried, and none of them says whose it is.
func TestEveryShippedMessageCanBeTried(t *testing.T) {
	mails, err := inbox.New(inbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- mails.Run(ctx) }()
	defer func() { stop(); <-done }()
	pb, err := shippedPlaybook()
	if err != nil {
		t.Fatal(err)
	}
	l := &loaded{Config: DefaultConfig()}
	l.Links = Links{URL: "https://t.alder.example", Secrets: []string{"a secret of the test's own"}}
	l.Sender.SMTP.Address, l.Sender.SMTP.TLS = mails.SMTPAddr(), "none"
	for name := range pb.Messages {
		var out bytes.Buffer
		if err := l.tryMail(t.Context(), &out, pb, name, "", &netmail.Address{Address: "me@alder.example"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, m := range mails.Mails() {
		if !strings.HasPrefix(m.Subject, "[test] ") || m.To != "me@alder.example" || m.CustomerID != "" || m.Links.Open != "" || len(m.Links.Clicks) > 0 {
			t.Errorf("got %+v, want a test that counts for nobody", m)
		}
	}
	if got := mails.Count(); got != len(pb.Messages) {
		t.Errorf("mails: got %d, want %d", got, len(pb.Messages))
	}
}
