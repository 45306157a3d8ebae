package stream

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// simDisk is a machine's disk. A new life gets what a crash left of it.
type simDisk struct {
	w     *simulation
	rng   *rand.Rand
	mem   *vfs.MemFS
	full  time.Time // nothing can be written before,
	looks int       // unless somebody has looked that often
	fate  uint64    // of what a crash leaves

	mu     sync.Mutex
	rotten map[string]rot // by path
}

// rot is a byte that is read as another.
type rot struct {
	at   int64
	flip byte
}

func newSimDisk(w *simulation) *simDisk {
	return &simDisk{w: w, rng: w.rng, mem: vfs.NewCrashableMem(), rotten: map[string]rot{}}
}

// fs is the disk as one life sees it.
func (d *simDisk) fs() vfs.FS {
	mem := d.mem
	return errorfs.Wrap(rottenFS{mem, d}, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if d.mem != mem || !time.Now().Before(d.full) { // a dead life does as it likes
			return nil
		}
		if path.Base(op.Path) == "probe" {
			if d.looks > 0 {
				d.looks--
				d.w.count("looks at a full disk")
				return syscall.ENOSPC
			}
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

// rottenFS shows what rotted, as long as a thread of a process runs. Pebble
// tries again without end what it does by itself, and would never rest.
type rottenFS struct {
	vfs.FS
	d *simDisk
}

func (f rottenFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	return rottenFile{file, f.d, name}, err
}

func (f rottenFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.d.move(name, "")
	return f.FS.Create(name, c)
}

func (f rottenFS) Rename(from, to string) error {
	f.d.move(from, to)
	return f.FS.Rename(from, to)
}

func (f rottenFS) Remove(name string) error {
	f.d.move(name, "")
	return f.FS.Remove(name)
}

// List is in order: MemFS follows that of a map.
func (f rottenFS) List(dir string) ([]string, error) {
	names, err := f.FS.List(dir)
	slices.Sort(names)
	return names, err
}

func (d *simDisk) move(from, to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r, ok := d.rotten[from]; ok {
		delete(d.rotten, from)
		if to != "" {
			d.rotten[to] = r
		}
	}
}

type rottenFile struct {
	vfs.File
	d    *simDisk
	name string
}

func (f rottenFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(p, at)
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if r, ok := f.d.rotten[f.name]; ok && f.d.w.busy.Load() && at <= r.at && r.at < at+int64(n) {
		p[r.at-at] ^= r.flip
	}
	return n, err
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
	d.forget(all, func(string) bool { return true }) // a clone brings back what was deleted since the folder was synced
	if percent < 100 {
		synced := d.mem.CrashClone(vfs.CrashCloneCfg{})
		d.forget(synced, d.deleted)
		d.merge(synced, all, "", percent)
		all = synced
	}
	d.mem = all
}

// String is of all that is in the folder. What it names after a crash tells two
// runs apart long before the difference shows.
func (d *simDisk) String() string {
	names, err := d.mem.List("state/")
	if err != nil {
		return "nothing"
	}
	slices.Sort(names)
	h := fnv.New64a()
	for _, name := range names {
		_, _ = io.WriteString(h, name)
		if at := "state/" + name; name != "corrupt" {
			_, _ = h.Write(contents(d.mem, at))
		}
	}
	return fmt.Sprintf("%d files, %x", len(names), h.Sum64())
}

// forget deletes what is in a clone and not on the disk any more.
func (d *simDisk) forget(clone *vfs.MemFS, which func(name string) bool) {
	names, err := clone.List("state/")
	if err != nil {
		return
	}
	for _, name := range names {
		if at := "state/" + name; !there(d.mem, at) && which(name) {
			must(clone.RemoveAll(at))
		}
	}
}

// deleted is what Pebble deletes behind a write: it may be before others sync the
// folder, or after, so no crash brings it back. What is set aside it may.
func (d *simDisk) deleted(name string) bool {
	numbered := '0' <= name[0] && name[0] <= '9' || strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "OPTIONS-")
	return numbered && !there(d.mem, "state/corrupt/"+name)
}

func there(fs *vfs.MemFS, at string) bool {
	_, err := fs.Stat(at)
	return err == nil
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

// rots flips a byte of the newest table; done: there was one.
func (d *simDisk) rots() (done bool) {
	names, err := d.mem.List("state/")
	if err != nil {
		return false
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, ".sst") })
	if len(names) == 0 {
		return false
	}
	at := "state/" + slices.Max(names)
	size := len(contents(d.mem, at))
	if size == 0 {
		return false
	}
	fortune := d.fortune(at)
	d.rotten[at] = rot{int64(fortune.IntN(size)), byte(1 + fortune.IntN(255))}
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
