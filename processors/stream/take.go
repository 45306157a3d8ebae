package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/state"
)

// takesAtOnce bounds what bringing partitions up to date costs the live ones.
const takesAtOnce = 2

// coming is a partition that is ours, and not being taken yet.
type coming struct {
	partition int32
	fresh     bool   // the group holds nothing
	committed commit // what it holds
}

// taking is a partition that is brought up to date in the background.
type taking[S, D any] struct {
	*partition[S, D]
	began time.Time
	end   context.CancelFunc
	gone  bool  // not ours any more
	err   error // how it ended
}

// forget gives up a partition that is not live yet.
func (p *Processor[S, D]) forget(id int32) {
	p.coming = slices.DeleteFunc(p.coming, func(c coming) bool { return c.partition == id })
	for _, t := range p.taking {
		if t.id == id {
			t.gone = true
			t.end()
		}
	}
}

// takeNext begins with as many partitions as may be taken at once; one that
// is still being given up comes later.
func (p *Processor[S, D]) takeNext() error {
	for len(p.taking) < takesAtOnce && p.life.Err() == nil {
		i := slices.IndexFunc(p.coming, func(c coming) bool {
			return !slices.ContainsFunc(p.taking, func(t *taking[S, D]) bool { return t.id == c.partition })
		})
		if i < 0 {
			return nil
		}
		c := p.coming[i]
		p.coming = slices.Delete(p.coming, i, i+1)
		t := &taking[S, D]{partition: p.prepare(c), began: p.now()}
		var ctx context.Context
		ctx, t.end = context.WithCancel(p.life)
		p.taking = append(p.taking, t)
		p.metrics.live(t.id, false)
		done := p.inbox
		p.spawn(func() {
			t.err = p.take(ctx, t.partition)
			t.end()
			done.put(change{kind: changeTaken, partition: t.id})
		})
	}
	return nil
}

// taken lets a partition that is up to date go live.
func (p *Processor[S, D]) taken(id int32) error {
	i := slices.IndexFunc(p.taking, func(t *taking[S, D]) bool { return t.id == id })
	t := p.taking[i]
	p.taking = slices.Delete(p.taking, i, i+1)
	if t.gone {
		p.metrics.gone(id)
		return nil
	}
	if t.err != nil {
		return p.suspected(id, p.doubted(id, t.err))
	}
	delete(p.doubts, id)
	isolated, err := p.deaths.took(id, t.committed.M, p.c.MaxPoll+p.c.DrainBudget)
	if err != nil {
		return err
	}
	if isolated {
		p.c.Log.Warn("the process ended more than once at the same commit: records and wake-ups are noted one at a time to find the one that kills", "partition", id, "offset", t.committed.M.Next)
	}
	p.goLive(t.partition)
	p.c.Log.Info("partition is live", "partition", id, "offset", t.fold.pos.Next, "took", p.now().Sub(t.began).Round(time.Millisecond))
	return p.hook("taken")
}

// doubted lets a refusal stand only when a new session comes to it again: while
// this one was taking its time, it may have lost the partition unheard, and what
// it was told of the group's offset is out of date.
func (p *Processor[S, D]) doubted(id int32, err error) error {
	if !errors.As(err, new(fatal)) || p.doubts[id] {
		return err
	}
	p.doubts[id] = true
	return fmt.Errorf("looking again, since it may be another's by now: %v", err)
}

// prepare makes what a partition is folded with; for the loop.
func (p *Processor[S, D]) prepare(c coming) *partition[S, D] {
	store := p.store.Partition(c.partition)
	x := &partition[S, D]{id: c.partition, store: store, fold: newFold(p.c.Task, store), fresh: c.fresh, committed: c.committed,
		confirmed: p.confirmed.of(c.partition, p.topic), shape: shape{Partitions: p.count, Profiles: p.profilesID}}
	if s := p.suspects[x.id]; s != nil {
		x.fold.suspect = s
	}
	count := p.count
	x.fold.belongs = func(key string) error {
		if want := partitionOf(key, count); want != x.id {
			return fmt.Errorf("key belongs to partition %d of %d: partition by murmur2 of the key, as Java's default partitioner does", want, count)
		}
		return nil
	}
	x.fold.skips = c.committed.skips()
	return x
}

// take brings a partition to where it was left: rules 9, 11, 12 and 13. What
// it folds here was put out before, by whoever committed it, so it is silent.
// It runs beside the loop, and touches nothing that is the loop's.
func (p *Processor[S, D]) take(ctx context.Context, x *partition[S, D]) error {
	first, err := p.cluster.Starts(ctx, p.input)
	if err != nil {
		return err
	}
	start := first[x.id]
	if x.fresh {
		x.committed.M.Next, x.committed.F.Next = start, start
	}
	kept, err := p.cluster.Starts(ctx, p.profiles)
	if err != nil {
		return err
	}
	x.shape.Start = kept[x.id]
	x.fold.skips.forget(start) // a store somewhere may stand before any of the others
	found, err := p.resume(ctx, x, start)
	if err != nil {
		return err
	}
	if !found {
		if err := p.begin(ctx, x, start); err != nil {
			return err
		}
	}
	if name := x.fold.pos.Version.Name; name != "" {
		if err := p.c.Task.Load(ctx, name); err != nil {
			return fmt.Errorf("load version %q: %w", name, err)
		}
	}
	if x.accepted {
		return p.refoldAccepted(ctx, x)
	}
	return p.refold(ctx, x)
}

// begin makes the state of a partition that the store has nothing of, or
// nothing that the log still reaches back to.
func (p *Processor[S, D]) begin(ctx context.Context, x *partition[S, D], start int64) error {
	if x.fresh {
		return p.begun(ctx, x)
	}
	if x.committed.F.Next < start {
		return fatal{fmt.Errorf("the log begins at offset %d, profiles are complete up to %d, and what is between is deleted; raise the topic's retention; %s",
			start, x.committed.F.Next, p.anew())}
	}
	if err := p.restore(ctx, x); err != nil {
		return fmt.Errorf("restore %s partition %d: %w", p.profiles, x.id, err)
	}
	return nil
}

// goLive connects the fold with the outside.
func (p *Processor[S, D]) goLive(x *partition[S, D]) {
	f := x.fold
	f.out = func(in Input, o Output) { p.emit(x, in, o) }
	f.dead = func(d deadLetter) { p.bury(x, d) }
	f.relieve = func() error { return p.relieve(p.life) }
	f.count = func(wake bool, at int64) {
		if wake {
			p.metrics.wakes.Inc()
			p.metrics.lateness.Observe(float64(p.c.Clock.Now().UnixMilli()-at) / 1000)
		} else {
			p.metrics.records.Inc()
		}
	}
	if p.deaths.isolated(x.id) {
		f.alone = func(s place) error { return p.foldAlone(x, s) }
	}
	x.applyAt = p.now().Add(p.c.ApplyInterval * time.Duration(1+int(x.id)%16) / 16) // not all at once
	x.limit = f.pos.Next
	x.far = x.goal-x.limit > int64(p.c.MaxPoll)
	x.flushTo = f.nextDirty // lives that are all shorter than FlushAfter would never flush
	i, _ := p.search(x.id)
	p.partitions = slices.Insert(p.partitions, i, x)
	p.session.Resume(x.id, f.pos.Next)
	p.metrics.live(x.id, true)
}

// resume goes on from where the store stands, and refuses what cannot be gone
// on with. found: it stands where the log still reaches back to.
func (p *Processor[S, D]) resume(ctx context.Context, x *partition[S, D], start int64) (found bool, err error) {
	l, ok, err := p.local(x)
	if err != nil {
		return false, err
	}
	end, err := p.cluster.Ends(ctx, p.input)
	if err != nil {
		return false, err
	}
	x.goal = end[x.id]
	if err := p.standsForThisLog(x, l, ok); err != nil {
		return false, err
	}
	found = ok && l.M.Next >= start
	if found {
		nearer, err := p.profilesAreNearer(ctx, x, l)
		if err != nil {
			return false, err
		}
		found = !nearer
	}
	from := x.committed.F
	if found {
		from = l.M
	}
	return found, p.decidesAlike(x, from)
}

// profilesAreNearer reports whether to forget the store: others had the
// partition since and handed it over, so profiles are complete up to M, and
// less to read than the log; or what they folded, this version might decide
// otherwise.
func (p *Processor[S, D]) profilesAreNearer(ctx context.Context, x *partition[S, D], l local) (bool, error) {
	m := x.committed.M
	if x.committed.F != m || l.M.Next >= m.Next && !l.M.Frontier.Less(m.Frontier) {
		return false, nil
	}
	if x.committed.Fold != p.c.FoldVersion {
		return true, nil
	}
	first, err := p.cluster.Starts(ctx, p.profiles)
	if err != nil {
		return false, err
	}
	end, err := p.cluster.Ends(ctx, p.profiles)
	if err != nil {
		return false, err
	}
	return end[x.id]-first[x.id] < m.Next-l.M.Next, nil
}

// local reads where the store stands.
func (p *Processor[S, D]) local(x *partition[S, D]) (l local, ok bool, err error) {
	head, ok, err := x.store.Head()
	if err != nil || !ok {
		return l, false, err
	}
	if err := json.Unmarshal(head.Position, &l); err != nil {
		return l, false, fatal{fmt.Errorf("state of partition %d in %s: decode the position: %w; delete the folder to restore it from %s", x.id, p.c.Dir, err, p.profiles)}
	}
	x.fold.reset(l.M, head)
	x.stored = l.M
	return l, true, nil
}

// standsForThisLog compares what the store, the group and the log say of each
// other: rule 12. ok: the store says something.
func (p *Processor[S, D]) standsForThisLog(x *partition[S, D], l local, ok bool) error {
	refuse := func(format string, a ...any) error {
		return fatal{fmt.Errorf(format, a...)}
	}
	group := p.c.group()
	if ok && l.Topic != p.topic {
		return refuse("folder %s is of another topic (id %s, now %s): that one was deleted, or is another cluster's; %s", p.c.Dir, l.Topic, p.topic, p.anew())
	}
	if ok && x.fresh {
		return refuse("folder %s holds state up to offset %d, but group %s holds no offset: it expired or was reset; %s", p.c.Dir, l.M.Next, group, p.anew())
	}
	if id := x.committed.Topic; id != "" && id != p.topic {
		return refuse("group %s stands for a topic of this name that was deleted (id %s, now %s); %s", group, id, p.topic, p.anew())
	}
	if was := x.committed.Shape; was.Partitions > 0 {
		switch {
		case was.Partitions != x.shape.Partitions:
			return refuse("the topic had %d partitions, and has %d: customers' records went elsewhere since, where nothing is known of them; make the topics anew, with as many as are needed, under another prefix, and move the records there by their keys", was.Partitions, x.shape.Partitions)
		case was.Profiles != x.shape.Profiles:
			return refuse("%s was deleted and made anew (id %s, now %s): a lost disk could not be restored from it; %s", p.profiles, was.Profiles, x.shape.Profiles, p.anew())
		case was.Start < x.shape.Start:
			return refuse("%s began at offset %d and begins at %d: its records before that were deleted, and a lost disk could not be restored from the others; %s", p.profiles, was.Start, x.shape.Start, p.anew())
		}
	}
	if at, m := x.confirmed, x.committed.M; max(l.M.Next, m.Next) < at.Next || l.M.Frontier.Less(at.Frontier) && m.Frontier.Less(at.Frontier) {
		return refuse("group %s stands at offset %d, the state in folder %s at %d, but offset %d was committed: brokers lost the end of a transaction (KAFKA-20734), or the group's offset was set back; "+
			"what was put out from there on would be put out again. If it has to be, delete %s in the folder", group, m.Next, p.c.Dir, l.M.Next, at.Next, confirmedFile)
	}
	if at := max(l.M.Next, x.committed.M.Next); at > x.goal {
		return refuse("it is folded up to offset %d, but the log ends at %d: the broker lost records; %s", at, x.goal, p.anew())
	}
	return nil
}

// anew is what is left to do when the log, the group and the folder do not fit
// together: records of a compacted topic cannot be deleted, but the topic can.
func (p *Processor[S, D]) anew() string {
	return fmt.Sprintf("to begin anew, with what the log still holds, delete the group %s, the topic %s (segue topics create makes it again) and the folder %s", p.c.group(), p.profiles, p.c.Dir)
}

// decidesAlike refuses to fold again from there what another version of the
// fold has put out: rule 13.
func (p *Processor[S, D]) decidesAlike(x *partition[S, D], from Position) error {
	m, by := x.committed.M, x.committed.Fold
	again := from.Next < m.Next || from.Frontier.Less(m.Frontier)
	if x.fresh || !again || by == p.c.FoldVersion {
		return nil
	}
	if !p.c.AcceptRefold {
		return fatal{fmt.Errorf("offsets %d to %d were decided by fold version %d, which did not stop gracefully; this is %d and might decide otherwise. Start version %d and stop it gracefully, or accept the difference with --accept-refold", from.Next, m.Next, by, p.c.FoldVersion, by)}
	}
	p.c.Log.Warn("what another fold version decided is folded again", "partition", x.id, "from", from.Next, "to", m.Next, "version", by, "now", p.c.FoldVersion)
	x.accepted = true
	return nil
}

// begun makes sure that a partition without position is one that was never folded.
func (p *Processor[S, D]) begun(ctx context.Context, x *partition[S, D]) error {
	if _, err := x.store.Replace(); err != nil { // what a restore left half done
		return err
	}
	err := p.readProfiles(ctx, x.id, func(r *kgo.Record) error {
		return fatal{fmt.Errorf("%s partition %d holds %q, but group %s holds no offset of %s: it expired or was reset; %s", p.profiles, x.id, r.Key, p.c.group(), p.input, p.anew())}
	})
	if err != nil {
		return err
	}
	x.fold.reset(Position{Next: x.committed.M.Next}, empty)
	x.fold.entries.whole = true
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

// readProfiles reads a partition of profiles to its end.
func (p *Processor[S, D]) readProfiles(ctx context.Context, id int32, take func(*kgo.Record) error) error {
	return readToEnd(ctx, p.cluster, p.profiles, id, take)
}

// readToEnd hands on what a partition of a compacted topic holds, to its end,
// which a transaction that is not decided yet may hold back.
func readToEnd(ctx context.Context, c cluster, topic string, id int32, take func(*kgo.Record) error) error {
	first, err := c.Starts(ctx, topic)
	if err != nil {
		return err
	}
	// Another owner may flush a key beyond the end while its record below is
	// compacted away: to the end again, until that has not moved.
	for next := first[id]; ; {
		end, err := c.Ends(ctx, topic)
		if err != nil || end[id] <= next {
			return err
		}
		err = c.Read(ctx, topic, id, next, func(r *kgo.Record) (bool, error) {
			next = r.Offset + 1
			if !r.Attrs.IsControl() {
				if err := take(r); err != nil {
					return false, err
				}
			}
			return next >= end[id], nil
		})
		if err != nil {
			return err
		}
	}
}

// refold folds silently what is committed and not in the store.
func (p *Processor[S, D]) refold(ctx context.Context, x *partition[S, D]) error {
	f, want := x.fold, x.committed.M
	f.relieve = func() error {
		if err := ctx.Err(); err != nil || f.entries.pending < p.c.statesMemory()/(4*takesAtOnce) {
			return err
		}
		if err := x.apply(p.topic, p.c.FoldVersion); err != nil {
			return err
		}
		f.shrink(p.c.statesMemory()/(2*takesAtOnce), evictions)
		return p.hook("refolding")
	}
	f.count = func(bool, int64) { p.metrics.refolded.Inc() }
	if f.pos.Next < want.Next {
		err := p.cluster.Read(ctx, p.input, x.id, f.pos.Next, func(r *kgo.Record) (bool, error) {
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
	if err := f.drainTo(want.Frontier); err != nil {
		return fmt.Errorf("fold again: %w", err)
	}
	if x.fresh {
		return nil
	}
	return x.apply(p.topic, p.c.FoldVersion)
}
