package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
)

// deadLetter is a record of dead-letters: one that a station could not take.
type deadLetter struct {
	Number int64     `json:"letter"` // its offset in dead-letters
	At     time.Time `json:"at"`     // when it was given up
	// Where it came from. Of a wake-up, which is no record, Offset is -1.
	Topic     string    `json:"topic"` // without prefix
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Recorded  time.Time `json:"recorded"` // the record's own time
	Customer  string    `json:"customer"`
	Reason    string    `json:"reason"`
	// PutBack is when it was put back where it came from.
	PutBack *time.Time `json:"putBack,omitempty"`

	record *kgo.Record
}

// putBackHeader marks a record of dead-letters as a note that the letter whose
// number it holds was put back.
const putBackHeader = "put-back"

func lettersTopic(prefix string) string { return prefix + schemas.DeadLetters }

func (l *deadLetter) isWakeUp() bool { return l.Offset < 0 }

// place is where the letter came from.
func (l *deadLetter) place() string {
	if l.isWakeUp() {
		return fmt.Sprintf("%s/%d wake-up", onOneLine(l.Topic), l.Partition)
	}
	return fmt.Sprintf("%s/%d@%d", onOneLine(l.Topic), l.Partition, l.Offset)
}

// newLetter reads what the stations write beside a record that they give up.
func newLetter(r *kgo.Record, prefix string) deadLetter {
	l := deadLetter{Number: r.Offset, At: r.Timestamp.UTC(), Customer: string(r.Key), Offset: -1, record: r}
	for _, h := range r.Headers {
		text := string(h.Value)
		switch h.Key {
		case "reason":
			l.Reason = strings.ReplaceAll(text, "\u00a0", " ") // Protobuf's errors have one at random
		case "topic":
			l.Topic = strings.TrimPrefix(text, prefix)
		case "customer":
			l.Customer = text
		case "partition":
			partition, _ := strconv.ParseInt(text, 10, 32)
			l.Partition = int32(partition)
		case "offset":
			l.Offset, _ = strconv.ParseInt(text, 10, 64)
		case "timestamp":
			ms, _ := strconv.ParseInt(text, 10, 64)
			l.Recorded = time.UnixMilli(ms).UTC()
		}
	}
	return l
}

// note returns the number of the letter that r says was put back.
func note(r *kgo.Record) (number int64, ok bool) {
	i := slices.IndexFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == putBackHeader })
	if i < 0 {
		return 0, false
	}
	number, err := strconv.ParseInt(string(r.Headers[i].Value), 10, 64)
	return number, err == nil
}

// readLetters reads all that dead-letters holds now, in its order, with a
// client made with fromStart.
func readLetters(ctx context.Context, client *kgo.Client, prefix string) ([]deadLetter, error) {
	topic := lettersTopic(prefix)
	cluster := kadm.NewClient(client)
	details, err := cluster.ListTopics(ctx, topic)
	if err = errors.Join(err, details.Error()); err != nil {
		return nil, fmt.Errorf("look for %s: %w", topic, err)
	}
	if n := len(details[topic].Partitions); n != 1 { // an offset would not name a letter
		return nil, fmt.Errorf("%s: got %d partitions, want 1; segue topics check says more", topic, n)
	}
	left, err := unreadFrom(ctx, cluster, []string{topic})
	if err != nil {
		return nil, err
	}
	var letters []deadLetter
	putBack := map[int64]time.Time{}
	err = readToEnd(ctx, client, left, func(r *kgo.Record) error {
		if number, ok := note(r); ok {
			putBack[number] = r.Timestamp.UTC()
			return nil
		}
		letters = append(letters, newLetter(r, prefix))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", topic, err)
	}
	for i := range letters {
		if at, ok := putBack[letters[i].Number]; ok {
			letters[i].PutBack = &at
		}
	}
	return letters, nil
}

// lettersNumbered picks letters by number. All must be there.
func lettersNumbered(letters []deadLetter, numbers []int64) (picked []deadLetter, err error) {
	for _, n := range numbers {
		i := slices.IndexFunc(letters, func(l deadLetter) bool { return l.Number == n })
		if i < 0 {
			return nil, fmt.Errorf("no dead letter %d: segue dead-letters list --put-back shows which there are", n)
		}
		picked = append(picked, letters[i])
	}
	return picked, nil
}
