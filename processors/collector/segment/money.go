package segment

import (
	"encoding/json"
	"strings"
)

const (
	microsPerUnit = 1_000_000
	decimals      = 6
	// maxUnits bounds an amount so that the sum of a cart fits 64 bits.
	maxUnits = 100_000_000_000
)

const (
	wantAmount = "a decimal amount such as 12.50"
	wantLess   = "at most 100000000000"
)

// parseMicros reads a decimal number, or text that holds one, digit by digit: it
// never passes through a float. Beyond the sixth decimal, where a storefront's
// own floats leave their noise (18.990000000000002), it rounds half away from
// zero. want is "" or says what is wrong.
func parseMicros(value any) (micros int64, want string) {
	var s string
	switch v := value.(type) {
	case json.Number:
		s = v.String()
	case string:
		s = strings.TrimSpace(v)
	default:
		return 0, wantAmount
	}
	s, negative := strings.CutPrefix(s, "-")
	mantissa, exponent, ok := cutExponent(s)
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if !ok || digits == "" || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, wantAmount
	}
	// The digits up to the sixth decimal are the micros; the next one rounds.
	places := len(whole) + exponent + decimals
	for i := range max(places, 0) {
		micros *= 10
		if i < len(digits) {
			micros += int64(digits[i] - '0')
		}
		if micros > maxUnits*microsPerUnit {
			return 0, wantLess
		}
		if micros == 0 && i >= len(digits) {
			break // 0e9
		}
	}
	if places >= 0 && places < len(digits) && digits[places] >= '5' {
		micros++
	}
	if micros > maxUnits*microsPerUnit {
		return 0, wantLess
	}
	if negative {
		micros = -micros
	}
	return micros, ""
}

// cutExponent splits 1.5e3 into 1.5 and 3. An exponent beyond any amount counts
// as one that is just too large.
func cutExponent(s string) (mantissa string, exponent int, ok bool) {
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return s, 0, true
	}
	const beyond = 100_000 // more than an item has digits
	digits := s[i+1:]
	sign := 1
	if d, minus := strings.CutPrefix(digits, "-"); minus {
		digits, sign = d, -1
	} else {
		digits = strings.TrimPrefix(digits, "+")
	}
	if digits == "" {
		return "", 0, false
	}
	for _, r := range digits {
		if r < '0' || r > '9' {
			return "", 0, false
		}
		exponent = min(exponent*10+int(r-'0'), beyond)
	}
	return s[:i], sign * exponent, true
}
