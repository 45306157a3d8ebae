package playbook

import (
	"slices"

	"segue/schemas/profile"
)

// buckets is how many pieces a full window is cut into. One more than that
// meet any window, so that a full series always has two points in one piece.
const buckets = profile.MaxInstants - 1

// add brings a happening into the series. What happened before the window, at
// now, is not added. Beyond MaxInstants, two points of the oldest piece that
// holds two fall together at the later one: a count then falls up to 1/255 of
// the window late, never early.
func (n *Need) add(s *profile.Series, x profile.Point, now int64) {
	if n.Window == 0 {
		s.Count += x.N
		return
	}
	n.expire(s, now)
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
	if len(s.Points) <= profile.MaxInstants {
		return
	}
	piece := (n.Window + buckets - 1) / buckets
	for i := 1; i < len(s.Points); i++ {
		a, b := s.Points[i-1], s.Points[i]
		if a.At/piece == b.At/piece {
			s.Points[i].N += a.N
			s.Points[i].Micros += a.Micros
			s.Points = slices.Delete(s.Points, i-1, i)
			return
		}
	}
}

// remove takes a happening out again: at its instant, or where it fell together
// with later ones.
func (n *Need) remove(s *profile.Series, x profile.Point, now int64) {
	if n.Window == 0 {
		s.Count = max(0, s.Count-x.N)
		return
	}
	if x.At <= now-n.Window {
		return
	}
	for i := range s.Points {
		if s.Points[i].At < x.At {
			continue
		}
		s.Points[i].N -= x.N
		s.Points[i].Micros -= x.Micros
		if s.Points[i].N <= 0 {
			s.Points = slices.Delete(s.Points, i, i+1)
		}
		return
	}
}

// expire drops the points that have left the window.
func (n *Need) expire(s *profile.Series, now int64) {
	gone := 0
	for gone < len(s.Points) && s.Points[gone].At <= now-n.Window {
		gone++
	}
	s.Points = s.Points[gone:]
}

// find returns the series of a need, or nil.
func find(p *profile.Profile, need uint64) *profile.Series {
	i, found := place(p, need)
	if !found {
		return nil
	}
	return &p.Series[i]
}

// place returns where the series of a need is, or would be.
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
