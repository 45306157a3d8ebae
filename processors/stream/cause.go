package stream

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/state"
)

// causeHeader is on every output and says which step put it out, as in
//
//	events/3@1842                      the record there
//	events/3@1842 1764021600000 ada    Ada's wake-up of then, before that record
//
// Nobody needs it to fold; it is what outputs of two versions are told apart by.
const causeHeader = "cause"

// cause is the header of what a step of x puts out.
func (p *Processor[S, D]) cause(x *partition[S, D], in Input) kgo.RecordHeader {
	b := make([]byte, 0, 48)
	b = append(append(b, p.c.Input...), '/')
	b = append(strconv.AppendInt(b, int64(x.id), 10), '@')
	if in.Offset >= 0 {
		b = strconv.AppendInt(b, in.Offset, 10)
	} else {
		b = append(strconv.AppendInt(b, x.fold.pos.Next, 10), ' ')
		b = append(strconv.AppendInt(b, in.Now, 10), ' ')
		b = append(b, in.Key...)
	}
	return kgo.RecordHeader{Key: causeHeader, Value: b}
}

// readCause returns the step that put r out, and where the next record stood
// then. ok: it was one of this partition of input.
func readCause(r *kgo.Record, input string, partition int32) (at place, next int64, ok bool, err error) {
	cause := headerOf(r, causeHeader)
	rest, ours := strings.CutPrefix(cause, fmt.Sprintf("%s/%d@", input, partition))
	if !ours {
		return at, 0, false, nil
	}
	record, wake, woken := strings.Cut(rest, " ")
	next, err = strconv.ParseInt(record, 10, 64)
	at.offset = next
	if woken && err == nil {
		due, key, _ := strings.Cut(wake, " ")
		at = place{offset: -1, wake: state.Wake{Key: key}}
		at.wake.Due, err = strconv.ParseInt(due, 10, 64)
	}
	if err != nil {
		err = fmt.Errorf("%s partition %d at offset %d: decode the cause %q: %w", r.Topic, r.Partition, r.Offset, cause, err)
	}
	return at, next, err == nil, err
}

// reaches reports whether a step was taken when p was reached; next is where the
// next record stood then.
func (p Position) reaches(at place, next int64) bool {
	if at.offset >= 0 {
		return at.offset < p.Next
	}
	return next < p.Next || next == p.Next && !p.Frontier.Less(at.wake)
}

// headerOf returns the first header of that name; "" without one.
func headerOf(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}
