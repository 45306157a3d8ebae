package schemas

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
)

// Names of the topics, before the configured prefix.
const (
	Events         = "events"
	SegmentChanges = "segment-changes"
	Scores         = "scores"
	Profiles       = "profiles"
	Deliveries     = "deliveries"
	Attempts       = "attempts"
	Catalog        = "catalog"
	Playbooks      = "playbooks"
	Models         = "models"
	Pauses         = "pauses"
	Returned       = "returned"
	DeadLetters    = "dead-letters"
)

// Topic says all that creating, checking or reading a topic needs.
type Topic struct {
	Name string
	// Key says what a record's key is.
	Key string
	// Partitioned topics have as many partitions as events, and a customer is
	// in the same one everywhere; the others have one.
	Partitioned bool
	// Compact keeps the last record of each key; otherwise records are deleted
	// after Retention.
	Compact   bool
	Retention time.Duration
	// LogAppendTime: the broker stamps records, so that time in a partition is
	// the order of the log. Runs in virtual time stamp their own.
	LogAppendTime bool
	// New returns an empty value of the topic's type; nil: bytes as they came.
	New func() proto.Message
	// Carries is for people.
	Carries string
}

const day = 24 * time.Hour

// Topics are all topics in path order. Everything that creates, checks or
// decodes topics reads this table.
var Topics = []Topic{
	{Name: Events, Key: "customer", Partitioned: true, Retention: 30 * day, LogAppendTime: true,
		New: func() proto.Message { return new(Event) }, Carries: "what a customer does, what was done to them, control records"},
	{Name: SegmentChanges, Key: "customer", Partitioned: true, Retention: 30 * day,
		New: func() proto.Message { return new(SegmentChange) }, Carries: "entered or left a segment, and why"},
	{Name: Scores, Key: "customer", Partitioned: true, Retention: 30 * day,
		New: func() proto.Message { return new(ScoreChange) }, Carries: "what a customer is likely to do, when it moved, and why"},
	{Name: Profiles, Key: "customer", Partitioned: true, Compact: true,
		New: func() proto.Message { return new(CustomerProfile) }, Carries: "what is known of a customer; the restore point"},
	{Name: Deliveries, Key: "customer", Partitioned: true, Retention: 7 * day, LogAppendTime: true,
		New: func() proto.Message { return new(DeliveryCommand) }, Carries: "messages to send now, and cancellations"},
	{Name: Attempts, Key: "delivery", Partitioned: true, Compact: true,
		New: func() proto.Message { return new(Attempt) }, Carries: "the sender's note before it hands a mail over"},
	{Name: Catalog, Key: "product", Compact: true,
		New: func() proto.Message { return new(CatalogProduct) }, Carries: "what the shop sells, and how much of it there is"},
	{Name: Playbooks, Key: "id@version", Compact: true,
		New: func() proto.Message { return new(PlaybookVersion) }, Carries: "playbook versions with all they need"},
	{Name: Models, Key: "id@version", Compact: true,
		New: func() proto.Message { return new(ModelsVersion) }, Carries: "versions of the parameters of all scores"},
	{Name: Pauses, Key: "journey", Compact: true,
		New: func() proto.Message { return new(Pause) }, Carries: "whose mails wait, and why"},
	{Name: Returned, Key: "breaker", Compact: true,
		New: func() proto.Message { return new(MailCounts) }, Carries: "how many mails came back, as the circuit breaker counts them"},
	{Name: DeadLetters, Key: "as the source", Retention: 30 * day,
		Carries: "records that could not be processed, byte for byte"},
}

// TopicNamed returns the topic called name, without prefix.
func TopicNamed(name string) (Topic, bool) {
	for _, t := range Topics {
		if t.Name == name {
			return t, true
		}
	}
	return Topic{}, false
}

// Config returns the topic's settings as Kafka spells them. virtual: records
// carry the run's own time.
func (t Topic) Config(virtual bool) map[string]string {
	c := map[string]string{"cleanup.policy": "delete", "message.timestamp.type": "CreateTime"}
	if t.Compact {
		c["cleanup.policy"] = "compact"
	} else {
		c["retention.ms"] = strconv.FormatInt(t.Retention.Milliseconds(), 10)
	}
	if virtual {
		c["retention.ms"] = "-1"
	} else if t.LogAppendTime {
		c["message.timestamp.type"] = "LogAppendTime"
	}
	return c
}
