package returns

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// mailgun is the webhook of Mailgun. It signs a timestamp and a token with
// HMAC-SHA256, not the body: a token that was taken once is not taken again.
//
// Source: documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
type mailgun struct {
	key []byte

	mu sync.Mutex
	// taken are the tokens of calls that were, by when; order is the same, the
	// oldest first.
	taken map[string][sha256.Size]byte
	order []string
}

// maxTokens of the last calls are remembered.
const maxTokens = 100_000

// Mailgun reads with the HTTP webhook signing key.
func Mailgun(key string) (Webhook, error) {
	if len(key) < minPassword {
		return nil, fmt.Errorf("mailgun key: got %d bytes, want the webhook signing key, %d bytes or more", len(key), minPassword)
	}
	return &mailgun{key: []byte(key), taken: map[string][sha256.Size]byte{}}, nil
}

type mailgunCall struct {
	Signature struct {
		Timestamp string `json:"timestamp"`
		Token     string `json:"token"`
		Signature string `json:"signature"`
	} `json:"signature"`
	Event mailgunEvent `json:"event-data"`
}

type mailgunEvent struct {
	Event     string                     `json:"event"`
	Severity  string                     `json:"severity"`
	Reason    string                     `json:"reason"`
	Recipient string                     `json:"recipient"`
	Variables map[string]json.RawMessage `json:"user-variables"`
	Envelope  struct {
		Sender string `json:"sender"`
	} `json:"envelope"`
	Status struct {
		Code        int    `json:"code"`
		Enhanced    string `json:"enhanced-code"`
		Message     string `json:"message"`
		Description string `json:"description"`
	} `json:"delivery-status"`
}

func (w *mailgun) Read(_ context.Context, _ http.Header, body []byte, now time.Time) ([]Return, error) {
	var c mailgunCall
	if err := parse(body, &c); err != nil {
		return nil, err
	}
	s := c.Signature
	shown, err := hex.DecodeString(s.Signature)
	if err != nil || s.Token == "" || s.Timestamp == "" || len(s.Token) > 200 {
		return nil, unsigned("signature: got none, want timestamp, token and signature")
	}
	mac := hmac.New(sha256.New, w.key)
	mac.Write([]byte(s.Timestamp + s.Token))
	if !hmac.Equal(shown, mac.Sum(nil)) {
		return nil, unsigned("signature: got one of something else, or by another key")
	}
	at, err := seconds("signature.timestamp", s.Timestamp)
	if err == nil {
		err = fresh("signature.timestamp", at, now)
	}
	if err == nil {
		err = w.once(s.Token, sha256.Sum256(body))
	}
	if err != nil {
		return nil, err
	}
	if c.Event.Event == "" {
		return nil, errors.New("body: event-data.event: got none, want one such as failed")
	}
	kind := c.Event.kind()
	if kind == 0 {
		return nil, nil
	}
	var path string
	_ = json.Unmarshal(c.Event.Variables[pathMetadata], &path) // none is found by its envelope
	return []Return{{Kind: kind, Address: c.Event.Recipient, Said: c.Event.said(), Paths: []string{path, c.Event.Envelope.Sender}}}, nil
}

// once refuses a token that came with another body: the same call again is what
// Mailgun sends while it has no answer.
func (w *mailgun) once(token string, body [sha256.Size]byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if before, ok := w.taken[token]; ok {
		if before != body {
			return unsigned("signature.token: got one that came with another body before")
		}
		return nil
	}
	if len(w.order) >= maxTokens {
		delete(w.taken, w.order[0])
		w.order = w.order[1:]
	}
	w.taken[token] = body
	w.order = append(w.order, token)
	return nil
}

func (e *mailgunEvent) said() string {
	text := e.Status.Message
	if text == "" {
		text = e.Status.Description
	}
	if e.Status.Enhanced != "" {
		text = e.Status.Enhanced + " " + text
	}
	if e.Status.Code != 0 {
		text = strconv.Itoa(e.Status.Code) + " " + text
	}
	return strings.TrimSpace(text)
}

// kind is what an event means. A failure that is temporary is still tried; what
// Mailgun suppresses it has not tried at all.
func (e *mailgunEvent) kind() Kind {
	switch {
	case e.Event == "complained":
		return Spam
	case e.Event != "failed" || e.Severity != "permanent":
		return 0
	}
	switch e.Reason {
	case "suppress-bounce":
		return Hard
	case "suppress-complaint":
		return Spam
	case "suppress-unsubscribe":
		return 0
	}
	return gravity(e.Status.Enhanced, e.said())
}
