package link

import (
	"errors"
	"math"
	"strings"
	"testing"
)

const bounces = "bounces@mail.shop.example"

var parcel = Return{Partition: 3, Offset: 184_467, Print: Fingerprint("d-1")}

// A mail's return path comes back as the recipient of the answer.
func TestReturnPath(t *testing.T) {
	k := keys(t, secret)
	for _, r := range []Return{parcel, {}, {Partition: math.MaxInt32, Offset: math.MaxInt64, Print: Fingerprint("")}} {
		path := k.ReturnPath(bounces, r)
		local, domain, _ := strings.Cut(path, "@")
		if !strings.HasPrefix(local, "bounces+") || domain != "mail.shop.example" {
			t.Errorf("ReturnPath(%v) = %s, want bounces+TOKEN@mail.shop.example", r, path)
		}
		for _, seen := range []string{path, strings.ToUpper(path), local + "@relay.example"} {
			if got, err := k.VerifyReturn(seen); err != nil || got != r {
				t.Errorf("VerifyReturn(%s) = %v, %v, want %v", seen, got, err, r)
			}
		}
	}
}

// The longest name that is allowed still leaves room for the longest token.
func TestReturnPathFits(t *testing.T) {
	k := keys(t, secret)
	longest := strings.Repeat("b", returnLocalMax) + "@shop.example"
	if err := CheckReturnAddress(longest); err != nil {
		t.Error(err)
	}
	path := k.ReturnPath(longest, Return{Partition: math.MaxInt32, Offset: math.MaxInt64})
	if local, _, _ := strings.Cut(path, "@"); len(local) != localMax {
		t.Errorf("local part of the longest: got %d characters, want %d", len(local), localMax)
	}
	for address, want := range map[string]string{
		"b" + longest:         "got 16 characters before the @ of b" + longest + ", want at most 15: a token follows them",
		"bounces+x@shop.test": `got "bounces+x@shop.test", want an address without a plus, such as bounces@shop.example`,
		"shop.example":        `got "shop.example", want an address without a plus, such as bounces@shop.example`,
		"a@b@c":               `got "a@b@c", want an address without a plus, such as bounces@shop.example`,
	} {
		if err := CheckReturnAddress(address); err == nil || err.Error() != want {
			t.Errorf("CheckReturnAddress(%s) = %v, want %s", address, err, want)
		}
	}
}

// Whoever has no key cannot make a customer bounce.
func TestForgedReturn(t *testing.T) {
	k := keys(t, secret)
	path := k.ReturnPath(bounces, parcel)
	local, _, _ := strings.Cut(path, "@")
	token := strings.TrimPrefix(local, "bounces+")
	for i := range token {
		for _, c := range "a7" {
			other := token[:i] + string(c) + token[i+1:]
			if _, err := k.VerifyReturn("bounces+" + other + "@shop.example"); (err == nil) != (other == token) {
				t.Errorf("VerifyReturn(%s) = %v", other, err)
			}
		}
	}
	for _, address := range []string{
		"", "+", "bounces@shop.example", "bounces+@shop.example", "bounces+" + token[:len(token)-2] + "@x", "bounces+" + token + "a@x",
		"bounces+" + token[:9] + "\n" + token[9:] + "@x", "bounces+" + token + "=@x", "bounces+" + k.Sign(click) + "@x",
	} {
		if r, err := k.VerifyReturn(address); !errors.Is(err, ErrInvalid) {
			t.Errorf("VerifyReturn(%q) = %v, %v, want ErrInvalid", address, r, err)
		}
	}
	if _, err := (Keys{}).VerifyReturn(path); !errors.Is(err, ErrInvalid) {
		t.Errorf("VerifyReturn without keys = %v, want ErrInvalid", err)
	}
	refused(t, k, Open, token)
}

func TestReturnRotation(t *testing.T) {
	const next = "the secret that comes next"
	old, both, after := keys(t, secret), keys(t, next, secret), keys(t, next)
	if _, err := both.VerifyReturn(old.ReturnPath(bounces, parcel)); err != nil {
		t.Errorf("VerifyReturn of the old key's path = %v, want nil", err)
	}
	if _, err := after.VerifyReturn(both.ReturnPath(bounces, parcel)); err != nil {
		t.Errorf("VerifyReturn of the first key's path = %v, want nil", err)
	}
	if _, err := after.VerifyReturn(old.ReturnPath(bounces, parcel)); !errors.Is(err, ErrInvalid) {
		t.Errorf("VerifyReturn of a dropped key's path = %v, want ErrInvalid", err)
	}
}

func FuzzVerifyReturn(f *testing.F) {
	k := keys(f, secret)
	f.Add(k.ReturnPath(bounces, parcel))
	f.Add(strings.ToUpper(k.ReturnPath("b@x", Return{})))
	f.Add("bounces+aaaa@shop.example")
	f.Fuzz(func(t *testing.T, address string) {
		r, err := k.VerifyReturn(address)
		if err != nil {
			return
		}
		local, _, _ := strings.Cut(strings.ToLower(address), "@")
		name, _, _ := strings.Cut(local, "+")
		if want, _, _ := strings.Cut(k.ReturnPath(name+"@x", r), "@"); local != want {
			t.Errorf("VerifyReturn(%q) = %v, whose path is %q", address, r, want)
		}
	})
}

// FuzzParseReturn reaches behind the signature.
func FuzzParseReturn(f *testing.F) {
	f.Add([]byte{3, 200, 1, 1, 2, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Return
		if r.parse(b) && (r.Partition < 0 || r.Offset < 0) {
			t.Errorf("parse(%x) = %v, want no place before the first", b, r)
		}
	})
}
