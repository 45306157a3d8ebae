package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/state"
)

// take brings a partition to where it was left: rules 9, 11, 12 and 13. What
// it folds here was put out before, by whoever committed it, so it is silent.
func (p *Processor[S, D]) take(ctx context.Context, c change) (*partition[S, D], error) {
	started := time.Now()
	if c.start < 0 {
		first, err := starts(ctx, p.session.Client(), p.input)
		if err != nil {
			return nil, err
		}
		c.start = first[c.partition]
	}
	store := p.store.Partition(c.partition)
	x := &partition[S, D]{id: c.partition, store: store, fold: newFold(p.c.Task, store), fresh: c.fresh, committed: c.committed}
	f := x.fold
	if s := p.suspects[x.id]; s != nil {
		f.suspect = s
	}
	f.belongs = func(key string) error {
		if want := partitionOf(key, p.count); want != x.id {
			return fmt.Errorf("key belongs to partition %d of %d: partition by murmur2 of the key, as Java's default partitioner does", want, p.count)
		}
		return nil
	}
	for _, o := range c.committed.Skips {
		f.skips[o] = true
	}
	head, found, err := p.local(ctx, x, c)
	if err != nil {
		return nil, err
	}
	p.ready(fmt.Sprintf("bringing partition %d up to date", x.id))
	p.metrics.live(x.id, false)
	switch {
	case found && head.M.Next >= c.start:
		if x.listed, err = firstListed(store, f.clean); err != nil {
			return nil, err
		}
	case c.fresh:
		if err := p.begun(ctx, x); err != nil {
			return nil, err
		}
	default:
		if c.committed.F.Next < c.start {
			return nil, fatal{fmt.Errorf("%s partition %d: the log begins at offset %d, profiles are complete up to %d, and what is between is deleted; raise the topic's retention, and begin anew: delete the group %s, the records of %s and the folder %s",
				p.input, x.id, c.start, c.committed.F.Next, p.c.Prefix+p.c.Name, p.profiles, p.c.Dir)}
		}
		if err := p.restore(ctx, x); err != nil {
			return nil, fmt.Errorf("restore %s partition %d: %w", p.profiles, x.id, err)
		}
	}
	if f.pos.Version.Name != "" {
		if err := p.c.Task.Load(ctx, f.pos.Version.Name); err != nil {
			return nil, fmt.Errorf("load version %q: %w", f.pos.Version.Name, err)
		}
	}
	if err := p.refold(ctx, x); err != nil {
		return nil, err
	}
	isolated, err := p.deaths.took(x.id, x.committed.M.Next, int64(p.c.MaxPoll))
	if err != nil {
		return nil, err
	}
	if isolated {
		p.c.Log.Warn("the process ended more than once at the same commit: records are folded one at a time to find the one that kills", "partition", x.id, "offset", x.committed.M.Next)
	}
	p.goLive(ctx, x)
	p.metrics.live(x.id, true)
	p.c.Log.Info("partition is live", "partition", x.id, "offset", f.pos.Next, "took", time.Since(started).Round(time.Millisecond))
	return x, p.hook("taken")
}

// goLive connects the fold with the outside.
func (p *Processor[S, D]) goLive(ctx context.Context, x *partition[S, D]) {
	f := x.fold
	f.out = func(in Input, o Output) { p.emit(x, in, o) }
	f.dead = func(d deadLetter) { p.bury(x, d) }
	f.relieve = func() error { return p.relieve(ctx) }
	f.count = func(wake bool, at int64) {
		if wake {
			p.metrics.wakes.Inc()
			p.metrics.lateness.Observe(float64(p.c.Clock.Now().UnixMilli()-at) / 1000)
		} else {
			p.metrics.records.Inc()
		}
	}
	x.applyAt = time.Now().Add(p.c.ApplyInterval * time.Duration(1+int(x.id)%16) / 16) // not all at once
	x.limit = f.pos.Next
}

// local reads where the store stands, and refuses what cannot be gone on with.
func (p *Processor[S, D]) local(ctx context.Context, x *partition[S, D], c change) (l local, ok bool, err error) {
	head, ok, err := x.store.Head()
	if err != nil {
		return l, false, err
	}
	if ok {
		if err := json.Unmarshal(head.Position, &l); err != nil {
			return l, false, fatal{fmt.Errorf("state of partition %d in %s: decode the position: %w; delete the folder to restore it from %s", x.id, p.c.Dir, err, p.profiles)}
		}
		x.fold.reset(l.M, head)
		x.stored = l.M
	}
	refuse := func(format string, a ...any) error {
		return fatal{fmt.Errorf("%s partition %d: "+format, append([]any{p.input, x.id}, a...)...)}
	}
	group := p.c.Prefix + p.c.Name
	if ok && c.fresh {
		return l, ok, refuse("folder %s holds state up to offset %d, but group %s holds no offset: it expired or was reset; to begin anew delete the folder and the records of %s", p.c.Dir, l.M.Next, group, p.profiles)
	}
	for _, other := range []struct{ where, id string }{{"group " + group, c.committed.Topic}, {"folder " + p.c.Dir, l.Topic}} {
		if other.id != "" && other.id != p.topic {
			return l, ok, refuse("%s stands for a topic of this name that was deleted (id %s, now %s); to begin anew delete the group, the folder and the records of %s", other.where, other.id, p.topic, p.profiles)
		}
	}
	end, err := ends(ctx, p.session.Client(), p.input)
	if err != nil {
		return l, ok, err
	}
	x.goal = end[x.id]
	if at := max(l.M.Next, c.committed.M.Next); at > end[x.id] {
		return l, ok, refuse("it is folded up to offset %d, but the log ends at %d: the broker lost records; to begin anew delete group %s, the folder %s and the records of %s", at, end[x.id], group, p.c.Dir, p.profiles)
	}
	// Rule 13. What is folded again must be decided as it was put out.
	from, by := c.committed.F, c.committed.Fold
	if ok && l.M.Next >= c.start {
		from = l.M
	}
	again := from.Next < c.committed.M.Next || from.Frontier.Less(c.committed.M.Frontier)
	if !c.fresh && again && by != p.c.FoldVersion {
		if !p.c.AcceptRefold {
			return l, ok, refuse("offsets %d to %d were decided by fold version %d, which did not stop gracefully; this is %d and might decide otherwise. Start version %d and stop it gracefully, or accept the difference with --accept-refold", from.Next, c.committed.M.Next, by, p.c.FoldVersion, by)
		}
		p.c.Log.Warn("what another fold version decided is folded again", "partition", x.id, "from", from.Next, "to", c.committed.M.Next, "version", by, "now", p.c.FoldVersion)
	}
	return l, ok, nil
}

func firstListed(store *state.Partition, clean uint64) (d *dirtied, err error) {
	it, err := store.Dirty(clean)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.Valid() {
		return nil, nil
	}
	return listed(it)
}

// begun makes sure that a partition without position is one that was never folded.
func (p *Processor[S, D]) begun(ctx context.Context, x *partition[S, D]) error {
	if _, err := x.store.Replace(); err != nil { // what a restore left half done
		return err
	}
	err := p.readProfiles(ctx, x.id, func(r *kgo.Record) error {
		return fatal{fmt.Errorf("%s partition %d holds %q, but group %s holds no offset of %s: it expired or was reset; to begin anew delete the records of %s", p.profiles, x.id, r.Key, p.c.Prefix+p.c.Name, p.input, p.profiles)}
	})
	if err != nil {
		return err
	}
	x.fold.reset(Position{Next: x.committed.M.Next}, empty)
	x.stored = x.fold.pos
	return nil
}

// restore makes the partition's state from profiles; it stands at the floor.
func (p *Processor[S, D]) restore(ctx context.Context, x *partition[S, D]) error {
	p.metrics.restores.Inc()
	r, err := x.store.Replace()
	if err != nil {
		return err
	}
	err = p.readProfiles(ctx, x.id, func(rec *kgo.Record) error {
		p.metrics.restored.Inc()
		if rec.Value == nil {
			return r.Put(string(rec.Key), nil)
		}
		fold, err := p.c.Task.Restore(rec.Value)
		if err != nil {
			return fmt.Errorf("decode %q at offset %d: %w", rec.Key, rec.Offset, err)
		}
		return r.Put(string(rec.Key), fold)
	})
	if err != nil {
		return err
	}
	if err := p.hook("restoring"); err != nil {
		return err
	}
	floor := x.committed.F
	floor.Frontier = state.Wake{} // a profile may lack what fired after it was dirty
	at, err := json.Marshal(local{p.topic, p.c.FoldVersion, floor})
	if err != nil {
		return err
	}
	head, err := r.Finish(at, func(fold []byte) (int64, error) {
		e, _, err := decodeEnvelope(fold)
		return e.next, err
	})
	if err != nil {
		return err
	}
	x.fold.reset(floor, head)
	x.stored = floor
	return nil
}

// readProfiles reads a partition of profiles to its end, which a transaction
// that is not decided yet may hold back.
func (p *Processor[S, D]) readProfiles(ctx context.Context, id int32, take func(*kgo.Record) error) error {
	listed, err := kadm.NewClient(p.ticker).ListEndOffsets(ctx, p.profiles)
	end, err := offsets(listed, p.profiles, err)
	if err != nil {
		return err
	}
	first, err := starts(ctx, p.ticker, p.profiles)
	if err != nil {
		return err
	}
	if end[id] <= first[id] {
		return nil
	}
	return read(ctx, p.c.Kafka, p.profiles, id, first[id], func(r *kgo.Record) (bool, error) {
		if !r.Attrs.IsControl() {
			if err := take(r); err != nil {
				return false, err
			}
		}
		return r.Offset+1 >= end[id], nil
	})
}

// refold folds silently what is committed and not in the store.
func (p *Processor[S, D]) refold(ctx context.Context, x *partition[S, D]) error {
	f, want := x.fold, x.committed.M
	f.relieve = func() error {
		if f.entries.pending < p.c.touchedMemory() {
			return nil
		}
		if err := x.apply(p.topic, p.c.FoldVersion); err != nil {
			return err
		}
		f.entries.shrink(p.c.decodedMemory())
		return p.hook("refolding")
	}
	f.count = func(bool, int64) { p.metrics.refolded.Inc() }
	if f.pos.Next < want.Next {
		err := read(ctx, p.c.Kafka, p.input, x.id, f.pos.Next, func(r *kgo.Record) (bool, error) {
			if r.Offset >= want.Next {
				return true, nil
			}
			if err := f.record(ctx, fromKafka(r)); err != nil {
				return false, err
			}
			return f.pos.Next >= want.Next, f.relieve()
		})
		if err != nil {
			return fmt.Errorf("fold again: %w", err)
		}
	}
	if f.pos.Frontier.Less(want.Frontier) {
		if _, err := f.drain(state.Wake{Due: want.Frontier.Due, Key: want.Frontier.Key + "\x00"}, forever); err != nil {
			return fmt.Errorf("fold again: %w", err)
		}
		if f.pos.Frontier.Less(want.Frontier) {
			f.pos.Frontier = want.Frontier
		}
	}
	if x.fresh {
		return nil
	}
	return x.apply(p.topic, p.c.FoldVersion)
}
