package sender

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"segue/processors/sender/breaker"
)

// owner works on one partition for as long as the group says that it is ours:
// one session after the other, if need be.
type owner struct {
	*Station
	partition int32
	stop      chan struct{} // closed: finish what is in hand
	finish    func()        // closes stop
	done      chan struct{} // closed: finished
	cancel    context.CancelFunc
	killed    <-chan struct{} // closed: the process ends here

	mu        sync.Mutex
	standing  standing
	committed int64 // the group's offset, as far as we moved it
}

// standing is how far a session is, for those who ask from outside.
type standing struct {
	live bool
	// next offset that is not read; offset: all below is settled (-1: not known).
	next, offset int64
	// busy: something is in hand, or can be done at once.
	busy bool
	// at is when something can be done next; zero: when there is something new.
	at   time.Time
	open int
}

func (s *Station) own(ctx context.Context, partition int32) *owner {
	killed := ctx.Done()
	ctx, cancel := context.WithCancel(ctx)
	o := &owner{Station: s, partition: partition, killed: killed, stop: make(chan struct{}), done: make(chan struct{}), cancel: cancel, standing: standing{offset: -1}, committed: -1}
	o.finish = sync.OnceFunc(func() { close(o.stop) })
	go o.run(ctx)
	return o
}

func (o *owner) run(ctx context.Context) {
	defer close(o.done)
	if o.partition == breakersPartition && o.Breaker != (breaker.Bounds{}) {
		var guard sync.WaitGroup
		guard.Go(func() { o.guard(ctx) })
		defer guard.Wait()
	}
	for failures := 0; ; failures++ {
		began := time.Now()
		err := o.work(ctx, o.stop)
		last := o.state()
		if err == nil || ctx.Err() != nil || o.stopped() {
			return
		}
		if errors.Is(err, errAgain) {
			failures = 0
			o.Log.Info("begin partition again", "partition", o.partition, "to", err)
		} else {
			o.metrics.sessions.Inc()
			o.Log.Warn("begin partition again", "partition", o.partition, "cause", err)
		}
		if time.Since(began) > time.Minute {
			failures = 0
		}
		for {
			select {
			case <-ctx.Done():
				return
			case <-o.stop:
				return
			case <-time.After(backOff(failures)):
			}
			// Who was replaced, and does not know it yet, must not fence its
			// successor: the group would not take an offset from it.
			if last.offset < 0 {
				break
			}
			if err = o.commit(ctx, last.offset); err == nil {
				break
			}
			o.Log.Warn("wait for the group", "partition", o.partition, "cause", err)
		}
	}
}

// release lets the session finish what is in hand, until enough is closed. Later
// answers are not heard, and leave their deliveries in doubt.
func (o *owner) release(enough <-chan struct{}) {
	select {
	case <-o.done:
	case <-enough:
		o.cancel()
	}
}

func (o *owner) stopped() bool {
	select {
	case <-o.stop:
		return true
	default:
		return false
	}
}

func (o *owner) publish(s standing) {
	o.mu.Lock()
	before := o.standing.live
	o.standing = s
	o.mu.Unlock()
	if s.live != before {
		o.readiness()
	}
}

// falter: the session has ended, and what it was busy with is not known.
func (o *owner) falter() {
	last := o.state()
	last.live = false
	o.publish(last)
}

func (o *owner) state() standing {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.standing
}

// commitOffset moves the group's offset, if there is something new to say.
func (o *owner) commitOffset(ctx context.Context) error {
	o.mu.Lock()
	offset, news := o.standing.offset, o.standing.offset != o.committed
	o.mu.Unlock()
	if !news || offset < 0 {
		return nil
	}
	return o.commit(ctx, offset)
}

func (o *owner) commit(ctx context.Context, offset int64) error {
	if err := o.commitGroup(ctx, o.partition, offset); err != nil {
		return fmt.Errorf("commit offset %d of partition %d: %w", offset, o.partition, err)
	}
	o.mu.Lock()
	o.committed = offset
	o.mu.Unlock()
	return nil
}

// backOff is how long to wait before another session after so many failures.
func backOff(failures int) time.Duration {
	d := min(100*time.Millisecond<<min(failures, 10), 10*time.Second)
	return d/2 + rand.N(d/2)
}

// until is ctx, but ends when stop is closed, too.
func until(ctx context.Context, stop <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
