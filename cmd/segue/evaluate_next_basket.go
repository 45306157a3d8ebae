package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"segue/cmd/segue/curve"
	"segue/processors/model/basket"
	"segue/processors/model/measure"
)

type nextBasketEvaluation struct {
	columns             basketColumns
	baskets, test, plot string
	json                bool
}

func newEvaluateNextBasketCommand() *cobra.Command {
	var n nextBasketEvaluation
	cmd := &cobra.Command{
		Use:   "next-basket --baskets FILE --test FILE",
		Short: "Say how much of the next basket is told from those before",
		Long: `Learn from the baskets of one file what comes back and what is bought first,
tell each customer's next basket, and look for it in another file, beside what
is popular and what the customer bought most.

Both files have one product of a basket in each row. Baskets are in order of
time, or of the file where there is none; without a column of baskets, what a
customer bought at one time is one. Of a customer's baskets in the second file
the first is the next. Who has none in the first file is offered what a customer
first buys.`,
		Example: `  segue evaluate next-basket --baskets until_may.csv.gz --test june.csv.gz
  segue evaluate next-basket --baskets - --test june.parquet --json < may.csv`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return n.run(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&n.baskets, "baskets", "", "`FILE` of the baskets before, - for standard input")
	flags.StringVar(&n.test, "test", "", "`FILE` of the next baskets")
	n.columns.addFlags(cmd)
	flags.BoolVar(&n.json, "json", false, "one JSON object")
	flags.StringVar(&n.plot, "plot", "", "draw what lists of 1 to 20 find into `FILE`, as SVG")
	return cmd
}

type nextBasketReport struct {
	Baskets   int `json:"baskets"`
	Customers int `json:"customers"`
	// New are customers of the test without a basket before.
	New int `json:"new_customers"`
	// Later are baskets of the test that are not a customer's first there.
	Later int `json:"later_baskets_left_out"`
	foundIn10
	Popularity foundIn10 `json:"popularity"`
	Personal   foundIn10 `json:"personal"`
	// Over is by how much recall is above a baseline's.
	OverPopularity overReport `json:"recall_10_over_popularity"`
	OverPersonal   overReport `json:"recall_10_over_personal"`
	Verdict        string     `json:"verdict"`
}

// foundIn10 is how good lists of 10 are.
type foundIn10 struct {
	Recall  float64 `json:"recall_10"`
	HitRate float64 `json:"phr_10"`
	NDCG    float64 `json:"ndcg_10"`
}

type overReport struct {
	Mean  float64 `json:"mean"`
	Error float64 `json:"standard_error"`
}

func in10(l *basket.Lists) foundIn10 {
	r := &l[10-1]
	return foundIn10{r.Recall(), r.HitRate(), r.NDCG()}
}

func (n *nextBasketEvaluation) run(in io.Reader, out io.Writer) error {
	if n.baskets == "" || n.test == "" {
		return usageError{errors.New("segue evaluate next-basket: want --baskets FILE and --test FILE, one of them - for standard input")}
	}
	if n.baskets == "-" && n.test == "-" {
		return usageError{errors.New("segue evaluate next-basket: got - for both files, want it for one")}
	}
	read, err := n.columns.read(n.baskets, in, true)
	if err != nil {
		return err
	}
	tests, err := n.columns.read(n.test, in, true)
	if err != nil {
		return err
	}
	before, next := byCustomer(read), byCustomer(tests)
	all := maps.Clone(before)
	maps.Copy(all, next)
	var histories [][][]string
	var wanted [][]string
	for _, customer := range slices.Sorted(maps.Keys(all)) {
		histories = append(histories, before[customer])
		var first []string
		if baskets := next[customer]; len(baskets) > 0 {
			first = baskets[0]
		}
		wanted = append(wanted, first)
	}
	e := basket.Evaluate(histories, wanted)
	if n.plot != "" {
		if err := drawNextBasket(n.plot, e); err != nil {
			return err
		}
	}
	r := nextBasketReport{
		Baskets: len(read), Customers: e.Customers, New: e.New, Later: len(tests) - e.Customers,
		foundIn10: in10(&e.Model), Popularity: in10(&e.Popularity), Personal: in10(&e.Personal),
		OverPopularity: overReport{e.OverPopularity.Mean, e.OverPopularity.Error},
		OverPersonal:   overReport{e.OverPersonal.Mean, e.OverPersonal.Error},
		Verdict:        nextBasketVerdict(e),
	}
	if n.json {
		return writeJSON(out, r)
	}
	return r.print(out)
}

func nextBasketVerdict(e *basket.Evaluation) string {
	over, name := e.OverPopularity, "what is popular"
	if e.OverPersonal.Mean < over.Mean {
		over, name = e.OverPersonal, "what each customer bought most"
	}
	more := fmt.Sprintf("%.4f ± %.4f", over.Mean, 1.96*over.Error)
	switch {
	case e.Customers < 30:
		return fmt.Sprintf("Do not trust this yet: %d customers with a next basket are too few to tell.", e.Customers)
	case over.Mean <= 1.96*over.Error:
		return "Do not trust the model here: it finds no more of a basket than " + name + " does (" + more + ")."
	default:
		return "The model can be trusted to rank: its 10 products find more of a basket than " + name + " does, by " + more + "."
	}
}

func (r nextBasketReport) print(out io.Writer) error {
	fmt.Fprintf(out, "%d baskets before, and the next of %d customers, %d of them new; %d later baskets are left out.\n\n",
		r.Baskets, r.Customers, r.New, r.Later)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "10 PRODUCTS\tRECALL@10\tPHR@10\tNDCG@10")
	for _, row := range [...]struct {
		name string
		foundIn10
	}{{"model", r.foundIn10}, {"popularity", r.Popularity}, {"personal frequency alone", r.Personal}} {
		fmt.Fprintf(w, "%s\t%.4f\t%.4f\t%.4f\n", row.name, row.Recall, row.HitRate, row.NDCG)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nRecall: the share of a basket that is found. PHR: the share of baskets of which\n"+
		"anything is. NDCG counts what stands in front for more.\n%s\n", strings.Join(wrapped(r.Verdict, helpWidth), "\n"))
	return err
}

// drawNextBasket draws how much lists of each length find.
func drawNextBasket(path string, e *basket.Evaluation) error {
	chart := func(title string, of func(*measure.Ranking) float64) curve.Chart {
		c := curve.Chart{Title: title, X: fmt.Sprintf("length of the list, of %d", basket.Longest), Y: "share"}
		for _, line := range [...]struct {
			name  string
			lists *basket.Lists
		}{{"model", &e.Model}, {"popularity", &e.Popularity}, {"personal frequency alone", &e.Personal}} {
			points := []measure.Point{{}}
			for i := range line.lists {
				points = append(points, measure.Point{X: float64(i+1) / basket.Longest, Y: of(&line.lists[i])})
			}
			c.Lines = append(c.Lines, curve.Line{Name: line.name, Points: points})
		}
		return c
	}
	return draw(path,
		chart("Of a next basket, what is found", (*measure.Ranking).Recall),
		chart("Next baskets of which anything is found", (*measure.Ranking).HitRate),
	)
}
