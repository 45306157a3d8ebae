package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"segue/state"
)

// Processor runs a task on its share of the input's partitions.
type Processor[S, D any] struct {
	c                     Config[S, D]
	input, profiles, dead string // with prefix
	store                 *state.Store
	cluster               cluster // made by Run, unless a test brings its own
	metrics               *metrics
	deaths                *deaths
	confirmed             *confirmed
	suspects              map[int32]map[place]bool // steps that panicked, for as long as the process lives
	doubts                map[int32]bool           // partitions that were refused once
	ticks                 map[int32]*tick          // by partition, across sessions

	// What else there is to time and concurrency. A simulation puts its own here.
	now        func() time.Time
	pause      func(ctx context.Context, d time.Duration)
	awaitRoom  func() // between looks at a full disk; nil: the store's own
	spawn      func(func())
	await      func() // all that was spawned has ended
	background sync.WaitGroup

	// For the loop alone, except where a lock is named.
	session           session // nil: none is open
	inbox             *inbox
	life              context.Context // of the session
	quit              context.CancelFunc
	joined            time.Time
	backoff           time.Duration
	count             int                // partitions of the input; set under mu
	topic, profilesID string             // their ids
	partitions        []*partition[S, D] // the live ones, by id
	coming            []coming
	taking            []*taking[S, D]
	departures        []*departure

	open            bool   // a transaction
	alarm           alarm  // for the next tick
	unready         string // why it is not up to date, as last told; "" when it is
	firstOut        time.Time
	lastCommit      time.Time
	lastTransaction time.Time
	waited          time.Duration         // for commits, all in all
	drained         int                   // partitions, in turn
	failure         atomic.Pointer[error] // of a produce in the open transaction

	mu      sync.Mutex
	views   []*view
	kick    context.CancelFunc // ends the present poll
	woken   bool               // since the last poll
	running bool

	standing atomic.Pointer[standing]
}

// New checks the configuration.
func New[S, D any](c Config[S, D]) (*Processor[S, D], error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	w := &watch{opts: c.Kafka, input: c.Prefix + c.Input, dir: c.Dir, fs: cmp.Or(c.FS, vfs.Default), flushAfter: c.FlushAfter, now: c.Clock.Now}
	m, err := newMetrics(c.Metrics, c.Name, w)
	if err != nil {
		return nil, fmt.Errorf("register the metrics of processor %q: %w", c.Name, err)
	}
	p := &Processor[S, D]{
		c: c, input: c.Prefix + c.Input, profiles: c.Prefix + c.Profiles, dead: c.Prefix + c.DeadLetters, metrics: m,
		suspects: map[int32]map[place]bool{}, doubts: map[int32]bool{}, ticks: map[int32]*tick{}, unready: "not started",
		now: time.Now, pause: pause,
	}
	p.spawn, p.await = p.background.Go, p.background.Wait
	w.standing = p.standing.Load
	return p, nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// fatal is an error that a new session does not mend: somebody has to look.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

// crash is how Hook ends Run.
type crash struct{ error }

func (c crash) Unwrap() error { return c.error }

func (p *Processor[S, D]) hook(step string) error {
	if err := p.c.Hook(step); err != nil {
		return crash{err}
	}
	return nil
}

// Run processes until ctx ends, then brings everything to Kafka and to disk
// and returns nil. Whatever goes wrong between has one answer: forget what is
// in memory, open a new session, fold again from where the store stands.
func (p *Processor[S, D]) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.start(); err != nil {
		return err
	}
	for {
		if done, err := p.step(ctx); done {
			return err
		}
	}
}

// start opens what outlives sessions.
func (p *Processor[S, D]) start() (err error) {
	if err := p.openStore(); err != nil {
		return err
	}
	if p.deaths, err = openDeaths(p.c.Dir, p.c.FS); err != nil {
		return err
	}
	if p.confirmed, err = openConfirmed(p.c.Dir, p.c.FS); err != nil {
		return err
	}
	if p.cluster == nil {
		if p.cluster, err = p.c.kafka().connect(); err != nil {
			return err
		}
	}
	p.mu.Lock()
	p.running = true
	p.mu.Unlock()
	return nil
}

func (p *Processor[S, D]) openStore() (err error) {
	open := func() {
		p.store, err = state.Open(p.c.Dir, state.Options{FS: p.c.FS, Memory: p.c.storeMemory(), TablesFrom: p.c.tablesFrom, Settle: p.c.settle, Pause: p.awaitRoom})
	}
	if open(); state.IsCorrupt(err) {
		p.tellCorrupt(err)
		if err = state.SetAside(p.c.Dir, p.c.FS); err == nil {
			open()
		}
	}
	return err
}

// setAside takes a store that cannot be believed for a lost disk: rule 11.
// Nothing else uses it now.
func (p *Processor[S, D]) setAside(cause error) error {
	p.tellCorrupt(cause)
	if err := p.store.Close(); err != nil {
		p.c.Log.Warn("closing the corrupt state", "cause", err)
	}
	p.store = nil
	if err := state.SetAside(p.c.Dir, p.c.FS); err != nil {
		return err
	}
	return p.openStore()
}

func (p *Processor[S, D]) tellCorrupt(cause error) {
	p.metrics.corrupt.Inc()
	p.c.Log.Error("the state on disk is corrupt: it is set aside and restored from profiles", "folder", p.c.Dir, "cause", cause)
}

// close ends a life, however far start came.
func (p *Processor[S, D]) close() (err error) {
	p.leave()
	if p.cluster != nil {
		p.cluster.Close()
	}
	if p.store != nil {
		err = p.store.Close()
	}
	p.endViews()
	return err
}

// step is what Run repeats until done: it opens a session, or takes a turn of
// the loop, or, once ctx has ended, one towards the stop. It waits for nothing
// but cluster, session, pause and await.
func (p *Processor[S, D]) step(ctx context.Context) (done bool, err error) {
	switch {
	case p.session != nil && ctx.Err() == nil:
		err = p.turn(ctx)
	case p.session != nil:
		done, err = p.stop(ctx)
	case ctx.Err() == nil:
		err = p.join(ctx)
	default:
		done = true
	}
	if err != nil {
		return p.mend(ctx, err)
	}
	if done {
		p.leave()
		err = errors.Join(p.deaths.clear(), p.confirmed.note())
	}
	return done, err
}

const shortestBackoff, longestBackoff = 50 * time.Millisecond, 5 * time.Second

// mend is the one answer to every error: forget all. done: no new session
// would help, or none is wanted.
func (p *Processor[S, D]) mend(ctx context.Context, cause error) (done bool, err error) {
	p.leave()
	if errors.As(cause, new(crash)) {
		return true, cause
	}
	if err := p.confirmed.note(); err != nil {
		p.c.Log.Warn("what is committed could not be noted", "folder", p.c.Dir, "cause", err)
	}
	switch {
	case errors.As(cause, new(fatal)):
		return true, errors.Join(fmt.Errorf("processor %s: %w", p.c.Name, cause), p.deaths.clear())
	case ctx.Err() != nil:
		p.c.Log.Warn("stopped before everything was in Kafka and on disk; the next start folds it again", "cause", cause)
		return true, p.deaths.clear()
	}
	if _, ok := errors.AsType[*suspectError](cause); ok {
		p.backoff = 0 // the next fold gets past that step, and may meet another
		p.c.Log.Warn("a step panicked; folding again with a copy of the state before it", "cause", cause)
	} else {
		p.c.Log.Warn("folding again from the last commit", "cause", cause)
	}
	if state.IsCorrupt(cause) {
		if err := p.setAside(cause); err != nil {
			return true, fmt.Errorf("processor %s: %w", p.c.Name, err)
		}
	}
	p.metrics.rebuilds.Inc()
	p.ready(cause.Error())
	if p.now().Sub(p.joined) > time.Minute {
		p.backoff = 0
	}
	p.backoff = min(max(2*p.backoff, shortestBackoff), longestBackoff)
	p.pause(ctx, p.backoff)
	return false, nil
}

// stop goes one step towards having everything in Kafka and on disk, so that
// the next start, of this version or another, folds nothing again.
func (p *Processor[S, D]) stop(ctx context.Context) (done bool, err error) {
	for _, t := range p.taking {
		if !t.gone {
			p.c.Log.Warn("stopped while the partition was brought up to date; its next owner goes on with that", "partition", t.id)
		}
		t.gone = true // its context ended with ctx
	}
	if err := p.heed(); err != nil {
		return false, err
	}
	if len(p.taking) > 0 {
		p.await()
		return false, nil
	}
	home, err := p.bringHome(ctx, p.partitions, p.apply)
	if err != nil {
		return false, fmt.Errorf("stop: %w", err)
	}
	if !home {
		return false, nil
	}
	if err := p.store.Sync(); err != nil {
		return false, err
	}
	return true, p.hook("stopped")
}

// bringHome goes one step towards L = M = F of these partitions; apply is how
// they come to the store.
func (p *Processor[S, D]) bringHome(ctx context.Context, xs []*partition[S, D], apply func(*partition[S, D]) error) (home bool, err error) {
	home = true
	for _, x := range xs {
		x.flushTo = x.fold.nextDirty
		home = home && p.isHome(x)
	}
	if home {
		return true, nil
	}
	if err := p.commit(ctx, p.now()); err != nil {
		return false, err
	}
	for _, x := range xs {
		if err := apply(x); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (p *Processor[S, D]) isHome(x *partition[S, D]) bool {
	return x.outs == 0 && !x.moved() && !x.overdue() && !x.unapplied() && x.committed.F == x.committed.M
}
