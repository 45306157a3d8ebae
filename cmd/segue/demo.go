package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"segue/benchmarks/storefront"
)

// demo is a shop's year in one process, in virtual time.
type demo struct {
	data    string
	speed   float64
	seed    uint64
	until   string
	mailDir string
	inbox   string
	logFile string
	exit    bool
}

// defaultSpeed lets a year pass in about a minute.
const defaultSpeed = 500_000

// defaultInbox is where the pages are, if that port is free.
const defaultInbox = "localhost:8025"

func newDemoCommand() *cobra.Command {
	d := &demo{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a shop's year pass in a minute, with nothing but this binary",
		Long: `Replay a real shop's year through every station, in one process: a broker made
for tests, the collector, the customer station, the sender, an inbox, and a
storefront with its shoppers. Orders and cancellations are those of UCI Online
Retail (CC BY 4.0) at their real moments, of a few hundred of its customers or,
with --data, of all. What shoppers do around them is simulated from a seed.

Time is virtual: one clock for all stations, which moves on when the present
instant is quiet. Every mail can be read, as it looks and with its reason. At
the end the log is held against what Segue promises; a broken promise is printed
and fails the command.`,
		Example: `  segue demo
  segue demo --speed 3600 --until 2010-12-24     an hour a second, to Christmas
  segue demo --data online_retail.csv.gz --exit`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return d.run(cmd.Context(), cmd.OutOrStdout(), cmd.Flags().Changed("inbox"))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&d.data, "data", "", "`FILE` of Online Retail as CSV, gzipped or not, in place of the embedded part")
	flags.Float64Var(&d.speed, "speed", defaultSpeed, "at most `N` virtual seconds per second; 0 is as fast as it goes")
	flags.Uint64Var(&d.seed, "seed", 1, "`N` that all shoppers are simulated from")
	flags.StringVar(&d.until, "until", "", "end the shop's year before this `DAY`, as 2011-03-01")
	flags.StringVar(&d.mailDir, "mail-dir", "", "also write each mail into `DIR`, as .eml")
	flags.StringVar(&d.inbox, "inbox", defaultInbox, "`HOST:PORT` of the pages that show each mail")
	flags.StringVar(&d.logFile, "log", "", "write what the stations log into `FILE`")
	flags.BoolVar(&d.exit, "exit", false, "stop at the end of the data, rather than keep the pages up until Ctrl-C")
	return cmd
}

func (d *demo) run(ctx context.Context, out io.Writer, inboxChosen bool) error {
	until, err := d.lastDay()
	if err != nil {
		return err
	}
	if d.speed < 0 {
		return usageError{fmt.Errorf("--speed: got %v, want 0 or more", d.speed)}
	}
	lines := storefront.Cut()
	if d.data != "" {
		file, err := os.Open(d.data)
		if err != nil {
			return fmt.Errorf("--data: %w", err)
		}
		defer file.Close()
		lines = file
	}
	stage, err := d.open(ctx, lines, until, inboxChosen)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer stage.close()

	err = stage.play(ctx, out)
	switch {
	case ctx.Err() != nil: // whatever err says, it is of stopping
		fmt.Fprintf(out, "stopped at %s; promises are checked at the end of the year\n", stage.clock.Now().In(stage.zone).Format(time.DateTime))
		return nil
	case err != nil:
		return fmt.Errorf("demo: %w", err)
	}
	broken, err := stage.sum(ctx, out)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if !d.exit {
		fmt.Fprintf(out, "\nEvery mail is at %s until Ctrl-C.\n", stage.inbox.URL())
		if err := stage.wait(); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	if broken > 0 {
		return fmt.Errorf("demo: %d promises were broken", broken)
	}
	return nil
}

func (d *demo) lastDay() (time.Time, error) {
	if d.until == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, d.until)
	if err != nil {
		return time.Time{}, usageError{fmt.Errorf("--until: got %q, want a day such as 2011-03-01", d.until)}
	}
	return day, nil
}
