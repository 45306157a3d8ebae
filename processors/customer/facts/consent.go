package facts

import (
	"slices"

	"segue/schemas"
	"segue/schemas/profile"
)

// subscription follows what was said last, whichever arrives first; of two at
// one instant the refusal holds. An unsubscribe by a mail's link is a choice that
// can be taken back.
func (b book) subscription(s *schemas.Subscription, id string) {
	if s.GetSubscribed() {
		say(b.p, profile.Subscribed, b.at)
		return
	}
	before := b.p.Consent
	if !say(b.p, profile.Unsubscribed, b.at) || s.GetDeliveryId() == "" {
		return
	}
	next := b.choosing(id)
	next.Unsubscribed, next.Consent = true, before
	if was := b.p.Preferences; before == profile.Unsubscribed && was != nil && was.Unsubscribed {
		next.Consent = was.Consent // the button was pressed twice
	}
	b.p.Preferences = next
}

// say reports whether nothing else was said since.
func say(p *profile.Profile, consent profile.Consent, at int64) bool {
	if at < p.ConsentAt || at == p.ConsentAt && p.Consent == profile.Unsubscribed {
		return false
	}
	p.Consent, p.ConsentAt = consent, at
	suppress(p)
	return true
}

// maxPause is how long a customer can want no mail without unsubscribing.
const maxPause = 366

// preferences brings in what the customer chose, or takes a choice back.
func (b book) preferences(c *schemas.Preferences, id string) {
	if c.GetUndoes() != "" {
		b.undo(c.GetUndoes())
		return
	}
	next := b.choosing(id)
	if f := c.GetFrequency(); f != schemas.Preferences_FREQUENCY_UNSPECIFIED {
		next.Frequency = map[schemas.Preferences_Frequency]profile.Frequency{
			schemas.Preferences_WEEKLY: profile.Weekly, schemas.Preferences_MONTHLY: profile.Monthly}[f]
	}
	for _, topic := range c.GetStop() {
		topic = text(topic)
		if at, stopped := slices.BinarySearch(next.Stopped, topic); !stopped && len(next.Stopped) < profile.MaxStopped {
			next.Stopped = slices.Insert(next.Stopped, at, topic)
		}
	}
	for _, topic := range c.GetResume() {
		if at, stopped := slices.BinarySearch(next.Stopped, text(topic)); stopped {
			next.Stopped = slices.Delete(next.Stopped, at, at+1)
		}
	}
	if len(next.Stopped) == 0 {
		next.Stopped = nil
	}
	if c.PauseDays != nil {
		next.PausedTo = 0
		if days := min(c.GetPauseDays(), maxPause); days > 0 {
			next.PausedTo = b.at + int64(days)*24*60*60*1000
		}
	}
	b.p.Preferences = next
}

// choosing is what the event with this id begins from.
func (b book) choosing(id string) *profile.Preferences {
	now := b.p.Chosen()
	next := &profile.Preferences{Choice: now, At: b.at, Last: hashed(id), Before: now}
	next.Stopped = slices.Clone(now.Stopped)
	return next
}

// undo makes things as they were before the last choice, if that was this one. A
// consent comes back only where nothing else was said about it since.
func (b book) undo(id string) {
	was := b.p.Preferences
	if was == nil || was.Last != hashed(id) {
		return
	}
	b.p.Preferences = &profile.Preferences{Choice: was.Before, At: b.at}
	if was.Unsubscribed && b.p.Consent == profile.Unsubscribed && b.p.ConsentAt == was.At {
		b.p.Consent, b.p.ConsentAt = was.Consent, b.at
		suppress(b.p)
	}
}
