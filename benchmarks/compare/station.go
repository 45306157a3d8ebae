package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/benchmarks/workload"
	"segue/deploy"
	"segue/processors/customer"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// station measures the customer station with the shipped playbook, and how its
// cost grows with segments.
func (b *bench) station(ctx context.Context) error {
	b.title("The customer station", "Two weeks of a shop, read from an empty state to a graceful stop: whole is the process, fold alone is its task in memory, "+
		"encoding and Kafka left out, with the wake-ups that come before a customer's own events.")
	pb, err := shopPlaybook(-1)
	if err != nil {
		return err
	}
	t := table{{"customers", "events", "memory, MiB", "profile, B", "wake-ups/event", "µs CPU/event, whole", "until committed", "second half", "fold alone", "resident, MB", "broker µs/event", "to Kafka, B/event"}}
	whole, alone := line{name: "whole process"}, line{name: "fold alone"}
	where := newCosts()
	for _, l := range b.shops {
		shop := b.shop(l.Customers, l.events)
		file := filepath.Join(b.pictures, "station-"+workload.Count(shop.Customers)+".prof")
		var wholes, committed, warm, folds, peaks, broker, kafka series
		var fold folded
		for range b.rounds {
			c, err := b.runStation(ctx, shop, l.memory, pb, file)
			if err != nil {
				return err
			}
			if fold, err = foldAlone(shop, pb); err != nil {
				return err
			}
			b.progress("station: %v: %s µs/event whole, %s fold alone", shop.Workload, figure(c.whole), figure(fold.cpu))
			wholes, committed, warm, folds = append(wholes, c.whole), append(committed, c.committed), append(warm, c.warm), append(folds, fold.cpu)
			peaks, broker, kafka = append(peaks, c.peak), append(broker, c.broker), append(kafka, c.kafka)
		}
		if err := where.add(ctx, workload.Count(shop.Customers)+" customers", file, shop.Events); err != nil {
			return err
		}
		t.row(workload.Count(shop.Customers), workload.Count(shop.Events), fmt.Sprint(l.memory>>20), figure(fold.profile), figure(fold.wakes), wholes.String(), committed.String(), warm.String(), folds.String(),
			peaks.String(), broker.String(), kafka.String())
		whole.add(float64(shop.Customers), wholes.median())
		alone.add(float64(shop.Customers), folds.median())
	}
	t.write(b.out)
	fmt.Fprintln(b.out, "Where the last round's CPU time went, by profile, as for the plain fold.")
	where.write(b.out)
	if err := b.chart("station-by-customers.svg", "The customer station by customers", "customers", "µs CPU/event", whole, alone); err != nil {
		return err
	}
	return b.bySegments(ctx)
}

func (b *bench) bySegments(ctx context.Context) error {
	t := table{{"segments", "µs CPU/event, whole", "fold alone"}}
	whole, alone := line{name: "whole process"}, line{name: "fold alone"}
	shop := b.shop(20_000, 300_000)
	for _, segments := range []int{1, 10, 100, 1000} {
		pb, err := shopPlaybook(segments)
		if err != nil {
			return err
		}
		c, err := b.runStation(ctx, shop, 1<<30, pb, "")
		if err != nil {
			return err
		}
		fold, err := foldAlone(shop, pb)
		if err != nil {
			return err
		}
		b.progress("station: %d segments: %s µs/event whole, %s fold alone", segments, figure(c.whole), figure(fold.cpu))
		t.row(fmt.Sprint(segments), figure(c.whole), figure(fold.cpu))
		whole.add(float64(segments), c.whole)
		alone.add(float64(segments), fold.cpu)
	}
	t.write(b.out)
	return b.chart("station-by-segments.svg", "The customer station by segments", "segments", "µs CPU/event", whole, alone)
}

// shop ends now, so that nothing is due after it but what is really ahead.
func (b *bench) shop(customers, events int) workload.Shop {
	const weeks = 14 * 24 * time.Hour
	return workload.Shop{Workload: workload.Workload{Seed: b.seed, Customers: customers}, Events: events, Start: time.Now().Add(-weeks), Duration: weeks}
}

// segmentsOf is that part of the shipped playbook.
var segmentsOf = regexp.MustCompile(`(?ms)^segments:\n.*?^journeys:`)

// shopPlaybook is the one that Segue is shipped with, or the same with that many
// segments instead of its own.
func shopPlaybook(segments int) (*playbook.Playbook, error) {
	yaml, files, err := playbook.ReadFS(deploy.Files, deploy.Playbook)
	if err != nil {
		return nil, err
	}
	if segments >= 0 {
		yaml = segmentsOf.ReplaceAllLiteral(yaml, []byte(shopSegments(segments)+"\njourneys:"))
	}
	return playbook.Parse(deploy.Playbook, yaml, files)
}

// shopSegments are of the kinds that a shop has many of: who looks at a product, or
// in a category; who spends, falls silent, drifts away, or only looks.
func shopSegments(n int) string {
	var s strings.Builder
	s.WriteString("segments:\n")
	for i := range n {
		kind, k := i%6, i/6
		product, window := fmt.Sprintf("p%03d", 1+k%199), 1+k%14
		enter := [...]string{
			fmt.Sprintf("views.of_product(%q, days(%d)) >= 2 && orders.of_product(%q) == 0", product, window, product),
			fmt.Sprintf("views.in_category('category-%d', days(%d)) >= %d", k%4, window, 2+k%20),
			fmt.Sprintf("orders.spent(days(%d)) >= money(%d)", window, 25*(1+k%40)),
			fmt.Sprintf("orders.count >= %d && since(last.order) > days(%d)", 1+k%5, 1+k%30),
			fmt.Sprintf("scores.churn >= 0.%02d && orders.value >= money(%d)", 10+k%80, 25*(1+k%40)),
			fmt.Sprintf("views.within(days(%d)) >= %d && orders.within(days(30)) == 0", window, 3+k%20),
		}[kind]
		fmt.Fprintf(&s, "  segment-%d: {enter: \"%s\"}\n", i, strings.ReplaceAll(enter, `"`, `'`))
	}
	return s.String()
}

// runStation writes a shop's events to topics of their own, and runs the station
// over them, profiled to a file unless that is "".
func (b *bench) runStation(ctx context.Context, shop workload.Shop, memory int64, pb *playbook.Playbook, file string) (cost, error) {
	prefix := b.id("run") + "-"
	topics, err := b.createTopics(ctx, prefix, b.cluster.partitions, true)
	if err != nil {
		return cost{}, err
	}
	if err := b.putInForce(ctx, prefix, pb, b.cluster.partitions, shop.Start); err != nil {
		return cost{}, err
	}
	if err := b.produceShop(ctx, prefix, shop); err != nil {
		return cost{}, err
	}
	ends, err := b.cluster.ends(ctx, prefix+schemas.Events)
	if err != nil {
		return cost{}, err
	}
	r := run{id: prefix, load: load{Workload: shop.Workload, topic: prefix + schemas.Events, memory: memory}, profile: file}
	c, _, err := b.measured(ctx, station, r, total(ends), prefix+schemas.SegmentChanges, prefix+schemas.Scores, prefix+schemas.Deliveries, prefix+schemas.DeadLetters)
	if err != nil {
		return c, err
	}
	dead, err := b.cluster.ends(ctx, prefix+schemas.DeadLetters)
	if err != nil {
		return c, err
	}
	if n := total(dead); n > 0 {
		return c, fmt.Errorf("%s%s holds %d records, want none: every event of the workload can be folded", prefix, schemas.DeadLetters, n)
	}
	if err := os.RemoveAll(b.folder(r.id)); err != nil {
		return c, err
	}
	return c, b.cluster.drop(ctx, topics...)
}

// createTopics makes all topics, under names of their own; virtual: records carry
// the time that their producers say.
func (b *bench) createTopics(ctx context.Context, prefix string, partitions int32, virtual bool) (names []string, err error) {
	for _, topic := range schemas.Topics {
		n := int32(1)
		if topic.Partitioned {
			n = partitions
		}
		if err := b.cluster.create(ctx, n, topic.Config(virtual), prefix+topic.Name); err != nil {
			return names, err
		}
		names = append(names, prefix+topic.Name)
	}
	return names, nil
}

func (b *bench) produceShop(ctx context.Context, prefix string, shop workload.Shop) error {
	return b.cluster.produceAll(ctx, func(yield func(*kgo.Record) bool) {
		for act := range shop.All {
			if !yield(&kgo.Record{Topic: prefix + schemas.Events, Key: workload.Key(act.Customer), Timestamp: act.At, Value: schemas.Encode(act.Event)}) {
				return
			}
		}
	})
}

// putInForce publishes a playbook, and puts it in force in every partition.
func (b *bench) putInForce(ctx context.Context, prefix string, pb *playbook.Playbook, partitions int32, at time.Time) error {
	version := &kgo.Record{Topic: prefix + schemas.Playbooks, Key: []byte(pb.Version), Value: schemas.Encode(pb.Message())}
	if err := b.cluster.client.ProduceSync(ctx, version).FirstErr(); err != nil {
		return err
	}
	manual, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.brokers), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer manual.Close()
	for p := range partitions {
		inForce := &kgo.Record{Topic: prefix + schemas.Events, Partition: p, Timestamp: at,
			Value: schemas.Encode(&schemas.Event{Body: &schemas.Event_Playbook{Playbook: &schemas.PlaybookInForce{Version: pb.Version}}})}
		if err := manual.ProduceSync(ctx, inForce).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

// folded is what the task alone took.
type folded struct {
	cpu     float64 // µs per event
	wakes   float64 // wake-ups per event
	profile float64 // bytes, when all was folded
}

// foldAlone folds a shop's events in this process.
func foldAlone(shop workload.Shop, pb *playbook.Playbook) (f folded, err error) {
	task := customer.NewTask(onlyPlaybook{pb}, customer.TaskOptions{Salt: "benchmark"})
	if err := task.Load(context.Background(), pb.Version); err != nil {
		return f, err
	}
	type event struct {
		customer int
		at       int64
		value    []byte
	}
	type known struct {
		profile *profile.Profile
		next    int64
	}
	const batch = 50_000
	var events []event
	customers := make([]known, shop.Customers)
	var took time.Duration // of CPU, with the garbage that it makes
	wakes := 0
	fold := func() error {
		began, err := usageOf(os.Getpid())
		if err != nil {
			return err
		}
		for _, e := range events {
			k := &customers[e.customer]
			if k.profile == nil {
				k.profile = task.New(string(workload.Key(e.customer)))
			}
			for k.next != 0 && k.next < e.at {
				due := k.next
				wakes++
				if _, k.next, err = task.Advance(k.profile, stream.Input{Key: k.profile.Customer, Now: due, Offset: -1, Version: pb.Version}); err != nil {
					return err
				}
			}
			if _, k.next, err = task.Advance(k.profile, stream.Input{Key: k.profile.Customer, Now: e.at, Value: e.value, Version: pb.Version}); err != nil {
				return err
			}
		}
		ended, err := usageOf(os.Getpid())
		took += ended.cpu - began.cpu
		events = events[:0]
		return err
	}
	for act := range shop.All {
		events = append(events, event{act.Customer, act.At.UnixMilli(), schemas.Encode(act.Event)})
		if len(events) == batch {
			if err := fold(); err != nil {
				return f, err
			}
		}
	}
	if err := fold(); err != nil {
		return f, err
	}
	total, met := 0, 0
	for _, k := range customers {
		if k.profile != nil {
			total += len(task.Encode(nil, k.profile))
			met++
		}
	}
	n := float64(shop.Events)
	return folded{float64(took.Nanoseconds()) / 1e3 / n, float64(wakes) / n, float64(total) / float64(met)}, nil
}

// onlyPlaybook is a shelf with one playbook.
type onlyPlaybook struct{ pb *playbook.Playbook }

// Playbook returns it, whatever version is asked for.
func (o onlyPlaybook) Playbook(context.Context, string) (*playbook.Playbook, error) {
	return o.pb, nil
}
