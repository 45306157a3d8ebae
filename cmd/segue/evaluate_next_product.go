package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"segue/cmd/segue/curve"
	"segue/cmd/segue/table"
	"segue/processors/model/measure"
	"segue/processors/model/session"
)

type nextProductEvaluation struct {
	sessions, test, plot   string
	session, product, time string
	// given says whether a flag was: a column of another name need not be there.
	given func(flag string) bool
	json  bool
}

func newEvaluateNextProductCommand() *cobra.Command {
	var n nextProductEvaluation
	cmd := &cobra.Command{
		Use:   "next-product --sessions FILE --test FILE",
		Short: "Say how often what a visitor looks at next is told",
		Long: `Learn from the sessions of one file, and tell each view but the first of the
sessions of another from those before it, beside what everyone looks at.

Both files have one view in each row. Views of a session are in order of time,
and sessions in that of their last view, or of the file where there is no time.
Products that no session of the first file has are looked for like any other.`,
		Example: `  segue evaluate next-product --sessions until_may.csv.gz --test june.csv.gz
  segue evaluate next-product --sessions clicks.tsv --test next.tsv \
    --session SessionId --product ItemId --time Time --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return n.run(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&n.sessions, "sessions", "", "`FILE` of the sessions before, - for standard input")
	flags.StringVar(&n.test, "test", "", "`FILE` of the sessions to tell")
	flags.StringVar(&n.session, "session", "session", "`COLUMN` of the session")
	flags.StringVar(&n.product, "product", "product", "`COLUMN` of the product")
	flags.StringVar(&n.time, "time", "time", "`COLUMN` of the time, in ISO 8601 or seconds since 1970")
	flags.BoolVar(&n.json, "json", false, "one JSON object")
	flags.StringVar(&n.plot, "plot", "", "draw how often lists of 1 to 20 hold the next into `FILE`, as SVG")
	n.given = flags.Changed
	return cmd
}

type nextProductReport struct {
	Sessions int `json:"sessions"`
	Tested   int `json:"test_sessions"`
	foundIn20
	Popularity foundIn20 `json:"popularity"`
	// Over is by how much the hit rate is above popularity's.
	Over    overReport `json:"hit_rate_20_over_popularity"`
	Verdict string     `json:"verdict"`
}

// foundIn20 is how good lists of 20 are, and within which time nine of ten are
// made.
type foundIn20 struct {
	HitRate        float64 `json:"hit_rate_20"`
	ReciprocalRank float64 `json:"mrr_20"`
	Positions      int     `json:"positions"`
	Microseconds   float64 `json:"microseconds_p90"`
}

func (n *nextProductEvaluation) run(in io.Reader, out io.Writer) error {
	if n.sessions == "" || n.test == "" {
		return usageError{errors.New("segue evaluate next-product: want --sessions FILE and --test FILE, one of them - for standard input")}
	}
	if n.sessions == "-" && n.test == "-" {
		return usageError{errors.New("segue evaluate next-product: got - for both files, want it for one")}
	}
	before, err := n.read(n.sessions, in)
	if err != nil {
		return err
	}
	tests, err := n.read(n.test, in)
	if err != nil {
		return err
	}
	m := session.Learn(before)
	e := session.Evaluate(m, tests)
	if n.plot != "" {
		if err := drawNextProduct(n.plot, e); err != nil {
			return err
		}
	}
	in20 := func(l *session.Lists, took float64) foundIn20 {
		r := &l[20-1]
		return foundIn20{r.HitRate(), r.ReciprocalRank(), e.Positions, took}
	}
	ranking := m.Ranking()
	r := nextProductReport{
		Sessions: len(before), Tested: len(tests),
		foundIn20:  in20(&e.Model, microseconds(tests, func(shown []string) { ranking.Next(shown, 20) })),
		Popularity: in20(&e.Popularity, microseconds(tests, func([]string) { ranking.Next(nil, 20) })),
		Over:       overReport{e.Gain, e.Error},
		Verdict:    nextProductVerdict(e),
	}
	if n.json {
		return writeJSON(out, r)
	}
	return r.print(out)
}

// microseconds is within which nine of ten positions are told.
func microseconds(tests [][]string, tell func(shown []string)) float64 {
	var took []time.Duration
	for shown := range session.Positions(tests) {
		start := time.Now()
		tell(shown)
		took = append(took, time.Since(start))
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return float64(took[(len(took)*9-1)/10]) / float64(time.Microsecond)
}

// read reads what each session showed, in order, the earliest session first.
func (n *nextProductEvaluation) read(path string, in io.Reader) ([][]string, error) {
	file, err := table.Open(path, in)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names := []string{n.session, n.product}
	timed := n.given("time") || file.Has(n.time)
	if timed {
		names = append(names, n.time)
	}
	columns, err := file.Columns(names...)
	if err != nil {
		return nil, err
	}
	type view struct {
		product string
		at      time.Time
	}
	type visit struct {
		views []view
		last  time.Time
	}
	var visits []visit
	known, products := map[string]int{}, map[string]string{}
	for row, err := range file.Rows() {
		if err != nil {
			return nil, err
		}
		id, product := strings.TrimSpace(row.Text(columns[0])), strings.TrimSpace(row.Text(columns[1]))
		if id == "" {
			return nil, row.Wrong(columns[0], "a session")
		}
		if product == "" {
			return nil, row.Wrong(columns[1], "a product")
		}
		var at time.Time
		if timed {
			if at, err = row.Time(columns[2]); err != nil {
				return nil, err
			}
		}
		i, is := known[id]
		if !is {
			i = len(visits)
			known[strings.Clone(id)] = i
			visits = append(visits, visit{last: at})
		}
		// A row's text is a part of its line, which would be kept whole.
		if _, is := products[product]; !is {
			product = strings.Clone(product)
			products[product] = product
		}
		v := &visits[i]
		v.views = append(v.views, view{products[product], at})
		if at.After(v.last) {
			v.last = at
		}
	}
	if len(visits) == 0 {
		return nil, fmt.Errorf("%s: got no row, want at least one view", path)
	}
	slices.SortStableFunc(visits, func(a, b visit) int { return a.last.Compare(b.last) })
	sessions := make([][]string, len(visits))
	for i, v := range visits {
		slices.SortStableFunc(v.views, func(a, b view) int { return a.at.Compare(b.at) })
		for _, view := range v.views {
			sessions[i] = append(sessions[i], view.product)
		}
	}
	return sessions, nil
}

func nextProductVerdict(e *session.Evaluation) string {
	more := fmt.Sprintf("%.4f ± %.4f", e.Gain, 1.96*e.Error)
	switch {
	case e.Positions == 0:
		return "No session of the test has two views, so there is nothing to tell and nothing to trust."
	case e.Positions < 100:
		return fmt.Sprintf("Do not trust this yet: %d views are too few to tell.", e.Positions)
	case e.Gain <= 1.96*e.Error:
		return "Do not trust the model here: its 20 products hold the next no more often than what is popular does (" + more + "); offer what everyone looks at."
	default:
		return "The model can be trusted to rank: its 20 products hold the next more often than what is popular does, by " + more + "."
	}
}

func (r nextProductReport) print(out io.Writer) error {
	fmt.Fprintf(out, "Learnt from %d sessions, tested on %d views that followed another in %d others.\n\n", r.Sessions, r.Positions, r.Tested)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "20 PRODUCTS\tHIT RATE@20\tMRR@20\tNINE OF TEN WITHIN")
	for _, row := range [...]struct {
		name string
		foundIn20
	}{{"model", r.foundIn20}, {"popularity", r.Popularity}} {
		fmt.Fprintf(w, "%s\t%.4f\t%.4f\t%.0f µs\n", row.name, row.HitRate, row.ReciprocalRank, row.Microseconds)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nHit rate: the share of views that the 20 hold. MRR: the mean of 1 over the\n"+
		"place of the view, 0 where the 20 do not hold it.\n%s\n", strings.Join(wrapped(r.Verdict, helpWidth), "\n"))
	return err
}

// drawNextProduct draws how often lists of each length hold the next.
func drawNextProduct(path string, e *session.Evaluation) error {
	chart := func(title string, of func(*measure.Ranking) float64) curve.Chart {
		c := curve.Chart{Title: title, X: fmt.Sprintf("length of the list, of %d", session.Longest), Y: "share"}
		for _, line := range [...]struct {
			name  string
			lists *session.Lists
		}{{"model", &e.Model}, {"popularity", &e.Popularity}} {
			points := []measure.Point{{}}
			for i := range line.lists {
				points = append(points, measure.Point{X: float64(i+1) / session.Longest, Y: of(&line.lists[i])})
			}
			c.Lines = append(c.Lines, curve.Line{Name: line.name, Points: points})
		}
		return c
	}
	return draw(path,
		chart("Views that are told", (*measure.Ranking).HitRate),
		chart("Mean of 1 over their place", (*measure.Ranking).ReciprocalRank),
	)
}
