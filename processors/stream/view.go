package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// standing is where the loop stood at the end of a turn.
type standing struct {
	next     map[int32]int64
	quiet    bool               // no output waits for its commit, no tick for its answer, no partition for being live
	earliest int64              // wake-up of all partitions
	floors   map[int32]Position // of partitions of which profiles lack something
	inbox    *inbox
}

// publish lets others know where the loop stands.
func (p *Processor[S, D]) publish(live bool) error {
	if !live {
		p.standing.Store(nil)
		return nil
	}
	s := &standing{next: make(map[int32]int64, len(p.partitions)), quiet: len(p.coming)+len(p.taking) == 0, earliest: math.MaxInt64, floors: map[int32]Position{}, inbox: p.inbox}
	asking, clock := int64(0), int64(math.MaxInt64)
	for _, x := range p.partitions {
		w, ok, err := x.fold.earliest()
		if err != nil {
			return err
		}
		if ok {
			s.earliest = min(s.earliest, w.Due)
		}
		s.next[x.id] = x.fold.pos.Next
		s.quiet = s.quiet && x.outs == 0 && !p.ticking(x.id) && (!ok || w.Due >= x.fold.pos.Clock)
		asking += x.fold.asking
		if x.committed.F != x.committed.M {
			s.floors[x.id] = x.committed.F
		}
		clock = min(clock, x.fold.pos.Clock)
	}
	p.standing.Store(s)
	p.metrics.observe(clock, s.earliest, asking, p.c.Clock.Now())
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
	for _, t := range p.taking {
		why = fmt.Sprintf("bringing partition %d up to date", t.id)
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
// folded is committed and no wake-up is due, before now or before the clock of
// its partition, in any of this processor. next is the offset of the next record by partition, control
// records counted: it reaches the high watermark.
func (p *Processor[S, D]) Settled(now time.Time) (next map[int32]int64, ok bool) {
	s := p.standing.Load()
	if s == nil || len(s.next) == 0 || !s.quiet || s.earliest < now.UnixMilli() || s.inbox.full() {
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

// serveViews answers once nothing is uncommitted, and of a partition that is
// being taken once it is live.
func (p *Processor[S, D]) serveViews(ctx context.Context) error {
	p.mu.Lock()
	views := p.views
	p.views = nil
	p.mu.Unlock()
	if len(views) == 0 {
		return nil
	}
	if p.open {
		if err := p.commit(ctx, p.now()); err != nil {
			return err
		}
	}
	var later []*view
	for _, v := range views {
		if p.isComing(partitionOf(v.key, p.count)) {
			later = append(later, v)
			continue
		}
		encoded, owned, err := p.look(v.key)
		v.answer <- func() ([]byte, bool, error) { return encoded, owned, err }
	}
	p.mu.Lock()
	p.views = append(later, p.views...)
	p.mu.Unlock()
	return nil
}

func (p *Processor[S, D]) isComing(id int32) bool {
	return slices.ContainsFunc(p.coming, func(c coming) bool { return c.partition == id }) ||
		slices.ContainsFunc(p.taking, func(t *taking[S, D]) bool { return t.id == id && !t.gone })
}

func (p *Processor[S, D]) look(key string) (encoded []byte, owned bool, err error) {
	x := p.partition(partitionOf(key, p.count))
	if x == nil {
		return nil, false, nil
	}
	e, err := x.fold.load(key)
	if err != nil || !e.exists {
		return nil, true, err
	}
	return x.fold.encodeState([]byte{}, e), true, nil
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
