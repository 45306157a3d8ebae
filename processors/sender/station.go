package sender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"segue/processors/sender/mail"
	"segue/processors/sender/pace"
	"segue/processors/stream"
	"segue/schemas"
)

const (
	sessionTimeout = 15 * time.Second
	// offsetInterval is how often the group's offset moves.
	offsetInterval = time.Second
	// versionsKept bounds the compiled playbooks.
	versionsKept = 32
)

// Station sends the mails of the partitions that the group gives to it.
type Station struct {
	Config
	composer  mail.Composer
	playbooks *stream.Table
	shadow    shadow
	brake     *brake
	gate      *gate
	relays    *relays
	pacer     *pacer
	errands   chan errand
	metrics   *metrics

	mu       sync.Mutex
	client   *kgo.Client // of the group; nil before Run
	owners   map[int32]*owner
	versions map[string]*mail.Templates
	heard    map[int32][]hearing // by partition

	// hard ends all work and every client of Kafka at once: one that is not
	// answered does not close by itself for half a minute.
	hard context.Context
	kill context.CancelCauseFunc
}

// New checks c. Nothing happens before Run.
func New(c Config) (*Station, error) {
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	hard, kill := context.WithCancelCause(context.Background())
	c.Kafka = append(slices.Clip(c.Kafka), kgo.WithContext(hard))
	s := &Station{
		hard: hard, kill: kill,
		Config:   c,
		composer: c.composer(),
		gate:     newGate(c.SMTP.Connections),
		relays:   newRelays(len(c.SMTP.relays())),
		pacer:    &pacer{pace: pace.New(c.Pace)},
		errands:  make(chan errand, c.SMTP.Connections),
		owners:   map[int32]*owner{},
		versions: map[string]*mail.Templates{},
		heard:    map[int32][]hearing{},
	}
	var err error
	if s.shadow, err = newShadow(c.DryRun, c.OnlyTo); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	if s.metrics, err = newMetrics(s); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	if s.playbooks, err = stream.NewTable(c.Kafka, s.topic(schemas.Playbooks)); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	if s.brake, err = newBrake(c.Kafka, s.topic(schemas.Pauses), s.metrics.pauses); err != nil {
		s.playbooks.Close()
		return nil, fmt.Errorf("sender: %w", err)
	}
	return s, nil
}

// Run sends until ctx ends; then it finishes what is in hand. It returns within
// Patience and a quarter of it, whatever Kafka and mail servers do.
func (s *Station) Run(ctx context.Context) error {
	defer s.playbooks.Close()
	defer s.brake.table.Close()
	defer s.kill(nil) // before anything closes
	defer context.AfterFunc(ctx, s.bound)()
	if s.DryRun || len(s.OnlyTo) > 0 {
		s.Log.Warn("not everybody gets mail: the others' deliveries end as shadowed", "dry run", s.DryRun, "only to", s.OnlyTo)
	}
	s.Ready(false, "reading playbooks and pauses")
	for _, t := range []*stream.Table{s.playbooks, s.brake.table} {
		if err := t.CatchUp(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("sender: %w", err)
		}
	}
	var couriers sync.WaitGroup
	for range s.SMTP.Connections {
		couriers.Go(func() { s.deliver(s.hard) })
	}
	defer couriers.Wait()
	defer s.kill(nil)
	client, err := s.join(s.hard)
	if err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	defer client.Close()
	defer s.kill(nil)
	s.readiness()
	go s.watch(s.hard, client)

	tick := time.NewTicker(offsetInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.commitOffsets(ctx)
			s.brake.now() // also who owns no partition shows what is paused
			s.readiness()
		case <-ctx.Done():
			s.release(s.hard, s.ours())
			return nil
		case <-s.hard.Done():
			s.await(s.ours())
			return context.Cause(s.hard)
		}
	}
}

// bound ends a stop that takes too long. A quarter of its patience is left to say
// how far it came.
func (s *Station) bound() {
	select {
	case <-time.After(s.Patience + s.Patience/4):
		s.Log.Error("stop without Kafka's answer: what was handed over and is not recorded will be in doubt")
		s.kill(nil)
	case <-s.hard.Done():
	}
}

// join makes this process a member of the group. Its client only holds the
// membership and the offsets; sessions read by themselves, so that beginning
// again needs nothing of the group.
func (s *Station) join(ctx context.Context) (*kgo.Client, error) {
	topic := s.topic(schemas.Deliveries)
	ready := make(chan struct{})
	opts := append(append([]kgo.Opt{kgo.SessionTimeout(sessionTimeout)}, s.Kafka...),
		kgo.ConsumerGroup(s.group()),
		kgo.InstanceID(s.Prefix+s.Instance),
		kgo.ConsumeTopics(topic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.RebalanceTimeout(2*s.Patience),
		kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
			<-ready
			s.pacer.expect(m[topic]) // all, before the first of them can send
			for _, p := range m[topic] {
				o := s.own(ctx, p)
				s.mu.Lock()
				s.owners[p] = o
				s.mu.Unlock()
			}
			s.readiness()
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
			s.release(ctx, s.of(m[topic]))
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
			for _, o := range s.of(m[topic]) {
				o.cancel()
			}
			s.await(s.of(m[topic]))
		}),
	)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	client.PauseFetchTopics(topic)
	s.mu.Lock()
	s.client = client
	s.mu.Unlock()
	close(ready)
	return client, nil
}

// watch reports what the group's client has to say.
func (s *Station) watch(ctx context.Context, client *kgo.Client) {
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			s.Log.Error("group of senders", "topic", topic, "partition", partition, "cause", err)
		})
	}
}

// release lets owners finish, and says how far they came.
func (s *Station) release(ctx context.Context, owners []*owner) {
	for _, o := range owners {
		o.finish()
	}
	enough := make(chan struct{})
	timer := time.AfterFunc(s.Patience, func() { close(enough) })
	defer timer.Stop()
	for _, o := range owners {
		o.release(enough)
	}
	for _, o := range owners {
		if err := o.commitOffset(ctx); err != nil {
			s.Log.Warn("the next owner reads more than it needs", "cause", err)
		}
	}
	s.await(owners)
}

// await returns when owners have ended, and forgets them.
func (s *Station) await(owners []*owner) {
	for _, o := range owners {
		o.cancel()
		<-o.done
		s.mu.Lock()
		if s.owners[o.partition] == o {
			delete(s.owners, o.partition)
			s.pacer.leave(o.partition)
		}
		s.mu.Unlock()
	}
	s.gate.news() // for who waited for what was to be recalled
	s.readiness()
}

func (s *Station) of(partitions []int32) (owners []*owner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range partitions {
		if o := s.owners[p]; o != nil {
			owners = append(owners, o)
		}
	}
	return owners
}

func (s *Station) ours() (owners []*owner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.owners {
		owners = append(owners, o)
	}
	slices.SortFunc(owners, func(a, b *owner) int { return int(a.partition - b.partition) })
	return owners
}

func (s *Station) commitOffsets(ctx context.Context) {
	for _, o := range s.ours() {
		if err := o.commitOffset(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("offset stays behind", "cause", err)
		}
	}
}

// commitGroup moves the group's offset of one partition. A member that was
// replaced is refused.
func (s *Station) commitGroup(ctx context.Context, partition int32, offset int64) error {
	if err := s.hook("offset"); err != nil {
		return err
	}
	topic := s.topic(schemas.Deliveries)
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	var failed error
	s.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{topic: {partition: {Epoch: -1, Offset: offset}}},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			if failed = err; err == nil {
				for _, t := range resp.Topics {
					for _, p := range t.Partitions {
						failed = errors.Join(failed, kerr.ErrorForCode(p.ErrorCode))
					}
				}
			}
		})
	return failed
}

// templates returns the files of a playbook's version; none, if it is not known.
func (s *Station) templates(ctx context.Context, version string) (*mail.Templates, error) {
	s.mu.Lock()
	t := s.versions[version]
	s.mu.Unlock()
	if t != nil {
		return t, nil
	}
	value, ok := s.playbooks.Get(version)
	if !ok {
		// It was written before the first delivery that names it.
		if err := s.playbooks.CatchUp(ctx); err != nil {
			return nil, fmt.Errorf("read playbooks: %w", err)
		}
		if value, ok = s.playbooks.Get(version); !ok {
			return nil, nil
		}
	}
	var pb schemas.PlaybookVersion
	if err := schemas.Decode(value, &pb); err != nil {
		s.Log.Error("playbook cannot be read", "version", version, "cause", err)
		return nil, nil
	}
	t = mail.NewTemplates(pb.GetFiles())
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.versions) >= versionsKept {
		clear(s.versions)
	}
	s.versions[version] = t
	return t, nil
}

// Settled is for whoever drives virtual time: ok when no delivery is in hand or
// can be tried by now, and all outcomes are recorded. next is the offset of the
// next record per partition of deliveries; it reaches the high watermark.
func (s *Station) Settled(now time.Time) (next map[int32]int64, ok bool) {
	next = map[int32]int64{}
	owners := s.ours()
	for _, o := range owners {
		st := o.state()
		if !st.live || st.busy || !st.at.IsZero() && !st.at.After(now) {
			return nil, false
		}
		next[o.partition] = st.next
	}
	return next, len(owners) > 0
}

// readiness says whether all that is ours is being worked on.
func (s *Station) readiness() {
	owners := s.ours()
	live := 0
	for _, o := range owners {
		if o.state().live {
			live++
		}
	}
	switch {
	case len(owners) == 0 && !s.member():
		s.Ready(false, "joining the group of senders")
	case len(owners) == 0:
		s.Ready(true, "no partitions: others have them")
	case live < len(owners):
		s.Ready(false, fmt.Sprintf("%d of %d partitions", live, len(owners)))
	default:
		s.Ready(true, fmt.Sprintf("%d partitions", live))
	}
}

// member reports whether the group has taken us in.
func (s *Station) member() bool {
	s.mu.Lock()
	client := s.client
	s.mu.Unlock()
	if client == nil {
		return false
	}
	_, generation := client.GroupMetadata()
	return generation > 0
}

// hook asks the test whether the process dies here. Then nothing is finished.
func (s *Station) hook(step string) error {
	err := s.Hook(step)
	if err != nil {
		err = fmt.Errorf("sender stopped at %q: %w", step, err)
		s.kill(err)
	}
	return err
}

func (s *Station) topic(name string) string { return s.Prefix + name }
func (s *Station) group() string            { return s.Prefix + "sender" }
