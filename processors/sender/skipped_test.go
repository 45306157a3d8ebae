package sender

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/sender/inbox"
	"segue/schemas"
)

const manyPaused = window + 200

// sendMany appends as many deliveries of a journey that is paused as no partition
// keeps in memory, all of one partition.
func (r *rig) sendMany(change ...func(*schemas.Delivery)) (all []*schemas.Delivery) {
	var records []*kgo.Record
	for i := range manyPaused {
		d := r.delivery(fmt.Sprint("c", i), append(change, func(d *schemas.Delivery) { d.Customer = "ada" })...)
		records = append(records, &kgo.Record{Topic: schemas.Deliveries, Key: []byte("ada"), Value: command(d), Timestamp: r.clock.Now()})
		all = append(all, d)
	}
	r.Produce(records...)
	return all
}

func birthday(d *schemas.Delivery) { d.Customer, d.Journey = "ada", "birthday" }

// TestPausedJourneyLetsOthersPass: however many mails of a journey wait, those of
// others behind them go out, in this process and the next; and when it is resumed
// each goes out once, but for those that were called back.
func TestPausedJourneyLetsOthersPass(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.pause("cart")
	cart := r.sendMany()
	r.send(r.delivery("b1", birthday))
	s := r.start()
	r.only(schemas.Outcome_SENT)
	r.cancel(cart[0], "ordered") // one that is kept
	r.cancel(cart[manyPaused-1], "ordered")
	if got := kinds(r.outcomes(2)); got["c0"] != schemas.Outcome_CANCELLED {
		t.Errorf("outcomes: got %v, want c0 cancelled at once", got)
	}
	r.quiet(s)
	for _, o := range s.ours() {
		if open := o.state().open; open > pausedKept {
			t.Errorf("in memory: got %d deliveries of partition %d, want at most %d", open, o.partition, pausedKept)
		}
	}
	s.end()
	r.send(r.delivery("b2", birthday))
	s = r.start()
	r.outcomes(3) // the one that is not kept was called back by now
	r.quiet(s)
	if got := mailsTo(r.inbox); len(got) != 2 || got["b1"] != 1 || got["b2"] != 1 {
		t.Errorf("mails while it is paused: got %v, want b1 and b2", got)
	}
	r.resume("cart")
	got := kinds(r.outcomes(manyPaused + 2))
	r.quiet(s)
	if got[cart[manyPaused-1].GetId()] != schemas.Outcome_CANCELLED {
		t.Errorf("outcome of one that was called back: got %v", got[cart[manyPaused-1].GetId()])
	}
	mails := mailsTo(r.inbox)
	for id, kind := range got {
		if sent := kind == schemas.Outcome_SENT; mails[id] > 1 || sent != (mails[id] == 1) {
			t.Errorf("%s: got %v and %d mails, want one of what is sent", id, kind, mails[id])
		}
	}
	if n := len(r.readAll(schemas.Events)); len(got) != manyPaused+2 || n != len(got) {
		t.Errorf("outcomes: got %d of %d deliveries, want one of each of %d", n, len(got), manyPaused+2)
	}
}

// TestPausedBehindOthers: a journey that is paused when its mails wait already
// makes room, too.
func TestPausedBehindOthers(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.pause(EveryJourney)
	r.sendMany()
	r.send(r.delivery("b1", birthday))
	s := r.start()
	r.quiet(s)
	r.pause("cart")
	r.resume(EveryJourney)
	r.only(schemas.Outcome_SENT)
	r.quiet(s)
	if got := mailsTo(r.inbox); len(got) != 1 {
		t.Errorf("mails: got %v, want b1's alone", got)
	}
}

// TestManyPausedUntilItIsTooLate: what memory does not keep ends, too, when its
// time is over.
func TestManyPausedUntilItIsTooLate(t *testing.T) {
	r := newRig(t, inbox.Config{})
	r.pause("cart")
	r.sendMany(func(d *schemas.Delivery) { d.GiveUpAt = schemas.Timestamp(epoch.Add(time.Hour).UnixMilli()) })
	s := r.start()
	r.quiet(s)
	if at, ok := r.clock.Next(); !ok || !at.Equal(epoch.Add(time.Hour)) {
		t.Fatalf("next: got %v, %t, want the end of their time", at, ok)
	}
	r.clock.MoveTo(epoch.Add(time.Hour))
	for _, o := range r.outcomes(manyPaused) {
		if o.GetKind() != schemas.Outcome_FAILED || o.GetReason() != "paused until its time was over: wrong prices" {
			t.Fatalf("outcome: got %v, want given up while paused", o)
		}
	}
	r.quiet(s)
	if at, ok := r.clock.Next(); ok {
		t.Errorf("next: got %v, want nothing to wait for", at)
	}
}

func TestWhenTheLogIsReadAgain(t *testing.T) {
	const minute = int64(time.Minute / time.Millisecond)
	cart := pauses{"cart": {Reason: "wrong prices"}}
	l := newLedger()
	l.pauses = cart
	take := func(offset int64, journey string, giveUp int64) {
		id := fmt.Sprint("d", offset)
		l.take(offset, 1, nil, command(&schemas.Delivery{Id: id, Customer: "ada", Journey: journey, GiveUpAt: schemas.Timestamp(giveUp)}))
		l.open[id].looked = true
	}
	for i := range int64(pausedKept) {
		take(2*i, "cart", 60*minute)
		take(2*i+1, "birthday", 60*minute)
	}
	l.skip()
	if ok, at := l.again(0, minute); ok || at != 0 || len(l.open) != 2*pausedKept {
		t.Errorf("nothing is skipped: again() = %t, %d with %d open, want nothing", ok, at, len(l.open))
	}
	take(2000, "cart", 30*minute)
	take(2001, "cart", 40*minute)
	l.skip()
	if len(l.open) != 2*pausedKept || l.open["d2000"] != nil || l.open["d2001"] != nil {
		t.Errorf("open: got %d, want all but the two last of the paused journey", len(l.open))
	}
	clear(l.open) // the others have ended
	if got := l.oldest(2002); got != 2000 {
		t.Errorf("oldest() = %d, want the first that was skipped", got)
	}
	for _, tc := range []struct {
		began, now int64
		pauses     pauses
		ok         bool
		at         int64
	}{
		{0, 29 * minute, cart, false, 30 * minute},
		{0, 30 * minute, cart, true, 0},
		{29 * minute, 30 * minute, cart, false, 39 * minute}, // it was read a minute ago
		{0, minute, nil, true, 0},
		{0, minute, pauses{EveryJourney: {}}, false, 30 * minute},
	} {
		l.pauses = tc.pauses
		if ok, at := l.again(tc.began, tc.now); ok != tc.ok || at != tc.at {
			t.Errorf("again(%d, %d) under %v = %t, %d, want %t, %d", tc.began, tc.now, tc.pauses, ok, at, tc.ok, tc.at)
		}
	}
}
