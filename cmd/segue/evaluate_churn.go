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
	"segue/processors/model/churn"
	"segue/processors/model/history"
	"segue/processors/model/measure"
)

type churnEvaluation struct {
	orders, plot           string
	customer, date, amount string
	calibrate, evaluate    string
	unit                   string
	json                   bool
	noAmount               bool // the file need not have amounts
}

func newEvaluateChurnCommand() *cobra.Command {
	var c churnEvaluation
	cmd := &cobra.Command{
		Use:   "churn --orders FILE",
		Short: "Fit who will come back, and how often",
		Long: `Fit Pareto/NBD, BG/NBD and MBG/NBD to the orders up to a date, and Gamma-Gamma
to their amounts; forecast each customer's orders from then to a later date; and
compare that with what came, beside what recency and frequency alone say.

What is shown as churn is the probability of no order in that time. Orders of
one customer on one date are one; an amount below 0 is money back and no order.`,
		Example: `  segue evaluate churn --orders orders.csv.gz --plot churn.svg \
    --calibrate-until 2026-03-31 --evaluate-until 2026-06-30
  segue evaluate churn --orders orders.parquet --customer email --json \
    --calibrate-until 2026-03-31 --evaluate-until 2026-06-30`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.noAmount = !cmd.Flags().Changed("amount")
			return c.run(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.orders, "orders", "", "`FILE` of orders, - for standard input")
	flags.StringVar(&c.customer, "customer", "customer", "`COLUMN` of the customer")
	flags.StringVar(&c.date, "date", "date", "`COLUMN` of the date or time, in ISO 8601")
	flags.StringVar(&c.amount, "amount", "amount", "`COLUMN` of the amount; without it money is left out")
	flags.StringVar(&c.calibrate, "calibrate-until", "", "last `DATE` to learn from")
	flags.StringVar(&c.evaluate, "evaluate-until", "", "last `DATE` to forecast")
	flags.StringVar(&c.unit, "unit", "week", "`UNIT` of the parameters: day or week")
	flags.BoolVar(&c.json, "json", false, "one JSON object")
	flags.StringVar(&c.plot, "plot", "", "draw calibration and gain into `FILE`, as SVG")
	return cmd
}

// churnReport is the JSON of an evaluation.
type churnReport struct {
	CalibrateUntil string `json:"calibrate_until"`
	EvaluateUntil  string `json:"evaluate_until"`
	// LastOrder is the date of the file's last: silence after it may be the file's.
	LastOrder string `json:"last_order"`
	*churn.Evaluation
}

func (c *churnEvaluation) run(in io.Reader, out io.Writer) error {
	if c.orders == "" {
		return usageError{errors.New("segue evaluate churn: want --orders FILE, or - for standard input")}
	}
	calibrated, err := dateFlag("calibrate-until", c.calibrate)
	if err != nil {
		return err
	}
	evaluated, err := dateFlag("evaluate-until", c.evaluate)
	if err != nil {
		return err
	}
	if !evaluated.After(calibrated) {
		return usageError{fmt.Errorf("segue evaluate churn: --evaluate-until: got %s, want a date after %s", c.evaluate, c.calibrate)}
	}
	var unit history.Unit
	if err := unit.UnmarshalText([]byte(c.unit)); err != nil {
		return usageError{fmt.Errorf("segue evaluate churn: --%w", err)}
	}
	orders, err := c.read(in)
	if err != nil {
		return err
	}
	customers := history.Cohort(orders, calibrated, evaluated)
	if len(customers) == 0 {
		return fmt.Errorf("%s: got no customer who ordered by %s, want at least one", c.orders, c.calibrate)
	}
	e, err := churn.Evaluate(customers, evaluated.Sub(calibrated), unit)
	if err != nil {
		return fmt.Errorf("%s: %w", c.orders, err)
	}
	if c.plot != "" {
		if err := drawChurn(c.plot, e); err != nil {
			return err
		}
	}
	last := slices.MaxFunc(orders, func(a, b history.Order) int { return a.At.Compare(b.At) })
	report := churnReport{calibrated.Format(time.DateOnly), evaluated.Format(time.DateOnly), last.At.Format(time.DateOnly), e}
	if c.json {
		return writeJSON(out, report)
	}
	return report.print(out)
}

// dateFlag is the date that a flag of evaluate gives.
func dateFlag(name, text string) (time.Time, error) {
	at, err := table.ParseTime(text)
	if err != nil {
		return time.Time{}, usageError{fmt.Errorf("segue evaluate: --%s: got %q, want a date such as 2026-03-31", name, text)}
	}
	year, month, day := at.Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC), nil
}

func (c *churnEvaluation) read(in io.Reader) ([]history.Order, error) {
	file, err := table.Open(c.orders, in)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names := []string{c.customer, c.date, c.amount}
	if c.noAmount && !file.Has(c.amount) {
		names = names[:2]
	}
	columns, err := file.Columns(names...)
	if err != nil {
		return nil, err
	}
	var orders []history.Order
	for row, err := range file.Rows() {
		if err != nil {
			return nil, err
		}
		order := history.Order{Customer: row.Text(columns[0])}
		if order.Customer == "" {
			return nil, row.Wrong(columns[0], "a customer")
		}
		if order.At, err = row.Time(columns[1]); err != nil {
			return nil, err
		}
		if len(columns) > 2 {
			if order.Amount, err = row.Number(columns[2]); err != nil {
				return nil, err
			}
		}
		orders = append(orders, order)
	}
	return orders, nil
}

func (r churnReport) print(out io.Writer) error {
	fmt.Fprintf(out, "%d customers ordered by %s; %d of them placed %d orders from then to %s.\n\n",
		r.Customers, r.CalibrateUntil, r.Customers-r.Silent, r.ActualOrders, r.EvaluateUntil)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MODEL\tORDERS\tMAE\tRMSE\tAUC P(ALIVE)\tAUC EXPECTED\tLOG-LIKELIHOOD")
	line := func(name string, e churn.Errors, likelihood float64) {
		fmt.Fprintf(w, "%s\t%.1f\t%.4f\t%.4f\t%.4f\t%.4f\t%.3f\n",
			name, e.PredictedOrders, e.MAE, e.RMSE, e.AUCAlive, e.AUCExpected, likelihood)
	}
	m := r.Models
	line("pareto_nbd", m.ParetoNBD.Errors, m.ParetoNBD.LogLikelihood)
	line("bg_nbd", m.BGNBD.Errors, m.BGNBD.LogLikelihood)
	line("mbg_nbd", m.MBGNBD.Errors, m.MBGNBD.LogLikelihood)
	fmt.Fprintf(w, "frequency alone\t\t%.4f\t\t\t%.4f\t\n", *r.Baselines.Frequency.MAE, r.Baselines.Frequency.AUC)
	fmt.Fprintf(w, "recency alone\t\t\t\t\t%.4f\t\n", r.Baselines.Recency.AUC)
	if err := w.Flush(); err != nil {
		return err
	}
	p, b, mb := m.ParetoNBD.Parameters, m.BGNBD.Parameters, m.MBGNBD.Parameters
	fmt.Fprintf(out, "\nIn units of a %s:\n", p.Unit)
	fmt.Fprintf(out, "pareto_nbd   r %.5g, alpha %.5g, s %.5g, beta %.5g\n", p.R, p.Alpha, p.S, p.Beta)
	fmt.Fprintf(out, "bg_nbd       r %.5g, alpha %.5g, a %.5g, b %.5g\n", b.R, b.Alpha, b.A, b.B)
	fmt.Fprintf(out, "mbg_nbd      r %.5g, alpha %.5g, a %.5g, b %.5g\n", mb.R, mb.Alpha, mb.A, mb.B)
	if g := r.GammaGamma; g != nil {
		fmt.Fprintf(out, "gamma_gamma  p %.5g, q %.5g, v %.5g; %d customers, log-likelihood %.3f,\n"+
			"             correlation of amounts and repeats %.3f, taken for 0\n",
			g.Parameters.P, g.Parameters.Q, g.Parameters.V, g.Customers, g.LogLikelihood, g.Correlation)
	}
	fmt.Fprintf(out, "\nShown as churn: the probability of no order in %d days, by %s.\nAUC %.4f, calibration error %.4f.\n",
		days(r.Horizon), r.Shown.Model, r.Shown.AUC, r.Shown.CalibrationError)
	if r.LastOrder < r.EvaluateUntil {
		fmt.Fprintf(out, "The file's last order is of %s; what is missing after it counts as silence.\n", r.LastOrder)
	}
	_, err := fmt.Fprintln(out, strings.Join(wrapped(r.Verdict(), helpWidth), "\n"))
	return err
}

func days(d time.Duration) int { return int(d / (24 * time.Hour)) }

// drawChurn draws how well the score says what comes, and whom it finds.
func drawChurn(path string, e *churn.Evaluation) error {
	// Those who order are the fewer, so the curve is of finding them.
	var stay, recency, frequency []float64
	var ordered []bool
	for _, s := range e.Scores {
		stay, recency, frequency = append(stay, -s.Gone), append(recency, -s.Recency), append(frequency, -s.Frequency)
		ordered = append(ordered, !s.Silent)
	}
	gain := func(name string, scores []float64) curve.Line {
		return curve.Line{Name: name, Points: measure.Gain(scores, ordered, 100)}
	}
	name := "shown, by " + e.Shown.Model
	return draw(path,
		curve.Chart{
			Title: fmt.Sprintf("No order in %d days: calibration", days(e.Horizon)),
			X:     "probability shown", Y: "share without an order",
			Lines: []curve.Line{curve.Calibration(name, e.Shown.Bins)},
		},
		curve.Chart{
			Title: "Gain: whom the score finds",
			X:     "share of customers, the least likely gone first", Y: "share of those who ordered",
			Lines: []curve.Line{gain(name, stay), gain("recency alone", recency), gain("frequency alone", frequency)},
		},
	)
}
