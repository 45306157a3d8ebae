package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"segue/cmd/segue/curve"
)

func newEvaluateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "evaluate",
		Short: "Say how good each model is on your own data",
		Long: `Fit a model on the earlier part of a file of your own, let it predict the later
part, and say how good that was, beside a baseline that needs no model.

A file is CSV or tab-separated with a line that names its columns, gzipped or
not, or Parquet; what it is shows in its content. Nothing is read from or
written to Kafka.`,
		Example: `  segue evaluate churn --orders orders.csv.gz \
    --calibrate-until 2026-03-31 --evaluate-until 2026-06-30
  segue evaluate propensity --table visits.csv.gz --target bought
  segue evaluate next-basket --baskets until_may.csv.gz --test june.csv.gz
  segue evaluate pairs --baskets order_lines.csv --json`,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	cmd.AddCommand(
		newEvaluateChurnCommand(),
		newEvaluatePropensityCommand(),
		newEvaluateNextBasketCommand(),
		newEvaluatePairsCommand(),
	)
	return cmd
}

// draw writes charts into a file.
func draw(path string, charts ...curve.Chart) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(curve.Write(file, charts...), file.Close())
}
