package customer

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"segue/processors/customer/score"
	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// Publish writes what others may read of p, around the fold.
func (t *Task) Publish(key string, p *profile.Profile, fold []byte) []byte {
	m := t.public(p)
	m.Customer, m.Fold = key, fold
	return schemas.Encode(m)
}

// foldField is where the fold lies in a CustomerProfile.
var foldField = (*schemas.CustomerProfile)(nil).ProtoReflect().Descriptor().Fields().ByName("fold").Number()

// Restore returns the fold that Publish put in, as a part of value. It reads
// nothing else: a restore has millions of these.
func (t *Task) Restore(value []byte) (fold []byte, err error) {
	for len(value) > 0 {
		number, kind, n := protowire.ConsumeTag(value)
		if n < 0 {
			return nil, fmt.Errorf("decode customer profile: %w", protowire.ParseError(n))
		}
		value = value[n:]
		if n = protowire.ConsumeFieldValue(number, kind, value); n < 0 {
			return nil, fmt.Errorf("decode customer profile: field %d: %w", number, protowire.ParseError(n))
		}
		if number == foldField && kind == protowire.BytesType {
			fold, _ = protowire.ConsumeBytes(value)
		}
		value = value[n:]
	}
	return fold, nil
}

func (t *Task) public(p *profile.Profile) *schemas.CustomerProfile {
	m := &schemas.CustomerProfile{
		Customer: p.Customer, RedirectTo: p.RedirectTo, Email: p.Email, FirstName: p.FirstName, LastName: p.LastName,
		TimeZone: p.TimeZone, Country: p.Country, Language: p.Language,
		Consent:    [...]string{profile.Unsaid: "", profile.Subscribed: "subscribed", profile.Unsubscribed: "unsubscribed"}[p.Consent],
		Suppressed: p.Suppressed != "", Holdout: p.Holdout,
		ForgottenAt: schemas.Timestamp(p.Forgotten), FirstSeenAt: schemas.Timestamp(p.FirstSeen), LastSeenAt: schemas.Timestamp(p.LastSeen),
		OrderCount: p.Orders.Count, OrderValueMicros: p.Orders.ValueMicros, Currency: p.Orders.Currency, LastOrderAt: schemas.Timestamp(p.Orders.Last),
		ViewCount: p.Views.Count, VisitCount: p.Visits.Count, SentCount: p.Sent.Count, OpenCount: p.Opened.Count, ClickCount: p.Clicked.Count,
		OpenTicketCount: int64(len(p.Tickets.Open)),
		LastOpenAt:      schemas.Timestamp(p.Opened.Last), LastClickAt: schemas.Timestamp(p.Clicked.Last), LastVisitAt: schemas.Timestamp(p.Visits.Last),
		MachineOpenCount: p.MachineOpens, MachineClickCount: p.MachineClicks,
		Frequency:     [...]string{profile.EveryMail: "", profile.Weekly: "weekly", profile.Monthly: "monthly"}[p.Chosen().Frequency],
		StoppedTopics: p.Chosen().Stopped, PausedUntil: schemas.Timestamp(p.Chosen().PausedTo),
		RefusedLinkCount: p.RefusedLinks,
		NextWakeUpAt:     schemas.Timestamp(p.Next),
	}
	if len(p.Traits) > 0 {
		m.Traits = make(map[string]string, len(p.Traits))
		for _, x := range p.Traits {
			m.Traits[x.Name] = x.Value
		}
	}
	for i := range p.Carts {
		k := &p.Carts[i]
		open := &schemas.OpenCart{CartId: k.ID, ValueMicros: k.Value(), ChangedAt: schemas.Timestamp(k.ChangedAt)}
		for _, x := range k.Items {
			open.Products = append(open.Products, x.Product)
		}
		m.Carts = append(m.Carts, open)
	}
	for _, s := range p.Segments {
		m.Segments = append(m.Segments, s.Segment)
	}
	for _, x := range p.Scores {
		m.Scores = append(m.Scores, &schemas.CurrentScore{Score: playbook.Score(x.Of).String(), Value: shownScore(x), At: schemas.Timestamp(x.At)})
	}
	for i := range p.Runs {
		m.Journeys = append(m.Journeys, running(&p.Runs[i]))
	}
	return m
}

// shownScore is a score as others read it.
func shownScore(x profile.Score) *schemas.ScoreValue {
	switch of := playbook.Score(x.Of); {
	case of == playbook.NextOrder:
		return &schemas.ScoreValue{Value: &schemas.ScoreValue_Instant{Instant: schemas.Timestamp(x.N)}}
	case score.IsText(of):
		return &schemas.ScoreValue{Value: &schemas.ScoreValue_Text{Text: x.S}}
	}
	return &schemas.ScoreValue{Value: &schemas.ScoreValue_Micros{Micros: x.N}}
}

// running says what a journey waits for.
func running(r *profile.Run) *schemas.RunningJourney {
	m := &schemas.RunningJourney{Journey: r.Journey, Instance: r.Instance, NextStep: int32(r.Step + 1), DueAt: schemas.Timestamp(r.Due)}
	switch {
	case r.HeldTo != 0:
		m.DueAt, m.WaitingFor = schemas.Timestamp(r.HeldTo), "limits: the step is held until then"
	case r.Due != 0:
		m.WaitingFor = fmt.Sprintf("step %d", r.Step+1)
	default:
		m.NextStep, m.WaitingFor = 0, fmt.Sprintf("the outcome of step %d", r.DeliveryStep+1)
	}
	return m
}
