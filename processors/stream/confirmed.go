package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// confirmed is what brokers said to be committed, in all sessions of a process.
// The group never holds less, unless brokers lost it: one that finds a partition
// without leader at the end of a transaction may take it for deleted and drop
// the marker (KAFKA-20734). Is it the group's, then what is committed stays
// undecided there, and the next transaction that is aborted takes it along.
//
// When a session ends it is noted in a file beside the state, so that the next
// life knows it, too. A store that stands there or beyond makes up for the group.
type confirmed struct {
	fs   vfs.FS
	path string
	at   map[int32]confirmation
}

type confirmation struct {
	Topic string   `json:"topic"` // its id
	M     Position `json:"m"`
}

const confirmedFile = "confirmed.json"

func openConfirmed(dir string, fs vfs.FS) (*confirmed, error) {
	c := &confirmed{fs, fs.PathJoin(dir, confirmedFile), map[int32]confirmation{}}
	f, err := fs.Open(c.path)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	var b []byte
	if err == nil {
		b, err = io.ReadAll(f)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("what the last life knew to be committed: %w", err)
	}
	if json.Unmarshal(b, &c.at) != nil {
		c.at = map[int32]confirmation{} // cut short by a crash
	}
	return c, nil
}

// of is where a partition was known to be committed; zero: nothing is known.
func (c *confirmed) of(id int32, topic string) Position {
	if was := c.at[id]; was.Topic == topic {
		return was.M
	}
	return Position{}
}

// note writes it to the disk.
func (c *confirmed) note() error {
	if len(c.at) == 0 {
		return nil
	}
	b, err := json.Marshal(c.at)
	if err != nil {
		return err
	}
	draft := c.path + ".new"
	f, err := c.fs.Create(draft, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return c.fs.Rename(draft, c.path)
}
