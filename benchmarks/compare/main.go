// Command compare measures Segue's runtime beside Kafka Streams and beside the
// bare limit, on one real broker of this machine, and prints the results as
// Markdown.
//
//	workload → topic → Segue · Kafka Streams · bare loop → the same answers, at what cost
//
// Engines are processes of their own, looked at from outside alone: CPU time,
// resident memory and bytes written by /proc, progress by what they commit,
// bytes to Kafka by the size of topics, answers by reading topics.
//
//	deploy/kafka/run go run ./benchmarks/compare             everything, about twenty minutes
//	deploy/kafka/run go run ./benchmarks/compare latency     one measurement
//
// Not obvious: what a figure says depends on what else the machine does; the
// conditions are printed first, with the load average. Java is given its first
// half to get warm.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

// bench is one session of measurements.
type bench struct {
	cluster *cluster
	self    string // this program
	java    string // the folder of the peer's jars
	dir     string // for states
	out     io.Writer
	began   time.Time

	loads    []load
	shops    []load
	rounds   int
	seed     uint64
	gogc     string
	large    bool
	pictures string
	kills    int
	seconds  time.Duration // of a latency measurement
	ids      int
}

type measurement struct {
	name, about string
	run         func(*bench, context.Context) error
}

var measurements = []measurement{
	{"throughput", "the plain fold side by side, each load in alternation", (*bench).throughput},
	{"latency", "from produce to read-committed output at 5,000 events/s, also during write-back and a storm of wake-ups", (*bench).latency},
	{"restore", "ready after SIGKILL under load, and after the state was lost", (*bench).restore},
	{"station", "the customer station with the shipped playbook", (*bench).station},
	{"bounds", "resident memory against the memory it was given, by number of customers, and what grows with time", (*bench).bounds},
	{"pressure", "what waits where when the broker, the network or the mail server is slow or stands still", (*bench).pressure},
	{"mails", "the sender against a mail server that throws everything away", (*bench).mailing},
	{"costs", "where the CPU time goes, by profile", (*bench).costs},
}

func main() {
	childIfAsked()
	if err := compare(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func compare() error {
	defaults := load{events: 2_000_000, memory: 512 << 20}
	var (
		brokers    = flag.String("brokers", os.Getenv("SEGUE_TEST_BROKERS"), "`ADDRESS` of the one broker, on this machine (SEGUE_TEST_BROKERS)")
		loads      = flag.String("loads", "100k,1M,1M~1.1,1M:1500*500k@2GiB", "loads for throughput: "+loadSyntax)
		partitions = flag.Int("partitions", 16, "partitions of every topic")
		seed       = flag.Uint64("seed", 1, "of the workload")
		rounds     = flag.Int("rounds", 3, "how often engines take turns")
		gogc       = flag.String("gogc", cmp.Or(os.Getenv("GOGC"), "200"), "GOGC of our processes")
		shops      = flag.String("shops", "10k*300k@1GiB,100k*1M@1GiB", "shops for station: CUSTOMERS[*EVENTS][@MEMORY]")
		large      = flag.Bool("large", false, "measure 10M customers too, and the station at 1M; wants 10 GB of disk and half an hour more")
		pictures   = flag.String("pictures", "bin/benchmarks", "`FOLDER` for pictures and profiles")
		kills      = flag.Int("kills", 5, "how often Segue is killed for restore")
		seconds    = flag.Duration("for", 10*time.Second, "how long each latency is measured; troubles of pressure last twice as long")
	)
	flag.Usage = usageText
	flag.Parse()
	defaults.Seed = *seed

	b := &bench{out: os.Stdout, began: time.Now(), rounds: *rounds, seed: *seed, gogc: *gogc, large: *large, pictures: *pictures, kills: *kills, seconds: *seconds}
	if *large {
		*shops += ",1M*6M@4GiB"
	}
	var err error
	if b.loads, err = parseLoads(*loads, defaults); err != nil {
		return err
	}
	if b.shops, err = parseLoads(*shops, defaults); err != nil {
		return err
	}
	wanted, err := chosen(flag.Args())
	if err != nil {
		return err
	}
	if *brokers == "" {
		return fmt.Errorf("no broker: run this beside one (deploy/kafka/run go run ./benchmarks/compare), or set -brokers")
	}
	if b.cluster, err = connect(*brokers, int32(*partitions)); err != nil {
		return err
	}
	defer b.cluster.client.Close()
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if err := os.MkdirAll(*pictures, 0o755); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "segue-compare-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if b.java, err = buildPeer(ctx); err != nil {
		return err
	}
	b.conditions()
	for _, m := range wanted {
		if err := m.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	fmt.Fprintf(b.out, "Took %s.\n", time.Since(b.began).Round(time.Second))
	return nil
}

func usageText() {
	w := flag.CommandLine.Output()
	fmt.Fprintln(w, "usage: deploy/kafka/run go run ./benchmarks/compare [FLAG]... [MEASUREMENT]...\n\nMeasurements, all when none is named:")
	for _, m := range measurements {
		fmt.Fprintf(w, "  %-12s %s\n", m.name, m.about)
	}
	fmt.Fprintln(w, "\nFlags:")
	flag.PrintDefaults()
}

func chosen(names []string) ([]measurement, error) {
	if len(names) == 0 {
		return measurements, nil
	}
	var wanted []measurement
	for _, name := range names {
		i := slices.IndexFunc(measurements, func(m measurement) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("got measurement %q; compare -h names those that exist", name)
		}
		wanted = append(wanted, measurements[i])
	}
	return wanted, nil
}

// buildPeer makes the jar of benchmarks/streams, and returns the folder that it
// and what it needs are in.
func buildPeer(ctx context.Context) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module's folder: %w", err)
	}
	dir := strings.TrimSpace(string(root))
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "-Dstyle.color=never", "-f", filepath.Join(dir, "benchmarks/streams/pom.xml"), "package")
	if text, err := mvn.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the Kafka Streams peer with Maven and a JDK of 17 or later: %w\n%s", err, text)
	}
	return filepath.Join(dir, "bin/streams"), nil
}

// id is a name that no other run has had on this broker.
func (b *bench) id(what string) string {
	b.ids++
	return fmt.Sprintf("%s-%d-%d", what, b.began.Unix(), b.ids)
}

func (b *bench) title(title, about string) { fmt.Fprintf(b.out, "## %s\n\n%s\n\n", title, about) }

// progress is for who waits, and no part of the results.
func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.0f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// conditions are what the figures hold for.
func (b *bench) conditions() {
	first := func(file, prefix string) string {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return strings.TrimSpace(strings.TrimLeft(rest, "\t :"))
			}
		}
		return "unknown"
	}
	java, _ := exec.Command("java", "-version").CombinedOutput()
	javaVersion, _, _ := strings.Cut(string(java), "\n")
	jar := func(pattern string) string {
		found, _ := filepath.Glob(filepath.Join(b.java, pattern))
		if len(found) == 0 {
			return "unknown"
		}
		return strings.TrimSuffix(filepath.Base(found[0]), ".jar")
	}
	fmt.Fprintf(b.out, "# Segue beside Kafka Streams, %s\n\n", b.began.UTC().Format("2006-01-02 15:04 UTC"))
	t := table{{"condition", ""}}
	t.row("CPU", fmt.Sprintf("%s, %d cores", first("/proc/cpuinfo", "model name"), runtime.NumCPU()))
	t.row("memory", first("/proc/meminfo", "MemTotal"))
	t.row("kernel, load average at the start", first("/proc/sys/kernel/osrelease", "")+", "+first("/proc/loadavg", ""))
	t.row("Go", runtime.Version()+", GOGC="+b.gogc+", kgo "+module("github.com/twmb/franz-go")+", Pebble "+module("github.com/cockroachdb/pebble/v2"))
	t.row("peer", strings.Join([]string{jar("kafka-streams-*"), jar("rocksdbjni-*"), javaVersion, "-Xmx1g, 2 stream threads, exactly_once_v2, commit.interval.ms 100"}, ", "))
	t.row("broker", b.brokerVersion()+fmt.Sprintf(", on the same machine, %d partitions, no compression", b.cluster.partitions))
	t.row("ours", "commits within 50 ms, apply after 5 s, 10 s behind a backlog, flush to profiles after 30 s")
	t.write(b.out)
}

func module(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path == path {
			return dep.Version
		}
	}
	return "unknown"
}

// brokerVersion is what the broker's own process says, by its jars.
func (b *bench) brokerVersion() string {
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", b.cluster.pid))
	if err != nil {
		return "unknown"
	}
	for _, arg := range strings.Split(string(command), "\x00") {
		if dir, ok := strings.CutSuffix(arg, "/*"); ok {
			if found, _ := filepath.Glob(filepath.Join(dir, "kafka_2*.jar")); len(found) > 0 {
				return strings.TrimSuffix(filepath.Base(found[0]), ".jar")
			}
		}
	}
	return "unknown"
}
