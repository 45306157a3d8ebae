package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"segue/processors/collector/history"
	"segue/schemas"
)

const (
	// importAtOnce entries lie between two moves of the cursor. Those after it may
	// be produced again, and then fold once: a customer's profile remembers more ids
	// than that for a day.
	importAtOnce = 400
	// importTimeout is how long Kafka may take to acknowledge them.
	importTimeout = time.Minute
)

// produce appends the file's events, from where the cursor stands.
func (i *importing) produce(ctx context.Context, l *loaded, out, errs io.Writer) error {
	client, err := l.Kafka.client(ctx, kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.ProducerLinger(2*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	topic := l.Prefix + schemas.Events
	id, err := idOf(ctx, client, topic)
	if err != nil {
		return err
	}
	at, err := cursor{Kind: i.kind.Name, Topic: topic, ID: id, Sum: i.sum}.resume(i.cursorAt)
	if err != nil {
		return fmt.Errorf("import %s: %w", i.name, err)
	}
	a := appending{client: client, topic: topic, addresses: i.addresses, cursor: at, cursorAt: i.cursorAt}
	before := a.cursor.Entries
	p := newProgress(errs)
	began := time.Now()
	_, err = i.each(i.file, func(e history.Entry) error {
		if e.End <= at.Bytes || len(e.Problems) > 0 {
			return nil
		}
		a.add(e)
		if a.waiting < importAtOnce {
			return nil
		}
		if err := a.flush(ctx); err != nil {
			return err
		}
		p.show(func() string {
			rate := float64(a.events) / time.Since(began).Seconds()
			return fmt.Sprintf("%s: %d %%, %s %s, %s events/s", i.name, 100*e.End/max(1, i.size), thousands(a.cursor.Entries), i.kind.Name, thousands(int(rate)))
		})
		return ctx.Err()
	})
	if err == nil {
		err = a.flush(ctx)
	}
	p.end()
	if err != nil {
		return fmt.Errorf("import %s: stopped after %s of %s %s; the same command goes on from there: %w",
			i.name, thousands(a.cursor.Entries), thousands(i.entries-i.bad), i.kind.Name, err)
	}
	fmt.Fprintf(out, "%s: %s imported: %s, events: %s\n", i.name, i.kind.Name, thousands(a.cursor.Entries-before), thousands(a.events))
	if before > 0 {
		fmt.Fprintf(out, "%s: imported before, as %s says: %s\n", i.name, i.cursorAt, thousands(before))
	}
	if i.bad > 0 {
		fmt.Fprintf(out, "%s: left out, since they are wrong: %s\n", i.name, thousands(i.bad))
	}
	return nil
}

// idOf returns the id of a topic that is there.
func idOf(ctx context.Context, client *kgo.Client, topic string) (string, error) {
	topics, err := kadm.NewClient(client).ListTopics(ctx, topic)
	if err = errors.Join(err, topics.Error()); err != nil {
		return "", fmt.Errorf("look for %s: %w; segue topics create makes it", topic, err)
	}
	id := topics[topic].ID
	return base64.RawURLEncoding.EncodeToString(id[:]), nil
}

// appending brings entries to Kafka, some at a time.
type appending struct {
	client    *kgo.Client
	topic     string
	addresses addresses
	cursor    cursor
	cursorAt  string
	events    int // that Kafka has

	records []*kgo.Record
	waiting int   // entries of records
	end     int64 // of the last of them
}

func (a *appending) add(e history.Entry) {
	for _, event := range e.Events {
		if e.Email == "" {
			a.record(event)
			continue
		}
		for _, customer := range a.addresses.of(e.Email) {
			theirs := proto.Clone(event).(*schemas.Event)
			theirs.Customer, theirs.UserId = customer, customer
			a.record(theirs)
		}
	}
	a.waiting++
	a.end = e.End
}

func (a *appending) record(e *schemas.Event) {
	a.records = append(a.records, &kgo.Record{Topic: a.topic, Key: []byte(e.GetCustomer()), Value: schemas.Encode(e), Timestamp: time.Now()})
}

// flush waits until Kafka has what was added, and moves the cursor.
func (a *appending) flush(ctx context.Context) error {
	if a.waiting == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), importTimeout) // Ctrl-C takes effect between two
	defer cancel()
	if err := a.client.ProduceSync(ctx, a.records...).FirstErr(); err != nil {
		return err
	}
	a.events += len(a.records)
	a.cursor.Entries += a.waiting
	a.cursor.Bytes, a.cursor.At = a.end, time.Now().UTC()
	a.records, a.waiting = a.records[:0], 0
	return a.cursor.save(a.cursorAt)
}
