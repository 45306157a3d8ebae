package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"segue/processors/customer"
	"segue/schemas"
	"segue/schemas/models"
)

type fitting struct {
	orders, events, base, out, id, until, zone string
	columns                                    orderColumns
}

func newFitCommand() *cobra.Command {
	var f fitting
	cmd := &cobra.Command{
		Use:   "fit {--orders FILE | --events FILE} -o FILE",
		Short: "Fit all models to a store's own history",
		Long: `Fit all models to a store's own history, and write them as a file for
"segue models apply". Events teach all of them. Orders alone teach churn, value,
the next order and the ranks; the price tiers, where a column has prices; and
what goes with what, where one has products. What is not told stays as it is,
and is named. The last quarter of the time is foretold by models of the rest, to
show how good they are; then all of it is fitted to.

Orders are CSV, gzipped or not, or Parquet, with a line that names the columns.
Rows of one customer with one order number, or else at one time, are one order.
Amounts and quantities below 0 are money back, which lowers what was paid on
that day and is no order. Events are as "segue replay" takes them. What is
folded, and what the scores see of it, is what the customer station does: a
model is fitted to what it will be asked.`,
		Example: `  segue fit --orders orders.csv.gz -o models.yaml
  segue fit --orders lines.csv --order invoice --product sku -o models.yaml
  segue tail events --from start --until-end --json > all.jsonl
  segue fit --events all.jsonl -o models.yaml`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.columns.given = cmd.Flags().Changed
			return f.run(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.orders, "orders", "", "`FILE` of orders, - for standard input")
	flags.StringVar(&f.events, "events", "", "`FILE` of events, - for standard input")
	flags.StringVarP(&f.out, "out", "o", "", "`FILE` to write, - for standard output")
	flags.StringVar(&f.base, "base", "", "models `FILE` for what history does not tell (default: those of Segue)")
	flags.StringVar(&f.id, "id", "fitted", "`NAME` of the models")
	flags.StringVar(&f.until, "until", "", "last `DATE` of the history (default: that of the last event)")
	flags.StringVar(&f.zone, "zone", "UTC", "`NAME` of the store's time zone, as in the playbook")
	f.columns.addFlags(flags)
	return cmd
}

func (f *fitting) run(in io.Reader, out, progress io.Writer) error {
	if (f.orders == "") == (f.events == "") {
		return usageError{errors.New("segue fit: want one of --orders FILE and --events FILE")}
	}
	if f.out == "" {
		return usageError{errors.New("segue fit: want -o FILE, or - for standard output")}
	}
	until := int64(0)
	if f.until != "" {
		at, err := dateFlag("until", f.until)
		if err != nil {
			return err
		}
		until = endOf(at)
	}
	zone, err := time.LoadLocation(f.zone)
	if err != nil {
		return usageError{fmt.Errorf("segue fit: --zone: got %q, want a time zone such as Europe/London", f.zone)}
	}
	base := models.Default()
	if f.base != "" {
		if base, err = readModels(f.base); err != nil {
			return err
		}
	}
	happened, said, err := f.read(in)
	if err != nil {
		return err
	}
	for _, line := range said {
		fmt.Fprintln(progress, line)
	}
	happened.before(until)
	past := customer.NewPast(base, customer.Plan{Events: len(happened.events), Hold: happened.hold(until), Zone: zone})
	if err := happened.fold(past, progress); err != nil {
		return fmt.Errorf("fit: %w", err)
	}
	set, err := past.Fit(f.id, until, func(line string) { fmt.Fprintln(progress, line) })
	if err != nil {
		return err
	}
	if f.out == "-" {
		_, err = out.Write(set.YAML())
		return err
	}
	if err := os.WriteFile(f.out, set.YAML(), 0o644); err != nil {
		return fmt.Errorf("write models: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s: %s\n", f.out, set.Version)
	return err
}

// read reads what happened, and says what was left out of it.
func (f *fitting) read(in io.Reader) (*storeHistory, []string, error) {
	if f.orders != "" {
		return f.columns.read(f.orders, in)
	}
	h, err := readEvents(f.events, in)
	return h, nil, err
}

// storeHistory is what happened to a store, in order of time.
type storeHistory struct{ events []storeEvent }

type storeEvent struct {
	at    int64
	key   string
	event *schemas.Event
}

func (h *storeHistory) sort() {
	slices.SortStableFunc(h.events, func(a, b storeEvent) int { return cmp.Compare(a.at, b.at) })
}

// before leaves what happened later than until out; 0: nothing did.
func (h *storeHistory) before(until int64) {
	if until != 0 {
		h.events = slices.DeleteFunc(h.events, func(e storeEvent) bool { return e.at > until })
	}
}

// hold is when three quarters of the time have passed.
func (h *storeHistory) hold(until int64) int64 {
	if len(h.events) == 0 {
		return 0
	}
	from, to := h.events[0].at, max(until, h.events[len(h.events)-1].at)
	return from + (to-from)/4*3
}

// fold shows how far it is.
func (h *storeHistory) fold(past *customer.Past, out io.Writer) error {
	p := newProgress(out)
	defer p.end()
	for i, e := range h.events {
		if err := past.Event(e.key, e.at, e.event); err != nil {
			return err
		}
		if i%256 == 0 {
			p.show(func() string { return fmt.Sprintf("folded %d of %s", i, counted(len(h.events), "event", "events")) })
		}
	}
	p.end()
	fmt.Fprintf(out, "%s folded; fitting\n", counted(len(h.events), "event", "events"))
	return nil
}

// readEvents reads events as segue replay takes them. What came in late stands where
// it happened.
func readEvents(path string, in io.Reader) (*storeHistory, error) {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	records, _, err := readReplayed(in, true)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	h := new(storeHistory)
	for _, r := range records {
		e := new(schemas.Event)
		if err := schemas.Decode(r.value, e); err != nil {
			return nil, fmt.Errorf("%s: event of %q: %w", path, r.key, err)
		}
		at := r.at
		if occurred := schemas.Millis(e.GetOccurredAt()); occurred > 0 && at-occurred > schemas.LateAfter {
			at = occurred
		}
		h.events = append(h.events, storeEvent{at, r.key, e})
	}
	h.sort()
	return h, nil
}
