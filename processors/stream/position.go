package stream

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"segue/state"
)

// Version is what a control record put in force.
type Version struct {
	Name string
	// At is the partition's clock at that record: all keys are woken then.
	At int64
	// Since is the offset after that record; 0 before the first.
	Since int64
}

// Position says how far a partition is folded. Its state is a function of the
// log, Next and Frontier, and of nothing else.
type Position struct {
	Next     int64      // offset of the next record
	Clock    int64      // highest record time before Next
	Version  Version    // in force at Next
	Frontier state.Wake // the last wake-up that fired in the background: all up to it have
}

// positionJSON is how a position is written: keys are bytes, not text.
type positionJSON struct {
	Next  int64  `json:"n,omitempty"`
	Clock int64  `json:"c,omitempty"`
	Name  string `json:"v,omitempty"`
	At    int64  `json:"va,omitempty"`
	Since int64  `json:"vs,omitempty"`
	Due   int64  `json:"fd,omitempty"`
	Key   []byte `json:"fk,omitempty"`
}

// MarshalJSON is part of what other versions of the runtime read.
func (p Position) MarshalJSON() ([]byte, error) {
	return json.Marshal(positionJSON{p.Next, p.Clock, p.Version.Name, p.Version.At, p.Version.Since, p.Frontier.Due, []byte(p.Frontier.Key)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *Position) UnmarshalJSON(b []byte) error {
	var j positionJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*p = Position{j.Next, j.Clock, Version{j.Name, j.At, j.Since}, state.Wake{Due: j.Due, Key: string(j.Key)}}
	return nil
}

// commit is what the group holds of a partition. The offset is M's Next; the
// rest is the metadata of the same offset commit.
type commit struct {
	Topic string        `json:"topic"` // its id: a topic made anew is another
	Fold  int           `json:"fold"`  // the fold's version
	M     Position      `json:"m"`
	F     Position      `json:"f"`              // every change before it is in profiles
	Skips []int64       `json:"skip,omitempty"` // records that are never folded
	Wakes []skippedWake `json:"wake,omitempty"` // wake-ups that are never fired
	Shape shape         `json:"shape,omitzero"`
}

// shape is what the topics must look like for a state to go on.
type shape struct {
	Partitions int    `json:"n"`
	Profiles   string `json:"profiles"`        // the topic's id
	Start      int64  `json:"start,omitempty"` // of profiles: being compacted moves it never
}

// maxMetadata is the broker's default limit (offset.metadata.max.bytes).
const maxMetadata = 4096

func (c commit) encode() (string, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode the position: %w", err)
	}
	if len(b) > maxMetadata {
		return "", fmt.Errorf("position takes %d bytes of commit metadata, want at most %d: %d steps to skip, version %q", len(b), maxMetadata, len(c.Skips)+len(c.Wakes), c.M.Version.Name)
	}
	return string(b), nil
}

func decodeCommit(offset int64, metadata string) (c commit, err error) {
	if err := json.Unmarshal([]byte(metadata), &c); err != nil {
		return c, fmt.Errorf("decode %.200q: %w", metadata, err)
	}
	if c.M.Next != offset {
		return c, fmt.Errorf("got offset %d beside a position at %d", offset, c.M.Next)
	}
	return c, nil
}

func topicID(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// envelope is what the runtime keeps of a key beside the task's own bytes.
type envelope struct {
	asOf    int64 // offset of the last record folded; -1: none
	next    int64 // instant of the next wake-up; 0: none
	version int64 // Version.Since of the version that last decided
}

// envelopeFormat is the first byte of a fold: envelope, then the task's bytes.
const envelopeFormat = 1

var errFold = errors.New("corrupt fold")

func (e envelope) encode(dst []byte) []byte {
	dst = append(dst, envelopeFormat)
	dst = binary.AppendVarint(dst, e.asOf)
	dst = binary.AppendVarint(dst, e.next)
	return binary.AppendVarint(dst, e.version)
}

// decodeEnvelope returns the task's bytes, too.
func decodeEnvelope(b []byte) (e envelope, rest []byte, err error) {
	if len(b) == 0 {
		return e, nil, fmt.Errorf("%w: empty", errFold)
	}
	if b[0] != envelopeFormat {
		return e, nil, fmt.Errorf("%w: got format %d, want %d", errFold, b[0], envelopeFormat)
	}
	b = b[1:]
	for _, field := range []*int64{&e.asOf, &e.next, &e.version} {
		v, n := binary.Varint(b)
		if n <= 0 {
			return e, nil, fmt.Errorf("%w: cut short", errFold)
		}
		*field, b = v, b[n:]
	}
	return e, b, nil
}
