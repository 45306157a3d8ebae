// Command collector measures how many events the collector acknowledges, how
// soon, and at what cost, and counts that Kafka has each of them once:
//
//	deploy/kafka/run go run ./benchmarks/collector
//
//	load ─HTTP─▶ collector, a process of its own ─▶ events, counted at the end
//
// Not obvious: load, collector and broker share the machine, so that what is
// measured is less than what the collector could do alone; its CPU an event is
// what does not depend on that. A latency with a rate is from the moment when the
// call was due, however late the load was.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"
)

func main() {
	childIfAsked()
	lasts := flag.Duration("lasts", 10*time.Second, "how long each load lasts")
	brokers := flag.String("brokers", os.Getenv("SEGUE_TEST_BROKERS"), "`HOST:PORT,…` of Kafka")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, strings.Split(*brokers, ","), *lasts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// measure prints a table, a row for each load.
func measure(ctx context.Context, seeds []string, lasts time.Duration) error {
	if seeds[0] == "" {
		return errors.New("no Kafka; want deploy/kafka/run go run ./benchmarks/collector, or -brokers")
	}
	fmt.Printf("%s, %s/%s, %d cores for load, collector and broker (%s); one broker, acks all, 16 partitions; %v each after a second of warm-up\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor(), lasts)
	fmt.Println("| events a call | connections | calls a second | events/s acknowledged | p50 | p99 | p99.9 | most | µs CPU an event | memory | lost | twice |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, l := range []load{
		{events: 1, connections: 64},
		{events: 1, connections: 64, rate: 2000},
		{events: 1, connections: 512},
		{events: 20, connections: 32},
		{events: 20, connections: 32, rate: 250},
		{events: 500, connections: 8},
	} {
		l.warm, l.lasts = time.Second, lasts
		if err := l.row(ctx, seeds); err != nil {
			return err
		}
	}
	return nil
}

func (l load) row(ctx context.Context, seeds []string) (err error) {
	s, b, c, err := l.measure(ctx, setup{Brokers: seeds, Prefix: fmt.Sprintf("load-%d-", time.Now().UnixNano())})
	if err != nil {
		return err
	}
	rate := "as many as are answered"
	if l.rate > 0 {
		rate = fmt.Sprint(l.rate)
	}
	fmt.Printf("| %d | %d | %s | %.0f | %.1f ms | %.1f ms | %.1f ms | %.1f ms | %.1f | %d MB | %d | %d |\n", l.events, l.connections, rate,
		float64(s.acknowledged)/s.lasted.Seconds(), ms(s.quantile(0.5)), ms(s.quantile(0.99)), ms(s.quantile(0.999)), ms(s.quantile(1)),
		float64(c.cpu.Microseconds())/float64(b.events), c.memory/1e6, b.lost, b.twice)
	if b.lost+b.twice+b.unasked > 0 {
		return fmt.Errorf("what was answered is not what Kafka holds: %+v", b)
	}
	return nil
}

// measure sends a load to a collector of its own, and counts.
func (l load) measure(ctx context.Context, as setup) (s *sent, b balance, c cost, err error) {
	k, err := open(ctx, as.Brokers, as.Prefix, 16)
	if err != nil {
		return nil, b, c, err
	}
	defer func() { err = errors.Join(err, k.close(context.WithoutCancel(ctx))) }()
	collector, err := start(as)
	if err != nil {
		return nil, b, c, err
	}
	s, err = l.run(ctx, collector.addr, "c")
	var ended error
	if c, ended = collector.stop(); err != nil || ended != nil {
		return nil, b, c, errors.Join(err, ended)
	}
	b, err = k.balance(ctx, s)
	return s, b, c, err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// processor is what the machine calls its own.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // elsewhere there is none
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "an unknown processor"
}
