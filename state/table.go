package state

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// table is a file of Pebble's that is made beside the database and then becomes
// part of it, all at once and durably.
type table struct {
	s    *Store
	path string
	w    *sstable.Writer
}

const tablePrefix = "ingest-"

// Levels of the database, as whose a table is written. In the last one there is
// nothing below, so it would have no deletions.
const (
	levelNew     = 0
	levelSettled = 5
)

func (p *Partition) create(level int) (*table, error) {
	s := p.s
	t := &table{s: s, path: s.fs.PathJoin(s.dir, fmt.Sprintf("%s%d-%d.sst", tablePrefix, p.id, s.tables.Add(1)))}
	f, err := s.opts.FS.Create(t.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	t.w = sstable.NewWriter(objstorageprovider.NewFileWritable(f), s.opts.MakeWriterOptions(level, s.db.TableFormat()))
	return t, nil
}

// ingest ends the table and, unless something went wrong, makes it part of the
// database.
func (t *table) ingest(err error) error {
	if err = errors.Join(err, t.w.Close()); err == nil {
		err = t.s.db.Ingest(context.Background(), []string{t.path})
	}
	if err != nil {
		_ = t.s.fs.Remove(t.path) // or the next start does
		return err
	}
	return nil
}

// removeTables deletes what a crash left before it was ingested.
func (s *Store) removeTables() error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", s.dir, err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, tablePrefix) {
			if err := s.fs.Remove(s.fs.PathJoin(s.dir, name)); err != nil {
				return fmt.Errorf("delete a table that was not ingested: %w", err)
			}
		}
	}
	return nil
}
