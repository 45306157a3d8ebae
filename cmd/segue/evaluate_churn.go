package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"segue/cmd/segue/curve"
	"segue/cmd/segue/table"
	"segue/processors/customer"
	"segue/processors/model/churn"
	"segue/processors/model/history"
	"segue/processors/model/measure"
	"segue/schemas/models"
)

type churnEvaluation struct {
	orders, events, plot   string
	customer, date, amount string
	calibrate, evaluate    string
	unit                   string
	json                   bool
	noAmount               bool // the file need not have amounts
}

func newEvaluateChurnCommand() *cobra.Command {
	var c churnEvaluation
	cmd := &cobra.Command{
		Use:   "churn {--orders FILE | --events FILE}",
		Short: "Fit who will come back, and how often",
		Long: `Fit Pareto/NBD, BG/NBD and MBG/NBD to the orders up to a date, and Gamma-Gamma
to their amounts; forecast each customer's orders from then to a later date; and
compare that with what came, beside what recency and frequency alone say.

Two probabilities are measured. "Shown" is that of no order in that time, which
the time itself confirms or not. "Live" is scores.churn, which segments read:
that a customer is gone for good. Who is not gone need not order, so its number
is less than the share without an order; with --events it is joined with visits
and mails as it is in the stream, and measured by who was seen again, too.

Orders of one customer on one date are one; an amount below 0 is money back and
no order.`,
		Example: `  segue evaluate churn --orders orders.csv.gz --plot churn.svg \
    --calibrate-until 2026-03-31 --evaluate-until 2026-06-30
  segue evaluate churn --orders orders.parquet --customer email --json \
    --calibrate-until 2026-03-31 --evaluate-until 2026-06-30
  segue evaluate churn --events all.jsonl \
    --calibrate-until 2026-03-31 --evaluate-until 2026-06-30`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.noAmount = !cmd.Flags().Changed("amount")
			return c.run(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.orders, "orders", "", "`FILE` of orders, - for standard input")
	flags.StringVar(&c.events, "events", "", "`FILE` of events as segue replay takes them, instead")
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
	Live live `json:"live"`
}

// live is how good scores.churn is, at the end of the calibration, of the customers
// that it was fitted to.
type live struct {
	Customers int            `json:"customers"`
	Mean      measure.Figure `json:"mean"`
	AUC       measure.Figure `json:"auc"` // of placing no order
	// AUCUnseen is of giving no sign of life, AUCUnseenRecency that of how long ago the
	// last order was; null where orders are all there is.
	AUCUnseen        measure.Figure `json:"auc_unseen"`
	AUCUnseenRecency measure.Figure `json:"auc_unseen_recency"`
	Unseen           int            `json:"unseen"`
}

func (c *churnEvaluation) run(in io.Reader, out io.Writer) error {
	if (c.orders == "") == (c.events == "") {
		return usageError{errors.New("segue evaluate churn: want one of --orders FILE and --events FILE, - for standard input")}
	}
	path := cmp.Or(c.orders, c.events)
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
	orders, happened, err := c.past(in)
	if err != nil {
		return err
	}
	customers := history.Cohort(orders, calibrated, evaluated)
	if len(customers) == 0 {
		return fmt.Errorf("%s: got no customer who ordered by %s, want at least one", path, c.calibrate)
	}
	e, err := churn.Evaluate(customers, evaluated.Sub(calibrated), unit)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	live, err := c.live(happened, endOf(calibrated), endOf(evaluated))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if c.plot != "" {
		if err := drawChurn(c.plot, e); err != nil {
			return err
		}
	}
	last := slices.MaxFunc(orders, func(a, b history.Order) int { return a.At.Compare(b.At) })
	report := churnReport{calibrated.Format(time.DateOnly), evaluated.Format(time.DateOnly), last.At.Format(time.DateOnly), e, live}
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

// endOf is the last instant of a date.
func endOf(date time.Time) int64 { return date.AddDate(0, 0, 1).UnixMilli() - 1 }

// past is what happened: the orders, and all of it.
func (c *churnEvaluation) past(in io.Reader) (orders []history.Order, happened *storeHistory, err error) {
	if c.events != "" {
		if happened, err = readEvents(c.events, in); err != nil {
			return nil, nil, err
		}
		for _, e := range happened.events {
			if o := e.event.GetOrder(); o != nil {
				orders = append(orders, history.Order{Customer: e.key, At: time.UnixMilli(e.at).UTC(), Amount: float64(o.WorthMicros()) / 1e6})
			}
		}
		return orders, happened, nil
	}
	if orders, err = c.read(in); err != nil {
		return nil, nil, err
	}
	var book orderBook
	for _, o := range orders {
		book.add(orderLine{customer: o.Customer, at: o.At, amount: o.Amount, quantity: 1})
	}
	happened, _ = book.history()
	return orders, happened, nil
}

// live asks for the very score that segments read, by the station's own fold.
func (c *churnEvaluation) live(happened *storeHistory, calibrated, evaluated int64) (live, error) {
	past := customer.NewPast(models.Default(), customer.Plan{Events: len(happened.events), Hold: calibrated})
	happened.before(evaluated)
	if err := happened.fold(past, io.Discard); err != nil {
		return live{}, err
	}
	all, err := past.Foretold()
	if err != nil {
		return live{}, err
	}
	l := live{Customers: len(all), AUCUnseen: measure.Figure(math.NaN()), AUCUnseenRecency: measure.Figure(math.NaN())}
	var gone, recency []float64
	var silent, unseen []bool
	for _, x := range all {
		gone, recency = append(gone, x.Gone), append(recency, x.SilentDays)
		silent, unseen = append(silent, !x.Ordered), append(unseen, !x.Seen)
		l.Mean += measure.Figure(x.Gone / float64(len(all)))
		if !x.Seen {
			l.Unseen++
		}
	}
	l.AUC = measure.Figure(measure.AUC(gone, silent))
	if c.events != "" {
		l.AUCUnseen, l.AUCUnseenRecency = measure.Figure(measure.AUC(gone, unseen)), measure.Figure(measure.AUC(recency, unseen))
	}
	return l, nil
}

func (l live) print(out io.Writer) {
	fmt.Fprintf(out, "\nLive, as scores.churn: gone for good, of %d customers. Mean %.4f, AUC of no order %.4f.\n", l.Customers, l.Mean, l.AUC)
	if !math.IsNaN(float64(l.AUCUnseen)) {
		fmt.Fprintf(out, "Of the %d never seen again AUC %.4f, by the last order alone %.4f.\n", l.Unseen, l.AUCUnseen, l.AUCUnseenRecency)
	}
	if l.Mean < .01 && l.Customers > 0 {
		fmt.Fprintln(out, strings.Join(wrapped("By these orders hardly anybody leaves for good, so thresholds of scores.churn find nobody; rank by scores.value, or ask since().", helpWidth), "\n"))
	}
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
	fmt.Fprintf(out, "\nShown: the probability of no order in %d days, by %s.\nAUC %.4f, calibration error %.4f.\n",
		days(r.Horizon), r.Shown.Model, r.Shown.AUC, r.Shown.CalibrationError)
	r.Live.print(out)
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
			X:     "probability shown", Y: "share without an order", Alike: true,
			Lines: []curve.Line{curve.Calibration(name, e.Shown.Bins)},
		},
		curve.Chart{
			Title: "Gain: whom the score finds",
			X:     "share of customers, the least likely gone first", Y: "share of those who ordered",
			Lines: []curve.Line{gain(name, stay), gain("recency alone", recency), gain("frequency alone", frequency)},
		},
	)
}
