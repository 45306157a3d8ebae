package collector

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"segue/processors/collector/segment"
	"segue/schemas/link"
)

func impatient(c *Config) {
	c.AckTimeout = time.Second
	c.Kafka = append(c.Kafka, kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }))
}

// Kafka is gone: no call is answered 200, and shoppers still reach the shop.
func TestKafkaAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, impatient, func(c *Config) { c.MaxClicks = 3 })
	if code, body, _ := r.post("/v1/track", `{"event":"x","userId":"ada"}`); code != 200 {
		t.Fatalf("with Kafka: got %d %s, want 200", code, body)
	}
	r.kafka.Close()
	began := time.Now()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			code, body, header := r.post("/v1/track", fmt.Sprintf(`{"event":"x","userId":"c%d"}`, i))
			if code != 503 || header.Get("Retry-After") != "5" || !strings.Contains(body, "Kafka has not acknowledged") {
				t.Errorf("got %d %s, want 503 with Retry-After", code, body)
			}
		})
	}
	wg.Go(func() {
		code, body, header := r.do("POST", r.keys.URL(r.url, link.Link{Kind: link.Unsubscribe, Customer: "ada"}), "")
		if code != 503 || header.Get("Retry-After") != "5" || !strings.Contains(body, "press the button again") {
			t.Errorf("unsubscribe: got %d %s, want 503 and a page", code, body)
		}
	})
	wg.Wait()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("503 took %v, want about AckTimeout, %v", took, time.Second)
	}
	for range 5 {
		code, _, header := r.do("GET", r.keys.URL(r.url, link.Link{Kind: link.Click, Customer: "ada", URL: "https://shop.example/"}), "")
		if code != 302 || header.Get("Location") != "https://shop.example/" {
			t.Errorf("click: got %d to %s, want 302 to the shop", code, header.Get("Location"))
		}
	}
	r.stop()
	if got := value(t, r.metrics.clicksLost); got != 5 { // two had no room, three were still there at the end
		t.Errorf("clicks lost = %v, want 5", got)
	}
	if n := r.Pending(); n != 0 {
		t.Errorf("Pending() after the end = %d, want 0", n)
	}
}

// The connection breaks after a call's events were sent: it is answered 503, its
// fate is open, and sending it again is safe, since the id is the same.
func TestLostAcknowledgement(t *testing.T) {
	t.Parallel()
	r := newRig(t, impatient)
	var whole atomic.Bool
	r.kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.kafka.KeepControl()
		if whole.Load() {
			return nil, nil, false
		}
		return nil, errors.New("the connection is cut"), true
	})
	const call = `{"event":"x","userId":"ada","messageId":"m"}`
	code, body, _ := r.post("/v1/track", call)
	if code != 503 {
		t.Fatalf("while the connection is cut: got %d %s, want 503", code, body)
	}
	whole.Store(true)
	for tries := 0; code == 503 && tries < 10; tries++ { // the client backs off for a while
		code, body, _ = r.post("/v1/track", call)
	}
	if code != 200 {
		t.Fatalf("afterwards: got %d %s, want 200", code, body)
	}
	r.stop()
	records := r.events(r.length())
	for _, record := range records {
		if e := decode(t, record); e.GetId() != "m" {
			t.Errorf("got event %s, want m", e.GetId())
		}
	}
	if len(records) == 0 {
		t.Error("got no event of what was answered 200")
	}
}

// What is read, or waits for Kafka, is bounded: beyond that a call is answered
// 429 at once, and room is free again when Kafka has what waited.
func TestTooMuchAtOnce(t *testing.T) {
	t.Parallel()
	const all = 4 * segment.MaxBody
	r := newRig(t, func(c *Config) { c.MaxInFlightBytes = all })
	entered, hold := r.holdProduce()
	first := make(chan int, 1)
	go func() {
		code, _, _ := r.post("/v1/track", `{"event":"x","userId":"ada"}`)
		first <- code
	}()
	<-entered
	const others = all - segment.MaxBody
	if !r.room.TryAcquire(others) {
		t.Fatal("there is no room for other calls")
	}
	large := `{"batch":[{"type":"track","event":"x","userId":"ada"}],"padding":"`
	large += strings.Repeat("x", segment.MaxBody-len(large)-2) + `"}`
	code, body, header := r.post("/v1/batch", large)
	if after, _ := strconv.Atoi(header.Get("Retry-After")); code != 429 || !strings.Contains(body, "too much comes at once") || after < 1 || after > 5 {
		t.Errorf("while it is full: got %d %s, want 429 at once, with Retry-After from 1 to 5", code, body)
	}
	if got := r.room.TryAcquire(segment.MaxBody - 100<<10); !got {
		t.Error("what was answered 429 has not given its room back")
	}
	r.room.Release(segment.MaxBody - 100<<10)
	close(hold)
	if code := <-first; code != 200 {
		t.Errorf("the first call: got %d, want 200", code)
	}
	r.room.Release(others)
	if code, body, _ := r.post("/v1/batch", large); code != 200 {
		t.Errorf("with room again: got %d %s, want 200", code, body)
	}
	r.events(2)
	if !r.room.TryAcquire(all) {
		t.Error("room is still taken when nothing waits")
	}
}

// Who says that much will come, and sends little, holds room for little, packed
// or not.
func TestDawdlersHoldLittle(t *testing.T) {
	t.Parallel()
	const all = 4 * segment.MaxBody
	r := newRig(t, func(c *Config) { c.MaxInFlightBytes = all })
	for i := range 200 {
		connection, err := net.Dial("tcp", r.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		encoding := []string{"identity", "gzip"}[i%2]
		fmt.Fprintf(connection, "POST /v1/batch HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n", encoding, segment.MaxBody)
		if line, err := bufio.NewReader(connection).ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" { // it reads now
			t.Fatalf("dawdler %d: got %q, %v, want to be asked for the body", i+1, line, err)
		}
	}
	call := `{"batch":[{"type":"track","event":"x","userId":"ada"}],"padding":"` + strings.Repeat("x", 100<<10) + `"}`
	if code, body, _ := r.post("/v1/batch", call); code != 200 {
		t.Errorf("got %d %s, want 200", code, body)
	}
}

// While many connections are open none is kept for a next call, and beyond the
// bound a new one waits until another ends.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.MaxConnections = 2 })
	if _, _, header := r.post("/v1/track", `{"event":"x","userId":"ada"}`); header.Get("Connection") == "close" {
		t.Error("one connection of two: it is not kept")
	}
	idle, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	for r.connections.Load() < 2 {
		runtime.Gosched()
	}
	third := make(chan int, 1)
	go func() {
		a, err := (&http.Client{Transport: &http.Transport{}}).Get(r.url + "/u/x")
		if err != nil {
			t.Error(err)
			third <- 0
			return
		}
		_ = a.Body.Close()
		third <- a.StatusCode
	}()
	if code, _, _ := r.do("GET", "/u/x", ""); code != 404 { // by the connection that was kept
		t.Errorf("got %d, want 404", code)
	}
	if code := <-third; code != 404 { // that one is closed now
		t.Errorf("the third connection: got %d, want 404", code)
	}
}

// The station ends while a call waits: it is answered when Kafka has it.
func TestStopFinishesWhatItTook(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entered, hold := r.holdProduce()
	answered := make(chan int, 1)
	go func() {
		code, _, _ := r.post("/v1/track", `{"event":"x","userId":"ada"}`)
		answered <- code
	}()
	<-entered
	stopped := make(chan struct{})
	go func() { defer close(stopped); r.stop() }()
	for r.listening() {
	}
	close(hold)
	if code := <-answered; code != 200 {
		t.Errorf("the call that was under way: got %d, want 200", code)
	}
	<-stopped
	r.events(1)
}

// holdProduce makes Kafka wait before it writes what comes next.
func (r *rig) holdProduce() (entered, hold chan struct{}) {
	entered, hold = make(chan struct{}), make(chan struct{})
	r.kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.kafka.DropControl()
		r.kafka.SleepControl(func() {
			close(entered)
			<-hold
		})
		return nil, nil, false
	})
	return entered, hold
}

// Ready comes with the first answer of Kafka, stays while Kafka is away, since
// shoppers must still be redirected, and goes with the station.
func TestReady(t *testing.T) {
	t.Parallel()
	type said struct {
		ok  bool
		why string
	}
	all := make(chan said, 9)
	r := newRig(t, impatient, func(c *Config) { c.Ready = func(ok bool, why string) { all <- said{ok, why} } })
	if got, want := <-all, (said{true, ""}); got != want {
		t.Errorf("with Kafka: got %v, want %v", got, want)
	}
	r.kafka.Close()
	if code, _, _ := r.post("/v1/track", `{"event":"x","userId":"ada"}`); code != 503 {
		t.Errorf("without Kafka: got %d, want 503", code)
	}
	r.stop()
	if got, want := <-all, (said{false, "stopping"}); got != want {
		t.Errorf("at the end: got %v, want %v", got, want)
	}
}

// listening reports whether the station still takes new connections.
func (r *rig) listening() bool {
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := fresh.Get(r.url + "/")
	if err != nil {
		return false
	}
	_ = a.Body.Close()
	return true
}
