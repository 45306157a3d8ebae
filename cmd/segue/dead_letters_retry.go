package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream"
	"segue/schemas"
)

const (
	// retryAtOnce letters are put back in one transaction: an open one holds back
	// whoever reads events.
	retryAtOnce = 200
	// retryTimeout is when the broker aborts one whose process died.
	retryTimeout = 10 * time.Second
)

// retrying puts letters back.
type retrying struct {
	numbers []int64
	which   choice
	dryRun  bool
	yes     bool
}

func (r *retrying) run(ctx context.Context, l *loaded, in io.Reader, out io.Writer) error {
	client, err := l.Kafka.client(ctx, append(fromStart(lettersTopic(l.Prefix)),
		kgo.TransactionalID(l.Prefix+"dead-letters-retry"),
		kgo.TransactionTimeout(retryTimeout),
		kgo.RecordPartitioner(backWhereItCameFrom()))...)
	if err != nil {
		return err
	}
	defer client.Close()
	if !r.dryRun {
		// Before the letters are read: from here on no other retry can commit, and
		// what one did commit is among what is read.
		if _, _, err := client.ProducerID(ctx); err != nil {
			return fmt.Errorf("begin to put letters back: %w", err)
		}
	}
	letters, err := readLetters(ctx, client, l.Prefix)
	if err != nil {
		return err
	}
	chosen, err := r.choose(letters, out)
	if err != nil {
		return err
	}
	if len(chosen) == 0 {
		_, err := fmt.Fprintln(out, "nothing to put back")
		return err
	}
	if r.dryRun {
		return printLetters(out, chosen, false)
	}
	if !r.yes {
		if err := confirm(in, out, fmt.Sprintf("Put %s back?", counted(len(chosen), "letter", "letters"))); err != nil {
			return err
		}
	}
	done := 0
	for some := range slices.Chunk(chosen, retryAtOnce) {
		if err := putBack(ctx, client, l.Prefix, some); err != nil {
			return fmt.Errorf("put letters %d to %d back (%d before them are): %w; run this again: none is put back twice",
				some[0].Number, some[len(some)-1].Number, done, err)
		}
		done += len(some)
	}
	_, err = fmt.Fprintf(out, "%s put back\n", counted(done, "letter", "letters"))
	return err
}

// choose picks what can be put back. A letter that was named but cannot is an
// error; among those that only match it is passed over.
func (r *retrying) choose(letters []deadLetter, out io.Writer) (chosen []deadLetter, err error) {
	if len(r.numbers) > 0 {
		chosen, err = lettersNumbered(letters, r.numbers)
		for _, l := range chosen {
			if why := l.stays(); why != "" {
				err = errors.Join(err, fmt.Errorf("letter %d %s", l.Number, why))
			}
		}
		return chosen, err
	}
	for _, l := range letters {
		if !r.which.has(l) || l.PutBack != nil {
			continue
		}
		if why := l.stays(); why != "" {
			fmt.Fprintf(out, "letter %d stays: it %s\n", l.Number, why)
			continue
		}
		chosen = append(chosen, l)
	}
	return chosen, nil
}

// stays says why the letter cannot be put back; "" if it can.
func (l *deadLetter) stays() string {
	_, known := schemas.TopicNamed(l.Topic)
	switch {
	case l.PutBack != nil:
		return l.fate("was ", "")
	case l.isWakeUp():
		return "was a wake-up, not a record: it cannot be put back; the customer's next record, or the next playbook, decides instead"
	case !known:
		return fmt.Sprintf("names topic %q, which is none of Segue's", l.Topic)
	}
	return ""
}

// putBack writes letters to where they came from, and that it did, in one
// transaction.
func putBack(ctx context.Context, client *kgo.Client, prefix string, letters []deadLetter) error {
	now := time.Now()
	var records []*kgo.Record
	for _, l := range letters {
		records = append(records,
			&kgo.Record{Topic: prefix + l.Topic, Partition: l.Partition, Key: l.record.Key, Value: l.record.Value, Timestamp: now},
			&kgo.Record{Topic: lettersTopic(prefix), Key: l.record.Key, Timestamp: now, Headers: []kgo.RecordHeader{
				{Key: putBackHeader, Value: strconv.AppendInt(nil, l.Number, 10)}}})
	}
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	end := context.WithoutCancel(ctx) // Ctrl-C must not leave it open
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return errors.Join(err, client.EndTransaction(end, kgo.TryAbort))
	}
	return stream.CommitTransaction(end, client, records...)
}

// backWhereItCameFrom is by key, as every producer does it. What has no key goes
// to the partition that it names.
func backWhereItCameFrom() kgo.Partitioner {
	keyed := kgo.StickyKeyPartitioner(nil)
	return kgo.BasicConsistentPartitioner(func(topic string) func(*kgo.Record, int) int {
		byKey := keyed.ForTopic(topic)
		return func(r *kgo.Record, n int) int {
			if len(r.Key) == 0 {
				return int(r.Partition)
			}
			return byKey.Partition(r, n)
		}
	})
}
