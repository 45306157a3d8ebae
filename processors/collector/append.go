package collector

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
)

var errNotAcknowledged = errors.New("not acknowledged")

// outgoing is a record on its way, and who counts it once Kafka has it.
type outgoing struct {
	record  *kgo.Record
	counted prometheus.Counter
}

// outgoing is e as it goes to Kafka. In virtual time its stamp is the log's time.
func (s *Station) outgoing(e *schemas.Event) outgoing {
	return outgoing{
		&kgo.Record{Topic: s.topic, Key: []byte(e.GetCustomer()), Value: schemas.Encode(e), Timestamp: s.config.Clock.Now()},
		s.metrics.events.WithLabelValues(kind(e), e.GetSource()),
	}
}

// appendAll appends records in order and waits until Kafka has them all. release
// gives their room back, once, when Kafka has them or never will; that may be
// after appendAll has given up: then the records' fate is open.
func (s *Station) appendAll(all []outgoing, release func()) error {
	if len(all) == 0 {
		release()
		return nil
	}
	began := time.Now()
	acknowledged := make(chan error, 1)
	var failed atomic.Pointer[error]
	var left atomic.Int64
	left.Store(int64(len(all)))
	s.await(len(all))
	// Not the request's context: it must not cut a body in two. And not kgo's
	// RecordDeliveryTimeout: that goes by the record's stamp, which is not of now
	// in virtual time.
	ctx, cancel := context.WithTimeout(context.Background(), s.config.AckTimeout)
	defer cancel()
	for _, o := range all {
		s.calls.Produce(ctx, o.record, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			} else {
				o.counted.Inc()
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

// await counts records whose promise is to be kept, kept one whose promise was:
// Kafka has it, or never will.
func (s *Station) await(records int) {
	s.pending.Add(int64(records))
	s.promises.Add(records)
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
	o := s.outgoing(e)
	s.await(1)
	s.clicks.TryProduce(context.Background(), o.record, func(_ *kgo.Record, err error) {
		defer s.kept()
		if err != nil {
			s.metrics.clicksLost.Inc()
			return
		}
		o.counted.Inc()
	})
}
