package state

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options of a store; the zero value is good for a small one on disk.
type Options struct {
	FS     vfs.FS // nil: the machine's
	Memory int64  // for cache and memtables, in bytes; 0: 64 MiB
	// Pause is called between looks at a full disk; nil: a tenth of a second.
	Pause func()
	// TablesFrom is how many entries make a batch a large one; 0: 4096.
	TablesFrom int
	// Settle is called after each write, and waits until what Pebble does behind it
	// has ended. Then nothing is compacted either, as that would go on beside the
	// next write. For tests that must go the same way each time; nil: nobody waits.
	Settle func()
}

// Store is the state of all partitions of a process. One process at a time
// has a folder open.
type Store struct {
	db         *pebble.DB
	opts       *pebble.Options
	fs         vfs.FS
	dir        string
	tables     atomic.Int64 // that were made
	tablesFrom int
	settle     func()
	faults
}

// format is of all that a store holds. A higher one may read lower ones, and
// says how.
const format = 1

// formatKey lies before those of partitions.
var formatKey = []byte("f")

// Open opens the store in dir, or makes it.
func Open(dir string, o Options) (*Store, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Memory <= 0 {
		o.Memory = 64 << 20
	}
	if o.Pause == nil {
		o.Pause = func() { time.Sleep(probeWait) }
	}
	s := &Store{fs: o.FS, dir: dir, tablesFrom: cmp.Or(o.TablesFrom, tablesFrom), settle: o.Settle, faults: faults{dir: dir}}
	s.opts = &pebble.Options{
		FS: s.patient(o.FS, o.Pause), FormatMajorVersion: pebble.FormatNewest, Logger: &s.faults,
		EventListener: &pebble.EventListener{BackgroundError: s.note, DataCorruption: func(i pebble.DataCorruptionInfo) { s.note(i.Details) }},
		CacheSize:     o.Memory / 2, MemTableSize: uint64(min(max(o.Memory/8, 256<<10), 64<<20)), MemTableStopWritesThreshold: 4,
		L0CompactionThreshold: 4, L0StopWritesThreshold: 1000, LBaseMaxBytes: 64 << 20,
		BytesPerSync: 1 << 20, WALBytesPerSync: 1 << 20,
	}
	if s.settle == nil {
		s.settle = func() {}
	} else { // a periodic look at what there is to compact would cost more than all else
		s.opts.DisableAutomaticCompactions, s.opts.DisableTableStats = true, true
		s.opts.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	}
	for i := range s.opts.Levels {
		s.opts.Levels[i].BlockSize, s.opts.Levels[i].IndexBlockSize = 16<<10, 256<<10
		s.opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // on all levels: a new key is a miss in each
		s.opts.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.FastestCompression }
	}
	// What is written back is soon written again: compressing it is not worth it.
	s.opts.Levels[levelNew].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	s.opts.EnsureDefaults() // MakeWriterOptions reads them too
	if err := o.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state in %s: %w", dir, err)
	}
	lock, err := pebble.LockDirectory(dir, o.FS)
	if err != nil {
		return nil, fmt.Errorf("state in %s: another process has it open (every process needs a folder of its own): %w", dir, err)
	}
	s.opts.Lock = lock
	if s.db, err = pebble.Open(dir, s.opts); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w: %w", errCorrupt, err) // a file that another one names
		}
		return nil, fmt.Errorf("open state in %s: %w", dir, errors.Join(err, lock.Close()))
	}
	s.settle()
	if err := errors.Join(s.checkFormat(), s.removeTables()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// checkFormat refuses what another version of this package wrote and this one
// cannot read.
func (s *Store) checkFormat() error {
	v, closer, err := s.db.Get(formatKey)
	if errors.Is(err, pebble.ErrNotFound) {
		if err := s.db.Set(formatKey, strconv.AppendInt(nil, format, 10), pebble.NoSync); err != nil {
			return fmt.Errorf("state in %s: write the format: %w", s.dir, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("state in %s: read the format: %w", s.dir, err)
	}
	defer closer.Close()
	if got, err := strconv.Atoi(string(v)); err != nil || got > format {
		return fmt.Errorf("state in %s has format %q, this version reads up to %d: start the version that wrote it, or delete the folder to restore from profiles", s.dir, v, format)
	}
	return nil
}

// Close closes the store. Iterators must be closed before.
func (s *Store) Close() error {
	s.closing.Store(true)
	if err := errors.Join(s.db.Close(), s.opts.Lock.Close()); err != nil {
		return fmt.Errorf("close state in %s: %w", s.dir, err)
	}
	return nil
}

// Sync makes everything written durable.
func (s *Store) Sync() error {
	defer s.settle()
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("sync state in %s: %w", s.dir, err)
	}
	return nil
}

// Metrics are the database's own.
func (s *Store) Metrics() *pebble.Metrics { return s.db.Metrics() }
