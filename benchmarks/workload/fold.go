package workload

import (
	"encoding/binary"
	"fmt"
)

const (
	words      = 25
	multiplier = 0x9E3779B97F4A7C15
	threshold  = 1000

	// Crossing is an amount that always puts something out.
	Crossing = threshold
)

// State is what the plain fold knows of a customer.
type State struct {
	Count, Sum, Last, Hash uint64
	Kinds                  [4]uint64
	Recent                 [16]uint64
	Level                  uint64
	Pad                    []uint64
}

// Padding returns how many words of padding make a state of that many bytes.
func Padding(bytes int) int { return max(0, bytes/8-words) }

// StateBytes returns how many bytes a state with that padding has.
func StateBytes(pads int) int { return 8 * (words + pads) }

// Apply folds an event; crossed: there is an output.
func (s *State) Apply(e *Event) (crossed bool) {
	if s.Count == 0 {
		for i := range s.Pad {
			s.Pad[i] = (e.Sequence + uint64(i) + 1) * multiplier
		}
	}
	s.Count++
	s.Sum += e.Amount
	s.Last = e.Sequence
	s.Kinds[e.Kind]++
	s.Recent[s.Count%16] = e.Amount
	s.Hash = (s.Hash ^ e.Sequence) * multiplier
	if len(s.Pad) > 0 {
		s.Pad[s.Count%uint64(len(s.Pad))] = s.Hash
	}
	if level := s.Sum / threshold; level > s.Level {
		s.Level = level
		return true
	}
	return false
}

// Append appends the state's bytes.
func (s *State) Append(dst []byte) []byte {
	for _, w := range [...]uint64{s.Count, s.Sum, s.Last, s.Hash} {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	for _, w := range s.Kinds {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	for _, w := range s.Recent {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	dst = binary.LittleEndian.AppendUint64(dst, s.Level)
	for _, w := range s.Pad {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return dst
}

// ReadState reads what Append wrote.
func ReadState(b []byte) (*State, error) {
	if len(b) < 8*words || len(b)%8 != 0 {
		return nil, fmt.Errorf("got a state of %d bytes, want %d and whole words", len(b), 8*words)
	}
	word := func() uint64 {
		w := binary.LittleEndian.Uint64(b)
		b = b[8:]
		return w
	}
	s := &State{Count: word(), Sum: word(), Last: word(), Hash: word()}
	for i := range s.Kinds {
		s.Kinds[i] = word()
	}
	for i := range s.Recent {
		s.Recent[i] = word()
	}
	s.Level = word()
	if len(b) > 0 {
		s.Pad = make([]uint64, len(b)/8)
		for i := range s.Pad {
			s.Pad[i] = word()
		}
	}
	return s, nil
}

// AppendOutput appends what is put out when an event of that instant crossed.
func (s *State) AppendOutput(dst []byte, at int64) []byte {
	var recent uint64
	for _, amount := range s.Recent {
		recent += amount
	}
	for _, w := range [...]uint64{s.Count, s.Sum, recent, uint64(at)} {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return dst
}

// OutputAt is when the event happened that an output followed from.
func OutputAt(value []byte) (int64, error) {
	if len(value) != 32 {
		return 0, fmt.Errorf("got an output of %d bytes, want 32", len(value))
	}
	return int64(binary.LittleEndian.Uint64(value[24:])), nil
}
