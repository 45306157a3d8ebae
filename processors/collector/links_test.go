package collector

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas/link"
)

// What looks at a mail before its reader does (a virus scanner, a preview)
// follows its links. It must change nothing.
func TestLookingChangesNothing(t *testing.T) {
	r := newRig(t)
	unsubscribe := r.keys.URL(r.url, link.Link{Kind: link.Unsubscribe, Customer: "ada", Delivery: "d1"})
	code, body, header := r.do("GET", unsubscribe, "")
	if code != 200 || !strings.Contains(body, `<form method="post"><button>Unsubscribe</button></form>`) {
		t.Errorf("GET of the unsubscribe = %d %s, want a page with a button", code, body)
	}
	if got := header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy = %q, want no-referrer", got)
	}
	for _, kind := range []link.Kind{link.Open, link.Click, link.Unsubscribe} {
		l := link.Link{Kind: kind, Customer: "ada", Delivery: "d1", URL: "https://shop.example/"}
		want := map[link.Kind]int{link.Open: 200, link.Click: 302, link.Unsubscribe: 200}[kind]
		if code, _, _ := r.do("HEAD", r.keys.URL(r.url, l), ""); code != want {
			t.Errorf("HEAD of the %s = %d, want %d", kind, code, want)
		}
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH"} {
		if code, _, _ := r.do(method, unsubscribe, "List-Unsubscribe=One-Click"); code != 405 {
			t.Errorf("%s of the unsubscribe = %d, want 405", method, code)
		}
	}
	r.settle()
	r.events(0)
}

// The second unsubscribe is another one: a new consent may lie in between.
func TestUnsubscribeTwice(t *testing.T) {
	r := newRig(t)
	for range 2 {
		r.do("POST", r.keys.URL(r.url, link.Link{Kind: link.Unsubscribe, Customer: "ada"}), "")
	}
	records := r.events(2)
	if a, b := decode(t, records[0]), decode(t, records[1]); a.GetId() == b.GetId() {
		t.Errorf("two unsubscribes have the same id %s", a.GetId())
	}
}

// A link that the sender did not sign leads nowhere, and says so.
func TestForgedLinks(t *testing.T) {
	r := newRig(t)
	other, err := link.NewKeys("somebody else's secret")
	if err != nil {
		t.Fatal(err)
	}
	click := link.Link{Kind: link.Click, Customer: "ada", URL: "https://evil.example/"}
	open := link.Link{Kind: link.Open, Customer: "ada"}
	for _, path := range []string{
		other.URL("", click), other.URL("", open), "/c/x", "/c/https:%2F%2Fevil.example", "/o/x.gif", "/u/x",
		"/o/" + r.keys.Sign(open),            // no .gif
		"/u/" + r.keys.Sign(open),            // another kind
		"/c/" + r.keys.Sign(click) + "%0A",   // another spelling
		"/c/" + r.keys.Sign(click)[:40],      // cut short
		"/o/" + r.keys.Sign(click) + ".gif",  // another kind
		"/c/" + r.keys.Sign(click) + "?to=x", // see below
	} {
		code, body, header := r.do("GET", path, "")
		if strings.HasSuffix(path, "?to=x") { // a mail program may add to an address; the target is the signed one
			if code != 302 || header.Get("Location") != click.URL {
				t.Errorf("GET %s = %d to %s, want 302 to %s", path, code, header.Get("Location"), click.URL)
			}
			continue
		}
		if code != 404 || !strings.Contains(body, "This link does not work") || header.Get("Location") != "" {
			t.Errorf("GET %s = %d to %q, want 404 and a page", path, code, header.Get("Location"))
		}
	}
	if code, _, _ := r.do("POST", "/u/x", ""); code != 404 {
		t.Errorf("POST /u/x = %d, want 404", code)
	}
	r.settle()
	r.events(1)
}

// FuzzToken: no token redirects but to where its link says, and none unsubscribes
// but a signed one.
func FuzzToken(f *testing.F) {
	keys, err := link.NewKeys("a secret of the test's own")
	if err != nil {
		f.Fatal(err)
	}
	// Its Kafka is never there; opens and clicks find no room.
	s, err := New(Config{Listen: "127.0.0.1:0", Kafka: []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}, Links: keys, MaxClicks: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		s.calls.Close()
		s.clicks.Close()
		_ = s.listener.Close()
	})
	for _, kind := range []link.Kind{link.Open, link.Click} {
		f.Add(keys.Sign(link.Link{Kind: kind, Customer: "ada", URL: "https://shop.example/"}))
	}
	f.Add("https://evil.example/")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		for _, call := range []struct {
			method, before, after string
			kind                  link.Kind
		}{{"GET", "/o/", ".gif", link.Open}, {"GET", "/c/", "", link.Click}, {"GET", "/u/", "", link.Unsubscribe}, {"POST", "/u/", "", link.Unsubscribe},
			{"GET", "/p/", "", link.Unsubscribe}, {"POST", "/p/", "", link.Unsubscribe}} {
			l, invalid := keys.Verify(call.kind, token)
			if invalid == nil && call.method == "POST" {
				continue
			}
			w := httptest.NewRecorder()
			s.server.Handler.ServeHTTP(w, httptest.NewRequest(call.method, call.before+url.PathEscape(token)+call.after, nil))
			to := w.Header().Get("Location")
			switch {
			case invalid != nil && (w.Code == http.StatusOK || w.Code == http.StatusFound):
				t.Errorf("%s %s%s = %d, want it refused", call.method, call.before, token, w.Code)
			case invalid == nil && call.kind == link.Click && (w.Code != http.StatusFound || to != l.URL):
				t.Errorf("GET /c/%s = %d to %s, want 302 to %s", token, w.Code, to, l.URL)
			}
		}
	})
}
