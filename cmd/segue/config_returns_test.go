package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A webhook is there once its secret is set, and a wrong one stops the start.
func TestWebhooksThatAreSet(t *testing.T) {
	r := Returns{SESTopics: []string{"arn:aws:sns:eu-west-1:123456789012:bounces"}, Postmark: "postmark:sixteen bytes or more", Mailgun: "sixteen bytes or more",
		SendGrid: "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhAA=="}
	if _, err := r.webhooks(); err == nil || !strings.HasPrefix(err.Error(), "returns.sendgrid: sendgrid key: ") {
		t.Errorf("a key that is none: got %v, want it refused", err)
	}
	r.Mailgun = "short"
	if _, err := r.webhooks(); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two keys that are none: got %v, want both named", err)
	}
	r.SendGrid, r.Mailgun = "", "sixteen bytes or more"
	all, err := r.webhooks()
	if names := slices.Sorted(maps.Keys(all)); err != nil || !slices.Equal(names, []string{"mailgun", "postmark", "ses"}) {
		t.Errorf("got %v, %v, want mailgun, postmark and ses", names, err)
	}
}

// A certificate that was renewed holds for the next connection, without a restart.
func TestCertificateOfReturnsIsRenewed(t *testing.T) {
	dir := t.TempDir()
	files := ReturnsTLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	if _, err := files.config(); err == nil || !strings.HasPrefix(err.Error(), "returns.tls.cert: open ") {
		t.Errorf("files that are not there: got %v, want the start refused", err)
	}
	renew := func() []byte {
		pair, authority := selfSigned(t)
		key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Rename(authority, files.Cert),
			os.WriteFile(files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600)); err != nil {
			t.Fatal(err)
		}
		return pair.Certificate[0]
	}
	renew()
	c, err := files.config()
	if err != nil {
		t.Fatal(err)
	}
	want := renew()
	if got, err := c.GetCertificate(nil); err != nil || !bytes.Equal(got.Certificate[0], want) {
		t.Errorf("after it was renewed: got %v, %v, want the new one", got, err)
	}
	if c, err := (ReturnsTLS{}).config(); c != nil || err != nil {
		t.Errorf("without files: got %v, %v, want none", c, err)
	}
}
