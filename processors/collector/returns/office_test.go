package returns

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	netsmtp "net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream"
	"segue/processors/stream/streamtest"
	"segue/schemas"
	"segue/schemas/link"
)

const returnPath = "bounces@mail.shop.example"

// now is when everything happens.
var now = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// rig is an office before a Kafka in which one mail to Ada stands.
type rig struct {
	t *testing.T
	*Office
	kafka *streamtest.Cluster
	keys  link.Keys
	// path is the return path of that mail, unsubscribe its link.
	path, unsubscribe string
	web               *httptest.Server
	// end ends Run, and waits for it.
	end func()
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, kafka: streamtest.Fake(t)}
	r.kafka.Create(2, schemas.Events, schemas.Deliveries)
	var err error
	if r.keys, err = link.NewKeys("a secret of the test's own"); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*schemas.Delivery{{Id: "d0", Customer: "bob"}, ada, {Id: "d2", Customer: "eve"}} {
		r.kafka.Produce(&kgo.Record{Topic: schemas.Deliveries, Key: []byte("same partition"), Timestamp: now,
			Value: schemas.Encode(&schemas.DeliveryCommand{Command: &schemas.DeliveryCommand_Send{Send: d}})})
	}
	for partition, records := range r.kafka.Committed(schemas.Deliveries) {
		if len(records) > 0 {
			r.path = r.keys.ReturnPath(returnPath, link.Return{Partition: partition, Offset: 1, Print: link.Fingerprint(ada.Id)})
		}
	}
	r.unsubscribe = "<" + r.keys.URL("https://t.shop.example", link.Link{Kind: link.Unsubscribe, Customer: "ada", Delivery: ada.Id, Journey: "cart", Step: 2}) + ">"
	c := Config{Kafka: r.kafka.Opts(), Prefix: r.kafka.Prefix, Links: r.keys, Clock: stream.NewVirtualClock(now), Complaints: []string{"complaints@shop.example"}}
	if c.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&c)
	}
	if r.Office, err = New(c); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/returns/{provider}", r.Office)
	r.web = httptest.NewServer(mux)
	t.Cleanup(r.web.Close)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(r.Close)
	r.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	t.Cleanup(r.end)
	return r
}

var ada = &schemas.Delivery{Id: "d1", Customer: "ada", Journey: "cart", Step: 2, Instance: "cart:c1", Message: "second", Playbook: "main@000000000001", To: "ada@example.com"}

// report is a delivery report to a return path, of a mail that had a link.
func report(to, unsubscribe, status string) string {
	return strings.ReplaceAll(`From: MAILER-DAEMON@mx.example.com
To: `+to+`
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; ada@forwarded.example
Action: failed
Status: `+status+`
Diagnostic-Code: smtp; 550 `+status+` that is how it is

--b
Content-Type: text/rfc822-headers

Subject: Your cart
List-Unsubscribe: `+unsubscribe+`

--b--
`, "\n", "\r\n")
}

// post sends one mail to the office's SMTP server.
func (r *rig) post(to, mail string) error {
	r.t.Helper()
	c, err := smtp.Dial(r.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	return c.SendMail("", []string{to}, strings.NewReader(mail))
}

// call posts to a provider's webhook.
func (r *rig) call(name string, header http.Header, body []byte) (int, string) {
	r.t.Helper()
	q := must[*http.Request](r.t)(http.NewRequest("POST", r.web.URL+"/v1/returns/"+name, strings.NewReader(string(body))))
	q.Header = header
	a := must[*http.Response](r.t)(http.DefaultClient.Do(q))
	defer a.Body.Close()
	return a.StatusCode, strings.TrimSuffix(string(must[[]byte](r.t)(io.ReadAll(a.Body))), "\n")
}

// want compares the events, told in short, with lines.
func (r *rig) want(lines ...string) {
	r.t.Helper()
	var got []string
	for _, records := range r.kafka.Committed(schemas.Events) {
		for _, record := range records {
			var e schemas.Event
			if err := schemas.Decode(record.Value, &e); err != nil {
				r.t.Fatal(err)
			}
			o := e.GetOutcome()
			line := fmt.Sprintf("%s %s: %s %s, %s step %d %s (%s)", e.GetCustomer(), e.GetId(), strings.ToLower(o.GetKind().String()), o.GetAddress(), o.GetJourney(), o.GetStep(), o.GetMessage(), o.GetSmtpReply())
			if o.GetSoft() {
				line += ", soft"
			}
			if string(record.Key) != e.GetCustomer() || e.GetSource() != source || !record.Timestamp.Equal(now) || schemas.Millis(e.GetOccurredAt()) != now.UnixMilli() {
				r.t.Errorf("event %s: got key %s from %s at %v, want %s from %s at %v", e.GetId(), record.Key, e.GetSource(), record.Timestamp, e.GetCustomer(), source, now)
			}
			got = append(got, line)
		}
	}
	slices.Sort(got)
	slices.Sort(lines)
	if !slices.Equal(got, lines) {
		r.t.Errorf("events:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(lines, "\n     "))
	}
}

// A mail server gives the mail back to its return path: all that is told of it is
// the delivery's own, but for what the server said.
func TestMailGivenBack(t *testing.T) {
	r := newRig(t, nil)
	if err := r.post(r.path, report(r.path, r.unsubscribe, "5.1.1")); err != nil {
		t.Fatal(err)
	}
	// An address may lose its capitals' ways, and a full mailbox is not a wrong one.
	if err := r.post(strings.ToUpper(r.path), report("", "", "5.2.2")); err != nil {
		t.Fatal(err)
	}
	r.want("ada d1/bounced: bounced ada@example.com, cart step 2 second (550 5.1.1 that is how it is)",
		"ada d1/bounced-soft: bounced ada@example.com, cart step 2 second (550 5.2.2 that is how it is), soft")
}

// The same again, and over another way, is the same event: it folds once.
func TestToldTwice(t *testing.T) {
	p := sendGridOf(t)
	r := newRig(t, func(c *Config) { c.Webhooks = map[string]Webhook{"sendgrid": p.hook} })
	header, body := p.sign(`[{"event":"bounce","type":"bounce","email":"ada@example.com","reason":"550 5.1.1 that is how it is","segue_return":"`+r.path+`"}]`, now)
	for range 2 {
		if code, answer := r.call("sendgrid", header, body); code != 200 || answer != `{"success":true}` {
			t.Fatalf("got %d %s, want 200", code, answer)
		}
	}
	if err := r.post(r.path, report(r.path, r.unsubscribe, "5.1.1")); err != nil {
		t.Fatal(err)
	}
	const once = "ada d1/bounced: bounced ada@example.com, cart step 2 second (550 5.1.1 that is how it is)"
	r.want(once, once, once)
}

// What is under way when the office ends still reaches Kafka: webhooks as long as
// the collector answers, and a mail that has begun to come in.
func TestLastReturns(t *testing.T) {
	p := sendGridOf(t)
	r := newRig(t, func(c *Config) { c.Webhooks = map[string]Webhook{"sendgrid": p.hook} })
	c := must[*smtp.Client](t)(smtp.Dial(r.Listener.Addr().String()))
	defer c.Close()
	if err := errors.Join(c.Mail("", nil), c.Rcpt(r.path, nil)); err != nil {
		t.Fatal(err)
	}
	w := must[*smtp.DataCommand](t)(c.Data())
	mail := report(r.path, "", "5.2.2")
	if _, err := io.WriteString(w, mail[:100]); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); r.end() }()
	for { // until it takes no new ones
		other, err := net.Dial("tcp", r.Listener.Addr().String())
		if err != nil {
			break
		}
		other.Close()
	}
	select {
	case <-ended:
		t.Error("Run returned while a mail was under way")
	case <-time.After(50 * time.Millisecond):
	}
	_, err := io.WriteString(w, mail[100:])
	if err = errors.Join(err, w.Close(), c.Quit()); err != nil {
		t.Errorf("a mail that was under way: %v, want it taken", err)
	}
	<-ended
	header, body := p.sign(`[{"event":"bounce","type":"bounce","email":"ada@example.com","reason":"550 5.1.1 that is how it is","segue_return":"`+r.path+`"}]`, now)
	if code, answer := r.call("sendgrid", header, body); code != 200 {
		t.Errorf("a last webhook: got %d %s, want 200", code, answer)
	}
	r.want("ada d1/bounced: bounced ada@example.com, cart step 2 second (550 5.1.1 that is how it is)",
		"ada d1/bounced-soft: bounced ada@example.com, cart step 2 second (550 5.2.2 that is how it is), soft")
}

// With a certificate the way is encrypted for whoever asks, and open for others.
func TestReturnsOverTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	r := newRig(t, func(c *Config) { c.TLS = &tls.Config{Certificates: certified.TLS.Certificates} })
	trusted := x509.NewCertPool()
	trusted.AddCert(certified.Certificate())
	c := must[*netsmtp.Client](t)(netsmtp.Dial(r.Listener.Addr().String()))
	defer c.Close()
	if err := c.StartTLS(&tls.Config{ServerName: "example.com", RootCAs: trusted}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Mail(""), c.Rcpt(r.path)); err != nil {
		t.Fatal(err)
	}
	w := must[io.WriteCloser](t)(c.Data())
	_, err := io.WriteString(w, report(r.path, r.unsubscribe, "5.1.1"))
	if err = errors.Join(err, w.Close(), c.Quit()); err != nil {
		t.Fatal(err)
	}
	if err := r.post(r.path, report("", "", "5.2.2")); err != nil {
		t.Errorf("without TLS: %v", err)
	}
	r.want("ada d1/bounced: bounced ada@example.com, cart step 2 second (550 5.1.1 that is how it is)",
		"ada d1/bounced-soft: bounced ada@example.com, cart step 2 second (550 5.2.2 that is how it is), soft")
}

// A complaint comes to an address of its own, from a provider that names nobody,
// maybe when the delivery has been deleted: the link in its header tells whose
// mail it was.
func TestComplaint(t *testing.T) {
	r := newRig(t, nil)
	for _, header := range []string{"List-Unsubscribe: <mailto:u@shop.example>,\r\n " + r.unsubscribe, "Return-Path: <" + r.path + ">"} {
		err := r.post("Complaints@shop.example", "Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n"+
			"Feedback-Type: abuse\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"+header+"\r\n\r\n--b--\r\n")
		if err != nil {
			t.Fatal(err)
		}
	}
	r.want("ada d1/complained: complained , cart step 2  (abuse)", "ada d1/complained: complained , cart step 2 second (abuse)")
}

// A place that holds something else, or nothing any more, names nobody by itself.
func TestPlaceIsGone(t *testing.T) {
	r := newRig(t, nil)
	place := must[link.Return](t)(r.keys.VerifyReturn(r.path))
	for _, change := range []func(*link.Return){
		func(p *link.Return) { p.Offset = 77 }, // beyond the end
		func(p *link.Return) { p.Offset = 0 },  // another's delivery
		func(p *link.Return) { p.Print = link.Fingerprint("d9") },
	} {
		other := place
		change(&other)
		path := r.keys.ReturnPath(returnPath, other)
		if err := r.post(path, report(path, "<https://t.shop.example/u/none>", "5.1.1")); err != nil {
			t.Fatal(err)
		}
		r.want()
	}
	// As old records are deleted, so is this one.
	admin := kadm.NewClient(r.kafka.Client())
	var upTo kadm.Offsets
	upTo.Add(kadm.Offset{Topic: r.Prefix + schemas.Deliveries, Partition: place.Partition, At: 2})
	if _, err := admin.DeleteRecords(t.Context(), upTo); err != nil {
		t.Fatal(err)
	}
	if err := r.post(r.path, report(r.path, r.unsubscribe, "5.1.1")); err != nil {
		t.Fatal(err)
	}
	r.want("ada d1/bounced: bounced ada@forwarded.example, cart step 2  (550 5.1.1 that is how it is)")
}

// After a campaign a provider tells of many at once; all of them are found before
// it gives up, some far from the others, and one that is there no more.
func TestManyComeBack(t *testing.T) {
	p := sendGridOf(t)
	r := newRig(t, func(c *Config) { c.Webhooks = map[string]Webhook{"sendgrid": p.hook} })
	place := must[link.Return](t)(r.keys.VerifyReturn(r.path))
	var records []*kgo.Record
	var events, want []string
	for i := range 4000 {
		d := &schemas.Delivery{Id: fmt.Sprintf("m%d", i), Customer: "eve", To: "eve@example.com", Journey: "cart"}
		records = append(records, &kgo.Record{Topic: schemas.Deliveries, Key: []byte("same partition"), Timestamp: now,
			Value: schemas.Encode(&schemas.DeliveryCommand{Command: &schemas.DeliveryCommand_Send{Send: d}})})
		if i > 1000 && i < 2900 { // they arrived
			continue
		}
		of := link.Return{Partition: place.Partition, Offset: 3 + int64(i), Print: link.Fingerprint(d.Id)}
		if i != 7 {
			want = append(want, "eve "+d.Id+"/bounced: bounced eve@example.com, cart step 0  ()")
		} else {
			of.Print = link.Fingerprint("of a topic that was made anew")
		}
		events = append(events, `{"event":"bounce","type":"bounce","segue_return":"`+r.keys.ReturnPath(returnPath, of)+`"}`)
	}
	r.kafka.Produce(records...)
	header, body := p.sign("["+strings.Join(events, ",")+"]", now)
	if code, answer := r.call("sendgrid", header, body); code != 200 {
		t.Fatalf("got %d %s, want 200", code, answer)
	}
	r.want(want...)
}

// It relays nothing, and forged paths are no paths.
func TestRefusedMails(t *testing.T) {
	r := newRig(t, nil)
	local, domain, _ := strings.Cut(r.path, "@")
	for _, to := range []string{"ada@example.com", returnPath, local[:len(local)-1] + "@" + domain, "bounces+x@" + domain} {
		if err := r.post(to, report(to, r.unsubscribe, "5.1.1")); err == nil || err.Error() != "SMTP error 550: not a return path of ours" {
			t.Errorf("to %s: got %v, want it refused", to, err)
		}
	}
	err := r.post(r.path, "Content-Type: multipart/report; report-type=delivery-status\r\n\r\n")
	if err == nil || err.Error() != "SMTP error 554: not a report: multipart/report: got no boundary, want one" {
		t.Errorf("no report: got %v, want to hear why", err)
	}
	if err := r.post(r.path, "Subject: Out of office\r\n\r\nUntil Monday.\r\n"); err != nil {
		t.Errorf("an answer of a person's: got %v, want it taken and forgotten", err)
	}
	if err := r.post(r.path, "Subject: long\r\n\r\n"+strings.Repeat(strings.Repeat("x", 78)+"\r\n", MaxBody/80+1)); err == nil || !strings.HasPrefix(err.Error(), "SMTP error 552") {
		t.Errorf("too long: got %v, want 552", err)
	}
	r.want()
}

func TestAnswers(t *testing.T) {
	p := sendGridOf(t)
	r := newRig(t, func(c *Config) {
		_ = c.Listener.Close()
		c.Webhooks, c.Listener = map[string]Webhook{"sendgrid": p.hook}, nil
	})
	signed := func(body string) (http.Header, []byte) { return p.sign(body, now) }
	for name, test := range map[string]struct {
		provider string
		body     string
		change   func(http.Header)
		code     int
		answer   string
	}{
		"not set up": {"postmark", "{}", nil, 404, `{"success":false,"error":"returns: nothing is set for \"postmark\", want one whose secret is set under returns"}`},
		"not signed": {"sendgrid", "[]", func(h http.Header) { h.Del(headerSendGridSignature) }, 401,
			`{"success":false,"error":"refused: X-Twilio-Email-Event-Webhook-Signature: got \"\", want a signature in base64"}`},
		"no JSON":   {"sendgrid", "[}", nil, 400, `{"success":false,"error":"body: invalid character '}' looking for beginning of value (byte 2 of 2)"}`},
		"too large": {"sendgrid", strings.Repeat(" ", MaxBody+1), nil, 413, `{"success":false,"error":"body: got more than 1048576 bytes, want at most that"}`},
		"nobody's":  {"sendgrid", `[{"event":"spamreport","email":"joe@example.com"}]`, nil, 200, `{"success":true}`},
		"nothing":   {"sendgrid", `[{"event":"open"}]`, nil, 200, `{"success":true}`},
		"hard":      {"sendgrid", `[{"event":"bounce","type":"bounce","segue_return":"` + r.path + `"}]`, nil, 200, `{"success":true}`},
	} {
		header, body := signed(test.body)
		if test.change != nil {
			test.change(header)
		}
		if code, answer := r.call(test.provider, header, body); code != test.code || answer != test.answer {
			t.Errorf("%s:\n got %d %s\nwant %d %s", name, code, answer, test.code, test.answer)
		}
	}
	r.want("ada d1/bounced: bounced ada@example.com, cart step 2 second ()")
	for what, want := range map[string]float64{"bounced": 1, "refused": 1, "unreadable": 1, "nobody's": 1, "nothing": 1} {
		var m dto.Metric
		if err := r.told.WithLabelValues("sendgrid", what).Write(&m); err != nil || m.GetCounter().GetValue() != want {
			t.Errorf("%s: counted %v, %v, want %v", what, m.GetCounter().GetValue(), err, want)
		}
	}
}

// Strangers who begin a call or a mail, and do not go on, keep nobody waiting.
func TestDawdlers(t *testing.T) {
	p := sendGridOf(t)
	r := newRig(t, func(c *Config) { c.Webhooks = map[string]Webhook{"sendgrid": p.hook} })
	for range maxInHand {
		web := must[net.Conn](t)(net.Dial("tcp", r.web.Listener.Addr().String()))
		defer web.Close()
		fmt.Fprint(web, "POST /v1/returns/sendgrid HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n")
		if line := must[string](t)(bufio.NewReader(web).ReadString('\n')); line != "HTTP/1.1 100 Continue\r\n" { // it is read now
			t.Fatalf("got %q, want to be asked for the body", line)
		}
		mail := must[*smtp.Client](t)(smtp.Dial(r.Listener.Addr().String()))
		defer mail.Close()
		if err := errors.Join(mail.Mail("", nil), mail.Rcpt(r.path, nil)); err != nil {
			t.Fatal(err)
		}
		must[io.WriteCloser](t)(mail.Data())
	}
	told := make(chan error, 2)
	go func() { told <- r.post(r.path, report(r.path, r.unsubscribe, "5.1.1")) }()
	go func() {
		header, body := p.sign(`[{"event":"spamreport","segue_return":"`+r.path+`"}]`, now)
		if code, answer := r.call("sendgrid", header, body); code != 200 {
			told <- fmt.Errorf("got %d %s, want 200", code, answer)
		}
		told <- nil
	}()
	for range cap(told) {
		select {
		case err := <-told:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("who has something to tell waits for those who dawdle")
		}
	}
}

// While Kafka is away nothing is taken: whoever tells it has to tell it again.
func TestKafkaAway(t *testing.T) {
	p := sendGridOf(t)
	r := newRig(t, func(c *Config) {
		c.Webhooks, c.AckTimeout = map[string]Webhook{"sendgrid": p.hook}, 300*time.Millisecond
	})
	r.kafka.Fake.Close()
	header, body := p.sign(`[{"event":"spamreport","segue_return":"`+r.path+`"}]`, now)
	if code, answer := r.call("sendgrid", header, body); code != 503 {
		t.Errorf("got %d %s, want 503", code, answer)
	}
	// The link needs no look at deliveries; the outcome has to be kept all the same.
	for _, path := range []string{r.path, "Complaints@shop.example"} {
		if err := r.post(path, report("", r.unsubscribe, "5.1.1")); err == nil || err.Error() != "SMTP error 451: try again later" {
			t.Errorf("to %s: got %v, want 451", path, err)
		}
	}
}

// maildir is a mailbox that holds mails.
func maildir(t *testing.T, mails map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, folder := range []string{"new", "cur", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, mail := range mails {
		if err := os.WriteFile(filepath.Join(dir, "new", name), []byte(mail), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A mailbox that another server fills is read to its end, once.
func TestMailbox(t *testing.T) {
	watched := maildir(t, map[string]string{"0.holiday": "Subject: Out of office\r\n\r\nUntil Monday.\r\n"})
	r := newRig(t, func(c *Config) { c.Maildir = watched })
	dir := maildir(t, map[string]string{"1.bounce": report(r.path, r.unsubscribe, "5.1.1"), "2.broken": "Content-Type: multipart/report; report-type=delivery-status\r\n\r\n",
		"3.holiday": "Subject: Out of office\r\n\r\nUntil Monday.\r\n", "4.long": strings.Repeat("x", MaxBody+1)})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(watched, "cur", "0.holiday:2,S")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the mailbox is not read by itself")
		}
	}
	if err := r.emptyMaildir(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	var left, seen []string
	for _, entry := range must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(dir, "new"))) {
		left = append(left, entry.Name())
	}
	for _, entry := range must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(dir, "cur"))) {
		seen = append(seen, entry.Name())
	}
	if len(left) > 0 || strings.Join(seen, " ") != "1.bounce:2,S 2.broken:2,S 3.holiday:2,S 4.long:2,S" {
		t.Errorf("new holds %v, cur %v, want all of them seen", left, seen)
	}
	r.want("ada d1/bounced: bounced ada@example.com, cart step 2 second (550 5.1.1 that is how it is)")

	// What cannot be kept stays where it is.
	if err := os.WriteFile(filepath.Join(dir, "new", "5.bounce"), []byte(report(r.path, r.unsubscribe, "5.1.1")), 0o600); err != nil {
		t.Fatal(err)
	}
	r.kafka.Fake.Close()
	r.AckTimeout = 300 * time.Millisecond
	if err := r.emptyMaildir(t.Context(), dir); err == nil {
		t.Error("without Kafka: got nil, want why mails wait")
	}
	if _, err := os.Stat(filepath.Join(dir, "new", "5.bounce")); err != nil {
		t.Error(err)
	}
}
