package main

import (
	"slices"
	"sort"
	"time"

	"segue/schemas"
	"segue/schemas/playbook"
)

// watched is a customer whose scores are drawn: as the topic scores has them, and
// between two records as the station says when it is asked.
type watched struct {
	Customer          string
	Churn, Propensity []point
}

// point is a score at an instant.
type point struct{ at, micros int64 }

// shownCrossing is somebody who entered or left a segment that scores decide.
type shownCrossing struct {
	At       time.Time
	Customer string
	Segment  string
	Entered  bool
	Reasons  []string
}

const (
	// The first few in this segment of the shipped playbook are watched.
	watchedSegment, watchedAtMost = "vip", 4
	// The latest crossings are shown, of one segment no more than a few: some come
	// many times a day.
	shownCrossings, ofOneSegment = 12, 3
	// sampleEvery is how often the station is asked.
	sampleEvery = 6 * time.Hour
)

// watch begins to watch whoever entered the segment, while there are too few.
func (t *tally) watch(c *schemas.SegmentChange) {
	if c.GetSegment() == watchedSegment && len(t.watched) < watchedAtMost && t.watching(c.GetCustomer()) == nil {
		t.watched = append(t.watched, &watched{Customer: c.GetCustomer()})
	}
}

func (t *tally) watching(customer string) *watched {
	if i := slices.IndexFunc(t.watched, func(w *watched) bool { return w.Customer == customer }); i >= 0 {
		return t.watched[i]
	}
	return nil
}

// score brings in a record of scores.
func (t *tally) score(c *schemas.ScoreChange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.watching(c.GetCustomer())
	if w == nil {
		return
	}
	switch at, v := schemas.Millis(c.GetAt()), c.GetValue().GetMicros(); c.GetScore() {
	case playbook.Churn.String():
		w.Churn = drawnAt(w.Churn, point{at, v})
	case playbook.Propensity.String():
		w.Propensity = drawnAt(w.Propensity, point{at, v})
	}
}

// drawnAt adds a point to a curve: samples and records overtake each other.
func drawnAt(curve []point, p point) []point {
	i := len(curve)
	for i > 0 && curve[i-1].at > p.at {
		i--
	}
	return slices.Insert(curve, i, p)
}

// sample asks for the scores of all who are watched, now and then.
func (t *tally) sample(now int64, scores func(customer string) (playbook.Scores, error)) {
	t.mu.Lock()
	all := slices.Clone(t.watched)
	if now < t.sampled+sampleEvery.Milliseconds() {
		all = nil
	}
	t.mu.Unlock()
	for _, w := range all {
		s, err := scores(w.Customer)
		if err != nil || s == nil {
			continue // the station stops
		}
		churn, _ := s.At(playbook.Churn, now)
		propensity, _ := s.At(playbook.Propensity, now)
		t.mu.Lock()
		w.Churn, w.Propensity, t.sampled = drawnAt(w.Churn, point{now, churn}), drawnAt(w.Propensity, point{now, propensity}), now
		t.mu.Unlock()
	}
}

// cross notes who entered or left a segment that scores decide.
func (t *tally) cross(c *schemas.SegmentChange) {
	if i := slices.IndexFunc(t.segments, func(s playbook.Segment) bool { return s.Name == c.GetSegment() }); i < 0 || !t.segments[i].Predicts() {
		return
	}
	t.crossed = slices.Insert(t.crossed, 0, shownCrossing{time.UnixMilli(schemas.Millis(c.GetAt())).In(t.zone), c.GetCustomer(), c.GetSegment(), c.GetEntered(), c.GetReasons()})
	same := 0
	t.crossed = slices.DeleteFunc(t.crossed, func(x shownCrossing) bool {
		if x.Segment == c.GetSegment() {
			same++
		}
		return x.Segment == c.GetSegment() && same > ofOneSegment
	})
	t.crossed = t.crossed[:min(len(t.crossed), shownCrossings)]
}

// name is a customer's name as people have one, if it is known.
func (t *tally) name(customer string) string {
	if name := t.names[customer]; name != "" {
		return name
	}
	return customer
}

// latest is a score as it was known last; false: it never was.
func latest(curve []point) (share float64, ok bool) {
	if len(curve) == 0 {
		return 0, false
	}
	return float64(curve[len(curve)-1].micros) / 1e6, true
}

// highest is what a score was at most between two instants.
func highest(curve []point, from, to int64) float64 {
	most := max(valueAt(curve, from), valueAt(curve, to))
	for _, p := range curve {
		if from <= p.at && p.at < to {
			most = max(most, float64(p.micros)/1e6)
		}
	}
	return most
}

// valueAt is a score at an instant, between two points on the straight line; 0
// before the first.
func valueAt(curve []point, at int64) float64 {
	i := sort.Search(len(curve), func(i int) bool { return curve[i].at > at })
	switch {
	case i == 0:
		return 0
	case i == len(curve):
		return float64(curve[i-1].micros) / 1e6
	}
	was, is := curve[i-1], curve[i]
	part := float64(at-was.at) / float64(is.at-was.at)
	return (float64(was.micros) + part*float64(is.micros-was.micros)) / 1e6
}
