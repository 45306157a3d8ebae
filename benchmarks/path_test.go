package benchmarks

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/emersion/go-smtp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/deploy"
	"segue/processors/collector"
	"segue/processors/collector/returns"
	"segue/processors/customer"
	"segue/processors/sender"
	"segue/schemas"
	"segue/schemas/link"
	"segue/schemas/playbook"
)

// A cart is left on Monday at ten, and its reminders come, until it is bought.
func TestPathInVirtualTime(t *testing.T) {
	onMonday(t, func(t *testing.T, s *street) {
		shopper := shopper{t, s.browser, "ada"}
		shopper.call("identify", `"traits":{"email":"ada@shop.example","firstName":"Ada","timezone":"Europe/London"}`)
		shopper.track("Subscribed", `{}`)
		time.Sleep(time.Hour)
		shopper.track("Product Added", `{"cart_id":"c1","product_id":"mug","name":"Blue mug","price":12.50,"currency":"GBP","quantity":1}`)

		time.Sleep(61 * time.Minute)
		s.mails.want(t, "Mon 11:00 ada@shop.example")
		time.Sleep(24 * time.Hour)
		s.mails.want(t, "Mon 11:00 ada@shop.example", "Tue 11:00 ada@shop.example")

		// She buys an hour before the third reminder; nothing more comes.
		time.Sleep(3*24*time.Hour - 2*time.Hour)
		shopper.track("Order Completed", `{"order_id":"o1","total":12.50,"currency":"GBP","products":[{"product_id":"mug","name":"Blue mug","price":12.50}]}`)
		time.Sleep(24 * time.Hour)
		s.mails.want(t, "Mon 11:00 ada@shop.example", "Tue 11:00 ada@shop.example")

		// Virtual time takes the broker's for its own: what was sent is known to the fold.
		if got := outcomes(t, s.kafka); got != "SENT SENT" {
			t.Errorf("outcomes in events: got %s, want SENT SENT", got)
		}
	})
}

// street is everything from the storefront's call over HTTP to mails over SMTP and
// back to events, on a network, a disk and a clock that are memory: days in seconds.
type street struct {
	network kfake.VirtualNetwork
	kafka   []kgo.Opt
	browser *http.Client // of shoppers, and of providers that call back
	mails   mailbox
}

// Where it is reached; mails come to 2525.
const (
	front = "127.0.0.1:8080"
	back  = "127.0.0.1:2526"
)

// onMonday tells a story that begins at nine in the morning.
func onMonday(t *testing.T, story func(t *testing.T, s *street)) {
	synctest.Test(t, func(t *testing.T) {
		s := new(street)
		s.browser = &http.Client{Transport: &http.Transport{DialContext: s.network.DialContext}}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092), kfake.ListenFn(s.network.Listen), kfake.GroupMaxSessionTimeout(time.Hour))
		must(err)
		defer broker.Close()
		// What a client does while nothing happens is most of five days.
		s.kafka = []kgo.Opt{kgo.SeedBrokers(broker.ListenAddrs()...), kgo.Dialer(s.network.DialContext), kgo.DisableClientMetrics(),
			kgo.FetchMaxWait(10 * time.Minute), kgo.HeartbeatInterval(10 * time.Minute), kgo.SessionTimeout(30 * time.Minute), kgo.MetadataMaxAge(time.Hour)}
		client, err := kgo.NewClient(append(s.kafka, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		must(err)
		defer client.Close()
		createTopics(t, client, 2)
		time.Sleep(time.Until(time.Date(2000, 1, 3, 9, 0, 0, 0, time.UTC)))

		listen := func(at string) net.Listener {
			l, err := s.network.Listen("tcp", at)
			must(err)
			return l
		}
		server := smtp.NewServer(&s.mails)
		server.Domain = "inbox.example"
		go server.Serve(listen("127.0.0.1:2525"))
		defer server.Close()

		keys, err := link.NewKeys("a secret that is long enough")
		must(err)
		mailgun, err := returns.Mailgun(signingKey)
		must(err)
		office, err := returns.New(returns.Config{Kafka: s.kafka, Links: keys, Listener: listen(back), Webhooks: map[string]returns.Webhook{"mailgun": mailgun}})
		must(err)
		door, err := collector.New(collector.Config{Listener: listen(front), Kafka: s.kafka, WriteKeys: map[string]string{"key": "shop"}, Links: keys, Returns: office})
		must(err)
		fold, err := customer.New(customer.Config{Kafka: s.kafka, Instance: "one", Dir: "state", FS: vfs.NewCrashableMem(), Memory: 64 << 20})
		must(err)
		post, err := sender.New(sender.Config{Kafka: s.kafka, Instance: "one", PublicURL: "http://shop.example", Links: keys, ReturnPath: "bounces@shop.example",
			SMTP: sender.SMTP{Addr: "127.0.0.1:2525", Dial: s.network.DialContext}})
		must(err)
		defer office.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var stations sync.WaitGroup
		for _, run := range []func(context.Context) error{door.Run, office.Run, fold.Run, post.Run} {
			stations.Go(func() {
				if err := run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		applyPlaybook(t, client, 2)
		story(t, s)
		s.browser.CloseIdleConnections()
		cancel()
		stations.Wait()
	})
}

func createTopics(t *testing.T, client *kgo.Client, partitions int32) {
	t.Helper()
	for _, topic := range schemas.Topics {
		settings := map[string]*string{}
		for k, v := range topic.Config(false) {
			settings[k] = &v
		}
		n := int32(1)
		if topic.Partitioned {
			n = partitions
		}
		if _, err := kadm.NewClient(client).CreateTopic(t.Context(), n, 1, settings, topic.Name); err != nil {
			t.Fatalf("create topic %s: %v", topic.Name, err)
		}
	}
}

func applyPlaybook(t *testing.T, client *kgo.Client, partitions int32) {
	t.Helper()
	yaml, files, err := playbook.ReadFS(deploy.Files, deploy.Playbook)
	if err != nil {
		t.Fatal(err)
	}
	yaml = []byte(strings.Replace(string(yaml), "holdout: 5%", "holdout: 0%", 1))
	pb, err := playbook.Parse(deploy.Playbook, yaml, files)
	if err != nil {
		t.Fatal(err)
	}
	records := []*kgo.Record{{Topic: schemas.Playbooks, Key: []byte(pb.Version), Value: schemas.Encode(pb.Message())}}
	for p := range partitions {
		records = append(records, &kgo.Record{Topic: schemas.Events, Partition: p,
			Value: schemas.Encode(&schemas.Event{Body: &schemas.Event_Playbook{Playbook: &schemas.PlaybookInForce{Version: pb.Version}}})})
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// outcomes are the kinds of all outcomes in events.
func outcomes(t *testing.T, kafka []kgo.Opt) string {
	t.Helper()
	client, err := kgo.NewClient(append(kafka, kgo.ConsumeTopics(schemas.Events), kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var kinds []string
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return strings.Join(kinds, " ")
		}
		fetches.EachRecord(func(r *kgo.Record) {
			var e schemas.Event
			if err := schemas.Decode(r.Value, &e); err != nil {
				t.Error(err)
			}
			if o := e.GetOutcome(); o != nil {
				kinds = append(kinds, o.GetKind().String())
			}
		})
	}
}

// shopper calls the front door.
type shopper struct {
	t      *testing.T
	client *http.Client
	id     string
}

func (s shopper) track(event, properties string) {
	s.call("track", fmt.Sprintf(`"event":%q,"properties":%s`, event, properties))
}

func (s shopper) call(kind, fields string) {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+front+"/v1/"+kind, strings.NewReader(fmt.Sprintf(`{"userId":%q,%s}`, s.id, fields)))
	if err != nil {
		s.t.Fatal(err)
	}
	request.SetBasicAuth("key", "")
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s %s", kind, response.Status, body)
	}
}

// mailbox is an SMTP server that notes when which mail came.
type mailbox struct {
	mu    sync.Mutex
	got   []string
	paths map[string]string // of the last mail to each
}

// from is the return path of the last mail to an address.
func (m *mailbox) from(to string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.paths[to]
}

func (m *mailbox) want(t *testing.T, want ...string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if got := strings.Join(m.got, ", "); got != strings.Join(want, ", ") {
		t.Errorf("%s: mails: got %s, want %s", time.Now().UTC().Format("Mon 15:04"), got, strings.Join(want, ", "))
	}
}

func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{mailbox: m}, nil }

type session struct {
	mailbox  *mailbox
	from, to string
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	s.mailbox.mu.Lock()
	defer s.mailbox.mu.Unlock()
	s.mailbox.got = append(s.mailbox.got, time.Now().UTC().Format("Mon 15:04")+" "+s.to)
	if s.mailbox.paths == nil {
		s.mailbox.paths = map[string]string{}
	}
	s.mailbox.paths[s.to] = s.from
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }
