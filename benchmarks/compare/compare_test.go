package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"segue/benchmarks/workload"
)

func TestMain(m *testing.M) {
	childIfAsked()
	os.Exit(m.Run())
}

// testBench measures on the Kafka that SEGUE_TEST_BROKERS names, or skips the test.
func testBench(t *testing.T) *bench {
	brokers := os.Getenv("SEGUE_TEST_BROKERS")
	if brokers == "" {
		t.Skip("SEGUE_TEST_BROKERS is not set; deploy/kafka/run sets it")
	}
	c, err := connect(brokers, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.client.Close)
	b := &bench{cluster: c, dir: t.TempDir(), began: time.Now(), gogc: "100"}
	if b.self, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	return b
}

// All engines give the answers that the load asks for, and one that did not would
// be found out.
func TestKafkaSameAnswers(t *testing.T) {
	b := testBench(t)
	var err error
	if b.java, err = buildPeer(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := load{Workload: workload.Workload{Seed: 1, Customers: 1_000, Zipf: 1.1}, events: 20_000, bytes: 400, memory: 64 << 20}
	if err := l.produce(t.Context(), b.cluster, b.id("load")); err != nil {
		t.Fatal(err)
	}
	for _, e := range []engine{segue, uncached, bare} {
		got, err := b.overall(t.Context(), e, run{id: b.id("run"), load: l})
		if err != nil {
			t.Fatal(err)
		}
		if got.whole <= 0 || got.peak < 10 {
			t.Errorf("%s: got %+v, want CPU time and 10 MB or more of memory", e.name, got)
		}
	}
	l.want.Output(7, []byte("an output that nobody made"))
	if _, err := b.overall(t.Context(), segue, run{id: b.id("run"), load: l}); err == nil || !strings.Contains(err.Error(), "answers: got") {
		t.Errorf("with an output lost: got %v, want it said", err)
	}
}

func TestParseLoad(t *testing.T) {
	defaults := load{Workload: workload.Workload{Seed: 1}, events: 10, memory: 1 << 20}
	for text, want := range map[string]string{
		"100k":                "100k customers, uniform, 10 events, state 200 B",
		"1M~1.1":              "1M customers, Zipf(1.1), 10 events, state 200 B",
		"1M~1.1:1500*2M@2GiB": "1M customers, Zipf(1.1), 2M events, state 1496 B",
		"1500":                "1.5k customers, uniform, 10 events, state 200 B",
		"":                    "error: got \"\"",
		"1M:big":              "error: got \"big\"",
		"1M~0.5":              "error: got 1000000 customers, 10 events, Zipf 0.5",
		"1M@2":                "error: got \"2\", want a size",
		"1M@-2GiB":            "error: got \"-2GiB\", want a size",
		"0":                   "error: got 0 customers",
	} {
		l, err := parseLoad(text, defaults)
		if err != nil {
			if message, ok := strings.CutPrefix(want, "error: "); !ok || !strings.Contains(err.Error(), message) {
				t.Errorf("parseLoad(%q): got %v, want %s", text, err, want)
			}
			continue
		}
		if got := l.String(); got != want {
			t.Errorf("parseLoad(%q) = %s, want %s", text, got, want)
		}
	}
	if l, _ := parseLoad("1M@2GiB", defaults); l.memory != 2<<30 {
		t.Errorf("memory of 1M@2GiB: got %d, want %d", l.memory, 2<<30)
	}
}

func TestSeries(t *testing.T) {
	s := series{3, 1, 2, 10, 4}
	for q, want := range map[float64]float64{0: 1, .5: 3, .99: 10, 1: 10} {
		if got := s.quantile(q); got != want {
			t.Errorf("quantile(%g) = %g, want %g", q, got, want)
		}
	}
	if got, want := s.String(), "1.00 / **3.00** / 10.0"; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
	if got, want := s.over(series{6, 2}).String(), "0.50 / **0.50** / 0.50"; got != want {
		t.Errorf("over: got %s, want %s", got, want)
	}
	for x, want := range map[float64]string{math.NaN(): "–", 0: "0", 0.0234: "0.023", 0.234: "0.23", 2.34: "2.34", 23.45: "23.4", 1234.5: "1234"} {
		if got := figure(x); got != want {
			t.Errorf("figure(%g) = %s, want %s", x, got, want)
		}
	}
}

// A process that computes has used CPU time, and who listens is found.
func TestProcess(t *testing.T) {
	listening, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listening.Close()
	if pid, err := listener(listening.Addr().String()); err != nil || pid != os.Getpid() {
		t.Errorf("listener(%s) = %d, %v, want %d", listening.Addr(), pid, err, os.Getpid())
	}
	listening.Close()
	if pid, err := listener(listening.Addr().String()); err == nil {
		t.Errorf("listener(%s) = %d, want an error: nobody listens there", listening.Addr(), pid)
	}

	before, err := usageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for n := uint64(1); ; n = n*6364136223846793005 + 1 {
		if n%(1<<20) != 1 {
			continue
		}
		now, err := usageOf(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now.cpu > before.cpu && now.peak >= now.rss && now.rss > 1<<20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute of computing: got %+v, before it %+v", now, before)
		}
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	if u, err := usageOf(gone.Process.Pid); err == nil {
		t.Errorf("usage of a process that has ended: got %+v, want an error", u)
	}
}

func TestAttribute(t *testing.T) {
	shares, err := attribute(`File: compare
Type: cpu
-----------+-------------------------------------------------------
      30ms   runtime.memmove
             segue/benchmarks/workload.(*State).Append (inline)
             segue/benchmarks/fold.(*Task).Encode
             segue/processors/stream.(*fold).encode
-----------+-------------------------------------------------------
    pebble:  wal-sync
      10ms   internal/runtime/syscall.Syscall6
             github.com/cockroachdb/pebble/v2/vfs.(*syncingFile).Write
-----------+-------------------------------------------------------
     1.20s   runtime.scanObject
             runtime.gcBgMarkWorker
-----------+-------------------------------------------------------
      20ms   somebody.else
-----------+-------------------------------------------------------
`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]time.Duration{
		"encode states and outputs": 30 * time.Millisecond, "store (Pebble), its file I/O too": 10 * time.Millisecond,
		"garbage collection": 1200 * time.Millisecond, other: 20 * time.Millisecond,
	} {
		if shares[name] != want {
			t.Errorf("%s: got %v, want %v", name, shares[name], want)
		}
	}
	if _, err := attribute("File: compare\n"); err == nil {
		t.Error("a profile without samples: got no error")
	}
}

// A picture is well-formed, and higher is more.
func TestChart(t *testing.T) {
	b := &bench{pictures: t.TempDir(), out: io.Discard}
	up := line{name: "up", x: []float64{1e4, 1e5, 1e6}, y: []float64{1, 3, 25}}
	if err := b.chart("up.svg", "Up & on", "customers", "µs", up); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(b.pictures, "up.svg"))
	if err != nil {
		t.Fatal(err)
	}
	var picture struct {
		Circles []struct {
			X float64 `xml:"cx,attr"`
			Y float64 `xml:"cy,attr"`
		} `xml:"circle"`
	}
	if err := xml.Unmarshal(text, &picture); err != nil || strings.Contains(string(text), "%!") {
		t.Fatalf("%v in\n%s", err, text)
	}
	c := picture.Circles
	if len(c) != 3 || c[0].X >= c[1].X || c[1].X >= c[2].X || c[0].Y <= c[1].Y || c[1].Y <= c[2].Y || c[2].Y < 0 {
		t.Errorf("got points %v, want three that rise", c)
	}
}

// The playbook with other segments is a playbook.
func TestShopPlaybook(t *testing.T) {
	for _, n := range []int{1, 1000} {
		pb, err := shopPlaybook(n)
		if err != nil {
			t.Fatal(err)
		}
		if len(pb.Segments) != n {
			t.Errorf("shopPlaybook(%d): got %d segments", n, len(pb.Segments))
		}
	}
	pb, err := shopPlaybook(-1)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{seed: 1}
	f, err := foldAlone(b.shop(100, 2_000), pb)
	if err != nil {
		t.Fatal(err)
	}
	if f.wakes < 0.02 || f.wakes > 1 || f.profile < 200 {
		t.Errorf("fold alone: got %+v, want some wake-ups, fewer than events, and a profile of 200 bytes or more", f)
	}
}

// A slow wire lets no more through than it is told to, and changes nothing.
func TestWire(t *testing.T) {
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	sent := make([]byte, 64<<10)
	for i := range sent {
		sent[i] = byte(i / 251)
	}
	go func() {
		for {
			conn, err := far.Accept()
			if err != nil {
				return
			}
			conn.Write(sent)
			conn.Close()
		}
	}()
	w, err := newWire(far.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	const rate = 256 << 10
	w.slow(rate)
	began := time.Now()
	for range 2 { // they share it
		conn, err := net.Dial("tcp", w.addr())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		conn.Close()
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("got %d bytes, %v, want the %d that were sent", len(got), err, len(sent))
		}
	}
	if took, least := time.Since(began), 2*time.Second*time.Duration(len(sent))/rate; took < least {
		t.Errorf("took %v, want %v or more", took, least)
	}
}

func TestGrown(t *testing.T) {
	then := lap{resident: 100, disk: 10, goroutines: 30}
	if err := grown(then, lap{resident: 120, disk: 20, goroutines: 35}); err != nil {
		t.Errorf("got %v of what a moment makes", err)
	}
	for want, later := range map[string]lap{
		"100 MB resident after 24 weeks, 140 after 48": {resident: 140, disk: 10, goroutines: 30},
		"10.0 MB on disk after 24 weeks, 80.0":         {resident: 100, disk: 80, goroutines: 30},
		"30.0 goroutines after 24 weeks, 60.0":         {resident: 100, disk: 10, goroutines: 60},
	} {
		if err := grown(then, later); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("grown(%v, %v) = %v, want %s", then, later, err, want)
		}
	}
}

// While the network is slow, events wait in Kafka; then every cart has its mail.
func TestKafkaSlowNetwork(t *testing.T) {
	b := testBench(t)
	b.seconds = time.Second
	r, err := b.under(t.Context(), trouble{"slow", (*path).slowNetwork})
	if err != nil {
		t.Fatal(err)
	}
	if r.carts < 500 || r.mails+r.doubted < r.carts || r.most.events < offered/10 {
		t.Errorf("got %+v, want a mail for each of 500 carts or more, and a tenth of a second of events that waited", r)
	}
}
