package stream

import (
	"flag"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	simulateSeed  = flag.Int64("seed", -1, "replay this seed of TestSimulate; -v prints what happened")
	simulateSeeds = flag.Uint64("seeds", enoughSeeds, "how many seeds TestSimulate runs")
	simulateMost  = flag.Int("most", 10, "failing seeds after which TestSimulate stops")
	simulateFrom  = flag.Uint64("from", 0, "the first seed of TestSimulate")
)

// enoughSeeds run in a continuous integration: everything happens in them.
const enoughSeeds = 400

// TestSimulate runs processors against a model of the broker, with everything
// that can happen to them drawn from a seed, and holds what they committed
// against the single-threaded fold of the log.
func TestSimulate(t *testing.T) {
	if *simulateSeed >= 0 {
		replay(t, uint64(*simulateSeed))
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a world is small and short
	counts, started, failed := map[string]int{}, time.Now(), 0
	for seed := *simulateFrom; seed < *simulateFrom+*simulateSeeds; seed++ {
		w := simulate(t, seed, false)
		if done := seed - *simulateFrom; done > 0 && done%1000 == 0 {
			t.Logf("%d seeds, %d failed", done, failed)
		}
		if w.failure != "" {
			t.Errorf("seed %d: %s\nto replay it: go test ./processors/stream -run '^TestSimulate$' -seed %d -v", seed, w.failure, seed)
			if failed++; failed == *simulateMost {
				t.Fatalf("%d of the first %d seeds failed", failed, seed-*simulateFrom+1)
			}
		}
		for what, n := range w.counts {
			counts[what] += n
		}
	}
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		lines = append(lines, fmt.Sprintf("%s: %d", what, counts[what]))
	}
	t.Logf("%d seeds, %.0f per second\n%s", *simulateSeeds, float64(*simulateSeeds)/time.Since(started).Seconds(), strings.Join(lines, "\n"))
	for _, what := range everything() {
		if *simulateSeeds >= enoughSeeds && counts[what] == 0 {
			t.Errorf("never happened: %s", what)
		}
	}
}

// everything is what must have happened when enough seeds have run.
func everything() []string {
	all := []string{
		"clocks set back", "commit asked again", "compactions", "cut off", "deaths", "disks full", "disks lost", "expelled",
		"floors proven", "frozen", "graceful ends", "handed over", "leaps of the clock", "looks at a full disk", "offset fetch waits", "patience ended", "power losses",
		"rebalances for no reason", "refolds compared", "refused another version's span", "removed from the group", "retentions", "skewed clocks",
		"skips", "skips of wake-ups", "steps that kill", "tables corrupted", "transactions of others", "upgrades",
		"step applied", "step committed", "step folded", "step handed", "step offsets", "step polled", "step produced", "step restoring", "step stopped", "step taken",
	}
	for _, what := range requests {
		all = append(all, "request lost: "+what)
		if what != "poll" {
			all = append(all, "answer lost: "+what)
		}
	}
	return all
}

// A seed is one world: what it prints on failure can be relied on.
func TestSimulateTwice(t *testing.T) {
	for seed := range uint64(20) {
		once := simulate(t, seed, false).hash
		if again := simulate(t, seed, false).hash; again != once {
			replay(t, seed)
			t.Fatalf("seed %d: another world the second time", seed)
		}
	}
}

// replay runs a seed twice: it must be the same world both times.
func replay(t *testing.T, seed uint64) {
	w := simulate(t, seed, true)
	if testing.Verbose() {
		t.Log(strings.Join(w.trace, "\n"))
	}
	if again := simulate(t, seed, true); again.hash != w.hash {
		n := 0
		for n < min(len(w.trace), len(again.trace)) && w.trace[n] == again.trace[n] {
			n++
		}
		t.Errorf("seed %d went another way the second time, after %d steps:\n%s\nand\n%s", seed, n, strings.Join(w.trace[max(0, n-5):min(n+2, len(w.trace))], "\n"), strings.Join(again.trace[max(0, n-5):min(n+2, len(again.trace))], "\n"))
	}
	if w.failure != "" {
		t.Errorf("seed %d: %s", seed, w.failure)
	}
}

// simulate runs one seed, with one processor for all goroutines: what they do is
// little, and waiting for them takes longer.
func simulate(t *testing.T, seed uint64, verbose bool) (w *simulation) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer time.AfterFunc(2*time.Minute, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("seed %d hangs", seed))
	}).Stop()
	synctest.Test(t, func(*testing.T) {
		w = newSimulation(seed, verbose)
		w.run()
	})
	return w
}

// run: a while of trouble, then calm, and all must be as it should.
func (w *simulation) run() {
	defer func() {
		for _, m := range w.machines {
			if m.p != nil {
				m.bury()
			}
		}
	}()
	w.grow()
	for range 200 + w.rng.IntN(800) {
		if w.failure != "" {
			return
		}
		if idle := w.step(); idle || w.rng.IntN(20) == 0 {
			w.advance(idle)
		}
		w.happen()
		w.check()
	}
	w.heal()
	w.settle("settle", w.settled)
	w.leap += 30 * 24 * time.Hour
	for p := range w.partitions {
		w.add(&modelEvent{partition: p, value: tickValue})
	}
	w.settle("settle after all is due", w.settled)
	for p := range w.partitions {
		w.prove(p)
	}
	for _, m := range w.machines {
		if m.p != nil {
			m.leaves = true
			m.p.cancel()
		}
	}
	w.over = true
	w.settle("stop", w.stopped)
	if w.failure == "" {
		w.verdict()
	}
}

// heal ends all trouble.
func (w *simulation) heal() {
	w.tracef("calm")
	w.calm = true
	if w.foreign != nil {
		w.collect()
	}
	for _, m := range w.machines {
		m.clock.skew, m.disk.full, m.rests = 0, time.Time{}, time.Time{}
		if m.p != nil {
			m.p.frozen, m.p.cut = time.Time{}, time.Time{}
		}
	}
}

// settle goes on until done.
func (w *simulation) settle(what string, done func() bool) {
	for n := 0; w.failure == "" && !done(); n++ {
		if n == 20_000 {
			w.failf("%s: no end of it\n%s", what, w.state())
			return
		}
		if idle := w.step(); idle || w.rng.IntN(20) == 0 {
			w.advance(idle)
		}
		for _, m := range w.machines {
			m.rests = time.Time{} // what ended begins again at once
		}
		w.check()
	}
}

// settled: every record is folded, and every output committed, by somebody.
func (w *simulation) settled() bool {
	if len(w.b.ending)+len(w.b.opened) > 0 {
		return false
	}
	next := map[int32]int64{}
	for _, m := range w.machines {
		if m.p == nil || m.p.p == nil {
			return false
		}
		n, ok := m.p.p.Settled(m.clock.Now())
		if !ok {
			continue
		}
		maps.Copy(next, n)
	}
	for p, l := range w.b.logs["events"] {
		if next[int32(p)] < l.end {
			return false
		}
	}
	return true
}

func (w *simulation) stopped() bool {
	for _, m := range w.machines {
		if m.p != nil {
			return false
		}
	}
	return len(w.b.ending) == 0
}
