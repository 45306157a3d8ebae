package profile

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Derive returns an id made of what it stands for: the same parts give the same
// id, whoever computes it and however often.
func Derive(parts ...string) string {
	sum := digest(parts)
	return hex.EncodeToString(sum[:12])
}

// Draw returns a number in [0, 1) that parts alone decide: chance for whoever
// does not know the salt among them, and the same again in every replay.
func Draw(parts ...string) float64 {
	sum := digest(parts)
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}

// digest keeps parts apart by their lengths.
func digest(parts []string) [sha256.Size]byte {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return sha256.Sum256(b)
}
