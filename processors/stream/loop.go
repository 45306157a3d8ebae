package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/state"
)

// turn is one turn of the loop: poll, fold, drain, commit, apply.
func (p *Processor[S, D]) turn(ctx context.Context) error {
	fetches := p.poll(ctx)
	began, waited := p.now(), p.waited
	defer func() {
		p.metrics.seconds.WithLabelValues("work").Observe((p.now().Sub(began) - (p.waited - waited)).Seconds())
	}()
	if err := p.hook("polled"); err != nil {
		return err
	}
	if err := pollErrors(fetches); err != nil {
		return err
	}
	if err := p.heed(); err != nil {
		return err
	}
	if err := p.fold(ctx, fetches); err != nil {
		return err
	}
	if err := p.hook("folded"); err != nil {
		return err
	}
	now := p.now()
	for _, x := range p.partitions {
		x.mark(now, p.c.FlushAfter)
	}
	if !p.commitAt(now).After(now) {
		if err := p.commit(ctx, now); err != nil {
			return err
		}
	}
	if err := p.applyDue(now); err != nil {
		return err
	}
	if err := p.handOver(ctx); err != nil {
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
	wait, endless := p.wait(p.now())
	p.mu.Lock()
	if p.woken {
		wait, endless, p.woken = 0, false, false
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
		return p.session.Poll(nil, p.c.MaxPoll)
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
	return p.session.Poll(ctx, p.c.MaxPoll)
}

// wake ends the present poll, or lets the next one not wait.
func (p *Processor[S, D]) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakeLocked()
}

func (p *Processor[S, D]) wakeLocked() {
	p.woken = true
	if p.kick != nil {
		p.kick()
	}
}

// pollErrors is what ends the session: the client has given a partition up,
// and says so only once.
func pollErrors(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		switch {
		case errors.Is(e.Err, context.DeadlineExceeded), errors.Is(e.Err, context.Canceled):
		case e.Topic == "":
			return fmt.Errorf("poll: %w", e.Err)
		default:
			return fmt.Errorf("poll %s partition %d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	return nil
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
		if p.isLeaving(x.id) && !x.awaitsLanding() {
			return 0, false
		}
		if w, ok, err := x.fold.earliest(); err != nil || ok && w.Due < x.fold.pos.Clock {
			return 0, false // more is due than one turn drains
		}
		if at, ok := x.takesOff(); ok {
			until(at)
		}
		if len(x.marks) > 0 {
			until(x.marks[0].at.Add(p.c.FlushAfter))
		}
	}
	if p.mustSave() {
		return 0, false
	}
	if at := p.commitAt(now); !at.IsZero() && at.Before(now.Add(never)) {
		until(at)
	}
	return wait, endless
}

const never = 24 * time.Hour

// commitAt is when the next commit is to be.
func (p *Processor[S, D]) commitAt(now time.Time) time.Time {
	at, records := now.Add(2*never), p.open
	if p.open {
		at = p.firstOut.Add(p.c.CommitInterval)
		if p.allIdle() {
			at = now
		}
	}
	for _, x := range p.partitions {
		switch {
		case x.fresh || x.overdue():
			at, records = now, records || x.overdue()
		case x.moved():
			if progress := p.lastCommit.Add(p.c.ProgressInterval); progress.Before(at) {
				at = progress
			}
		}
	}
	if spaced := p.lastTransaction.Add(p.c.CommitSpacing); records && at.Before(spaced) {
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

// catchingUp is how far, in milliseconds, the clock of a partition is behind
// that is catching up: nothing is drained until all that can be read was.
const catchingUp = 1000

// fold brings in what was polled, and a slice of what is due in the background.
func (p *Processor[S, D]) fold(ctx context.Context, fetches kgo.Fetches) error {
	var err error
	fetches.EachPartition(func(t kgo.FetchTopicPartition) {
		x := p.partition(t.Partition)
		// A partition that was given away, or is about to be, is read no further.
		if err != nil || len(t.Records) == 0 || x == nil || p.isLeaving(x.id) {
			return
		}
		x.limit = t.HighWatermark
		if t.LastStableOffset >= 0 {
			x.limit = min(x.limit, t.LastStableOffset)
		}
		for i, r := range t.Records {
			if i%warmAhead == 0 {
				x.fold.warm(len(t.Records)-i, func(n int) []byte { return t.Records[i+n].Key })
			}
			if err = p.foldRecord(ctx, x, r); err != nil {
				err = p.suspected(x.id, err)
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if err := p.drain(); err != nil {
		return err
	}
	return p.survived(ctx)
}

const (
	// drainFor is how long what is due in the background keeps records waiting,
	drainFor = 5 * time.Millisecond
	// and drainSlice how many wake-ups fire between looks at the clock.
	drainSlice = 64
)

// drain fires what is due in the background, of one partition after the other.
func (p *Processor[S, D]) drain() error {
	end := p.now().Add(drainFor)
	for range p.partitions {
		p.drained++
		x := p.partitions[p.drained%len(p.partitions)]
		// What the log still holds may undo what is due: a customer's own records
		// fire it in their turn, and both leave in one transaction.
		if p.isLeaving(x.id) || p.behind(x) {
			continue
		}
		for left, done := p.c.DrainBudget, false; left > 0 && !done; left -= drainSlice {
			var err error
			if done, err = x.fold.drain(state.Wake{Due: x.fold.pos.Clock}, min(left, drainSlice)); err != nil {
				return p.suspected(x.id, err)
			}
			if !p.now().Before(end) {
				return nil
			}
		}
	}
	return nil
}

// behind reports whether the partition folds what happened some time ago.
func (p *Processor[S, D]) behind(x *partition[S, D]) bool {
	return !x.idle() && p.c.Clock.Now().UnixMilli()-x.fold.pos.Clock > catchingUp
}

func (p *Processor[S, D]) foldRecord(ctx context.Context, x *partition[S, D], r *kgo.Record) error {
	if r.Offset < x.fold.pos.Next {
		return nil
	}
	if at := (place{offset: r.Offset}); x.fold.alone != nil && p.deaths.killer(x.id, at) {
		p.bury(x, deadLetter{Input{Key: string(r.Key), Now: x.fold.pos.Clock, Offset: r.Offset, Value: r.Value}, r.Timestamp.UnixMilli(), errKills.Error()})
		p.skip(x, at)
	}
	return x.fold.record(ctx, fromKafka(r))
}

func fromKafka(r *kgo.Record) record {
	return record{offset: r.Offset, at: r.Timestamp.UnixMilli(), key: r.Key, value: r.Value, marker: r.Attrs.IsControl()}
}

// suspected notes which step panicked, so that the next fold keeps a copy of
// the state before it.
func (p *Processor[S, D]) suspected(id int32, err error) error {
	if suspect, ok := errors.AsType[*suspectError](err); ok {
		if p.suspects[id] == nil {
			p.suspects[id] = map[place]bool{}
		}
		p.suspects[id][suspect.place] = true
	}
	return fmt.Errorf("%s partition %d: %w", p.input, id, err)
}
