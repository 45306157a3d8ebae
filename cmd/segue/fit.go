package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"segue/processors/customer"
	"segue/processors/model/history"
	"segue/schemas"
	"segue/schemas/models"
)

type fitting struct {
	orders, events, base, out, id, until string
	columns                              churnEvaluation
}

func newFitCommand() *cobra.Command {
	var f fitting
	cmd := &cobra.Command{
		Use:   "fit {--orders FILE | --events FILE} -o FILE",
		Short: "Fit all models to a store's own history",
		Long: `Fit all models to a store's own history, and write them as a file for
"segue models apply". Events teach all of them; orders alone teach churn, value,
the next order and the ranks, and leave the rest as it is.

Orders are CSV, gzipped or not, or Parquet, with a line that names the columns.
Events are as "segue replay" takes them. What is folded, and what the scores see
of it, is what the customer station does: a model is fitted to what it will be
asked.`,
		Example: `  segue fit --orders orders.csv.gz -o models.yaml
  segue tail events --from start --until-end --json > all.jsonl
  segue fit --events all.jsonl -o models.yaml`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.columns.noAmount = !cmd.Flags().Changed("amount")
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
	flags.StringVar(&f.columns.customer, "customer", "customer", "`COLUMN` of the customer, of orders")
	flags.StringVar(&f.columns.date, "date", "date", "`COLUMN` of the date or time, in ISO 8601")
	flags.StringVar(&f.columns.amount, "amount", "amount", "`COLUMN` of the amount; without it money is left out")
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
		until = at.AddDate(0, 0, 1).UnixMilli() - 1
	}
	base := models.Default()
	if f.base != "" {
		var err error
		if base, err = readModels(f.base); err != nil {
			return err
		}
	}
	past := customer.NewPast(base)
	fold := f.foldEvents
	if f.orders != "" {
		fold = f.foldOrders
	}
	n, err := fold(past, in, until)
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "%s folded; fitting\n", counted(n, "event", "events"))
	set, said, err := past.Fit(f.id, until)
	if err != nil {
		return err
	}
	for _, line := range said {
		fmt.Fprintln(progress, line)
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

// foldOrders makes an event of each order; money back is none.
func (f *fitting) foldOrders(past *customer.Past, in io.Reader, until int64) (n int, err error) {
	f.columns.orders = f.orders
	orders, err := f.columns.read(in)
	if err != nil {
		return 0, err
	}
	slices.SortStableFunc(orders, func(a, b history.Order) int { return a.At.Compare(b.At) })
	for _, o := range orders {
		year, month, day := o.At.Date() // as the file's own calendar has it
		clock := o.At.Sub(time.Date(year, month, day, 0, 0, 0, 0, o.At.Location()))
		at := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Add(max(0, min(clock, 24*time.Hour-1))).UnixMilli()
		if o.Amount < 0 || at <= 0 || until != 0 && at > until {
			continue
		}
		n++
		past.Event(o.Customer, at, &schemas.Event{Body: &schemas.Event_Order{Order: &schemas.Order{TotalMicros: int64(o.Amount * 1e6), Free: o.Amount == 0}}})
	}
	return n, nil
}

func (f *fitting) foldEvents(past *customer.Past, in io.Reader, until int64) (n int, err error) {
	if f.events != "-" {
		file, err := os.Open(f.events)
		if err != nil {
			return 0, fmt.Errorf("fit: %w", err)
		}
		defer file.Close()
		in = file
	}
	records, _, err := readReplayed(in)
	if err != nil {
		return 0, err
	}
	for _, r := range records {
		if until != 0 && r.at > until {
			break
		}
		e := new(schemas.Event)
		if err := schemas.Decode(r.value, e); err != nil {
			return 0, fmt.Errorf("fold an event of %q: %w", r.key, err)
		}
		n++
		past.Event(r.key, r.at, e)
	}
	return n, nil
}
