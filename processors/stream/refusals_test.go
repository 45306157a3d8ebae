package stream

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"segue/processors/stream/streamtest"
	"segue/state"
)

// rewrite changes what the group holds of the first partition, as somebody with
// a tool does while no member is there, and returns what it held.
func (r *rig) rewrite(change func(was commit) (offset int64, metadata string)) (was kadm.Offset) {
	r.t.Helper()
	r.evict("a")
	client, err := kgo.NewClient(r.Opts()...)
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	cluster, group := kadm.NewClient(client), r.Prefix+"toy"
	held, err := cluster.FetchOffsets(context.Background(), group)
	if err = errors.Join(err, held.Error()); err != nil {
		r.t.Fatalf("fetch the offsets of %s: %v", group, err)
	}
	answer, _ := held.Lookup(r.Prefix+"events", 0)
	was = answer.Offset
	c, _ := decodeCommit(was.At, was.Metadata)
	next := was
	next.At, next.Metadata = change(c)
	offsets := kadm.Offsets{}
	offsets.Add(next)
	if err := cluster.CommitAllOffsets(context.Background(), group, offsets); err != nil {
		r.t.Fatalf("commit for %s: %v", group, err)
	}
	return was
}

// refuses wants a processor to end by itself, and to say why and what to do.
func (r *rig) refuses(c Config[toyState, string], says ...string) {
	r.t.Helper()
	x := r.start(c)
	ended := func() bool {
		select {
		case <-x.done:
			return true
		default:
			return false
		}
	}
	r.eventually("refuse or settle", func() bool {
		_, settled := x.p.Settled(x.p.c.Clock.Now())
		return ended() || settled
	})
	switch {
	case !ended():
		r.t.Errorf("it goes on, want a refusal that says %q", says)
	case !contains(x.err, says...):
		r.t.Errorf("got %v, want a refusal that says %q", x.err, says)
	}
}

// beyond is a commit that the log does not reach.
func beyond(c commit) (int64, string) {
	c.M.Next += 1000
	metadata, _ := c.encode()
	return c.M.Next, metadata
}

// Somebody changes what the group holds: the processor stops and says so,
// whether its disk is there or not.
func TestRefusesWhatTheGroupHolds(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(c commit) (int64, string)
		says   []string
	}{
		{"the log ends before it", beyond, []string{"but the log ends at", "the broker lost records"}},
		{"a topic that was deleted", func(c commit) (int64, string) {
			c.Topic = "another"
			metadata, _ := c.encode()
			return c.M.Next, metadata
		}, []string{"stands for a topic of this name that was deleted (id another"}},
		{"an offset without metadata", func(c commit) (int64, string) { return c.M.Next, "" },
			[]string{"metadata is not this processor's", "decode"}},
		{"another's metadata", func(c commit) (int64, string) { return c.M.Next, "consumer-1" },
			[]string{"metadata is not this processor's", `decode "consumer-1"`}},
		{"an offset that was moved", func(c commit) (int64, string) {
			metadata, _ := c.encode()
			return c.M.Next - 1, metadata
		}, []string{"metadata is not this processor's", "beside a position at"}},
	} {
		for _, disk := range []string{"kept", "lost"} {
			t.Run(tc.name+", disk "+disk, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, streamtest.Fake(t), 1)
				r.fill(1, 30)
				m := newMachine("a")
				r.run(r.config(m))
				r.rewrite(tc.change)
				if disk == "lost" {
					m = newMachine("a")
				}
				r.refuses(r.config(m), tc.says...)
			})
		}
	}
}

// Events are deleted before they are in profiles, and the disk is lost.
func TestRefusesALogThatBeginsAfterProfiles(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	r.fill(1, 30)
	r.run(r.config(newMachine("a")))
	r.fill(2, 30)
	client, err := kgo.NewClient(r.Opts()...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	offsets := kadm.Offsets{}
	offsets.AddOffset(r.Prefix+"events", 0, r.Ends("events")[0]-1, -1)
	deleted, err := kadm.NewClient(client).DeleteRecords(t.Context(), offsets)
	if err = errors.Join(err, deleted.Error()); err != nil {
		t.Fatal(err)
	}
	r.refuses(r.config(newMachine("a")), "the log begins at offset", "profiles are complete up to", "raise the topic's retention")
}

// A folder whose position no version can read is none of ours.
func TestRefusesAFolderWithoutPosition(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	r.fill(1, 30)
	m := newMachine("a")
	r.run(r.config(m))
	store, err := state.Open("state", state.Options{FS: m.fs})
	if err != nil {
		t.Fatal(err)
	}
	b := store.Partition(0).Batch(0)
	b.Head(state.Head{Position: json.RawMessage(`7`), Dirty: 1, Clean: 1})
	if err := errors.Join(b.Apply(), store.Close()); err != nil {
		t.Fatal(err)
	}
	r.refuses(r.config(m), "decode the position", "delete the folder to restore it")
}

// What a session was told may be out of date when it looks: a refusal stands
// only when the next one comes to it again, each time anew.
func TestRefusalIsLookedAtAgain(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	r.fill(1, 30)
	m := newMachine("a")
	r.run(r.config(m))

	right := r.rewrite(beyond)
	c := r.config(m)
	var looks, others atomic.Int32
	c.Ready = func(_ bool, why string) { // while no session is open
		switch {
		case strings.Contains(why, "looking again"):
			looks.Add(1)
			r.rewrite(func(commit) (int64, string) { return right.At, right.Metadata })
		case strings.Contains(why, "INVALID_RECORD"):
			others.Add(1)
			right = r.rewrite(beyond)
		}
	}
	x := r.start(c)
	r.settle(x)
	r.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidRecord, Topic: r.Prefix + "out"})
	r.Produce(&kgo.Record{Topic: "events", Key: []byte("ada"), Value: []byte("cart"), Timestamp: past.Add(1000 * time.Hour)},
		&kgo.Record{Topic: "events", Key: []byte("ada"), Value: []byte("order"), Timestamp: past.Add(1000 * time.Hour)})
	r.settle(x)
	r.end(x)
	if looks.Load() != 2 || others.Load() != 1 {
		t.Errorf("looked again %d times, and began anew for another reason %d times; want 2 and 1", looks.Load(), others.Load())
	}
	r.verdict()
}

// A broker that starts does not know its topics yet. Who knew them asks again.
func TestTopicsAreAskedForAgain(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	c := r.config(newMachine("a"))
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	k, err := c.kafka().connect()
	if err != nil {
		t.Fatal(err)
	}
	f := &forgetful{cluster: k}
	p.cluster = f
	x := r.begin(p)
	r.fill(1, 30)
	r.settle(x)
	r.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidRecord, Topic: r.Prefix + "out"})
	r.Produce(&kgo.Record{Topic: "events", Key: []byte("ada"), Value: []byte("cart"), Timestamp: past.Add(1000 * time.Hour)},
		&kgo.Record{Topic: "events", Key: []byte("ada"), Value: []byte("order"), Timestamp: past.Add(1000 * time.Hour)})
	r.eventually("ask again", func() bool {
		select {
		case <-x.done:
			t.Fatalf("the processor ended: %v", x.err)
		default:
		}
		return f.asked.Load() == 3
	})
	r.settle(x)
	r.end(x)
	r.verdict()
}

// forgetful answers the second question for topics as one that has none.
type forgetful struct {
	cluster
	asked atomic.Int32
}

func (f *forgetful) Topics(ctx context.Context) (topics, error) {
	if f.asked.Add(1) == 2 {
		return topics{}, fatal{errNoTopic}
	}
	return f.cluster.Topics(ctx)
}

// What the group and the folder stand for is compared with the topics.
func TestStandsForThisLog(t *testing.T) {
	now := shape{Partitions: 3, Profiles: "profiles-id", Start: 5}
	for _, tc := range []struct {
		name   string
		change func(p *Processor[toyState, string], x *partition[toyState, string], l *local)
		says   string // "": all is well
	}{
		{"all fits", func(*Processor[toyState, string], *partition[toyState, string], *local) {}, ""},
		{"a commit of before shapes", func(_ *Processor[toyState, string], x *partition[toyState, string], _ *local) {
			x.committed.Shape = shape{}
		}, ""},
		{"the group holds nothing", func(_ *Processor[toyState, string], x *partition[toyState, string], _ *local) { x.fresh = true }, "holds no offset"},
		{"another topic's folder", func(_ *Processor[toyState, string], _ *partition[toyState, string], l *local) { l.Topic = "other" }, "is of another topic (id other"},
		{"another topic's offset", func(_ *Processor[toyState, string], x *partition[toyState, string], _ *local) {
			x.committed.Topic = "other"
		}, "that was deleted (id other"},
		{"more partitions", func(_ *Processor[toyState, string], x *partition[toyState, string], _ *local) { x.shape.Partitions = 4 }, "had 3 partitions, and has 4"},
		{"profiles made anew", func(_ *Processor[toyState, string], x *partition[toyState, string], _ *local) {
			x.shape.Profiles = "new"
		}, "was deleted and made anew"},
		{"profiles cut", func(_ *Processor[toyState, string], x *partition[toyState, string], _ *local) { x.shape.Start = 6 }, "began at offset 5 and begins at 6"},
		{"the log ends before M", func(_ *Processor[toyState, string], x *partition[toyState, string], _ *local) {
			x.committed.M.Next = 101
		}, "up to offset 101, but the log ends at 100"},
		{"the log ends before L", func(_ *Processor[toyState, string], _ *partition[toyState, string], l *local) { l.M.Next = 101 }, "up to offset 101, but the log ends at 100"},
	} {
		p := &Processor[toyState, string]{topic: "events-id"}
		x := &partition[toyState, string]{shape: now, goal: 100, committed: commit{Topic: "events-id", M: Position{Next: 100}, Shape: now}}
		l := local{Topic: "events-id", M: Position{Next: 90}}
		tc.change(p, x, &l)
		err := p.standsForThisLog(x, l, true)
		if tc.says == "" && err != nil || tc.says != "" && (!errors.As(err, new(fatal)) || !contains(err, tc.says)) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.says)
		}
	}
}
