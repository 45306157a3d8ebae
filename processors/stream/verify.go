package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
	"segue/state"
)

// Verified is what a comparison of one partition came to.
type Verified struct {
	Partition int32
	// Position of the folder, and the one at which both were compared.
	Stored, At Position
	// Of the folder: keys, those that asked to be woken, and those not in profiles yet.
	Keys, Wakes, Dirty int
	// Compared are those of the folder's and the log's keys that were compared.
	Compared int
	// From is what the folder was compared with: "the log from its start", or
	// "profiles, and the log from offset 1842".
	From string
	// Differ are keys of which the folder says something else, in order.
	Differ []string
	// Problem, if any, is why the partition cannot be compared, or is not right as
	// a whole.
	Problem error
}

// Verify reads all that a processor left in its folder, compares it with what
// the log says, and changes neither. The folder is brought to where the group stands, as a
// start would (rule 9), in memory; beside it the same keys are folded from the
// log's start or, where that is gone, from profiles, as after the loss of a
// disk (rule 11). Since the state is a function of the log, both must come to
// the same bytes. Of each partition at most about so many keys are compared; 0:
// all, which takes the memory of all their states twice.
func Verify[S, D any](ctx context.Context, c Config[S, D], most int, report func(Verified) error) (err error) {
	if err := c.complete(); err != nil {
		return err
	}
	fs := c.FS
	if fs == nil {
		fs = vfs.Default
	}
	if _, err := fs.Stat(c.Dir); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("verify %s: there is no such folder", c.Dir)
	}
	v := verification[S, D]{Config: c, most: most}
	if v.store, err = state.Open(c.Dir, state.Options{FS: c.FS, Memory: c.storeMemory()}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.store.Close()) }()
	if err := v.ask(ctx); err != nil {
		return err
	}
	for id := range int32(v.partitions) {
		head, ok, err := v.store.Partition(id).Head()
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		r := Verified{Partition: id}
		r.Problem = v.verify(ctx, &r, head)
		if err := errors.Join(ctx.Err(), report(r)); err != nil {
			return err
		}
	}
	return nil
}

// verification is one folder, and what the cluster says.
type verification[S, D any] struct {
	Config[S, D]
	most       int
	store      *state.Store
	partitions int
	topic      string // the input's id
	first, end map[int32]int64
	// committed is what the group holds.
	committed map[int32]commit
}

// ask asks the cluster for all but the records.
func (v *verification[S, D]) ask(ctx context.Context) error {
	client, err := kgo.NewClient(v.Kafka...)
	if err != nil {
		return err
	}
	defer client.Close()
	cluster := kadm.NewClient(client)
	input := v.Prefix + v.Input
	listed, err := cluster.ListTopics(ctx, input)
	if err = errors.Join(err, listed.Error()); err != nil {
		return fmt.Errorf("look at topic %s: %w", input, err)
	}
	v.partitions, v.topic = len(listed[input].Partitions), topicID(listed[input].ID)
	if v.first, err = starts(ctx, client, input); err != nil {
		return err
	}
	if v.end, err = ends(ctx, client, input); err != nil {
		return err
	}
	v.committed, err = heldBy(ctx, client, v.Prefix+v.Name, input)
	return err
}

// verify compares one partition.
func (v *verification[S, D]) verify(ctx context.Context, r *Verified, head state.Head) error {
	var l local
	if err := json.Unmarshal(head.Position, &l); err != nil {
		return fmt.Errorf("decode the position: %w", err)
	}
	r.Stored = l.M
	w, err := walk(v.Task, v.store.Partition(r.Partition), head)
	if err = errors.Join(err, w.wrong.err()); err != nil {
		return err
	}
	r.Keys, r.Wakes, r.Dirty = w.keys, w.wakes, w.dirty
	held, ok := v.committed[r.Partition]
	switch {
	case l.Topic != v.topic:
		return fmt.Errorf("the folder is of a topic with id %s, and %s has id %s: it is of another cluster, or the topic was deleted", l.Topic, v.Prefix+v.Input, v.topic)
	case !ok:
		return fmt.Errorf("group %s holds no offset of it", v.Prefix+v.Name)
	case l.Fold != v.FoldVersion || held.Fold != v.FoldVersion:
		return fmt.Errorf("it was folded by versions %d (folder) and %d (group) of the fold, and this is %d, which may decide otherwise", l.Fold, held.Fold, v.FoldVersion)
	}
	goal := later(l.M, held.M)
	if goal.Next > v.end[r.Partition] {
		return fmt.Errorf("it is folded up to offset %d, but the log ends at %d", goal.Next, v.end[r.Partition])
	}
	seen, every, err := v.sample(r.Partition)
	if err != nil {
		return err
	}
	chosen := func(key string) bool { return every == 1 || hash(key)%every == 0 }

	ours := newFold(v.Task, v.store.Partition(r.Partition))
	ours.reset(l.M, head)
	memory, err := state.Open("verify", state.Options{FS: vfs.NewMem()})
	if err != nil {
		return err
	}
	defer memory.Close()
	theirs := newFold(v.Task, memory.Partition(r.Partition))
	if err := v.begin(ctx, r, theirs, memory.Partition(r.Partition), held, chosen, seen); err != nil {
		return err
	}
	if err := v.fold(ctx, r.Partition, goal, held.skips(), chosen, seen, ours, theirs); err != nil {
		return err
	}
	r.At = ours.pos
	for _, key := range slices.Sorted(maps.Keys(seen)) {
		if !chosen(key) {
			continue
		}
		r.Compared++
		same, err := alike(ours, theirs, key)
		if err != nil {
			return err
		}
		if !same {
			r.Differ = append(r.Differ, key)
		}
	}
	if ours.pos != theirs.pos {
		return fmt.Errorf("it stands at %+v, and the log gives %+v", ours.pos, theirs.pos)
	}
	return nil
}

// later is the greater of each part of two positions of one log.
func later(a, b Position) Position {
	if a.Next < b.Next {
		a.Next, a.Clock, a.Version = b.Next, b.Clock, b.Version
	}
	if a.Frontier.Less(b.Frontier) {
		a.Frontier = b.Frontier
	}
	return a
}

// sample lists the folder's keys, and says of how many one is compared.
func (v *verification[S, D]) sample(id int32) (seen map[string]bool, every uint64, err error) {
	it, err := v.store.Partition(id).Values("")
	if err != nil {
		return nil, 0, err
	}
	seen = map[string]bool{}
	for ; it.Valid(); it.Next() {
		seen[it.Key()] = true
	}
	every = 1
	if v.most > 0 {
		every = max(1, uint64(len(seen)+v.most-1)/uint64(v.most))
	}
	return seen, every, it.Close()
}

func hash(key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	return h.Sum64()
}

// begin brings the fold that the folder is compared with to where the log can
// take over.
func (v *verification[S, D]) begin(ctx context.Context, r *Verified, f *fold[S, D], store *state.Partition, held commit, chosen func(string) bool, seen map[string]bool) error {
	start := v.first[r.Partition]
	if start == 0 {
		r.From = "the log from its start"
		f.reset(Position{}, empty)
		return nil
	}
	if held.F.Next < start {
		return fmt.Errorf("the log begins at offset %d, and profiles are complete up to %d: there is nothing to compare with", start, held.F.Next)
	}
	r.From = fmt.Sprintf("profiles, and the log from offset %d", held.F.Next)
	replacement, err := store.Replace()
	if err != nil {
		return err
	}
	cluster, err := v.kafka().connect()
	if err != nil {
		return err
	}
	defer cluster.Close()
	err = readToEnd(ctx, cluster, v.Prefix+v.Profiles, r.Partition, func(rec *kgo.Record) error {
		key := string(rec.Key)
		if !chosen(key) {
			return nil
		}
		if rec.Value == nil {
			return replacement.Put(key, nil)
		}
		seen[key] = true
		fold, err := v.Task.Restore(rec.Value)
		if err != nil {
			return fmt.Errorf("decode the profile of %q at offset %d: %w", key, rec.Offset, err)
		}
		return replacement.Put(key, fold)
	})
	if err != nil {
		return err
	}
	floor := held.F
	floor.Frontier = state.Wake{} // a profile may lack what fired after it was dirty
	head, err := replacement.Finish(json.RawMessage("{}"), func(fold []byte) (int64, error) {
		e, _, err := decodeEnvelope(fold)
		return e.next, err
	})
	f.reset(floor, head)
	return err
}

// fold brings folds to the goal, silently. Of keys that are not chosen only
// the time counts.
func (v *verification[S, D]) fold(ctx context.Context, id int32, goal Position, skipped skips, chosen func(string) bool, seen map[string]bool, folds ...*fold[S, D]) error {
	input := v.Prefix + v.Input
	from := int64(math.MaxInt64)
	for _, f := range folds {
		f.careful = true // a step that panicked then does so now
		maps.Copy(f.skips, skipped)
		from = min(from, f.pos.Next)
	}
	// What is skipped lies before the record that says so.
	if err := v.span(ctx, input, id, from, goal.Next, func(r record) error {
		var e schemas.Event
		if len(r.key) == 0 && !r.marker && schemas.Decode(r.value, &e) == nil && e.GetSkip() != nil {
			for _, f := range folds {
				f.skips.heed(e.GetSkip(), r.offset)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, f := range folds {
		if name := f.pos.Version.Name; name != "" {
			if err := v.Task.Load(ctx, name); err != nil {
				return fmt.Errorf("load version %q: %w", name, err)
			}
		}
	}
	if err := v.span(ctx, input, id, from, goal.Next, func(r record) error {
		if key := string(r.key); key != "" && chosen(key) {
			seen[key] = true
		} else if key != "" {
			r.key, r.value = nil, tickValue
		}
		for _, f := range folds {
			if err := f.record(ctx, r); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, f := range folds {
		f.pos.Next = max(f.pos.Next, goal.Next)
		if err := f.drainTo(goal.Frontier); err != nil {
			return err
		}
	}
	return nil
}

// span hands on the records from one offset to another.
func (v *verification[S, D]) span(ctx context.Context, topic string, id int32, from, to int64, take func(record) error) error {
	if from >= to {
		return nil
	}
	return read(ctx, v.Kafka, topic, id, from, func(r *kgo.Record) (bool, error) {
		if r.Offset < to {
			if err := take(fromKafka(r)); err != nil {
				return false, err
			}
		}
		return r.Offset+1 >= to, nil
	})
}

// alike reports whether two folds hold the same of a key, to the byte.
func alike[S, D any](a, b *fold[S, D], key string) (bool, error) {
	x, err := a.load(key)
	if err != nil {
		return false, err
	}
	y, err := b.load(key)
	if err != nil {
		return false, err
	}
	if !x.exists || !y.exists {
		return x.exists == y.exists, nil
	}
	return bytes.Equal(a.encode(nil, x), b.encode(nil, y)), nil
}
