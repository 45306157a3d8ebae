package playbook

import "segue/schemas"

// Aspects are sides of a customer: what a condition reads, and what an event
// changes. What they do not share cannot concern each other.
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
	OfSegments // which they are in
	ofChurn    // scores, in their order
)

const (
	// Everything is all of them.
	Everything = ofChurn<<scoreCount - 1

	ofScores = Everything &^ (ofChurn - 1)
)

// Of returns the side of a customer that a score is.
func (i Score) Of() Aspects { return ofChurn << i }

// aspect is what a need counts.
func (k Kind) aspect() Aspects {
	return [...]Aspects{Orders: ofOrders, OrdersInCategory: ofOrders, OrdersOfProduct: ofOrders, Views: ofViews, ViewsInCategory: ofViews,
		ViewsOfProduct: ofViews, Visits: ofVisits, Sent: ofSent, Opened: ofOpened, Clicked: ofClicked, Tickets: ofTickets, Named: ofNamed,
		OrdersWhere: ofOrders, ViewsWhere: ofViews, Carted: ofCarts, CartedInCategory: ofCarts, CartedOfProduct: ofCarts, CartedWhere: ofCarts}[k]
}

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
func (s *Segment) Predicts() bool { return s.Reads&ofScores != 0 }
