package state

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options of a store; the zero value is good for a small one on disk.
type Options struct {
	FS     vfs.FS // nil: the machine's
	Memory int64  // for cache and memtables, in bytes; 0: 64 MiB
}

// Store is the state of all partitions of a process. One process at a time
// has a folder open.
type Store struct {
	db    *pebble.DB
	opts  *pebble.Options
	fs    vfs.FS
	dir   string
	files int // written by restores
}

// Open opens the store in dir, or makes it.
func Open(dir string, o Options) (*Store, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Memory <= 0 {
		o.Memory = 64 << 20
	}

	opts := &pebble.Options{
		FS: o.FS, FormatMajorVersion: pebble.FormatNewest, Logger: new(quiet),
		CacheSize: o.Memory / 2, MemTableSize: uint64(min(max(o.Memory/8, 256<<10), 64<<20)), MemTableStopWritesThreshold: 4,
		L0CompactionThreshold: 2, L0StopWritesThreshold: 1000, LBaseMaxBytes: 64 << 20,
		BytesPerSync: 1 << 20, WALBytesPerSync: 1 << 20,
	}
	for i := range opts.Levels {
		opts.Levels[i].BlockSize, opts.Levels[i].IndexBlockSize = 16<<10, 256<<10
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // on all levels: a new key is a miss in each
	}
	opts.EnsureDefaults() // MakeWriterOptions reads them too
	if err := o.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state in %s: %w", dir, err)
	}
	lock, err := pebble.LockDirectory(dir, o.FS)
	if err != nil {
		return nil, fmt.Errorf("state in %s: another process has it open (every process needs a folder of its own): %w", dir, err)
	}
	opts.Lock = lock
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("open state in %s: %w", dir, errors.Join(err, lock.Close()))
	}
	s := &Store{db: db, opts: opts, fs: o.FS, dir: dir}
	if err := s.removeRestores(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes the store. Iterators must be closed before.
func (s *Store) Close() error {
	return errors.Join(s.db.Close(), s.opts.Lock.Close())
}

// Sync makes everything written durable.
func (s *Store) Sync() error {
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("sync state in %s: %w", s.dir, err)
	}
	return nil
}

// Metrics are the database's own.
func (s *Store) Metrics() *pebble.Metrics { return s.db.Metrics() }

// quiet drops what Pebble tells: errors are returned where they matter.
type quiet struct{}

func (*quiet) Infof(string, ...any)           {}
func (*quiet) Errorf(string, ...any)          {}
func (*quiet) Fatalf(format string, a ...any) { panic("state: " + fmt.Sprintf(format, a...)) }
