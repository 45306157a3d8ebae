package stream

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Config of a processor.
type Config[S, D any] struct {
	Task Task[S, D]
	// Name of the group, and of transactions together with Instance.
	Name string
	// Prefix goes before topics, group and transactional ids.
	Prefix string
	// Topics without prefix. Input and Profiles have as many partitions.
	Input, Profiles, DeadLetters string
	// Instance is this process among those of the group, and must be the same
	// after a restart: for the length of a session (12 s, unless Kafka says
	// otherwise) its partitions wait for it. Default: the host's name.
	Instance string
	// FoldVersion is raised by hand when the task decides otherwise than before.
	FoldVersion int
	// AcceptRefold folds, after a crash, what another version had folded, and logs
	// each decision that differs from what lies in Outputs, or in the dead letters.
	AcceptRefold bool
	// Outputs are all the topics that the task puts out to, without prefix.
	Outputs []string

	// Dir holds the state, of one process. FS is nil but in tests.
	Dir string
	FS  vfs.FS
	// Memory bounds states, caches and what is to be written; default 512 MiB.
	Memory int64

	// Kafka says how to reach the cluster; it may override the client's other settings.
	Kafka []kgo.Opt
	// NextGenGroup lets the brokers assign partitions (KIP-848; Kafka 4.0 or
	// later). All members of a group do, or none.
	NextGenGroup bool
	// HandOverPatience is how long a rebalance waits for partitions to be handed
	// over; what is not by then is folded again by its next owner. Default: half
	// of the group's rebalance timeout, so 30 s.
	HandOverPatience time.Duration

	Clock   Clock // default: the machine's
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Ready hears when the processor is up to date, and when not and why.
	Ready func(ok bool, why string)

	// CommitInterval is how long a transaction gathers outputs at most; default
	// 50 ms. A partition that has nothing more to read commits at once.
	CommitInterval time.Duration
	// CommitSpacing is the least time between transactions; default 20 ms, since a
	// broker may refuse one right after another. Negative: none.
	CommitSpacing time.Duration
	// ProgressInterval is the cadence of commits without outputs; default 1 s.
	ProgressInterval time.Duration
	// ApplyInterval is how long state stays in memory alone, and so how much a
	// restart folds again; default 5 s. Twice that where a backlog is folded.
	ApplyInterval time.Duration
	// FlushAfter is how far profiles may be behind; default 30 s.
	FlushAfter time.Duration
	// MaxPoll records are folded at a time, default 10,000; and as many wake-ups
	// of a partition as DrainBudget, default 1,000, but not for longer than a few
	// milliseconds, before records go on.
	MaxPoll, DrainBudget int

	// Hook is called at the named steps; its error ends Run as a crash would. For tests.
	Hook func(step string) error

	// Of the store, for tests.
	tablesFrom int
	settle     func()
}

func (c *Config[S, D]) group() string { return c.Prefix + c.Name }

func (c *Config[S, D]) kafka() kafka {
	return kafka{
		group: c.group(), instance: c.Instance, input: c.Prefix + c.Input, profiles: c.Prefix + c.Profiles, opts: c.Kafka,
		nextGen: c.NextGenGroup, patience: c.HandOverPatience, buffer: int(max(c.Memory/8, 2*maxOutput)),
	}
}

func (c *Config[S, D]) complete() error {
	var errs []error
	want := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	want(c.Task != nil, "no task")
	want(c.Name != "", "no name")
	want(c.Dir != "", "no folder for the state")
	want(c.Input != "" && c.Profiles != "" && c.DeadLetters != "", "want topics for input, profiles and dead letters")
	want(!c.AcceptRefold || len(c.Outputs) > 0, "no outputs to compare a refold with")
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("configure processor %q: %w", c.Name, err)
	}
	if c.Instance == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("configure processor %q: name the instance: %w", c.Name, err)
		}
		c.Instance = host
	}
	if c.Clock == nil {
		c.Clock = RealClock{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("processor", c.Name, "instance", c.Instance)
	if c.Ready == nil {
		c.Ready = func(bool, string) {}
	}
	if c.Hook == nil {
		c.Hook = func(string) error { return nil }
	}
	if c.CommitSpacing == 0 {
		c.CommitSpacing = 20 * time.Millisecond
	}
	c.CommitSpacing = max(c.CommitSpacing, 0)
	c.Memory = cmp.Or(c.Memory, 512<<20)
	c.CommitInterval = cmp.Or(c.CommitInterval, 50*time.Millisecond)
	c.ProgressInterval = cmp.Or(c.ProgressInterval, time.Second)
	c.ApplyInterval = cmp.Or(c.ApplyInterval, 5*time.Second)
	c.FlushAfter = cmp.Or(c.FlushAfter, 30*time.Second)
	c.MaxPoll = cmp.Or(c.MaxPoll, 10_000)
	c.DrainBudget = cmp.Or(c.DrainBudget, 1_000)
	return nil
}

// Of the memory, states get most, and most of them may be newer than the
// store: the longer they wait, the fewer times is one written. The rest is for
// the store, Kafka's buffers and copies.
func (c *Config[S, D]) statesMemory() int64  { return c.Memory / 8 * 5 }
func (c *Config[S, D]) touchedMemory() int64 { return c.statesMemory() / 8 * 7 }
func (c *Config[S, D]) storeMemory() int64   { return c.Memory / 16 * 3 }
