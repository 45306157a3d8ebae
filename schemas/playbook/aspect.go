package playbook

import "segue/schemas"

// Aspects are sides of a customer: what a condition reads, its windows and the
// segments that it names apart, and what an event changes. What they do not share
// cannot concern each other.
type Aspects uint32

const (
	ofOrders Aspects = 1 << iota
	ofViews
	ofVisits
	ofSent
	ofOpened
	ofClicked
	ofTickets
	ofNamed
	ofCarts
	ofPerson   // who they are, and what they agreed to
	ofPresence // when they were seen first and last
	ofChurn    // scores, in their order
)

const (
	// Everything is all of them.
	Everything = ofChurn<<scoreCount - 1

	ofScores = Everything &^ (ofChurn - 1)

	aspects = 11 + scoreCount // how many there are
)

// Of returns the side of a customer that a score is.
func (i Score) Of() Aspects { return ofChurn << i }

// ChangedBy returns what an event can change: everything, of those that are rare.
// Any can change a score.
func ChangedBy(e *schemas.Event) Aspects {
	switch e.GetBody().(type) {
	case *schemas.Event_Visit:
		return ofVisits | ofPresence | ofScores
	case *schemas.Event_View:
		return ofViews | ofPresence | ofScores
	case *schemas.Event_Cart:
		return ofCarts | ofPresence | ofScores
	case *schemas.Event_Order:
		return ofOrders | ofCarts | ofPresence | ofScores
	case *schemas.Event_Engagement:
		return ofOpened | ofClicked | ofPresence | ofScores
	case *schemas.Event_Named:
		return ofNamed | ofPresence | ofScores
	}
	return Everything
}

// Predicts says that scores decide who is in it.
func (s *Segment) Predicts() bool { return s.Enter.scored || s.Leave != nil && s.Leave.scored }
