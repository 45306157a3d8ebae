package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"segue/processors/customer"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/profile"
)

const (
	// comparedAtOnce customers of a partition are compared, unless all are asked
	// for: their states are in memory twice.
	comparedAtOnce = 50_000
	// differencesShown of a partition are named.
	differencesShown = 20
)

func newStateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "state",
		Short: "Look after the folder that a customer station keeps",
		Example: `  segue state check
  segue state check --dir /var/lib/segue --all`,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	cmd.AddCommand(newStateCheckCommand())
	return cmd
}

func newStateCheckCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Compare the folder of a stopped station with the log",
		Long: `Read the whole folder of a stopped station, compare it with the log, and change
neither.

A profile is a function of the log. So customers are folded once more, in
memory, from the log's start or, when that is deleted, from profiles on; then
they must equal what the folder holds, to the byte. Of each partition 50,000
customers are compared, or with --all every one, which takes memory for each.

What differs is named, and the command fails. A folder that is wrong is best
deleted: the station then makes it anew from profiles.`,
		Example: `  segue state check
  segue state check --dir /var/lib/segue --all`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := load(cmd)
			if err != nil {
				return err
			}
			most := comparedAtOnce
			if all {
				most = 0
			}
			return checkState(cmd.Context(), l, most, cmd.OutOrStdout())
		},
	}
	settingFlag(cmd.Flags(), "dir", "customer.dir", "`DIR` that the station keeps")
	cmd.Flags().BoolVar(&all, "all", false, "compare every customer")
	return cmd
}

func checkState(ctx context.Context, l *loaded, most int, out io.Writer) error {
	client, err := l.Kafka.client(ctx) // says so when there is no cluster
	if err != nil {
		return err
	}
	client.Close()
	kafka, err := l.Kafka.options()
	if err != nil {
		return err
	}
	table, err := stream.NewTable(kafka, l.Prefix+schemas.Playbooks)
	if err != nil {
		return err
	}
	defer table.Close()
	sets, err := stream.NewTable(kafka, l.Prefix+schemas.Models)
	if err != nil {
		return err
	}
	defer sets.Close()
	config := stream.Config[profile.Profile, customer.Decision]{
		Task: customer.NewTask(customer.PublishedPlaybooks{Table: table}, customer.TaskOptions{Salt: l.Customer.Salt, Models: customer.PublishedModels{Table: sets}}), Name: "customer", Prefix: l.Prefix,
		Input: schemas.Events, Profiles: schemas.Profiles, DeadLetters: schemas.DeadLetters,
		FoldVersion: customer.FoldVersion, Dir: l.Customer.Dir, Memory: l.Customer.stationMemory(), Kafka: kafka,
	}
	partitions, wrong := 0, 0
	err = stream.Verify(ctx, config, most, func(v stream.Verified) error {
		partitions++
		if v.Problem != nil || len(v.Differ) > 0 {
			wrong++
		}
		return printVerified(out, v)
	})
	switch {
	case err != nil:
		return fmt.Errorf("check the state: %w", err)
	case partitions == 0:
		return fmt.Errorf("check the state: %s holds no partition", l.Customer.Dir)
	case wrong > 0:
		return fmt.Errorf("%s: %d of %s are not what the log says; a station that starts without the folder makes it anew",
			l.Customer.Dir, wrong, counted(partitions, "partition", "partitions"))
	}
	return nil
}

func printVerified(out io.Writer, v stream.Verified) error {
	line := fmt.Sprintf("partition %d, at offset %d", v.Partition, v.Stored.Next)
	if v.From != "" {
		line += fmt.Sprintf(", customers: %s, wake-ups: %s, not in profiles yet: %s; compared with %s: %s",
			thousands(v.Keys), thousands(v.Wakes), thousands(v.Dirty), v.From, thousands(v.Compared))
	}
	switch shown := v.Differ[:min(len(v.Differ), differencesShown)]; {
	case v.Problem != nil:
		line += ": " + strings.ReplaceAll(v.Problem.Error(), "\n", "\n  ")
	case len(shown) < len(v.Differ):
		line += fmt.Sprintf(", %s differ: %s and %s more", thousands(len(v.Differ)), onOneLine(strings.Join(shown, ", ")), thousands(len(v.Differ)-len(shown)))
	case len(shown) > 0:
		line += fmt.Sprintf(", %d differ: %s", len(shown), onOneLine(strings.Join(shown, ", ")))
	default:
		line += ", the same"
	}
	_, err := fmt.Fprintln(out, line)
	return err
}
