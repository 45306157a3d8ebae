// Package clients holds what shops say through Segment's own clients, and that
// the collector understands it: each client as its registry has it, told nothing
// but where to send.
package clients

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/collector"
	"segue/schemas"
	"segue/schemas/link"
)

// said is what each server says, in any order; @ stands for the client.
var said = []string{
	"ada-@: email ada@shop.example", "ada-@: cart mug 12500000 GBP", "ada-@: visit https://shop.example/", "ada-@: visit Cart",
	"ada-@: group club", "anon-@: is ada-@",
}

func TestKafkaClients(t *testing.T) {
	r := newRig(t)
	t.Run("node", func(t *testing.T) {
		needs(t, "node", "npm")
		cmd := exec.Command("node", "javascript/server.js", r.url, "k-node")
		cmd.Env = append(os.Environ(), "NODE_PATH="+installed(t, "javascript"))
		run(t, cmd)
		r.heard(t, "node", said)
	})
	t.Run("python", func(t *testing.T) {
		needs(t, "python3")
		run(t, exec.Command(installed(t, "python"), "python/server.py", r.url, "k-python"))
		r.heard(t, "python", said)
	})
	t.Run("go", func(t *testing.T) {
		cmd := exec.Command("go", "run", ".", r.url, "k-go")
		cmd.Dir = "go"
		run(t, cmd)
		r.heard(t, "go", said)
	})
	t.Run("browser", func(t *testing.T) {
		needs(t, "node", "npm", "chromium")
		defer r.browse(t, installed(t, "javascript"))() // what a page that is left sends, the browser sends after it
		// Who the visitor is, is known from the third call on.
		r.heard(t, "browser", []string{
			"(visitor): visit https://shop.example/", "(visitor): cart mug 12500000 GBP",
			"ada-@: email ada@shop.example", "(visitor): is ada-@", "ada-@: visit Cart", "ada-@: group club", "anon-@: is ada-@",
			"ada-@: Text Beacon", "ada-@: JSON Beacon", "ada-@: Quiz Started", "ada-@: Quiz Finished",
		})
	})
}

// rig is a collector before a real Kafka.
type rig struct {
	url   string
	kafka *kgo.Client // reads events
}

func newRig(t *testing.T) *rig {
	brokers := os.Getenv("SEGUE_TEST_BROKERS")
	if brokers == "" {
		t.Skip("SEGUE_TEST_BROKERS is not set; deploy/kafka/run sets it")
	}
	prefix := fmt.Sprintf("clients-%d-", time.Now().UnixNano())
	seeds := kgo.SeedBrokers(strings.Split(brokers, ",")...)
	kafka, err := kgo.NewClient(seeds, kgo.ConsumeTopics(prefix+schemas.Events), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	topics := kadm.NewClient(kafka)
	if _, err := topics.CreateTopic(t.Context(), 3, 1, nil, prefix+schemas.Events); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { topics.DeleteTopics(context.Background(), prefix+schemas.Events) })
	links, err := link.NewKeys("a secret of the test's own")
	if err != nil {
		t.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	s, err := collector.New(collector.Config{Listen: "127.0.0.1:0", Kafka: []kgo.Opt{seeds}, Prefix: prefix, Links: links, Metrics: metrics,
		WriteKeys: map[string]string{"k-node": "node", "k-python": "python", "k-go": "go", "k-browser": "browser"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		noneRefused(t, metrics)
	})
	return &rig{url: "http://" + s.Addr().String(), kafka: kafka}
}

// noneRefused: nothing that a client asked was answered otherwise than well.
func noneRefused(t *testing.T, metrics *prometheus.Registry) {
	all, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range all {
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "code" && label.GetValue() != "200" && label.GetValue() != "204" {
					t.Errorf("answers: %v", m)
				}
			}
		}
	}
}

// heard waits for what a source is to say, and compares.
func (r *rig) heard(t *testing.T, source string, want []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []string
	for len(got) < len(want) {
		fetched := r.kafka.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			t.Errorf("%s: heard %d of %d: %v", source, len(got), len(want), err)
			break
		}
		for _, record := range fetched.Records() {
			e := new(schemas.Event)
			if err := schemas.Decode(record.Value, e); err != nil {
				t.Fatal(err)
			}
			if e.GetSource() != source {
				t.Errorf("%s said %v, want nothing of it any more", e.GetSource(), e)
			}
			got = append(got, told(e))
		}
	}
	all := slices.Clone(want)
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], "-@", "-"+source)
	}
	slices.Sort(got)
	slices.Sort(all)
	if !slices.Equal(got, all) {
		t.Errorf("%s said\n%s\nwant\n%s", source, strings.Join(got, "\n"), strings.Join(all, "\n"))
	}
}

// told is what an event says. A visitor's name is drawn in the browser.
func told(e *schemas.Event) string {
	who := func(name string) string {
		if len(name) == len("00000000-0000-4000-8000-000000000000") {
			return "(visitor)"
		}
		return name
	}(e.GetCustomer()) + ": "
	switch {
	case e.GetIdentify() != nil && e.GetIdentify().GetTraits()["group"] != "":
		return who + "group " + e.GetIdentify().GetTraits()["group"]
	case e.GetIdentify() != nil:
		return who + "email " + e.GetIdentify().GetEmail()
	case e.GetCart() != nil:
		p := e.GetCart().GetProduct()
		return fmt.Sprintf("%scart %s %d %s", who, p.GetId(), p.GetPriceMicros(), e.GetCart().GetCurrency())
	case e.GetVisit() != nil && e.GetVisit().GetTitle() == "Cart":
		return who + "visit Cart"
	case e.GetVisit() != nil:
		return who + "visit " + e.GetVisit().GetUrl()
	case e.GetLink() != nil:
		return who + "is " + e.GetLink().GetKnown()
	case e.GetNamed() != nil:
		return who + e.GetNamed().GetName()
	}
	return who + e.String()
}

// browse walks a real browser through the pages of a shop, and returns what ends it.
func (r *rig) browse(t *testing.T, modules string) (quit func()) {
	end := make(chan struct{}, 1)
	pages := http.NewServeMux()
	pages.HandleFunc("GET /", func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><script src="/client/index.js"></script><script src="/page.js"></script>`)
		if q.URL.Path == "/end" {
			end <- struct{}{}
		}
	})
	pages.Handle("GET /client/", http.StripPrefix("/client/", http.FileServer(http.Dir(filepath.Join(modules, "@segment/analytics-next/dist/umd")))))
	pages.HandleFunc("GET /page.js", func(w http.ResponseWriter, q *http.Request) { http.ServeFile(w, q, "javascript/page.js") })
	shop := httptest.NewServer(pages)
	t.Cleanup(shop.Close)

	var output bytes.Buffer
	cmd := exec.Command("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-dev-shm-usage", "--enable-logging=stderr", "--user-data-dir="+t.TempDir(),
		shop.URL+"/?writeKey=k-browser&collector="+r.url)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-end:
	case <-time.After(time.Minute):
		t.Error("the browser did not come to the last page within a minute")
	}
	return func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s", &output)
		}
	}
}

// needs skips where a tool is not there.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here; Debian: apt-get install nodejs npm python3-venv chromium", tool)
		}
	}
}

// installed installs a language's clients and returns where they are.
func installed(t *testing.T, language string) string {
	t.Helper()
	return strings.TrimSpace(run(t, exec.Command("./"+language+"/install")))
}

func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, &stderr)
	}
	return string(stdout)
}
