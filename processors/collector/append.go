package collector

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
)

var errNotAcknowledged = errors.New("not acknowledged")

// record is e as it goes to Kafka. In virtual time its stamp is the log's time.
func (s *Station) record(e *schemas.Event) *kgo.Record {
	return &kgo.Record{Topic: s.topic, Key: []byte(e.GetCustomer()), Value: schemas.Encode(e), Timestamp: s.config.Clock.Now()}
}

// appendAll appends events in order and waits until Kafka has them all. release
// gives their room back, once, when Kafka has them or never will; that may be
// after appendAll has given up: then the events' fate is open.
func (s *Station) appendAll(events []*schemas.Event, release func()) error {
	if len(events) == 0 {
		release()
		return nil
	}
	began := time.Now()
	acknowledged := make(chan error, 1)
	var failed atomic.Pointer[error]
	var left atomic.Int64
	left.Store(int64(len(events)))
	s.await(len(events))
	records := make([]*kgo.Record, len(events))
	for i, e := range events {
		records[i] = s.record(e)
	}
	// Not the request's context: it must not cut a body in two. And not kgo's
	// RecordDeliveryTimeout: that goes by the record's stamp, which is not of now
	// in virtual time.
	ctx, cancel := context.WithTimeout(context.Background(), s.config.AckTimeout)
	defer cancel()
	for i, r := range records {
		kind, source := kind(events[i]), events[i].GetSource()
		s.calls.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			} else {
				s.metrics.events.WithLabelValues(kind, source).Inc()
			}
			s.kept()
			if left.Add(-1) > 0 {
				return
			}
			release()
			s.metrics.ack.Observe(time.Since(began).Seconds())
			if first := failed.Load(); first != nil {
				acknowledged <- fmt.Errorf("%w: %w", errNotAcknowledged, *first)
				return
			}
			acknowledged <- nil
		})
	}
	var err error
	select {
	case err = <-acknowledged:
	case <-ctx.Done():
		// What it has sent already the client cannot take back, and goes on with.
		select {
		case err = <-acknowledged:
		default:
			err = fmt.Errorf("%w within %v", errNotAcknowledged, s.config.AckTimeout)
		}
	}
	s.heard(err)
	return err
}

// await counts events whose promise is to be kept, kept one whose promise was:
// Kafka has it, or never will.
func (s *Station) await(events int) {
	s.pending.Add(int64(events))
	s.promises.Add(events)
}

func (s *Station) kept() {
	s.pending.Add(-1)
	s.promises.Done()
}

// heard logs when Kafka stops to acknowledge, and when it does again.
func (s *Station) heard(err error) {
	if away := err != nil; s.away.Swap(away) != away {
		if away {
			s.config.Log.Error("answering 503", "cause", err)
		} else {
			s.config.Log.Info("Kafka acknowledges again")
		}
	}
}

// appendClick hands an open or a click to its buffer and does not wait.
func (s *Station) appendClick(e *schemas.Event) {
	kind, source := kind(e), e.GetSource()
	s.await(1)
	s.clicks.TryProduce(context.Background(), s.record(e), func(_ *kgo.Record, err error) {
		defer s.kept()
		if err != nil {
			s.metrics.clicksLost.Inc()
			return
		}
		s.metrics.events.WithLabelValues(kind, source).Inc()
	})
}
