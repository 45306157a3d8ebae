package segment

import (
	"reflect"
	"testing"

	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

const (
	now  = int64(1_768_212_000_000)
	hour = int64(3_600_000)
)

func segments(t *testing.T, yaml string) *playbook.Playbook {
	t.Helper()
	pb, err := playbook.Parse("p.yaml", []byte("store: {name: S, url: https://s.example, currency: GBP, time_zone: UTC}\n"+
		"brand: {from: S <a@s.example>, address: Here}\nsegments:\n"+yaml), nil)
	if err != nil {
		t.Fatal(err)
	}
	return pb
}

// told is the changes, as +entered and -left.
func told(changes []Change) (all []string) {
	for _, c := range changes {
		sign := "-"
		if c.Entered {
			sign = "+"
		}
		all = append(all, sign+c.Segment)
	}
	return all
}

func TestTwoThresholds(t *testing.T) {
	s := segments(t, "  big: {enter: orders.count >= 3, leave: orders.count < 2}\n")
	p := &profile.Profile{}
	for _, c := range []struct {
		orders int64
		want   []string
	}{{2, nil}, {3, []string{"+big"}}, {2, nil}, {1, []string{"-big"}}, {2, nil}, {3, []string{"+big"}}} {
		p.Orders.Count = c.orders
		if got, _ := Changes(playbook.Facts{Profile: p, Now: now}, s, playbook.Everything); !reflect.DeepEqual(told(got), c.want) {
			t.Errorf("%d orders: %v, want %v", c.orders, told(got), c.want)
		}
	}
}

func TestWhereBothHoldNobodyEnters(t *testing.T) {
	s := segments(t, "  odd: {enter: orders.count >= 1, leave: orders.count >= 1}\n")
	p := &profile.Profile{}
	p.Orders.Count = 1
	for range 3 {
		if got, next := Changes(playbook.Facts{Profile: p, Now: now}, s, playbook.Everything); got != nil || next != 0 {
			t.Errorf("changes %v, next %d, want none", told(got), next)
		}
	}
}

// Time alone changes a membership at exactly the instant that was announced.
func TestNext(t *testing.T) {
	s := segments(t, "  fresh: {enter: since(last.order) < hours(2)}\n  old: {enter: since(last.order) >= hours(3)}\n")
	p := &profile.Profile{}
	p.Orders.Count, p.Orders.Last = 1, now
	got, next := Changes(playbook.Facts{Profile: p, Now: now}, s, playbook.Everything)
	if !reflect.DeepEqual(told(got), []string{"+fresh"}) || next != now+2*hour {
		t.Errorf("at once: %v, next in %d ms", told(got), next-now)
	}
	if got, _ := Changes(playbook.Facts{Profile: p, Now: next - 1}, s, playbook.Everything); got != nil {
		t.Errorf("a millisecond before: %v", told(got))
	}
	if got, next = Changes(playbook.Facts{Profile: p, Now: next}, s, playbook.Everything); !reflect.DeepEqual(told(got), []string{"-fresh"}) || next != now+3*hour {
		t.Errorf("then: %v, next in %d ms", told(got), next-now)
	}
	if got, next = Changes(playbook.Facts{Profile: p, Now: next}, s, playbook.Everything); !reflect.DeepEqual(told(got), []string{"+old"}) || next != 0 {
		t.Errorf("at last: %v, next %d", told(got), next)
	}
	if want := []profile.Membership{{Segment: "old", Since: now + 3*hour}}; !reflect.DeepEqual(p.Segments, want) {
		t.Errorf("memberships %v, want %v", p.Segments, want)
	}
}

func TestGone(t *testing.T) {
	p := &profile.Profile{Segments: []profile.Membership{{Segment: "a"}, {Segment: "b"}, {Segment: "c"}}}
	got, _ := Changes(playbook.Facts{Profile: p, Now: now}, segments(t, "  b: {enter: orders.count == 0}\n"), playbook.Everything)
	if !reflect.DeepEqual(told(got), []string{"-a", "-c"}) || got[0].Reason != "no longer in the playbook" {
		t.Errorf("changes %+v", got)
	}
	if got := Leave(p, "became ada"); !reflect.DeepEqual(told(got), []string{"-b"}) || p.Segments != nil {
		t.Errorf("Leave = %+v, and %v stays", got, p.Segments)
	}
}

func TestWhy(t *testing.T) {
	s := segments(t, "  big: {enter: orders.count >= 3, leave: orders.count < 2}\n")
	p := &profile.Profile{}
	p.Orders.Count = 3
	if got, _ := Why(&s.Segments[0], playbook.Facts{Profile: p, Now: now}); got != "orders.count >= 3 (3)" {
		t.Errorf("Why = %q, want what it takes to enter", got)
	}
	Changes(playbook.Facts{Profile: p, Now: now}, s, playbook.Everything)
	if got, words := Why(&s.Segments[0], playbook.Facts{Profile: p, Now: now}); got != "orders.count < 2 (3)" || !reflect.DeepEqual(words, []string{"orders: 3, at least 2"}) {
		t.Errorf("Why = %q, %q, want what it takes to leave", got, words)
	}
}

// A member stays for the least time that the playbook gives, to the millisecond.
func TestStay(t *testing.T) {
	s := segments(t, "  here: {enter: visits.within(minutes(5)) >= 1, stay: 1h}\n  big: {enter: orders.count >= 3, leave: orders.count < 3, stay: 2h}\n")
	p := &profile.Profile{Orders: profile.Orders{Tally: profile.Tally{Count: 3}}}
	s.RecordVisit(p, now, now)
	got, _ := Changes(playbook.Facts{Profile: p, Now: now}, s, playbook.Everything)
	if !reflect.DeepEqual(told(got), []string{"+big", "+here"}) {
		t.Fatalf("at once: %v", told(got))
	}
	p.Orders.Count = 2
	got, next := Changes(playbook.Facts{Profile: p, Now: now + 1}, s, playbook.Everything)
	for got == nil && next < now+hour {
		got, next = Changes(playbook.Facts{Profile: p, Now: next}, s, 0)
	}
	if got != nil || next != now+hour {
		t.Fatalf("then: %v, next in %d ms, want nothing for an hour", told(got), next-now)
	}
	if why, words := Why(&s.Segments[0], playbook.Facts{Profile: p, Now: now + 1}); why != "orders.count < 3 (2), and stays until 2026-01-12 12:00:00" ||
		!reflect.DeepEqual(words, []string{"orders: 2, less than 3", "stays until 2026-01-12 12:00:00"}) {
		t.Errorf("Why = %q, %q", why, words)
	}
	if got, next = Changes(playbook.Facts{Profile: p, Now: next}, s, 0); !reflect.DeepEqual(told(got), []string{"-here"}) || next != now+2*hour {
		t.Errorf("after an hour: %v, next in %d ms", told(got), next-now)
	}
	if got, next = Changes(playbook.Facts{Profile: p, Now: next}, s, 0); !reflect.DeepEqual(told(got), []string{"-big"}) || next != 0 {
		t.Errorf("after two: %v, next %d", told(got), next)
	}
}

// Segments that ask about each other change at one instant, in whichever order they
// are called.
func TestSegmentsOfSegments(t *testing.T) {
	s := segments(t, "  a-loyal: {enter: 'in(\"b-vip\") && since(entered(\"b-vip\")) >= hours(3)'}\n  b-vip: {enter: orders.count >= 3 && in(\"c-known\")}\n  c-known: {enter: customer.email != \"\"}\n")
	p := &profile.Profile{Email: "ada@shop.example", Orders: profile.Orders{Tally: profile.Tally{Count: 3}}}
	got, next := Changes(playbook.Facts{Profile: p, Now: now}, s, playbook.Everything)
	if !reflect.DeepEqual(told(got), []string{"+b-vip", "+c-known"}) || next != now+3*hour {
		t.Errorf("at once: %v, next in %d ms", told(got), next-now)
	}
	if got, _ = Changes(playbook.Facts{Profile: p, Now: next}, s, 0); !reflect.DeepEqual(told(got), []string{"+a-loyal"}) {
		t.Errorf("three hours later: %v", told(got))
	}
	if why := got[0].Because.Why(playbook.Facts{Profile: p, Now: next}); why != `in("b-vip") (true) && since(entered("b-vip")) >= hours(3) (3h)` {
		t.Errorf("Why = %q", why)
	}
	p.Email = ""
	if got, _ = Changes(playbook.Facts{Profile: p, Now: next + 1}, s, playbook.Everything); !reflect.DeepEqual(told(got), []string{"-a-loyal", "-b-vip", "-c-known"}) {
		t.Errorf("nobody: %v", told(got))
	}
}

// Who is seen again ends a silence, whether it is there or only awaited.
func TestSilenceEnds(t *testing.T) {
	s := segments(t, "  quiet: {enter: 'sequence([viewed(\"mug\"), nothing(hours(2))], days(1))'}\n")
	seen := playbook.ChangedBy(&schemas.Event{Body: &schemas.Event_Visit{Visit: &schemas.Visit{}}})
	for _, again := range []int64{now + hour, now + 3*hour} {
		p := &profile.Profile{LastSeen: now}
		s.RecordView(p, profile.View{At: now, Product: "mug"}, "", now)
		_, next := Changes(playbook.Facts{Profile: p, Now: now}, s, playbook.Everything)
		if next != now+2*hour {
			t.Fatalf("next in %d ms, want two hours", next-now)
		}
		var want []string
		if next < again {
			if got, _ := Changes(playbook.Facts{Profile: p, Now: next}, s, 0); !reflect.DeepEqual(told(got), []string{"+quiet"}) {
				t.Fatalf("after two hours: %v", told(got))
			}
			want = []string{"-quiet"}
		}
		p.LastSeen = again
		if got, next := Changes(playbook.Facts{Profile: p, Now: again}, s, seen); !reflect.DeepEqual(told(got), want) || next != 0 {
			t.Errorf("seen after %d ms: %v, next %d, want %v and nothing", again-now, told(got), next, want)
		}
	}
}
