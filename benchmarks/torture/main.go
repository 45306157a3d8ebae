// Command torture kills Segue under load, and then reads every topic to say
// what that did.
//
//	seed → load ─▶ events ─▶ customer stations ─▶ deliveries ─▶ sender ─SMTP─▶ inbox
//	seed → SIGKILL of stations, the sender and the broker
//	every topic ─▶ check: the fold over the whole log, by one reader, is right
//
// All are real: Apache Kafka (deploy/kafka/run), processes of the segue binary as
// static members of one group with folders of their own, and mails over SMTP.
// Some of the killed come back at once, some after their partitions have moved
// on, some without their disk. Midway another playbook is put in force.
//
//	make torture KILLS=1000
//	go run ./benchmarks/torture -kills 50 -seed 7 -dir /tmp/evidence
//
// It ends with the counts that must be zero: outputs lost, repeated, out of order
// or that nothing caused; profiles that differ; deliveries without an outcome, or
// with two; mails that came twice. A run that finds something keeps its folder
// (logs of every life, Kafka's data, and the topics as text), and says which
// seed. The seed repeats who does what and who is killed; the moments are the
// machine's.
//
// Not obvious: a broker that is killed loses nothing that it acknowledged, since
// the pages that it wrote are the kernel's; a machine's death is what simulations
// are for. It stays down until its controller, which is never killed, has noticed. What the customer stations have not folded when they stop is not
// compared. In-doubt mails are allowed: what was in hand at a kill, of the sender
// or of the broker that was to hear of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options of a run.
type options struct {
	kills      int
	every      time.Duration
	rate       int
	customers  int
	partitions int
	stations   int
	seed       uint64
	segue      string
	kafka      string
	dir        string
	keep       bool
}

func parse(args []string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.IntVar(&o.kills, "kills", 20, "kill `N` times")
	flags.DurationVar(&o.every, "kill-every", 3*time.Second, "`TIME` between kills, on average")
	flags.IntVar(&o.rate, "rate", 300, "write `N` events a second")
	flags.IntVar(&o.customers, "customers", 1000, "`N` customers, besides guests")
	flags.IntVar(&o.partitions, "partitions", 6, "`N` partitions of events")
	flags.IntVar(&o.stations, "stations", 3, "`N` customer stations")
	flags.Uint64Var(&o.seed, "seed", 0, "`N` that events and victims follow from; 0: another each time")
	flags.StringVar(&o.segue, "segue", "", "`FILE` of the segue binary; default: built from ./cmd/segue")
	flags.StringVar(&o.kafka, "kafka", "deploy/kafka/run", "`FILE` that starts a broker")
	flags.StringVar(&o.dir, "dir", "", "`DIR` of the run, not there yet; default: a temporary one")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder of a run that found nothing, too")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("torture: got argument %q, want flags only", flags.Arg(0))
	case o.kills < 0 || o.rate < 1 || o.customers < 1 || o.partitions < 1 || o.stations < 1 || o.every <= 0:
		err = errors.New("torture: want -kills of 0 or more, and the other numbers positive")
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	return o, err
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	found, err := run(ctx, o, os.Stdout)
	stop()
	switch {
	case errors.Is(err, context.Canceled):
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	case found > 0:
		os.Exit(1)
	}
}
