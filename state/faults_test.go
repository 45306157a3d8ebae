package state

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// fill writes customers and the head, and brings them into tables.
func fill(t *testing.T, s *Store) {
	t.Helper()
	b := s.Partition(0).Batch(1)
	for i := range 1000 {
		b.Put(fmt.Sprintf("customer %d", i), 1, []byte(strings.Repeat("x", 100+i)))
	}
	b.Head(Head{Position: []byte(`1`)})
	if err := b.Apply(); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
}

// A table that was damaged is seen, set aside, and leaves room for a new store.
func TestCorruption(t *testing.T) {
	for _, damage := range []struct {
		name string
		do   func(path string) error
	}{
		{"table flipped", func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i := range len(b) / 2 {
				b[i] ^= 0xff
			}
			return os.WriteFile(path, b, 0o600)
		}},
		{"table gone", os.Remove},
	} {
		t.Run(damage.name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := Open(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			fill(t, s)
			closeStore(t, s)
			tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
			if err != nil || len(tables) == 0 {
				t.Fatalf("tables: %v, %v", tables, err)
			}
			for _, table := range tables {
				if err := damage.do(table); err != nil {
					t.Fatal(err)
				}
			}
			s, err = Open(dir, Options{})
			if err == nil {
				_, _, _, err = s.Partition(0).Get("customer 7")
				if later := s.Partition(0).Batch(1).Apply(); !IsCorrupt(later) {
					t.Errorf("the next write got %v, want the corruption told to whoever writes, too", later)
				}
				closeStore(t, s)
			}
			if !IsCorrupt(err) {
				t.Fatalf("got %v, want corruption", err)
			}
			for range 2 { // the second takes the first one's place
				if err := SetAside(dir, nil); err != nil {
					t.Fatal(err)
				}
			}
			s, err = Open(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer closeStore(t, s)
			if _, ok, err := s.Partition(0).Head(); ok || err != nil {
				t.Errorf("Head() of the new store = %v, %v, want none", ok, err)
			}
		})
	}
	if IsCorrupt(nil) || IsCorrupt(os.ErrPermission) {
		t.Error("IsCorrupt holds for what is not")
	}
}

// A full disk is an error for whoever writes, and once there is room
// everything that was written is there.
func TestDiskFull(t *testing.T) {
	var full atomic.Bool
	looks := make(chan bool, 1)
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && (op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpFileWriteAt || op.Kind == errorfs.OpCreate) {
			return syscall.ENOSPC
		}
		return nil
	}))
	s, err := Open("state", Options{FS: disk, Memory: 2 << 20, Pause: func() {
		select {
		case looks <- true:
		default:
		}
		runtime.Gosched()
	}})
	if err != nil {
		t.Fatal(err)
	}
	p := s.Partition(0)
	put := func(key string) error {
		b := p.Batch(1)
		b.Put(key, 1, bytes.Repeat([]byte("x"), 60_000))
		return b.Apply()
	}
	if err := put("ada"); err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	tail := put("dee")
	<-looks // what writes in the background has met the full disk, and waits
	if err, want := put("bob"), "state of partition 0: write: the disk is full: free some space, and writing goes on"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	full.Store(false)
	for put("cy") != nil {
		runtime.Gosched()
	}
	closeStore(t, s)
	s, err = Open("state", Options{FS: disk, Memory: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	want := []string{"ada", "cy"}
	if tail == nil {
		want = append(want, "dee")
	}
	if got := slices.Sorted(maps.Keys(values(t, s.Partition(0)))); !slices.Equal(got, want) {
		t.Errorf("got %v after the disk was full, want %v, all that was written", got, want)
	}
}

// What a later version wrote is refused, and says how to go on.
func TestFormatOfLater(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	if err := s.db.Set(formatKey, []byte("99"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	_, err := Open("state", Options{FS: fs})
	if want := `state in state has format "99", this version reads up to 1: start the version that wrote it, or delete the folder to restore from profiles`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
