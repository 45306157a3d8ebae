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
// name of segment, and when time alone may change them next; 0: never. changed is
// what is no longer as it was at the last call. Only segments that read it, or whose
// turn has come, are asked; all of them while p.Turns are not known.
func Changes(facts playbook.Facts, pb *playbook.Playbook, changed playbook.Aspects) (changes []Change, next int64) {
	p, now, segments := facts.Profile, facts.Now, pb.Segments
	known := p.Turns != nil && len(p.Turns) == len(segments)
	if !known {
		changes = unknown(p, segments)
		p.Turns = make([]int64, len(segments))
	}
	for _, i := range pb.Order {
		s, turns := &segments[i], p.Turns[i]
		if known && s.Reads&changed == 0 && (turns == 0 || now < turns) {
			next = playbook.Sooner(next, turns)
			continue
		}
		at, in := playbook.Membership(p, s.Name)
		stays, because, turns := member(s, facts, in)
		switch {
		case stays && !in:
			p.Segments = slices.Insert(p.Segments, at, profile.Membership{Segment: s.Name, Since: now})
			changes = append(changes, Change{Segment: s.Name, Entered: true, Because: because})
		case !stays && in:
			p.Segments = slices.Delete(p.Segments, at, at+1)
			changes = append(changes, Change{Segment: s.Name, Because: because})
		}
		if stays != in {
			changed |= playbook.OfSegments
			// From here on the other condition is waited for.
			_, _, turns = member(s, facts, stays)
		}
		p.Turns[i] = turns
		next = playbook.Sooner(next, turns)
	}
	if len(changes) > 1 {
		slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Segment, b.Segment) })
	}
	return changes, next
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
	_, in := playbook.Membership(facts.Profile, s.Name)
	stays, because, next := member(s, facts, in)
	why, reasons = because.Why(facts), because.Reasons(facts)
	if leaves, _ := because.Holds(facts); in && stays && leaves == (s.Leave != nil) {
		until := "stays until " + time.UnixMilli(next).UTC().Format(time.DateTime)
		why, reasons = why+", and "+until, append(reasons, until)
	}
	return why, reasons
}

// member reports whether somebody who is in (or out) is so from now on, by
// which condition, and when that may change with no event.
func member(s *playbook.Segment, facts playbook.Facts, in bool) (is bool, because *playbook.Condition, next int64) {
	at, _ := playbook.Membership(facts.Profile, s.Name)
	if s.Leave == nil {
		is, next = s.Enter.Holds(facts)
		if in && !is {
			is, next = settles(s, facts.Profile.Segments[at].Since, facts.Now, next)
		}
		return is, s.Enter, next
	}
	leaves, next := s.Leave.Holds(facts)
	if in {
		if is = !leaves; leaves {
			is, next = settles(s, facts.Profile.Segments[at].Since, facts.Now, next)
		}
		return is, s.Leave, next
	}
	enters, entersNext := s.Enter.Holds(facts)
	switch {
	case !enters:
		return false, s.Enter, entry(s, facts, entersNext)
	case leaves:
		return false, s.Leave, entry(s, facts, playbook.Sooner(next, entersNext))
	}
	return true, s.Enter, playbook.Sooner(next, entersNext)
}

// settles reports whether a member since an instant, whom the conditions would have
// leave, stays nevertheless, and until when.
func settles(s *playbook.Segment, since, now, next int64) (stays bool, until int64) {
	if least := since + s.Stay; now < least {
		return true, least
	}
	return false, next
}

// entry is when somebody who is out enters if nothing happens: at next, or when
// the conditions after it say so.
func entry(s *playbook.Segment, facts playbook.Facts, next int64) int64 {
	for next != 0 {
		facts.Now = next
		enters, until := s.Enter.Holds(facts)
		if next = until; enters {
			leaves, until := s.Leave.Holds(facts)
			if !leaves {
				return facts.Now
			}
			next = playbook.Sooner(next, until)
		}
	}
	return 0
}
