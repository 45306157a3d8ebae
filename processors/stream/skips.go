package stream

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"segue/schemas"
	"segue/state"
)

// skips are steps that are never taken, each with the offset at which that was
// decided: rule 14. A store somewhere may stand before the step for as long as
// the log holds that offset, so each is kept until then.
type skips map[place]int64

// errKills is why a step is skipped.
var errKills = errors.New("the process ended each time that it was folded")

func (s skips) has(p place) bool {
	if len(s) == 0 {
		return false
	}
	_, ok := s[p]
	return ok
}

// heed takes in the control record at an offset.
func (s skips) heed(r *schemas.SkipRecord, at int64) {
	p := place{offset: r.GetOffset()}
	if len(r.GetKey()) > 0 {
		p = place{offset: -1, wake: state.Wake{Due: schemas.Millis(r.GetDueAt()), Key: string(r.GetKey())}}
	} else {
		at = p.offset
	}
	if !s.has(p) {
		s[p] = at
	}
}

// skipRecord says to everyone that a step is skipped.
func skipRecord(p place) []byte {
	r := &schemas.SkipRecord{Offset: p.offset, Reason: errKills.Error()}
	if p.offset < 0 {
		r.Key, r.DueAt = []byte(p.wake.Key), schemas.Timestamp(p.wake.Due)
	}
	return schemas.Encode(&schemas.Event{Body: &schemas.Event_Skip{Skip: r}})
}

// forget drops what was decided before the log's start: nothing that is left
// stands before it.
func (s skips) forget(start int64) {
	for p, at := range s {
		if at < start {
			delete(s, p)
		}
	}
}

// skippedWake is a wake-up in a commit's metadata: keys are bytes, not text.
type skippedWake struct {
	Due int64  `json:"d"`
	Key []byte `json:"k"`
	At  int64  `json:"n"`
}

// list returns the skips as a commit carries them: offsets, and wake-ups.
func (s skips) list() (records []int64, wakes []skippedWake) {
	for p, at := range s {
		if p.offset >= 0 {
			records = append(records, p.offset)
		} else {
			wakes = append(wakes, skippedWake{p.wake.Due, []byte(p.wake.Key), at})
		}
	}
	slices.Sort(records)
	slices.SortFunc(wakes, func(a, b skippedWake) int { return cmp.Or(cmp.Compare(a.Due, b.Due), bytes.Compare(a.Key, b.Key)) })
	return records, wakes
}

// skips are those that the commit lists.
func (c commit) skips() skips {
	s := skips{}
	for _, o := range c.Skips {
		s[place{offset: o}] = o
	}
	for _, w := range c.Wakes {
		s[place{offset: -1, wake: state.Wake{Due: w.Due, Key: string(w.Key)}}] = w.At
	}
	return s
}
