package collector

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
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

func signed(body, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
