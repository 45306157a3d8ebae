package stream

import (
	"encoding/json"

	"segue/state"
)

// floor is a position before which nothing became dirty that has a number
// from Dirty on.
type floor struct {
	Dirty uint64   `json:"d"`
	At    Position `json:"at"`
}

// maxFloors bounds what a head holds; with fewer, some floors are lower than
// they could be.
const maxFloors = 64

// readFloors returns those of the store. Without any the first is lower than
// it could be, which is right, too.
func readFloors(head state.Head) []floor {
	var floors []floor
	if json.Unmarshal(head.Floors, &floors) != nil || len(floors) == 0 {
		return []floor{{Dirty: head.Clean}}
	}
	return floors
}

// addFloor notes where what becomes dirty from here on begins to differ from
// profiles, and forgets floors of what is clean.
func (f *fold[S, D]) addFloor() {
	for len(f.floors) > 1 && f.floors[1].Dirty <= f.clean {
		f.floors = f.floors[1:]
	}
	if n := len(f.floors); n > 0 && f.floors[n-1].Dirty == f.nextDirty {
		f.floors[n-1].At = f.pos
	} else if n < maxFloors { // else the last one holds for these, too
		f.floors = append(f.floors, floor{f.nextDirty, f.pos})
	}
}

// floor is where profiles are complete up to once all with a smaller number
// than clean are in them.
func (f *fold[S, D]) floor(clean uint64) Position {
	if clean == f.nextDirty {
		return f.pos
	}
	at := f.floors[0].At
	for _, l := range f.floors[1:] {
		if l.Dirty > clean {
			break
		}
		at = l.At
	}
	return at
}
