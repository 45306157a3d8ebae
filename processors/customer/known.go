package customer

// A write key that lies open lets anybody say who is whom. Of an anonymous visitor
// that is believed: only their own browser knows its name. Who was ever named by
// userId has a name that others may know, or guess; only a trusted link makes them
// another.

// named notes that the event calls the customer by userId, or that somebody became
// them. If all that had made them another was a link from outside, which came
// first, it is undone.
func (s *step) named() {
	user := s.event.GetUserId()
	if s.p.Known || (user == "" || user != s.p.Customer) && s.event.GetMerge() == nil {
		return
	}
	s.p.Known = true
	if s.p.RedirectTo != "" && !s.p.RedirectTrusted {
		s.p.RedirectTo = ""
		s.refuseLink()
	}
}

// mayBecome reports whether the link that is the event may make the customer
// another.
func (s *step) mayBecome() bool { return !s.p.Known || s.event.GetLink().GetTrusted() }

func (s *step) refuseLink() {
	s.p.RefusedLinks++
	s.decide(Decision{RefusedLink: true})
}
