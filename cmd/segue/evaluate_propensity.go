package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"segue/cmd/segue/curve"
	"segue/cmd/segue/table"
	"segue/processors/model/measure"
	"segue/processors/model/propensity"
)

type propensityEvaluation struct {
	table, plot string
	target, yes string
	drop        []string
	testEvery   string
	json        bool
}

func newEvaluatePropensityCommand() *cobra.Command {
	var p propensityEvaluation
	cmd := &cobra.Command{
		Use:   "propensity --table FILE --target COLUMN",
		Short: "Fit how likely something is, from all that a row says",
		Long: `Learn from a table how likely it is that the target is true, by a linear model
and by trees, choose the better of the two, and predict rows that were held
back, beside the share of all rows and the best column alone.

All other columns are taken: numbers, yes and no, and texts, which are
categories. A value may be missing. What a column knows only after the outcome
is to be dropped; where one alone explains almost all, the end says so.`,
		Example: `  segue evaluate propensity --table visits.csv.gz --target bought
  segue evaluate propensity --table visits.csv --target bought --drop revenue
  segue evaluate propensity --table - --target outcome --positive won --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.run(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&p.table, "table", "", "`FILE` of rows, - for standard input")
	flags.StringVar(&p.target, "target", "", "`COLUMN` that says whether it happened")
	flags.StringVar(&p.yes, "positive", "", "`VALUE` of the target that says it did (default: yes, true or 1)")
	flags.StringSliceVar(&p.drop, "drop", nil, "`COLUMNS` to leave out, separated by commas")
	flags.StringVar(&p.testEvery, "test-every", "5:4", "hold back rows whose number, from 0, divided by the first of `N:R` leaves the second")
	flags.BoolVar(&p.json, "json", false, "one JSON object")
	flags.StringVar(&p.plot, "plot", "", "draw calibration and gain into `FILE`, as SVG")
	return cmd
}

// propensityReport is the JSON of an evaluation.
type propensityReport struct {
	*propensity.Evaluation
	Verdict string `json:"verdict"`
}

func (p *propensityEvaluation) run(in io.Reader, out io.Writer) error {
	if p.table == "" || p.target == "" {
		return usageError{errors.New("segue evaluate propensity: want --table FILE, or - for standard input, and --target COLUMN")}
	}
	every, first, err := testEvery("propensity", p.testEvery)
	if err != nil {
		return err
	}
	names, rows, happened, err := p.read(in)
	if err != nil {
		return err
	}
	e, err := propensity.Evaluate(names, rows, happened, every, first)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", p.table, p.target, err)
	}
	if p.plot != "" {
		if err := p.draw(e); err != nil {
			return err
		}
	}
	if p.json {
		return writeJSON(out, propensityReport{e, e.Verdict()})
	}
	return p.print(out, e)
}

// read reads the columns but the target and those to drop, and the target.
func (p *propensityEvaluation) read(in io.Reader) (names []string, rows [][]string, happened []bool, err error) {
	file, err := table.Open(p.table, in)
	if err != nil {
		return nil, nil, nil, err
	}
	defer file.Close()
	dropped, err := file.Columns(append(p.drop, p.target)...)
	if err != nil {
		return nil, nil, nil, err
	}
	target := dropped[len(dropped)-1]
	kept, names := file.Besides(dropped)
	for row, err := range file.Rows() {
		if err != nil {
			return nil, nil, nil, err
		}
		did, err := isYes(row, target, p.yes)
		if err != nil {
			return nil, nil, nil, err
		}
		rows, happened = append(rows, row.Values(kept)), append(happened, did)
	}
	return names, rows, happened, nil
}

func (p *propensityEvaluation) print(out io.Writer, e *propensity.Evaluation) error {
	fmt.Fprintf(out, "Learnt from %d rows, tested on %d others; %s was true in %d of these (%.1f%%).\n\n",
		e.Rows-e.TestRows, e.TestRows, p.target, e.TestPositives, 100*float64(e.TestPositives)/float64(e.TestRows))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MODEL\tAUC\tAV. PRECISION\tLOG LOSS\tBRIER\tCALIBRATION ERROR")
	line := func(name string, f propensity.Figures) {
		fmt.Fprintf(w, "%s\t%.4f\t%.4f\t%.4f\t%.4f\t%.4f\n", name, f.AUC, f.AveragePrecision, f.LogLoss, f.Brier, f.CalibrationError)
	}
	line(p.named(e, "linear"), e.Models.Linear)
	line(p.named(e, "trees"), e.Models.Trees)
	line("base rate", e.Baselines.BaseRate)
	line(e.Baselines.BestColumn.Name+" alone", e.Baselines.BestColumn.Figures)
	if e.Without != nil {
		line("without "+e.Without.Name, e.Without.Figures)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var moved []string
	for _, m := range e.Inputs[:min(len(e.Inputs), 5)] {
		moved = append(moved, m.Name)
	}
	said := wrapped("Moved most by "+strings.Join(moved, ", ")+".", helpWidth)
	_, err := fmt.Fprintf(out, "\n%s\n%s\n", strings.Join(said, "\n"), strings.Join(wrapped(e.Verdict(), helpWidth), "\n"))
	return err
}

// named marks the model that was chosen.
func (p *propensityEvaluation) named(e *propensity.Evaluation, model string) string {
	if model == e.Model {
		return model + ", chosen"
	}
	return model
}

// draw draws how well the models say what comes, and whom they find.
func (p *propensityEvaluation) draw(e *propensity.Evaluation) error {
	calibration := func(name string, f propensity.Figures) curve.Line {
		return curve.Calibration(name, measure.Calibration(f.Probabilities, e.Happened, 10))
	}
	gain := func(name string, f propensity.Figures) curve.Line {
		return curve.Line{Name: name, Points: measure.Gain(f.Probabilities, e.Happened, 100)}
	}
	linear, trees := p.named(e, "linear"), p.named(e, "trees")
	return draw(p.plot,
		curve.Chart{
			Title: p.target + ": calibration",
			X:     "probability", Y: "share in which it happened", Alike: true,
			Lines: []curve.Line{calibration(linear, e.Models.Linear), calibration(trees, e.Models.Trees)},
		},
		curve.Chart{
			Title: "Gain: which rows are found",
			X:     "share of rows, the likeliest first", Y: "share of all in which it happened",
			Lines: []curve.Line{
				gain(linear, e.Models.Linear), gain(trees, e.Models.Trees),
				gain(e.Baselines.BestColumn.Name+" alone", e.Baselines.BestColumn.Figures),
			},
		},
	)
}
