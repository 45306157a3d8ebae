package sender

import (
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
)

// source is what our events say they came from.
const source = "sender"

// attempt is the record that says how far d has come: in hand, or ended. Only what
// is in hand says whose it is.
func (s *session) attempt(d *delivery, now int64) *kgo.Record {
	a := &schemas.Attempt{DeliveryId: d.GetId(), Offset: d.offset, Number: d.number, At: schemas.Timestamp(now), Outcome: d.outcome.kind, FromDomain: d.from()}
	if d.state != ended {
		a.Customer, a.Journey, a.Step, a.Instance = d.GetCustomer(), d.GetJourney(), d.GetStep(), d.GetInstance()
	}
	return s.attemptRecord(d.GetId(), now, schemas.Encode(a))
}

// withdrawal is the record that takes a note back.
func (s *session) withdrawal(delivery string, now int64) *kgo.Record {
	return s.attemptRecord(delivery, now, nil)
}

func (s *session) attemptRecord(delivery string, now int64, value []byte) *kgo.Record {
	r := s.record(schemas.Attempts, []byte(delivery), now, value)
	r.Partition = s.partition
	return r
}

// outcome is the record that tells the customer's station how d ended; for what
// is no delivery, its dead letter.
func (s *session) outcome(d *delivery, now int64) *kgo.Record {
	if d.dead != nil {
		r := s.record(schemas.DeadLetters, d.dead.key, now, d.dead.value)
		r.Headers = []kgo.RecordHeader{
			{Key: "reason", Value: []byte(d.dead.reason)},
			{Key: "topic", Value: []byte(s.topic(schemas.Deliveries))},
			{Key: "partition", Value: strconv.AppendInt(nil, int64(s.partition), 10)},
			{Key: "offset", Value: strconv.AppendInt(nil, d.offset, 10)},
			{Key: "timestamp", Value: strconv.AppendInt(nil, d.appended, 10)},
		}
		return r
	}
	return s.record(schemas.Events, []byte(d.GetCustomer()), now, schemas.Encode(&schemas.Event{
		// The same whoever writes it, so that a customer's station folds it once.
		Id:         d.GetId() + "/" + label(d.outcome.kind),
		OccurredAt: schemas.Timestamp(now), ReceivedAt: schemas.Timestamp(now),
		Customer: d.GetCustomer(), Source: source,
		Body: &schemas.Event_Outcome{Outcome: &schemas.Outcome{
			Kind: d.outcome.kind, DeliveryId: d.GetId(), Journey: d.GetJourney(), Step: d.GetStep(), Instance: d.GetInstance(),
			Reason: strings.ToValidUTF8(d.outcome.reason, "�"), SmtpReply: strings.ToValidUTF8(d.outcome.reply, "�"),
			Playbook: d.GetPlaybook(), Message: d.GetMessage(),
		}},
	}))
}

func (s *session) record(topic string, key []byte, now int64, value []byte) *kgo.Record {
	return &kgo.Record{Topic: s.topic(topic), Key: key, Value: value, Timestamp: time.UnixMilli(now)}
}

// label is an outcome's name as people read it: "in-doubt".
func label(kind schemas.Outcome_Kind) string {
	return strings.ReplaceAll(strings.ToLower(kind.String()), "_", "-")
}
