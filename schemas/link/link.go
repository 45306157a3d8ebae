// Package link is what the links of a mail carry, signed: whose mail it was,
// and where a click goes. The sender signs, the collector verifies.
//
//	deliveries → sender ─ links ─▶ inbox ─ opens, clicks, unsubscribe ─▶ collector → events
//
// A token holds all that its answer needs, so that a click is redirected with
// no Kafka and no table at hand. It is
//
//	base64url( format | key id, 4 bytes | kind | customer | delivery | journey | step | url | at | topics | MAC )
//
// with strings behind their length, and as MAC the first 16 bytes of
// HMAC-SHA256 over all before it. Format 1 ends behind the url; mails that have
// such links are still read.
//
// Not obvious: a token is signed, not secret, and whoever got the mail can read
// it. It never expires: an unsubscribe link must work as long as the mail is
// kept. One token has one spelling. A key is replaced by putting the new one
// before the old, and the old one dropped when mails signed with it may die.
package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Kind is what following a link means. A token of one kind is never valid as
// another.
type Kind byte

const (
	Open        Kind = 1
	Click       Kind = 2
	Unsubscribe Kind = 3
)

func (k Kind) String() string {
	switch k {
	case Open:
		return "open"
	case Click:
		return "click"
	case Unsubscribe:
		return "unsubscribe"
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// Link is one link of one mail.
type Link struct {
	Kind     Kind
	Customer string
	Delivery string
	Journey  string
	Step     int // from 1; 0 outside of a journey
	// URL is where a Click goes; "" in the other kinds.
	URL string
	// At is when the mail was composed, in milliseconds since the epoch; 0: not
	// known. What follows a link before anybody can have read the mail is no reader.
	At int64
	// Topics are what its reader can choose among, one a line; of an Unsubscribe.
	Topics string
}

// ErrInvalid is what Verify returns for a token that Sign never made with one
// of the keys for that kind. It does not say more: only a forger would read it.
var ErrInvalid = errors.New("invalid link")

const (
	short     = 1 // format of a link with neither At nor Topics
	long      = 2
	keyIDSize = 4
	macSize   = 16
	// MinSecret is how many bytes a secret has at least.
	MinSecret = 16
)

// encoding refuses a second spelling of the same bytes.
var encoding = base64.RawURLEncoding.Strict()

// Keys sign and verify. The zero value verifies nothing and cannot sign.
type Keys struct{ keys []key }

type key struct {
	id     [keyIDSize]byte
	secret []byte
}

// NewKeys makes keys of secrets, MinSecret bytes or more each: the first signs,
// all verify.
func NewKeys(secrets ...string) (Keys, error) {
	if len(secrets) == 0 {
		return Keys{}, errors.New("link keys: got no secret, want at least one")
	}
	var k Keys
	for i, s := range secrets {
		if len(s) < MinSecret {
			return Keys{}, fmt.Errorf("link keys: secret %d: got %d bytes, want at least %d", i+1, len(s), MinSecret)
		}
		id := sha256.Sum256([]byte("segue link key id\x00" + s))
		k.keys = append(k.keys, key{[keyIDSize]byte(id[:]), []byte(s)})
	}
	return k, nil
}

// Sign returns the token of l. It is safe in a path of a URL.
func (k Keys) Sign(l Link) string {
	if len(k.keys) == 0 {
		panic("link: sign without keys")
	}
	signer := k.keys[0]
	format := byte(short)
	if l.At > 0 || l.Topics != "" {
		format = long
	}
	b := append([]byte{format}, signer.id[:]...)
	b = append(b, byte(l.Kind))
	b = appendText(b, l.Customer)
	b = appendText(b, l.Delivery)
	b = appendText(b, l.Journey)
	b = binary.AppendUvarint(b, uint64(max(l.Step, 0)))
	b = appendText(b, l.URL)
	if format == long {
		b = binary.AppendUvarint(b, uint64(max(l.At, 0)))
		b = appendText(b, l.Topics)
	}
	return encoding.EncodeToString(append(b, signer.mac(b)...))
}

// Verify returns the link of a token that Sign made, or ErrInvalid.
func (k Keys) Verify(kind Kind, token string) (Link, error) {
	if strings.ContainsAny(token, "\r\n") { // the decoder would skip them
		return Link{}, ErrInvalid
	}
	b, err := encoding.DecodeString(token)
	if err != nil || len(b) < 1+keyIDSize+1+macSize || b[0] != short && b[0] != long {
		return Link{}, ErrInvalid
	}
	signed, mac := b[:len(b)-macSize], b[len(b)-macSize:]
	if !k.signed([keyIDSize]byte(signed[1:]), signed, mac) {
		return Link{}, ErrInvalid
	}
	signed = signed[1+keyIDSize:]
	l := Link{Kind: Kind(signed[0])}
	ok := l.parse(b[0], signed[1:])
	if !ok || l.Kind != kind || l.Customer == "" || (kind == Click && !Trackable(l.URL)) {
		return Link{}, ErrInvalid
	}
	return l, nil
}

// URL returns the address of l below base, the public address of the collector.
func (k Keys) URL(base string, l Link) string {
	base = strings.TrimSuffix(base, "/")
	switch l.Kind {
	case Open:
		return base + "/o/" + k.Sign(l) + ".gif"
	case Click:
		return base + "/c/" + k.Sign(l)
	case Unsubscribe:
		return base + "/u/" + k.Sign(l)
	}
	panic("link: URL of " + l.Kind.String())
}

// PreferencesURL returns the address of the page where the reader of an
// Unsubscribe's mail chooses what they get instead.
func (k Keys) PreferencesURL(base string, l Link) string {
	return strings.TrimSuffix(base, "/") + "/p/" + k.Sign(l)
}

// Trackable reports whether target may stand in a Click: absolute, http or
// https. Other links of a mail (mailto:, tel:, #) stay as they are.
func Trackable(target string) bool {
	u, err := url.Parse(target)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// signed reports, in constant time, whether mac is that of the key with id.
func (k Keys) signed(id [keyIDSize]byte, b, mac []byte) bool {
	for _, key := range k.keys {
		if key.id == id && hmac.Equal(mac, key.mac(b)) {
			return true
		}
	}
	return false
}

func (k key) mac(b []byte) []byte {
	h := hmac.New(sha256.New, k.secret)
	h.Write(b)
	return h.Sum(nil)[:macSize]
}

// parse reads what Sign wrote behind the kind.
func (l *Link) parse(format byte, b []byte) bool {
	var ok bool
	for _, field := range []*string{&l.Customer, &l.Delivery, &l.Journey} {
		if *field, b, ok = cutText(b); !ok {
			return false
		}
	}
	step, n := binary.Uvarint(b)
	if n <= 0 || step > 1<<31-1 {
		return false
	}
	l.Step = int(step)
	if l.URL, b, ok = cutText(b[n:]); !ok || format == short {
		return ok && len(b) == 0
	}
	at, n := binary.Uvarint(b)
	if n <= 0 || at > 1<<53 {
		return false
	}
	l.At = int64(at)
	l.Topics, b, ok = cutText(b[n:])
	return ok && len(b) == 0
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// cutText reads one string. Text that is not UTF-8 would not fit an event.
func cutText(b []byte) (s string, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return "", nil, false
	}
	s, rest = string(b[n:n+int(size)]), b[n+int(size):]
	return s, rest, utf8.ValidString(s)
}
