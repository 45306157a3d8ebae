package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/state"
)

// deaths remembers, in a file beside the state, at which commit a process
// ended without a word. Twice at the same one: then a step after it may be what
// kills, and each is noted before it is taken until one is found: rule 14.
//
// The file is not synced: it outlives the process, and what ends the machine is
// no step.
type deaths struct {
	file   beside[death]
	former map[int32]death // of the lives before
	now    map[int32]death
}

type death struct {
	At    Position `json:"at"`              // M at the start
	Count int      `json:"count,omitempty"` // ends at this M
	Alone int      `json:"alone,omitempty"` // so many steps are to be noted
	Step  *place   `json:"step,omitempty"`  // the one that is being taken
	Ended []ended  `json:"ended,omitempty"` // those that were when a life ended
}

// ended is a step during which lives ended.
type ended struct {
	Step  place `json:"step"`
	Lives int   `json:"lives"`
}

const (
	deathsFile = "running.json"
	// deathsAllowed at one commit, or during one step, may be chance.
	deathsAllowed = 2
)

func openDeaths(dir string, fs vfs.FS) (*deaths, error) {
	d := &deaths{file: newBeside[death](fs, dir, deathsFile), now: map[int32]death{}}
	var err error
	if d.former, err = d.file.read(); err != nil {
		return nil, fmt.Errorf("how the last life ended: %w", err)
	}
	return d, nil
}

// took notes that a partition is live at M; span is how many steps a turn
// takes. It returns whether each is to be noted.
func (d *deaths) took(id int32, m Position, span int) (isolated bool, err error) {
	if now, again := d.now[id]; again { // a later session of this life
		if now.Alone > 0 {
			now.Alone = span
		}
		d.now[id] = now
		return now.Alone > 0, nil
	}
	now := death{At: m}
	former, met := d.former[id]
	if met && former.At == m {
		now.Count = former.Count + 1
	}
	if s := former.Step; s != nil {
		i := former.ended(*s)
		if i < 0 {
			former.Ended = append(former.Ended, ended{*s, 0})
			i = len(former.Ended) - 1
		}
		former.Ended[i].Lives++
	}
	if now.Count > 0 || former.Step != nil {
		now.Ended = former.Ended
	}
	if len(now.Ended) > 0 || now.Count >= deathsAllowed {
		now.Alone = span
	}
	d.now[id] = now
	return now.Alone > 0, d.write()
}

// isolated reports whether the steps of a partition are noted.
func (d *deaths) isolated(id int32) bool { return d.now[id].Alone > 0 }

// killer reports whether lives ended while the step was taken.
func (d *deaths) killer(id int32, step place) bool {
	now := d.now[id]
	i := now.ended(step)
	return i >= 0 && now.Ended[i].Lives >= deathsAllowed
}

func (d death) ended(step place) int {
	return slices.IndexFunc(d.Ended, func(e ended) bool { return e.Step == step })
}

// taking notes that the step is taken now.
func (d *deaths) taking(id int32, step place) error {
	now := d.now[id]
	now.Alone, now.Step = max(now.Alone-1, 0), &step
	d.now[id] = now
	return d.write()
}

// survived notes that no step of the partition is being taken.
func (d *deaths) survived(id int32) error {
	now := d.now[id]
	if now.Step == nil {
		return nil
	}
	now.Step = nil
	d.now[id] = now
	return d.write()
}

// over notes that enough steps were taken alone, and M is beyond them.
func (d *deaths) over(id int32, m Position) error {
	d.now[id] = death{At: m}
	return d.write()
}

func (d *deaths) write() error {
	if err := d.file.write(d.now, false); err != nil {
		return fmt.Errorf("note what is being folded: %w", err)
	}
	return nil
}

// clear says that this life ended with a word.
func (d *deaths) clear() error {
	if err := d.file.remove(); err != nil {
		return fmt.Errorf("note that the end was graceful: %w", err)
	}
	return nil
}

// foldAlone notes a step before it is taken. A wake-up that kills is skipped;
// a record was, before any of its steps.
func (p *Processor[S, D]) foldAlone(x *partition[S, D], step place) error {
	if step.offset < 0 && p.deaths.killer(x.id, step) {
		p.skip(x, step)
		return nil
	}
	return p.deaths.taking(x.id, step)
}

// skip leaves a step out here, and by a control record everywhere.
func (p *Processor[S, D]) skip(x *partition[S, D], step place) {
	x.fold.skips[step] = max(step.offset, x.fold.pos.Next)
	p.produce(&kgo.Record{Topic: p.input, Partition: x.id, Value: skipRecord(step)})
}

// survived ends the notes of a turn's steps. Once enough were taken alone they
// are committed, so that the next life begins after them.
func (p *Processor[S, D]) survived(ctx context.Context) error {
	for _, x := range p.partitions {
		if x.fold.alone == nil {
			continue
		}
		if err := p.deaths.survived(x.id); err != nil {
			return err
		}
		if p.deaths.isolated(x.id) {
			continue
		}
		if err := p.commit(ctx, p.now()); err != nil {
			return err
		}
		x.fold.alone = nil
		if err := p.deaths.over(x.id, x.committed.M); err != nil {
			return err
		}
	}
	return nil
}

// placeJSON is how a place is written: keys are bytes, not text.
type placeJSON struct {
	Offset int64  `json:"o"`
	Due    int64  `json:"d,omitempty"`
	Key    []byte `json:"k,omitempty"`
}

// MarshalJSON is for the lives to come.
func (p place) MarshalJSON() ([]byte, error) {
	return json.Marshal(placeJSON{p.offset, p.wake.Due, []byte(p.wake.Key)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *place) UnmarshalJSON(b []byte) error {
	var j placeJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*p = place{j.Offset, state.Wake{Due: j.Due, Key: string(j.Key)}}
	return nil
}
