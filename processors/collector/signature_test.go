package collector

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"segue/schemas"
)

// The shop's server signs what it says. Who has only heard its key is refused,
// wherever the key stands.
func TestSignedCalls(t *testing.T) {
	const secret = "a secret of the server's own"
	r := newRig(t, func(c *Config) {
		c.WriteKeys["k-server"] = "server"
		c.SigningSecrets = map[string]string{"k-server": secret, "k-stock": secret}
	})
	const order = `{"event":"Order Completed","userId":"ada","messageId":"m","properties":{"order_id":"o1","total":12.5}}`
	const keyed = `{"event":"Order Completed","userId":"ada","writeKey":"k-server","properties":{"order_id":"o1","total":12.5}}`
	const stock = `{"products":[]}`
	for name, tc := range map[string]struct {
		path, body string
		header     []string
		code       int
		says       string
	}{
		"signed":                      {"/v1/track", order, []string{"Authorization", "Bearer k-server", signatureHeader, signed(order, secret)}, 200, "true"},
		"in gzip":                     {"/v1/track", zipped(t, order), []string{"Authorization", "Bearer k-server", "Content-Encoding", "gzip", signatureHeader, signed(order, secret)}, 200, "true"},
		"key in the body":             {"/v1/track", keyed, []string{signatureHeader, signed(keyed, secret)}, 200, "true"},
		"catalog":                     {"/v1/catalog", stock, []string{"Authorization", "Bearer k-stock", signatureHeader, signed(stock, secret)}, 200, "true"},
		"another key":                 {"/v1/track", order, []string{"Authorization", "Bearer k-web"}, 200, "true"},
		"not signed":                  {"/v1/track", order, []string{"Authorization", "Bearer k-server"}, 401, "Segue-Signature: got none"},
		"not signed, key in the body": {"/v1/track", keyed, nil, 401, "Segue-Signature: got none"},
		"another secret":              {"/v1/track", order, []string{"Authorization", "Bearer k-server", signatureHeader, signed(order, "a secret of somebody else")}, 401, "Segue-Signature: got another's"},
		"another body":                {"/v1/track", order, []string{"Authorization", "Bearer k-server", signatureHeader, signed(order+" ", secret)}, 401, "Segue-Signature: got another's"},
		"no hex":                      {"/v1/track", order, []string{"Authorization", "Bearer k-server", signatureHeader, "sha256=x"}, 401, "Segue-Signature: got another's"},
		"no catalog":                  {"/v1/catalog", stock, []string{"Authorization", "Bearer k-stock"}, 401, "Segue-Signature: got none"},
	} {
		if code, body, _ := r.do("POST", tc.path, tc.body, tc.header...); code != tc.code || !strings.Contains(body, tc.says) {
			t.Errorf("%s: got %d %s, want %d %s", name, code, body, tc.code, tc.says)
		}
	}
	r.events(4)
}

// Whoever has read a key in the shop's pages could else stop the mail of all its
// customers, and nothing would undo it.
func TestOpenKeysStopNoMail(t *testing.T) {
	const secret = "a secret of the server's own"
	r := newRig(t, func(c *Config) { c.SigningSecrets = map[string]string{"k-till": secret} })
	for i, event := range []string{"Email Marked as Spam", "email_bounced"} {
		call := `{"event":"` + event + `","userId":"ada","messageId":"m","properties":{"email":"ada@example.com"}}`
		if code, body, _ := r.do("POST", "/v1/track", call, "Authorization", "Bearer k-web"); code != 200 {
			t.Errorf("%s: got %d %s, want 200", event, code, body)
		}
		if e := decode(t, r.events(2*i + 1)[2*i]); e.GetNamed() == nil {
			t.Errorf("%s by an open key: got %v, want what counts by its name alone", event, e)
		}
		if code, body, _ := r.do("POST", "/v1/track", call, "Authorization", "Bearer k-till", signatureHeader, signed(call, secret)); code != 200 {
			t.Errorf("%s, signed: got %d %s, want 200", event, code, body)
		}
		if e := decode(t, r.events(2*i + 2)[2*i+1]); e.GetRejection() == nil {
			t.Errorf("%s, signed: got %v, want a rejection", event, e)
		}
	}
}

// Nor could they have the shop send its customers to a page of theirs.
func TestOpenKeysLeadToTheShop(t *testing.T) {
	const secret = "a secret of the server's own"
	r := newRig(t, func(c *Config) {
		c.SigningSecrets = map[string]string{"k-till": secret}
		c.Hosts = []string{"shop.example"}
	})
	const evil = "https://evil.example/mug"
	n := 0
	leads := func(key, to string) bool {
		t.Helper()
		call, _ := json.Marshal(map[string]any{"event": "Product Added", "userId": "ada",
			"context":    map[string]any{"page": map[string]any{"url": evil}},
			"properties": map[string]any{"product_id": "mug", "url": to, "image_url": to, "cart_url": to}})
		if code, body, _ := r.do("POST", "/v1/track", string(call), "Authorization", "Bearer "+key, signatureHeader, signed(string(call), secret)); code != 200 {
			t.Errorf("%s: got %d %s, want 200", to, code, body)
		}
		n++
		cart := decode(t, r.events(n)[n-1]).GetCart()
		if x := cart.GetProduct(); (x.GetUrl() == "") != (cart.GetUrl() == "") || (x.GetUrl() == "") != (x.GetImageUrl() == "") {
			t.Errorf("%s by %s: got %v, want all addresses or none", to, key, cart)
		}
		return cart.GetUrl() != ""
	}
	for to, want := range map[string]bool{
		"https://shop.example/mug": true, "https://cdn.SHOP.example:8443/mug": true,
		evil: false, "https://evilshop.example/mug": false, "https://shop.example.evil.example/": false,
		"https://shop.example@evil.example/": false, `https://evil.example\.shop.example/`: false, "//evil.example/mug": false, "/mug": false,
	} {
		if got := leads("k-web", to); got != want {
			t.Errorf("%s by an open key: leads there: %v, want %v", to, got, want)
		}
	}
	if !leads("k-till", evil) {
		t.Errorf("%s by a signed call is left out", evil)
	}
}

func signed(body, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Nor could they make a customer of the shop, whose id they know, another.
func TestOpenKeysAreNotTrustedToLink(t *testing.T) {
	const secret = "a secret of the server's own"
	r := newRig(t, func(c *Config) { c.SigningSecrets = map[string]string{"k-till": secret} })
	n := 0
	for _, call := range [][2]string{
		{"/v1/alias", `{"previousId":"ada","userId":"mallory"}`},
		{"/v1/identify", `{"anonymousId":"ada","userId":"mallory"}`},
		{"/v1/batch", `{"batch":[{"type":"alias","previousId":"ada","userId":"mallory"}]}`},
	} {
		for key, trusted := range map[string]bool{"k-web": false, "k-till": true} {
			if code, body, _ := r.do("POST", call[0], call[1], "Authorization", "Bearer "+key, signatureHeader, signed(call[1], secret)); code != 200 {
				t.Fatalf("%s by %s: got %d %s, want 200", call[0], key, code, body)
			}
			n++
			if call[0] == "/v1/identify" {
				n++
			}
			var last *schemas.Event // about ada, whose events stay in order
			for _, record := range r.events(n) {
				if e := decode(t, record); e.GetCustomer() == "ada" {
					last = e
				}
			}
			if l := last.GetLink(); l.GetKnown() != "mallory" || l.GetTrusted() != trusted {
				t.Errorf("%s by %s: got %v, want a link to mallory, trusted %v", call[0], key, last, trusted)
			}
		}
	}
	if code, body, _ := r.do("POST", "/v1/alias", `{"previousId":"ada","userId":"mallory"}`, "Authorization", "Bearer k-till"); code != 401 {
		t.Errorf("by the server's key, not signed: got %d %s, want 401", code, body)
	}
}
