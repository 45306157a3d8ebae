package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
)

// deaths remembers, in a file beside the state, at which commit a process
// ended without a word. Twice at the same one: then a record after it may be
// what kills, and one is folded at a time until it is found: rule 14.
type deaths struct {
	fs     vfs.FS
	dir    string
	former map[int32]death // of the lives before
	now    map[int32]death
}

type death struct {
	At    int64 `json:"at"`              // M at the start
	Count int   `json:"count,omitempty"` // ends at this M
	Until int64 `json:"until,omitempty"` // records before it are folded one at a time
	Alone int64 `json:"alone,omitempty"` // the one being folded, and 1
	Tries int   `json:"tries,omitempty"` // ends while it was
}

const (
	deathsFile = "running.json"
	// deathsAllowed at one commit may be chance.
	deathsAllowed = 2
)

func openDeaths(dir string, fs vfs.FS) (*deaths, error) {
	if fs == nil {
		fs = vfs.Default
	}
	d := &deaths{fs: fs, dir: dir, former: map[int32]death{}, now: map[int32]death{}}
	f, err := fs.Open(d.path())
	if errors.Is(err, os.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, fmt.Errorf("how the last life ended: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("how the last life ended: %w", err)
	}
	if json.Unmarshal(b, &d.former) != nil {
		d.former = map[int32]death{} // cut short by the crash: count from here
	}
	return d, nil
}

func (d *deaths) path() string { return d.fs.PathJoin(d.dir, deathsFile) }

// took notes that a partition is live at M; span is how many records may have
// been folded before the first commit. It returns what is to be isolated, if
// anything.
func (d *deaths) took(id int32, m, span int64) (isolated bool, err error) {
	if _, again := d.now[id]; again { // a later session of this life
		return d.isolated(id, m), nil
	}
	now, former := death{At: m}, d.former[id]
	switch {
	case former.Until > m: // died while one record at a time was folded
		now = former
		now.At, now.Count = m, former.Count+1
		if now.Alone != 0 {
			now.Tries++
		} else { // none before Until was a record that kills: it lies beyond
			now.Until += former.Until - m + span
		}
	case d.met(id) && former.At == m:
		now.Count = former.Count + 1
		if now.Count >= deathsAllowed {
			now.Until = m + span
		}
	}
	d.now[id] = now
	return d.isolated(id, m), d.write()
}

func (d *deaths) met(id int32) bool { _, ok := d.former[id]; return ok }

// isolated reports whether the record at an offset is folded alone.
func (d *deaths) isolated(id int32, offset int64) bool { return offset < d.now[id].Until }

// killer reports whether former lives ended while the record was folded alone.
func (d *deaths) killer(id int32, offset int64) bool {
	now := d.now[id]
	return now.Alone == offset+1 && now.Tries >= deathsAllowed
}

// alone notes, durably, that the record is folded now; -1: none is.
func (d *deaths) alone(id int32, offset int64) error {
	now := d.now[id]
	if now.Alone != offset+1 {
		now.Alone, now.Tries = offset+1, 0
	}
	d.now[id] = now
	return d.write()
}

func (d *deaths) write() error {
	b, err := json.Marshal(d.now)
	if err == nil {
		err = d.replace(b)
	}
	if err != nil {
		return fmt.Errorf("note what is being folded: %w", err)
	}
	return nil
}

func (d *deaths) replace(b []byte) error {
	draft := d.path() + ".new"
	f, err := d.fs.Create(draft, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := d.fs.Rename(draft, d.path()); err != nil {
		return err
	}
	dir, err := d.fs.OpenDir(d.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// clear says that this life ended with a word.
func (d *deaths) clear() error {
	if err := d.fs.Remove(d.path()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("note that the end was graceful: %w", err)
	}
	return nil
}

// foldIsolated folds one record and commits it, unless it is the one that
// killed: that one is skipped here, and by a control record everywhere.
func (p *Processor[S, D]) foldIsolated(ctx context.Context, x *partition[S, D], r *kgo.Record) error {
	if p.deaths.killer(x.id, r.Offset) {
		reason := fmt.Sprintf("the process ended %d times while this record was folded", p.deaths.now[x.id].Count)
		p.bury(x, deadLetter{Input{Key: string(r.Key), Now: x.fold.pos.Clock, Offset: r.Offset, Value: r.Value}, r.Timestamp.UnixMilli(), reason})
		x.fold.skips[r.Offset] = true
		p.produce(&kgo.Record{Topic: p.input, Partition: x.id, Value: schemas.Encode(&schemas.Event{
			Body: &schemas.Event_Skip{Skip: &schemas.SkipRecord{Offset: r.Offset, Reason: reason}}})})
	} else if err := p.deaths.alone(x.id, r.Offset); err != nil {
		return err
	}
	if err := x.fold.record(ctx, fromKafka(r)); err != nil {
		return err
	}
	if err := p.commit(ctx, p.now()); err != nil {
		return err
	}
	return p.deaths.alone(x.id, -1)
}
