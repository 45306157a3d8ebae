package returns

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ses is what Amazon SES tells through SNS, as feedback notifications or as
// event publishing.
//
// Source: docs.aws.amazon.com/ses/latest/dg/notification-contents.html
type ses struct{ sns }

// SES reads calls of these SNS topics. client may be nil.
func SES(topics []string, client *http.Client) (Webhook, error) {
	if len(topics) == 0 {
		return nil, errors.New("ses: got no topic, want the ARN of one at least")
	}
	for _, arn := range topics {
		if _, err := snsHost(arn); err != nil {
			return nil, fmt.Errorf("ses: %w", err)
		}
	}
	if client == nil {
		// No redirects: they would lead away from the host that was checked.
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &ses{sns{topics: topics, client: client, certs: map[string]*x509.Certificate{}}}, nil
}

type sesEvent struct {
	NotificationType string `json:"notificationType"`
	EventType        string `json:"eventType"`
	Bounce           struct {
		Type       string `json:"bounceType"`
		SubType    string `json:"bounceSubType"`
		Recipients []struct {
			Address    string `json:"emailAddress"`
			Status     string `json:"status"`
			Diagnostic string `json:"diagnosticCode"`
		} `json:"bouncedRecipients"`
	} `json:"bounce"`
	Complaint struct {
		Type       string `json:"complaintFeedbackType"`
		Recipients []struct {
			Address string `json:"emailAddress"`
		} `json:"complainedRecipients"`
	} `json:"complaint"`
	Mail struct {
		// Source is the return path that the mail was handed over with.
		Source  string `json:"source"`
		Headers []struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		} `json:"headers"`
	} `json:"mail"`
}

func (w *ses) Read(ctx context.Context, _ http.Header, body []byte, now time.Time) ([]Return, error) {
	text, err := w.take(ctx, body, now)
	if err != nil || text == "" {
		return nil, err
	}
	// What SES says when a topic is tied to it is no JSON.
	if strings.HasPrefix(text, "Successfully validated SNS topic") {
		return nil, nil
	}
	var e sesEvent
	if err := parse([]byte(text), &e); err != nil {
		return nil, fmt.Errorf("message of SES: %w", err)
	}
	kind := e.NotificationType
	if kind == "" {
		kind = e.EventType
	}
	r := Return{Paths: []string{e.Mail.Source}}
	for _, h := range e.Mail.Headers {
		if strings.EqualFold(h.Name, "List-Unsubscribe") {
			r.Unsubscribe = h.Value
		}
	}
	switch kind {
	case "":
		return nil, errors.New("message of SES: notificationType: got none, want one such as Bounce")
	case "Bounce":
		r.Kind = e.bounced()
		if all := e.Bounce.Recipients; len(all) > 0 {
			r.Address, r.Said = all[0].Address, strings.TrimPrefix(all[0].Diagnostic, "smtp; ")
		}
		if r.Said == "" {
			r.Said = e.Bounce.Type + " " + e.Bounce.SubType
		}
	case "Complaint":
		if e.Complaint.Type == "not-spam" {
			return nil, nil
		}
		r.Kind, r.Said = Spam, e.Complaint.Type
		if all := e.Complaint.Recipients; len(all) > 0 {
			r.Address = all[0].Address
		}
	default:
		return nil, nil
	}
	return []Return{r}, nil
}

func (e *sesEvent) bounced() Kind {
	if e.Bounce.Type == "Permanent" {
		return Hard
	}
	return Soft // Transient, Undetermined
}
