package stream

import (
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// beside is a small file beside the state, which says something of each
// partition to the lives to come.
type beside[T any] struct {
	fs   vfs.FS
	path string
}

func newBeside[T any](fs vfs.FS, dir, name string) beside[T] {
	if fs == nil {
		fs = vfs.Default
	}
	return beside[T]{fs, fs.PathJoin(dir, name)}
}

// read returns nothing if there is no file, or one that a crash cut short.
func (b beside[T]) read() (map[int32]T, error) {
	f, err := b.fs.Open(b.path)
	if errors.Is(err, os.ErrNotExist) {
		return map[int32]T{}, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	all := map[int32]T{}
	if json.Unmarshal(text, &all) != nil {
		return map[int32]T{}, nil
	}
	return all, nil
}

// write replaces the file. Without sync it outlives the process alone.
func (b beside[T]) write(all map[int32]T, sync bool) error {
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	draft := b.path + ".new"
	f, err := b.fs.Create(draft, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if sync {
		err = errors.Join(err, f.Sync())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return b.fs.Rename(draft, b.path)
}

func (b beside[T]) remove() error {
	if err := b.fs.Remove(b.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
