package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"segue/cmd/segue/curve"
	"segue/cmd/segue/table"
	"segue/processors/model/feature"
)

func newEvaluateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "evaluate",
		Short: "Say how good each model is on your own data",
		Long: `Fit a model on the earlier part of a file of your own, let it predict the later
part, and say how good that was, beside a baseline that needs no model.

A file is CSV, with commas, semicolons or tabs, and names its columns; gzipped
or not, or Parquet; what it is shows in its content. Nothing is read from or
written to Kafka.`,
		Example: `  segue evaluate churn --orders orders.csv.gz \
    --calibrate-until 2026-03-31 --evaluate-until 2026-06-30
  segue evaluate propensity --table visits.csv.gz --target bought
  segue evaluate next-basket --baskets until_may.csv.gz --test june.csv.gz
  segue evaluate pairs --baskets order_lines.csv --json
  segue evaluate subject --tests tests.csv.gz
  segue evaluate uplift --table mails.csv.gz --treatment arm \
    --control none --treated mail --outcome visited
  segue evaluate next-product --sessions until_may.csv.gz --test june.csv.gz
  segue evaluate send-time --activity clicks.csv.gz --offset zone`,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	cmd.AddCommand(
		newEvaluateChurnCommand(),
		newEvaluatePropensityCommand(),
		newEvaluateNextBasketCommand(),
		newEvaluatePairsCommand(),
		newEvaluateSubjectCommand(),
		newEvaluateUpliftCommand(),
		newEvaluateNextProductCommand(),
		newEvaluateSendTimeCommand(),
	)
	return cmd
}

// testEvery are the numbers of --test-every.
func testEvery(command, text string) (every, first int, err error) {
	if n, err := fmt.Sscanf(text+"\n", "%d:%d\n", &every, &first); n != 2 || err != nil || every < 2 || first < 0 || first >= every {
		return 0, 0, usageError{fmt.Errorf("segue evaluate %s: --test-every: got %q, want two numbers such as 5:4, the first 2 or more, the second less than it", command, text)}
	}
	return every, first, nil
}

// isYes says whether a column says that it happened: by yes where that is given.
func isYes(row table.Row, column int, yes string) (bool, error) {
	text := strings.TrimSpace(row.Text(column))
	if yes != "" {
		if text == "" {
			return false, row.Wrong(column, fmt.Sprintf("%q or another value", yes))
		}
		return text == yes, nil
	}
	switch feature.Number(text) {
	case 1:
		return true, nil
	case 0:
		return false, nil
	}
	return false, row.Wrong(column, "true or false, yes or no, 1 or 0; or say with --positive which value counts")
}

// draw writes charts into a file.
func draw(path string, charts ...curve.Chart) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(curve.Write(file, charts...), file.Close())
}
