package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/customer"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/profile"
)

// checker folds the whole log, single-threaded, and compares all that others
// read with what comes of that.
type checker struct {
	*rig
	task    *customer.Task
	outputs map[string]counts      // by topic
	written map[string][2][]string // what the fold writes to events, by customer: want, got
	profile counts
	ledger  ledger
	events  int64 // of the load
	offsets int   // that the group committed
	back    int   // of these, how often one was before the one before
}

// report is what a run has shown.
type report struct {
	*checker
	findings []string
}

func (r *rig) check(ctx context.Context) (*report, error) {
	c := &checker{rig: r, task: customer.NewTask(r.shelf, customer.TaskOptions{}), outputs: map[string]counts{}, written: map[string][2][]string{}, ledger: ledger{}}
	folded, err := r.reader().committed(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.commits(ctx); err != nil {
		return nil, err
	}
	for p := range int32(r.partitions) {
		if err := c.partition(ctx, p, folded[p]); err != nil {
			return nil, fmt.Errorf("check partition %d: %w", p, err)
		}
	}
	for who, sides := range c.written {
		c.compare(schemas.Events, who, sides[0], sides[1])
	}
	if lost := r.load.written.Load() - c.events; lost > 0 {
		r.find("%d of %d events that the broker acknowledged are not in the log", lost, r.load.written.Load())
	}
	r.mu.Lock()
	for id, n := range r.mails {
		c.ledger.of(id).mails = n
	}
	r.mu.Unlock()
	c.ledger.check(r.allowed.Load(), r.find)
	return &report{checker: c, findings: r.found()}, nil
}

// partition checks what one partition of events led to.
func (c *checker) partition(ctx context.Context, p int32, folded int64) error {
	want := map[string]map[string][]string{schemas.SegmentChanges: {}, schemas.Scores: {}, schemas.Deliveries: {}}
	replay := stream.NewReplay(c.task, func(at int64, in stream.Input, o stream.Output) {
		switch o.Topic {
		case schemas.DeadLetters:
			c.find("the fold makes a dead letter of %q at offset %d: %s", in.Key, in.Offset, o.Reason)
		case schemas.Events:
			who := origin(o.Key, o.Value)
			sides := c.written[who]
			sides[0] = append(sides[0], string(o.Value))
			c.written[who] = sides
		default:
			want[o.Topic][o.Key] = append(want[o.Topic][o.Key], string(o.Value))
		}
	})
	clock, keys := int64(0), map[string]bool{}
	err := c.reader().partition(ctx, eventsTopic, p, func(r *kgo.Record) error {
		if err := c.event(r); err != nil || r.Offset >= folded {
			return err
		}
		if len(r.Key) > 0 {
			keys[string(r.Key)] = true
		}
		clock = max(clock, r.Timestamp.UnixMilli())
		return replay.Record(ctx, r.Timestamp.UnixMilli(), string(r.Key), r.Value)
	})
	if err == nil {
		err = replay.Until(ctx, clock-1)
	}
	if err != nil {
		return err
	}
	for _, topic := range []string{schemas.SegmentChanges, schemas.Scores, schemas.Deliveries} {
		got := map[string][]string{}
		err := c.reader().partition(ctx, prefix+topic, p, func(r *kgo.Record) error {
			got[string(r.Key)] = append(got[string(r.Key)], string(r.Value))
			if topic == schemas.Deliveries {
				return c.ledger.delivery(r.Value)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for key := range got {
			if want[topic][key] == nil {
				want[topic][key] = nil
			}
		}
		for key := range want[topic] {
			c.compare(topic, key, want[topic][key], got[key])
		}
	}
	return c.profiles(ctx, p, keys, replay)
}

// event takes in a record of events.
func (c *checker) event(r *kgo.Record) error {
	var e schemas.Event
	if err := schemas.Decode(r.Value, &e); err != nil {
		return err
	}
	if skip := e.GetSkip(); skip != nil {
		what := fmt.Sprintf("offset %d", skip.GetOffset())
		if len(skip.GetKey()) > 0 {
			what = fmt.Sprintf("the wake-up of %q due %s", skip.GetKey(), skip.GetDueAt().AsTime())
		}
		c.find("events partition %d: %s is skipped everywhere: %s", r.Partition, what, skip.GetReason())
	}
	switch e.GetSource() {
	case "torture":
		c.events++
	case "sender":
		c.ledger.outcome(e.GetOutcome())
	case "customer":
		who := origin(string(r.Key), r.Value)
		sides := c.written[who]
		sides[1] = append(sides[1], string(r.Value))
		c.written[who] = sides
	}
	return nil
}

// origin is whose fold wrote an event to key; of a merge, the visitor who became
// key. No order holds between what different customers, or partitions, get.
func origin(key string, value []byte) string {
	var e schemas.Event
	if schemas.Decode(value, &e) == nil && e.GetMerge() != nil {
		return e.GetMerge().GetFrom() + " to " + key
	}
	return key
}

func (c *checker) compare(topic, who string, want, got []string) {
	n := compare(want, got)
	sum := c.outputs[topic]
	sum.add(n)
	c.outputs[topic] = sum
	if n.wrong() > 0 {
		t, _ := schemas.TopicNamed(topic)
		c.find("%s of %s: %d lost, %d repeated, %d out of order, %d that nothing caused; want %d, got %d; first where they part: want %s, got %s", topic, who,
			n.lost, n.repeated, n.outOfOrder, n.uncaused, len(want), len(got), firstOther(t, want, got), firstOther(t, got, want))
	}
}

// firstOther is the first of a that b does not have in its place.
func firstOther(t schemas.Topic, a, b []string) string {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return shown(t, []byte(a[i]))
		}
	}
	return "no more"
}

// profiles compares the topic of profiles, after a graceful stop, with the
// states that the fold ends in.
func (c *checker) profiles(ctx context.Context, p int32, keys map[string]bool, replay *stream.Replay[profile.Profile, customer.Decision]) error {
	last := map[string][]byte{}
	err := c.reader().partition(ctx, prefix+schemas.Profiles, p, func(r *kgo.Record) error {
		last[string(r.Key)] = r.Value
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		state, ok := replay.State(key)
		value, there := last[key]
		delete(last, key)
		switch {
		case !ok && !there:
		case !ok:
			c.profile.uncaused++
			c.find("profiles of %s: there, and the fold has none", key)
		case !there:
			c.profile.lost++
			c.find("profiles of %s: missing, though the stations stopped gracefully", key)
		default:
			if why := c.differs(key, state, value); why != "" {
				c.profile.outOfOrder++
				c.find("profiles of %s: %s", key, why)
			} else {
				c.profile.right++
			}
		}
	}
	for key := range last {
		c.profile.uncaused++
		c.find("profiles of %s: there, and no event has this key", key)
	}
	return nil
}

// differs says how a profile is not the state that the fold ends in; "": it is.
func (c *checker) differs(key string, state *profile.Profile, value []byte) string {
	fold, err := c.task.Restore(value)
	if err != nil {
		return err.Error()
	}
	// Before the state lies what the runtime keeps of a key; offsets, which are
	// not those of this fold.
	if !bytes.HasSuffix(fold, c.task.Encode(nil, state)) {
		return fmt.Sprintf("the fold's own state of %d bytes does not end in the %d that are right", len(fold), len(c.task.Encode(nil, state)))
	}
	if !bytes.Equal(value, c.task.Publish(key, state, fold)) {
		return "the public fields are not those of the state"
	}
	return ""
}

func (r *report) print(out io.Writer) {
	fmt.Fprintf(out, "\n%d kills, %d events\n", r.killed.Load(), r.events)
	fmt.Fprintf(out, "%-16s %10s %6s %9s %13s %9s\n", "", "right", "lost", "repeated", "out of order", "uncaused")
	for _, topic := range []string{schemas.SegmentChanges, schemas.Scores, schemas.Deliveries, schemas.Events} {
		n := r.outputs[topic]
		fmt.Fprintf(out, "%-16s %10d %6d %9d %13d %9d\n", topic, n.right, n.lost, n.repeated, n.outOfOrder, n.uncaused)
	}
	fmt.Fprintf(out, "%-16s %10d right, %d missing, %d differ, %d uncaused\n", schemas.Profiles, r.profile.right, r.profile.lost, r.profile.outOfOrder, r.profile.uncaused)
	fmt.Fprintf(out, "positions committed: %d, of these %d before an earlier one\n", r.offsets, r.back)
	r.ledger.print(out, r.allowed.Load())
	r.recoveries.print(out)
	fmt.Fprintf(out, "started while the broker was away, ended, and started again: %d\n", r.own.Load())
	const most = 20
	for i, f := range r.findings {
		if i == most {
			fmt.Fprintf(out, "FOUND %d more, in run.log\n", len(r.findings)-most)
			break
		}
		fmt.Fprintln(out, "FOUND", f)
	}
	if len(r.findings) == 0 {
		fmt.Fprintln(out, "nothing lost, nothing twice, nothing out of order")
	}
}
