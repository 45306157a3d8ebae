package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"segue/processors/collector/segment"
	"segue/processors/customer"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/models"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

type replaying struct {
	events   string
	playbook string
	inForce  string
	models   string
	until    string
	json     bool
	salt     string
}

func newReplayCommand() *cobra.Command {
	var r replaying
	cmd := &cobra.Command{
		Use:   "replay --events FILE",
		Short: "Ask what a playbook would have done with a file of events",
		Long: `Fold a file of events through the very function that the customer station runs,
in virtual time, without Kafka, and print what would have come out, in order.

The file has one JSON object per line, in any order of time: what "segue tail
events --json" prints, a call in Segment's spec, or an event of Segue. An event
takes place at the log's time, or when it was received, or when it occurred.
What Segue itself wrote (ticks, outcomes, playbooks in force) is passed over, as
it comes anew: a mail is taken as sent the moment it is due. What the station
skips, since it ended the process, is skipped here as well.

With --models the same is folded twice, under the models in force and under
others, and what differs is printed: who would enter and leave segments, which
mails would go out, be called back, held or skipped. A line with - is only under
those in force, one with + only under the others; then what each comes to is
counted. Others without value.ranks keep those in force, as "segue models apply"
has it. Since one millisecond is not another, what moves is on two lines.`,
		Example: `  segue tail events --from start --until-end --json > week.jsonl
  segue replay --events week.jsonl --playbook new.yaml
  segue models show alder@0123456789ab > alder.yaml
  segue replay --events week.jsonl --in-force alder.yaml --models fitted.yaml
  segue replay --events - --until 2026-03-29T12:00:00Z --json < week.jsonl`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.events, "events", "", "`FILE` of events, - for standard input")
	flags.StringVar(&r.playbook, "playbook", "", "playbook `FILE` (default: the one that comes with Segue)")
	flags.StringVar(&r.inForce, "in-force", "", "models `FILE` that scores (default: those that come with Segue)")
	flags.StringVar(&r.models, "models", "", "models `FILE` to compare with those in force")
	flags.StringVar(&r.until, "until", "", "let the clock run on to `TIME`, as 2026-03-29T12:00:00Z")
	flags.StringVar(&r.salt, "salt", "", "`TEXT` that goes into draws, as customer.salt")
	flags.BoolVar(&r.json, "json", false, `one JSON object per output: {"at","topic","key","value"}`)
	return cmd
}

func (r *replaying) run(ctx context.Context, in io.Reader, out io.Writer) error {
	if r.events == "" {
		return usageError{errors.New("segue replay: want --events FILE, or - for standard input")}
	}
	var until time.Time
	if r.until != "" {
		var err error
		if until, err = time.Parse(time.RFC3339, r.until); err != nil {
			return usageError{fmt.Errorf("--until: got %q, want a time such as 2026-03-29T12:00:00Z", r.until)}
		}
	}
	pb, err := playbookOrShipped(r.playbook)
	if err != nil {
		return err
	}
	inForce := models.Default()
	if r.inForce != "" {
		if inForce, err = readModels(r.inForce); err != nil {
			return err
		}
	}
	var other *models.Set
	if r.models != "" {
		if other, err = readModels(r.models); err != nil {
			return err
		}
		if other, _, err = other.KeepRanks(inForce); err != nil {
			return err
		}
	}
	if r.events != "-" {
		file, err := os.Open(r.events)
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		defer file.Close()
		in = file
	}
	records, skips, err := readReplayed(in, false)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return errors.New("replay: got no events, want at least one line")
	}
	fold := func(set *models.Set, take func(int64, stream.Output) error) error {
		return newReplayEngine(pb, set, r.salt, take).replay(ctx, records, skips, until)
	}
	buffered := bufio.NewWriter(out)
	if other != nil {
		err = compareModels(buffered, fold, inForce, other, r.json)
	} else {
		err = fold(inForce, func(at int64, o stream.Output) error { return printOutput(buffered, at, o, r.json) })
	}
	return errors.Join(err, buffered.Flush())
}

func shownOutput(at int64, o stream.Output) (shown, error) {
	value, err := decoded(o.Topic, o.Value)
	return shown{At: time.UnixMilli(at).UTC(), Topic: o.Topic, Key: o.Key, Value: value}, err
}

func printOutput(out io.Writer, at int64, o stream.Output, asJSON bool) error {
	s, err := shownOutput(at, o)
	if err != nil {
		return err
	}
	if !asJSON {
		return s.writeLine(out, s.Topic)
	}
	return writeJSON(out, s)
}

// replayEngine is the loop that Kafka closes elsewhere: what the fold writes to
// events comes back as a record, and a mail is sent once it is due.
type replayEngine struct {
	fold *stream.Replay[profile.Profile, customer.Decision]
	pb   *playbook.Playbook
	set  *models.Set
	take func(at int64, o stream.Output) error
	// back are the records that the last step wrote to events.
	back []replayed
	err  error
}

// replayed is a record of events, and when it takes place.
type replayed struct {
	at    int64
	key   string
	value []byte
	// from is where it was tailed; nil: it was not.
	from *place
}

// place is where a record lies in events.
type place struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// onePlaybook is the source of a version that is there already.
type onePlaybook struct{ pb *playbook.Playbook }

func (o onePlaybook) Playbook(_ context.Context, version string) (*playbook.Playbook, error) {
	if version != o.pb.Version {
		return nil, fmt.Errorf("playbook: got %s, want %s, which alone is at hand", version, o.pb.Version)
	}
	return o.pb, nil
}

// oneSet is the same of models.
type oneSet struct{ set *models.Set }

func (o oneSet) Models(_ context.Context, version string) (*models.Set, error) {
	if version != o.set.Version {
		return nil, fmt.Errorf("models: got %s, want %s, which alone are at hand", version, o.set.Version)
	}
	return o.set, nil
}

func newReplayEngine(pb *playbook.Playbook, set *models.Set, salt string, take func(int64, stream.Output) error) *replayEngine {
	e := &replayEngine{pb: pb, set: set, take: take}
	e.fold = stream.NewReplay(customer.NewTask(onePlaybook{pb}, customer.TaskOptions{Salt: salt, Models: oneSet{set}}), e.emit)
	return e
}

func (e *replayEngine) emit(at int64, _ stream.Input, o stream.Output) {
	if e.err == nil {
		e.err = e.take(at, o)
	}
	switch o.Topic {
	case schemas.Events:
		e.back = append(e.back, replayed{at: at, key: o.Key, value: o.Value})
	case schemas.Deliveries:
		var command schemas.DeliveryCommand
		if err := schemas.Decode(o.Value, &command); err != nil {
			e.err = errors.Join(e.err, err)
			return
		}
		if d := command.GetSend(); d != nil {
			e.back = append(e.back, replayed{at: at, key: o.Key, value: schemas.Encode(sent(d))})
		}
	}
}

// sent is what the sender would have written.
func sent(d *schemas.Delivery) *schemas.Event {
	return &schemas.Event{Id: d.GetId() + "/sent", Customer: d.GetCustomer(), Source: "replay", OccurredAt: d.GetDueAt(),
		Body: &schemas.Event_Outcome{Outcome: &schemas.Outcome{Kind: schemas.Outcome_SENT, DeliveryId: d.GetId(), Journey: d.GetJourney(),
			Step: d.GetStep(), Instance: d.GetInstance(), Playbook: d.GetPlaybook(), Message: d.GetMessage()}}}
}

func (e *replayEngine) replay(ctx context.Context, records, skips []replayed, until time.Time) error {
	for _, v := range []stream.NamedVersion{modelsVersion(e.set), playbookVersion(e.pb)} {
		if err := e.fold.Record(ctx, records[0].at-1, "", schemas.Encode(v.InForce)); err != nil {
			return err
		}
	}
	for _, r := range skips {
		if err := e.fold.Record(ctx, records[0].at-1, "", r.value); err != nil {
			return err
		}
	}
	for _, r := range records {
		if err := e.runTo(ctx, r.at-1); err != nil {
			return err
		}
		if err := e.fold.Record(ctx, r.at, r.key, r.value); err != nil {
			return fmt.Errorf("fold an event of %q: %w", r.key, err)
		}
		if err := e.feedBack(ctx); err != nil {
			return err
		}
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

// readReplayed returns the records of in by their time, but those that the
// station skips; and which wake-ups it does. outcomes says that what became of mails
// is wanted.
func readReplayed(in io.Reader, outcomes bool) (records, skips []replayed, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 4<<20)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		more, err := replayedOf(line, outcomes)
		if err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", n, err)
		}
		records = append(records, more...)
	}
	if err := lines.Err(); err != nil {
		return nil, nil, fmt.Errorf("read events: %w", err)
	}
	skipped := map[place]bool{}
	records = slices.DeleteFunc(records, func(r replayed) bool {
		var event schemas.Event
		if r.key != "" || r.from == nil || schemas.Decode(r.value, &event) != nil {
			return false
		}
		if skip := event.GetSkip(); skip.GetOffset() >= 0 {
			skipped[place{r.from.Partition, skip.GetOffset()}] = true
		} else {
			skips = append(skips, r)
		}
		return true
	})
	records = slices.DeleteFunc(records, func(r replayed) bool { return r.from != nil && skipped[*r.from] })
	slices.SortStableFunc(records, func(a, b replayed) int { return cmp.Compare(a.at, b.at) })
	return records, skips, nil
}

// replayedOf reads a line: a record that was tailed, a call of Segment's spec,
// or an event of Segue.
func replayedOf(line []byte, outcomes bool) ([]replayed, error) {
	var outer map[string]json.RawMessage
	if err := json.Unmarshal(line, &outer); err != nil {
		return nil, fmt.Errorf("got %.40q, want a JSON object: %w", line, err)
	}
	var events []*schemas.Event
	var at int64
	var from *place
	var err error
	switch {
	case outer["type"] != nil || outer["batch"] != nil:
		events, err = segment.Events(line)
	case outer["topic"] != nil && outer["value"] != nil:
		var s shown
		if err = json.Unmarshal(line, &s); err == nil && s.Topic != schemas.Events {
			err = fmt.Errorf("got a record of %s, want one of %s", s.Topic, schemas.Events)
		}
		if outer["partition"] != nil {
			from = new(place)
			err = errors.Join(err, json.Unmarshal(line, from))
		}
		at, line = s.At.UnixMilli(), s.Value
		fallthrough
	default:
		event := new(schemas.Event)
		err = errors.Join(err, schemas.Decode(line, event))
		events = append(events, event)
	}
	if err != nil {
		return nil, err
	}
	var records []replayed
	for _, event := range events {
		if event.GetSkip() != nil && from != nil {
			records = append(records, replayed{value: schemas.Encode(event), from: from})
			continue
		}
		if event.IsControl() || event.GetOutcome() != nil && !outcomes || event.GetMerge() != nil {
			continue
		}
		r := replayed{
			at:    cmp.Or(at, schemas.Millis(event.GetReceivedAt()), schemas.Millis(event.GetOccurredAt())),
			key:   event.GetCustomer(),
			value: schemas.Encode(event),
			from:  from,
		}
		if r.at <= 0 {
			return nil, errors.New("got no time, want timestamp, or occurredAt")
		}
		if r.key == "" {
			return nil, errors.New("got no customer, want one")
		}
		records = append(records, r)
	}
	return records, nil
}
