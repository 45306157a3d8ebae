package stream

import (
	"fmt"

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
	file beside[confirmation]
	at   map[int32]confirmation
}

type confirmation struct {
	Topic string   `json:"topic"` // its id
	M     Position `json:"m"`
}

const confirmedFile = "confirmed.json"

func openConfirmed(dir string, fs vfs.FS) (*confirmed, error) {
	c := &confirmed{file: newBeside[confirmation](fs, dir, confirmedFile)}
	var err error
	if c.at, err = c.file.read(); err != nil {
		return nil, fmt.Errorf("what the last life knew to be committed: %w", err)
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
	return c.file.write(c.at, true)
}
