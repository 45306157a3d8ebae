package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

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

// playbookVersion is a playbook as it is put in force.
func playbookVersion(pb *playbook.Playbook) stream.NamedVersion {
	return stream.NamedVersion{Name: pb.Version, Topic: schemas.Playbooks, Content: pb.Message(),
		InForce: &schemas.Event{Body: &schemas.Event_Playbook{Playbook: &schemas.PlaybookInForce{Version: pb.Version}}}}
}

// apply puts a version in force, and says so.
func apply(cmd *cobra.Command, v stream.NamedVersion) error {
	l, kafka, err := reached(cmd)
	if err != nil {
		return err
	}
	partitions, err := stream.PutInForce(cmd.Context(), kafka, l.Prefix, v, time.Now())
	if err != nil {
		return err
	}
	return sayInForce(cmd.OutOrStdout(), v.Name, partitions)
}

func sayInForce(out io.Writer, version string, partitions int) error {
	_, err := fmt.Fprintf(out, "%s is in force, partitions: %d\n", version, partitions)
	return err
}

// reached is what a command is told of a cluster, which answers.
func reached(cmd *cobra.Command) (*loaded, []kgo.Opt, error) {
	l, err := load(cmd)
	if err != nil {
		return nil, nil, err
	}
	kafka, err := l.Kafka.options()
	if err != nil {
		return nil, nil, err
	}
	client, err := l.Kafka.client(cmd.Context()) // says so when there is no cluster
	if err != nil {
		return nil, nil, err
	}
	client.Close()
	return l, kafka, nil
}
