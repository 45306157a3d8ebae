package inbox

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"segue/processors/stream"
)

const letter = "From: Shop <hello@shop.example>\r\nTo: Ada <ada@example.com>\r\nSubject: =?utf-8?q?Still_yours_=E2=99=A5?=\r\n" +
	"X-Segue-Delivery: d1\r\nX-Segue-Customer: customer-7\r\nX-Segue-Reason: journey cart, step 1\r\n" +
	"List-Unsubscribe: <https://t.example/u/TOKEN>\r\nContent-Type: multipart/alternative; boundary=B\r\n\r\n" +
	"--B\r\nContent-Type: text/plain\r\n\r\nplain words\r\n" +
	"--B\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
	"<p>caf=C3=A9</p><script>alert(1)</script><a href=3D\"https://t.example/c/CLICK\">go</a>" +
	"<img src=3D\"https://t.example/o/OPEN.gif\">\r\n--B--\r\n"

func start(t *testing.T, c Config) *Inbox {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b
}

func send(b *Inbox, raw string) error {
	c, err := smtp.Dial(b.SMTPAddr())
	if err != nil {
		return err
	}
	defer c.Close()
	return c.SendMail("hello@shop.example", []string{"ada@example.com"}, strings.NewReader(raw))
}

func get(t *testing.T, b *Inbox, path string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(strings.TrimSuffix(b.URL(), "/") + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestAMailIsTakenAndShown(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	seen := make(chan Mail, 1)
	b := start(t, Config{Clock: stream.NewVirtualClock(at), Dir: dir, OnMail: func(m Mail) { seen <- m }})
	if err := send(b, letter); err != nil {
		t.Fatal(err)
	}
	m, ok := b.Mail(1)
	if !ok || m.Subject != "Still yours ♥" || m.To != "ada@example.com" || m.ToName != "Ada" || m.DeliveryID != "d1" || m.Reason != "journey cart, step 1" ||
		!m.Received.Equal(at) || m.Text != "plain words" || !strings.Contains(m.HTML, "café") {
		t.Errorf("mail: got %+v", m)
	}
	if m.Links.Open != "https://t.example/o/OPEN.gif" || len(m.Links.Clicks) != 1 || m.Links.Clicks[0] != "https://t.example/c/CLICK" || m.Links.Unsubscribe != "https://t.example/u/TOKEN" {
		t.Errorf("links: got %+v", m.Links)
	}
	if m := <-seen; m.ID != 1 {
		t.Errorf("OnMail: got %+v", m)
	}
	if raw, err := os.ReadFile(filepath.Join(dir, "000001-ada@example.com.eml")); err != nil || string(raw) != letter {
		t.Errorf("file: got %q, %v", raw, err)
	}

	b.Mark("d1", Marks{Opened: true})
	if _, body := get(t, b, "/"); !strings.Contains(body, "Still yours ♥") || !strings.Contains(body, "journey cart, step 1") || !strings.Contains(body, "2 Mar 2026 09:00") || !strings.Contains(body, ">opened<") || strings.Contains(body, ">clicked<") {
		t.Errorf("list: got %s", body)
	}
	resp, body := get(t, b, "/mails/1/html")
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "sandbox ") || strings.Contains(csp, "script") {
		t.Errorf("CSP of a mail: got %q", csp)
	}
	if strings.Contains(body, "/o/OPEN") || !strings.Contains(body, "café") {
		t.Errorf("as it looks: got %s, want it without its pixel", body)
	}
	for path, want := range map[string]string{
		"/mails/1": `sandbox="allow-popups`, "/mails/1?as=text": "plain words", "/mails/1?as=source": "caf=C3=A9", "/mails/1/source": "caf=C3=A9", "/mails/1/text": "plain words",
	} {
		if resp, body := get(t, b, path); resp.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %s, want %q in it", path, resp.StatusCode, body, want)
		}
	}
	if resp, _ := get(t, b, "/mails/2"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("/mails/2: got %d, want 404", resp.StatusCode)
	}
}

// What goes on beside the mails is a page that loads itself anew while it goes on.
func TestLive(t *testing.T) {
	goes := true
	b := start(t, Config{Live: func(w io.Writer) (bool, error) {
		_, err := io.WriteString(w, "<p>churn: 0.5</p>")
		return goes, err
	}})
	if _, body := get(t, b, "/live"); !strings.Contains(body, "<p>churn: 0.5</p>") || !strings.Contains(body, `http-equiv="refresh"`) {
		t.Errorf("live: got %s", body)
	}
	goes = false
	if _, body := get(t, b, "/live"); strings.Contains(body, `http-equiv="refresh"`) {
		t.Errorf("at the end: got %s, want it to stay", body)
	}
	if _, body := get(t, b, "/"); !strings.Contains(body, `href="/live"`) {
		t.Errorf("list: got %s, want a link to what goes on", body)
	}
	if resp, _ := get(t, start(t, Config{}), "/live"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("/live where there is none: got %d, want 404", resp.StatusCode)
	}
}

func TestSearch(t *testing.T) {
	b := start(t, Config{})
	for _, raw := range []string{letter, strings.NewReplacer("customer-7", "customer-8", "d1", "d2").Replace(letter)} {
		if err := send(b, raw); err != nil {
			t.Fatal(err)
		}
	}
	for q, want := range map[string]int{"": 2, "customer-8": 1, "ADA": 2, "cart+customer-7": 1, "nobody": 0} {
		_, body := get(t, b, "/mails.json?q="+q)
		var rows []row
		if err := json.Unmarshal([]byte(body), &rows); err != nil || len(rows) != want {
			t.Errorf("search %q: got %d mails, %v, want %d", q, len(rows), err, want)
		}
	}
}

func TestOnlyTheNewestAreKept(t *testing.T) {
	b := start(t, Config{Keep: 2})
	for range 3 {
		if err := send(b, letter); err != nil {
			t.Fatal(err)
		}
	}
	mails := b.Mails()
	if len(mails) != 2 || mails[0].ID != 2 || b.Count() != 3 {
		t.Errorf("kept: got %d from %d, of %d", len(mails), mails[0].ID, b.Count())
	}
	if _, ok := b.Mail(1); ok {
		t.Error("mail 1 is still there")
	}
	if m, ok := b.Mail(3); !ok || m.Subject != "Still yours ♥" {
		t.Errorf("mail 3: got %+v, %v", m, ok)
	}
}

func TestRefusals(t *testing.T) {
	verdicts := make(chan error, 1)
	b := start(t, Config{Answer: func(Mail) error { return <-verdicts }})
	for _, test := range []struct {
		verdict error
		code    int
		kept    int
	}{
		{&smtp.SMTPError{Code: 451, Message: "later"}, 451, 0},
		{&smtp.SMTPError{Code: 554, Message: "never"}, 554, 0},
		{ErrHangUp, 0, 0},
		{ErrSilent, 0, 1},
	} {
		verdicts <- test.verdict
		err := send(b, letter)
		se, _ := err.(*smtp.SMTPError)
		if err == nil || (se != nil) != (test.code != 0) || se != nil && se.Code != test.code {
			t.Errorf("%v: got %v, want code %d", test.verdict, err, test.code)
		}
		if b.Count() != test.kept {
			t.Errorf("%v: got %d mails, want %d", test.verdict, b.Count(), test.kept)
		}
	}
}

// FuzzParse: whatever arrives is shown as far as it can be read.
func FuzzParse(f *testing.F) {
	f.Add([]byte(letter))
	f.Add([]byte("no mail at all"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B--"))
	f.Add([]byte("Content-Transfer-Encoding: base64\r\n\r\n!!!!"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if m := parse(raw); string(m.Raw) != string(raw) {
			t.Error("the source was changed")
		}
	})
}
