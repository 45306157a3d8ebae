package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"segue/schemas"
)

// ledger is what became of each delivery: what events say, and what the inbox
// has.
type ledger map[string]*entry

type entry struct {
	decided  bool
	outcomes []schemas.Outcome_Kind
	mails    int
}

func (l ledger) of(id string) *entry {
	if l[id] == nil {
		l[id] = new(entry)
	}
	return l[id]
}

func (l ledger) delivery(value []byte) error {
	var c schemas.DeliveryCommand
	if err := schemas.Decode(value, &c); err != nil {
		return err
	}
	if d := c.GetSend(); d != nil {
		l.of(d.GetId()).decided = true
	}
	return nil
}

func (l ledger) outcome(o *schemas.Outcome) {
	e := l.of(o.GetDeliveryId())
	e.outcomes = append(e.outcomes, o.GetKind())
}

// check tells find what should not be: allowed mails may be in doubt.
func (l ledger) check(allowed int64, find func(format string, args ...any)) {
	inDoubt := int64(0)
	for _, id := range slices.Sorted(maps.Keys(l)) {
		e := l[id]
		if !e.decided {
			find("delivery %s: outcomes %v and %d mails, and nothing decided it", id, e.outcomes, e.mails)
		}
		if len(e.outcomes) != 1 {
			find("delivery %s: got outcomes %v, want one", id, e.outcomes)
		}
		if e.mails > 1 {
			find("delivery %s: %d mails, want one at most", id, e.mails)
		}
		switch sent, inDoubtToo := e.has(schemas.Outcome_SENT), e.has(schemas.Outcome_IN_DOUBT); {
		case sent && e.mails == 0:
			find("delivery %s: sent, and not in the inbox", id)
		case e.mails > 0 && !sent && !inDoubtToo:
			find("delivery %s: in the inbox, and its outcomes are %v", id, e.outcomes)
		case inDoubtToo:
			inDoubt++
		}
	}
	if inDoubt > allowed {
		find("%d mails are in doubt, want at most %d: as many as connections at each kill of the sender or the broker", inDoubt, allowed)
	}
}

func (e *entry) has(kind schemas.Outcome_Kind) bool { return slices.Contains(e.outcomes, kind) }

func (l ledger) print(out io.Writer, allowed int64) {
	kinds, mails, twice, came := map[schemas.Outcome_Kind]int{}, 0, 0, 0
	for _, e := range l {
		for _, kind := range e.outcomes {
			kinds[kind]++
		}
		mails += e.mails
		twice += max(e.mails-1, 0)
		if e.has(schemas.Outcome_IN_DOUBT) {
			came += e.mails
		}
	}
	var ended []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		ended = append(ended, fmt.Sprintf("%d %s", kinds[kind], strings.ToLower(strings.ReplaceAll(kind.String(), "_", "-"))))
	}
	fmt.Fprintf(out, "mails in the inbox: %d, twice: %d; outcomes: %s\n", mails, twice, strings.Join(ended, ", "))
	fmt.Fprintf(out, "in doubt: %d of at most %d, and of those %d had come\n", kinds[schemas.Outcome_IN_DOUBT], allowed, came)
}
