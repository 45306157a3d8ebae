// Package fold runs the plain fold: as a task of the stream runtime, and as the
// bare loop that nothing can be faster than.
//
//	input → Task in a stream.Processor → outputs, profiles
//	input → Bare                       → offsets
//
// Bare consumes, decodes, folds in a Go map and commits offsets once a second. It
// puts nothing out, has no transaction and loses its states when it ends.
package fold

import (
	"context"

	"github.com/cespare/xxhash/v2"

	"segue/benchmarks/workload"
	"segue/processors/stream"
)

// Task is the plain fold as the runtime runs it.
type Task struct {
	// Outputs is the topic that they go to.
	Outputs string
	// Pads are the words of padding in a state.
	Pads int
	// StormAt is when a storm begins; 0: none. Every customer is woken within the
	// minute after it, and one in ten puts something out.
	StormAt int64
}

var _ stream.Task[workload.State, int64] = (*Task)(nil)

// New is a customer never met.
func (t *Task) New(string) *workload.State {
	if t.Pads == 0 {
		return new(workload.State)
	}
	return &workload.State{Pad: make([]uint64, t.Pads)}
}

// Encode appends the state's bytes.
func (t *Task) Encode(dst []byte, s *workload.State) []byte { return s.Append(dst) }

// Decode reads what Encode wrote.
func (t *Task) Decode(b []byte) (*workload.State, error) { return workload.ReadState(b) }

// Release has no use for it: a state is one piece of memory, or two.
func (t *Task) Release(*workload.State) {}

// Size is what a state takes on the heap, by Go's size classes.
func (t *Task) Size(s *workload.State) int { return 224 + 8*cap(s.Pad) }

// Load has nothing to load: there are no versions.
func (t *Task) Load(context.Context, string) error { return nil }

// Advance folds an event, or has a wake-up of the storm. A decision is the
// instant of the event; for a wake-up its own, below zero.
func (t *Task) Advance(s *workload.State, in stream.Input) (decisions []int64, next int64, err error) {
	if in.Value == nil {
		if s.Hash%10 == 0 {
			decisions = []int64{-in.Now}
		}
		return decisions, 0, nil
	}
	var e workload.Event
	if err := e.Read(in.Value); err != nil {
		return nil, 0, err
	}
	if s.Apply(&e) {
		decisions = []int64{e.At}
	}
	return decisions, t.stormAhead(in), nil
}

// stormAhead is when the storm reaches a customer; 0: it has, or there is none.
func (t *Task) stormAhead(in stream.Input) int64 {
	if t.StormAt == 0 {
		return 0
	}
	due := t.StormAt + int64(xxhash.Sum64String(in.Key)%60_000)
	if due <= in.Now {
		return 0
	}
	return due
}

// Compose spells an output.
func (t *Task) Compose(s *workload.State, in stream.Input, at int64) ([]stream.Output, error) {
	return []stream.Output{{Topic: t.Outputs, Key: in.Key, Value: s.AppendOutput(nil, at)}}, nil
}

// Publish has no public fields to add.
func (t *Task) Publish(_ string, _ *workload.State, fold []byte) []byte { return fold }

// Restore returns what Publish was given.
func (t *Task) Restore(value []byte) ([]byte, error) { return value, nil }
