package state

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

func open(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open("state", Options{FS: fs, Memory: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A partition's values, wake-ups and position appear together, and no other
// partition sees them.
func TestBatch(t *testing.T) {
	for _, entries := range []int{1, tablesFrom} {
		t.Run(fmt.Sprint(entries), func(t *testing.T) { testBatch(t, entries) })
	}
}

func testBatch(t *testing.T, entries int) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	p, neighbour := s.Partition(255), s.Partition(256)
	b := p.Batch(entries)
	b.Head(Head{Position: json.RawMessage(`7`), Dirty: 3, Clean: 1})
	b.Put("ada", 1, []byte("cart"))
	b.Put("bob", 2, nil)
	b.Wake(Wake{20, "bob"})
	b.Wake(Wake{300, "ada"})
	b.Dirtied(1, "ada")
	b.Dirtied(2, "bob")
	if _, ok, err := p.Head(); ok || err != nil {
		t.Fatalf("Head() before Apply = %v, %v, want none", ok, err)
	}
	if err := b.Apply(); err != nil {
		t.Fatal(err)
	}
	if value, dirty, ok, err := p.Get("ada"); string(value) != "cart" || dirty != 1 || !ok || err != nil {
		t.Errorf(`Get("ada") = %q, %d, %v, %v`, value, dirty, ok, err)
	}
	if h, ok, err := p.Head(); !ok || err != nil || h.Dirty != 3 || string(h.Position) != "7" {
		t.Errorf("Head() = %+v, %v, %v", h, ok, err)
	}
	if got := wakes(t, p, Wake{}); !slices.Equal(got, []Wake{{20, "bob"}, {300, "ada"}}) {
		t.Errorf("wake-ups: got %v, want the earliest first", got)
	}
	if got := wakes(t, p, Wake{20, "bobby"}); !slices.Equal(got, []Wake{{300, "ada"}}) {
		t.Errorf("wake-ups from a place: got %v", got)
	}
	b = p.Batch(entries)
	b.Wake(Wake{10, "ada"})
	b.NoWake(Wake{20, "bob"})
	b.NoWake(Wake{300, "ada"})
	b.Cleaned(2)
	if err := b.Apply(); err != nil {
		t.Fatal(err)
	}
	if got := wakes(t, p, Wake{}); !slices.Equal(got, []Wake{{10, "ada"}}) {
		t.Errorf("wake-ups that moved: got %v", got)
	}
	it, err := p.Dirty(0)
	if err != nil || !it.Valid() || it.Number() != 2 || it.Key() != "bob" {
		t.Errorf("dirty index: got %v, %v, want bob alone", it.Key(), err)
	}
	if err := it.Close(); err != nil {
		t.Error(err)
	}
	if _, ok, err := neighbour.Head(); ok || err != nil || len(values(t, neighbour)) > 0 {
		t.Errorf("the neighbour sees something: %v, %v", ok, err)
	}
}

// failer is a test, or a draw of one.
type failer interface {
	Helper()
	Fatal(...any)
}

func wakes(t failer, p *Partition, from Wake) (all []Wake) {
	t.Helper()
	it, err := p.Wakes(from)
	if err != nil {
		t.Fatal(err)
	}
	for ; it.Valid(); it.Next() {
		all = append(all, it.Wake())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

func values(t failer, p *Partition) map[string]string {
	t.Helper()
	it, err := p.Values("")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for ; it.Valid(); it.Next() {
		all[it.Key()] = string(it.Value())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// After a crash the state is that of some batch, whole, and never beyond the
// last; what was synced is there.
func TestStoreAfterCrash(t *testing.T) {
	for seed := range uint64(20) {
		fs := vfs.NewCrashableMem()
		s := open(t, fs)
		p := s.Partition(0)
		rng := rand.New(rand.NewPCG(seed, 2))
		const batches, synced = 400, 100
		for i := range batches {
			b := p.Batch(rng.IntN(tablesFrom + tablesFrom/9))
			b.Head(Head{Position: json.RawMessage(fmt.Sprint(i)), Dirty: uint64(i)})
			for k := range 5 {
				b.Put(fmt.Sprint(k), uint64(i), binary.AppendVarint(nil, int64(i)))
			}
			if err := b.Apply(); err != nil {
				t.Fatal(err)
			}
			if i == synced {
				if err := s.Sync(); err != nil {
					t.Fatal(err)
				}
			}
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed * 5), RNG: rand.New(rand.NewPCG(seed, 1))})
		closeStore(t, s)
		s = open(t, crashed)
		p = s.Partition(0)
		h, ok, err := p.Head()
		if err != nil || !ok || h.Dirty < synced {
			t.Fatalf("seed %d: Head() = %+v, %v, %v, want at least batch %d", seed, h, ok, err, synced)
		}
		for key, v := range values(t, p) {
			if n, _ := binary.Varint([]byte(v)); uint64(n) != h.Dirty {
				t.Errorf("seed %d: key %s is of batch %d, the position of %d", seed, key, n, h.Dirty)
			}
		}
		closeStore(t, s)
	}
}

// A replacement holds the last value of each key and no other, and is there
// only when it is finished.
func TestReplace(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	var id int32
	next := func(v []byte) (int64, error) { return int64(len(v)), nil }
	rapid.Check(t, func(t *rapid.T) {
		id++
		p := s.Partition(id)
		b := p.Batch(1)
		b.Head(Head{Position: json.RawMessage(`1`)})
		b.Put("old", 1, []byte("x"))
		b.Wake(Wake{5, "old"})
		if err := b.Apply(); err != nil {
			t.Fatal(err)
		}
		r, err := p.Replace()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for range rapid.IntRange(0, 40).Draw(t, "puts") {
			key := fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "key"))
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				err = r.Put(key, nil)
				delete(want, key)
			case 1:
				err = r.ingest() // a chunk is full
			default:
				want[key] = strings.Repeat("v", rapid.IntRange(0, 5).Draw(t, "length"))
				err = r.Put(key, []byte(want[key]))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, ok, err := p.Head(); ok || err != nil {
			t.Fatalf("Head() before Finish = %v, %v, want none", ok, err)
		}
		if _, err := r.Finish(json.RawMessage(`2`), next); err != nil {
			t.Fatal(err)
		}
		var wantWakes []Wake
		for k, v := range want {
			if len(v) > 0 {
				wantWakes = append(wantWakes, Wake{int64(len(v)), k})
			}
		}
		slices.SortFunc(wantWakes, Wake.Compare)
		if got := values(t, p); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("values: got %v, want %v", got, want)
		}
		if got := wakes(t, p, Wake{}); !slices.Equal(got, wantWakes) {
			t.Errorf("wake-ups: got %v, want %v", got, wantWakes)
		}
	})
}

// A crash in the midst of a replacement leaves nothing usable, and no files.
func TestCrashWhileReplacing(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, fs)
	b := s.Partition(0).Batch(1)
	b.Head(Head{Position: json.RawMessage(`1`)})
	if err := b.Apply(); err != nil {
		t.Fatal(err)
	}
	r, err := s.Partition(0).Replace()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Put("ada", bytes.Repeat([]byte("x"), 100)); err != nil {
		t.Fatal(err)
	}
	if err := r.ingest(); err != nil {
		t.Fatal(err)
	}
	if f, err := fs.Create("state/ingest-0-9.sst", vfs.WriteCategoryUnspecified); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
	closeStore(t, s)
	s = open(t, crashed)
	defer closeStore(t, s)
	if _, ok, err := s.Partition(0).Head(); ok || err != nil {
		t.Errorf("Head() = %v, %v, want none", ok, err)
	}
	names, err := crashed.List("state")
	if err != nil || slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, tablePrefix) }) {
		t.Errorf("files %v, %v, want no leftovers", names, err)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("the second got %v", err)
	}
	closeStore(t, s)
	s, err = Open(dir, Options{})
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	closeStore(t, s)
}
