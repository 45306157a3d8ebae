package storefront

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cespare/xxhash/v2"
)

// call is one item of Segment's spec.
type call struct {
	Type        string         `json:"type"`
	MessageID   string         `json:"messageId"`
	UserID      string         `json:"userId,omitempty"`
	AnonymousID string         `json:"anonymousId,omitempty"`
	Timestamp   string         `json:"timestamp"`
	Event       string         `json:"event,omitempty"`
	Properties  map[string]any `json:"properties,omitempty"`
	Traits      map[string]any `json:"traits,omitempty"`
}

// product is a product as the Ecommerce Spec spells it.
type product struct {
	ID       string      `json:"product_id"`
	Name     string      `json:"name"`
	Category string      `json:"category,omitempty"`
	Price    json.Number `json:"price"`
	Quantity int64       `json:"quantity,omitempty"`
	URL      string      `json:"url,omitempty"`

	micros int64
}

func productOf(l Line) product {
	return product{
		ID: l.Stock, Name: productName(l), Category: category(l.Description),
		Price: json.Number(decimal(l.PriceMicros)), Quantity: max(l.Quantity, 1),
		URL: ShopURL + "/p/" + l.Stock, micros: l.PriceMicros,
	}
}

// properties are p's as those of an event about p alone.
func (p product) properties() map[string]any {
	return map[string]any{
		"product_id": p.ID, "name": p.Name, "category": p.Category, "price": p.Price,
		"quantity": p.Quantity, "url": p.URL, "currency": currency,
	}
}

// eventSubscribed is consent given.
const eventSubscribed = "Subscribed"

// maxBatch leaves room below the 500 KB that a batch may have.
const maxBatch = 400 << 10

// batch gathers calls for one request.
type batch struct {
	body  bytes.Buffer
	calls int
}

func (b *batch) add(c *call) error {
	b.begin()
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write %s %s: %w", c.Type, c.MessageID, err)
	}
	if b.calls > 0 {
		b.body.WriteByte(',')
	}
	b.body.Write(text)
	b.calls++
	return nil
}

func (b *batch) begin() {
	if b.calls == 0 {
		b.body.Reset()
		b.body.WriteString(`{"batch":[`)
	}
}

// send posts what was gathered. Anything but 200 is an error: it may be in the
// log or not, and a shop that counts cannot go on.
func (b *batch) send(ctx context.Context, client *http.Client, base, writeKey string, now time.Time) error {
	if b.calls == 0 {
		return nil
	}
	fmt.Fprintf(&b.body, `],"sentAt":%q}`, stamp(now))
	calls := b.calls
	b.calls = 0
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/batch", bytes.NewReader(b.body.Bytes()))
	if err != nil {
		return err
	}
	req.SetBasicAuth(writeKey, "")
	req.Header.Set("Content-Type", "application/json")
	if err := answer(client, req, http.StatusOK); err != nil {
		return fmt.Errorf("post %d events: %w", calls, err)
	}
	return nil
}

// follow opens a link of a mail. A redirect leads out of the shop and is not
// followed.
func follow(ctx context.Context, client *http.Client, method, url string, want int) error {
	var body io.Reader
	if method == http.MethodPost {
		body = bytes.NewReader([]byte("List-Unsubscribe=One-Click"))
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) shopper") // a program would count as a machine
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return answer(client, req, want)
}

func answer(client *http.Client, req *http.Request, want int) error {
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("%s %s: %w", req.Method, req.URL, err)
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%s %s: got %s, want %d: %s", req.Method, req.URL, resp.Status, want, bytes.TrimSpace(text))
	}
	return nil
}

// stamp writes an instant as Segment's libraries do.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// Digest is a set of ids in eight bytes: equal for equal sets in any order, and
// for practical purposes only for those.
type Digest uint64

// Add brings one id in.
func (d *Digest) Add(id string) { *d += Digest(xxhash.Sum64String(id)) }
