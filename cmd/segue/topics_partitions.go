package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kadm"

	"segue/schemas"
)

// A partition is folded by one core at a time, and moves as a whole. So its share
// is what one core folds with much room to spare, and what is restored or handed
// over in seconds. Both are for years, since the number cannot be changed.
const (
	// eventsPerPartition per second, on average: peaks, and catching up after an
	// outage, take many times that.
	eventsPerPartition = 2_000
	// customersPerPartition of 1 to 2 KB are at most 1 GB of profiles.
	customersPerPartition = 500_000
	// leastPartitions let five stations share the work about evenly.
	leastPartitions = 16
	// mostPartitions of one topic is more than any shop needs; each costs a little
	// in every commit.
	mostPartitions = 1024
)

// expectation is what the partitions are to last for; 0: not said.
type expectation struct {
	customers, eventsPerSecond int64
}

// expected when nobody says more.
var expectedByDefault = expectation{customers: 1_000_000, eventsPerSecond: 200}

func (e *expectation) flags(flags *pflag.FlagSet) {
	flags.Int64Var(&e.customers, "customers", 0, "expect `N` customers, known and anonymous, in a few years")
	flags.Int64Var(&e.eventsPerSecond, "events-per-second", 0, "expect `N` events per second, on average over a day")
}

// choose sets topics.partitions by what is expected, and says why.
func (e *expectation) choose(ctx context.Context, cmd *cobra.Command, l *loaded, cluster *kadm.Client) error {
	if e.customers < 0 || e.eventsPerSecond < 0 {
		return usageError{fmt.Errorf("%s: --customers and --events-per-second: got %d and %d, want positive numbers", cmd.CommandPath(), e.customers, e.eventsPerSecond)}
	}
	said := *e != expectation{}
	if said && cmd.Flags().Changed("partitions") {
		return usageError{fmt.Errorf("%s: got --partitions and what to expect; want one of them", cmd.CommandPath())}
	}
	there, err := listTopics(ctx, cluster, l.Prefix)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if events, ok := there[l.Prefix+schemas.Events]; ok {
		if said {
			fmt.Fprintf(out, "%s has %d partitions, which cannot be changed; what to expect is not asked\n", l.Prefix+schemas.Events, len(events.Partitions))
		}
		return nil
	}
	switch {
	case said:
	case l.from["topics.partitions"] != "default":
		fmt.Fprintf(out, "%d partitions, as %s says\n%s", l.Topics.Partitions, l.from["topics.partitions"], cannotBeChanged)
		return nil
	case isTerminal(cmd.InOrStdin()) && isTerminal(out):
		if err := e.ask(cmd.InOrStdin(), out); err != nil {
			return err
		}
	default:
		fmt.Fprintf(out, "%d partitions, the default; --customers and --events-per-second choose by what to expect\n%s", l.Topics.Partitions, cannotBeChanged)
		return nil
	}
	n, why := e.partitions()
	l.Topics.Partitions = n
	fmt.Fprint(out, why+cannotBeChanged)
	return nil
}

const cannotBeChanged = `This cannot be changed later: a customer's partition is a hash of their id modulo
this number, so with another one their next event would meet an empty profile.
`

// ask asks for what was not said.
func (e *expectation) ask(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	for _, q := range []struct {
		question string
		answer   *int64
		or       int64
	}{
		{"Customers, known and anonymous, in a few years", &e.customers, expectedByDefault.customers},
		{"Events per second, on average over a day", &e.eventsPerSecond, expectedByDefault.eventsPerSecond},
	} {
		fmt.Fprintf(out, "%s [%s]: ", q.question, thousands(int(q.or)))
		text, err := lines.ReadString('\n')
		if err != nil {
			return fmt.Errorf("nothing was made: %w", err)
		}
		text = strings.TrimSpace(text)
		if *q.answer = q.or; text == "" {
			continue
		}
		if *q.answer, err = strconv.ParseInt(strings.NewReplacer(",", "", " ", "").Replace(text), 10, 64); err != nil || *q.answer <= 0 {
			return fmt.Errorf("nothing was made: got %q, want a positive number", text)
		}
	}
	return nil
}

// partitions returns how many, and why. Powers of two: shared by 2, 4 or 8
// stations, they leave none over.
func (e *expectation) partitions() (n int, why string) {
	share := func(of, each int64) int64 { return max(1, (of+each-1)/each) }
	for n = leastPartitions; int64(n) < max(share(e.customers, customersPerPartition), share(e.eventsPerSecond, eventsPerPartition)) && n < mostPartitions; {
		n *= 2
	}
	line := func(of, each int64, what, because string) string {
		if of == 0 {
			return ""
		}
		return fmt.Sprintf("  %s %s want %s: %s each, %s\n", thousands(int(of)), what, thousands(int(share(of, each))), thousands(int(each)), because)
	}
	return n, fmt.Sprintf("%d partitions:\n%s%s  at least %d, so that five stations share about evenly; then powers of two, up to %s\n", n,
		line(e.customers, customersPerPartition, "customers", "since that is restored or handed over at once"),
		line(e.eventsPerSecond, eventsPerPartition, "events/s", "since one core folds it, with room for peaks"),
		leastPartitions, thousands(mostPartitions))
}
