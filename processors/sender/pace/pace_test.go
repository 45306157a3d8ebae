package pace

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func ms(d time.Duration) int64 { return d.Milliseconds() }

// TestSlowing tells of a server that asks for slower, twice, and then is content.
func TestSlowing(t *testing.T) {
	p, now := New(Config{Default: Limits{AtOnce: 4}}), start.UnixMilli()
	set := func() (all []Ticket) {
		for {
			ticket, ok := p.Take(0, "shop.example", "slow.example", now)
			if !ok {
				return all
			}
			all = append(all, ticket)
		}
	}
	first := set()
	if len(first) != 4 {
		t.Fatalf("mails in hand: got %d, want 4", len(first))
	}
	for _, ticket := range first { // all four hear the same
		p.Back(ticket, Slower, now)
	}
	second := set()
	if len(second) != 2 {
		t.Fatalf("after one slower: got %d, want 2", len(second))
	}
	p.Back(second[0], Slower, now)
	p.Back(second[1], Neither, now)
	third := set()
	if len(third) != 1 {
		t.Fatalf("after two: got %d, want 1", len(third))
	}
	p.Back(third[0], Slower, now)
	if ok, at := p.When("", "slow.example", now); ok || at != now+ms(2*time.Second) {
		t.Errorf("after three: got %t, in %d ms, want in 2000", ok, at-now)
	}
	if ok, _ := p.When("", "other.example", now); !ok {
		t.Error("another domain waits with it")
	}
	if got := p.Slowed(); got != 1 {
		t.Errorf("slowed: got %d, want 1", got)
	}
	mails := 0
	for p.Slowed() > 0 {
		ok, at := p.When("", "slow.example", now)
		if !ok {
			now = at
		}
		ticket, ok := p.Take(0, "", "slow.example", now)
		if !ok {
			t.Fatalf("at %d: not let out when told to ask again", now)
		}
		p.Back(ticket, Taken, now)
		if mails++; mails > 100 {
			t.Fatal("after 100 accepted mails it is still slowed")
		}
	}
}

func TestWarmUp(t *testing.T) {
	w := WarmUp{Start: start, PerDay: []int{48, 240}}
	p := New(Config{Default: Limits{AtOnce: 1000}, WarmUps: map[string]WarmUp{"shop.example": w}})
	take := func(now int64) (n int) {
		for n < 1000 {
			ticket, ok := p.Take(0, "shop.example", "example.com", now)
			if !ok {
				return n
			}
			p.Back(ticket, Taken, now)
			n++
		}
		return n
	}
	for d, want := range []int{48, 240} {
		day := start.AddDate(0, 0, d).UnixMilli()
		if got := take(day); got > want/24 {
			t.Errorf("day %d, at once: got %d, want an hour's share, %d", d, got, want/24)
		}
		sent := want / 24
		for minute := range 24*60 - 1 {
			sent += take(day + ms(time.Duration(minute+1)*time.Minute))
		}
		if sent != want {
			t.Errorf("day %d: got %d, want %d", d, sent, want)
		}
		if got := take(day + ms(24*time.Hour) - 1); got != 0 {
			t.Errorf("day %d, at its end: got %d more, want none", d, got)
		}
	}
	if got := take(start.AddDate(0, 0, 2).UnixMilli()); got != 1000 {
		t.Errorf("day 2: got %d, want no limit", got)
	}
	if ok, _ := p.When("other.example", "example.com", start.AddDate(0, 0, 2).UnixMilli()); !ok {
		t.Error("a domain without warm-up waits")
	}
}

// TestPace: whatever happens, no more are in hand, and no more set out, than was
// said; who was told an instant may set out then; and a window stays in bounds.
func TestPace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{AtOnce: rapid.IntRange(1, 9).Draw(t, "at once"), PerMinute: rapid.SampledFrom([]int{0, 1, 30, 60, 6000}).Draw(t, "per minute")}
		perDay := rapid.SliceOfN(rapid.IntRange(1, 500), 0, 4).Draw(t, "per day")
		p := New(Config{Default: limits, WarmUps: map[string]WarmUp{"shop.example": {Start: start, PerDay: perDay}}})
		now := start.UnixMilli()
		var inHand []Ticket
		var out []int64 // when they set out
		days := map[int64]int{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			ok, at := p.When("shop.example", "example.com", now)
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				now += int64(rapid.IntRange(0, 100_000).Draw(t, "ms"))
			case 1, 2:
				if !ok && at > now && rapid.Bool().Draw(t, "wait") {
					now, ok = at, true
				}
				ticket, took := p.Take(0, "shop.example", "example.com", now)
				if took != ok {
					t.Fatalf("Take at %d = %t, want %t as When said", now, took, ok)
				}
				if took {
					inHand, out = append(inHand, ticket), append(out, now)
					days[(now-start.UnixMilli())/int64(dayLength)]++
				}
			case 3:
				if len(inHand) > 0 {
					i := rapid.IntRange(0, len(inHand)-1).Draw(t, "which")
					p.Back(inHand[i], rapid.SampledFrom([]Answer{Neither, Taken, Slower}).Draw(t, "answer"), now)
					inHand = append(inHand[:i], inHand[i+1:]...)
				}
			}
			if len(inHand) > limits.AtOnce {
				t.Fatalf("in hand: got %d, want at most %d", len(inHand), limits.AtOnce)
			}
			if ok, at := p.When("shop.example", "example.com", now); !ok && at == 0 && len(inHand) == 0 {
				t.Fatal("waits for a mail that is not there")
			}
			if d := p.domains["example.com"]; d.inHand != len(inHand) || d.window < narrowest || d.window > float64(limits.AtOnce) {
				t.Fatalf("domain: got %+v, with %d in hand", d, len(inHand))
			}
		}
		for day, n := range days {
			if int(day) < len(perDay) && n > perDay[day] {
				t.Fatalf("day %d: got %d mails, want at most %d", day, n, perDay[day])
			}
		}
		if limits.PerMinute > 0 {
			for i := range out {
				for j := i; j < len(out); j++ {
					together := max(1, limits.PerMinute/60)
					if may := together + int(float64(out[j]-out[i]+1)*float64(limits.PerMinute)/60_000); j-i+1 > may {
						t.Fatalf("%d mails in %d ms, want at most %d at %d per minute", j-i+1, out[j]-out[i], may, limits.PerMinute)
					}
				}
			}
		}
	})
}

// TestMemoryOfDomains: who writes to ever new domains is remembered so far, and
// mails in hand are not lost count of.
func TestMemoryOfDomains(t *testing.T) {
	p, now := New(Config{Default: Limits{AtOnce: 2}}), start.UnixMilli()
	held, _ := p.Take(0, "", "held.example", now)
	for i := range 3 * remembered {
		ticket, ok := p.Take(0, "", fmt.Sprint(i, ".example"), now)
		if !ok {
			t.Fatalf("domain %d: not let out", i)
		}
		p.Back(ticket, []Answer{Taken, Slower}[i%2], now)
		if len(p.domains) > remembered {
			t.Fatalf("remembered: got %d, want at most %d", len(p.domains), remembered)
		}
	}
	if d := p.domains["held.example"]; d == nil || d.inHand != 1 {
		t.Errorf("with a mail in hand: got %+v, want it remembered", d)
	}
	p.Back(held, Taken, now)
}

// TestNothingBeforeAllIsRecalled: what a warm-up limits waits for every partition
// that is ours, and for none that is not, or no longer.
func TestNothingBeforeAllIsRecalled(t *testing.T) {
	p := New(Config{Default: Limits{AtOnce: 10}, WarmUps: map[string]WarmUp{"shop.example": {Start: start, PerDay: []int{2}}}})
	now := start.Add(12 * time.Hour).UnixMilli()
	when := func(step, from string, want bool) {
		t.Helper()
		if ok, at := p.When(from, "example.com", now); ok != want || !ok && at != 0 {
			t.Errorf("%s: When(%q) = %t, %d, want %t", step, from, ok, at, want)
		}
	}
	p.Expect(0, 1, 2)
	when("none is recalled", "shop.example", false)
	when("a domain that is warm", "warm.example", true)
	p.Recall(0, map[string][]int64{"shop.example": {now}}, now)
	p.Leave(1)
	when("one is not recalled", "shop.example", false)
	p.Recall(2, nil, now)
	when("all are recalled, or gone", "shop.example", true)
	p.Expect(3)
	when("another is ours", "shop.example", false)
	now = start.Add(24 * time.Hour).UnixMilli()
	when("the warm-up is over", "shop.example", true)
	now = start.UnixMilli()
	p.Recall(3, map[string][]int64{"shop.example": {now}}, now)
	if ok, at := p.When("shop.example", "example.com", now); ok || at != start.Add(24*time.Hour).UnixMilli() {
		t.Errorf("after a day's mails of two partitions: When = %t, %d, want tomorrow", ok, at)
	}
}

// TestWarmUpAcrossRestarts: however often processes end, and partitions come back
// or begin again, one by one, a day's mails are as many as were said.
func TestWarmUpAcrossRestarts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perDay := rapid.SliceOfN(rapid.IntRange(1, 60), 1, 3).Draw(t, "per day")
		config := Config{Default: Limits{AtOnce: 1000}, WarmUps: map[string]WarmUp{"shop.example": {Start: start, PerDay: perDay}}}
		p, now := New(config), start.UnixMilli()
		log := map[int32][]int64{} // when what set out
		days := map[int64]int{}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			partition := int32(rapid.IntRange(0, 3).Draw(t, "partition"))
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0: // the process ends, and another takes all partitions over
				p = New(config)
				p.Expect(0, 1, 2, 3)
			case 1, 3, 4: // a partition begins, or begins again
				p.Recall(partition, map[string][]int64{"shop.example": log[partition]}, now)
			case 2:
				now += int64(rapid.IntRange(0, int(ms(9*time.Hour))).Draw(t, "ms"))
			default:
				if ticket, ok := p.Take(partition, "shop.example", "example.com", now); ok {
					p.Back(ticket, Taken, now)
					log[partition] = append(log[partition], now)
					days[(now-start.UnixMilli())/int64(dayLength)]++
				}
			}
		}
		for day, n := range days {
			if int(day) < len(perDay) && n > perDay[day] {
				t.Fatalf("day %d: got %d mails, want at most %d", day, n, perDay[day])
			}
		}
	})
}
