package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/customer"
	"segue/processors/ranks"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/models"
)

func newModelsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "models",
		Short: "Check the parameters of all scores, put them in force, see which are",
		Example: `  segue models show > models.yaml
  segue models apply models.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	cmd.AddCommand(newModelsCheckCommand(), newModelsApplyCommand(), newModelsListCommand(), newModelsShowCommand())
	return cmd
}

func newModelsCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Say everything that is wrong with a set of models",
		Long: `Say everything that is wrong with a set of models, or what it holds. Asks no
broker.`,
		Example: "  segue models check models.yaml",
		Args:    takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := readModels(args[0])
			if err != nil {
				return err
			}
			return describeModels(cmd.OutOrStdout(), set)
		},
	}
}

func newModelsApplyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "apply FILE",
		Short: "Put a set of models in force",
		Long: `Put a set of models in force: its version goes to the topic models, and a
control record to every partition of events, all in one transaction. From that
record on it scores; who is now on another side of a threshold of the playbook
enters or leaves segments.

A set without value.ranks keeps the ranks that are in force, under an id that
ends in -ranked, as the station ranks gives its own: no VIP leaves because of
it.`,
		Example: "  segue models apply models.yaml --brokers kafka-1:9092",
		Args:    takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := readModels(args[0])
			if err != nil {
				return err
			}
			return applyModels(cmd, args[0], set)
		},
	}
}

func newModelsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [VERSION]",
		Short: "Print a set of models",
		Long: `Print a set of models as it was written: the one of a version that was put in
force, such as alder@0123456789ab, or without one that which comes with Segue
and scores until another does.`,
		Example: `  segue models show
  segue models show alder@0123456789ab --brokers kafka-1:9092`,
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			set := models.Default()
			if len(args) > 0 {
				l, kafka, err := reached(cmd)
				if err != nil {
					return err
				}
				if set, err = publishedModels(cmd.Context(), l, kafka, args[0]); err != nil {
					return err
				}
			}
			_, err := cmd.OutOrStdout().Write(set.YAML())
			return err
		},
	}
}

func publishedModels(ctx context.Context, l *loaded, kafka []kgo.Opt, version string) (*models.Set, error) {
	table, err := stream.NewTable(kafka, l.Prefix+schemas.Models)
	if err != nil {
		return nil, err
	}
	defer table.Close()
	return customer.PublishedModels{Table: table}.Models(ctx, version)
}

// applyModels puts the set of a file in force.
func applyModels(cmd *cobra.Command, path string, set *models.Set) error {
	l, kafka, err := reached(cmd)
	if err != nil {
		return err
	}
	turn, err := stream.TakeTurn(cmd.Context(), kafka, l.Prefix, schemas.Models)
	if err != nil {
		return fmt.Errorf("put %s in force: %w", set.Version, err)
	}
	defer turn.Close()
	before, err := modelsInForce(cmd.Context(), kafka, l.Prefix)
	if err != nil {
		return err
	}
	set, kept, err := set.KeepRanks(before)
	if err != nil {
		return err
	}
	partitions, err := turn.Put(cmd.Context(), modelsVersion(set), time.Now())
	if err != nil {
		return err
	}
	if kept {
		fmt.Fprintf(cmd.OutOrStdout(), "%s has no value.ranks: it keeps those of %s%s\n", path, before.Version, ranksOf(before))
	}
	return sayInForce(cmd.OutOrStdout(), set.Version, partitions)
}

// modelsInForce returns the set that is in force, for who has the turn: it stays so.
func modelsInForce(ctx context.Context, kafka []kgo.Opt, prefix string) (*models.Set, error) {
	table, err := stream.NewTable(kafka, prefix+schemas.Models)
	if err != nil {
		return nil, err
	}
	defer table.Close()
	if err := table.CatchUp(ctx); err != nil {
		return nil, err
	}
	set, _, err := ranks.InForce(table)
	return set, err
}

// ranksOf is ", of whom" where a set says whose its ranks are.
func ranksOf(s *models.Set) string {
	if s.Value.RanksOf == "" {
		return ""
	}
	return ", of " + onOneLine(s.Value.RanksOf)
}

func readModels(path string) (*models.Set, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read models: %w", err)
	}
	return models.Parse(path, text)
}

// modelsVersion is a set as it is put in force.
func modelsVersion(set *models.Set) stream.NamedVersion {
	return stream.NamedVersion{Name: set.Version, Topic: schemas.Models, Content: set.Message(), InForce: set.InForce()}
}

func describeModels(out io.Writer, s *models.Set) error {
	tiers, ranks := "none: price tiers are empty", "none: the rank is 0"
	if s.Price.Premium > 0 {
		tiers = fmt.Sprintf("low below %v, premium from %v", s.Price.Low, s.Price.Premium)
	}
	if n := len(s.Value.Ranks); n > 0 {
		ranks = fmt.Sprintf("%d, up to %v", n, s.Value.Ranks[n-1])
	}
	_, err := fmt.Fprintf(out, `%s is right
  about     %s
  churn     r %v, alpha %v days, s %v, beta %v days
  value     p %v, q %v, v %v, within %v days
  ranks     %s
  tiers     %s
  products  that follow others: %d
`, s.Version, strings.ReplaceAll(strings.TrimSpace(s.About), "\n", "\n            "), s.Churn.Purchases.R, s.Churn.Purchases.AlphaDays, s.Churn.Purchases.S, s.Churn.Purchases.BetaDays,
		s.Value.P, s.Value.Q, s.Value.V, s.Value.HorizonDays, ranks, tiers, len(s.Next))
	return err
}
