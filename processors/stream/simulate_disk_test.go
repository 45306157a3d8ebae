package stream

import (
	"bytes"
	"errors"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// simDisk is a machine's disk. A new life gets what a crash left of it.
type simDisk struct {
	w      *simulation
	rng    *rand.Rand
	mem    *vfs.MemFS
	full   time.Time       // nothing can be written before
	fate   uint64          // of what a crash leaves
	rotten map[string]bool // files with a flipped byte
}

func newSimDisk(w *simulation) *simDisk {
	return &simDisk{w: w, rng: w.rng, mem: vfs.NewCrashableMem(), rotten: map[string]bool{}}
}

// fs is the disk as one life sees it.
func (d *simDisk) fs() vfs.FS {
	mem := d.mem
	return errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if d.rotten[op.Path] && op.Kind == errorfs.OpFileReadAt && op.Offset == 0 {
			d.w.gate() // Pebble tries to read it, in vain, without end
		}
		if d.mem != mem || !time.Now().Before(d.full) { // a dead life does as it likes
			return nil
		}
		if path.Base(op.Path) == "probe" {
			d.full = time.Time{} // whoever waits for room may hold locks, and time stands still: room there is
			return nil
		}
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFilePreallocate, errorfs.OpReuseForWrite:
			return syscall.ENOSPC
		}
		return nil
	}))
}

func (d *simDisk) troubled() bool {
	return len(d.rotten) > 0 || time.Now().Before(d.full.Add(time.Minute))
}

// lose is a new, empty disk.
func (d *simDisk) lose() {
	d.mem = vfs.NewCrashableMem()
	clear(d.rotten)
}

// crash keeps what was synced, and of the rest what has luck: in the clone
// that Pebble's file system makes by itself, luck follows the order of a map.
func (d *simDisk) crash(percent int) {
	d.fate = d.rng.Uint64()
	all := d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: d.fortune("")})
	if percent < 100 {
		synced := d.mem.CrashClone(vfs.CrashCloneCfg{})
		d.merge(synced, all, "", percent)
		all = synced
	}
	d.mem = all
}

// merge adds to what was synced: files whose entry was not, and blocks at the
// end of those that grew.
func (d *simDisk) merge(synced, all *vfs.MemFS, dir string, percent int) {
	names, err := all.List(dir + "/")
	if err != nil {
		return
	}
	slices.Sort(names)
	for _, name := range names {
		at := path.Join(dir, name)
		fortune := d.fortune(at)
		luck := func() bool { return fortune.IntN(100) < percent }
		if info, err := all.Stat(at); err == nil && info.IsDir() {
			if _, err := synced.Stat(at); err == nil || luck() {
				must(synced.MkdirAll(at, 0o700))
				d.merge(synced, all, at, percent)
			}
			continue
		}
		now := contents(all, at)
		before, found := []byte(nil), false
		if _, err := synced.Stat(at); err == nil {
			before, found = contents(synced, at), true
		}
		switch {
		case found && bytes.HasPrefix(now, before):
			const block = 4096
			end := len(before)
			for i := end / block * block; i < len(now); i += block {
				if to := min(i+block, len(now)); luck() {
					before = append(before, make([]byte, to-len(before))...) // a hole, if the block before had none
					copy(before[max(i, end):], now[max(i, end):to])
				}
			}
			write(synced, at, before)
		case luck():
			write(synced, at, now)
		}
	}
	dirs := []string{"/"}
	if dir != "" {
		dirs = append(dirs, dir)
	}
	for _, name := range dirs {
		f, err := synced.OpenDir(name)
		must(err)
		must(errors.Join(f.Sync(), f.Close()))
	}
}

// fortune is a file's own, so that files which Pebble deletes sooner or later,
// by a clock of its own, decide nothing about others.
func (d *simDisk) fortune(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(d.fate, h.Sum64()))
}

// rot flips a byte in the first block of the newest table; done: there was
// one. Where it opens, Pebble would read it for its statistics without end.
func (d *simDisk) rot() (done bool) {
	names, err := d.mem.List("state/")
	if err != nil {
		return false
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, ".sst") })
	if len(names) == 0 {
		return false
	}
	at := "state/" + slices.Max(names)
	b := contents(d.mem, at)
	if len(b) == 0 {
		return false
	}
	fortune := d.fortune(at)
	b[fortune.IntN(min(len(b), 64))] ^= byte(1 + fortune.IntN(255))
	write(d.mem, at, b)
	d.rotten[at] = true
	return true
}

func contents(fs *vfs.MemFS, name string) []byte {
	f, err := fs.Open(name)
	must(err)
	b, err := io.ReadAll(f)
	must(errors.Join(err, f.Close()))
	return b
}

// write leaves the file and its name synced.
func write(fs *vfs.MemFS, name string, b []byte) {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	must(err)
	if len(b) > 0 {
		_, err = f.Write(b)
	}
	must(errors.Join(err, f.Sync(), f.Close()))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
