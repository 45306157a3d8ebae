package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/benchmarks/workload"
)

// cost is what a run over a whole load took. Per event, in microseconds, where
// it says so.
type cost struct {
	whole     float64 // CPU from start to end: start-up and the graceful stop too
	committed float64 // CPU until the last event was committed
	warm      float64 // CPU of the second half, until the last event was committed
	rate      float64 // events/s, second half
	peak      float64 // MB resident
	broker    float64 // CPU of the broker
	kafka     float64 // bytes to Kafka
	disk      float64 // bytes to disk, by the process's own account
	folder    float64 // MB of state when it ended
}

// overall runs an engine over a load, from an empty state to a graceful stop,
// and checks its answers.
func (b *bench) overall(ctx context.Context, e engine, r run) (cost, error) {
	if err := b.prepare(ctx, e, r); err != nil {
		return cost{}, err
	}
	c, p, err := b.measured(ctx, e, r, int64(r.load.events), r.outputs())
	if err == nil {
		err = b.check(ctx, e, r, p)
	}
	if err != nil {
		return c, fmt.Errorf("%s on %v: %w", e.name, r.load, err)
	}
	return c, b.forget(ctx, e, r)
}

// measured runs an engine until everything in the load's topic is committed.
func (b *bench) measured(ctx context.Context, e engine, r run, events int64, outputs ...string) (c cost, p *process, err error) {
	topics := append(outputs, e.states(r.id), "__consumer_offsets", "__transaction_state")
	sizeBefore, err := b.cluster.size(ctx, topics...)
	if err != nil {
		return c, nil, err
	}
	brokerBefore, err := usageOf(b.cluster.pid)
	if err != nil {
		return c, nil, err
	}
	if p, err = b.start(e, r); err != nil {
		return c, nil, err
	}
	defer p.kill()

	type moment struct {
		at     time.Time
		cpu    time.Duration
		events int64
	}
	var half, end moment
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for end.events == 0 {
		select {
		case <-ctx.Done():
			return c, p, ctx.Err()
		case <-look.C:
		}
		if err := p.alive(); err != nil {
			return c, p, err
		}
		offsets, err := b.cluster.committed(ctx, e.group(r.id), r.load.topic)
		if err != nil {
			return c, p, err
		}
		now := moment{time.Now(), p.usage().cpu, total(offsets)}
		if half.events == 0 && now.events >= events/2 {
			half = now
		}
		if now.events >= events {
			end = now
		}
	}
	folder, err := sizeOf(b.folder(r.id))
	if err != nil {
		return c, p, err
	}
	last, err := p.stop()
	if err != nil {
		return c, p, err
	}
	brokerAfter, err := usageOf(b.cluster.pid)
	if err != nil {
		return c, p, err
	}
	sizeAfter, err := b.cluster.size(ctx, topics...)
	if err != nil {
		return c, p, err
	}

	perEvent := func(d time.Duration, n int64) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }
	c = cost{
		warm: math.NaN(), rate: math.NaN(),
		whole: perEvent(last.cpu, events), committed: perEvent(end.cpu, events),
		peak: float64(last.peak) / 1e6, broker: perEvent(brokerAfter.cpu-brokerBefore.cpu, events),
		kafka: float64(sizeAfter-sizeBefore) / float64(events), disk: float64(last.written) / float64(events), folder: float64(folder) / 1e6,
	}
	// Whoever is through before it is looked at twice has no second half.
	if rest := end.events - half.events; rest > 0 {
		c.warm, c.rate = perEvent(end.cpu-half.cpu, rest), float64(rest)/end.at.Sub(half.at).Seconds()
	}
	return c, p, nil
}

// check compares a run's answers with what the load asks for.
func (b *bench) check(ctx context.Context, e engine, r run, p *process) error {
	wantOutputs, wantStates := r.load.want.Digest()
	topic := e.states(r.id)
	if topic == "" {
		if got, want := p.stdout.String(), fmt.Sprintf("%016x", wantStates); got != want {
			return fmt.Errorf("digest of the states: got %s, want %s", got, want)
		}
		return nil
	}
	got := workload.NewAnswers(r.load.Customers)
	// What our runtime notes of a customer stands before the state.
	state := func(customer int, value []byte) { got.State(customer, value[max(0, len(value)-r.load.stateBytes()):]) }
	for topic, into := range map[string]func(int, []byte){r.outputs(): got.Output, topic: state} {
		err := b.cluster.read(ctx, topic, func(r *kgo.Record) error {
			customer, err := workload.Customer(r.Key)
			if err == nil {
				into(customer, r.Value)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if outputs, states := got.Digest(); outputs != wantOutputs || states != wantStates {
		return fmt.Errorf("answers: got %d outputs and %d states with digests %016x and %016x, want %d and %d with %016x and %016x",
			got.Outputs, got.States, outputs, states, r.load.want.Outputs, r.load.want.States, wantOutputs, wantStates)
	}
	return nil
}

// throughput alternates the engines over each load.
func (b *bench) throughput(ctx context.Context) error {
	b.title("Side by side", "Each engine folds the same topic from an empty state; they take turns. Warm is the second half, "+
		"whole is from start to end with the graceful stop, in which we bring to disk and to profiles what was only in memory. "+
		"Outputs and states were compared with the load's own: equal in every run, or this would have stopped. "+
		"min / **median** / max of the rounds.")
	for i := range b.loads {
		l := &b.loads[i]
		if err := l.produce(ctx, b.cluster, b.id("load")); err != nil {
			return err
		}
		if err := b.sideBySide(ctx, *l); err != nil {
			return err
		}
		if err := b.cluster.drop(ctx, l.topic); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) sideBySide(ctx context.Context, l load) error {
	engines := []engine{segue, uncached, cached, bare}
	costs := make([][]cost, len(engines))
	better := -1 // of the two settings of Kafka Streams, once both ran
	for round := range b.rounds {
		for i := range engines {
			at := (i + round) % len(engines)
			if (at == 1 || at == 2) && better > 0 && at != better {
				continue
			}
			c, err := b.overall(ctx, engines[at], run{id: b.id("run"), load: l})
			if err != nil {
				return err
			}
			b.progress("%v: round %d: %s %s µs/event whole, %s warm", l, round+1, engines[at].name, figure(c.whole), figure(c.warm))
			costs[at] = append(costs[at], c)
		}
		if better < 0 {
			better = 1
			if costs[2][0].warm < costs[1][0].warm {
				better = 2
			}
		}
	}

	columns := []struct {
		name string
		of   func(cost) float64
	}{
		{"µs CPU/event, whole", func(c cost) float64 { return c.whole }},
		{"until committed", func(c cost) float64 { return c.committed }},
		{"warm", func(c cost) float64 { return c.warm }},
		{"1,000 events/s, warm", func(c cost) float64 { return c.rate / 1e3 }},
		{"peak RSS, MB", func(c cost) float64 { return c.peak }},
		{"broker µs/event", func(c cost) float64 { return c.broker }},
		{"to Kafka, B/event", func(c cost) float64 { return c.kafka }},
		{"to disk, B/event", func(c cost) float64 { return c.disk }},
		{"state on disk, MB", func(c cost) float64 { return c.folder }},
	}
	figures := func(at int, of func(cost) float64) (s series) {
		for _, c := range costs[at] {
			s = append(s, of(c))
		}
		return s
	}
	fmt.Fprintf(b.out, "### %v, memory %d MiB\n\n", l, l.memory>>20)
	head := []string{"engine"}
	for _, column := range columns {
		head = append(head, column.name)
	}
	t := table{head}
	for i, e := range engines {
		row := []string{e.name}
		for _, column := range columns {
			row = append(row, figures(i, column.of).String())
		}
		t.row(row...)
	}
	t.write(b.out)

	// The peer counts warm, and we from start to end: nothing of ours is left out.
	whole := func(c cost) float64 { return c.whole }
	ratios := table{{"ratio, Segue to " + engines[better].name, "min / **median** / max of the rounds"}}
	ratio := func(name string, ours, theirs func(cost) float64) {
		ratios.row(name, figures(0, ours).over(figures(better, theirs)).String())
	}
	ratio("CPU per event, ours whole, theirs warm", whole, columns[2].of)
	ratio("CPU per event, ours until committed, theirs warm", columns[1].of, columns[2].of)
	ratio("CPU per event, both whole", whole, whole)
	for _, column := range columns[3:] {
		ratio(column.name, column.of, column.of)
	}
	ratios.row("CPU per event, Segue to the bare limit, both until committed", figures(0, columns[1].of).over(figures(3, columns[1].of)).String())
	ratios.write(b.out)
	return nil
}
