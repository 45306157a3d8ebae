package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/state"
)

// Processor runs a task on its share of the input's partitions.
type Processor[S, D any] struct {
	c                     Config[S, D]
	input, profiles, dead string // with prefix
	store                 *state.Store
	metrics               *metrics
	deaths                *deaths
	suspects              map[int32]map[place]bool // steps that panicked, for as long as the process lives
	ticks                 map[int32]*tick          // by partition, across sessions

	// For the loop alone, except where a lock is named.
	session    *kgo.GroupTransactSession // set under mu
	ticker     *kgo.Client
	count      int // partitions of the input
	topic      string
	partitions map[int32]*partition[S, D]
	open       bool   // a transaction
	partial    bool   // committed in the midst of what was polled
	alarm      alarm  // for the next tick
	unready    string // why it is not up to date, as last told; "" when it is
	firstOut   time.Time
	lastCommit time.Time
	failure    atomic.Pointer[error] // of a produce in the open transaction

	mu      sync.Mutex
	changes []change // of the assignment, not yet seen by the loop
	views   []*view
	kick    context.CancelFunc // ends the present poll
	running bool

	standing atomic.Pointer[standing]
}

// New checks the configuration.
func New[S, D any](c Config[S, D]) (*Processor[S, D], error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	m, err := newMetrics(c.Metrics, c.Name)
	if err != nil {
		return nil, fmt.Errorf("register the metrics of processor %q: %w", c.Name, err)
	}
	return &Processor[S, D]{
		c: c, input: c.Prefix + c.Input, profiles: c.Prefix + c.Profiles, dead: c.Prefix + c.DeadLetters, metrics: m,
		suspects: map[int32]map[place]bool{}, ticks: map[int32]*tick{}, partitions: map[int32]*partition[S, D]{},
		unready: "not started",
	}, nil
}

// fatal is an error that a new session does not mend: somebody has to look.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

// crash is how Hook ends Run.
type crash struct{ error }

func (c crash) Unwrap() error { return c.error }

func (p *Processor[S, D]) hook(step string) error {
	if err := p.c.Hook(step); err != nil {
		return crash{err}
	}
	return nil
}

// Run processes until ctx ends, then brings everything to Kafka and to disk
// and returns nil. Whatever goes wrong between has one answer: forget what is
// in memory, open a new session, fold again from where the store stands.
func (p *Processor[S, D]) Run(ctx context.Context) (err error) {
	p.store, err = state.Open(p.c.Dir, state.Options{FS: p.c.FS, Memory: p.c.storeMemory()})
	if err != nil {
		return err
	}
	defer func() {
		p.publish(false)
		err = errors.Join(err, p.store.Close())
	}()
	if p.deaths, err = openDeaths(p.c.Dir, p.c.FS); err != nil {
		return err
	}
	if p.ticker, err = kgo.NewClient(append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0)}, p.c.Kafka...)...); err != nil {
		return fmt.Errorf("configure the client that ticks: %w", err)
	}
	defer p.ticker.Close()
	p.mu.Lock()
	p.running = true
	p.mu.Unlock()
	defer p.endViews()

	const shortest, longest = 50 * time.Millisecond, 5 * time.Second
	for wait := shortest; ; wait = min(2*wait, longest) {
		started := time.Now()
		err := p.run(ctx)
		p.publish(false)
		switch {
		case errors.As(err, new(crash)):
			return err
		case errors.As(err, new(fatal)):
			return errors.Join(fmt.Errorf("processor %s: %w", p.c.Name, err), p.deaths.clear())
		case err == nil:
			return p.deaths.clear()
		case ctx.Err() != nil:
			p.c.Log.Warn("stopped before everything was in Kafka and on disk; the next start folds it again", "cause", err)
			return p.deaths.clear()
		}
		p.metrics.rebuilds.Inc()
		p.c.Log.Warn("folding again from the last commit", "cause", err)
		p.ready(err.Error())
		if time.Since(started) > time.Minute {
			wait = shortest
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// run is one session: until ctx ends, or something goes wrong.
func (p *Processor[S, D]) run(ctx context.Context) error {
	if err := p.openSession(ctx); err != nil {
		return err
	}
	defer p.closeSession()
	for ctx.Err() == nil {
		if err := p.turn(ctx); err != nil {
			var suspect *suspectError
			if errors.As(err, &suspect) {
				p.c.Log.Warn("a step panicked; folding again with a copy of the state before it", "cause", err)
			}
			return err
		}
	}
	return p.stop(ctx)
}

// turn is one turn of the loop: poll, fold, drain, commit, apply.
func (p *Processor[S, D]) turn(ctx context.Context) error {
	fetches := p.poll(ctx)
	if err := p.hook("polled"); err != nil {
		return err
	}
	broken, lost := pollErrors(fetches)
	if broken != nil {
		return broken
	}
	void, err := p.rebalance(ctx)
	if err != nil {
		return err
	}
	if void {
		fetches = nil
	} else if lost != nil {
		return lost
	}
	if err := p.fold(ctx, fetches); err != nil {
		return err
	}
	if err := p.hook("folded"); err != nil {
		return err
	}
	now := time.Now()
	for _, x := range p.partitions {
		x.mark(now, p.c.FlushAfter)
	}
	if !p.commitAt(now).After(now) {
		if err := p.commit(ctx, now); err != nil {
			return err
		}
		p.partial = false
	}
	if err := p.applyDue(now); err != nil {
		return err
	}
	if err := p.tick(); err != nil {
		return err
	}
	if err := p.serveViews(ctx); err != nil {
		return err
	}
	p.setAlarm() // before publish: whoever reads there that all is quiet may move the clock
	return p.publish(true)
}

// poll waits for records, and for what else the loop has to do.
func (p *Processor[S, D]) poll(ctx context.Context) kgo.Fetches {
	now := time.Now()
	wait, endless := p.wait(now)
	p.mu.Lock()
	if len(p.views) > 0 || len(p.changes) > 0 {
		wait, endless = min(wait, 5*time.Millisecond), false
	}
	var cancel context.CancelFunc
	if endless {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithTimeout(ctx, wait)
	}
	p.kick = cancel
	p.mu.Unlock()
	defer cancel()
	if !endless && wait <= 0 {
		//lint:ignore SA1012 nil is how the client spells "do not wait"
		return p.session.PollRecords(nil, p.c.MaxPoll)
	}
	if p.alarm.reached != nil {
		go func(reached <-chan struct{}) {
			select {
			case <-reached:
				cancel()
			case <-ctx.Done():
			}
		}(p.alarm.reached)
	}
	return p.session.PollRecords(ctx, p.c.MaxPoll)
}

// wakeLocked ends the present poll. p.mu is held.
func (p *Processor[S, D]) wakeLocked() {
	if p.kick != nil {
		p.kick()
	}
}

// wait is how long the loop has nothing to do of its own.
func (p *Processor[S, D]) wait(now time.Time) (wait time.Duration, endless bool) {
	endless = true
	until := func(at time.Time) {
		if d := max(at.Sub(now), 0); endless || d < wait {
			wait, endless = d, false
		}
	}
	for _, x := range p.partitions {
		if w, ok, err := x.fold.earliest(); err != nil || ok && w.Due < x.fold.pos.Clock {
			return 0, false // more is due than one turn drains
		}
		if len(x.fold.entries.touched) > 0 && x.outs == 0 && !x.fresh {
			until(x.applyAt)
		}
		if len(x.marks) > 0 {
			until(x.marks[0].at.Add(p.c.FlushAfter))
		}
	}
	if at := p.commitAt(now); !at.IsZero() && at.Before(now.Add(never)) {
		until(at)
	}
	return wait, endless
}

const never = 24 * time.Hour

// commitAt is when the next commit is to be.
func (p *Processor[S, D]) commitAt(now time.Time) time.Time {
	at := now.Add(2 * never)
	if p.open {
		at = p.firstOut.Add(p.c.CommitInterval)
		if p.allIdle() {
			at = now
		}
	}
	for _, x := range p.partitions {
		switch {
		case x.fresh || x.overdue():
			at = now
		case x.moved():
			if progress := p.lastCommit.Add(p.c.ProgressInterval); progress.Before(at) {
				at = progress
			}
		}
	}
	if spaced := p.lastCommit.Add(p.c.CommitSpacing); at.Before(spaced) {
		return spaced
	}
	return at
}

// allIdle reports whether every partition with outputs has nothing more to
// read or to drain.
func (p *Processor[S, D]) allIdle() bool {
	for _, x := range p.partitions {
		if x.outs == 0 {
			continue
		}
		if !x.idle() {
			return false
		}
		if w, ok, err := x.fold.earliest(); err != nil || ok && w.Due < x.fold.pos.Clock {
			return false
		}
	}
	return true
}

// catchingUp is how far, in milliseconds, a partition's clock is behind when
// nothing is drained until all that can be read was.
const catchingUp = 1000

// fold brings in what was polled, and a slice of what is due in the background.
func (p *Processor[S, D]) fold(ctx context.Context, fetches kgo.Fetches) error {
	var err error
	fetches.EachPartition(func(t kgo.FetchTopicPartition) {
		if err != nil || len(t.Records) == 0 {
			return
		}
		x := p.partitions[t.Partition]
		if x == nil {
			err = fmt.Errorf("got records of partition %d: %w", t.Partition, errNotOurs)
			return
		}
		x.limit = t.HighWatermark
		if t.LastStableOffset >= 0 {
			x.limit = min(x.limit, t.LastStableOffset)
		}
		for _, r := range t.Records {
			if err = p.foldRecord(ctx, x, r); err != nil {
				err = p.suspected(x.id, err)
				return
			}
		}
	})
	if err != nil {
		return err
	}
	now := p.c.Clock.Now().UnixMilli()
	for _, x := range p.partitions {
		// What the log still holds may undo what is due: a customer's own records
		// fire it in their turn, and both leave in one transaction.
		if !x.idle() && now-x.fold.pos.Clock > catchingUp {
			continue
		}
		if _, err := x.fold.drain(state.Wake{Due: x.fold.pos.Clock}, p.c.DrainBudget); err != nil {
			return p.suspected(x.id, err)
		}
	}
	return nil
}

func (p *Processor[S, D]) foldRecord(ctx context.Context, x *partition[S, D], r *kgo.Record) error {
	if r.Offset < x.fold.pos.Next {
		return nil
	}
	if len(r.Key) > 0 && !r.Attrs.IsControl() && p.deaths.isolated(x.id, r.Offset) {
		return p.foldIsolated(ctx, x, r)
	}
	return x.fold.record(ctx, fromKafka(r))
}

func fromKafka(r *kgo.Record) record {
	return record{offset: r.Offset, at: r.Timestamp.UnixMilli(), key: r.Key, value: r.Value, marker: r.Attrs.IsControl()}
}

// suspected notes which step panicked, so that the next fold keeps a copy of
// the state before it.
func (p *Processor[S, D]) suspected(id int32, err error) error {
	var suspect *suspectError
	if errors.As(err, &suspect) {
		if p.suspects[id] == nil {
			p.suspects[id] = map[place]bool{}
		}
		p.suspects[id][suspect.place] = true
	}
	return fmt.Errorf("%s partition %d: %w", p.input, id, err)
}

// space waits until a commit may follow the last one.
func (p *Processor[S, D]) space(ctx context.Context, now time.Time) {
	if wait := p.lastCommit.Add(p.c.CommitSpacing).Sub(now); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// stop brings everything to Kafka and to disk, so that the next start, of this
// version or another, folds nothing again.
func (p *Processor[S, D]) stop(ctx context.Context) error {
	for {
		now := time.Now()
		behind := p.open
		for _, x := range p.partitions {
			x.flushTo = x.fold.nextDirty
			behind = behind || x.moved() || x.overdue() || len(x.fold.entries.touched) > 0 || x.committed.F != x.committed.M
		}
		if !behind {
			break
		}
		p.space(context.WithoutCancel(ctx), now)
		if err := p.commit(ctx, time.Now()); err != nil {
			return fmt.Errorf("stop: %w", err)
		}
		if err := p.applyAll(); err != nil {
			return err
		}
	}
	if err := p.store.Sync(); err != nil {
		return err
	}
	return p.hook("stopped")
}

var errNotOurs = errors.New("the partition is not ours")
