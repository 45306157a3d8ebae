// Package dkim signs mails, so that a mailbox provider can tell that the domain
// after From's @ stands behind them (RFC 6376, RFC 8463).
//
//	mail as composed + keys of its domain → the mail, with a DKIM-Signature for each
//
// Not obvious: fields that a mail may have once are named once more than it has
// them (oversigned): whoever adds a second Subject, a copy, or a Content-Type that
// makes another mail of the body, on the way, breaks the signature. Feedback-ID is
// not: providers add their own. A relay that writes Date and Message-ID anew (SES)
// breaks it, too: its own signature must do there. A domain may have several keys, and all of them sign: RSA for those
// who know no other, Ed25519 beside it.
package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// minBits of an RSA key: what large providers ask for.
const minBits = 2048

// signed are the fields that a signature covers: what our mails have, twice, and
// what they do not have and would change their meaning.
var signed = []string{
	"From", "From", "To", "To", "Subject", "Subject", "Date", "Date", "Message-ID", "Message-ID",
	"MIME-Version", "MIME-Version", "Content-Type", "Content-Type",
	"Content-Transfer-Encoding", "Cc", "Reply-To", "Sender", "In-Reply-To", "References",
	"List-Unsubscribe", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Unsubscribe-Post", "Feedback-ID",
}

// Key signs for one domain.
type Key struct {
	Selector, Domain string
	private          crypto.Signer
}

// Keys sign for several domains.
type Keys []Key

// Load reads keys from PEM files (PKCS #8 or PKCS #1), each named by where its
// public half is published, as s1._domainkey.shop.example.
func Load(files map[string]string) (Keys, error) {
	var keys Keys
	for _, name := range slices.Sorted(maps.Keys(files)) {
		selector, domain, ok := strings.Cut(name, "._domainkey.")
		if !ok || selector == "" || domain == "" {
			return nil, fmt.Errorf("dkim key %q: got no such name, want where it is published, as s1._domainkey.shop.example", name)
		}
		text, err := os.ReadFile(files[name])
		if err != nil {
			return nil, fmt.Errorf("dkim key %s: %w", name, err)
		}
		private, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("dkim key %s: %s: %w", name, files[name], err)
		}
		keys = append(keys, Key{Selector: selector, Domain: strings.ToLower(domain), private: private})
	}
	return keys, nil
}

func parse(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("got no PEM, want a private key")
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		var errRSA error
		if private, errRSA = x509.ParsePKCS1PrivateKey(block.Bytes); errRSA != nil {
			return nil, fmt.Errorf("got a %s, want a private key as PKCS #8: %w", block.Type, err)
		}
	}
	switch k := private.(type) {
	case *rsa.PrivateKey:
		if bits := k.N.BitLen(); bits < minBits {
			return nil, fmt.Errorf("got RSA of %d bits, want %d or more", bits, minBits)
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("got a %T, want RSA or Ed25519", private)
}

// Record is what to publish as TXT at the key's name.
func (k Key) Record() (string, error) {
	switch public := k.private.Public().(type) {
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public), nil
	default:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return "", fmt.Errorf("dkim key %s: %w", k.Name(), err)
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	}
}

// Name is where the key is published.
func (k Key) Name() string { return k.Selector + "._domainkey." + k.Domain }

// Of returns the keys of a domain, or, if it has none, those of the nearest
// domain above it: they count as its own where alignment is relaxed.
func (keys Keys) Of(domain string) (of Keys) {
	for above := strings.ToLower(domain); len(of) == 0 && above != ""; _, above, _ = strings.Cut(above, ".") {
		for _, k := range keys {
			if k.Domain == above {
				of = append(of, k)
			}
		}
	}
	return of
}

// Sign returns raw with a signature of each key of the domain that it is from;
// raw itself, if there is none.
func (keys Keys) Sign(domain string, raw []byte) ([]byte, error) {
	var signatures bytes.Buffer
	for _, k := range keys.Of(domain) {
		s, err := dkim.NewSigner(&dkim.SignOptions{
			Domain: k.Domain, Selector: k.Selector, Signer: k.private, Hash: crypto.SHA256,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
			HeaderKeys: signed,
		})
		if err != nil {
			return nil, fmt.Errorf("sign with %s: %w", k.Name(), err)
		}
		if _, err := s.Write(raw); err != nil {
			return nil, fmt.Errorf("sign with %s: %w", k.Name(), err)
		}
		if err := s.Close(); err != nil {
			return nil, fmt.Errorf("sign with %s: %w", k.Name(), err)
		}
		signatures.WriteString(s.Signature())
	}
	return append(signatures.Bytes(), raw...), nil
}

// Published says why signatures of k do not verify for whoever finds these
// records at its name.
func (k Key) Published(records []string) error {
	raw, err := Keys{k}.Sign(k.Domain, []byte("From: <a@"+k.Domain+">\r\nSubject: x\r\n\r\nx\r\n"))
	if err != nil {
		return err
	}
	got, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) { return records, nil }})
	if err != nil {
		return err
	}
	return got[0].Err
}
