package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
)

// Return names a delivery in the return path of its mail, where a server that
// cannot deliver it sends the answer. There is no room for a customer's id in 64
// characters, and nothing personal should stand there: a delivery is named by
// its place in the topic deliveries, where whoever reads the answer finds the
// rest for as long as the topic keeps it.
//
// The address is that of the configuration, with a token behind a plus:
//
//	base32( partition | offset | fingerprint of the delivery's id, 6 bytes | MAC, 10 bytes )
//
// Mail servers may change the case of its letters, so that case means nothing.
type Return struct {
	Partition int32
	Offset    int64
	// Print is the Fingerprint of the delivery's id. A topic that was made anew
	// holds another delivery at the place.
	Print [printSize]byte
}

const (
	printSize     = 6
	returnMACSize = 10
	localMax      = 64 // characters before the @ (RFC 5321, 4.5.3.1.1)
	// returnLocalMax leaves room for the longest token: 5 bytes of a partition, 9
	// of an offset, the fingerprint and the MAC.
	returnLocalMax = localMax - len("+") - (5+9+printSize+returnMACSize)*8/5
)

var returnEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Fingerprint is what a Return holds of a delivery's id.
func Fingerprint(delivery string) [printSize]byte {
	sum := sha256.Sum256([]byte(delivery))
	return [printSize]byte(sum[:])
}

// CheckReturnAddress says why tokens cannot be put into address.
func CheckReturnAddress(address string) error {
	local, domain, ok := strings.Cut(address, "@")
	switch {
	case !ok || local == "" || domain == "" || strings.ContainsAny(address, "+ <>\"\r\n") || strings.Contains(domain, "@"):
		return fmt.Errorf("got %q, want an address without a plus, such as bounces@shop.example", address)
	case len(local) > returnLocalMax:
		return fmt.Errorf("got %d characters before the @ of %s, want at most %d: a token follows them", len(local), address, returnLocalMax)
	}
	return nil
}

// ReturnPath is address with the token of r. CheckReturnAddress must have
// nothing against it.
func (k Keys) ReturnPath(address string, r Return) string {
	if len(k.keys) == 0 {
		panic("link: sign without keys")
	}
	local, domain, _ := strings.Cut(address, "@")
	b := binary.AppendUvarint(nil, uint64(uint32(r.Partition)))
	b = binary.AppendUvarint(b, uint64(r.Offset))
	b = append(b, r.Print[:]...)
	return local + "+" + returnEncoding.EncodeToString(append(b, k.keys[0].returnMAC(b)...)) + "@" + domain
}

// VerifyReturn returns what ReturnPath put into an address, whatever domain it
// has, or ErrInvalid.
func (k Keys) VerifyReturn(address string) (Return, error) {
	local, _, _ := strings.Cut(strings.ToLower(address), "@")
	_, token, _ := strings.Cut(local, "+")
	b, err := returnEncoding.DecodeString(token)
	if err != nil || len(b) < printSize+returnMACSize || returnEncoding.EncodeToString(b) != token {
		return Return{}, ErrInvalid
	}
	b, mac := b[:len(b)-returnMACSize], b[len(b)-returnMACSize:]
	var r Return
	if !k.returned(b, mac) || !r.parse(b) {
		return Return{}, ErrInvalid
	}
	return r, nil
}

func (k Keys) returned(b, mac []byte) bool {
	for _, key := range k.keys {
		if hmac.Equal(mac, key.returnMAC(b)) {
			return true
		}
	}
	return false
}

// returnMAC is of text that no link's token begins with.
func (k key) returnMAC(b []byte) []byte {
	return k.mac(append([]byte("return path\x00"), b...))[:returnMACSize]
}

func (r *Return) parse(b []byte) bool {
	partition, n := binary.Uvarint(b)
	if n <= 0 || partition > 1<<31-1 {
		return false
	}
	offset, m := binary.Uvarint(b[n:])
	if m <= 0 || offset > 1<<63-1 || len(b) != n+m+printSize {
		return false
	}
	r.Partition, r.Offset, r.Print = int32(partition), int64(offset), [printSize]byte(b[n+m:])
	return true
}
