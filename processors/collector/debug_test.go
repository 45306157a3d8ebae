package collector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// debugged asks what GET /debug/calls does.
func (r *rig) debugged(after int64) (shown shownCalls) {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.ServeDebug(w, httptest.NewRequest("GET", fmt.Sprintf("/debug/calls?after=%d", after), nil))
	if err := json.Unmarshal(w.Body.Bytes(), &shown); err != nil || w.Code != 200 {
		r.t.Fatalf("GET /debug/calls = %d %s: %v", w.Code, w.Body, err)
	}
	return shown
}

// Somebody builds a storefront. Of each call they see what was understood, of
// whom, and what was missing; of one that was refused, why; of one whose key is
// wrong, that it came.
func TestDebug(t *testing.T) {
	r := newRig(t)
	r.post("/v1/track", `{"event":"Product Added","userId":"ada","messageId":"m1","timestamp":"2026-03-02T09:59:00Z","properties":{"product_id":"mug","price":12.5,"quantity":1,"name":"Mug","url":"https://shop.example/mug","image_url":"https://shop.example/mug.png"}}`)
	r.do("POST", "/v1/t", `{"event":"Product Added","userId":"ada","properties":{"price":"12,50","sku":"mug"}}`, "Authorization", "Bearer k-till",
		"Origin", "https://till.example", "User-Agent", "till/1")
	r.do("POST", "/v1/track", `{"event":"x","userId":"ada","writeKey":"k-wbe"}`)
	r.do("POST", "/v1/catalog", `{"products":[{"product_id":"mug","name":"Mug","stock":1,"price":12.5,"url":"https://shop.example/mug","image_url":"https://shop.example/mug.png"}]}`, "Authorization", "Bearer k-stock")

	got := r.debugged(0)
	if fmt.Sprint(got.Sources) != "[stock till web]" || got.Last != 4 {
		t.Errorf("sources %v, last %d, want stock, till and web, and 4", got.Sources, got.Last)
	}
	want := []string{
		`{"number":1,"at":"2026-03-02T10:00:00.000Z","source":"web","path":"/v1/track","agent":"Go-http-client/1.1","bytes":241,"status":200,"items":[{"type":"track","name":"Product Added","customer":"ada",` +
			`"became":[{"id":"m1","occurredAt":"2026-03-02T09:59:00Z","receivedAt":"2026-03-02T10:00:00Z","customer":"ada","userId":"ada","source":"web","cart":{"change":"ADDED","product":{"id":"mug","name":"Mug","priceMicros":"12500000","quantity":"1","url":"https://shop.example/mug","imageUrl":"https://shop.example/mug.png"}}}],` +
			`"notes":[{"field":"properties.cart_id","costs":"carts are joined by customer"},{"field":"properties.currency","costs":"amounts count in the customer's usual currency"}]}]}`,
		`{"number":2,"at":"2026-03-02T10:00:00.000Z","source":"till","path":"/v1/track","agent":"till/1","origin":"https://till.example","bytes":83,"status":400,` +
			`"error":"nothing of the body was taken: properties.price: got \"12,50\", want a decimal amount such as 12.50","problems":[{"item":0,"field":"properties.price","got":"\"12,50\"","want":"a decimal amount such as 12.50"}],"items":[]}`,
		`{"number":3,"at":"2026-03-02T10:00:00.000Z","source":"","path":"/v1/track","agent":"Go-http-client/1.1","bytes":47,"status":401,` +
			`"error":"write key: got an unknown one, want one as user of Basic, as Bearer, or as writeKey in the body","items":[]}`,
		`{"number":4,"at":"2026-03-02T10:00:00.000Z","source":"stock","path":"/v1/catalog","agent":"Go-http-client/1.1","bytes":147,"status":200,"items":[{"type":"product","name":"mug",` +
			`"became":[{"product":{"id":"mug","name":"Mug","priceMicros":"12500000","url":"https://shop.example/mug","imageUrl":"https://shop.example/mug.png"},"stock":"1","receivedAt":"2026-03-02T10:00:00Z","source":"stock"}],` +
			`"notes":[{"field":"currency","costs":"nobody knows in which currency the price is"}]}]}`,
	}
	for i, c := range got.Calls {
		line, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if string(line) != want[i] {
			t.Errorf("call %d:\n got %s\nwant %s", i+1, line, want[i])
		}
	}
	if later := r.debugged(3); len(later.Calls) != 1 || later.Calls[0].Number != 4 {
		t.Errorf("after 3: got %+v, want the fourth call alone", later)
	}
	if anew := r.debugged(99); len(anew.Calls) != 4 || anew.Last != 4 {
		t.Errorf("after what a former life counted: got %d calls and %d, want all 4", len(anew.Calls), anew.Last)
	}
}

// What is kept is bounded, whatever comes, and one source does not push out
// another's calls.
func TestDebugKeepsLittle(t *testing.T) {
	r := newRig(t)
	r.do("POST", "/v1/track", `{"event":"x","userId":"ada"}`, "Authorization", "Bearer k-till")
	for range keptCalls + 5 {
		r.post("/v1/track", `{"event":"x","userId":"ada"}`)
	}
	item := `{"type":"track","event":"x","userId":"ada","messageId":"m"}`
	r.post("/v1/batch", `{"batch":[`+strings.Repeat(item+",", keptItems+6)+item+`]}`)
	large := `{"type":"track","event":"x","userId":"ada","properties":{"x":"` + strings.Repeat("x", 30<<10) + `"}}`
	r.post("/v1/batch", `{"batch":[`+strings.Repeat(large+",", 4)+large+`]}`)
	got := r.debugged(0)
	calls := map[string]int{}
	for _, c := range got.Calls {
		calls[c.Source]++
	}
	if calls["web"] != keptCalls || calls["till"] != 1 {
		t.Errorf("kept %v calls, want %d of web and the one of till", calls, keptCalls)
	}
	n := len(got.Calls)
	if many := got.Calls[n-2]; len(many.Items) != keptItems || many.Left != 7 {
		t.Errorf("of %d items kept %d and left %d, want %d and 7", keptItems+7, len(many.Items), many.Left, keptItems)
	}
	if wide := got.Calls[n-1]; len(wide.Items) != 2 || wide.Left != 3 {
		t.Errorf("of 5 items of 30 KiB kept %d and left %d, want 2 and 3", len(wide.Items), wide.Left)
	}
}

// The page brings no data with it, and nothing from elsewhere.
func TestDebugPage(t *testing.T) {
	for path, want := range map[string]string{"/debug/": `<script src="debug.js">`, "/debug/debug.js": "fetch(", "/debug/debug.css": "article"} {
		w := httptest.NewRecorder()
		DebugPage().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) || !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("GET %s = %d %v, want it with %s, and nothing from elsewhere", path, w.Code, w.Header(), want)
		}
		if bytes.Contains(w.Body.Bytes(), []byte("innerHTML")) {
			t.Errorf("%s sets what comes from outside as HTML", path)
		}
	}
}
