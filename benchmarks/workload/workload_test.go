package workload

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"time"

	"segue/schemas"
)

// Two runs over the same events give the same answers, one of them with every
// state written and read between any two events.
func TestSameAnswers(t *testing.T) {
	for _, w := range []Workload{{Seed: 1, Customers: 500}, {Seed: 1, Customers: 500, Zipf: 1.1}} {
		for _, pads := range []int{0, Padding(1500)} {
			t.Run(fmt.Sprintf("%v/pads=%d", w, pads), func(t *testing.T) {
				const events = 50_000
				var digests [2][2]uint64
				for run := range digests {
					answers, states, source := NewAnswers(w.Customers), map[int]*State{}, w.Events()
					for i := range events {
						drawn := source.Next(int64(i))
						e := Event{Customer: drawn.Customer}
						if err := e.Read(drawn.Append(nil)); err != nil {
							t.Fatal(err)
						}
						if e != drawn {
							t.Fatalf("read %+v, want %+v", e, drawn)
						}
						s := states[e.Customer]
						if s == nil {
							s = &State{Pad: make([]uint64, pads)}
						}
						if s.Apply(&e) {
							answers.Output(e.Customer, s.AppendOutput(nil, e.At))
						}
						b := s.Append(nil)
						answers.State(e.Customer, b)
						if run == 1 {
							var err error
							if s, err = ReadState(b); err != nil {
								t.Fatal(err)
							}
							if again := s.Append(nil); !bytes.Equal(again, b) {
								t.Fatalf("read and written: %x, want %x", again, b)
							}
						}
						states[e.Customer] = s
					}
					if answers.Outputs < events/12 || answers.Outputs > events/8 {
						t.Errorf("got %d outputs of %d events, want about a tenth", answers.Outputs, events)
					}
					digests[run][0], digests[run][1] = answers.Digest()
				}
				if !reflect.DeepEqual(digests[0], digests[1]) {
					t.Errorf("digests: got %x and %x, want equal ones", digests[0], digests[1])
				}
			})
		}
	}
}

// What is missing, doubled or in another order is seen.
func TestDigestTellsApart(t *testing.T) {
	outputs := func(values ...string) uint64 {
		a := NewAnswers(2)
		for _, v := range values {
			a.Output(int(v[0]-'0'), []byte(v))
		}
		got, _ := a.Digest()
		return got
	}
	want := outputs("0a", "0b", "1c")
	for name, got := range map[string]uint64{
		"missing":        outputs("0a", "1c"),
		"twice":          outputs("0a", "0b", "0b", "1c"),
		"in other order": outputs("0b", "0a", "1c"),
	} {
		if got == want {
			t.Errorf("%s: got the same digest", name)
		}
	}
	if got := outputs("1c", "0a", "0b"); got != want {
		t.Error("the order between customers made a difference")
	}
}

// A few customers make most of the events, and not those of the lowest keys.
func TestZipf(t *testing.T) {
	const customers, events = 10_000, 100_000
	counts, low := map[int]int{}, 0
	source := Workload{Seed: 1, Customers: customers, Zipf: 1.1}.Events()
	for range events {
		c := source.Customer()
		counts[c]++
		if c < customers/100 {
			low++
		}
	}
	most := 0
	for _, n := range counts {
		most = max(most, n)
	}
	if most < events/20 || low > events/4 {
		t.Errorf("got %d events of one customer and %d of the lowest hundredth, want at least %d and at most %d", most, low, events/20, events/4)
	}
}

// A shop's fortnight is the same twice, everybody says who they are first, and what
// comes then comes in visits.
func TestShop(t *testing.T) {
	shop := Shop{Workload: Workload{Seed: 1, Customers: 500}, Events: 20_000, Start: time.UnixMilli(1_700_000_000_000), Duration: 14 * 24 * time.Hour}
	replay := func(yield func([]byte)) (soon int) {
		last, events := map[int]time.Time{}, map[int]int{}
		before := shop.Start
		for act := range shop.All {
			e := act.Event
			if act.At.Before(before) || e.GetCustomer() != string(Key(act.Customer)) || e.GetBody() == nil {
				t.Fatalf("got %v at %v after %v", e, act.At, before)
			}
			if events[act.Customer]++; events[act.Customer] == 1 && e.GetIdentify() == nil && e.GetSubscription() == nil {
				t.Fatalf("first of %s: got %v, want who they are or that they agree", e.GetCustomer(), e)
			}
			if !last[act.Customer].IsZero() && act.At.Sub(last[act.Customer]) < 10*time.Minute {
				soon++
			}
			before, last[act.Customer] = act.At, act.At
			yield(schemas.Encode(e))
		}
		return soon
	}
	var first [][]byte
	soon := replay(func(b []byte) { first = append(first, b) })
	if len(first) != shop.Events || soon < shop.Events/2 {
		t.Errorf("got %d events, %d of them soon after the customer's last, want %d, and at least half of them", len(first), soon, shop.Events)
	}
	replay(func(b []byte) {
		if !bytes.Equal(b, first[0]) {
			t.Fatalf("the second time: got %q, want %q", b, first[0])
		}
		first = first[1:]
	})
}
