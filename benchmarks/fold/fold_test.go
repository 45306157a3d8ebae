package fold

import (
	"context"
	"fmt"
	"testing"

	"segue/benchmarks/workload"
	"segue/processors/stream"
)

// A storm wakes everybody once, within its minute, whatever happens meanwhile.
func TestStorm(t *testing.T) {
	const storm, customers = 1_000_000, 2_000
	woken, outputs := map[string]int{}, 0
	task := counted{&Task{Outputs: "outputs", StormAt: storm}, func(in stream.Input) {
		if in.Value == nil {
			woken[in.Key]++
			if in.Now < storm || in.Now >= storm+60_000 {
				t.Errorf("%s is woken at %d, want within a minute of %d", in.Key, in.Now, storm)
			}
		}
	}}
	replay := stream.NewReplay(task, func(at int64, in stream.Input, out stream.Output) {
		if in.Value == nil {
			outputs++
		}
	})
	source := workload.Workload{Seed: 1, Customers: customers, InTurn: true}.Events()
	for i := range 2 * customers {
		at := int64(i)
		if i >= customers { // the second event comes in the midst of it
			at = storm + int64(i-customers)*60_000/customers
		}
		e := source.Next(at)
		if err := replay.Record(context.Background(), at, string(workload.Key(e.Customer)), e.Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if err := replay.Until(context.Background(), storm+60_000); err != nil {
		t.Fatal(err)
	}
	for c := range customers {
		if n := woken[string(workload.Key(c))]; n != 1 {
			t.Fatalf("%s was woken %d times, want once", workload.Key(c), n)
		}
	}
	if outputs < customers/15 || outputs > customers/7 {
		t.Errorf("got %d outputs of %d wake-ups, want one in ten", outputs, customers)
	}
	if s, ok := replay.State("c000000007"); !ok || s.Count != 2 {
		t.Errorf("state: got %+v, want two events", s)
	}
}

// counted tells of every step.
type counted struct {
	*Task
	step func(stream.Input)
}

func (c counted) Advance(s *workload.State, in stream.Input) ([]int64, int64, error) {
	c.step(in)
	return c.Task.Advance(s, in)
}

// What is no event, and what is no state, is refused.
func TestNotAnEvent(t *testing.T) {
	task := &Task{}
	s := task.New("c000000001")
	before := fmt.Sprint(*s)
	if _, _, err := task.Advance(s, stream.Input{Key: "c000000001", Value: []byte("short")}); err == nil {
		t.Error("an event of five bytes: got no error")
	}
	if after := fmt.Sprint(*s); after != before {
		t.Errorf("the state: got %s, want %s as before", after, before)
	}
	if _, err := task.Decode(make([]byte, 199)); err == nil {
		t.Error("a state of 199 bytes: got no error")
	}
}
