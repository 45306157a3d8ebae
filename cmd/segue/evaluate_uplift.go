package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"segue/cmd/segue/curve"
	"segue/cmd/segue/table"
	"segue/processors/model/measure"
	"segue/processors/model/uplift"
)

type upliftEvaluation struct {
	table, plot                 string
	treatment, control, treated string
	outcome, yes                string
	drop                        []string
	testEvery                   string
	json                        bool
}

func newEvaluateUpliftCommand() *cobra.Command {
	var u upliftEvaluation
	cmd := &cobra.Command{
		Use:   "uplift --table FILE --treatment COLUMN --outcome COLUMN",
		Short: "Say what a treatment did, and for whom",
		Long: `Say from an experiment, in which chance dealt who was treated, what that did on
average, learn for whom it does how much, and look in rows that were held back
whether it did more in those for whom it was said to.

Rows with another value of the treatment are left out. All other columns are
taken: numbers, yes and no, and texts, which are categories. A value may be
missing. What is known only after the treatment, such as what was spent, is no
input; a column that gives itself away as such is left out, and named.`,
		Example: `  segue evaluate uplift --table mails.csv.gz --treatment arm \
    --control none --treated mail --outcome visited
  segue evaluate uplift --table mails.parquet --treatment arm --drop spent \
    --control none --treated mail --outcome bought --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return u.run(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&u.table, "table", "", "`FILE` of rows, - for standard input")
	flags.StringVar(&u.treatment, "treatment", "", "`COLUMN` that says what a row got")
	flags.StringVar(&u.control, "control", "", "`VALUE` of the treatment of those who got nothing")
	flags.StringVar(&u.treated, "treated", "", "`VALUE` of the treatment of those who got it")
	flags.StringVar(&u.outcome, "outcome", "", "`COLUMN` that says whether it happened")
	flags.StringVar(&u.yes, "positive", "", "`VALUE` of the outcome that says it did (default: yes, true or 1)")
	flags.StringSliceVar(&u.drop, "drop", nil, "`COLUMNS` to leave out, separated by commas")
	flags.StringVar(&u.testEvery, "test-every", "2:1", "hold back rows whose number, from 0, divided by the first of `N:R` leaves the second")
	flags.BoolVar(&u.json, "json", false, "one JSON object")
	flags.StringVar(&u.plot, "plot", "", "draw the Qini curve and calibration into `FILE`, as SVG")
	return cmd
}

// upliftReport is the JSON of an evaluation.
type upliftReport struct {
	*uplift.Evaluation
	// Others are rows of no arm.
	Others  int    `json:"rows_of_other_treatments"`
	Verdict string `json:"verdict"`
}

func (u *upliftEvaluation) run(in io.Reader, out io.Writer) error {
	if u.table == "" || u.treatment == "" || u.control == "" || u.treated == "" || u.outcome == "" {
		return usageError{errors.New("segue evaluate uplift: want --table FILE, or - for standard input, --treatment COLUMN, --control VALUE, --treated VALUE and --outcome COLUMN")}
	}
	if u.control == u.treated {
		return usageError{fmt.Errorf("segue evaluate uplift: got %q for --control and --treated, want two values", u.control)}
	}
	every, first, err := testEvery("uplift", u.testEvery)
	if err != nil {
		return err
	}
	x, held, others, err := u.read(in, every, first)
	if err != nil {
		return err
	}
	e, err := uplift.Evaluate(x, held)
	if err != nil {
		return fmt.Errorf("%s: %s by %s: %w", u.table, u.outcome, u.treatment, err)
	}
	if u.plot != "" {
		if err := u.draw(e); err != nil {
			return err
		}
	}
	if u.json {
		return writeJSON(out, upliftReport{e, others, e.Verdict()})
	}
	return u.print(out, e)
}

// read reads the rows of both arms, which of them are held back, and how many rows
// there are of others.
func (u *upliftEvaluation) read(in io.Reader, every, first int) (x uplift.Experiment, held []bool, others int, err error) {
	file, err := table.Open(u.table, in)
	if err != nil {
		return x, nil, 0, err
	}
	defer file.Close()
	dropped, err := file.Columns(append(u.drop, u.treatment, u.outcome)...)
	if err != nil {
		return x, nil, 0, err
	}
	treatment, outcome := dropped[len(dropped)-2], dropped[len(dropped)-1]
	kept, names := file.Besides(dropped)
	x.Names = names
	number := 0
	for row, err := range file.Rows() {
		if err != nil {
			return x, nil, 0, err
		}
		number++
		arm := strings.TrimSpace(row.Text(treatment))
		switch arm {
		case "":
			return x, nil, 0, row.Wrong(treatment, "a treatment")
		case u.control, u.treated:
		default:
			others++
			continue
		}
		did, err := isYes(row, outcome, u.yes)
		if err != nil {
			return x, nil, 0, err
		}
		x.Rows, x.Treated, x.Happened = append(x.Rows, row.Values(kept)), append(x.Treated, arm == u.treated), append(x.Happened, did)
		held = append(held, (number-1)%every == first)
	}
	return x, held, others, nil
}

func (u *upliftEvaluation) print(out io.Writer, e *uplift.Evaluation) error {
	fmt.Fprintf(out, "%d rows, of which %d were %s and %d %s; tested on %d.\n", e.Rows,
		e.TreatedRows, u.treated, e.Rows-e.TreatedRows, u.control, e.TestRows)
	fmt.Fprintf(out, "%s: %+.6f on average, standard error %.6f; between %+.4f and %+.4f\nwhenever looked at.\n\n", u.outcome,
		float64(e.Average), float64(e.Error), float64(e.AlwaysValid[0]), float64(e.AlwaysValid[1]))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CHOSEN BY\tUPLIFT@30%\t±\tQINI\tCALIBRATION ERROR")
	line := func(name string, f uplift.Figures) {
		if name == e.Model {
			name += ", chosen"
		}
		fmt.Fprintf(w, "%s\t%+.4f\t%.4f\t%+.4f\t%.4f\n", name, float64(f.UpliftAt30), 1.96*float64(f.UpliftAt30Error), float64(f.Qini), float64(f.CalibrationError))
	}
	line("linear", e.Models.Linear)
	line("trees", e.Models.Trees)
	fmt.Fprintf(w, "chance\t%+.4f\t\t%+.4f\n", float64(e.TestAverage), 0.0)
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s\n", strings.Join(wrapped(e.Verdict(), helpWidth), "\n"))
	return err
}

// draw draws the Qini curve, as shares of the rows and of all that the treatment
// did in them, so that chance is the diagonal, and calibration.
func (u *upliftEvaluation) draw(e *uplift.Evaluation) error {
	qini := curve.Chart{
		Title: u.outcome + ": what treating a part would do",
		X:     "share of rows, the highest uplift first", Y: "share of what treating all does",
	}
	calibration := curve.Chart{Title: "Calibration of uplift", X: "uplift, as predicted", Y: "as it came", Alike: true}
	for _, model := range [...]struct {
		name string
		uplift.Figures
	}{{"linear", e.Models.Linear}, {"trees", e.Models.Trees}} {
		if model.name == e.Model {
			model.name += ", chosen"
		}
		of := curve.Line{Name: model.name}
		points := uplift.Curve(model.Uplifts, e.Test.Treated, e.Test.Happened)
		whole := math.Abs(points[len(points)-1].Y)
		if whole == 0 {
			whole = 1
		}
		for i, p := range points {
			if i%max(len(points)/200, 1) == 0 || i == len(points)-1 {
				of.Points = append(of.Points, measure.Point{X: p.X / float64(e.TestRows), Y: p.Y / whole})
			}
		}
		qini.Lines = append(qini.Lines, of)
		dots := curve.Line{Name: model.name, Dots: true}
		for _, b := range uplift.Calibration(model.Uplifts, e.Test.Treated, e.Test.Happened, uplift.Bins) {
			if !math.IsNaN(b.Observed) {
				dots.Points = append(dots.Points, measure.Point{X: b.Predicted, Y: b.Observed})
			}
		}
		calibration.Lines = append(calibration.Lines, dots)
	}
	return draw(u.plot, qini, calibration)
}
