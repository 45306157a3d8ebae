package benchmarks

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/emersion/go-smtp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/collector"
	"segue/processors/collector/returns"
	"segue/processors/customer"
	"segue/processors/sender"
	"segue/schemas/link"
)

// Ada's and Bob's carts are left. Ada's reminder comes back from her mail server,
// Bob calls his spam and a provider tells it twice: neither gets the second one.
// Everything runs, from HTTP to SMTP and back over SMTP and a webhook.
func TestMailsThatComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var network kfake.VirtualNetwork
		broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092), kfake.ListenFn(network.Listen), kfake.GroupMaxSessionTimeout(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		defer broker.Close()
		kafka := []kgo.Opt{kgo.SeedBrokers(broker.ListenAddrs()...), kgo.Dialer(network.DialContext), kgo.DisableClientMetrics(),
			kgo.FetchMaxWait(10 * time.Minute), kgo.HeartbeatInterval(10 * time.Minute), kgo.SessionTimeout(30 * time.Minute), kgo.MetadataMaxAge(time.Hour)}
		client, err := kgo.NewClient(append(kafka, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		createTopics(t, client, 2)
		monday := time.Date(2000, 1, 3, 9, 0, 0, 0, time.UTC)
		time.Sleep(time.Until(monday))

		var mails mailbox
		inbox, err := network.Listen("tcp", "127.0.0.1:2525")
		if err != nil {
			t.Fatal(err)
		}
		server := smtp.NewServer(&mails)
		server.Domain = "inbox.example"
		go server.Serve(inbox)
		defer server.Close()

		keys, err := link.NewKeys("a secret that is long enough")
		if err != nil {
			t.Fatal(err)
		}
		back, err := network.Listen("tcp", "127.0.0.1:2526")
		if err != nil {
			t.Fatal(err)
		}
		mailgun, err := returns.Mailgun(signingKey)
		if err != nil {
			t.Fatal(err)
		}
		office, err := returns.New(returns.Config{Kafka: kafka, Links: keys, Listener: back, Webhooks: map[string]returns.Webhook{"mailgun": mailgun}})
		if err != nil {
			t.Fatal(err)
		}
		web, err := network.Listen("tcp", "127.0.0.1:8080")
		if err != nil {
			t.Fatal(err)
		}
		front, err := collector.New(collector.Config{Listener: web, Kafka: kafka, WriteKeys: map[string]string{"key": "shop"}, Links: keys, Returns: office})
		if err != nil {
			t.Fatal(err)
		}
		fold, err := customer.New(customer.Config{Kafka: kafka, Instance: "one", Dir: "state", FS: vfs.NewCrashableMem(), Memory: 64 << 20})
		if err != nil {
			t.Fatal(err)
		}
		post, err := sender.New(sender.Config{Kafka: kafka, Instance: "one", PublicURL: "http://shop.example", Links: keys, ReturnPath: "bounces@shop.example",
			SMTP: sender.SMTP{Addr: "127.0.0.1:2525", Dial: network.DialContext}})
		if err != nil {
			t.Fatal(err)
		}
		var stations sync.WaitGroup
		for _, run := range []func(context.Context) error{front.Run, office.Run, fold.Run, post.Run} {
			stations.Go(func() {
				if err := run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		applyPlaybook(t, client, 2)

		browser := &http.Client{Transport: &http.Transport{DialContext: network.DialContext}}
		for _, name := range []string{"ada", "bob"} {
			shopper := shopper{t, browser, name}
			shopper.call("identify", fmt.Sprintf(`"traits":{"email":"%s@shop.example","firstName":"X","timezone":"Europe/London"}`, name))
			shopper.track("Subscribed", `{}`)
		}
		time.Sleep(time.Hour)
		for _, name := range []string{"ada", "bob"} {
			shopper{t, browser, name}.track("Product Added", `{"cart_id":"c1","product_id":"mug","name":"Blue mug","price":12.50,"currency":"GBP","quantity":1}`)
			time.Sleep(time.Minute)
		}
		time.Sleep(61 * time.Minute)
		mails.want(t, "Mon 11:00 ada@shop.example", "Mon 11:01 bob@shop.example")

		for range 2 { // a provider that heard no answer tells it again
			complain(t, browser, mails.from("bob@shop.example"))
		}
		conn, err := network.DialContext(ctx, "tcp", "127.0.0.1:2526")
		if err != nil {
			t.Fatal(err)
		}
		answering := smtp.NewClient(conn)
		path := mails.from("ada@shop.example")
		if err := answering.SendMail("", []string{path}, strings.NewReader(giveBack)); err != nil {
			t.Fatal(err)
		}
		if err := answering.Quit(); err != nil {
			t.Fatal(err)
		}

		time.Sleep(5 * 24 * time.Hour)
		mails.want(t, "Mon 11:00 ada@shop.example", "Mon 11:01 bob@shop.example")
		got := outcomes(t, kafka)
		for what, want := range map[string]int{"SENT": 2, "BOUNCED": 1, "COMPLAINED": 2, "SKIPPED": 4} {
			if n := strings.Count(" "+got+" ", " "+what); n != want {
				t.Errorf("outcomes in events: got %s, want %d %s", got, want, what)
			}
		}
		browser.CloseIdleConnections()
		cancel()
		stations.Wait()
	})
}

const signingKey = "the webhook signing key"

// complain is Mailgun, which was told that a mail is called spam.
func complain(t *testing.T, browser *http.Client, path string) {
	t.Helper()
	timestamp, token := fmt.Sprint(time.Now().Unix()), "e0b5477167110d68991efc6b9f89f0a1"
	mac := hmac.New(sha256.New, []byte(signingKey))
	mac.Write([]byte(timestamp + token))
	body := fmt.Sprintf(`{"signature":{"timestamp":%q,"token":%q,"signature":%q},"event-data":{"event":"complained","user-variables":{"segue-return":%q}}}`,
		timestamp, token, hex.EncodeToString(mac.Sum(nil)), path)
	answer, err := browser.Post("http://127.0.0.1:8080/v1/returns/mailgun", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if said, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		t.Fatalf("complaint: %s %s", answer.Status, said)
	}
}

const giveBack = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" +
	"Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; ada@shop.example\r\nAction: failed\r\nStatus: 5.1.1\r\n" +
	"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n--b--\r\n"
