package score

import (
	"slices"

	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// count is how many scores there are; those from texts on are texts.
const (
	texts = playbook.OrdersTier
	count = playbook.NextProduct + 1
)

// IsText says that a score is a text.
func IsText(s playbook.Score) bool { return s >= texts }

// steps are by how much a score must have moved to be published again when
// something touches the customer. That of money is relative, too. With these the
// topic scores gets less than one record per event, 180 bytes, under the shipped
// playbook; a third of them are crossings in silence, of what it compares churn and
// propensity with (benchmarks.TestScoresAreNoFlood).
var steps = [texts]int64{
	playbook.Churn: 50_000, playbook.PropensityDay: 50_000, playbook.Propensity: 100_000, playbook.Value: 1_000_000, playbook.ValueRank: 50_000,
	playbook.NextOrder: 3 * day, playbook.PriceSensitivity: 50_000, playbook.Engagement: 100_000,
}

// part of the value before is the least that money must have moved by.
const part = 10

// moved reports whether a score that was published as was has moved by more than
// its step.
func moved(s playbook.Score, was, is int64) bool {
	step := steps[s]
	if s == playbook.Value {
		step = max(step, was/part)
	}
	return is > was+step || is < was-step
}

// Change is a score that is published.
type Change struct {
	Is profile.Score
	// Was is as it was published before; At 0: never.
	Was profile.Score
	// Edge is the number that it reached, or fell below, in millionths; nil: it moved
	// by more than its step.
	Edge *int64
}

// Look says what may have changed.
type Look uint8

const (
	// Time: nothing but time, or nothing that is new.
	Time Look = iota
	// Numbers: something happened.
	Numbers
	// All: something happened to what the customer looks at, or buys.
	All
)

// Changes publishes what has changed of p by now, and returns it. pb says what scores
// are compared with; nil: there is no playbook. Whoever nothing happens to changes for
// these alone.
func Changes(r *Reader, p *profile.Profile, pb *playbook.Playbook, now int64, look Look) (changes []Change) {
	for s := range texts {
		var marks []int64
		if pb != nil {
			marks = pb.Thresholds(s)
		}
		if look == Time && len(marks) == 0 {
			continue
		}
		was, at := published(p, s)
		if was.At == 0 && s == playbook.PriceSensitivity {
			was.N = rounded(s, r.set.Price.Sensitivity) // what is taken of anybody
		}
		v, _ := r.At(s, now)
		edge := crossed(marks, was.N, v)
		if edge != nil || look != Time && moved(s, was.N, v) {
			changes = append(changes, publish(p, at, was, profile.Score{Of: int64(s), N: v, At: now}, edge))
		}
	}
	if look != All {
		return changes
	}
	for s := texts; s < count; s++ {
		was, at := published(p, s)
		if text, _ := r.Text(s, now); text != was.S {
			changes = append(changes, publish(p, at, was, profile.Score{Of: int64(s), S: text, At: now}, nil))
		}
	}
	return changes
}

// Next returns the sooner of two instants: soonest, and the first after now at which a
// score crosses by itself a number that pb compares it with; 0: never. Only what crosses
// before soonest is solved for, which costs as much as all else.
func Next(r *Reader, pb *playbook.Playbook, now, soonest int64) int64 {
	var is, until [texts]int64
	for s := range texts {
		if len(pb.Thresholds(s)) > 0 {
			is[s], until[s] = r.At(s, now)
		}
	}
	for s := range texts {
		edges := pb.Thresholds(s)
		if len(edges) == 0 {
			continue
		}
		if soonest != 0 && (until[s] == 0 || soonest < until[s]) { // up to then it moves one way
			if then, _ := r.At(s, soonest); playbook.Reached(edges, then) == playbook.Reached(edges, is[s]) {
				continue
			}
		}
		soonest = playbook.Sooner(soonest, playbook.Crosses(r, s, edges, now))
	}
	return soonest
}

// published returns a score as it was published last, and where it is.
func published(p *profile.Profile, s playbook.Score) (was profile.Score, at int) {
	for at < len(p.Scores) && p.Scores[at].Of < int64(s) {
		at++
	}
	if at < len(p.Scores) && p.Scores[at].Of == int64(s) {
		was = p.Scores[at]
	}
	return was, at
}

func publish(p *profile.Profile, at int, was, is profile.Score, edge *int64) Change {
	if was.At == 0 {
		p.Scores = slices.Insert(p.Scores, at, is)
	} else {
		p.Scores[at] = is
	}
	return Change{Is: is, Was: was, Edge: edge}
}

// crossed returns the edge between two values, the one next to what it is now; nil:
// there is none.
func crossed(edges []int64, was, is int64) *int64 {
	above := playbook.Reached(edges, is)
	switch {
	case above > 0 && was < edges[above-1]:
		return &edges[above-1]
	case above < len(edges) && edges[above] <= was:
		return &edges[above]
	}
	return nil
}
