package sender

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"segue/processors/sender/dkim"
	"segue/processors/sender/inbox"
	"segue/schemas"
)

// TestSignatureSurvivesTheWay: what a mail server takes from us verifies, at
// someone who knows only what is published.
func TestSignatureSurvivesTheWay(t *testing.T) {
	keys := signingKeys(t)
	r := newRig(t, inbox.Config{})
	r.change = func(c *Config) { c.DKIM = keys }
	r.send(r.delivery("d1"))
	r.start()
	r.only(schemas.Outcome_SENT)
	m, _ := r.inbox.Mail(1)
	got, err := msgauth.VerifyWithOptions(bytes.NewReader(m.Raw), &msgauth.VerifyOptions{LookupTXT: func(string) ([]string, error) {
		record, err := keys[0].Record()
		return []string{record}, err
	}})
	if err != nil || len(got) != 1 || got[0].Err != nil {
		t.Errorf("signatures: got %+v, %v, want one that verifies, in\n%s", got, err, m.Raw)
	}
}

// signingKeys is an Ed25519 key of shop.example.
func signingKeys(t *testing.T) dkim.Keys {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s1.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := dkim.Load(map[string]string{"s1._domainkey.shop.example": path})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
