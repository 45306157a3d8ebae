package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/benchmarks/fold"
	"segue/benchmarks/workload"
	"segue/processors/customer"
	"segue/processors/sender"
	"segue/processors/stream"
	"segue/schemas/link"
)

// childIfAsked does not return when this process is an engine's.
func childIfAsked() {
	if len(os.Args) < 3 || os.Args[1] != "child" {
		return
	}
	if err := runChild(os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// runChild is an engine of ours in a process of its own, until SIGTERM.
func runChild(kind string, args []string) (err error) {
	flags := flag.NewFlagSet("child", flag.ExitOnError)
	var (
		customers = flags.Int("customers", 0, "")
		brokers   = flags.String("brokers", "", "")
		id        = flags.String("id", "", "")
		input     = flags.String("input", "", "")
		dir       = flags.String("dir", "", "")
		pads      = flags.Int("pads", 0, "")
		memory    = flags.Int64("memory", 0, "")
		commit    = flags.Duration("commit", 0, "")
		storm     = flags.Int64("storm", 0, "")
		profile   = flags.String("profile", "", "")
		via       = flags.String("via", "", "")
		mails     = flags.String("mails", "", "")
		conns     = flags.Int("connections", 0, "")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	// As the segue binary divides what customer.memory gives.
	runtime := *memory / 4 * 3
	if *memory > 0 {
		debug.SetMemoryLimit(*memory / 16 * 13)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector())
	stopTelling, err := tell(*dir+"."+kind, registry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopTelling()) }()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	// The peer does not compress, and neither do we here.
	kafka := []kgo.Opt{kgo.SeedBrokers(*brokers), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MetadataMinAge(100 * time.Millisecond)}
	if *via != "" {
		kafka = append(kafka, kgo.Dialer(func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, *via)
		}))
	}
	switch kind {
	case "bare":
		states, err := fold.Bare(ctx, kafka, *id, *input, *pads)
		if err != nil {
			return err
		}
		answers := workload.NewAnswers(*customers)
		for key, s := range states {
			customer, err := workload.Customer([]byte(key))
			if err != nil {
				return err
			}
			answers.State(customer, s.Append(nil))
		}
		_, digest := answers.Digest()
		fmt.Printf("%016x", digest)
		return nil
	case "segue":
		p, err := stream.New(stream.Config[workload.State, int64]{
			Task: &fold.Task{Outputs: *id + "-outputs", Pads: *pads, StormAt: *storm}, Name: *id, Instance: "one",
			Input: *input, Profiles: *id + "-profiles", DeadLetters: *id + "-outputs",
			Dir: *dir, Memory: runtime, Kafka: kafka, Log: log, CommitInterval: *commit, Metrics: registry,
		})
		if err != nil {
			return err
		}
		return p.Run(ctx)
	case "station":
		s, err := customer.New(customer.Config{
			Kafka: kafka, Prefix: *id, Instance: "one", Dir: *dir, Memory: runtime, Salt: "benchmark", Log: log, Metrics: registry, CommitInterval: *commit,
		})
		if err != nil {
			return err
		}
		return s.Run(ctx)
	case "sender":
		keys, err := link.NewKeys("a secret that is long enough")
		if err != nil {
			return err
		}
		s, err := sender.New(sender.Config{
			Kafka: kafka, Prefix: *id, Instance: "one", SMTP: sender.SMTP{Addr: *mails, Connections: *conns},
			PublicURL: "https://t.shop.example", Links: keys, Log: log, Metrics: registry,
		})
		if err != nil {
			return err
		}
		return s.Run(ctx)
	}
	return fmt.Errorf("got child %q, want segue, bare, station or sender", kind)
}
