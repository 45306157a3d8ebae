package customer

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/models"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// Config of the station.
type Config struct {
	// Kafka says how to reach the cluster.
	Kafka []kgo.Opt
	// Prefix goes before topics, group and transactional ids.
	Prefix string
	// Instance is this process among those of the group; the same after a restart.
	Instance string
	// Dir holds the state; Memory, in bytes, bounds what is kept of it in memory.
	Dir    string
	Memory int64
	// FS is nil but in tests.
	FS vfs.FS
	// Salt goes into every draw, and must not change.
	Salt string
	// AcceptRefold folds again, after a crash, what another FoldVersion folded,
	// and logs which decisions differ.
	AcceptRefold bool

	Clock   stream.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Ready hears when the station is up to date, and when not and why.
	Ready func(ok bool, why string)
	// See stream.Config.
	CommitInterval, CommitSpacing, ApplyInterval, FlushAfter time.Duration
	// Hook is called at the steps of the commit protocol. For tests.
	Hook func(step string) error
}

// Station keeps the profiles of the partitions that it owns.
type Station struct {
	task      *Task
	clock     stream.Clock
	playbooks *stream.Table
	models    *stream.Table
	processor *stream.Processor[profile.Profile, Decision]
}

// New checks the configuration. Run starts the station, and must be called to
// let go of what it holds.
func New(c Config) (*Station, error) {
	if c.Clock == nil {
		c.Clock = stream.RealClock{}
	}
	table, err := stream.NewTable(c.Kafka, c.Prefix+schemas.Playbooks)
	if err != nil {
		return nil, err
	}
	refused := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "segue", Subsystem: "customer", Name: "refused_total",
		Help: "Events of customers who were forgotten; nothing of them is kept."})
	refusedLinks := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "segue", Subsystem: "customer", Name: "refused_links_total",
		Help: "Links from outside that would have made a known customer another; nothing came of them."})
	if c.Metrics != nil {
		for _, counter := range []prometheus.Counter{refused, refusedLinks} {
			if err := c.Metrics.Register(counter); err != nil {
				table.Close()
				return nil, fmt.Errorf("customer: %w", err)
			}
		}
	}
	sets, err := stream.NewTable(c.Kafka, c.Prefix+schemas.Models)
	if err != nil {
		table.Close()
		return nil, err
	}
	task := NewTask(PublishedPlaybooks{table}, TaskOptions{Salt: c.Salt, Models: PublishedModels{sets}, Refused: refused.Inc, RefusedLink: refusedLinks.Inc})
	processor, err := stream.New(stream.Config[profile.Profile, Decision]{
		Task: task, Name: station, Prefix: c.Prefix, Instance: c.Instance,
		Input: schemas.Events, Profiles: schemas.Profiles, DeadLetters: schemas.DeadLetters,
		FoldVersion: FoldVersion, AcceptRefold: c.AcceptRefold, Outputs: []string{schemas.SegmentChanges, schemas.Scores, schemas.Deliveries, schemas.Events},
		Dir: c.Dir, FS: c.FS, Memory: c.Memory,
		Kafka: c.Kafka, Clock: c.Clock, Log: c.Log, Metrics: c.Metrics, Ready: c.Ready,
		CommitInterval: c.CommitInterval, CommitSpacing: c.CommitSpacing, ApplyInterval: c.ApplyInterval, FlushAfter: c.FlushAfter, Hook: c.Hook,
	})
	if err != nil {
		table.Close()
		sets.Close()
		return nil, err
	}
	return &Station{task: task, clock: c.Clock, playbooks: table, models: sets, processor: processor}, nil
}

// Run works until ctx ends.
func (s *Station) Run(ctx context.Context) error {
	defer s.playbooks.Close()
	defer s.models.Close()
	return s.processor.Run(ctx)
}

// Settled reports whether nothing is left to do by now, and up to which offset
// each partition of events is read.
func (s *Station) Settled(now time.Time) (next map[int32]int64, ok bool) {
	return s.processor.Settled(now)
}

// NextWake returns when the earliest wake-up is due, of those that Settled knew
// of.
func (s *Station) NextWake() (due int64, ok bool) { return s.processor.NextWake() }

// PublishedPlaybooks are the versions in the topic of playbooks.
type PublishedPlaybooks struct{ Table *stream.Table }

// Playbook is part of Playbooks.
func (p PublishedPlaybooks) Playbook(ctx context.Context, version string) (*playbook.Playbook, error) {
	value, ok, err := published(ctx, p.Table, version)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("playbook %s is in force, but not in topic %s: apply its file again (segue playbook apply FILE)", version, schemas.Playbooks)
	}
	var m schemas.PlaybookVersion
	if err := schemas.Decode(value, &m); err != nil {
		return nil, fmt.Errorf("decode playbook %s: %w", version, err)
	}
	return playbook.FromMessage(&m)
}

// PublishedModels are the versions in the topic of models.
type PublishedModels struct{ Table *stream.Table }

// Models is part of TaskOptions.
func (p PublishedModels) Models(ctx context.Context, version string) (*models.Set, error) {
	value, ok, err := published(ctx, p.Table, version)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("models %s are in force, but not in topic %s: apply their file again (segue models apply FILE)", version, schemas.Models)
	}
	return models.Decode(version, value)
}

// published returns a version in a topic, which may be newer than what was read.
func published(ctx context.Context, table *stream.Table, version string) (value []byte, ok bool, err error) {
	if value, ok = table.Get(version); ok {
		return value, true, nil
	}
	if err := table.CatchUp(ctx); err != nil {
		return nil, false, err
	}
	value, ok = table.Get(version)
	return value, ok, nil
}

// Scores are a customer's, as of what is committed; nil: nobody of that name is known
// here.
func (s *Station) Scores(ctx context.Context, customer string) (playbook.Scores, error) {
	p, _, err := s.processor.View(ctx, customer)
	if err != nil || p == nil {
		return nil, err
	}
	if r := s.task.reader(p); r != nil {
		return r, nil
	}
	return nil, nil
}
