package ranks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/models"
)

// Config of the station.
type Config struct {
	// Kafka says how to reach the cluster.
	Kafka []kgo.Opt
	// Prefix goes before topics and transactional ids.
	Prefix string
	// Interval is the least time between two versions of ranks, and how often it is
	// looked whether they are right; default 1 h.
	Interval time.Duration
	// MinCustomers are how many must have bought before there are ranks; default
	// 100, of whom each is a point.
	MinCustomers int

	Clock   stream.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Ready hears when the station is up to date, and when not and why.
	Ready func(ok bool, why string)
}

// Station keeps the ranks in force right.
type Station struct {
	Config
	metrics *metrics

	mu   sync.Mutex
	next func() map[int32]int64 // of profiles; nil: they are not read to their end
	due  time.Time              // when it looks next
}

// again is how long it waits before it begins anew.
const again = time.Second

// New checks the configuration.
func New(c Config) (*Station, error) {
	c.Interval = cmp.Or(c.Interval, time.Hour)
	c.MinCustomers = cmp.Or(c.MinCustomers, parts)
	if c.Clock == nil {
		c.Clock = stream.RealClock{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Ready == nil {
		c.Ready = func(bool, string) {}
	}
	s := &Station{Config: c, metrics: newMetrics()}
	return s, s.metrics.register(c.Metrics)
}

// Run works until ctx ends. Whatever fails, it begins anew.
func (s *Station) Run(ctx context.Context) error {
	for {
		err := s.life(ctx)
		s.rests(nil, time.Time{})
		if ctx.Err() != nil {
			return nil
		}
		s.metrics.failures.Inc()
		s.Ready(false, err.Error())
		s.Log.Warn("ranks begin anew", "because", err)
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil
		}
	}
}

// life reads profiles from their start and looks at the ranks until something fails.
func (s *Station) life(ctx context.Context) error {
	s.Ready(false, "reading profiles")
	sets, err := stream.NewTable(s.Kafka, s.Prefix+schemas.Models)
	if err != nil {
		return err
	}
	defer sets.Close()
	all := newPopulation()
	profiles, err := stream.Follow(s.Kafka, s.Prefix+schemas.Profiles, all.take)
	if err != nil {
		return err
	}
	defer profiles.Close()
	if err := errors.Join(sets.CatchUp(ctx), profiles.CatchUp(ctx)); err != nil {
		return err
	}
	s.Ready(true, "")
	for {
		applied := sets.Changed()
		if err := errors.Join(sets.Err(), profiles.Err()); err != nil {
			return err
		}
		if err := s.look(ctx, all.spread(), sets); err != nil {
			return err
		}
		due := s.nextLook(sets)
		reached, stop := s.Clock.At(due)
		s.rests(profiles.Next, due)
		select {
		case <-reached:
		case <-applied:
		case <-ctx.Done():
		}
		stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// look puts new ranks in force if those that are have moved.
func (s *Station) look(ctx context.Context, all spread, sets *stream.Table) error {
	if _, off, err := s.off(all, sets); !off || err != nil {
		return err
	}
	turn, err := stream.TakeTurn(ctx, s.Kafka, s.Prefix, schemas.Models)
	if err != nil {
		return err
	}
	defer turn.Close()
	if err := sets.CatchUp(ctx); err != nil {
		return err
	}
	set, off, err := s.off(all, sets)
	if !off || err != nil {
		return err // somebody else was first
	}
	now := s.Clock.Now()
	of := fmt.Sprintf("%.0f customers who bought, at %s", all.total, now.UTC().Format(time.RFC3339))
	if set, err = set.Ranked(all.breakpoints(), of); err != nil {
		return err
	}
	partitions, err := turn.Put(ctx, stream.NamedVersion{Name: set.Version, Topic: schemas.Models, Content: set.Message(), InForce: set.InForce()}, now)
	if err != nil {
		return err
	}
	s.metrics.versions.Inc()
	s.metrics.moved.Set(0)
	s.Log.Info("ranks in force", "models", set.Version, "of", of, "partitions", partitions)
	return sets.CatchUp(ctx)
}

// off reports whether the ranks in force, which are set's, are to be replaced now.
func (s *Station) off(all spread, sets *stream.Table) (set *models.Set, off bool, err error) {
	s.metrics.customers.Set(all.total)
	if int(all.total) < s.MinCustomers {
		return nil, false, nil
	}
	set, since, err := InForce(sets)
	if err != nil {
		return nil, false, err
	}
	moved := all.moved(set.Value.Ranks)
	s.metrics.moved.Set(moved)
	return set, moved > point && !s.Clock.Now().Before(s.until(set.Version, since)), nil
}

// until is until when a version stays in force that has been so since an instant.
func (s *Station) until(version string, since time.Time) time.Time {
	if !models.IsRanked(version) {
		return since // a person's
	}
	return since.Add(s.Interval)
}

// nextLook is an interval from now, or sooner when a set from a former life grows
// old enough.
func (s *Station) nextLook(sets *stream.Table) time.Time {
	now := s.Clock.Now()
	due := now.Add(s.Interval)
	if r := newest(sets); r != nil {
		if until := s.until(string(r.Key), r.Timestamp); until.After(now) && until.Before(due) {
			due = until
		}
	}
	return due
}

// InForce returns the set in force, and since when: the newest in models, as
// stream.Turn says, or else the one that comes with Segue.
func InForce(sets *stream.Table) (set *models.Set, since time.Time, err error) {
	r := newest(sets)
	if r == nil {
		return models.Default(), time.Time{}, nil
	}
	set, err = models.Decode(string(r.Key), r.Value)
	return set, r.Timestamp, err
}

func newest(sets *stream.Table) *kgo.Record { return sets.Newest(func(string) bool { return true }) }

func (s *Station) rests(next func() map[int32]int64, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next, s.due = next, due
}

// Settled reports whether nothing is left to do by now, and up to which offset
// each partition of profiles is read.
func (s *Station) Settled(now time.Time) (next map[int32]int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		return nil, false
	}
	return s.next(), now.Before(s.due)
}
