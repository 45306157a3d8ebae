package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
)

// longestName is what a customer's record may have as key, in bytes.
const longestName = 256

func newForgetCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "forget CUSTOMER",
		Short: "Erase a customer for good",
		Long: `Erase a customer, and every name that became theirs. Asked for such a name, the
customer it became is meant. They leave all segments, mails that are not out are
called back, and nothing but the names and the fact is kept.

It is for good: what still comes under these names is refused and counted. Who
returns of their own will does so under another name.

It ends when profiles shows it, half a minute after a customer station has read
it, and prints what still holds the customer, and until when. Stopped before,
what it asked for is done all the same.`,
		Example: `  segue forget ada
  segue forget ada --yes --brokers kafka-1:9092`,
		Args: usage(func(cmd *cobra.Command, args []string) error {
			if err := takes("CUSTOMER")(cmd, args); err != nil {
				return err
			}
			if name := args[0]; name == "" || len(name) > longestName || !utf8.ValidString(name) {
				return fmt.Errorf("%s: got %q, want a customer's name of at most %d bytes", cmd.CommandPath(), name, longestName)
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := load(cmd)
			if err != nil {
				return err
			}
			client, err := l.Kafka.client(cmd.Context(),
				kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
				kgo.FetchIsolationLevel(kgo.ReadCommitted()),
				kgo.ConsumeResetOffset(kgo.NoResetOffset()),
				kgo.KeepControlRecords()) // or the end of a transaction would never be reached
			if err != nil {
				return err
			}
			defer client.Close()
			out := cmd.OutOrStdout()
			if !yes {
				if err := confirm(cmd.InOrStdin(), out, fmt.Sprintf("Forget %q for good?", args[0])); err != nil {
					return err
				}
			}
			f := &forgetting{client: client, cluster: kadm.NewClient(client), prefix: l.Prefix, customer: args[0], request: rand.Text(),
				names: map[string]bool{args[0]: true}, forgotten: map[string]bool{}}
			if err := f.ask(cmd.Context()); err != nil {
				return fmt.Errorf("forget %q: %w", f.customer, err)
			}
			if err := f.await(cmd.Context(), newProgress(cmd.ErrOrStderr())); err != nil {
				return fmt.Errorf("forget %q: it is asked for, and done once a customer station reads it, but not seen to be done: %w", f.customer, err)
			}
			if err := f.report(cmd.Context(), out); err != nil {
				return fmt.Errorf("%q is forgotten, but what the log still holds is not known: %w", f.customer, err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// forgetting is one request on its way.
type forgetting struct {
	client            *kgo.Client
	cluster           *kadm.Client
	prefix            string
	customer, request string

	names     map[string]bool // whom it reached
	forgotten map[string]bool // whom profiles shows as forgotten, since it was asked for
	at        map[string]map[int32]int64
}

// ask appends the request, and begins to read what comes of it.
func (f *forgetting) ask(ctx context.Context) error {
	var err error
	if f.at, err = f.ends(ctx, f.topic(schemas.Events), f.topic(schemas.Profiles)); err != nil {
		return err
	}
	now := time.Now()
	value := schemas.Encode(&schemas.Event{Id: f.request, OccurredAt: schemas.Timestamp(now.UnixMilli()), Customer: f.customer, Source: "segue forget",
		Body: &schemas.Event_Forget{Forget: &schemas.Forget{}}})
	if err := f.client.ProduceSync(ctx, &kgo.Record{Topic: f.topic(schemas.Events), Key: []byte(f.customer), Value: value, Timestamp: now}).FirstErr(); err != nil {
		return fmt.Errorf("append to %s: %w", f.topic(schemas.Events), err)
	}
	from := map[string]map[int32]kgo.Offset{}
	for topic, partitions := range f.at {
		from[topic] = map[int32]kgo.Offset{}
		for p, at := range partitions {
			from[topic][p] = kgo.NewOffset().At(at)
		}
	}
	f.client.AddConsumePartitions(from)
	return nil
}

// await reads until profiles shows all whom the request reached. A profile is
// never committed before what its customer passed on, so once all are seen,
// whoever is left stands before the end that events has then.
func (f *forgetting) await(ctx context.Context, p *progress) error {
	defer p.end()
	asked := time.Now()
	var ends map[int32]int64
	for {
		if waiting := f.waiting(); len(waiting) > 0 {
			ends = nil
			p.show(func() string {
				return fmt.Sprintf("asked %s ago; profiles does not show yet: %s", time.Since(asked).Round(time.Second), strings.Join(waiting, ", "))
			})
		} else if ends == nil {
			all, err := f.ends(ctx, f.topic(schemas.Events))
			if err != nil {
				return err
			}
			ends = all[f.topic(schemas.Events)]
		}
		if ends != nil && f.passed(ends) {
			return nil
		}
		poll, cancel := context.WithTimeout(ctx, time.Second) // or the line would stand still
		fetches := f.client.PollFetches(poll)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, context.DeadlineExceeded) {
				return fmt.Errorf("read %s partition %d: %w", e.Topic, e.Partition, e.Err)
			}
		}
		for it := fetches.RecordIter(); !it.Done(); {
			if err := f.take(it.Next()); err != nil {
				return err
			}
		}
	}
}

// take notes whom the request reached, and who is shown as forgotten.
func (f *forgetting) take(r *kgo.Record) error {
	f.at[r.Topic][r.Partition] = r.Offset + 1
	switch {
	case r.Attrs.IsControl() || r.Value == nil:
	case r.Topic == f.topic(schemas.Events):
		var e schemas.Event
		if schemas.Decode(r.Value, &e) == nil && e.GetForget().GetRequest() == f.request {
			f.names[string(r.Key)] = true
		}
	default:
		var p schemas.CustomerProfile
		if err := schemas.Decode(r.Value, &p); err != nil {
			return fmt.Errorf("decode %s partition %d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		if p.GetForgottenAt() != nil {
			f.forgotten[string(r.Key)] = true
		}
	}
	return nil
}

// waiting are those whom profiles does not show as forgotten.
func (f *forgetting) waiting() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(f.names)) {
		if !f.forgotten[name] {
			names = append(names, name)
		}
	}
	return names
}

func (f *forgetting) passed(ends map[int32]int64) bool {
	for p, end := range ends {
		if f.at[f.topic(schemas.Events)][p] < end {
			return false
		}
	}
	return true
}

// ends are where topics end, with what is not committed yet.
func (f *forgetting) ends(ctx context.Context, topics ...string) (map[string]map[int32]int64, error) {
	listed, err := f.cluster.ListEndOffsets(ctx, topics...)
	if err = errors.Join(err, listed.Error()); err != nil {
		return nil, fmt.Errorf("ask where %s end: %w", strings.Join(topics, ", "), err)
	}
	ends := map[string]map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) {
		if ends[o.Topic] == nil {
			ends[o.Topic] = map[int32]int64{}
		}
		ends[o.Topic][o.Partition] = o.Offset
	})
	return ends, nil
}

// report says who is forgotten, and what cannot be erased by a record.
func (f *forgetting) report(ctx context.Context, out io.Writer) error {
	traces, err := f.traces(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "forgotten: %s\n\nWhat was written of them before is left, at the latest until:\n", strings.Join(slices.Sorted(maps.Keys(f.names)), ", "))
	var rows [][2]string
	for _, t := range traces {
		rows = append(rows, [2]string{t.topic, t.until()})
	}
	rows = append(rows, [2]string{f.topic(schemas.Profiles), "the broker compacts it: older records of a name go then"},
		[2]string{"customer.dir", "Pebble compacts the folders of the stations, which it does as they work"})
	_, err = fmt.Fprintf(out, `%s
Archives of these topics, backups, and whoever else reads them keep what they
have: they are not reached from here.
`, columns(rows))
	return err
}

// trace is a topic whose records nobody can take back.
type trace struct {
	topic  string
	newest time.Time // zero: it is empty
	// Records go with their segment, a span of the log that is dropped as a whole
	// once the newest in it is old enough.
	retention, segment time.Duration
}

// traces are the topics that keep records for a time.
func (f *forgetting) traces(ctx context.Context) (traces []trace, err error) {
	var topics []string
	for _, t := range schemas.Topics {
		if !t.Compact {
			topics = append(topics, f.topic(t.Name))
		}
	}
	newest, err := f.cluster.ListMaxTimestampOffsets(ctx, topics...)
	if err = errors.Join(err, newest.Error()); err != nil {
		return nil, fmt.Errorf("ask for the newest record of %s: %w", strings.Join(topics, ", "), err)
	}
	described, err := f.cluster.DescribeTopicConfigs(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", strings.Join(topics, ", "), err)
	}
	for _, topic := range topics {
		config, err := described.On(topic, nil)
		if err = errors.Join(err, config.Err); err != nil {
			return nil, fmt.Errorf("describe %s: %w", topic, err)
		}
		t := trace{topic: topic}
		if t.retention, err = lengthOf(config, "retention.ms"); err != nil {
			return nil, err
		}
		if t.segment, err = lengthOf(config, "segment.ms"); err != nil {
			return nil, err
		}
		for _, o := range newest[topic] {
			if at := time.UnixMilli(o.Timestamp); o.Timestamp >= 0 && at.After(t.newest) {
				t.newest = at
			}
		}
		traces = append(traces, t)
	}
	return traces, nil
}

func (t trace) until() string {
	switch {
	case t.newest.IsZero():
		return "now: it is empty"
	case t.retention == forEver:
		return "for ever: so says its retention.ms"
	}
	return fmt.Sprintf("%s: newest record of %s, retention.ms of %s and segment.ms of %s",
		shownAt(t.newest.Add(t.retention+t.segment)), shownAt(t.newest), inWords(t.retention), inWords(t.segment))
}

func shownAt(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// forEver is longer than any log is kept.
const forEver = 100 * 365 * 24 * time.Hour

// lengthOf reads a length of time, in milliseconds, from a topic's settings.
func lengthOf(of kadm.ResourceConfig, name string) (time.Duration, error) {
	for _, c := range of.Configs {
		if c.Key != name {
			continue
		}
		ms, err := strconv.ParseInt(c.MaybeValue(), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("setting %s of %s: got %q, want milliseconds", name, of.Name, c.MaybeValue())
		}
		if ms < 0 {
			return forEver, nil
		}
		return time.Duration(min(ms, forEver.Milliseconds())) * time.Millisecond, nil
	}
	return 0, fmt.Errorf("setting %s of %s: the broker does not tell it", name, of.Name)
}

func (f *forgetting) topic(name string) string { return f.prefix + name }
