package customer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"segue/processors/customer/journey"
	"segue/processors/customer/score"
	"segue/processors/customer/segment"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/models"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// station is what the station calls itself as the source of an event.
const station = "customer"

// Compose writes a decision as a record.
func (t *Task) Compose(p *profile.Profile, in stream.Input, d Decision) ([]stream.Output, error) {
	switch {
	case d.Segment != nil:
		return []stream.Output{t.changed(p, in, d.Segment, d.Event)}, nil
	case d.Score != nil:
		return []stream.Output{t.scored(p, in, d.Score, d.Event)}, nil
	case d.Forward != nil:
		return []stream.Output{forwarded(p, in, d)}, nil
	case d.Forget != nil:
		return []stream.Output{passedOn(p, in, d)}, nil
	case d.Refused:
		if t.refused != nil {
			t.refused()
		}
		return nil, nil
	case d.RefusedLink:
		if t.refusedLink != nil {
			t.refusedLink()
		}
		return nil, nil
	case d.Journey.Kind == journey.Cancel:
		return []stream.Output{{Topic: schemas.Deliveries, Key: p.Customer, Value: schemas.Encode(&schemas.DeliveryCommand{
			Command: &schemas.DeliveryCommand_Cancel{Cancel: &schemas.Cancel{DeliveryId: d.Journey.Delivery, Reason: d.Journey.Reason}}})}}, nil
	case d.Journey.Kind == journey.Send:
		pb, err := t.playbook(schemas.ParseInForce(in.Version).Playbook)
		if err != nil {
			return nil, err
		}
		send, err := delivery(p, in.Now, pb, d.Journey)
		if err != nil {
			return nil, fmt.Errorf("delivery %s: %w", d.Journey.Delivery, err)
		}
		return []stream.Output{{Topic: schemas.Deliveries, Key: p.Customer, Value: schemas.Encode(&schemas.DeliveryCommand{
			Command: &schemas.DeliveryCommand_Send{Send: send}})}}, nil
	}
	return []stream.Output{outcome(p, in, d.Journey)}, nil
}

func (t *Task) changed(p *profile.Profile, in stream.Input, c *segment.Change, event string) stream.Output {
	m := &schemas.SegmentChange{
		Id:       profile.Derive("segment", p.Customer, c.Segment, strconv.FormatInt(in.Now, 10), strconv.FormatBool(c.Entered)),
		Customer: p.Customer, Segment: c.Segment, Entered: c.Entered, At: schemas.Timestamp(in.Now),
		Why: c.Reason, Playbook: schemas.ParseInForce(in.Version).Playbook, EventId: event,
	}
	if c.Because != nil {
		facts := t.facts(p, in.Now)
		m.Why, m.Reasons = c.Because.Why(facts), c.Because.Reasons(facts)
	}
	return stream.Output{Topic: schemas.SegmentChanges, Key: p.Customer, Value: schemas.Encode(m)}
}

func (t *Task) scored(p *profile.Profile, in stream.Input, c *score.Change, event string) stream.Output {
	name := playbook.Score(c.Is.Of).String()
	m := &schemas.ScoreChange{
		Id:       profile.Derive("score", p.Customer, name, strconv.FormatInt(in.Now, 10), strconv.FormatInt(c.Is.N, 10), c.Is.S),
		Customer: p.Customer, Score: name, Value: shownScore(c.Is), At: schemas.Timestamp(in.Now), EventId: event, Models: schemas.ParseInForce(in.Version).Models,
	}
	if c.Was.At != 0 {
		m.Previous = shownScore(c.Was)
	}
	if r := t.reader(p); r != nil {
		m.Reasons = r.Reasons(playbook.Score(c.Is.Of), in.Now)
		m.Models = cmp.Or(m.Models, models.Default().Version)
	}
	if c.Edge != nil {
		m.CrossedMicros = c.Edge
	}
	return stream.Output{Topic: schemas.Scores, Key: p.Customer, Value: schemas.Encode(m)}
}

func forwarded(p *profile.Profile, in stream.Input, d Decision) stream.Output {
	what := cause(in, d)
	id := what // of the merge, if one goes on
	if d.Forward.GetFrom() == p.Customer {
		id = profile.Derive("merge", p.Customer, p.RedirectTo, what)
	}
	return stream.Output{Topic: schemas.Events, Key: p.RedirectTo, Value: schemas.Encode(&schemas.Event{
		Id: id, OccurredAt: schemas.Timestamp(d.At), // else when it arrives: an outage between is no import
		Customer: p.RedirectTo, AnonymousId: p.Customer, Source: station, Body: &schemas.Event_Merge{Merge: d.Forward}})}
}

func passedOn(p *profile.Profile, in stream.Input, d Decision) stream.Output {
	return stream.Output{Topic: schemas.Events, Key: d.Forget.name, Value: schemas.Encode(&schemas.Event{
		Id: profile.Derive("forget", p.Customer, d.Forget.name, cause(in, d)), OccurredAt: schemas.Timestamp(in.Now),
		Customer: d.Forget.name, Source: station, Body: &schemas.Event_Forget{Forget: d.Forget.Forget}})}
}

// cause names what led to d.
func cause(in stream.Input, d Decision) string {
	if d.Event != "" {
		return d.Event
	}
	return strconv.FormatInt(in.Offset, 10)
}

func outcome(p *profile.Profile, in stream.Input, d *journey.Decision) stream.Output {
	o := &schemas.Outcome{Kind: schemas.Outcome_SKIPPED, DeliveryId: d.Delivery, Journey: d.Journey, Step: int32(d.Step),
		Instance: d.Instance, Reason: d.Reason, Playbook: schemas.ParseInForce(in.Version).Playbook}
	if d.Kind == journey.Hold {
		o.Kind = schemas.Outcome_HELD
	}
	if d.Message != nil {
		o.Message = d.Message.Name
	}
	return stream.Output{Topic: schemas.Events, Key: p.Customer, Value: schemas.Encode(&schemas.Event{
		Id: profile.Derive("outcome", d.Delivery, o.Kind.String(), strconv.FormatInt(in.Now, 10)), OccurredAt: schemas.Timestamp(in.Now),
		Customer: p.Customer, Source: station, Body: &schemas.Event_Outcome{Outcome: o}})}
}

func delivery(p *profile.Profile, now int64, pb *playbook.Playbook, d *journey.Decision) (*schemas.Delivery, error) {
	values, err := json.Marshal(show(p, pb, d.Cart))
	if err != nil {
		return nil, err
	}
	return &schemas.Delivery{
		Id: d.Delivery, Customer: p.Customer, Journey: d.Journey, Step: int32(d.Step), Instance: d.Instance,
		Message: d.Message.Name, Playbook: pb.Version,
		Variant: strconv.Itoa(d.Subject + 1), Probability: 1 / float64(len(d.Message.Subjects)),
		DecidedAt: schemas.Timestamp(now), DueAt: schemas.Timestamp(d.Due), GiveUpAt: schemas.Timestamp(d.GiveUp),
		Reason: d.Reason, To: p.Email, ToName: strings.TrimSpace(p.FirstName + " " + p.LastName), From: pb.Brand.From,
		Subject: d.Message.Subjects[d.Subject], Template: d.Message.Body, ContextJson: values, PostalAddress: pb.Brand.Address, Topics: pb.Topics(),
	}, nil
}
