package sender

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream"
)

// sweepMax bounds a transaction's tombstones.
const sweepMax = 5000

// transact records all that has ended, was withdrawn, and goes out, at once. An
// error means that the outcome is not known.
func (s *session) transact(ctx context.Context, now int64, out []errand) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 2*transactionTimeout)
	defer cancel()
	if err := s.client.BeginTransaction(); err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	var records []*kgo.Record
	swept := min(len(s.sweep), sweepMax)
	for _, id := range s.sweep[:swept] {
		records = append(records, s.withdrawal(id, now))
	}
	for _, d := range s.ledger.withdrawn { // before a cancellation, or the next note, of the same delivery
		records = append(records, s.withdrawal(d.GetId(), now))
	}
	for _, d := range s.ledger.ended {
		records = append(records, s.attempt(d, now), s.outcome(d, now))
	}
	notes := len(records)
	for _, e := range out {
		records = append(records, s.attempt(s.ledger.open[e.id], now))
	}
	err := s.produce(ctx, records)
	for i, e := range out {
		if err == nil {
			s.ledger.open[e.id].note = records[notes+i].Offset
		}
	}
	if err == nil {
		err = s.step("note", len(out), "settle", len(s.ledger.ended))
	}
	if err == nil {
		err = stream.CommitTransaction(ctx, s.client, records...)
	}
	if err != nil { // the next owner of the producer id aborts it, if it is open
		return fmt.Errorf("record %d attempts of partition %d: %w", len(records), s.partition, err)
	}
	s.metrics.transactionSeconds.Observe(time.Since(began).Seconds())
	s.spaced = time.Now().Add(s.CommitSpacing)
	for _, d := range s.ledger.ended {
		s.metrics.outcomes.WithLabelValues(label(d.outcome.kind), d.outcome.cause).Inc()
	}
	settled := len(s.ledger.ended)
	s.ledger.recorded()
	s.sweep = s.sweep[swept:]
	return s.step("noted", len(out), "settled", settled)
}

// produce returns when ctx ends, too: a broker that may have the records and does
// not say so holds them up until it is back. They fail with the session's client.
func (s *session) produce(ctx context.Context, records []*kgo.Record) error {
	done := make(chan error, 1)
	go func() { done <- s.client.ProduceSync(ctx, records...).FirstErr() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// step calls the hook for notes and outcomes, if there are any.
func (s *session) step(note string, notes int, outcome string, outcomes int) error {
	if notes > 0 {
		if err := s.hook(note); err != nil {
			return err
		}
	}
	if outcomes > 0 {
		return s.hook(outcome)
	}
	return nil
}
