package sender

import (
	"context"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream"
	"segue/schemas"
)

// EveryJourney stands for all journeys in the topic pauses.
const EveryJourney = "*"

// pauses are those in force, by journey.
type pauses map[string]*schemas.Pause

// of returns the pause that holds a journey's mails back, or nil.
func (p pauses) of(journey string) *schemas.Pause {
	if all := p[EveryJourney]; all != nil {
		return all
	}
	return p[journey]
}

// ReadPauses returns the last word on each journey, pauses and resumptions, as a
// table of the topic pauses has it.
func ReadPauses(table *stream.Table) (map[string]*schemas.Pause, error) {
	last := map[string]*schemas.Pause{}
	for _, key := range table.Keys() {
		value, ok := table.Get(key)
		if !ok {
			continue
		}
		p := new(schemas.Pause)
		if err := schemas.Decode(value, p); err != nil {
			return nil, fmt.Errorf("decode pause of %q: %w", key, err)
		}
		last[key] = p
	}
	return last, nil
}

// PauseRecord is p as the topic pauses, of this name, carries it.
func PauseRecord(topic string, p *schemas.Pause) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(p.GetJourney()), Value: schemas.Encode(p), Timestamp: p.GetAt().AsTime()}
}

// brake follows the topic pauses. What it cannot read stops all mails: somebody
// may have meant to.
type brake struct {
	table *stream.Table
	gauge *prometheus.GaugeVec

	mu      sync.Mutex
	changed <-chan struct{} // of the table, when current was read
	current pauses
}

func newBrake(kafka []kgo.Opt, topic string, gauge *prometheus.GaugeVec) (*brake, error) {
	table, err := stream.NewTable(kafka, topic)
	if err != nil {
		return nil, err
	}
	return &brake{table: table, gauge: gauge}, nil
}

// toEnd returns the pauses once all that was said before the call is read.
func (b *brake) toEnd(ctx context.Context) (pauses, error) {
	if err := b.table.CatchUp(ctx); err != nil {
		return nil, err
	}
	p, _, err := b.now()
	return p, err
}

// now returns the pauses as far as they are known, and a channel that is closed
// when there is news. They are not to be changed.
func (b *brake) now() (pauses, <-chan struct{}, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed := b.table.Changed()
	if changed == b.changed {
		return b.current, changed, nil
	}
	last, err := ReadPauses(b.table)
	if err != nil {
		return nil, nil, err
	}
	b.gauge.Reset()
	b.changed, b.current = changed, pauses{}
	for journey, p := range last {
		if p.GetResumed() {
			continue
		}
		b.current[journey] = p
		by := "person"
		if p.GetBreaker() {
			by = "breaker"
		}
		b.gauge.WithLabelValues(journey, by).Set(1)
	}
	return b.current, changed, nil
}
