package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"segue/benchmarks/workload"
)

// part is something that CPU time goes to. A sample belongs to the first part
// that one of its frames names.
type part struct {
	name   string
	frames []string
}

// parts are in the order of who is asked first: what collects garbage does so
// for everybody, and a call into the kernel is one wherever it came from.
var parts = []part{
	{"garbage collection", []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart", "runtime.(*sweepLocked)", "runtime.wbBufFlush", "runtime.gcMarkTermination"}},
	{"kernel: network", []string{"net.(*conn).Read", "net.(*conn).Write", "net.(*netFD)", "internal/poll.(*FD).Read", "internal/poll.(*FD).Write"}},
	{"store (Pebble), its file I/O too", []string{"github.com/cockroachdb/pebble", "segue/state."}},
	{"encode states and outputs", []string{").Encode", "profile.Encode", ").Compose", ").AppendOutput", ").Publish"}},
	{"decode states", []string{").Decode", "profile.Decode"}},
	{"fold: the task", []string{").Advance", "fold.Bare.func"}},
	{"client: decode what was fetched", []string{"kgo.ProcessFetchPartition", "kgo.(*cursorOffsetNext).processRespPartition", "kgo.processV", "kgo.(*ProcessFetchPartitionOpts)", "kgo.readRawRecords", "kmsg.(*Record)", "kgo.recordToRecord", "kgo.processRecordBatch", "kgo.(*source).handleReqResp", "kgo.buildRecords", "kgo.(*cursor"}},
	{"client: the rest", []string{"kgo.(*", "kgo.Record"}},
	{"fold: the runtime", []string{"segue/processors/stream."}},
	{"scheduler", []string{"runtime.schedule", "runtime.findRunnable", "runtime.mcall", "runtime.park_m", "runtime.mstart", "runtime.sysmon", "runtime.goexit0"}},
}

// costs shows where the CPU time of a run goes, ours beside the bare limit.
func (b *bench) costs(ctx context.Context) error {
	l := load{Workload: workload.Workload{Seed: b.seed, Customers: 1_000_000}, events: 8_000_000, memory: 1 << 30}
	b.title("Where the CPU time goes", fmt.Sprintf("By profile, from start to the end of the graceful stop; a sample belongs to the first part that it fits, from the top. "+
		"%v, memory %d MiB. The files are read with go tool pprof.", l, l.memory>>20))
	if err := l.produce(ctx, b.cluster, b.id("load")); err != nil {
		return err
	}
	table := newCosts()
	for _, e := range []engine{segue, bare} {
		file := filepath.Join(b.pictures, strings.ReplaceAll(strings.ToLower(e.name), " ", "-")+".prof")
		if _, err := b.overall(ctx, e, run{id: b.id("run"), load: l, profile: file}); err != nil {
			return err
		}
		if err := table.add(ctx, e.name, file, l.events); err != nil {
			return err
		}
	}
	table.write(b.out)
	return b.cluster.drop(ctx, l.topic)
}

// costs is a table of where CPU time went, with a column for each run.
type costs struct {
	head  []string
	parts [][]float64 // µs per event, as in names
	names []string
}

func newCosts() *costs {
	c := &costs{head: []string{"µs/event"}}
	for _, p := range parts {
		c.names = append(c.names, p.name)
	}
	c.names = append(c.names, other)
	c.parts = make([][]float64, len(c.names))
	return c
}

func (c *costs) add(ctx context.Context, run, file string, events int) error {
	text, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", file).Output()
	if err != nil {
		return fmt.Errorf("read the profile %s: %w", file, err)
	}
	shares, err := attribute(string(text))
	if err != nil {
		return fmt.Errorf("read the profile %s: %w", file, err)
	}
	c.head = append(c.head, run+" ("+file+")")
	for i, name := range c.names {
		c.parts[i] = append(c.parts[i], float64(shares[name].Nanoseconds())/1e3/float64(events))
	}
	return nil
}

func (c *costs) write(w io.Writer) {
	t := table{c.head}
	sums := make([]float64, len(c.head)-1)
	row := func(name string, values []float64) {
		cells := []string{name}
		for _, v := range values {
			cells = append(cells, figure(v))
		}
		t.row(cells...)
	}
	for i, name := range c.names {
		for run, v := range c.parts[i] {
			sums[run] += v
		}
		row(name, c.parts[i])
	}
	row("together", sums)
	t.write(w)
}

const other = "what is left"

// attribute reads what go tool pprof -traces prints: blocks of a sample's time and
// its frames, the innermost first.
func attribute(traces string) (map[string]time.Duration, error) {
	shares := map[string]time.Duration{}
	blocks := strings.Split(traces, "-----------+")
	for _, block := range blocks[1:] {
		var took time.Duration
		var frames []string
		for text := range strings.Lines(block) {
			f := strings.Fields(text)
			if took == 0 { // labels come first
				if len(f) < 2 {
					continue
				}
				d, err := time.ParseDuration(f[0])
				if err != nil {
					continue
				}
				took, f = d, f[1:]
			}
			if len(f) > 0 {
				frames = append(frames, f[0])
			}
		}
		if len(frames) > 0 {
			shares[partOf(frames)] += took
		}
	}
	if len(shares) == 0 {
		return nil, fmt.Errorf("got no samples in %d bytes", len(traces))
	}
	return shares, nil
}

func partOf(frames []string) string {
	for _, p := range parts {
		if slices.ContainsFunc(frames, func(frame string) bool {
			return slices.ContainsFunc(p.frames, func(named string) bool { return strings.Contains(frame, named) })
		}) {
			return p.name
		}
	}
	return other
}
