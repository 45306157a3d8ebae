package returns

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"segue/schemas"
)

// Kind is what a return means.
type Kind uint8

const (
	// Hard: the address does not work.
	Hard Kind = iota + 1
	// Soft: this mail could not be delivered; another may be.
	Soft
	// Spam: whoever got it calls it spam.
	Spam
)

// label is a kind's name in ids and metrics.
func (k Kind) label() string {
	return [...]string{"nothing", "bounced", "bounced-soft", "complained"}[k]
}

// Return is one mail that came back, as whoever tells of it says. Nothing in it
// is believed but what we have signed ourselves: Paths and Unsubscribe.
type Return struct {
	Kind Kind
	// Address is where the mail went.
	Address string
	// Said is what the mail server or the provider said.
	Said string
	// Paths may be the return path of the mail, the likeliest first.
	Paths []string
	// Unsubscribe is the List-Unsubscribe of the mail.
	Unsubscribe string
}

// source is what our events say they came from.
const source = "returns"

// maxSaid bounds what is kept of an answer, in bytes.
const maxSaid = 512

// event is what r means for the customer of d. Whoever tells it, and however
// often, its id is the same, so that it folds once.
func (r Return) event(d *schemas.Delivery, now int64) *schemas.Event {
	o := &schemas.Outcome{Kind: schemas.Outcome_BOUNCED, DeliveryId: d.GetId(), Journey: d.GetJourney(), Step: d.GetStep(), Instance: d.GetInstance(),
		Playbook: d.GetPlaybook(), Message: d.GetMessage(), Soft: r.Kind == Soft, SmtpReply: clean(r.Said), Address: d.GetTo()}
	if o.Address == "" {
		o.Address = clean(r.Address)
	}
	if r.Kind == Spam {
		o.Kind, o.Address = schemas.Outcome_COMPLAINED, ""
	}
	return &schemas.Event{Id: d.GetId() + "/" + r.Kind.label(), OccurredAt: schemas.Timestamp(now), ReceivedAt: schemas.Timestamp(now),
		Customer: d.GetCustomer(), Source: source, Body: &schemas.Event_Outcome{Outcome: o}}
}

// clean makes what strangers wrote fit into an event.
func clean(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "�")), " ")
	if len(s) <= maxSaid {
		return s
	}
	n := maxSaid
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

var (
	// statusCode starts a Status field; comments may follow.
	statusCode = regexp.MustCompile(`^\s*([245])\.(\d{1,3})\.(\d{1,3})\b`)
	// statusSaid is the same within an answer, behind the reply code, so that no
	// address of a server is taken for one.
	statusSaid = regexp.MustCompile(`\b[45]\d\d[ -]#?([45])\.(\d{1,3})\.(\d{1,3})(?:[^.\d]|$)`)
	replySaid  = regexp.MustCompile(`\b(5\d\d)[ -]`)
)

// hardCodes are the enhanced status codes of class 5 that speak of the address
// (RFC 3463, RFC 7505): that it is wrong, that there is no mailbox, or that it
// was closed.
var hardCodes = []string{"1.0", "1.1", "1.2", "1.3", "1.4", "1.6", "1.10", "2.1"}

// hardWords are how servers say the same where they give no such code.
var hardWords = []string{"user unknown", "unknown user", "no such user", "no such recipient", "no such mailbox", "does not exist", "doesn't exist",
	"mailbox not found", "mailbox unavailable", "invalid recipient", "unknown recipient", "recipient unknown", "account disabled", "account is disabled",
	"user not found", "no mailbox here", "address unknown", "unknown address"}

// gravity says what it means that a mail server gave up a mail: status is its
// enhanced status code, said its answer, either may be missing. Only what speaks
// of the address is hard: a full mailbox, a policy, a limit, a server that could
// not be reached for days say nothing of it.
func gravity(status, said string) Kind {
	code := statusCode.FindStringSubmatch(status)
	if inside := statusSaid.FindStringSubmatch(said); inside != nil && (code == nil || code[2] == "0") {
		code = inside // the one says more than the other
	}
	switch {
	case code == nil && !replySaid.MatchString(said), code != nil && code[1] != "5":
		return Soft
	case code != nil && slices.Contains(hardCodes, code[2]+"."+code[3]):
		return Hard
	case code != nil && code[2] != "0" && code[2] != "5": // it says what it was, and it was something else
		return Soft
	}
	said = strings.ToLower(said)
	if slices.ContainsFunc(hardWords, func(words string) bool { return strings.Contains(said, words) }) {
		return Hard
	}
	return Soft
}
