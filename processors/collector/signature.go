package collector

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// signatureHeader is where a call of a key with a secret is signed.
const signatureHeader = "Segue-Signature"

// minSecret is how many bytes a secret must have.
const minSecret = 16

// unsigned refuses a call of a key that has a secret and does not show it: who
// only knows the key, which may lie open, can say nothing by it. A call that is
// overheard and sent again within a day is the same call: its messageId folds
// once.
func (s *Station) unsigned(r *http.Request, key string, body []byte) *answer {
	secret, signs := s.config.SigningSecrets[key]
	if !signs {
		return nil
	}
	got := r.Header.Get(signatureHeader)
	given, err := hex.DecodeString(strings.TrimPrefix(got, "sha256="))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	if err == nil && hmac.Equal(given, mac.Sum(nil)) {
		return nil
	}
	what := "another's"
	if got == "" {
		what = "none"
	}
	return refusal(http.StatusUnauthorized, "%s: got %s, want sha256= and, in hex, HMAC-SHA256 of the body (before compression) by the key's signing secret", signatureHeader, what)
}
