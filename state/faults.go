package state

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

var errCorrupt = errors.New("corrupt")

// IsCorrupt reports whether err says that what is on disk cannot be believed:
// a table that fails its checksum, a file that is gone, an entry that does not
// decode. The answer is SetAside and a restore.
func IsCorrupt(err error) bool {
	return errors.Is(err, errCorrupt) || err != nil && pebble.IsCorruptionError(err)
}

// asideFolder is within the folder, which may be a mount of its own.
const asideFolder = "corrupt"

// SetAside moves what is in dir to dir/corrupt, for whoever wants to look, in
// place of what was set aside before. The store must be closed.
func SetAside(dir string, fs vfs.FS) error {
	if err := setAside(dir, fs); err != nil {
		return fmt.Errorf("set aside what is corrupt in %s: %w", dir, err)
	}
	return nil
}

func setAside(dir string, fs vfs.FS) error {
	if fs == nil {
		fs = vfs.Default
	}
	aside := fs.PathJoin(dir, asideFolder)
	if err := fs.RemoveAll(aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	if err := fs.MkdirAll(aside, 0o700); err != nil {
		return err
	}
	for _, name := range names {
		if name == asideFolder {
			continue
		}
		if err := fs.Rename(fs.PathJoin(dir, name), fs.PathJoin(aside, name)); err != nil {
			return err
		}
	}
	return nil
}

// faults is what goes wrong behind the caller's back.
type faults struct {
	dir        string
	full       atomic.Bool
	closing    atomic.Bool
	background atomic.Pointer[error]
}

// Err returns what went wrong in the background since it was asked last, which
// may be corruption.
func (f *faults) Err() error {
	if err := f.background.Swap(nil); err != nil {
		return fmt.Errorf("state in %s: in the background: %w", f.dir, *err)
	}
	return nil
}

// writable returns what keeps a batch from being written.
func (f *faults) writable() error {
	if err := f.Err(); err != nil {
		return err
	}
	if f.full.Load() {
		return fmt.Errorf("%w: free some space, and writing goes on", errFull)
	}
	return nil
}

var errFull = errors.New("the disk is full")

func (f *faults) note(err error) { f.background.CompareAndSwap(nil, &err) }

// patient keeps a full disk from Pebble, to which it is fatal: whatever writes
// waits until a probe fits. Meanwhile err says so to whoever wants to write.
func (f *faults) patient(fs vfs.FS, pause func()) vfs.FS {
	return vfs.OnDiskFull(fs, func() {
		f.full.Store(true)
		for !f.closing.Load() && !f.room(fs) {
			pause()
		}
		f.full.Store(false)
	})
}

const (
	probeFile = "probe"
	probeSize = 1 << 20
	probeWait = 100 * time.Millisecond
)

func (f *faults) room(fs vfs.FS) bool {
	path := fs.PathJoin(f.dir, probeFile)
	probe, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return false
	}
	_, err = probe.Write(make([]byte, probeSize))
	return errors.Join(err, probe.Sync(), probe.Close(), fs.Remove(path)) == nil
}

// Infof and Errorf drop what Pebble tells: errors are returned where they matter.
func (*faults) Infof(string, ...any)  {}
func (*faults) Errorf(string, ...any) {}

// Fatalf ends the process: Pebble cannot go on, and may hold locks.
func (f *faults) Fatalf(format string, a ...any) {
	panic(f.dying(fmt.Sprintf(format, a...)))
}

func (f *faults) dying(cause any) string {
	return fmt.Sprintf("state in %s: cannot be written: %v. Look at the disk; nothing is lost, since the log is folded again from the last position that was written", f.dir, cause)
}
