package collector

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/semaphore"
	"google.golang.org/protobuf/encoding/protojson"

	"segue/processors/collector/segment"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/link"
)

var start = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// rig is a collector before a Kafka, in virtual time.
type rig struct {
	t     *testing.T
	kafka *kfake.Cluster
	*Station
	clock *stream.VirtualClock
	keys  link.Keys
	url   string
	http  *http.Client
	// stop ends the station and waits for it.
	stop func()
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "shop.events"), kfake.SeedTopics(1, "shop.catalog"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	keys, err := link.NewKeys("a secret of the test's own")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, kafka: cluster, clock: stream.NewVirtualClock(start), keys: keys, http: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	c := Config{Listen: "127.0.0.1:0", Kafka: []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}, Prefix: "shop.",
		WriteKeys: map[string]string{"k-web": "web", "k-till": "till"}, CatalogKeys: map[string]string{"k-stock": "stock"}, Links: keys, Clock: r.clock}
	for _, f := range change {
		f(&c)
	}
	if r.Station, err = New(c); err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + r.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// browser is what most readers of mail have.
const browser = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"

// do asks, and returns status, body and header.
func (r *rig) do(method, path, body string, header ...string) (int, string, http.Header) {
	r.t.Helper()
	url := path
	if strings.HasPrefix(path, "/") {
		url = r.url + path
	}
	q, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if method != http.MethodPost {
		q.Header.Set("User-Agent", browser)
	}
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	a, err := r.http.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return a.StatusCode, string(b), a.Header
}

func (r *rig) post(path, body string) (int, string, http.Header) {
	r.t.Helper()
	return r.do("POST", path, body, "Authorization", "Bearer k-web")
}

// events reads the first n records of the topic; no more may be there.
func (r *rig) events(n int) []*kgo.Record {
	r.t.Helper()
	if got := r.length(); got != n {
		r.t.Fatalf("events hold %d records, want %d", got, n)
	}
	return r.read("shop.events", n)
}

// read reads the first n records of a topic.
func (r *rig) read(topic string, n int) (all []*kgo.Record) {
	r.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(r.kafka.ListenAddrs()...), kgo.ConsumeTopics(topic),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	for len(all) < n {
		fetched := client.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, fetched.Records()...)
	}
	return all
}

// length is how many records the topic holds.
func (r *rig) length() (n int) {
	for p := range int32(4) {
		n += int(r.kafka.PartitionInfo("shop.events", p).HighWatermark)
	}
	return n
}

// settle lets the clicks that wait be judged, and waits until Kafka has
// acknowledged everything.
func (r *rig) settle() {
	r.t.Helper()
	r.clock.MoveTo(r.clock.Now().Add(r.config.Machines.Within))
	for r.unjudged.waited() > 0 {
		runtime.Gosched()
	}
	for _, client := range []*kgo.Client{r.calls, r.clicks} {
		if err := client.Flush(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
	}
	if n := r.Pending(); n != 0 {
		r.t.Errorf("Pending() = %d after a flush, want 0", n)
	}
}

func decode(t *testing.T, r *kgo.Record) *schemas.Event {
	t.Helper()
	e := new(schemas.Event)
	if err := schemas.Decode(r.Value, e); err != nil {
		t.Fatal(err)
	}
	return e
}

// told is an event without its drawn id, as JSON.
func told(t *testing.T, r *kgo.Record) string {
	t.Helper()
	e := decode(t, r)
	if len(e.GetId()) > 20 {
		e.Id = "drawn"
	}
	line, err := protojson.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, line); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Ada fills a cart, opens the mail that reminds her, clicks, and unsubscribes.
func TestFromCartToUnsubscribe(t *testing.T) {
	r := newRig(t)
	code, body, _ := r.post("/v1/batch", `{"batch":[
		{"type":"identify","messageId":"m1","userId":"ada","traits":{"email":"ada@example.com"}},
		{"type":"track","messageId":"m2","userId":"ada","event":"Product Added","properties":{"product_id":"mug","price":12.5,"currency":"GBP"},"timestamp":"2026-03-02T09:59:00Z"}]}`)
	if code != 200 || body != `{"success":true}`+"\n" {
		t.Fatalf("POST /v1/batch = %d %s, want 200", code, body)
	}
	r.clock.MoveTo(start.Add(time.Hour))
	mail := link.Link{Customer: "ada", Delivery: "d1", Journey: "cart", Step: 1}
	url := func(kind link.Kind, target string) string {
		l := mail
		l.Kind, l.URL = kind, target
		return r.keys.URL(r.url, l)
	}
	code, body, header := r.do("GET", url(link.Open, ""), "")
	if code != 200 || body != string(gif) || header.Get("Content-Type") != "image/gif" || header.Get("Cache-Control") != "no-store" {
		t.Errorf("GET of the open = %d %v, want a gif that no cache keeps", code, header)
	}
	code, _, header = r.do("GET", url(link.Click, "https://shop.example/cart?id=c1&x=ü"), "")
	if got, want := header.Get("Location"), "https://shop.example/cart?id=c1&x=%c3%bc"; code != 302 || got != want {
		t.Errorf("GET of the click = %d to %s, want 302 to %s", code, got, want)
	}
	r.settle()
	code, body, _ = r.do("POST", url(link.Unsubscribe, ""), "List-Unsubscribe=One-Click", "Content-Type", "application/x-www-form-urlencoded")
	if code != 200 || !strings.Contains(body, "You are unsubscribed") {
		t.Errorf("POST of the unsubscribe = %d %s, want 200 and a page", code, body)
	}
	want := []string{
		`{"id":"m1","receivedAt":"2026-03-02T10:00:00Z","customer":"ada","userId":"ada","source":"web","identify":{"email":"ada@example.com"}}`,
		`{"id":"m2","occurredAt":"2026-03-02T09:59:00Z","receivedAt":"2026-03-02T10:00:00Z","customer":"ada","userId":"ada","source":"web","cart":{"change":"ADDED","currency":"GBP","product":{"id":"mug","priceMicros":"12500000"}}}`,
		`{"id":"drawn","occurredAt":"2026-03-02T11:00:00Z","receivedAt":"2026-03-02T11:00:00Z","customer":"ada","source":"mail","engagement":{"kind":"OPENED","deliveryId":"d1","journey":"cart","step":1}}`,
		`{"id":"drawn","occurredAt":"2026-03-02T11:00:00Z","receivedAt":"2026-03-02T11:00:00Z","customer":"ada","source":"mail","engagement":{"kind":"CLICKED","deliveryId":"d1","url":"https://shop.example/cart?id=c1&x=ü","journey":"cart","step":1}}`,
		`{"id":"drawn","occurredAt":"2026-03-02T11:00:02Z","receivedAt":"2026-03-02T11:00:02Z","customer":"ada","source":"mail","subscription":{"deliveryId":"d1"}}`,
	}
	for i, record := range r.events(len(want)) {
		if got := told(t, record); got != want[i] {
			t.Errorf("event %d:\n got %s\nwant %s", i, got, want[i])
		}
		at := start
		if i > 1 {
			at = start.Add(time.Hour)
		}
		if i > 2 { // the click waited to be judged
			at = at.Add(r.config.Machines.Within)
		}
		if string(record.Key) != "ada" || !record.Timestamp.Equal(at) {
			t.Errorf("event %d: key %q at %v, want ada at %v", i, record.Key, record.Timestamp.UTC(), at)
		}
	}
	if got := value(t, r.metrics.events.WithLabelValues("engagement", "mail")); got != 2 {
		t.Errorf("engagements from mail = %v, want 2", got)
	}
}

func TestAnswers(t *testing.T) {
	r := newRig(t)
	const call = `{"event":"Quiz Finished","userId":"ada","messageId":"m"}`
	for name, test := range map[string]struct {
		method, path, body string
		header             []string
		code               int
		answer             string
	}{
		"basic":  {"POST", "/v1/track", call, []string{"Authorization", "Basic ay13ZWI6"}, 200, `{"success":true}`},
		"bearer": {"POST", "/v1/track", call, []string{"Authorization", "bearer k-till"}, 200, `{"success":true}`},
		"body":   {"POST", "/v1/track", `{"event":"Quiz Finished","userId":"ada","writeKey":"k-web"}`, nil, 200, `{"success":true}`},
		"empty":  {"POST", "/v1/batch", `{"batch":[],"writeKey":"k-web"}`, nil, 200, `{"success":true}`},
		"no key": {"POST", "/v1/track", call, nil, 401,
			`{"success":false,"error":"write key: got none, want one as user of Basic, as Bearer, or as writeKey in the body"}`},
		"unknown key": {"POST", "/v1/track", `{"event":"x","userId":"ada","writeKey":"k-web"}`, []string{"Authorization", "Bearer k"}, 401,
			`{"success":false,"error":"write key: got an unknown one, want one as user of Basic, as Bearer, or as writeKey in the body"}`},
		"strange scheme": {"POST", "/v1/track", call, []string{"Authorization", "Digest x"}, 401,
			`{"success":false,"error":"write key: got an unknown one, want one as user of Basic, as Bearer, or as writeKey in the body"}`},
		"one item wrong": {"POST", "/v1/batch", `{"batch":[{"type":"track","event":"x","userId":"ada"},{"type":"track","event":"Product Added","userId":"ada","properties":{"sku":"mug","price":"12,50"}}]}`,
			[]string{"Authorization", "Bearer k-web"}, 400,
			`{"success":false,"error":"nothing of the body was taken: batch[1].properties.price: got \"12,50\", want a decimal amount such as 12.50","problems":[{"item":1,"field":"batch[1].properties.price","got":"\"12,50\"","want":"a decimal amount such as 12.50"}]}`},
		"no JSON": {"POST", "/v1/track", `event=x`, []string{"Authorization", "Bearer k-web"}, 400,
			`{"success":false,"error":"nothing of the body was taken: body: got invalid character 'e' looking for beginning of value (byte 1 of 7), want a JSON object","problems":[{"item":-1,"field":"body","got":"invalid character 'e' looking for beginning of value (byte 1 of 7)","want":"a JSON object"}]}`},
		"no gzip": {"POST", "/v1/track", call, []string{"Authorization", "Bearer k-web", "Content-Encoding", "gzip"}, 400,
			`{"success":false,"error":"body: got no gzip, want what Content-Encoding says: gzip: invalid header"}`},
		"brotli": {"POST", "/v1/track", call, []string{"Authorization", "Bearer k-web", "Content-Encoding", "br"}, 415,
			`{"success":false,"error":"Content-Encoding: got \"br\", want gzip or none"}`},
		"large call": {"POST", "/v1/track", `{"event":"x","userId":"ada","p":"` + strings.Repeat("x", segment.MaxItem) + `"}`, []string{"Authorization", "Bearer k-web"}, 413,
			`{"success":false,"error":"nothing of the body was taken: body: got 32803 bytes, want at most 32768","problems":[{"item":0,"field":"body","got":"32803 bytes","want":"at most 32768"}]}`},
		"large body": {"POST", "/v1/batch", strings.Repeat("x", segment.MaxBody+1), []string{"Authorization", "Bearer k-web"}, 413,
			`{"success":false,"error":"body: got more than 512000 bytes, want at most that"}`},
		"gzip bomb": {"POST", "/v1/batch", zipped(t, strings.Repeat(" ", 5<<20)), []string{"Authorization", "Bearer k-web", "Content-Encoding", "gzip"}, 413,
			`{"success":false,"error":"body: got more than 512000 bytes, want at most that"}`},
		"gzip":   {"POST", "/v1/track", zipped(t, call), []string{"Authorization", "Bearer k-web", "Content-Encoding", "gzip"}, 200, `{"success":true}`},
		"method": {"GET", "/v1/track", "", nil, 405, "Method Not Allowed"},
		"many calls": {"POST", "/v1/batch", `{"batch":[` + strings.Repeat("0,", segment.MaxItems) + `0]}`, []string{"Authorization", "Bearer k-web"}, 413,
			`{"success":false,"error":"nothing of the body was taken: batch: got 2501 calls, want at most 2500","problems":[{"item":-1,"field":"batch","got":"2501 calls","want":"at most 2500"}]}`},
		"elsewhere": {"POST", "/v1/tracks", call, nil, 404,
			`{"success":false,"error":"path: got \"/v1/tracks\", want /v1/batch, track, identify, page, screen, alias, group, import or catalog"}`},
	} {
		code, body, _ := r.do(test.method, test.path, test.body, test.header...)
		if code != test.code || strings.TrimSuffix(body, "\n") != test.answer {
			t.Errorf("%s:\n got %d %s\nwant %d %s", name, code, body, test.code, test.answer)
		}
	}
	for _, record := range r.events(4) { // those that were answered 200
		if e := decode(t, record); e.GetNamed().GetName() != "Quiz Finished" || e.GetId() == "" {
			t.Errorf("got event %v, want one of those answered 200, with an id", e)
		}
	}
}

// What just fits is taken, and a byte or a call more is not, however it is sent.
func TestLimitsToTheByte(t *testing.T) {
	r := newRig(t)
	call := func(length int) string {
		const head, tail = `{"type":"track","event":"x","userId":"ada","p":"`, `"}`
		return head + strings.Repeat("x", length-len(head)-len(tail)) + tail
	}
	batch := func(items ...string) string { return `{"batch":[` + strings.Join(items, ",") + `]}` }
	padded := func(length int) string {
		body := batch(slices.Repeat([]string{call(20_000)}, 25)...)
		return body + strings.Repeat(" ", length-len(body))
	}
	calls := func(n int) string {
		return batch(slices.Repeat([]string{`{"type":"track","event":"x","userId":"a"}`}, n)...)
	}
	taken := 0
	for name, tc := range map[string]struct {
		path, fits, more string
		events           int
	}{
		"a call":            {"/v1/track", call(segment.MaxItem), call(segment.MaxItem + 1), 1},
		"a call in a batch": {"/v1/batch", batch(call(segment.MaxItem)), batch(call(segment.MaxItem + 1)), 1},
		"a body":            {"/v1/batch", padded(segment.MaxBody), padded(segment.MaxBody + 1), 25},
		"calls of a batch":  {"/v1/batch", calls(segment.MaxItems), calls(segment.MaxItems + 1), segment.MaxItems},
	} {
		for _, way := range []string{"", "gzip"} {
			for body, want := range map[string]int{tc.fits: 200, tc.more: 413} {
				if way == "gzip" {
					body = zipped(t, body)
				}
				if code, answer, _ := r.do("POST", tc.path, body, "Authorization", "Bearer k-web", "Content-Encoding", way); code != want {
					t.Errorf("%s, encoding %q: got %d %.200s, want %d", name, way, code, answer, want)
				}
			}
			taken += tc.events
		}
	}
	if n := r.length(); n != taken {
		t.Errorf("events hold %d records, want %d: what was answered 200", n, taken)
	}
}

func zipped(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Many shoppers at once: what was answered 200 is there once, and each one's
// calls are in the order in which they were made.
func TestOrderOfEachCustomer(t *testing.T) {
	r := newRig(t)
	const customers, calls, each = 16, 20, 3
	var wg sync.WaitGroup
	for c := range customers {
		wg.Go(func() {
			for i := range calls {
				var items []string
				for j := range each {
					items = append(items, fmt.Sprintf(`{"type":"track","event":"x","userId":"c%d","messageId":"%d"}`, c, i*each+j))
				}
				if code, body, _ := r.post("/v1/batch", `{"batch":[`+strings.Join(items, ",")+`]}`); code != 200 {
					t.Errorf("got %d %s, want 200", code, body)
				}
			}
		})
	}
	wg.Wait()
	next := map[string]int{}
	for _, record := range r.events(customers * calls * each) {
		e := decode(t, record)
		if want := fmt.Sprint(next[e.GetCustomer()]); e.GetId() != want {
			t.Fatalf("customer %s: got event %s, want %s", e.GetCustomer(), e.GetId(), want)
		}
		next[e.GetCustomer()]++
	}
}

func value(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func TestNewRefuses(t *testing.T) {
	for want, c := range map[string]Config{
		"collector: AckTimeout: got 10ms, want at least 1s":                           {AckTimeout: 10 * time.Millisecond},
		"collector: MaxInFlightBytes: got 1, want at least 2048000, for a few bodies": {MaxInFlightBytes: 1},
		"collector: write keys: got an empty key or source, want both":                {WriteKeys: map[string]string{"": "web"}},
		"collector: signing secrets: got one of 5 bytes, want at least 16":            {SigningSecrets: map[string]string{"k": "short"}},
		"collector: listen tcp: address nowhere: missing port in address":             {Listen: "nowhere"},
	} {
		if _, err := New(c); err == nil || err.Error() != want {
			t.Errorf("New = %v, want %s", err, want)
		}
	}
}

// FuzzBody: whatever comes and whatever it says it is, no more is read than may
// be, and the room is given back.
func FuzzBody(f *testing.F) {
	s := &Station{room: semaphore.NewWeighted(4 * segment.MaxBody), metrics: newMetrics(prometheus.NewRegistry(), func() float64 { return 0 })}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(bytes.Repeat([]byte(" "), segment.MaxBody+1)) // into memory
	_ = w.Close()
	f.Add([]byte(`{"event":"x"}`), "", int64(13))
	f.Add(z.Bytes(), "gzip", int64(-1))
	f.Add(z.Bytes()[:20], "gzip", int64(20))
	f.Add([]byte("x"), "br", int64(1<<40))
	f.Fuzz(func(t *testing.T, sent []byte, encoding string, length int64) {
		r := httptest.NewRequest("POST", "/v1/track", bytes.NewReader(sent))
		r.ContentLength = length
		r.Header["Content-Encoding"] = []string{encoding}
		body, held, refused := s.read(r, segment.MaxBody)
		switch {
		case refused == nil && (len(body) > segment.MaxBody || encoding != "gzip" && !bytes.Equal(body, sent)):
			t.Errorf("took %d bytes of %d", len(body), len(sent))
		case refused != nil && refused.status != 400 && refused.status != 413 && refused.status != 415:
			t.Errorf("refused with %d: %s", refused.status, refused.Error)
		case refused == nil:
			held.giveBack()
			held.giveBack()
		}
		if !s.room.TryAcquire(4 * segment.MaxBody) {
			t.Fatal("room is still taken")
		}
		s.room.Release(4 * segment.MaxBody)
	})
}
