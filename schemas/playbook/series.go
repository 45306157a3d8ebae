package playbook

import (
	"slices"

	"segue/schemas/profile"
)

// buckets is how many pieces a full window is cut into. One more than that
// meet any window, so that a full series always has two points in one piece.
const buckets = profile.MaxInstants - 1

// add brings a happening into the series. What happened before the window, at
// now, is not added.
func (n *Need) add(s *profile.Series, x profile.Point, now int64) {
	if n.Window == 0 {
		s.Count += x.N
		return
	}
	n.expire(s, now)
	n.insert(s, x, now)
	n.thin(s)
}

// join brings in all that another series of the same need counts.
func (n *Need) join(s *profile.Series, other *profile.Series, now int64) {
	s.Count += other.Count
	n.expire(s, now)
	for _, x := range other.Points {
		n.insert(s, x, now)
	}
	n.thin(s)
}

// insert keeps the points in order; of one instant there is one.
func (n *Need) insert(s *profile.Series, x profile.Point, now int64) {
	if x.At <= now-n.Window {
		return
	}
	i := len(s.Points)
	for i > 0 && s.Points[i-1].At > x.At {
		i--
	}
	if i > 0 && s.Points[i-1].At == x.At {
		s.Points[i-1].N += x.N
		s.Points[i-1].Micros += x.Micros
		return
	}
	s.Points = slices.Insert(s.Points, i, x)
}

// thin brings a series that is too long back to MaxInstants: points of one
// piece, the oldest first, fall together at the later one. A count then falls up
// to 1/255 of the window late, never early.
func (n *Need) thin(s *profile.Series) {
	excess := len(s.Points) - profile.MaxInstants
	if excess <= 0 {
		return
	}
	piece := (n.Window + buckets - 1) / buckets
	end := (s.Points[0].At/piece + 1) * piece // of the piece that the last kept point lies in
	kept := 1
	for i := 1; i < len(s.Points); i++ {
		x := s.Points[i]
		if excess == 0 {
			kept += copy(s.Points[kept:], s.Points[i:])
			break
		}
		if x.At < end {
			kept--
			x.N += s.Points[kept].N
			x.Micros += s.Points[kept].Micros
			excess--
		}
		for end <= x.At {
			end += piece
		}
		s.Points[kept] = x
		kept++
	}
	s.Points = s.Points[:kept]
}

// revalue changes the money of a happening that is counted.
func (n *Need) revalue(s *profile.Series, at, delta, now int64) {
	if i := n.counted(s, at, now); i >= 0 {
		s.Points[i].Micros += delta
	}
}

// counted returns the point that counts what happened at an instant in the
// window: its own, or the later one with which it fell together; else -1.
func (n *Need) counted(s *profile.Series, at, now int64) int {
	if at <= now-n.Window {
		return -1
	}
	return slices.IndexFunc(s.Points, func(x profile.Point) bool { return x.At >= at })
}

// remove takes a happening out again.
func (n *Need) remove(s *profile.Series, x profile.Point, now int64) {
	if n.Window == 0 {
		s.Count = max(0, s.Count-x.N)
		return
	}
	i := n.counted(s, x.At, now)
	if i < 0 {
		return
	}
	s.Points[i].N -= x.N
	s.Points[i].Micros -= x.Micros
	if s.Points[i].N <= 0 {
		s.Points = slices.Delete(s.Points, i, i+1)
	}
}

// expire drops the points that have left the window.
func (n *Need) expire(s *profile.Series, now int64) {
	gone := 0
	for gone < len(s.Points) && s.Points[gone].At <= now-n.Window {
		gone++
	}
	if gone == len(s.Points) {
		gone, s.Points = 0, s.Points[:0] // and goes on in the same memory
	}
	s.Points = s.Points[gone:]
}

// find returns p's series of a need, or nil.
func find(p *profile.Profile, need uint64) *profile.Series {
	i, found := place(p, need)
	if !found {
		return nil
	}
	return &p.Series[i]
}

// place returns where p's series of a need is, or would be.
func place(p *profile.Profile, need uint64) (int, bool) {
	lo, hi := 0, len(p.Series)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if p.Series[mid].Need < need {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(p.Series) && p.Series[lo].Need == need
}

// keep returns p's series of a need, from now on if there was none.
func keep(p *profile.Profile, need uint64) *profile.Series {
	at, found := place(p, need)
	if !found {
		p.Series = slices.Insert(p.Series, at, profile.Series{Need: need})
	}
	return &p.Series[at]
}
