// Package workload is what the measurements feed and fold: seeded, so that it is
// the same for every engine and on every machine.
//
//	Workload → events of N customers → fold → outputs, states → Digest
//
// The plain fold is small and of integers alone, so that Go and Java can both
// do it without a difference. A state is 25 words of 64 bits, little-endian, and
// then its padding, which stands for a larger profile:
//
//	count sum last hash kinds[4] recent[16] level pad[…]
//
// An event (sequence, at, amount from 1 to 199, kind from 0 to 3) does, and all
// arithmetic wraps:
//
//	 1  count = 0 before it: pad[i] = (sequence + i + 1) · M for each i
//	 2  count ← count + 1
//	 3  sum ← sum + amount
//	 4  last ← sequence
//	 5  kinds[kind] ← kinds[kind] + 1
//	 6  recent[count mod 16] ← amount
//	 7  hash ← (hash xor sequence) · M
//	 8  pad[count mod len(pad)] ← hash, if there is padding
//	 9  sum / 1000 > level: level ← sum / 1000, and
//	10  an output (count, sum, sum of recent, at), which is every tenth event or so
//
// M is 0x9E3779B97F4A7C15. benchmarks/streams has the same lines in Java.
//
// Not obvious: padding that is never zero does not compress, so that no store
// looks better than a real profile would make it.
package workload

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// Workload says which events there are.
type Workload struct {
	Seed      uint64
	Customers int
	// Zipf is the exponent by which customers are unequal, above 1; 0: all alike.
	Zipf float64
	// InTurn lets each customer have an event before any has a second.
	InTurn bool
}

func (w Workload) String() string {
	spread := "uniform"
	switch {
	case w.InTurn:
		spread = "in turn"
	case w.Zipf > 0:
		spread = fmt.Sprintf("Zipf(%g)", w.Zipf)
	}
	return fmt.Sprintf("%s customers, %s", Count(w.Customers), spread)
}

// Count spells n for people: 100k, 2M.
func Count(n int) string {
	switch {
	case n >= 1_000_000 && n%100_000 == 0:
		return strconv.FormatFloat(float64(n)/1e6, 'g', -1, 64) + "M"
	case n >= 1000 && n%100 == 0:
		return strconv.FormatFloat(float64(n)/1e3, 'g', -1, 64) + "k"
	}
	return strconv.Itoa(n)
}

// Key is the record key of a customer, who is a number from 0.
func Key(customer int) []byte { return fmt.Appendf(nil, "c%09d", customer) }

// Customer is the number in a key.
func Customer(key []byte) (int, error) {
	if len(key) != 10 || key[0] != 'c' {
		return 0, fmt.Errorf("got key %q, want c and nine digits", key)
	}
	return strconv.Atoi(string(key[1:]))
}

// Event is something that a customer did.
type Event struct {
	Customer int
	Sequence uint64
	At       int64 // milliseconds since the Unix epoch
	Amount   uint64
	Kind     uint64
}

// Source draws events one after another.
type Source struct {
	w    Workload
	rand *rand.Rand
	zipf *rand.Zipf
	next uint64
	turn uint64
}

// Events begins with the first event.
func (w Workload) Events() *Source {
	s := &Source{w: w, rand: rand.New(rand.NewPCG(w.Seed, 1))}
	if w.Zipf > 0 {
		s.zipf = rand.NewZipf(s.rand, w.Zipf, 1, uint64(w.Customers-1))
	}
	return s
}

// scatter is prime, so that ranks that follow each other are not neighbours in
// the order of keys.
const scatter = 2_654_435_761

// Customer draws whose event it is.
func (s *Source) Customer() int {
	n := uint64(s.w.Customers)
	switch {
	case s.w.InTurn:
		s.turn++
		return int(s.turn % n)
	case s.zipf != nil:
		return int(s.zipf.Uint64() * scatter % n)
	}
	return s.rand.IntN(s.w.Customers)
}

// Next draws the next event, which happens at that instant.
func (s *Source) Next(at int64) Event {
	s.next++
	return Event{Customer: s.Customer(), Sequence: s.next, At: at, Amount: 1 + s.rand.Uint64N(199), Kind: s.rand.Uint64N(4)}
}

const (
	header = 8 + 8 + 4 + 1
	filler = "a storefront says more of an event than any one fold reads: names, prices, where the visitor came from, and in which language"
)

// Append appends the event as a record's value, 100 to 124 bytes.
func (e Event) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, e.Sequence)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.At))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(e.Amount))
	dst = append(dst, byte(e.Kind))
	return append(dst, filler[:100-header+int(e.Sequence%25)]...)
}

// Read reads what Append wrote, but for the customer, who is the key.
func (e *Event) Read(value []byte) error {
	if len(value) < header || value[header-1] > 3 {
		return fmt.Errorf("got an event of %d bytes, want %d or more, and a kind from 0 to 3", len(value), header)
	}
	e.Sequence = binary.LittleEndian.Uint64(value)
	e.At = int64(binary.LittleEndian.Uint64(value[8:]))
	e.Amount = uint64(binary.LittleEndian.Uint32(value[16:]))
	e.Kind = uint64(value[header-1])
	return nil
}
