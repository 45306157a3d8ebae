package playbook

import (
	"math/bits"
	"slices"

	"segue/schemas/profile"
)

// Stand brings f.Profile's standing up to f.Now, and asks the segments that this can
// turn; all of them while it is not known. changed is what is no longer as it was at
// the last call, windows apart: those are noted as they count.
func (pb *Playbook) Stand(f Facts, changed Aspects) {
	s := &f.Profile.Standing
	switch {
	case !s.Known:
		pb.begin(f)
	case changed == Everything:
		for i := range pb.terms {
			pb.stand(f, int32(i))
		}
	default:
		for _, need := range s.Counted {
			for _, i := range pb.ofNeed[need] {
				pb.stand(f, i)
			}
		}
		if changed&ofPresence != 0 {
			for _, i := range pb.silent {
				if s.Turns[i] != still {
					pb.stand(f, i)
				}
			}
		}
		for ; changed != 0; changed &= changed - 1 {
			for _, i := range pb.ofAspect[bits.TrailingZeros32(uint32(changed))] {
				pb.stand(f, i)
			}
		}
		for _, i := range pb.moving {
			pb.stand(f, i)
		}
		for i, turns := range s.Turns {
			if turns <= f.Now {
				pb.stand(f, int32(i))
			}
		}
	}
	s.Counted = s.Counted[:0]
}

// begin makes the standing known, and asks every segment.
func (pb *Playbook) begin(f Facts) {
	s, words := &f.Profile.Standing, (len(pb.Segments)+63)/64
	s.Known, s.Levels, s.Turns = true, slices.Grow(s.Levels[:0], len(pb.terms)), slices.Grow(s.Turns[:0], len(pb.terms))
	s.In, s.Asked = append(s.In[:0], make(profile.Set, words)...), append(s.Asked[:0], make(profile.Set, words)...)
	for i := range pb.terms {
		level, turns := pb.terms[i].stands(f)
		s.Levels, s.Turns = append(s.Levels, level), append(s.Turns, turns)
	}
	for place, i := range pb.Order {
		if _, in := Membership(f.Profile, pb.Segments[i].Name); in {
			s.In.Add(place)
		}
		s.Asked.Add(place)
	}
}

// stand brings one term up to f.Now, and asks whom the edges concern that it passed.
func (pb *Playbook) stand(f Facts, i int32) {
	s, t := &f.Profile.Standing, &pb.terms[i]
	was := s.Levels[i]
	is, turns := t.stands(f)
	s.Levels[i], s.Turns[i] = is, turns
	for level := min(was, is) + 1; level <= max(was, is); level++ {
		for _, place := range t.asks[level] {
			s.Asked.Add(int(place))
		}
	}
}

// Moved tells that the membership of the segment at a place of Order has changed.
func (pb *Playbook) Moved(f Facts, place int) {
	f.Profile.Standing.In.Flip(place)
	for _, i := range pb.ofMember[place] {
		pb.stand(f, i)
	}
}

// Ahead returns the first instant after f.Now at which turns says of one of the
// segments that can turn then, by its place in Order, that it does; 0: there is none.
// After many at which none does, it is the next at which to ask again. When a score
// passes a value that conditions compare it with is left out.
func (pb *Playbook) Ahead(f Facts, turns func(place int, now int64) bool) (next int64) {
	s := &f.Profile.Standing
	var looked [patience]struct {
		term, level int32
		turns       int64
	}
	n := 0
	for {
		next = still
		for _, at := range s.Turns {
			next = min(next, at)
		}
		if next == still || n == len(looked) {
			break
		}
		f.Now = next
		for i, at := range s.Turns {
			if at == next && n < len(looked) {
				looked[n].term, looked[n].level, looked[n].turns = int32(i), s.Levels[i], at
				n++
				pb.stand(f, int32(i))
			}
		}
		found := false
		for place := range s.Asked.Drain() {
			found = found || turns(place, next)
		}
		if found {
			break
		}
	}
	for n--; n >= 0; n-- {
		s.Levels[looked[n].term], s.Turns[looked[n].term] = looked[n].level, looked[n].turns
	}
	if next == still {
		return 0
	}
	return next
}
