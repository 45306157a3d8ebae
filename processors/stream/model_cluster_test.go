package stream

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// modelCluster is a process's way to the model of the broker. Every request
// may get lost, and so may its answer; between both, everyone else goes on.
type modelCluster struct {
	p *simProcess
	b *modelBroker
}

var (
	_ cluster = (*modelCluster)(nil)
	_ session = (*modelSession)(nil)
)

func (c *modelCluster) Topics(context.Context) (t topics, err error) {
	err = c.p.call("topics", func() error {
		t = topics{input: "the-first", partitions: len(c.b.logs["events"])}
		return nil
	})
	return t, err
}

func (c *modelCluster) Starts(_ context.Context, topic string) (map[int32]int64, error) {
	return c.list("starts", topic, func(l *modelLog) int64 { return l.start })
}

func (c *modelCluster) Ends(_ context.Context, topic string) (map[int32]int64, error) {
	return c.list("ends", topic, func(l *modelLog) int64 { return l.end })
}

func (c *modelCluster) Since(_ context.Context, topic string, at int64) (map[int32]int64, error) {
	return c.list("starts", topic, func(l *modelLog) int64 {
		for _, r := range l.records {
			if r.Timestamp.UnixMilli() >= at {
				return r.Offset
			}
		}
		return l.end
	})
}

func (c *modelCluster) list(what, topic string, of func(*modelLog) int64) (map[int32]int64, error) {
	m := map[int32]int64{}
	return m, c.p.call(what, func() error {
		for _, l := range c.b.logs[topic] {
			m[l.partition] = of(l)
		}
		return nil
	})
}

func (c *modelCluster) Read(ctx context.Context, topic string, partition int32, from int64, take func(*kgo.Record) (bool, error)) error {
	l := c.b.logs[topic][partition]
	for stalled := time.Now().Add(time.Minute); ; {
		var records []*kgo.Record
		err := c.p.call("read", func() error {
			if from < l.start || from > l.end {
				return fmt.Errorf("%w: %d of [%d, %d]", errOutOfRange, from, l.start, l.end)
			}
			records = l.read(from, 1+c.b.rng.IntN(20))
			return nil
		})
		if err != nil {
			return err
		}
		for _, r := range records {
			from, stalled = r.Offset+1, time.Now().Add(time.Minute)
			if done, err := take(r); done || err != nil {
				return err
			}
		}
		if len(records) == 0 {
			c.p.await(ctx, func() bool { return len(l.read(from, 1)) > 0 }, stalled)
			if err := ctx.Err(); err != nil {
				return err
			}
			if !time.Now().Before(stalled) {
				return fmt.Errorf("read %s partition %d at offset %d: nothing comes", topic, partition, from)
			}
		}
	}
}

func (c *modelCluster) Append(r *kgo.Record, done func(int64, error)) {
	c.p.later(func() {
		offset := int64(-1)
		err := c.p.call("append", func() error {
			offset, _ = c.b.append(r, nil)
			return nil
		})
		done(offset, err)
	})
}

func (c *modelCluster) Close() {}

// Join fences what a former life of the instance left open, and only then asks
// to be a member: a rebalance later the callbacks come.
func (c *modelCluster) Join(ctx context.Context, a assignment) (session, error) {
	s := &modelSession{modelCluster: c, a: a, id: c.p.machine.name, begins: map[int32]int64{}, positions: map[int32]int64{}}
	for deadline := time.Now().Add(time.Minute); ; {
		err := c.p.call("init", func() (err error) {
			s.epoch, err = c.b.initProducer(s.id)
			return err
		})
		if err == nil {
			break
		}
		if err != errConcurrent || ctx.Err() != nil || time.Now().After(deadline) {
			return nil, err
		}
		c.p.await(ctx, func() bool { return c.b.producers[s.id].txn == nil }, deadline)
	}
	err := c.p.call("join", func() error {
		s.member = c.b.group.join(s.id, s)
		c.p.sessions = append(c.p.sessions, s)
		return nil
	})
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// modelSession is the client of a member: what it does in the background is
// in step.
type modelSession struct {
	*modelCluster
	a      assignment
	id     string
	member int
	epoch  int

	owned     []int32 // as it tells the group
	fetching  []int32 // of these, whose offsets are not known yet
	leaving   []int32
	given     <-chan struct{}
	patience  time.Time
	begins    map[int32]int64 // where the group stands
	positions map[int32]int64
	outbox    []produced
	failed    error // for the next poll
	closed    bool
}

type produced struct {
	r    *kgo.Record
	done func(error)
}

func (s *modelSession) reachable() bool { return !s.closed && s.p.reachable() }

// rejoins: nothing is on its way out that has not been given.
func (s *modelSession) rejoins() bool { return s.reachable() && len(s.leaving) == 0 }

// sync is the leader's assignment.
func (s *modelSession) sync(target []int32) {
	for _, p := range s.owned {
		if !slices.Contains(target, p) {
			s.leaving = append(s.leaving, p)
		}
	}
	for _, p := range target {
		if !slices.Contains(s.owned, p) {
			s.owned, s.fetching = append(s.owned, p), append(s.fetching, p)
		}
	}
	s.fetching = slices.DeleteFunc(s.fetching, func(p int32) bool { return slices.Contains(s.leaving, p) })
	s.p.w.tracef("%s synced: owns %v, comes %v, leaves %v", s.p, s.owned, s.fetching, s.leaving)
	if len(s.leaving) > 0 {
		s.given = s.a.leaving(slices.Clone(s.leaving))
		s.patience = time.Now().Add(time.Duration([]int{20, 200, 10_000}[s.b.rng.IntN(3)]) * time.Millisecond)
	}
}

// step is one thing that the client does by itself.
func (s *modelSession) step() bool {
	if !s.reachable() {
		return false
	}
	if s.b.group.member(s.member) == nil {
		s.expelled()
		return true
	}
	steps := []func() bool{s.leave, s.fetch, s.deliver}
	first := s.b.rng.IntN(len(steps))
	for i := range steps {
		if steps[(first+i)%len(steps)]() {
			return true
		}
	}
	return false
}

// expelled: the group knows the member no more, and it hears of it. The client
// joins again by itself, unless another life of the instance has taken its place.
func (s *modelSession) expelled() {
	s.p.w.count("expelled")
	s.p.w.tracef("%s hears that it is no member", s.p)
	s.owned, s.fetching, s.leaving, s.given = nil, nil, nil, nil
	clear(s.begins)
	clear(s.positions)
	s.a.lost(nil)
	s.failed = &kgo.ErrGroupSession{Err: errMember}
	for _, m := range s.b.group.members {
		if m.instance == s.id {
			return
		}
	}
	s.member = s.b.group.join(s.id, s)
}

func (s *modelSession) leave() bool {
	if len(s.leaving) == 0 {
		return false
	}
	select {
	case <-s.given:
		s.p.w.count("handed over")
	default:
		if time.Now().Before(s.patience) {
			return false
		}
		s.p.w.count("patience ended")
		s.a.lost(slices.Clone(s.leaving))
	}
	for _, p := range s.leaving {
		delete(s.begins, p)
		delete(s.positions, p)
		s.owned = slices.DeleteFunc(s.owned, func(o int32) bool { return o == p })
	}
	s.leaving = nil
	s.b.group.rebalance() // by joining again
	return true
}

// fetch asks for the offset of a partition that comes; a rebalance puts it off.
func (s *modelSession) fetch() bool {
	if len(s.fetching) == 0 || s.b.group.state != stable || !s.b.group.member(s.member).synced {
		return false
	}
	p := s.fetching[0]
	if s.b.unstable(p) {
		s.p.w.count("offset fetch waits")
		return false
	}
	s.fetching = s.fetching[1:]
	f := s.b.group.fetch(p)
	s.p.w.tracef("%s is assigned %d at %d", s.p, p, f.offset)
	s.begins[p] = max(f.offset, s.b.logs["events"][p].start)
	s.a.assigned(map[int32]fetched{p: f})
	return true
}

// deliver produces what was handed to the client, in order. Its retries are
// idempotent, so a fault here is one that outlasts them.
func (s *modelSession) deliver() bool {
	if len(s.outbox) == 0 {
		return false
	}
	x := s.outbox[0]
	f := s.p.w.fault("produce")
	err := error(errNotDelivered)
	if f != requestLost {
		if err = s.b.produce(s.id, s.epoch, x.r); err == errConcurrent {
			return false
		}
	}
	if f == answerLost {
		err = errNoAnswer
	}
	s.outbox = s.outbox[1:]
	x.done(err)
	return true
}

// Resume may bring again what lies between the group's offset and from.
func (s *modelSession) Resume(partition int32, from int64) {
	if begins, ok := s.begins[partition]; ok {
		s.positions[partition] = []int64{begins, from}[s.b.rng.IntN(2)]
	}
}

func (s *modelSession) readable() bool {
	for p, from := range s.positions {
		if l := s.b.logs["events"][p]; from < l.start || len(l.read(from, 1)) > 0 {
			return true
		}
	}
	return false
}

func (s *modelSession) Poll(ctx context.Context, most int) kgo.Fetches {
	if ctx == nil {
		s.p.pause()
	} else {
		s.p.await(ctx, func() bool { return s.failed != nil || s.reachable() && s.readable() }, time.Time{})
	}
	if err := s.failed; err != nil {
		s.failed = nil
		return kgo.NewErrFetch(err)
	}
	if ctx != nil && ctx.Err() != nil && !s.readable() {
		return kgo.NewErrFetch(ctx.Err())
	}
	if !s.reachable() {
		return nil
	}
	if s.p.w.fault("poll") != none {
		return kgo.NewErrFetch(errNotDelivered)
	}
	t := kgo.FetchTopic{Topic: "events"}
	for p := range int32(len(s.b.logs["events"])) {
		from, ok := s.positions[p]
		if !ok || most == 0 {
			continue
		}
		l := s.b.logs["events"][p]
		f := kgo.FetchPartition{Partition: p, HighWatermark: l.end, LastStableOffset: l.stable(), LogStartOffset: l.start}
		if from < l.start || from > l.end {
			f.Err = errOutOfRange
		} else {
			f.Records = l.read(from, 1+s.b.rng.IntN(most))
		}
		if n := len(f.Records); n > 0 {
			most -= n
			s.positions[p] = f.Records[n-1].Offset + 1
		}
		if len(f.Records) > 0 || f.Err != nil {
			t.Partitions = append(t.Partitions, f)
		}
	}
	return kgo.Fetches{{Topics: []kgo.FetchTopic{t}}}
}

func (s *modelSession) Begin() error { return nil }

func (s *modelSession) Produce(r *kgo.Record, done func(error)) {
	s.outbox = append(s.outbox, produced{r, done})
}

// generation is what the client believes.
func (s *modelSession) generation() int {
	if m := s.b.group.member(s.member); m != nil {
		return m.generation
	}
	return -1
}

func (s *modelSession) Commit(ctx context.Context, offsets []offset, ready func() error) error {
	deadline := time.Now().Add(endTimeout)
	s.p.await(context.Background(), func() bool { return len(s.outbox) == 0 }, deadline)
	if len(s.outbox) > 0 {
		return fmt.Errorf("flush: %d records are not acknowledged", len(s.outbox))
	}
	if err := s.fenced(deadline, "txn offsets", ready, func(member, generation int) error {
		return s.b.addOffsets(s.id, s.epoch, member, generation, offsets)
	}); err != nil {
		return err
	}
	return s.p.call("end txn", func() error { return s.b.endTxn(s.id, s.epoch, committed) })
}

func (s *modelSession) Progress(_ context.Context, offsets []offset, ready func() error) error {
	return s.fenced(time.Now().Add(endTimeout), "progress", ready, func(member, generation int) error {
		return s.b.group.commit(member, generation, offsets)
	})
}

// fenced reads the generation, asks ready, and only then sends; again while
// the group is busy with itself.
func (s *modelSession) fenced(deadline time.Time, what string, ready func() error, send func(member, generation int) error) error {
	for {
		member, generation := s.member, s.generation()
		s.p.pause()
		if err := ready(); err != nil {
			return err
		}
		err := s.p.call(what, func() error { return send(member, generation) })
		passes := err == errConcurrent || err == errRebalancing || err == errGeneration
		if !passes || !time.Now().Before(deadline) {
			return err
		}
		s.p.w.count("commit asked again")
		s.p.await(context.Background(), func() bool { return false }, time.Now().Add(5*time.Millisecond))
	}
}

func (s *modelSession) Close() {
	s.closed = true
	s.p.sessions = slices.DeleteFunc(s.p.sessions, func(o *modelSession) bool { return o == s })
}
