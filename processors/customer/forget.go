package customer

import (
	"cmp"

	"segue/processors/customer/facts"
	"segue/processors/customer/segment"
	"segue/schemas"
	"segue/schemas/profile"
)

// Whoever is forgotten stays so: a late upload or a nightly export of the shop
// would bring them back with all that was known. Who returns of their own will
// does so under another name. What remains is the name, and since when.

// otherName of a customer who was forgotten.
type otherName struct {
	name string
	*schemas.Forget
}

// forget erases the customer, and has every other name of theirs do so too.
func (s *step) forget(f *schemas.Forget) {
	const reason = "forgotten"
	for _, c := range segment.Leave(s.p, reason) {
		s.decide(Decision{Segment: &c})
	}
	if s.pb != nil {
		s.journeys = s.book()
		s.journeys.Undone(reason)
		s.settle()
	}
	request := cmp.Or(f.GetRequest(), s.event.GetId())
	if s.p.RedirectTo != "" && f.GetStandsFor() == "" {
		s.passOn(s.p.RedirectTo, &schemas.Forget{Request: request})
	}
	for _, name := range s.p.Names {
		s.passOn(name, &schemas.Forget{Request: request, StandsFor: s.p.Customer})
	}
	*s.p = profile.Profile{Customer: s.p.Customer, Forgotten: s.now}
}

// refuse takes nothing in of what comes for somebody who was forgotten. The name
// that brings it is forgotten too: it became them on the way, or when they were.
func (s *step) refuse() {
	switch s.event.GetBody().(type) {
	case nil, *schemas.Event_Forget, *schemas.Event_Outcome: // ours
		return
	case *schemas.Event_Merge:
		if name := s.event.GetAnonymousId(); name != "" {
			s.passOn(name, &schemas.Forget{StandsFor: s.p.Customer})
		}
	}
	s.decide(Decision{Refused: true})
}

// knownAs notes that name became this customer: to forget them is to forget it.
// One that is not remembered could not be forgotten later, so it is now.
func (s *step) knownAs(name string) {
	if name == "" || name == s.p.Customer || len(name) > maxName {
		return
	}
	if dropped := facts.KnownAs(s.p, name); dropped != "" {
		s.passOn(dropped, &schemas.Forget{StandsFor: s.p.Customer})
	}
}

func (s *step) passOn(name string, f *schemas.Forget) {
	s.decide(Decision{Forget: &otherName{name, f}})
}
