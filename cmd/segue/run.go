package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// station is a processor of the path that this binary can run.
type station struct {
	name string
	does string
	// start builds the station from the configuration; what it returns runs
	// until ctx ends.
	start func(process) (run func(ctx context.Context) error, err error)
}

// process is what the stations of one process share.
type process struct {
	*loaded
	kafka   []kgo.Opt
	log     *slog.Logger
	metrics prometheus.Registerer
	ready   func(ok bool, why string)
	// serveCustomers sets what answers GET /customers/{id}.
	serveCustomers func(http.HandlerFunc)
	// serveDebug sets what answers GET /debug/calls.
	serveDebug func(http.HandlerFunc)
}

func newRunCommand() *cobra.Command {
	var does strings.Builder
	for _, s := range stations {
		fmt.Fprintf(&does, "  %-10s %s\n", s.name, s.does)
	}
	cmd := &cobra.Command{
		Use:   "run STATION...",
		Short: "Run one or more stations in this process",
		Long: `Run one or more stations in this process, until SIGINT or SIGTERM:

` + does.String() + `  all        these together

They need a Kafka 3.6 or later whose topics are there (segue topics create).
With --embedded they bring a broker of their own, made for tests: use it to try
Segue, not in production. It listens at kafka.brokers, so that segue tail and
the other commands find it, and creates the topics by itself.

/metrics, /healthz, /readyz, /customers/{id} and /debug/, which shows a
collector's last calls, are served at admin.listen.`,
		Example: `  segue run all --embedded ./data
  segue run collector --brokers kafka-1:9092,kafka-2:9092
  segue run sender --dry-run                    before the first real mail
  SEGUE_ADMIN_TOKEN=… segue run customer --admin 0.0.0.0:9090 --memory 2GiB`,
		Args: usage(func(cmd *cobra.Command, args []string) error {
			_, err := chosen(args)
			return err
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := load(cmd)
			if err != nil {
				return err
			}
			picked, err := chosen(args)
			if err != nil {
				return err
			}
			return runStations(cmd.Context(), l, picked, cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	settingFlag(flags, "embedded", "kafka.embedded", "`DIR` of a broker inside this process: for trying, not for production")
	settingFlag(flags, "admin", "admin.listen", "`HOST:PORT` of metrics, health, customers and debug")
	settingFlag(flags, "listen", "collector.listen", "`HOST:PORT` of the collector")
	settingFlag(flags, "memory", "customer.memory", "`SIZE` that a process with a customer station may take, as 2GiB")
	settingFlag(flags, "accept-refold", "customer.accept_refold", "decide again what another version had decided before a crash")
	settingFlag(flags, "smtp", "sender.smtp.address", "`HOST:PORT` of the SMTP relay")
	settingFlag(flags, "dry-run", "sender.dry_run", "hand over no mail; all deliveries end as shadowed")
	settingFlag(flags, "only-to", "sender.only_to", "`PATTERN,…` of addresses that get mail, as *@shop.example; others' end as shadowed")
	settingFlag(flags, "log-level", "log.level", "`LEVEL` of the log: debug, info, warn or error")
	return cmd
}

// chosen are the stations of these names, in the order of the path.
func chosen(args []string) ([]station, error) {
	var all []string
	for _, s := range stations {
		all = append(all, s.name)
	}
	all = append(all, "all")
	if len(args) == 0 {
		return nil, fmt.Errorf("segue run: want at least one of %s", strings.Join(all, ", "))
	}
	for _, name := range args {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("segue run: unknown station %q%s", name, didYouMean(name, all))
		}
	}
	return slices.DeleteFunc(slices.Clone(stations), func(s station) bool {
		return !slices.Contains(args, s.name) && !slices.Contains(args, "all")
	}), nil
}

// runStations runs until ctx ends or one of them fails, and waits for all.
func runStations(ctx context.Context, l *loaded, picked []station, logTo io.Writer) error {
	log := l.Log.logger(logTo)
	l.limitMemory(picked)
	admin, err := newAdmin(l.Admin)
	if err != nil {
		return err
	}
	defer admin.listener.Close()
	if l.Kafka.Embedded != "" {
		stop, err := l.embed(ctx)
		if err != nil {
			return err
		}
		defer stop()
		log.Warn("embedded Kafka is for trying Segue, not for production", "dir", l.Kafka.Embedded, "brokers", l.Kafka.Brokers)
	}
	if err := l.checkTopics(ctx, log); err != nil {
		return err
	}
	kafka, err := l.Kafka.options()
	if err != nil {
		return err
	}
	runs := make([]func(context.Context) error, len(picked))
	var errs []error
	for i, s := range picked {
		log := log.With("station", s.name)
		run, err := s.start(process{
			loaded:         l,
			kafka:          append(slices.Clip(kafka), kgo.WithLogger(kafkaLogger(log))),
			log:            log,
			metrics:        prometheus.WrapRegistererWith(prometheus.Labels{"station": s.name}, admin.registry),
			ready:          admin.readiness(s.name),
			serveCustomers: func(h http.HandlerFunc) { admin.customers = h },
			serveDebug:     func(h http.HandlerFunc) { admin.debug = h },
		})
		if err != nil {
			errs = append(errs, ofStation(s.name, err))
		}
		runs[i] = run
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return admin.serve(ctx, log) })
	for i, run := range runs {
		group.Go(func() error {
			if err := run(ctx); err != nil && !(ctx.Err() != nil && errors.Is(err, context.Canceled)) {
				return fmt.Errorf("%s: %w", picked[i].name, err)
			}
			return nil
		})
	}
	log.Info("running", "admin", "http://"+admin.listener.Addr().String())
	return group.Wait()
}

// ofStation says of each of the errors that were joined whose it is.
func ofStation(name string, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s: %w", name, err)
	}
	var errs []error
	for _, err := range joined.Unwrap() {
		errs = append(errs, ofStation(name, err))
	}
	return errors.Join(errs...)
}
