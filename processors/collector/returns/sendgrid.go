package returns

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// sendGrid is the Signed Event Webhook of SendGrid: it signs timestamp and body
// with ECDSA.
//
// Source: twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
type sendGrid struct{ key *ecdsa.PublicKey }

// SendGrid reads with the verification key of the webhook's settings, base64.
func SendGrid(key string) (Webhook, error) {
	der, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return nil, fmt.Errorf("sendgrid key: got no base64, want the verification key of the webhook's settings: %w", err)
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("sendgrid key: %w", err)
	}
	ec, ok := public.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("sendgrid key: got a %T, want ECDSA", public)
	}
	return sendGrid{ec}, nil
}

const (
	headerSendGridSignature = "X-Twilio-Email-Event-Webhook-Signature"
	headerSendGridTimestamp = "X-Twilio-Email-Event-Webhook-Timestamp"
)

type sendGridEvent struct {
	Event  string `json:"event"`
	Email  string `json:"email"`
	Type   string `json:"type"`
	Reason string `json:"reason"`
	Status string `json:"status"`
	// Path is what the sender asked to be told: a unique argument.
	Path string `json:"segue_return"`
}

func (w sendGrid) Read(_ context.Context, header http.Header, body []byte, now time.Time) ([]Return, error) {
	timestamp := header.Get(headerSendGridTimestamp)
	signature, err := base64.StdEncoding.DecodeString(header.Get(headerSendGridSignature))
	if err != nil || len(signature) == 0 {
		return nil, unsigned("%s: got %.20q, want a signature in base64", headerSendGridSignature, header.Get(headerSendGridSignature))
	}
	sum := sha256.Sum256(append([]byte(timestamp), body...))
	if !ecdsa.VerifyASN1(w.key, sum[:], signature) {
		return nil, unsigned("%s: got a signature of something else, or by another key", headerSendGridSignature)
	}
	at, err := seconds(headerSendGridTimestamp, timestamp)
	if err == nil {
		err = fresh(headerSendGridTimestamp, at, now)
	}
	if err != nil {
		return nil, err
	}
	var events []sendGridEvent
	if err := parse(body, &events); err != nil {
		return nil, err
	}
	var all []Return
	for i, e := range events {
		if e.Event == "" {
			return nil, fmt.Errorf("body: [%d].event: got none, want one such as bounce", i)
		}
		if kind := e.kind(); kind != 0 {
			all = append(all, Return{Kind: kind, Address: e.Email, Said: strings.TrimSpace(e.Status + " " + e.Reason), Paths: []string{e.Path}})
		}
	}
	return all, nil
}

// kind is what an event means. A dropped mail was not tried, because of what
// SendGrid remembers of its address.
func (e *sendGridEvent) kind() Kind {
	switch e.Event {
	case "spamreport":
		return Spam
	case "bounce":
		if e.Type == "blocked" {
			return Soft
		}
		return Hard
	case "dropped":
		switch e.Reason {
		case "Bounced Address", "Invalid":
			return Hard
		case "Spam Reporting Address":
			return Spam
		}
	}
	return 0
}
