package stream

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
)

// tick is the last one that was appended to a partition: one at a time.
type tick struct {
	due     int64 // what it was for
	sent    time.Time
	offset  int64 // once it is acknowledged
	pending bool  // not acknowledged yet
}

// tickRetry is how soon another tick follows one that the broker's clock put
// too early, or that was refused.
const tickRetry = 5 * time.Millisecond

// tickNext returns when the partition needs a tick; ok is false when it needs
// none, or one is on its way.
func (p *Processor[S, D]) tickNext(x *partition[S, D]) (at time.Time, due int64, ok bool, err error) {
	if p.isLeaving(x.id) {
		return at, 0, false, nil
	}
	w, ok, err := x.fold.earliest()
	if err != nil || !ok || w.Due < x.fold.pos.Clock {
		return at, 0, false, err
	}
	at = time.UnixMilli(w.Due + 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.ticks[x.id]; t != nil {
		if t.pending || t.offset >= x.fold.pos.Next {
			return at, 0, false, nil
		}
		if t.due == w.Due {
			behind := time.Duration(w.Due+1-x.fold.pos.Clock) * time.Millisecond
			if again := t.sent.Add(min(max(behind, tickRetry), time.Second)); again.After(at) {
				at = again
			}
		}
	}
	return at, w.Due, true, nil
}

// ticking reports whether a tick's answer is missing, although it may have been
// folded already. No alarm is set until it is in.
func (p *Processor[S, D]) ticking(id int32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.ticks[id]
	return t != nil && t.pending
}

// alarm is what the loop waits for at the clock.
type alarm struct {
	at      time.Time
	reached <-chan struct{} // nil: nothing
	stop    func()
}

// setAlarm waits for the earliest instant at which a partition needs a tick.
func (p *Processor[S, D]) setAlarm() {
	var at time.Time
	for _, x := range p.partitions {
		if t, _, want, err := p.tickNext(x); err == nil && want && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if at.Equal(p.alarm.at) {
		return
	}
	p.clearAlarm()
	if !at.IsZero() {
		reached, stop := p.c.Clock.At(at)
		p.alarm = alarm{at, reached, stop}
	}
}

func (p *Processor[S, D]) clearAlarm() {
	if p.alarm.stop != nil {
		p.alarm.stop()
	}
	p.alarm = alarm{}
}

// tick appends a tick to each quiet partition whose earliest wake-up is due.
func (p *Processor[S, D]) tick() error {
	now := p.c.Clock.Now()
	for _, x := range p.partitions {
		at, due, ok, err := p.tickNext(x)
		if err != nil {
			return err
		}
		if !ok || at.After(now) {
			continue
		}
		t := &tick{due: due, sent: now, offset: -1, pending: true}
		p.mu.Lock()
		p.ticks[x.id] = t
		p.mu.Unlock()
		p.metrics.ticks.Inc()
		r := &kgo.Record{Topic: p.input, Partition: x.id, Value: tickValue, Timestamp: now}
		p.cluster.Append(r, func(offset int64, err error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			t.pending = false
			if err != nil {
				p.c.Log.Warn("tick refused", "partition", x.id, "cause", err)
			} else {
				t.offset = offset
			}
			p.wakeLocked()
		})
	}
	return nil
}

var tickValue = schemas.Encode(&schemas.Event{Body: &schemas.Event_Tick{Tick: &schemas.Tick{}}})
