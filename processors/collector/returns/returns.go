// Package returns is the post office's back door: what comes back of a mail, that
// it could not be delivered (a bounce) or that its reader calls it spam (a
// complaint), becomes an outcome of its delivery.
//
//	mail servers ─ SMTP or a mailbox: DSN, ARF ─┐
//	SES, SendGrid, Postmark, Mailgun ─ webhooks ┴▶ returns ─▶ events
//	                                    ⇅ deliveries (whose mail it was)
//
// What is told is believed as far as it is signed. A webhook must be shown to be
// its provider's, and recent; whoever tells it, the mail is found by what we have
// signed ourselves: its return path, which names the delivery's place in the
// topic deliveries, or, once that has been deleted, the unsubscribe link in the
// header that came back. A return without either names nobody, is counted and
// dropped.
//
// Files are named for what they read: report (RFC 3464, RFC 5965), ses on sns,
// sendgrid, postmark, mailgun. Each says exactly what is wrong with its input.
// What a return means, return.go decides, of nothing but what was read.
//
// An answer says what is so: 200, or 250 to a mail server, once Kafka has the
// outcomes of all that was told; 401 for what is not shown to be the provider's,
// 400 for what cannot be read, 503 or 451 for later.
//
// Not obvious: an outcome's id is made of the delivery and what became of it, so
// that however often, and over how many ways, one return is told, it folds once.
// A provider tries again for hours and a customer's station knows ids for a day:
// what was signed longer ago is refused.
package returns

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/link"
)

// Config is all that is needed. What has a default may stay zero.
type Config struct {
	Kafka []kgo.Opt
	// Prefix goes before the topics' names.
	Prefix string
	Links  link.Keys
	// Webhooks by the provider's name in the path.
	Webhooks map[string]Webhook

	// Listen is HOST:PORT of the SMTP server; "": none.
	Listen string
	// Listener, if any, is used instead.
	Listener net.Listener
	// TLS is what that server offers STARTTLS with; nil: it does not.
	TLS *tls.Config
	// Complaints are the addresses that mailbox providers send feedback reports
	// to, besides return paths.
	Complaints []string
	// Maildir is a mailbox to read, as another mail server fills it; "": none.
	Maildir string

	// Clock is the machine's if nil.
	Clock stream.Clock
	// AckTimeout is how long Kafka is waited for; default 10s.
	AckTimeout time.Duration

	Log     *slog.Logger
	Metrics prometheus.Registerer
}

func (c *Config) complete() {
	if c.Clock == nil {
		c.Clock = stream.RealClock{}
	}
	if c.AckTimeout == 0 {
		c.AckTimeout = 10 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
}

// Office takes what comes back.
type Office struct {
	Config
	client   *kgo.Client
	listener net.Listener
	looking  sync.Mutex // in one place at a time
	// handling bounds what is in hand: what has come in, as strangers dawdle.
	handling chan struct{}

	told *prometheus.CounterVec // way, what
}

const (
	// maxInHand calls and mails are worked on at the same time.
	maxInHand = 8
	// MaxBody bounds a webhook's call, and a mail.
	MaxBody = 1 << 20
)

// New listens at once; Run answers.
func New(c Config) (*Office, error) {
	c.complete()
	o := &Office{Config: c, handling: make(chan struct{}, maxInHand), listener: c.Listener,
		told: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "segue_returns_total", Help: "What came back, by the way it came and what became of it."}, []string{"way", "what"})}
	opts := append(append([]kgo.Opt{}, c.Kafka...),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.MetadataMinAge(250*time.Millisecond),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepControlRecords(),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.FetchMaxPartitionBytes(64<<10),
	)
	var err error
	if o.client, err = kgo.NewClient(opts...); err != nil {
		return nil, fmt.Errorf("returns: %w", err)
	}
	if o.listener == nil && c.Listen != "" {
		if o.listener, err = net.Listen("tcp", c.Listen); err != nil {
			o.client.Close()
			return nil, fmt.Errorf("returns: %w", err)
		}
	}
	c.Metrics.MustRegister(o.told)
	return o, nil
}

// Run takes mails until ctx ends. Webhooks come over ServeHTTP, until Close.
func (o *Office) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { <-ctx.Done(); return nil }) // webhooks come meanwhile
	if o.listener != nil {
		group.Go(func() error { return o.listen(ctx) })
	}
	if o.Maildir != "" {
		group.Go(func() error { return o.readMaildir(ctx, o.Maildir) })
	}
	return group.Wait()
}

// Close ends what Run and the last call have left behind.
func (o *Office) Close() { o.client.Close() }

// ServeHTTP takes POST /v1/returns/PROVIDER. How many bodies come in at a time is
// up to whoever serves it.
func (o *Office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	provider := r.PathValue("provider")
	hook := o.Webhooks[provider]
	status, err := http.StatusNotFound, fmt.Errorf("returns: nothing is set for %.40q, want one whose secret is set under returns", provider)
	if hook != nil {
		status, err = o.take(r, provider, hook)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	answer := struct {
		Success bool   `json:"success"`
		Error   string `json:"error,omitempty"`
	}{Success: err == nil}
	if err != nil {
		answer.Error = err.Error()
	}
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Basic realm="returns"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // whoever asked may be gone
}

// take brings in what one call tells.
func (o *Office) take(r *http.Request, provider string, hook Webhook) (status int, err error) {
	ctx := r.Context()
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	switch {
	case err != nil:
		return http.StatusBadRequest, fmt.Errorf("body: read: %w", err)
	case len(body) > MaxBody:
		return http.StatusRequestEntityTooLarge, fmt.Errorf("body: got more than %d bytes, want at most that", MaxBody)
	}
	if !o.begin(ctx) {
		return http.StatusServiceUnavailable, ctx.Err()
	}
	defer o.end()
	all, err := hook.Read(ctx, r.Header, body, o.Clock.Now())
	switch {
	case errors.Is(err, errLater):
		return http.StatusServiceUnavailable, err
	case errors.Is(err, ErrUnsigned):
		o.count(provider, "refused")
		return http.StatusUnauthorized, err
	case err != nil:
		o.count(provider, "unreadable")
		return http.StatusBadRequest, err
	case len(all) == 0:
		o.count(provider, "nothing")
	}
	if err := o.bring(ctx, provider, all); err != nil {
		return http.StatusServiceUnavailable, fmt.Errorf("%w; send the same again", err)
	}
	return http.StatusOK, nil
}

// begin waits until one more may be taken in hand. If there is room now, it may.
func (o *Office) begin(ctx context.Context) bool {
	select {
	case o.handling <- struct{}{}:
		return true
	default:
	}
	select {
	case o.handling <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (o *Office) end() { <-o.handling }

func (o *Office) count(way, what string) { o.told.WithLabelValues(way, what).Inc() }

// bring appends the outcomes of what came back, and returns once Kafka has them.
func (o *Office) bring(ctx context.Context, way string, all []Return) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.AckTimeout)
	defer cancel()
	var records []*kgo.Record
	var kinds []Kind
	places := o.places(all)
	found, err := o.at(ctx, slices.Concat(places...))
	if err != nil {
		return err
	}
	for i, r := range all {
		d := o.whose(r, places[i], found)
		if d == nil {
			o.count(way, "nobody's")
			o.Log.Warn("a mail came back and names no delivery of ours", "way", way, "what", r.Kind.label())
			continue
		}
		now := o.Clock.Now()
		records = append(records, &kgo.Record{Topic: o.Prefix + schemas.Events, Key: []byte(d.GetCustomer()),
			Value: schemas.Encode(r.event(d, now.UnixMilli())), Timestamp: now})
		kinds = append(kinds, r.Kind)
	}
	if err := o.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("append to %s%s: %w", o.Prefix, schemas.Events, err)
	}
	for _, kind := range kinds {
		o.count(way, kind.label())
	}
	return nil
}

// places are those that returns may be of, by our own signature.
func (o *Office) places(all []Return) [][]link.Return {
	places := make([][]link.Return, len(all))
	for i, r := range all {
		for _, path := range r.Paths {
			if place, err := o.Links.VerifyReturn(path); err == nil {
				places[i] = append(places[i], place)
			}
		}
	}
	return places
}

// whose returns whose mail came back; nil: nothing says so.
func (o *Office) whose(r Return, places []link.Return, found map[link.Return]*schemas.Delivery) *schemas.Delivery {
	for _, place := range places {
		if d := found[place]; d != nil {
			return d
		}
	}
	// Beside the link there may be others: mailto:, or a provider's own.
	for part := range strings.SplitSeq(r.Unsubscribe, ",") {
		address := strings.Trim(strings.TrimSpace(part), "<>")
		l, err := o.Links.Verify(link.Unsubscribe, address[strings.LastIndexByte(address, '/')+1:])
		if err == nil {
			return &schemas.Delivery{Id: l.Delivery, Customer: l.Customer, Journey: l.Journey, Step: int32(l.Step)}
		}
	}
	return nil
}
