package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newDeadLettersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead-letters",
		Short: "See what could not be processed, and put it back",
		Long: `See what could not be processed, and put it back once its cause is gone.

A letter is a record that a station could not take, byte for byte, with the
reason. It is named by its number, which is its offset in dead-letters. The
customer's other records went on without it.`,
		Example: `  segue dead-letters list --since 24h
  segue dead-letters show 17
  segue dead-letters retry 17`,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	cmd.AddCommand(newDeadLettersListCommand(), newDeadLettersShowCommand(), newDeadLettersRetryCommand())
	return cmd
}

// choice says which letters are meant. The zero value means all.
type choice struct {
	customer string
	topic    string
	reason   string
	since    since
}

func (c *choice) flags(flags *pflag.FlagSet) {
	flags.StringVar(&c.customer, "customer", "", "only those of this `CUSTOMER`")
	flags.StringVar(&c.topic, "topic", "", "only those that came from this `TOPIC`, as events")
	flags.StringVar(&c.reason, "reason", "", "only those whose reason holds this `TEXT`")
	flags.Var(&c.since, "since", "only those since then: a `TIME`, or how long ago, as 24h")
}

func (c *choice) has(l deadLetter) bool {
	return (c.customer == "" || c.customer == l.Customer) &&
		(c.topic == "" || c.topic == l.Topic) &&
		strings.Contains(l.Reason, c.reason) &&
		!l.At.Before(c.since.time)
}

// since is an instant, given as such or as how long ago it was.
type since struct {
	text string
	time time.Time
}

func (s *since) String() string { return s.text }
func (s *since) Type() string   { return "time" }
func (s *since) Set(text string) error {
	ago, err := time.ParseDuration(text)
	if s.text, s.time = text, time.Now().Add(-ago); err == nil && ago >= 0 {
		return nil
	}
	if s.time, err = time.Parse(time.RFC3339, text); err != nil {
		return errors.New("want a time such as 2026-03-29T12:00:00Z, or how long ago it was, such as 24h")
	}
	return nil
}

func newDeadLettersListCommand() *cobra.Command {
	var which choice
	var limit int
	var putBack, asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Print a line per letter, the newest last",
		Long: `Print a line per letter, the newest last: its number, when it was given up, the
topic, partition and offset that it came from, its customer and the reason. What
was put back is left out, unless asked for.`,
		Example: `  segue dead-letters list
  segue dead-letters list --customer ada --since 24h
  segue dead-letters list --reason unmarshal --put-back --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			letters, err := loadLetters(cmd)
			if err != nil {
				return err
			}
			var listed []deadLetter
			for _, l := range letters {
				if which.has(l) && (putBack || l.PutBack == nil) {
					listed = append(listed, l)
				}
			}
			if limit > 0 {
				listed = listed[max(0, len(listed)-limit):]
			}
			return printLetters(cmd.OutOrStdout(), listed, asJSON)
		},
	}
	which.flags(cmd.Flags())
	cmd.Flags().IntVar(&limit, "limit", 0, "only the newest `N`")
	cmd.Flags().BoolVar(&putBack, "put-back", false, "also those that were put back")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object per letter")
	return cmd
}

// loadLetters reads the letters of the configured cluster.
func loadLetters(cmd *cobra.Command) ([]deadLetter, error) {
	l, err := load(cmd)
	if err != nil {
		return nil, err
	}
	client, err := l.Kafka.client(cmd.Context(), fromStart(lettersTopic(l.Prefix))...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return readLetters(cmd.Context(), client, l.Prefix)
}

func printLetters(out io.Writer, letters []deadLetter, asJSON bool) error {
	if asJSON {
		for _, l := range letters {
			if err := writeJSON(out, l); err != nil {
				return err
			}
		}
		return nil
	}
	if len(letters) == 0 {
		_, err := fmt.Fprintln(out, "no dead letters")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LETTER\tAT\tFROM\tCUSTOMER\tREASON")
	for _, l := range letters {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s%s\n", l.Number, l.At.Format(time.RFC3339), l.place(),
			textOr(onOneLine(l.Customer), "-"), onOneLine(l.Reason), l.fate(" (", ")"))
	}
	return w.Flush()
}

// fate says when the letter was put back, or that it cannot be, between before
// and after; or nothing.
func (l *deadLetter) fate(before, after string) string {
	switch {
	case l.isWakeUp():
		return before + "cannot be put back" + after
	case l.PutBack == nil:
		return ""
	}
	return before + "put back " + l.PutBack.Format(time.RFC3339) + after
}

func newDeadLettersShowCommand() *cobra.Command {
	var raw, asJSON bool
	cmd := &cobra.Command{
		Use:   "show LETTER",
		Short: "Print all of one letter, its value decoded if it can be",
		Example: `  segue dead-letters show 17
  segue dead-letters show 17 --raw > record.bin`,
		Args: takes("LETTER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			numbers, err := letterNumbers(args)
			if err != nil {
				return err
			}
			letters, err := loadLetters(cmd)
			if err != nil {
				return err
			}
			found, err := lettersNumbered(letters, numbers)
			if err != nil {
				return err
			}
			if raw {
				_, err := cmd.OutOrStdout().Write(found[0].record.Value)
				return err
			}
			return found[0].show(cmd.OutOrStdout(), asJSON)
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "the record's value alone, byte for byte")
	cmd.Flags().BoolVar(&asJSON, "json", false, `one JSON object, with "value" decoded and "bytes" in base64`)
	return cmd
}

func (l *deadLetter) show(out io.Writer, asJSON bool) error {
	value, err := decoded(l.Topic, l.record.Value)
	if asJSON {
		problem := ""
		if err != nil {
			problem = err.Error()
		}
		return writeJSON(out, struct {
			deadLetter
			Value   json.RawMessage `json:"value,omitempty"`
			Problem string          `json:"problem,omitempty"`
			Bytes   []byte          `json:"bytes"`
		}{*l, value, problem, l.record.Value})
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "letter\t%d, given up %s%s\n", l.Number, l.At.Format(time.RFC3339), l.fate(", ", ""))
	fmt.Fprintf(w, "from\t%s, recorded %s\n", l.place(), l.Recorded.Format(time.RFC3339))
	fmt.Fprintf(w, "customer\t%s\n", textOr(onOneLine(l.Customer), "-"))
	fmt.Fprintf(w, "reason\t%s\n", onOneLine(l.Reason))
	switch {
	case l.isWakeUp():
		fmt.Fprintf(w, "value\tnone: this is a wake-up that failed, not a record\n")
	case err != nil:
		fmt.Fprintf(w, "value\t%d bytes, not decoded: %v\n\t%.4000q\n", len(l.record.Value), err, l.record.Value)
	default:
		fmt.Fprintf(w, "value\t%s\n", value)
	}
	return w.Flush()
}

func newDeadLettersRetryCommand() *cobra.Command {
	var r retrying
	cmd := &cobra.Command{
		Use:   "retry [LETTER...]",
		Short: "Put letters back where they came from, once each",
		Long: `Put letters back where they came from: as new records of the same topic, with
the same key and value, byte for byte. Choose them by number, or as for list.
A letter is put back once: it and the note that says so are one transaction, and
from then on list leaves it out. What fails again becomes a new letter.

What is put back comes late: what it says happened counts from then and, when
that is over 15 minutes ago, starts nothing. A letter whose record was folded
and only its output failed folds once more; within a day its id prevents that.
A wake-up that failed is no record, and stays: the customer's next record, or
the next playbook, decides instead.`,
		Example: `  segue dead-letters retry 17 18
  segue dead-letters retry --reason unmarshal --since 24h --dry-run
  segue dead-letters retry --topic events --yes`,
		Args: usage(func(cmd *cobra.Command, args []string) error {
			if _, err := letterNumbers(args); err != nil {
				return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			numbers, err := letterNumbers(args)
			if err != nil {
				return err
			}
			r.numbers = numbers
			if chosen := r.which != (choice{}); chosen == (len(numbers) > 0) {
				return usageError{fmt.Errorf("%s: want either letters by number, or which: --customer, --topic, --reason, --since", cmd.CommandPath())}
			}
			l, err := load(cmd)
			if err != nil {
				return err
			}
			return r.run(cmd.Context(), l, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	r.which.flags(cmd.Flags())
	cmd.Flags().BoolVar(&r.dryRun, "dry-run", false, "print what would be put back, and leave it")
	cmd.Flags().BoolVar(&r.yes, "yes", false, "do not ask")
	return cmd
}

// letterNumbers reads arguments that name letters.
func letterNumbers(args []string) (numbers []int64, err error) {
	for _, arg := range args {
		n, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || n < 0 {
			return nil, usageError{fmt.Errorf("got %q, want the number of a letter, as segue dead-letters list prints it", arg)}
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}
