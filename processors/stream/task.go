package stream

import "context"

// Task is what a station does with the records of one key. S is the state of a
// key, D a decision.
type Task[S, D any] interface {
	// New returns the state of a key that was never met.
	New(key string) *S
	// Encode appends s to dst: the same state gives the same bytes.
	Encode(dst []byte, s *S) []byte
	// Decode reads what Encode wrote. b is not kept.
	Decode(b []byte) (*S, error)
	// Release takes back a state that nobody looks at any more, for Decode to use
	// its memory again.
	Release(s *S)
	// Size estimates what s takes in memory, in bytes.
	Size(s *S) int

	// Load makes a version ready for Advance, before it is in force or folded
	// again. It may do I/O and is called again with versions that it knows.
	Load(ctx context.Context, version string) error

	// Advance brings one record or wake-up in, and decides. It depends on
	// nothing but its arguments: no clock, no I/O, no randomness, no order of a
	// map. next is the instant of the key's next wake-up; 0: none.
	//
	// An error makes the record, or the wake-up, a dead letter; it must leave s
	// as it was, so check before you change. A panic does the same, at the price
	// of folding again: nothing is asked of s then.
	Advance(s *S, in Input) (decisions []D, next int64, err error)

	// Compose turns a decision into records. It may read tables, and changes
	// nothing. It is not called when a decision is folded again, but to compare
	// with what another version of the fold put out. An error or a
	// panic makes the input that was decided a dead letter; the decision stands.
	Compose(s *S, in Input, decision D) ([]Output, error)

	// Publish returns the value of the key's record in the topic of profiles:
	// what others may read, and fold, the restore point, as it is.
	Publish(key string, s *S, fold []byte) []byte
	// Restore returns the fold that Publish put in.
	Restore(value []byte) (fold []byte, err error)
}

// Input is one step of a key: a record of it, or its wake-up.
type Input struct {
	Key string
	// Now is the partition's clock at the record, or when the wake-up was due;
	// milliseconds since the Unix epoch.
	Now int64
	// Offset of the record; -1 for a wake-up.
	Offset int64
	// Value of the record; nil for a wake-up.
	Value []byte
	// Version is in force; "" before the first.
	Version string
}

// Output is a record to write. Its partition follows from its key.
type Output struct {
	Topic string // without prefix
	Key   string
	Value []byte
	// Reason is set on dead letters alone, as a replay emits them.
	Reason string
}
