package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/playbook"
)

func newPlaybookCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "playbook",
		Short: "Check a playbook, put it in force",
		Example: `  segue playbook check playbook.yaml
  segue playbook apply playbook.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	cmd.AddCommand(newPlaybookCheckCommand(), newPlaybookApplyCommand())
	return cmd
}

func newPlaybookCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Say everything that is wrong with a playbook",
		Long: `Say everything that is wrong with a playbook, the templates it names and the
mails that they make, each with its place, or what it holds and costs when
nothing is. Mails are those of a made-up customer; what clients and providers
only put up with is advice. Asks no broker.`,
		Example: "  segue playbook check deploy/playbook.yaml",
		Args:    takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			pb, err := readPlaybook(args[0])
			if err != nil {
				return err
			}
			wrong, advice := lintMails(args[0], pb)
			for _, a := range advice {
				fmt.Fprintln(cmd.ErrOrStderr(), a)
			}
			if err := errors.Join(wrong...); err != nil {
				return err
			}
			return describe(cmd.OutOrStdout(), pb)
		},
	}
}

func newPlaybookApplyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "apply FILE",
		Short: "Put a playbook in force",
		Long: `Put a playbook in force: its version goes to the topic playbooks, and a control
record to every partition of events, all in one transaction. From that record on
it decides; who no longer meets a segment's new condition leaves it.`,
		Example: "  segue playbook apply deploy/playbook.yaml --brokers kafka-1:9092",
		Args:    takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			pb, err := readPlaybook(args[0])
			if err != nil {
				return err
			}
			return apply(cmd, playbookVersion(pb))
		},
	}
}

// readPlaybook reads a playbook and the templates beside it.
func readPlaybook(path string) (*playbook.Playbook, error) {
	yaml, files, err := playbook.ReadFS(os.DirFS(filepath.Dir(path)), filepath.Base(path))
	if err != nil {
		return nil, fmt.Errorf("read playbook %s: %w", path, err)
	}
	return playbook.Parse(path, yaml, files)
}

// playbookOrShipped reads the playbook of a file, or without one that which comes
// with Segue.
func playbookOrShipped(path string) (*playbook.Playbook, error) {
	if path == "" {
		return shippedPlaybook()
	}
	return readPlaybook(path)
}

func describe(out io.Writer, pb *playbook.Playbook) error {
	var segments, journeys []string
	for _, s := range pb.Segments {
		segments = append(segments, s.Name)
	}
	for _, j := range pb.Journeys {
		journeys = append(journeys, fmt.Sprintf("%s (%d steps)", j.Name, len(j.Steps)))
	}
	_, err := fmt.Fprintf(out, `%s is right
  segments  %s
  journeys  %s
  messages  %d, files: %d
  costs     at most %d bytes per customer for the windows of its conditions
`, pb.Version, listed(segments), listed(journeys), len(pb.Messages), len(pb.Files), pb.BytesPerCustomer())
	return err
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// applyTimeout bounds a transaction over all partitions.
const applyTimeout = 30 * time.Second

// version is what can be put in force: a record of a topic of its own under its
// name, and what events say of it.
type version struct {
	name    string
	topic   string
	content proto.Message
	inForce *schemas.Event
}

// playbookVersion is a playbook as it is put in force.
func playbookVersion(pb *playbook.Playbook) version {
	return version{pb.Version, schemas.Playbooks, pb.Message(),
		&schemas.Event{Body: &schemas.Event_Playbook{Playbook: &schemas.PlaybookInForce{Version: pb.Version}}}}
}

// apply puts a version in force, and says so.
func apply(cmd *cobra.Command, v version) error {
	l, err := load(cmd)
	if err != nil {
		return err
	}
	opts, err := l.Kafka.options()
	if err != nil {
		return err
	}
	client, err := l.Kafka.client(cmd.Context()) // says so when there is no cluster
	if err != nil {
		return err
	}
	client.Close()
	partitions, err := putInForce(cmd.Context(), opts, l.Prefix, v, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is in force, partitions: %d\n", v.name, partitions)
	return err
}

// putInForce writes the version and, to every partition of events, that it
// is in force, in one transaction at the instant at: all partitions, or none.
func putInForce(ctx context.Context, kafka []kgo.Opt, prefix string, v version, at time.Time) (partitions int, err error) {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	client, err := kgo.NewClient(append(kafka[:len(kafka):len(kafka)],
		kgo.TransactionalID(prefix+v.topic+"-apply"),
		kgo.TransactionTimeout(10*time.Second),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	events := prefix + schemas.Events
	topics, err := kadm.NewClient(client).ListTopics(ctx, events)
	if err = errors.Join(err, topics.Error()); err != nil {
		return 0, fmt.Errorf("list partitions of %s: %w", events, err)
	}
	partitions = len(topics[events].Partitions)

	records := []*kgo.Record{{Topic: prefix + v.topic, Key: []byte(v.name), Value: schemas.Encode(v.content), Timestamp: at}}
	inForce := schemas.Encode(v.inForce)
	for p := range partitions {
		records = append(records, &kgo.Record{Topic: events, Partition: int32(p), Value: inForce, Timestamp: at})
	}
	if err := client.BeginTransaction(); err != nil {
		return 0, fmt.Errorf("put %s in force: %w", v.name, err)
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return 0, errors.Join(fmt.Errorf("put %s in force: %w", v.name, err), client.EndTransaction(context.WithoutCancel(ctx), kgo.TryAbort))
	}
	if err := stream.CommitTransaction(ctx, client, records...); err != nil {
		return 0, fmt.Errorf("put %s in force: %w", v.name, err)
	}
	return partitions, nil
}
