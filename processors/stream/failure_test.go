package stream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"segue/processors/stream/streamtest"
	"segue/schemas"
)

// Members come and go while the log grows. Each partition goes on where
// another left it.
func TestRebalance(t *testing.T) { rebalance(newRig(t, streamtest.Fake(t), 4)) }

func TestKafkaRebalance(t *testing.T) { rebalance(newRig(t, streamtest.Real(t), 4)) }

func rebalance(r *rig) {
	f := newFleet(r, r.config)
	f.add("a")
	r.fill(1, 80)
	f.settle(f.all()...)
	f.add("b")
	r.fill(2, 80)
	f.add("c")
	r.fill(3, 80)
	f.settle(f.all()...)
	f.leave("a")
	r.fill(4, 80)
	f.settle(f.all()...)
	f.add("a") // its state is old
	r.fill(5, 80)
	f.leave("c")
	r.fill(6, 80)
	f.settle(f.all()...)
	r.verdict()
}

// evict takes a static member out of the group.
func (r *rig) evict(instance string) {
	r.t.Helper()
	client, err := kgo.NewClient(r.Opts()...)
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = r.Prefix + "toy"
	member := kmsg.NewLeaveGroupRequestMember()
	member.InstanceID = &instance
	req.Members = append(req.Members, member)
	resp, err := req.RequestWith(r.t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil && !errors.Is(err, kerr.UnknownMemberID) && !errors.Is(err, kerr.GroupIDNotFound) {
		r.t.Fatalf("evict %s: %v", instance, err)
	}
}

// The broker commits, its answer is lost, and the client says that it aborted:
// only (true, nil) is believed.
func TestLostAnswerOfACommit(t *testing.T) {
	for _, answer := range []*kerr.Error{kerr.UnknownServerError, kerr.TransactionAbortable, kerr.InvalidTxnState} {
		t.Run(answer.Message, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, streamtest.Fake(t), 2)
			m := newMachine("a")
			x := r.start(r.config(m))
			r.fill(1, 60)
			r.settle(x)
			// One end is applied and unheard, and refused when it is sent again.
			var seen atomic.Int32
			fault := r.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: answer, TopLevel: true,
				When: func(kmsg.Request) bool { return r.LostEndTxn() && seen.Add(1) == 2 }})
			r.LoseEndTxn()
			r.fill(2, 60)
			r.eventually("refuse", func() bool { return fault.Hits() > 0 })
			r.settle(x)
			r.end(x)
			if n := counterValue(x.p.metrics.rebuilds); n == 0 {
				t.Error("the session was not rebuilt: the test shows nothing")
			}
			r.verdict()
		})
	}
}

// An output that the broker refuses is not left out of what is committed.
func TestRefusedOutput(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 2)
	x := r.start(r.config(newMachine("a")))
	r.fill(1, 60)
	r.settle(x)
	refused := r.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidRecord, Topic: r.Prefix + "out"})
	r.fill(2, 60)
	r.settle(x)
	r.end(x)
	if refused.Hits() == 0 {
		t.Error("nothing was refused: the test shows nothing")
	}
	r.verdict()
}

// Tables that fail their checksums are a lost disk: set aside, and restored.
func TestCorruptState(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 2)
	r.fill(1, 200)
	r.run(r.config(newMachine("a")))
	m := newMachine("a")
	r.run(r.config(m)) // a restore writes tables
	if m.damage() == 0 {
		t.Fatal("there is no table: the test shows nothing")
	}
	r.fill(2, 100)
	x := r.start(r.config(m))
	r.settle(x)
	r.end(x)
	if n := counterValue(x.p.metrics.corrupt); n == 0 {
		t.Error("no corruption was noticed")
	}
	if aside, err := m.fs.List("state/corrupt"); err != nil || len(aside) == 0 {
		t.Errorf("set aside: %v, %v", aside, err)
	}
	r.verdict()
}

// damage writes over the midst of every table; it returns how many there are.
func (m *machine) damage() (tables int) {
	names, _ := m.fs.List("state")
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		path := m.fs.PathJoin("state", name)
		f, err := m.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			panic(err)
		}
		info, _ := f.Stat()
		_, _ = f.WriteAt([]byte("damaged"), info.Size()/8)
		_ = f.Close()
		tables++
	}
	return tables
}

// Requests fail now and then, whichever they are.
func TestBrokerFaults(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 2)
	rng := rand.New(rand.NewPCG(7, 7))
	m := newMachine("a")
	x := r.start(r.config(m))
	for round := range 6 {
		for _, f := range []struct {
			key kmsg.Key
			err *kerr.Error
		}{
			{kmsg.EndTxn, kerr.UnknownServerError}, {kmsg.TxnOffsetCommit, kerr.IllegalGeneration},
			{kmsg.EndTxn, kerr.TransactionAbortable}, {kmsg.TxnOffsetCommit, kerr.InvalidTxnState},
		} {
			if rng.IntN(2) == 0 {
				r.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{f.key}, Err: f.err, TopLevel: f.key == kmsg.EndTxn})
			}
		}
		r.fill(uint64(round), 40)
	}
	r.settle(x)
	r.end(x)
	r.verdict()
}

// A broker that once gave no producer id does not end time: ticks need none.
func TestTicksWithoutProducerID(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	r.Produce(&kgo.Record{Topic: "events", Key: []byte("ada"), Value: []byte("nag"), Timestamp: time.Now()})
	r.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true,
		When: func(req kmsg.Request) bool { return req.(*kmsg.InitProducerIDRequest).TransactionalID == nil }})
	r.run(r.config(newMachine("a"))) // the second and third "nag" are due a millisecond after another
	r.verdict()
	if got := len(r.Committed("out")[0]); got != 3 {
		t.Errorf("%d outputs, want 3", got)
	}
}

// What cannot be processed lies in dead letters, byte for byte with its
// reason, and the customer is as if it had not come.
func TestPoison(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	m := newMachine("a")
	c := r.config(m)
	c.ApplyInterval = time.Hour     // the panic meets a state that is in memory alone
	c.Clock = NewVirtualClock(past) // no ticks
	x := r.start(c)
	at := past
	say := func(key, value string) {
		at = at.Add(time.Minute)
		rec := &kgo.Record{Topic: "events", Value: []byte(value), Timestamp: at}
		if key != "" {
			rec.Key = []byte(key)
		}
		r.Produce(rec)
	}
	say("ada", "cart")
	say("ada", "panic now")
	say("ada", "view")
	r.settle(x)
	say("ada", "bad json")
	say("", "not an event")
	say(string(make([]byte, 300)), "view")
	say("ada", "order")
	r.settle(x)
	s, owned, err := x.p.View(t.Context(), "ada")
	if err != nil || !owned || s.Count != 3 {
		t.Errorf("View = %+v, %v, %v, want the three good records counted", s, owned, err)
	}
	r.end(x)
	var got []string
	for _, rec := range r.Committed("dead-letters")[0] {
		got = append(got, fmt.Sprintf("%s %s: %s", headerOf(rec, "offset"), rec.Value, headerOf(rec, "reason")[:5]))
		if headerOf(rec, "timestamp") == "" || headerOf(rec, "topic") != "events" || headerOf(rec, "partition") != "0" {
			t.Errorf("headers %v", rec.Headers)
		}
	}
	if want := []string{"1 panic now: panic", "3 bad json: bad r", "4 not an event: no ke", "5 view: key o"}; !slices.Equal(got, want) {
		t.Errorf("dead letters: got %q, want %q", got, want)
	}
	before := s
	m.lose(0) // what is folded again silently meets the panic, too
	c = r.config(m)
	c.Clock = NewVirtualClock(past)
	x = r.start(c)
	r.settle(x)
	if s, _, err := x.p.View(t.Context(), "ada"); err != nil || fmt.Sprint(s) != fmt.Sprint(before) {
		t.Errorf("after a restart View = %+v, %v, want %+v", s, err, before)
	}
	if n := len(r.Committed("dead-letters")[0]); n != 4 {
		t.Errorf("%d dead letters after a restart, want 4", n)
	}
}

// A key in the wrong partition would be another customer there.
func TestKeyInTheWrongPartition(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 4)
	client, err := kgo.NewClient(append(r.Opts(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	wrong := (partitionOf("ada", 4) + 1) % 4
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: r.Prefix + "events", Partition: wrong, Key: []byte("ada"), Value: []byte("cart")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r.run(r.config(newMachine("a")))
	dead := r.Committed("dead-letters")[0]
	if len(dead) != 1 || !contains(fmt.Errorf("%s", headerOf(dead[0], "reason")), "murmur2", fmt.Sprintf("belongs to partition %d of 4", partitionOf("ada", 4))) {
		t.Errorf("dead letters %v", dead)
	}
}

// A record that ends the process again and again is found, skipped, and said
// to be skipped in the log, so that nobody folds it, ever.
func TestRecordThatKillsTheProcess(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	r.fill(1, 20)
	m := newMachine("a")
	r.run(r.config(m))
	at := past.Add(1000 * time.Hour)
	killer := r.Ends("events")[0] + 3
	for _, value := range []string{"cart", "view", "view", "die", "view", "order"} {
		r.Produce(&kgo.Record{Topic: "events", Key: []byte("ada"), Value: []byte(value), Timestamp: at})
	}
	lives := 0
	for ; lives < 10; lives++ {
		c := r.config(m)
		var dead atomic.Bool
		c.Task = &toy{die: func() {
			dead.Store(true)
			runtime.Goexit() // no defer of the processor has the last word: the file stays
		}}
		x := r.start(c)
		r.eventually("die or settle", func() bool {
			next, ok := x.p.Settled(time.Now())
			return dead.Load() || ok && next[0] >= r.Ends("events")[0]
		})
		if !dead.Load() {
			r.end(x)
			break
		}
		<-x.done
		m.lose(100)
	}
	if lives > 5 {
		t.Errorf("it took %d deaths, want few", lives)
	}
	dead := r.Committed("dead-letters")[0]
	last := dead[len(dead)-1]
	if headerOf(last, "offset") != fmt.Sprint(killer) || string(last.Value) != "die" {
		t.Errorf("last dead letter is offset %s %q, want %d", headerOf(last, "offset"), last.Value, killer)
	}
	skips := 0
	for _, rec := range r.Committed("events")[0] {
		var ev schemas.Event
		if rec.Key == nil && schemas.Decode(rec.Value, &ev) == nil && ev.GetSkip().GetOffset() == killer {
			skips++
		}
	}
	if skips != 1 {
		t.Errorf("%d control records skip it, want 1", skips)
	}
	c := r.config(newMachine("a")) // the disk is lost, and it stays skipped
	c.Task = &toy{die: func() { t.Error("folded again") }}
	x := r.start(c)
	r.settle(x)
	if s, _, err := x.p.View(t.Context(), "ada"); err != nil || s.Count != 5 {
		t.Errorf("View = %+v, %v, want 5 records of ada", s, err)
	}
}

// Memory is bounded also when a version meets more customers than fit.
func TestStormWithinMemory(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	var records []*kgo.Record
	const customers = 6000
	for i := range customers {
		records = append(records, &kgo.Record{Topic: "events", Key: fmt.Appendf(nil, "c%05d", i), Value: []byte("cart"), Timestamp: past})
	}
	records = append(records,
		&kgo.Record{Topic: "events", Value: inForce("r2"), Timestamp: past.Add(10 * time.Minute)},
		&kgo.Record{Topic: "events", Value: inForce("r3"), Timestamp: past.Add(20 * time.Minute)}, // a barrier: all of r2 first
		&kgo.Record{Topic: "events", Value: tickValue, Timestamp: past.Add(100 * time.Hour)})
	r.Produce(records...)
	m := newMachine("a")
	c := r.config(m)
	c.Memory = 4 << 20 // half of it may be unwritten: some 3,000 customers
	c.ApplyInterval, c.DrainBudget = time.Hour, 200
	x, most := r.startWatched(c)
	r.settle(x)
	r.end(x)
	r.verdict()
	if limit := c.statesMemory(); *most > limit {
		t.Errorf("%d bytes were unwritten, want at most %d", *most, limit)
	}
}

// fat keeps too much of Ada.
type fat struct{ *toy }

func (f fat) Publish(key string, s *toyState, fold []byte) []byte {
	if key == "ada" {
		return make([]byte, maxOutput+1)
	}
	return f.toy.Publish(key, s, fold)
}

// A profile that no record can hold stops the processor, which says whose it
// is; without that it would begin anew for ever.
func TestProfileThatFitsNoRecord(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	c := r.config(newMachine("a"))
	c.Task = fat{new(toy)}
	r.Produce(&kgo.Record{Topic: "events", Key: []byte("ada"), Value: []byte("cart"), Timestamp: past})
	err := r.start(c).wait()
	if err == nil || !strings.Contains(err.Error(), `profile of "ada" takes 999492 bytes, want at most 999488`) {
		t.Errorf("Run: got %v, want that Ada's profile is too large", err)
	}
}
