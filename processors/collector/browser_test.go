package collector

import (
	"slices"
	"strings"
	"testing"
)

// What a page of the shop sends: short paths, no content type of its own, the
// key in the body. Each path means what the long one does.
func TestBrowserCalls(t *testing.T) {
	r := newRig(t)
	calls := []struct{ path, body, becomes string }{
		{"t", `{"type":"track","event":"Product Viewed","properties":{"product_id":"mug"}`, `"view":{`},
		{"i", `{"type":"identify","traits":{"firstName":"Ada"}`, `"identify":{`},
		{"p", `{"type":"page","properties":{"url":"https://shop.example/"}`, `"visit":{`},
		{"s", `{"type":"screen","name":"Cart"`, `"visit":{`},
		{"a", `{"type":"alias","previousId":"anon"`, `"link":{`},
		{"g", `{"type":"group","groupId":"club"`, `"identify":{`},
		{"b", `{"batch":[{"type":"track","event":"Quiz Finished","userId":"ada"}]`, `"named":{`},
		{"import", `{"batch":[{"type":"track","event":"Quiz Finished","userId":"ada"}]`, `"named":{`},
	}
	var want []string
	for _, c := range calls {
		code, body, header := r.do("POST", "/v1/"+c.path, c.body+`,"userId":"ada","writeKey":"k-web"}`,
			"Content-Type", "text/plain;charset=UTF-8", "Origin", "https://shop.example")
		if code != 200 {
			t.Errorf("POST /v1/%s = %d %s, want 200", c.path, code, body)
		}
		if got := header.Get("Access-Control-Allow-Origin"); got != "https://shop.example" {
			t.Errorf("POST /v1/%s lets %q read the answer, want the page that asked", c.path, got)
		}
		want = append(want, c.becomes)
	}
	for _, record := range r.events(len(want)) {
		e := told(t, record)
		i := slices.IndexFunc(want, func(w string) bool { return strings.Contains(e, w) })
		if i < 0 {
			t.Errorf("%s is none of what is left: %q", e, want)
			continue
		}
		want = slices.Delete(want, i, i+1)
	}
}

// A browser asks first, and a page of any shop may call. Its refusals can be read too.
func TestPreflight(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/v1/t", "/v1/track", "/v1/b", "/v1/batch", "/v1/import"} {
		code, _, header := r.do("OPTIONS", path, "", "Origin", "https://shop.example",
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": "https://shop.example", "Access-Control-Allow-Credentials": "true",
			"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "authorization,content-type", "Access-Control-Max-Age": "7200",
		} {
			if got := header.Get(name); code != 204 || got != want {
				t.Errorf("OPTIONS %s = %d, %s: got %q, want 204 and %q", path, code, name, got, want)
			}
		}
		if vary := strings.Join(header.Values("Vary"), ","); !strings.Contains(vary, "Origin") {
			t.Errorf("OPTIONS %s: Vary: got %q, want Origin in it", path, vary)
		}
	}
	code, _, header := r.do("POST", "/v1/t", "{}", "Origin", "https://shop.example")
	if code != 401 || header.Get("Access-Control-Allow-Origin") != "https://shop.example" || header.Get("Access-Control-Expose-Headers") != "Retry-After" {
		t.Errorf("POST without a key = %d %v, want 401 that the page can read", code, header)
	}
	if code, _, header := r.do("OPTIONS", "/v1/catalog", "", "Origin", "https://shop.example"); code != 405 || header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("OPTIONS /v1/catalog = %d, want 405: no page has its key", code)
	}
}

// The client in a browser is told its cdnURL and nothing else: there it reads
// where to send.
func TestSettings(t *testing.T) {
	r := newRig(t)
	host := r.Addr().String()
	for _, tc := range []struct {
		key, proto string
		code       int
		want       string
	}{
		{"k-web", "", 200, `{"integrations":{"Segment.io":{"apiKey":"k-web","apiHost":"` + host + `/v1","protocol":"http"}},"plan":{},"metrics":{"sampleRate":0}}`},
		{"k-web", "https", 200, `{"integrations":{"Segment.io":{"apiKey":"k-web","apiHost":"` + host + `/v1","protocol":"https"}},"plan":{},"metrics":{"sampleRate":0}}`},
		{"k-stock", "", 401, `{"success":false,"error":"write key: got an unknown one, want one of collector.write_keys as in /v1/projects/KEY/settings"}`},
	} {
		code, body, _ := r.do("GET", "/v1/projects/"+tc.key+"/settings", "", "X-Forwarded-Proto", tc.proto)
		if code != tc.code || strings.TrimSpace(body) != tc.want {
			t.Errorf("settings of %s by %q:\n got %d %s\nwant %d %s", tc.key, tc.proto, code, body, tc.code, tc.want)
		}
	}
}
