package dkim

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

const mail = "From: Alder & Oak <hello@shop.example>\r\nTo: ada@example.com\r\nSubject: Still yours\r\n" +
	"Date: Mon, 02 Mar 2026 09:00:00 +0000\r\nMessage-ID: <1@shop.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n" +
	"List-Unsubscribe: <https://t.shop.example/u/x>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nYour mug waits.\r\n"

func write(t *testing.T, private any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return writeText(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func writeText(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// load returns an RSA and an Ed25519 key of shop.example.
func load(t *testing.T) Keys {
	t.Helper()
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := Load(map[string]string{"r1._domainkey.shop.example": write(t, rsaKey(t, minBits)), "e1._domainkey.Shop.example": write(t, edwards)})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// verify asks a verifier that knows nothing but the published records.
func (keys Keys) verify(t *testing.T, raw []byte) []*dkim.Verification {
	t.Helper()
	all, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		for _, k := range keys {
			if k.Name() == name {
				record, err := k.Record()
				return []string{record}, err
			}
		}
		t.Errorf("asked for %s", name)
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSignedMailVerifies(t *testing.T) {
	keys := load(t)
	raw, err := keys.Sign("shop.example", []byte(mail))
	if err != nil {
		t.Fatal(err)
	}
	got := keys.verify(t, raw)
	if len(got) != 2 {
		t.Fatalf("signatures: got %d, want RSA's and Ed25519's", len(got))
	}
	for _, v := range got {
		if v.Err != nil || v.Domain != "shop.example" {
			t.Errorf("signature of %s: %v", v.Domain, v.Err)
		}
		for _, must := range []string{"From", "Subject", "List-Unsubscribe", "List-Unsubscribe-Post"} {
			if !strings.Contains(":"+strings.Join(v.HeaderKeys, ":")+":", ":"+must+":") {
				t.Errorf("signed: got %v, want %s among them", v.HeaderKeys, must)
			}
		}
	}
	// White space is all that may change on the way.
	relaxed := strings.Replace(string(raw), "Subject: Still yours", "subject:  Still   yours ", 1)
	for _, v := range keys.verify(t, []byte(relaxed)) {
		if v.Err != nil {
			t.Errorf("white space changed: %v", v.Err)
		}
	}
}

func TestChangedMailDoesNotVerify(t *testing.T) {
	keys := load(t)
	raw, err := keys.Sign("shop.example", []byte(mail))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"body":                    {"Your mug", "Your rug"},
		"subject":                 {"Still yours", "Not yours"},
		"way out":                 {"/u/x", "/u/y"},
		"a second From":           {"\r\nFrom: Alder", "\r\nFrom: <evil@example.com>\r\nFrom: Alder"},
		"a second Subject":        {"\r\nSubject:", "\r\nSubject: win\r\nSubject:"},
		"a Reply-To":              {"\r\nSubject:", "\r\nReply-To: evil@example.com\r\nSubject:"},
		"a second body type":      {"\r\nContent-Type:", "\r\nContent-Type: multipart/mixed; boundary=x\r\nContent-Type:"},
		"another encoding":        {"\r\nContent-Type:", "\r\nContent-Transfer-Encoding: base64\r\nContent-Type:"},
		"a second MIME-Version":   {"\r\nMIME-Version:", "\r\nMIME-Version: 1.0\r\nMIME-Version:"},
		"a copy":                  {"\r\nSubject:", "\r\nCc: evil@example.com\r\nSubject:"},
		"another sender":          {"\r\nSubject:", "\r\nSender: evil@example.com\r\nSubject:"},
		"an answer to a mail":     {"\r\nSubject:", "\r\nIn-Reply-To: <1@bank.example>\r\nSubject:"},
		"a second one-click post": {"\r\nList-Unsubscribe-Post:", "\r\nList-Unsubscribe-Post: List-Unsubscribe=No\r\nList-Unsubscribe-Post:"},
		"a second way out":        {"\r\nList-Unsubscribe: ", "\r\nList-Unsubscribe: <https://evil.example>\r\nList-Unsubscribe: "},
	} {
		for _, v := range keys.verify(t, []byte(strings.Replace(string(raw), change[0], change[1], 1))) {
			if v.Err == nil {
				t.Errorf("%s was changed, and the signature verifies", name)
			}
		}
	}
}

func TestKeysOfADomain(t *testing.T) {
	keys := Keys{{Selector: "a", Domain: "shop.example"}, {Selector: "b", Domain: "news.shop.example"}}
	for domain, want := range map[string]string{
		"shop.example": "a", "News.Shop.Example": "b", "de.shop.example": "a", "x.news.shop.example": "b", "otershop.example": "", "example": "", "": "",
	} {
		got := ""
		for _, k := range keys.Of(domain) {
			got += k.Selector
		}
		if got != want {
			t.Errorf("Of(%q) = %q, want %q", domain, got, want)
		}
	}
	raw, err := keys.Sign("other.example", []byte(mail))
	if err != nil || string(raw) != mail {
		t.Errorf("another domain's mail: got %q, %v, want it as it was", raw, err)
	}
}

func TestKeysThatCannotSign(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const name = "s1._domainkey.shop.example"
	for want, files := range map[string]map[string]string{
		"want where it is published":            {"shop.example": "key.pem"},
		"no such file":                          {name: filepath.Join(t.TempDir(), "none.pem")},
		"got no PEM":                            {name: writeText(t, "secret")},
		"got RSA of 1024 bits, want 2048":       {name: write(t, rsaKey(t, 1024))},
		"PrivateKey, want RSA or Ed25519":       {name: write(t, crypto.Signer(curve))},
		"got a CERTIFICATE, want a private key": {name: writeText(t, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")},
	} {
		if _, err := Load(files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
