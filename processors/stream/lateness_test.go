package stream

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream/streamtest"
)

var lateFor = flag.Duration("late", 2*time.Second, "how long wake-ups come due in TestLateness")

// alarms wakes a customer at the instant that a record says, and says so.
type alarms struct{ *toy }

func (alarms) Advance(s *toyState, in Input) (decisions []string, next int64, err error) {
	if in.Offset < 0 {
		return []string{"awake"}, 0, nil
	}
	next, err = strconv.ParseInt(string(in.Value), 10, 64)
	return nil, next, err
}

// At rest nothing but ticks moves a partition's clock, and what is due is out
// within a moment: a tick there and back, a commit that keeps its distance from
// the one before, a fetch. Ten wake-ups a second make a commit each.
func TestLateness(t *testing.T) { lateness(newRig(t, streamtest.Fake(t), 8)) }

func TestKafkaLateness(t *testing.T) { lateness(newRig(t, streamtest.Real(t), 8)) }

func lateness(r *rig) {
	c := r.config(newMachine("a"))
	c.Task = alarms{new(toy)}
	c.ApplyInterval, c.FlushAfter, c.ProgressInterval, c.MaxPoll, c.DrainBudget = 0, 0, 0, 0, 0 // as in life
	x := r.start(c)
	r.settle(x)
	const lead = time.Second // all are asleep by then
	rng := rand.New(rand.NewPCG(1, 1))
	from, n := time.Now().Add(lead), int(10*lateFor.Seconds())
	var records []*kgo.Record
	for i := range n {
		due := from.UnixMilli() + rng.Int64N(lateFor.Milliseconds())
		records = append(records, &kgo.Record{Topic: "events", Key: fmt.Appendf(nil, "c%d", i), Value: strconv.AppendInt(nil, due, 10), Timestamp: time.Now()})
	}
	r.Produce(records...)
	late := r.arrivals(n, from.Add(*lateFor+30*time.Second))
	slices.Sort(late)
	at := func(q float64) time.Duration { return late[int(q*float64(len(late)-1))] }
	r.t.Logf("%d wake-ups within %v: output read committed after p50 %v, p99 %v, most %v", n, *lateFor, at(.5), at(.99), at(1))
	if late[0] < 0 {
		r.t.Errorf("an output %v before it was due", -late[0])
	}
	if at(.5) > 1200*time.Millisecond { // where it is lost the next hint is a second away
		r.t.Errorf("half are out %v after they were due, or later; want at most 1.2 s", at(.5))
	}
}

// arrivals is how long after their instants outputs of wake-ups can be read.
func (r *rig) arrivals(n int, end time.Time) (late []time.Duration) {
	r.t.Helper()
	client, err := kgo.NewClient(append(r.Opts(), kgo.ConsumeTopics(r.Prefix+"out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithDeadline(r.t.Context(), end)
	defer cancel()
	for len(late) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			r.t.Fatalf("got %d outputs of %d wake-ups: %v", len(late), n, err)
		}
		now := time.Now()
		fetches.EachRecord(func(rec *kgo.Record) {
			what, _ := strings.CutPrefix(string(rec.Value), string(rec.Key)+"/-1/")
			due, err := strconv.ParseInt(strings.Fields(what)[0], 10, 64)
			if err != nil {
				r.t.Fatalf("output %q: %v", rec.Value, err)
			}
			late = append(late, now.Sub(time.UnixMilli(due)))
		})
	}
	return late
}
