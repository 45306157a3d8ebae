package sender

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"segue/schemas"
)

func command(d *schemas.Delivery) []byte {
	return schemas.Encode(&schemas.DeliveryCommand{Command: &schemas.DeliveryCommand_Send{Send: d}})
}

func cancelCommand(id string) []byte {
	return schemas.Encode(&schemas.DeliveryCommand{Command: &schemas.DeliveryCommand_Cancel{Cancel: &schemas.Cancel{DeliveryId: id, Reason: "ordered"}}})
}

func TestWaitDoubles(t *testing.T) {
	for attempts, want := range map[int32]time.Duration{1: 30 * time.Second, 2: time.Minute, 3: 2 * time.Minute, 7: 30 * time.Minute, 1000: 30 * time.Minute} {
		if got := millis(wait(attempts)); got != want {
			t.Errorf("wait(%d) = %s, want %s", attempts, got, want)
		}
	}
}

// TestLedgerEndsEachOnce drives the ledger with any log and any answers, and
// with readers that overtake each other: each delivery ends once, and one that
// is cancelled before its first attempt is never tried.
func TestLedgerEndsEachOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const hour = int64(time.Hour / time.Millisecond)
		type record struct {
			id     string
			cancel bool
		}
		var log []record
		count := rapid.IntRange(1, 8).Draw(t, "deliveries")
		for i := range count {
			log = append(log, record{id: fmt.Sprintf("d%d", i)})
			if rapid.Bool().Draw(t, "cancelled") {
				log = append(log, record{id: fmt.Sprintf("d%d", rapid.IntRange(0, i).Draw(t, "which")), cancel: true})
			}
		}
		value := func(r record) []byte {
			if r.cancel {
				return cancelCommand(r.id)
			}
			return command(&schemas.Delivery{Id: r.id, Customer: "ada", DueAt: schemas.Timestamp(1), GiveUpAt: schemas.Timestamp(4 * hour)})
		}
		l := newLedger()
		var taken, looked int64
		var out []string
		tried := map[string]bool{}
		endings := map[string]int{}
		now := int64(1)
		record1 := func() {
			for _, d := range l.ended {
				endings[d.GetId()]++
			}
			l.recorded()
		}
		look := func() {
			l.look(looked, value(log[looked]), taken)
			looked++
		}
		step := func() {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				if taken < int64(len(log)) {
					l.take(taken, 1, []byte("ada"), value(log[taken]))
					taken++
				}
			case 1:
				if looked < int64(len(log)) {
					look()
				}
			case 2: // as choose does
				if due, _ := l.due(now); len(due) == 0 {
					return
				}
				for looked < int64(len(log)) {
					look()
				}
				due, _ := l.due(now)
				for _, d := range due {
					if !l.judge(d, now) {
						continue
					}
					id := d.GetId()
					if !tried[id] && slices.Contains(log, record{id, true}) {
						t.Fatalf("%s is tried, and was cancelled before", id)
					}
					tried[id] = true
					l.handOver(d)
					out = append(out, id)
				}
			case 3:
				if len(out) > 0 {
					a := answer{id: out[0], result: result(rapid.IntRange(0, int(unanswered)).Draw(t, "result"))}
					out = out[1:]
					l.answered(a, now)
				}
			case 4:
				record1()
			case 5:
				now += rapid.Int64Range(0, hour).Draw(t, "passes")
			}
			if l.inHand != len(out) {
				t.Fatalf("in hand: got %d, want %d", l.inHand, len(out))
			}
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			step()
		}
		// Then everything comes to its end.
		for round := 0; len(endings) < count || taken < int64(len(log)); round++ {
			if round > 1000 {
				t.Fatalf("endings: got %v, want %d", endings, count)
			}
			for ; taken < int64(len(log)); taken++ {
				l.take(taken, 1, []byte("ada"), value(log[taken]))
			}
			for looked < int64(len(log)) {
				look()
			}
			due, _ := l.due(now)
			for _, d := range due {
				if l.judge(d, now) {
					l.handOver(d)
					out = append(out, d.GetId())
				}
			}
			for _, id := range out {
				l.answered(answer{id: id, result: accepted}, now)
			}
			out = nil
			record1()
			now += hour
		}
		for id, n := range endings {
			if n != 1 {
				t.Errorf("%s ended %d times, want once", id, n)
			}
		}
		if l.oldest(taken) != taken || len(l.cancelled) != 0 {
			t.Errorf("left over: oldest %d of %d, cancellations %v", l.oldest(taken), taken, l.cancelled)
		}
	})
}

func TestGateClosesWhileTheServerIsAway(t *testing.T) {
	g := newGate(4)
	now := epoch
	if n := g.take(3, now); n != 3 {
		t.Fatalf("take(3) = %d, want 3", n)
	}
	if pause := g.away(now); pause != firstPause {
		t.Fatalf("away = %s, want %s", pause, firstPause)
	}
	if pause := g.away(now); pause != 0 {
		t.Errorf("away again, from a mail that was under way: got %s, want 0", pause)
	}
	g.give(3)
	if n := g.take(4, now); n != 0 {
		t.Errorf("take(4) while paused = %d, want 0", n)
	}
	now = now.Add(firstPause)
	if n := g.take(4, now); n != 1 {
		t.Errorf("take(4) after the pause = %d, want one that finds out", n)
	}
	if pause := g.away(now); pause != 2*firstPause {
		t.Errorf("away once more = %s, want %s", pause, 2*firstPause)
	}
	g.give(1)
	now = now.Add(2 * firstPause)
	g.take(1, now)
	g.reached()
	if n := g.take(4, now); n != 3 {
		t.Errorf("take(4) after an answer = %d, want 3", n)
	}
}
