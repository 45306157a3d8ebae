package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

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
		Long: strings.Join(wrapped("Print records as they come, decoded and committed. Topics are named without the prefix: "+
			strings.Join(topicNames(), ", ")+".", helpWidth), "\n"),
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
	cmd.Flags().StringVar(&t.from, "from", "end", "`WHERE` to begin: start or end")
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

	var left unread
	if t.untilEnd && t.from == "start" {
		if left, err = unreadFrom(ctx, kadm.NewClient(client), topics); err != nil {
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
			if t.untilEnd && !left.take(r) {
				continue // written since
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

// print writes one record of topic, which is named without prefix.
func (t *tailing) print(out io.Writer, topic string, r *kgo.Record) error {
	value, err := decoded(topic, r.Value)
	if err != nil {
		value = quoted(fmt.Sprintf("%v: %q", err, r.Value))
	}
	s := shown{At: r.Timestamp.UTC(), Topic: topic, Key: string(r.Key), Value: value}
	if !t.json {
		return s.writeLine(out, fmt.Sprintf("%s/%d@%d", topic, r.Partition, r.Offset))
	}
	return writeJSON(out, struct {
		shown
		Partition int32 `json:"partition"`
		Offset    int64 `json:"offset"`
	}{s, r.Partition, r.Offset})
}
