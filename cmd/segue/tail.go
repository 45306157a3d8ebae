package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protojson"

	"segue/schemas"
)

type tailing struct {
	key      string
	from     string
	json     bool
	untilEnd bool
}

func newTailCommand() *cobra.Command {
	var t tailing
	cmd := &cobra.Command{
		Use:   "tail TOPIC...",
		Short: "Print records as they come, decoded",
		Long: `Print records as they come, decoded and committed. Topics are named without the
prefix: ` + strings.Join(topicNames(), ", ") + `.`,
		Example: `  segue tail deliveries segment-changes
  segue tail events --key ada --from start
  segue tail deliveries --from start --until-end --json | jq .value.send.to`,
		Args: usage(func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s: want at least one of %s", cmd.CommandPath(), strings.Join(topicNames(), ", "))
			}
			for _, name := range args {
				if _, ok := schemas.TopicNamed(name); !ok {
					return fmt.Errorf("%s: unknown topic %q%s", cmd.CommandPath(), name, didYouMean(name, topicNames()))
				}
			}
			if t.from != "start" && t.from != "end" {
				return fmt.Errorf("%s: --from: got %q, want start or end", cmd.CommandPath(), t.from)
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := load(cmd)
			if err != nil {
				return err
			}
			return t.run(cmd.Context(), l, args, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&t.key, "key", "", "only records with this `KEY`")
	cmd.Flags().StringVar(&t.from, "from", "end", "where to begin: start or end")
	cmd.Flags().BoolVar(&t.json, "json", false, `one JSON object per record: {"at","topic","key","value"} and its place`)
	cmd.Flags().BoolVar(&t.untilEnd, "until-end", false, "stop at what is the end now")
	return cmd
}

func topicNames() (names []string) {
	for _, t := range schemas.Topics {
		names = append(names, t.Name)
	}
	return names
}

func (t *tailing) run(ctx context.Context, l *loaded, names []string, out io.Writer) error {
	topics := make([]string, len(names))
	for i, name := range names {
		topics[i] = l.Prefix + name
	}
	start := kgo.NewOffset().AtStart()
	if t.from == "end" {
		start = kgo.NewOffset().AtEnd()
	}
	client, err := l.Kafka.client(ctx,
		kgo.ConsumeTopics(topics...),
		kgo.ConsumeStartOffset(start),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // or the end of a transaction would never be reached
	)
	if err != nil {
		return err
	}
	defer client.Close()

	var left map[string]map[int32]int64
	if t.untilEnd {
		if left, err = unread(ctx, kadm.NewClient(client), t.from, topics); err != nil {
			return err
		}
	}
	for !t.untilEnd || len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read %s: %w", strings.Join(topics, ", "), err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			end, bounded := left[r.Topic][r.Partition]
			if t.untilEnd && !bounded {
				continue // written since
			}
			if bounded && r.Offset+1 >= end {
				delete(left[r.Topic], r.Partition)
				if len(left[r.Topic]) == 0 {
					delete(left, r.Topic)
				}
			}
			if r.Attrs.IsControl() || t.key != "" && string(r.Key) != t.key {
				continue
			}
			if err := t.print(out, strings.TrimPrefix(r.Topic, l.Prefix), r); err != nil {
				return err
			}
		}
	}
	return nil
}

// unread returns the ends of the partitions that hold something to read.
func unread(ctx context.Context, cluster *kadm.Client, from string, topics []string) (map[string]map[int32]int64, error) {
	if from == "end" {
		return nil, nil
	}
	starts, err := cluster.ListStartOffsets(ctx, topics...)
	if err = errors.Join(err, starts.Error()); err != nil {
		return nil, fmt.Errorf("ask where %s start: %w", strings.Join(topics, ", "), err)
	}
	ends, err := cluster.ListCommittedOffsets(ctx, topics...)
	if err = errors.Join(err, ends.Error()); err != nil {
		return nil, fmt.Errorf("ask where %s end: %w", strings.Join(topics, ", "), err)
	}
	left := map[string]map[int32]int64{}
	ends.Each(func(end kadm.ListedOffset) {
		if begin, _ := starts.Lookup(end.Topic, end.Partition); begin.Offset < end.Offset {
			if left[end.Topic] == nil {
				left[end.Topic] = map[int32]int64{}
			}
			left[end.Topic][end.Partition] = end.Offset
		}
	})
	return left, nil
}

// print writes one record of topic, which is named without prefix.
func (t *tailing) print(out io.Writer, topic string, r *kgo.Record) error {
	value, err := decoded(topic, r.Value)
	if err != nil {
		value = quoted(fmt.Sprintf("%v: %q", err, r.Value))
	}
	at := r.Timestamp.UTC()
	if !t.json {
		_, err = fmt.Fprintf(out, "%s %s/%d@%d %s %s\n", at.Format(time.RFC3339), topic, r.Partition, r.Offset, keyOr(r.Key, "-"), value)
		return err
	}
	return json.NewEncoder(out).Encode(struct {
		At        time.Time       `json:"at"`
		Topic     string          `json:"topic"`
		Key       string          `json:"key"`
		Value     json.RawMessage `json:"value"`
		Partition int32           `json:"partition"`
		Offset    int64           `json:"offset"`
	}{at, topic, string(r.Key), value, r.Partition, r.Offset})
}

func keyOr(key []byte, none string) string {
	if len(key) == 0 {
		return none
	}
	return string(key)
}

// decoded returns a record's value as JSON: a message by its schema, what has
// none as text; null for a tombstone.
func decoded(topic string, value []byte) (json.RawMessage, error) {
	t, _ := schemas.TopicNamed(topic)
	switch {
	case value == nil:
		return json.RawMessage("null"), nil
	case t.New == nil:
		return quoted(string(value)), nil
	}
	m := t.New()
	if err := schemas.Decode(value, m); err != nil {
		return nil, fmt.Errorf("decode %s: %w", valueType(t), err)
	}
	text, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("print %s: %w", valueType(t), err)
	}
	return compact(text)
}

// compact drops the spaces that protojson puts in at random.
func compact(text []byte) (json.RawMessage, error) {
	var b strings.Builder
	var v json.RawMessage = slices.Clone(text)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return json.RawMessage(strings.TrimSpace(b.String())), err
}

func quoted(s string) json.RawMessage {
	text, _ := json.Marshal(s) // a string always marshals
	return text
}
