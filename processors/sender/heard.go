package sender

import (
	"maps"
	"slices"
	"time"
)

// hearing is what came of a note that this process wrote, and is not recorded yet.
// The note is named by its offset in attempts: while that record is the last word
// on its delivery, nobody else has ended it, and nobody has handed it over again.
type hearing struct {
	answer
	note int64
	at   int64 // milliseconds
}

// hear waits for the answers to what is in hand, after the session broke or was
// lost: they are what the next one knows of its notes. A stop ends it early.
func (s *session) hear(stop <-chan struct{}) {
	timer := time.NewTimer(s.Patience)
	defer timer.Stop()
	for s.ledger.inHand > 0 {
		select {
		case a := <-s.answers: // what is there is taken in any case
			s.answered(a)
			continue
		default:
		}
		select {
		case a := <-s.answers:
			s.answered(a)
		case <-timer.C:
			return
		case <-stop:
			return
		case <-s.owner.killed:
			return
		}
	}
}

// keep remembers what this session heard and could not record, in the place of
// what others of its partition did.
func (s *session) keep() {
	left := append(s.ledger.heard, slices.Collect(maps.Values(s.ledger.before))...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.heard, s.partition); len(left) > 0 {
		s.heard[s.partition] = left
	}
}

// kept returns what former sessions of this process left, by note.
func (s *session) kept() map[int64]hearing {
	s.mu.Lock()
	defer s.mu.Unlock()
	byNote := map[int64]hearing{}
	for _, h := range s.heard[s.partition] {
		byNote[h.note] = h
	}
	return byNote
}
