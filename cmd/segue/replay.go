package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"segue/deploy"
	"segue/processors/collector/segment"
	"segue/processors/customer"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

type replaying struct {
	events   string
	playbook string
	until    string
	json     bool
	salt     string
}

func newReplayCommand() *cobra.Command {
	var r replaying
	cmd := &cobra.Command{
		Use:   "replay --events FILE",
		Short: "Fold a file of events under a playbook, in virtual time, and print what comes out",
		Long: `Fold a file of events through the very function that the customer station runs,
in virtual time, without Kafka, and print what would have come out, in order.

The file has one JSON object per line: a call in Segment's spec, or an event of
Segue (the JSON that "segue tail events --json" shows as value). An event takes
place when it was received, or else when it occurred. A mail is taken as sent
the moment it is due.`,
		Example: `  segue replay --events week.jsonl --playbook playbook.yaml
  segue replay --events - --until 2026-03-29T12:00:00Z --json < week.jsonl | jq .value`,
		Args: usage(func(_ *cobra.Command, args []string) error {
			if r.events == "" {
				return errors.New("segue replay: want --events FILE, or - for standard input")
			}
			return errors.Join(cobra.NoArgs(nil, args))
		}),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.events, "events", "", "`FILE` of events, - for standard input")
	flags.StringVar(&r.playbook, "playbook", "", "playbook `FILE` (default: the one that comes with Segue)")
	flags.StringVar(&r.until, "until", "", "let the clock run on to this `TIME` after the last event, as 2026-03-29T12:00:00Z")
	flags.StringVar(&r.salt, "salt", "", "`TEXT` that goes into draws, as customer.salt")
	flags.BoolVar(&r.json, "json", false, `one JSON object per output: {"at","topic","key","value"}`)
	return cmd
}

func (r *replaying) run(ctx context.Context, in io.Reader, out io.Writer) error {
	var until time.Time
	if r.until != "" {
		var err error
		if until, err = time.Parse(time.RFC3339, r.until); err != nil {
			return usageError{fmt.Errorf("--until: got %q, want a time such as 2026-03-29T12:00:00Z", r.until)}
		}
	}
	pb, err := r.readPlaybook()
	if err != nil {
		return err
	}
	if r.events != "-" {
		file, err := os.Open(r.events)
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		defer file.Close()
		in = file
	}
	buffered := bufio.NewWriter(out)
	e := newReplayEngine(pb, r.salt, func(at int64, o stream.Output) error {
		return printOutput(buffered, at, o, r.json)
	})
	return errors.Join(e.replay(ctx, in, until), buffered.Flush())
}

func (r *replaying) readPlaybook() (*playbook.Playbook, error) {
	if r.playbook != "" {
		return readPlaybook(r.playbook)
	}
	yaml, files, err := playbook.ReadFS(deploy.Files, deploy.Playbook)
	if err != nil {
		return nil, err
	}
	return playbook.Parse(deploy.Playbook, yaml, files)
}

func printOutput(out io.Writer, at int64, o stream.Output, asJSON bool) error {
	value, err := decoded(o.Topic, o.Value)
	if err != nil {
		return err
	}
	when := time.UnixMilli(at).UTC()
	if !asJSON {
		_, err = fmt.Fprintf(out, "%s %s %s %s\n", when.Format(time.RFC3339), o.Topic, o.Key, value)
		return err
	}
	return json.NewEncoder(out).Encode(struct {
		At    time.Time       `json:"at"`
		Topic string          `json:"topic"`
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	}{when, o.Topic, o.Key, value})
}

// replayEngine is the loop that Kafka closes elsewhere: what the fold writes to
// events comes back as a record, and a mail is sent once it is due.
type replayEngine struct {
	fold  *stream.Replay[profile.Profile, customer.Decision]
	pb    *playbook.Playbook
	print func(at int64, o stream.Output) error
	// back are the records that the last step wrote to events.
	back []backRecord
	err  error
}

type backRecord struct {
	at    int64
	key   string
	value []byte
}

// onePlaybook is the source of a version that is there already.
type onePlaybook struct{ pb *playbook.Playbook }

func (o onePlaybook) Playbook(_ context.Context, version string) (*playbook.Playbook, error) {
	if version != o.pb.Version {
		return nil, fmt.Errorf("playbook %s: the events put it in force, but only %s is at hand; leave such control records out", version, o.pb.Version)
	}
	return o.pb, nil
}

func newReplayEngine(pb *playbook.Playbook, salt string, print func(int64, stream.Output) error) *replayEngine {
	e := &replayEngine{pb: pb, print: print}
	e.fold = stream.NewReplay(customer.NewTask(onePlaybook{pb}, customer.TaskOptions{Salt: salt}), e.emit)
	return e
}

func (e *replayEngine) emit(at int64, _ stream.Input, o stream.Output) {
	if e.err == nil {
		e.err = e.print(at, o)
	}
	switch o.Topic {
	case schemas.Events:
		e.back = append(e.back, backRecord{at, o.Key, o.Value})
	case schemas.Deliveries:
		var command schemas.DeliveryCommand
		if err := schemas.Decode(o.Value, &command); err != nil {
			e.err = errors.Join(e.err, err)
			return
		}
		if d := command.GetSend(); d != nil {
			e.back = append(e.back, backRecord{at, o.Key, schemas.Encode(sent(d))})
		}
	}
}

// sent is what the sender would have written.
func sent(d *schemas.Delivery) *schemas.Event {
	return &schemas.Event{Id: d.GetId() + "/sent", Customer: d.GetCustomer(), Source: "replay", OccurredAt: d.GetDueAt(),
		Body: &schemas.Event_Outcome{Outcome: &schemas.Outcome{Kind: schemas.Outcome_SENT, DeliveryId: d.GetId(), Journey: d.GetJourney(),
			Step: d.GetStep(), Instance: d.GetInstance(), Playbook: d.GetPlaybook(), Message: d.GetMessage()}}}
}

func (e *replayEngine) replay(ctx context.Context, in io.Reader, until time.Time) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 4<<20)
	started := false
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		events, err := readEvents(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		for _, event := range events {
			at := max(schemas.Millis(event.GetReceivedAt()), 0)
			if at == 0 {
				at = schemas.Millis(event.GetOccurredAt())
			}
			if at == 0 {
				return fmt.Errorf("line %d: got no time, want timestamp, or occurredAt", n)
			}
			if !started {
				started = true
				err := e.fold.Record(ctx, at-1, "", schemas.Encode(&schemas.Event{Body: &schemas.Event_Playbook{Playbook: &schemas.PlaybookInForce{Version: e.pb.Version}}}))
				if err != nil {
					return err
				}
			}
			if err := e.runTo(ctx, at-1); err != nil {
				return err
			}
			key := event.GetCustomer()
			if event.IsControl() {
				key = ""
			} else if key == "" {
				return fmt.Errorf("line %d: got no customer, want one", n)
			}
			if err := e.fold.Record(ctx, at, key, schemas.Encode(event)); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			if err := e.feedBack(ctx); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	if !started {
		return errors.New("replay: got no events, want at least one line")
	}
	if until.IsZero() {
		return nil
	}
	return e.runTo(ctx, until.UnixMilli())
}

// runTo lets the clock run up to and including at, wake-up by wake-up.
func (e *replayEngine) runTo(ctx context.Context, at int64) error {
	for {
		due, ok := e.fold.Next()
		if !ok || due > at {
			return e.fold.Until(ctx, at)
		}
		if err := e.fold.Until(ctx, due); err != nil {
			return err
		}
		if err := e.feedBack(ctx); err != nil {
			return err
		}
	}
}

// feedBack folds what the fold itself wrote to events, until nothing is left.
// It comes back a moment later, never at the instant itself: there a record
// goes before a wake-up.
func (e *replayEngine) feedBack(ctx context.Context) error {
	for len(e.back) > 0 && e.err == nil {
		r := e.back[0]
		e.back = e.back[1:]
		if err := e.fold.Record(ctx, r.at+1, r.key, r.value); err != nil {
			return err
		}
	}
	return e.err
}

// readEvents reads a call of Segment's spec, or an event of Segue.
func readEvents(line []byte) ([]*schemas.Event, error) {
	var kind struct {
		Type  *string         `json:"type"`
		Batch json.RawMessage `json:"batch"`
	}
	if err := json.Unmarshal(line, &kind); err != nil {
		return nil, fmt.Errorf("got %.40q, want a JSON object: %w", line, err)
	}
	if kind.Type != nil || kind.Batch != nil {
		return segment.Events(line)
	}
	event := new(schemas.Event)
	if err := schemas.Decode(line, event); err != nil {
		return nil, err
	}
	return []*schemas.Event{event}, nil
}
