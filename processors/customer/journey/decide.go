package journey

import (
	"slices"
	"strconv"

	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// Due decides every step that is due by now, and drops what can no longer be.
func (b *Book) Due() {
	if len(b.Profile.Runs) == 0 {
		return
	}
	b.stop(func(r *profile.Run, j *playbook.Journey) string {
		if j != nil && j.Start.Kind == playbook.CartAbandoned && b.cart(r.From) == nil {
			return "the cart is gone"
		}
		return ""
	})
	b.each(func(r *profile.Run, j *playbook.Journey) {
		if b.Profile.Suppressed != "" {
			b.cancel(r, b.Profile.Suppressed)
		} else if why := b.unwanted(j); why != "" {
			b.cancel(r, why)
		}
		if r.Delivery != "" && r.DeliveryDue+patience <= b.Now {
			r.Delivery = ""
		}
		for at := due(r); at != 0 && at <= b.Now; at = due(r) {
			b.decide(r, j)
		}
	})
}

// decide sends, holds or skips the step of r that is due.
func (b *Book) decide(r *profile.Run, j *playbook.Journey) {
	last := ""
	again := r.Again && r.DeliveryStep == r.Step
	if again {
		last = "again"
	}
	d := Decision{Delivery: b.id(r, r.Step, last), Journey: r.Journey, Instance: r.Instance, Step: r.Step + 1, Due: due(r)}
	facts := playbook.Facts{Profile: b.Profile, Scores: b.Scores, Now: b.Now}
	if j.Start.Kind == playbook.CartAbandoned {
		d.Cart, facts.Cart = r.From, b.cart(r.From)
	}

	d.Kind = Skip
	d.Message, d.Reason = b.choose(&j.Steps[r.Step], facts)
	if d.Message != nil {
		d.Reason = b.barred(j)
	}
	if d.Message != nil && d.Reason == "" {
		var free int64
		free, d.Reason = b.Limits.Free(b.Now)
		next := b.following(r, j)
		switch worth := free-r.Due <= WorthFor && (next == 0 || free < next); {
		case d.Reason == "":
			d.Kind = Send
			d.GiveUp = d.Due + d.Message.GiveUp
			if end := b.Limits.End(b.Now); end != 0 {
				d.GiveUp = min(d.GiveUp, end)
			}
		case worth:
			d.Kind = Hold
			r.HeldTo = free
		default:
			d.Reason = "too late after " + d.Reason
		}
	}

	switch d.Kind {
	case Hold:
		b.Decisions = append(b.Decisions, d)
		return
	case Send:
		b.cancel(r, "step "+strconv.Itoa(d.Step)+" is due") // nobody gets two at once
		d.Reason = "journey " + r.Journey + ", step " + strconv.Itoa(d.Step)
		d.Subject = b.draw(r, len(d.Message.Subjects))
		b.reserve(d.Delivery)
		r.Delivery, r.DeliveryStep, r.DeliveryDue, r.Again = d.Delivery, r.Step, r.Due, again
	}
	if d.Reason != "" {
		b.Decisions = append(b.Decisions, d)
	}
	r.Due, r.HeldTo = b.following(r, j), 0
	r.Step++
}

// following is when the step after r's is due; 0: there is none.
func (b *Book) following(r *profile.Run, j *playbook.Journey) int64 {
	if r.Step+1 >= len(j.Steps) {
		return 0
	}
	after := j.Steps[r.Step+1].After
	if at := r.Due + after; at > b.Now {
		return at
	}
	return b.Now + after // an edited playbook shortened the wait
}

// choose returns the step's message, or why there is none; neither for a step
// that only waits.
func (b *Book) choose(s *playbook.Step, facts playbook.Facts) (*playbook.Message, string) {
	if s.When != nil {
		if holds, _ := s.When.Holds(facts); !holds {
			return nil, "not met: " + s.When.Why(facts)
		}
	}
	for i := range s.Choose {
		if holds, _ := s.Choose[i].When.Holds(facts); holds {
			return b.Playbook.Messages[s.Choose[i].Send], ""
		}
	}
	switch {
	case s.Send != "":
		return b.Playbook.Messages[s.Send], ""
	case len(s.Choose) > 0:
		return nil, "no choice holds"
	}
	return nil, ""
}

// barred says why the customer gets no mail at all; "" when they do. The
// holdout comes last: it is compared with those who would have got one.
func (b *Book) barred(j *playbook.Journey) string {
	p := b.Profile
	switch {
	case p.Suppressed != "":
		return p.Suppressed
	case p.Consent == profile.Unsubscribed:
		return "unsubscribed"
	case p.Consent != profile.Subscribed && (b.Playbook.Consent == playbook.Explicit || p.Orders.Count <= 0):
		return "no consent"
	case p.Email == "":
		return "no address"
	case b.stopped(j):
		return stopped + j.Topic
	case p.Holdout:
		return "holdout"
	}
	return ""
}

const stopped = "topic stopped: "

// stopped: the customer wants none of the journey's mails.
func (b *Book) stopped(j *playbook.Journey) bool {
	_, found := slices.BinarySearch(b.Profile.Chosen().Stopped, j.Topic)
	return found
}

// unwanted says why the customer no longer wants a mail of the journey that was
// decided before; "" when they do.
func (b *Book) unwanted(j *playbook.Journey) string {
	switch {
	case b.stopped(j):
		return stopped + j.Topic
	case b.Now < b.Profile.Chosen().PausedTo:
		return "paused"
	}
	return ""
}

// draw picks one of n subjects.
func (b *Book) draw(r *profile.Run, n int) int {
	if n <= 1 {
		return 0
	}
	return int(profile.Draw(b.Salt, "subject", b.Profile.Customer, r.Journey, r.Instance, strconv.Itoa(r.Step)) * float64(n))
}

// reserve counts a delivery against the caps.
func (b *Book) reserve(delivery string) {
	mails := b.Profile.Mails
	old := 0
	for old < len(mails) && (mails[old].At <= b.Now-remembered || len(mails)-old >= profile.MaxMails) {
		old++
	}
	b.Profile.Mails = append(mails[old:], profile.Mail{Delivery: delivery, At: b.Now})
}
