// Package segment says which segments a customer is in.
//
//	facts, now → Changes → entered or left, at this very instant
//
// Whoever is out enters when the enter condition holds; whoever is in leaves
// when the leave condition holds, or, where the playbook gives none, when the
// enter condition no longer does; but not before their stay is over.
//
// Not obvious: where both conditions hold nobody enters, so that a membership
// changes at most once per instant. A new playbook version changes nobody's
// membership by itself: members are asked again by its definitions, and leave
// segments that it no longer has.
package segment

import (
	"slices"
	"strings"
	"time"

	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// Change is a customer who entered or left a segment.
type Change struct {
	Segment string
	Entered bool
	// Because is the condition that decided, with its outcome; nil when the
	// segment is no longer in the playbook, or the customer became another.
	Because *playbook.Condition
	// Reason stands where no condition decided.
	Reason string
}

// Changes brings a customer's memberships up to now and returns what changed, by
// name of segment, and when time alone changes them next, the instants apart at which a
// score crosses what conditions compare it with; 0: never. changed is what is no longer
// as it was at the last call. Only segments that something has passed a
// threshold of are asked; all of them while p.Standing is not known.
func Changes(facts playbook.Facts, pb *playbook.Playbook, changed playbook.Aspects) (changes []Change, next int64) {
	p := facts.Profile
	standing := &p.Standing
	if !standing.Known {
		changes = unknown(p, pb.Segments)
	}
	holds := func(c *playbook.Condition) bool { return c.HoldsAt(standing) }
	pb.Stand(facts, changed)
	for place := range standing.Asked.Drain() {
		s, in := &pb.Segments[pb.Order[place]], standing.In.Has(place)
		is, because := member(s, holds, in && stays(s, p, facts.Now), in)
		if is == in {
			continue
		}
		at, _ := playbook.Membership(p, s.Name)
		if is {
			p.Segments = slices.Insert(p.Segments, at, profile.Membership{Segment: s.Name, Since: facts.Now})
		} else {
			p.Segments = slices.Delete(p.Segments, at, at+1)
		}
		changes = append(changes, Change{Segment: s.Name, Entered: is, Because: because})
		pb.Moved(facts, place)
	}
	if len(changes) > 1 {
		slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Segment, b.Segment) })
	}
	return changes, pb.Ahead(facts, func(place int, now int64) bool {
		s, in := &pb.Segments[pb.Order[place]], standing.In.Has(place)
		is, _ := member(s, holds, in && stays(s, p, now), in)
		return is != in
	})
}

// unknown takes p out of the segments that the playbook does not have.
func unknown(p *profile.Profile, segments []playbook.Segment) (changes []Change) {
	p.Segments = slices.DeleteFunc(p.Segments, func(m profile.Membership) bool {
		_, known := slices.BinarySearchFunc(segments, m.Segment, func(s playbook.Segment, name string) int { return strings.Compare(s.Name, name) })
		if !known {
			changes = append(changes, Change{Segment: m.Segment, Reason: "no longer in the playbook"})
		}
		return !known
	})
	return changes
}

// Leave takes p out of all segments, for the reason given.
func Leave(p *profile.Profile, reason string) []Change {
	var changes []Change
	for _, m := range p.Segments {
		changes = append(changes, Change{Segment: m.Segment, Reason: reason})
	}
	p.Segments = nil
	return changes
}

// Why explains, with the values at hand, why somebody is in the segment, or out of it:
// the condition that decides, and in words.
func Why(s *playbook.Segment, facts playbook.Facts) (why string, reasons []string) {
	holds := func(c *playbook.Condition) bool {
		holds, _ := c.Holds(facts)
		return holds
	}
	at, in := playbook.Membership(facts.Profile, s.Name)
	is, because := member(s, holds, false, in)
	why, reasons = because.Why(facts), because.Reasons(facts)
	if in && !is && stays(s, facts.Profile, facts.Now) {
		until := "stays until " + time.UnixMilli(facts.Profile.Segments[at].Since+s.Stay).UTC().Format(time.DateTime)
		why, reasons = why+", and "+until, append(reasons, until)
	}
	return why, reasons
}

// member reports whether somebody who is in (or out) is so from now on, and which
// condition decides it. stays: a member does not leave yet.
func member(s *playbook.Segment, holds func(*playbook.Condition) bool, stays, in bool) (is bool, because *playbook.Condition) {
	switch {
	case s.Leave == nil:
		return holds(s.Enter) || stays, s.Enter
	case in:
		return !holds(s.Leave) || stays, s.Leave
	case !holds(s.Enter):
		return false, s.Enter
	case holds(s.Leave):
		return false, s.Leave
	}
	return true, s.Enter
}

// stays reports whether a member stays whatever the conditions say.
func stays(s *playbook.Segment, p *profile.Profile, now int64) bool {
	if s.Stay == 0 {
		return false
	}
	at, in := playbook.Membership(p, s.Name)
	return in && now < p.Segments[at].Since+s.Stay
}
