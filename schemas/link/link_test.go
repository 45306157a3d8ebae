package link

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

const secret = "a secret of the test's own"

var click = Link{Kind: Click, Customer: "ada", Delivery: "d-1", Journey: "cart", Step: 2, URL: "https://shop.example/mug?utm=a&b=ü#x"}

func keys(t testing.TB, secrets ...string) Keys {
	t.Helper()
	k, err := NewKeys(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A mail's links come back as they were signed.
func TestLinkOfAMail(t *testing.T) {
	k := keys(t, secret)
	for _, l := range []Link{
		click,
		{Kind: Open, Customer: "ada", Delivery: "d-1", Journey: "cart", Step: 2},
		{Kind: Unsubscribe, Customer: "björn ♥", Delivery: "d-2"},
		{Kind: Unsubscribe, Customer: "ada", Delivery: "d-3", At: 1_772_445_600_000, Topics: "News\nReminders of your basket"},
		{Kind: Click, Customer: strings.Repeat("c", 256), URL: "https://shop.example/?q=" + strings.Repeat("x", 8000)},
	} {
		token := k.Sign(l)
		if token != k.Sign(l) {
			t.Errorf("Sign(%v) differs from time to time", l)
		}
		got, err := k.Verify(l.Kind, token)
		if err != nil || got != l {
			t.Errorf("Verify(Sign(%v)) = %v, %v", l, got, err)
		}
	}
}

func TestURL(t *testing.T) {
	k := keys(t, secret)
	for _, test := range []struct {
		kind         Kind
		path, suffix string
	}{{Open, "/o/", ".gif"}, {Click, "/c/", ""}, {Unsubscribe, "/u/", ""}} {
		l := click
		l.Kind = test.kind
		want := "https://t.shop.example" + test.path + k.Sign(l) + test.suffix
		for _, base := range []string{"https://t.shop.example", "https://t.shop.example/"} {
			if got := k.URL(base, l); got != want {
				t.Errorf("URL(%q, %s) = %s, want %s", base, test.kind, got, want)
			}
		}
	}
}

// A link of a mail that was sent before links knew when still works.
func TestEarlierFormat(t *testing.T) {
	const token = "AcoKFTwCA2FkYQNkLTEEY2FydAIlaHR0cHM6Ly9zaG9wLmV4YW1wbGUvbXVnP3V0bT1hJmI9w7wjeKXdH1aouHQoTRObLMTxmtg"
	got, err := keys(t, secret).Verify(Click, token)
	if err != nil || got != click {
		t.Errorf("Verify of a token of format 1 = %+v, %v, want %+v", got, err, click)
	}
}

// A change of any byte, or another kind, is refused.
func TestTampered(t *testing.T) {
	k := keys(t, secret)
	token := k.Sign(click)
	for _, kind := range []Kind{Open, Unsubscribe, 0, 9} {
		refused(t, k, kind, token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		b := append([]byte(nil), raw...)
		b[i] ^= 1
		refused(t, k, Click, base64.RawURLEncoding.EncodeToString(b))
		refused(t, k, Click, base64.RawURLEncoding.EncodeToString(raw[:i]))
	}
	for _, other := range []string{"", token + "A", token + "=", token[:9] + "\n" + token[9:], strings.ToUpper(token)} {
		refused(t, k, Click, other)
	}
}

// The last character of a token has bits that mean nothing; they must be zero.
func TestOneSpelling(t *testing.T) {
	k := keys(t, secret)
	for _, customer := range []string{"a", "ad", "ada"} {
		l := Link{Kind: Open, Customer: customer}
		token := k.Sign(l)
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
			other := token[:len(token)-1] + string(c)
			if _, err := k.Verify(Open, other); err == nil && other != token {
				t.Errorf("Verify(%q) = nil, want ErrInvalid: it is another spelling of %q", other, token)
			}
		}
	}
}

// A new key comes first; mails signed with the old one live on until it is gone.
func TestRotation(t *testing.T) {
	const next = "the secret that comes next"
	old, both, after := keys(t, secret), keys(t, next, secret), keys(t, next)
	if _, err := both.Verify(Click, old.Sign(click)); err != nil {
		t.Errorf("Verify of the old key's token = %v, want nil", err)
	}
	if _, err := after.Verify(Click, both.Sign(click)); err != nil {
		t.Errorf("Verify of the first key's token = %v, want nil", err)
	}
	refused(t, old, Click, both.Sign(click))
	refused(t, after, Click, old.Sign(click))
	refused(t, Keys{}, Click, old.Sign(click))
}

// What is signed and still no place to send a shopper to, or no event, is refused.
func TestSignedButUnfit(t *testing.T) {
	k := keys(t, secret)
	for _, target := range []string{"", "/mug", "//evil.example", "javascript:alert(1)", "mailto:a@b.example", "https://", "http://\x7f"} {
		if Trackable(target) {
			t.Errorf("Trackable(%q) = true, want false", target)
		}
		refused(t, k, Click, k.Sign(Link{Kind: Click, Customer: "ada", URL: target}))
	}
	refused(t, k, Open, k.Sign(Link{Kind: Open, Customer: "\xff"}))
	refused(t, k, Open, k.Sign(Link{Kind: Open, Delivery: "d-1"}))
}

func TestNewKeys(t *testing.T) {
	if _, err := NewKeys(); err == nil {
		t.Error("NewKeys() = nil, want an error")
	}
	_, err := NewKeys(secret, "short")
	if want := "link keys: secret 2: got 5 bytes, want at least 16"; err == nil || err.Error() != want {
		t.Errorf("NewKeys(…, short) = %v, want %s", err, want)
	}
}

func refused(t *testing.T, k Keys, kind Kind, token string) {
	t.Helper()
	if l, err := k.Verify(kind, token); !errors.Is(err, ErrInvalid) {
		t.Errorf("Verify(%s, %q) = %v, %v; want ErrInvalid", kind, token, l, err)
	}
}

func FuzzVerify(f *testing.F) {
	k := keys(f, secret)
	f.Add(k.Sign(click))
	f.Add(k.Sign(Link{Kind: Unsubscribe, Customer: "ada"}))
	f.Add(k.Sign(Link{Kind: Unsubscribe, Customer: "ada", At: 1, Topics: "News"}))
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, token string) {
		for _, kind := range []Kind{Open, Click, Unsubscribe} {
			if l, err := k.Verify(kind, token); err == nil && k.Sign(l) != token {
				t.Errorf("Verify(%s, %q) = %v, whose token is %q", kind, token, l, k.Sign(l))
			}
		}
	})
}

// FuzzParse reaches behind the signature: what is read is what was written.
func FuzzParse(f *testing.F) {
	k := keys(f, secret)
	for _, l := range []Link{click, {Kind: Click, Customer: "ada", URL: "https://shop.example/", At: 1, Topics: "News"}} {
		raw, err := base64.RawURLEncoding.DecodeString(k.Sign(l))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw[0], raw[1+keyIDSize+1:len(raw)-macSize])
	}
	f.Fuzz(func(t *testing.T, format byte, b []byte) {
		l := Link{Kind: Click}
		if !l.parse(format, b) {
			return
		}
		if len(l.Customer)+len(l.Delivery)+len(l.Journey)+len(l.URL)+len(l.Topics) > len(b) {
			t.Errorf("parse(%x) = %v, longer than what it was read from", b, l)
		}
		if !utf8.ValidString(l.Customer + l.Delivery + l.Journey + l.URL + l.Topics) {
			t.Errorf("parse(%x) = %v, which no event can hold", b, l)
		}
	})
}
