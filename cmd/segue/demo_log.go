package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
)

// told are those who are told of records; nil ones are not.
type told struct {
	event   func(at int64, e *schemas.Event)
	change  func(*schemas.SegmentChange)
	score   func(*schemas.ScoreChange)
	command func(*schemas.DeliveryCommand)
	dead    func(key, reason string)
}

// topics are those that somebody is told of.
func (t told) topics() (names []string) {
	if t.event != nil {
		names = append(names, schemas.Events)
	}
	if t.change != nil {
		names = append(names, schemas.SegmentChanges)
	}
	if t.score != nil {
		names = append(names, schemas.Scores)
	}
	if t.command != nil {
		names = append(names, schemas.Deliveries)
	}
	if t.dead != nil {
		names = append(names, schemas.DeadLetters)
	}
	return names
}

func (t told) record(r *kgo.Record) error {
	if r.Attrs.IsControl() {
		return nil
	}
	var err error
	switch r.Topic {
	case schemas.Events:
		var e schemas.Event
		if err = schemas.Decode(r.Value, &e); err == nil {
			t.event(r.Timestamp.UnixMilli(), &e)
		}
	case schemas.SegmentChanges:
		var c schemas.SegmentChange
		if err = schemas.Decode(r.Value, &c); err == nil {
			t.change(&c)
		}
	case schemas.Scores:
		var c schemas.ScoreChange
		if err = schemas.Decode(r.Value, &c); err == nil {
			t.score(&c)
		}
	case schemas.Deliveries:
		var c schemas.DeliveryCommand
		if err = schemas.Decode(r.Value, &c); err == nil {
			t.command(&c)
		}
	case schemas.DeadLetters:
		reason := ""
		for _, h := range r.Headers {
			if h.Key == "reason" {
				reason = string(h.Value)
			}
		}
		t.dead(string(r.Key), reason)
	}
	if err != nil {
		return fmt.Errorf("decode %s partition %d at offset %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	return nil
}

// follow tells of all records from the first on, until ctx ends.
func (t told) follow(ctx context.Context, kafka []kgo.Opt) error {
	client, err := t.reader(kafka)
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := t.fetched(fetches, nil); err != nil {
			return err
		}
	}
}

// readAll tells of all records that are there now.
func (t told) readAll(ctx context.Context, kafka []kgo.Opt) error {
	client, err := t.reader(kafka)
	if err != nil {
		return err
	}
	defer client.Close()
	left, err := unreadFrom(ctx, kadm.NewClient(client), t.topics())
	if err != nil {
		return err
	}
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := t.fetched(fetches, left); err != nil {
			return err
		}
	}
	return nil
}

func (t told) reader(kafka []kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(kafka[:len(kafka):len(kafka)],
		kgo.ConsumeTopics(t.topics()...),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // or the end of a transaction would never be reached
		kgo.FetchMaxWait(100*time.Millisecond),
	)...)
}

// fetched tells of what was polled; with left, of what lies before its ends.
func (t told) fetched(fetches kgo.Fetches, left unread) error {
	if err := fetches.Err(); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	var errs []error
	fetches.EachRecord(func(r *kgo.Record) {
		if left != nil && !left.take(r) {
			return
		}
		if err := t.record(r); err != nil {
			errs = append(errs, err)
		}
	})
	return errors.Join(errs...)
}
