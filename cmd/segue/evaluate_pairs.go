package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"segue/processors/model/measure"
	"segue/processors/model/pair"
)

type pairsEvaluation struct {
	columns basketColumns
	baskets string
	top     int
	json    bool
}

func newEvaluatePairsCommand() *cobra.Command {
	var p pairsEvaluation
	cmd := &cobra.Command{
		Use:   "pairs --baskets FILE",
		Short: "Say what is bought together, and how well that completes a basket",
		Long: `Count which products lie in one basket, show the pairs with the strongest bond,
and say how well the rest of a basket tells what else is in it: each product of
each basket is hidden in turn, and looked for among the 20 likeliest by what the
other four fifths of baskets teach, beside popularity and the sum of cosines.

The file has one product of a basket in each row, or one basket in each line,
without a line of names. A product that a basket names twice counts once.`,
		Example: `  segue evaluate pairs --baskets lines.csv.gz --basket order_id --product sku
  segue evaluate pairs --baskets groceries.csv --top 50
  segue evaluate pairs --baskets lines.parquet --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.run(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&p.baskets, "baskets", "", "`FILE` of baskets, - for standard input")
	p.columns.addFlags(cmd)
	flags.IntVar(&p.top, "top", 20, "show the `N` strongest pairs")
	flags.BoolVar(&p.json, "json", false, "one JSON object")
	return cmd
}

type pairsReport struct {
	Baskets  int          `json:"baskets"`
	Products int          `json:"products"`
	Pairs    []pairReport `json:"pairs"`
	Hidden   int          `json:"hidden"`
	hideOne
	Popularity hideOne `json:"popularity"`
	Cosine     hideOne `json:"cosine"`
	Gain       float64 `json:"hr_20_over_popularity"`
	Error      float64 `json:"hr_20_standard_error"`
	Verdict    string  `json:"verdict"`
}

// pairReport is a pair: in how many baskets both are, and each.
type pairReport struct {
	A        string  `json:"a"`
	B        string  `json:"b"`
	Together int     `json:"together"`
	ACount   int     `json:"a_count"`
	BCount   int     `json:"b_count"`
	LLR      float64 `json:"llr"`
	Root     float64 `json:"root_llr"`
	Lift     float64 `json:"lift"`
	BGivenA  float64 `json:"b_given_a"`
	AGivenB  float64 `json:"a_given_b"`
	Cosine   float64 `json:"cosine"`
}

// hideOne is how often what was hidden is among 20, and the mean of 1 over its
// place, 0 where it is not.
type hideOne struct {
	HitRate        float64 `json:"hr_20"`
	ReciprocalRank float64 `json:"mrr_20"`
}

func hidden(r measure.Ranking) hideOne { return hideOne{r.HitRate(), r.ReciprocalRank()} }

func (p *pairsEvaluation) run(in io.Reader, out io.Writer) error {
	if p.baskets == "" {
		return usageError{errors.New("segue evaluate pairs: want --baskets FILE, or - for standard input")}
	}
	if p.top < 0 {
		return usageError{fmt.Errorf("segue evaluate pairs: --top: got %d, want 0 or more", p.top)}
	}
	read, err := p.columns.readLines(p.baskets, in)
	if err != nil {
		return err
	}
	baskets := new(pair.Baskets)
	for _, b := range read {
		baskets.Add(b.products...)
	}
	e := pair.Evaluate(baskets, pair.Options{}, 20)
	r := pairsReport{
		Baskets: baskets.Len(), Products: baskets.Products(), Pairs: []pairReport{}, Hidden: e.Rules.Lists,
		hideOne: hidden(e.Rules), Popularity: hidden(e.Popularity), Cosine: hidden(e.Cosine),
		Gain: e.Gain, Error: e.Error, Verdict: pairsVerdict(e),
	}
	for _, s := range baskets.Strongest(p.top) {
		turned := pair.Table{Together: s.Together, A: s.Table.B, B: s.Table.A, Baskets: s.Baskets}
		r.Pairs = append(r.Pairs, pairReport{s.A, s.B, s.Together, s.Table.A, s.Table.B, s.LLR(), s.Root(), s.Lift(),
			s.Given(), turned.Given(), s.Cosine()})
	}
	if p.json {
		return writeJSON(out, r)
	}
	return r.print(out)
}

func pairsVerdict(e pair.Evaluation) string {
	more := fmt.Sprintf("%.4f ± %.4f", e.Gain, 1.96*e.Error)
	switch {
	case e.Rules.Lists == 0:
		return "No basket holds two products, so there is nothing to learn from and nothing to trust."
	case e.Gain <= 1.96*e.Error:
		return "Do not trust the rules here: they find what was hidden no more often than popularity does (" + more + "); offer what everyone buys."
	default:
		return "The rules can be trusted to rank: they find what was hidden more often than popularity does, by " + more + "."
	}
}

func (r pairsReport) print(out io.Writer) error {
	fmt.Fprintf(out, "%d baskets of %d products. The strongest pairs, A and B, by log-likelihood ratio:\n\n", r.Baskets, r.Products)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "A\tB\tTOGETHER\tA IN\tB IN\tLLR\tLIFT\tP(B|A)\tP(A|B)")
	for _, p := range r.Pairs {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%.3f\t%.3f\t%.3f\t%.3f\n",
			p.A, p.B, p.Together, p.ACount, p.BCount, p.LLR, p.Lift, p.BGivenA, p.AGivenB)
	}
	fmt.Fprintf(w, "\nOf %d hidden products\tHR@20\tMRR@20\n", r.Hidden)
	for _, row := range [...]struct {
		name string
		hideOne
	}{{"rules", r.hideOne}, {"popularity", r.Popularity}, {"cosine", r.Cosine}} {
		fmt.Fprintf(w, "%s\t%.4f\t%.4f\n", row.name, row.HitRate, row.ReciprocalRank)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s\n", strings.Join(wrapped(r.Verdict, helpWidth), "\n"))
	return err
}
