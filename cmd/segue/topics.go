package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"segue/schemas"
)

func newTopicsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "Make, compare and list Segue's topics",
		Example: `  segue topics create --partitions 16 --replication-factor 3
  segue topics check`,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	cmd.AddCommand(newTopicsCreateCommand(), newTopicsCheckCommand(), newTopicsListCommand())
	return cmd
}

func newTopicsCreateCommand() *cobra.Command {
	var expected expectation
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make the topics that are missing",
		Long: `Make the topics that are missing. What is there stays as it is and is compared:
a difference is printed and fails the command. When events is there already, the
others get as many partitions as it has.

How many partitions that is cannot be changed later. Say what to expect in a few
years, and the number is chosen, with its reasons; on a terminal you are asked.
Or say the number: --partitions, or topics.partitions.`,
		Example: `  segue topics create --customers 2000000 --events-per-second 500
  segue topics create --partitions 16 --replication-factor 3 --prefix staging-`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withCluster(func(ctx context.Context, out io.Writer, l *loaded, cluster *kadm.Client) error {
				if err := expected.choose(ctx, cmd, l, cluster); err != nil {
					return err
				}
				if err := createTopics(ctx, cluster, &l.Config, out); err != nil {
					return err
				}
				return checkTopics(ctx, cluster, l.Prefix)
			})(cmd, args)
		},
	}
	expected.flags(cmd.Flags())
	settingFlag(cmd.Flags(), "partitions", "topics.partitions", "`N` partitions of events and of all that is keyed by customer")
	settingFlag(cmd.Flags(), "replication-factor", "topics.replication_factor", "`N` copies; -1 is the cluster's default")
	return cmd
}

func newTopicsCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Compare the cluster's topics with what Segue needs",
		Example: `  segue topics check
  segue topics check --brokers kafka-1:9092 --prefix staging-`,
		Args: takes(),
		RunE: withCluster(func(ctx context.Context, out io.Writer, l *loaded, cluster *kadm.Client) error {
			if err := checkTopics(ctx, cluster, l.Prefix); err != nil {
				return err
			}
			_, err := fmt.Fprintf(out, "%d topics are as they should be\n", len(schemas.Topics))
			return err
		}),
	}
}

func newTopicsListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Print the table of topics; asks no broker",
		Example: "  segue topics list\n  segue topics list --json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := load(cmd)
			if err != nil {
				return err
			}
			if asJSON {
				return listTopicsJSON(cmd.OutOrStdout(), &l.Config)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "TOPIC\tKEY\tPARTITIONS\tCLEANUP\tKEPT\tTIME\tVALUE\tCARRIES")
			for _, t := range schemas.Topics {
				settings, kept := t.Config(false), "last of each key"
				if !t.Compact {
					kept = fmt.Sprintf("%d days", t.Retention/(24*time.Hour))
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", l.Prefix+t.Name, t.Key, partitionsOf(t, l.Topics.Partitions),
					settings["cleanup.policy"], kept, settings["message.timestamp.type"], valueType(t), t.Carries)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object per topic")
	return cmd
}

func listTopicsJSON(out io.Writer, c *Config) error {
	for _, t := range schemas.Topics {
		err := writeJSON(out, struct {
			Topic      string            `json:"topic"`
			Key        string            `json:"key"`
			Partitions int               `json:"partitions"`
			Config     map[string]string `json:"config"`
			Value      string            `json:"value"`
			Carries    string            `json:"carries"`
		}{c.Prefix + t.Name, t.Key, partitionsOf(t, c.Topics.Partitions), t.Config(false), valueType(t), t.Carries})
		if err != nil {
			return err
		}
	}
	return nil
}

func valueType(t schemas.Topic) string {
	if t.New == nil {
		return "bytes"
	}
	return string(t.New().ProtoReflect().Descriptor().FullName())
}

// settingsOf are the settings of t as a request carries them.
func settingsOf(t schemas.Topic, virtual bool) map[string]*string {
	settings := map[string]*string{}
	for k, v := range t.Config(virtual) {
		settings[k] = &v
	}
	return settings
}

func partitionsOf(t schemas.Topic, ofEvents int) int {
	if t.Partitioned {
		return ofEvents
	}
	return 1
}

// withCluster runs do with the configured cluster.
func withCluster(do func(context.Context, io.Writer, *loaded, *kadm.Client) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		l, err := load(cmd)
		if err != nil {
			return err
		}
		client, err := l.Kafka.client(cmd.Context())
		if err != nil {
			return err
		}
		defer client.Close()
		return do(cmd.Context(), cmd.OutOrStdout(), l, kadm.NewClient(client))
	}
}

// createTopics makes what is missing and prints a line per topic.
func createTopics(ctx context.Context, cluster *kadm.Client, c *Config, out io.Writer) error {
	there, err := listTopics(ctx, cluster, c.Prefix)
	if err != nil {
		return err
	}
	partitions := c.Topics.Partitions
	if events, ok := there[c.Prefix+schemas.Events]; ok {
		partitions = len(events.Partitions)
	}
	for _, t := range schemas.Topics {
		name := c.Prefix + t.Name
		if there.Has(name) {
			fmt.Fprintf(out, "%s is there\n", name)
			continue
		}
		n := partitionsOf(t, partitions)
		made, err := cluster.CreateTopic(ctx, int32(n), int16(c.Topics.ReplicationFactor), settingsOf(t, false), name)
		switch {
		case errors.Is(err, kerr.TopicAlreadyExists): // by somebody else, just now
			fmt.Fprintf(out, "%s is there\n", name)
		case err != nil && made.ErrMessage != "":
			return fmt.Errorf("create topic %s: %w: %s", name, err, made.ErrMessage)
		case err != nil:
			return fmt.Errorf("create topic %s: %w", name, err)
		default:
			fmt.Fprintf(out, "%s made, partitions: %d\n", name, n)
		}
	}
	return awaitTopics(ctx, cluster, c.Prefix)
}

// awaitTopics returns when a broker lists all topics: it learns of a new one a
// little after the controller has made it.
func awaitTopics(ctx context.Context, cluster *kadm.Client, prefix string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		there, err := listTopics(ctx, cluster, prefix)
		if err != nil || len(there) == len(schemas.Topics) {
			return err
		}
		select {
		case <-time.After(metadataAge):
		case <-ctx.Done():
			return fmt.Errorf("wait for new topics: %d of %d are listed: %w", len(there), len(schemas.Topics), ctx.Err())
		}
	}
}

// listTopics returns those of Segue's topics that are there.
func listTopics(ctx context.Context, cluster *kadm.Client, prefix string) (kadm.TopicDetails, error) {
	var names []string
	for _, t := range schemas.Topics {
		names = append(names, prefix+t.Name)
	}
	all, err := cluster.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	maps.DeleteFunc(all, func(_ string, t kadm.TopicDetail) bool {
		return errors.Is(t.Err, kerr.UnknownTopicOrPartition)
	})
	return all, all.Error()
}
