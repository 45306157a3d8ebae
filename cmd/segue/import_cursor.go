package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// cursor is how far a file was imported, and where to. It stands beside the
// file, and is moved on when Kafka has what lies before it.
type cursor struct {
	Kind string `json:"kind"`
	// Topic and its id: made anew, or on another cluster, it is another.
	Topic string `json:"topic"`
	ID    string `json:"id"`
	// Sum is the SHA-256 of the whole file.
	Sum string `json:"sha256"`
	// Bytes of the file, and entries of it, that are imported.
	Bytes   int64     `json:"bytes"`
	Entries int       `json:"entries"`
	At      time.Time `json:"at"`
}

// resume returns where an import that begins as fresh goes on: there, if the
// file at path is not there yet.
func (fresh cursor) resume(path string) (cursor, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return cursor{}, fmt.Errorf("how far it was imported: %w", err)
	}
	var c cursor
	if err := json.Unmarshal(text, &c); err != nil {
		return cursor{}, fmt.Errorf("how far it was imported: %s: %w", path, err)
	}
	anew := fmt.Sprintf("to import all of it, delete %s", path)
	switch {
	case c.Kind != fresh.Kind:
		return cursor{}, fmt.Errorf("%s says it was imported as %s, not as %s; %s", path, c.Kind, fresh.Kind, anew)
	case c.Topic != fresh.Topic || c.ID != fresh.ID:
		return cursor{}, fmt.Errorf("%s says it was imported into another topic: got %s with id %s, want %s with id %s; %s",
			path, c.Topic, c.ID, fresh.Topic, fresh.ID, anew)
	case c.Sum != fresh.Sum && c.Bytes > 0:
		return cursor{}, fmt.Errorf("the file was changed since %s, when %s was written after %s rows; put the new rows in a file of their own, or %s",
			c.At.Format(time.RFC3339), path, thousands(c.Entries), anew)
	}
	return c, nil
}

// save replaces the file at path.
func (c cursor) save(path string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	draft := path + ".new"
	if err := os.WriteFile(draft, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("note how far it was imported: %w", err)
	}
	if err := os.Rename(draft, path); err != nil {
		return fmt.Errorf("note how far it was imported in %s: %w", filepath.Base(path), err)
	}
	return nil
}
