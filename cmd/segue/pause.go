package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/sender"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/playbook"
)

func newPauseCommand() *cobra.Command {
	var reason, by string
	cmd := &cobra.Command{
		Use:   "pause [JOURNEY]",
		Short: "Hold back the mails of a journey, or all",
		Long: `Hold back the mails of a journey, or of all journeys when none is named: every
sender stops before its next mail, also one that starts later. What the server
has in its hands is not stopped.

What waits is sent after segue resume, unless its time is over by then (give_up
in the playbook); it then ends as failed. What a customer undoes meanwhile is
called back as ever.`,
		Example: `  segue pause cart --reason wrong-prices
  segue pause --reason new-relay --by ann`,
		Args: atMost("JOURNEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usageError{fmt.Errorf("%s: got no --reason; want why, for whoever finds it paused", cmd.CommandPath())}
			}
			return withPauses(cmd, func(s *sending) error {
				journey := journeyOf(args)
				if err := s.knows(cmd.Context(), journey); err != nil {
					return err
				}
				if err := s.say(cmd.Context(), &schemas.Pause{Journey: journey, Reason: reason, By: by}); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s paused; to go on: segue resume%s\n", isOrAre(journey), argument(journey))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` for whoever finds it paused")
	cmd.Flags().StringVar(&by, "by", "", "`NAME` of who pauses; yours and this machine's by default")
	return cmd
}

func newResumeCommand() *cobra.Command {
	var reason, by string
	cmd := &cobra.Command{
		Use:   "resume [JOURNEY]",
		Short: "Let the mails of a journey, or all, go out again",
		Long: `End the pause of a journey, or, when none is named, the pause of all journeys.
The two are apart: a journey that was paused by name stays so. After a pause of
the circuit breaker its counts begin anew.`,
		Example: `  segue resume cart
  segue resume`,
		Args: atMost("JOURNEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withPauses(cmd, func(s *sending) error {
				journey := journeyOf(args)
				if p := s.last[journey]; p == nil || p.GetResumed() {
					return fmt.Errorf("%s not paused; segue status shows what is", isOrAre(journey))
				}
				if err := s.say(cmd.Context(), &schemas.Pause{Journey: journey, Resumed: true, Reason: reason, By: by}); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s resumed\n", isOrAre(journey))
				return s.show(cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` for whoever asks later")
	cmd.Flags().StringVar(&by, "by", "", "`NAME` of who resumes; yours and this machine's by default")
	return cmd
}

func newStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show whose mails wait, since when, and why",
		Example: "  segue status",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withPauses(cmd, func(s *sending) error { return s.show(cmd.OutOrStdout()) })
		},
	}
}

// atMost takes one argument of this name, or none.
func atMost(name string) cobra.PositionalArgs {
	return usage(func(cmd *cobra.Command, given []string) error {
		if len(given) > 1 {
			return fmt.Errorf("%s: got %q, want one %s at most", cmd.CommandPath(), strings.Join(given, " "), name)
		}
		return nil
	})
}

func journeyOf(args []string) string {
	if len(args) == 0 {
		return sender.EveryJourney
	}
	return args[0]
}

func argument(journey string) string {
	if journey == sender.EveryJourney {
		return ""
	}
	return " " + journey
}

func isOrAre(journey string) string {
	if journey == sender.EveryJourney {
		return "all journeys are"
	}
	return journey + " is"
}

// whoami is a name for people, as ann@ops-1.
func whoami() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// sending is what holds of the senders of a cluster.
type sending struct {
	client *kgo.Client
	prefix string
	kafka  []kgo.Opt
	last   map[string]*schemas.Pause // the last word on each journey
}

// withPauses reads what was said so far, and calls do.
func withPauses(cmd *cobra.Command, do func(*sending) error) error {
	l, err := load(cmd)
	if err != nil {
		return err
	}
	client, err := l.Kafka.client(cmd.Context())
	if err != nil {
		return err
	}
	defer client.Close()
	s := &sending{client: client, prefix: l.Prefix}
	if s.kafka, err = l.Kafka.options(); err != nil {
		return err
	}
	if err := s.read(cmd.Context(), schemas.Pauses, func(t *stream.Table) (err error) {
		s.last, err = sender.ReadPauses(t)
		return err
	}); err != nil {
		return err
	}
	return do(s)
}

// read reads a table to its end.
func (s *sending) read(ctx context.Context, topic string, see func(*stream.Table) error) error {
	table, err := stream.NewTable(s.kafka, s.prefix+topic)
	if err != nil {
		return err
	}
	defer table.Close()
	if err := table.CatchUp(ctx); err != nil {
		return err
	}
	return see(table)
}

// knows refuses a journey that no playbook has: whoever mistypes a name in a
// hurry would pause nothing.
func (s *sending) knows(ctx context.Context, journey string) error {
	if journey == sender.EveryJourney {
		return nil
	}
	known := map[string]bool{}
	if err := s.read(ctx, schemas.Playbooks, func(t *stream.Table) error {
		for _, version := range t.Keys() {
			value, _ := t.Get(version)
			var m schemas.PlaybookVersion
			if err := schemas.Decode(value, &m); err != nil {
				return fmt.Errorf("decode playbook %s: %w", version, err)
			}
			pb, err := playbook.FromMessage(&m)
			if err != nil {
				return fmt.Errorf("playbook %s: %w", version, err)
			}
			for _, j := range pb.Journeys {
				known[j.Name] = true
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if !known[journey] {
		names := slices.Sorted(maps.Keys(known))
		return fmt.Errorf("no playbook has a journey %q%s; there are: %s", journey, didYouMean(journey, names), listed(names))
	}
	return nil
}

// say is done when every sender will know before its next mail.
func (s *sending) say(ctx context.Context, p *schemas.Pause) error {
	if p.By == "" {
		p.By = whoami()
	}
	p.At = schemas.Timestamp(time.Now().UnixMilli())
	if err := s.client.ProduceSync(ctx, sender.PauseRecord(s.prefix+schemas.Pauses, p)).FirstErr(); err != nil {
		return fmt.Errorf("write to %s: %w", s.prefix+schemas.Pauses, err)
	}
	s.last[p.GetJourney()] = p
	return nil
}

// show prints the last word on each journey, those that are paused first.
func (s *sending) show(out io.Writer) error {
	var paused, resumed []string
	for _, journey := range slices.Sorted(maps.Keys(s.last)) {
		p := s.last[journey]
		line := fmt.Sprintf("since %s, by %s", shownAt(p.GetAt().AsTime()), p.GetBy())
		if p.GetReason() != "" {
			line += ": " + onOneLine(p.GetReason())
		}
		if p.GetResumed() {
			resumed = append(resumed, isOrAre(journey)+" resumed "+line)
		} else {
			paused = append(paused, isOrAre(journey)+" paused "+line)
		}
	}
	if len(paused) == 0 {
		paused = []string{"nothing is paused"}
	}
	for _, line := range append(paused, resumed...) {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
