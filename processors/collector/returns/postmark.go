package returns

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// postmark is the webhook of Postmark, which signs nothing: it shows the user and
// the password that its URL was given.
//
// Source: postmarkapp.com/developer/webhooks/bounce-webhook
type postmark struct{ user, password [sha256.Size]byte }

// Postmark reads calls that show login, which is USER:PASSWORD.
func Postmark(login string) (Webhook, error) {
	user, password, ok := strings.Cut(login, ":")
	if !ok || user == "" || len(password) < minPassword {
		return nil, fmt.Errorf("postmark login: got another form, want USER:PASSWORD with a password of %d bytes or more", minPassword)
	}
	return postmark{sha256.Sum256([]byte(user)), sha256.Sum256([]byte(password))}, nil
}

// minPassword is how many bytes what stands for a signature has at least.
const minPassword = 16

// pathMetadata is what the sender asks Postmark and Mailgun to be told.
const pathMetadata = "segue-return"

type postmarkEvent struct {
	RecordType  string
	Type        string
	Email       string
	Description string
	Details     string
	Metadata    map[string]any
}

func (w postmark) Read(_ context.Context, header http.Header, body []byte, _ time.Time) ([]Return, error) {
	user, password, ok := (&http.Request{Header: header}).BasicAuth()
	if !ok {
		return nil, unsigned("Authorization: got none, want the user and the password of returns.postmark")
	}
	gotUser, gotPassword := sha256.Sum256([]byte(user)), sha256.Sum256([]byte(password))
	if subtle.ConstantTimeCompare(gotUser[:], w.user[:])&subtle.ConstantTimeCompare(gotPassword[:], w.password[:]) != 1 {
		return nil, unsigned("Authorization: got others, want the user and the password of returns.postmark")
	}
	var e postmarkEvent
	if err := parse(body, &e); err != nil {
		return nil, err
	}
	if e.RecordType == "" {
		return nil, errors.New("body: RecordType: got none, want one such as Bounce")
	}
	kind := e.kind()
	if kind == 0 {
		return nil, nil
	}
	path, _ := e.Metadata[pathMetadata].(string)
	said := e.Details
	if said == "" {
		said = e.Description
	}
	return []Return{{Kind: kind, Address: e.Email, Said: said, Paths: []string{path}}}, nil
}

// kind is what an event means; the types are Postmark's. Transient ones are
// still tried, and answers of people and their machines are no bounces.
func (e *postmarkEvent) kind() Kind {
	switch e.RecordType {
	case "SpamComplaint":
		return Spam
	case "Bounce":
		switch e.Type {
		case "HardBounce", "BadEmailAddress":
			return Hard
		case "SpamComplaint":
			return Spam
		case "SoftBounce", "DnsError", "SpamNotification", "VirusNotification", "Blocked", "DMARCPolicy", "Undeliverable", "Unknown":
			return Soft
		}
	}
	return 0
}
