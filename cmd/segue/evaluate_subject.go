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
	"segue/processors/model/bandit"
	"segue/processors/model/measure"
	"segue/processors/model/subject"
)

type subjectEvaluation struct {
	tests, plot                        string
	test, variant, impressions, clicks string
	json                               bool
}

func newEvaluateSubjectCommand() *cobra.Command {
	var s subjectEvaluation
	cmd := &cobra.Command{
		Use:   "subject --tests FILE",
		Short: "Say what choosing among subject lines would have brought",
		Long: `Play tests of subject lines again, in which each line is chosen as often as it
is likely to be the best by what is known so far, and count the clicks, beside
showing each line as often, testing first and rolling out then, and the best
line, which nobody knows beforehand. What new lines are expected to bring is
learnt from other tests.

Each row is one line of a test, how often it was shown and how often that was
clicked. Where impressions differ more than chance deals them, the test is
called mismatched: what it says is not to be believed.`,
		Example: `  segue evaluate subject --tests tests.csv.gz
  segue evaluate subject --tests tests.parquet --test campaign \
    --variant subject --impressions delivered --clicks clicked --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&s.tests, "tests", "", "`FILE` of tests, - for standard input")
	flags.StringVar(&s.test, "test", "test", "`COLUMN` of the test")
	flags.StringVar(&s.variant, "variant", "variant", "`COLUMN` of the line")
	flags.StringVar(&s.impressions, "impressions", "impressions", "`COLUMN` of how often it was shown")
	flags.StringVar(&s.clicks, "clicks", "clicks", "`COLUMN` of how often that was clicked")
	flags.BoolVar(&s.json, "json", false, "one JSON object")
	flags.StringVar(&s.plot, "plot", "", "draw what is learnt as a test goes on into `FILE`, as SVG")
	return cmd
}

// subjectReport is the JSON of an evaluation.
type subjectReport struct {
	*bandit.Evaluation
	Features []string `json:"features"`
	Verdict  string   `json:"verdict"`
}

func (s *subjectEvaluation) run(in io.Reader, out io.Writer) error {
	if s.tests == "" {
		return usageError{errors.New("segue evaluate subject: want --tests FILE, or - for standard input")}
	}
	tests, err := s.read(in)
	if err != nil {
		return err
	}
	e, err := bandit.Evaluate(tests)
	if err != nil {
		return fmt.Errorf("%s: %w", s.tests, err)
	}
	if s.plot != "" {
		if err := s.draw(e); err != nil {
			return err
		}
	}
	if s.json {
		return writeJSON(out, subjectReport{e, subject.Names, e.Verdict()})
	}
	return printSubject(out, e)
}

// read reads the tests, in the order in which they begin.
func (s *subjectEvaluation) read(in io.Reader) ([][]bandit.Arm, error) {
	file, err := table.Open(s.tests, in)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	columns, err := file.Columns(s.test, s.variant, s.impressions, s.clicks)
	if err != nil {
		return nil, err
	}
	var tests [][]bandit.Arm
	known := map[string]int{}
	for row, err := range file.Rows() {
		if err != nil {
			return nil, err
		}
		test := strings.Clone(strings.TrimSpace(row.Text(columns[0])))
		if test == "" {
			return nil, row.Wrong(columns[0], "a test")
		}
		line := strings.TrimSpace(row.Text(columns[1]))
		if line == "" {
			return nil, row.Wrong(columns[1], "a line")
		}
		shown, err := count(row, columns[2], math.MaxInt32, "a whole number, 0 or more")
		if err != nil {
			return nil, err
		}
		clicks, err := count(row, columns[3], shown, fmt.Sprintf("a whole number from 0 to %d, how often the line was shown", shown))
		if err != nil {
			return nil, err
		}
		i, is := known[test]
		if !is {
			i = len(tests)
			known[test] = i
			tests = append(tests, nil)
		}
		tests[i] = append(tests[i], bandit.Arm{Shown: shown, Clicks: clicks, Features: subject.Features(line)})
	}
	return tests, nil
}

// count is the whole number in a column, up to most.
func count(row table.Row, column, most int, want string) (int, error) {
	n, err := row.Number(column)
	if err != nil || n != math.Trunc(n) || n < 0 || n > float64(most) {
		return 0, row.Wrong(column, want)
	}
	return int(n), nil
}

func printSubject(out io.Writer, e *bandit.Evaluation) error {
	fmt.Fprintf(out, "%d tests of %d lines, shown %d times; %d tests have no choice and are left out.\n\n",
		e.Tests, e.Variants, e.Impressions, e.Unchosen)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CLICKS IF RATES ARE\tAS SEEN\t\tAS BELIEVED\t")
	for _, way := range [...]struct {
		name string
		of   func(*bandit.Ways) float64
	}{
		{"chosen", func(w *bandit.Ways) float64 { return w.Clicks }},
		{"chosen without features", func(w *bandit.Ways) float64 { return w.Plain.Clicks }},
		{"each as often", func(w *bandit.Ways) float64 { return w.Uniform.Clicks }},
		{"test, then roll out", func(w *bandit.Ways) float64 { return w.RollOut.Clicks }},
		{"the best line", func(w *bandit.Ways) float64 { return w.Best.Clicks }},
	} {
		fmt.Fprint(w, way.name)
		for _, ways := range [...]*bandit.Ways{&e.Ways, &e.Believed} {
			fmt.Fprintf(w, "\t%.0f\t%+.1f%%", way.of(ways), 100*(way.of(ways)/max(ways.Uniform.Clicks, 1e-300)-1))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s\n", strings.Join(wrapped(e.Verdict(), helpWidth), "\n"))
	return err
}

// draw draws how much of what the best line would bring each part of a test does.
func (s *subjectEvaluation) draw(e *bandit.Evaluation) error {
	learnt := func(name string, ways *bandit.Ways) curve.Line {
		line := curve.Line{Name: name}
		for i, part := range ways.ByBatch {
			line.Points = append(line.Points, measure.Point{X: (float64(i) + .5) / bandit.Batches, Y: part})
		}
		return line
	}
	return draw(s.plot, curve.Chart{
		Title: "What is learnt as a test goes on",
		X:     "share of impressions", Y: "clicks, as a part of the best line's",
		Lines: []curve.Line{learnt("rates as seen", &e.Ways), learnt("rates as believed", &e.Believed)},
	})
}
