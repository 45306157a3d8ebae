package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// standing is where the loop stood at the end of a turn.
type standing struct {
	next     map[int32]int64
	quiet    bool  // no output waits for its commit
	earliest int64 // wake-up of all partitions
}

// publish lets others know where the loop stands.
func (p *Processor[S, D]) publish(live bool) error {
	if !live {
		p.standing.Store(nil)
		return nil
	}
	s := &standing{next: make(map[int32]int64, len(p.partitions)), quiet: true, earliest: math.MaxInt64}
	lag, asking, clock := int64(0), int64(0), int64(math.MaxInt64)
	for _, x := range p.partitions {
		w, ok, err := x.fold.earliest()
		if err != nil {
			return err
		}
		if ok {
			s.earliest = min(s.earliest, w.Due)
		}
		s.next[x.id] = x.fold.pos.Next
		s.quiet = s.quiet && x.outs == 0
		asking += x.fold.asking
		lag += max(x.limit-x.fold.pos.Next, 0)
		clock = min(clock, x.fold.pos.Clock)
	}
	p.standing.Store(s)
	p.metrics.observe(lag, clock, s.earliest, asking, p.c.Clock.Now())
	p.metrics.touched.Set(float64(p.touchedBytes()))
	why := ""
	if len(p.partitions) == 0 {
		why = "no partition is assigned"
	}
	for _, x := range p.partitions {
		if x.fold.pos.Next < x.goal {
			why = fmt.Sprintf("partition %d is catching up", x.id)
		}
	}
	p.ready(why)
	return nil
}

// ready tells when it changes whether the processor is up to date.
func (p *Processor[S, D]) ready(why string) {
	if why != p.unready {
		p.unready = why
		p.c.Ready(why == "", why)
	}
}

// Settled is for the driver of virtual time: ok when every output of what was
// folded is committed and no wake-up is due before now in any partition of
// this processor. next is the offset of the next record by partition, control
// records counted: it reaches the high watermark.
func (p *Processor[S, D]) Settled(now time.Time) (next map[int32]int64, ok bool) {
	s := p.standing.Load()
	if s == nil || len(s.next) == 0 || !s.quiet || s.earliest < now.UnixMilli() {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.changes) > 0 {
		return nil, false
	}
	return s.next, true
}

// NextWake returns when the earliest wake-up is due that Settled knew of; ok is
// false when there is none.
func (p *Processor[S, D]) NextWake() (due int64, ok bool) {
	s := p.standing.Load()
	if s == nil || s.earliest == math.MaxInt64 {
		return 0, false
	}
	return s.earliest, true
}

// view is a question of another goroutine to the loop.
type view struct {
	key    string
	answer chan func() ([]byte, bool, error) // the loop encodes, who asked decodes
}

var errNotRunning = errors.New("the processor does not run")

// View returns a copy of the committed state of a key; nil when it was never
// met. owned is false when the key belongs to another process. It waits for
// the next moment at which nothing is uncommitted.
func (p *Processor[S, D]) View(ctx context.Context, key string) (s *S, owned bool, err error) {
	v := &view{key: key, answer: make(chan func() ([]byte, bool, error), 1)}
	p.mu.Lock()
	if !p.running {
		p.mu.Unlock()
		return nil, false, errNotRunning
	}
	p.views = append(p.views, v)
	p.wakeLocked()
	p.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, false, ctx.Err()
	case answer := <-v.answer:
		encoded, owned, err := answer()
		if err != nil || encoded == nil {
			return nil, owned, err
		}
		s, err := p.c.Task.Decode(encoded)
		return s, owned, err
	}
}

// serveViews answers once nothing is uncommitted.
func (p *Processor[S, D]) serveViews(ctx context.Context) error {
	p.mu.Lock()
	waiting := len(p.views) > 0
	p.mu.Unlock()
	if !waiting {
		return nil
	}
	if p.open {
		p.space(ctx, time.Now())
		if err := p.commit(ctx, time.Now()); err != nil {
			return err
		}
		p.partial = false
	}
	p.mu.Lock()
	views := p.views
	p.views = nil
	p.mu.Unlock()
	for _, v := range views {
		encoded, owned, err := p.look(v.key)
		v.answer <- func() ([]byte, bool, error) { return encoded, owned, err }
	}
	return nil
}

func (p *Processor[S, D]) look(key string) (encoded []byte, owned bool, err error) {
	x := p.partitions[partitionOf(key, p.count)]
	if x == nil {
		return nil, false, nil
	}
	e, err := x.fold.load(key)
	if err != nil || !e.exists {
		return nil, true, err
	}
	return p.c.Task.Encode([]byte{}, e.state), true, nil
}

// endViews answers whoever still waits.
func (p *Processor[S, D]) endViews() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = false
	for _, v := range p.views {
		v.answer <- func() ([]byte, bool, error) { return nil, false, errNotRunning }
	}
	p.views = nil
}
