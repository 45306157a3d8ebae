package sender

import (
	"strings"
	"sync"
	"time"

	"segue/processors/sender/pace"
	"segue/schemas"
)

// pacer is the station's one pace, of all its partitions.
type pacer struct {
	mu   sync.Mutex
	pace *pace.Pacer
}

// ready reports whether any of due may be tried at now, or must be judged since
// its time is over. If not, at is the instant to ask again (zero: none), and soon
// says that it may be before that: when a mail in hand has come back, or the
// partitions are recalled.
func (p *pacer) ready(due []*delivery, now time.Time) (ok bool, at time.Time, soon bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range due {
		until := schemas.Millis(d.GetGiveUpAt())
		free, ask := p.pace.When(d.from(), d.to(), now.UnixMilli())
		if free || until != 0 && until <= now.UnixMilli() {
			return true, time.Time{}, false
		}
		soon = soon || ask == 0
		if ask == 0 || until != 0 && until < ask {
			ask = until
		}
		if wait := time.UnixMilli(ask); ask != 0 && (at.IsZero() || wait.Before(at)) {
			at = wait
		}
	}
	return false, at, soon
}

// expect: partitions are ours from now on, and recalled before anything that a
// warm-up limits sets out.
func (p *pacer) expect(partitions []int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pace.Expect(partitions...)
}

// leave: a partition is no longer ours.
func (p *pacer) leave(partition int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pace.Leave(partition)
}

// take lets d of a partition set out, if its domain may get another mail now.
func (p *pacer) take(partition int32, d *delivery, now time.Time) (t pace.Ticket, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pace.Take(partition, d.from(), d.to(), now.UnixMilli())
}

// recall brings in what attempts know of mails that set out. Those that were
// refused for now have left none.
func (p *pacer) recall(partition int32, attempts map[string]*schemas.Attempt, now time.Time) {
	out := map[string][]int64{}
	for _, a := range attempts {
		if a.GetNumber() > 0 {
			out[a.GetFromDomain()] = append(out[a.GetFromDomain()], schemas.Millis(a.GetAt()))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pace.Recall(partition, out, now.UnixMilli())
}

func (p *pacer) back(t pace.Ticket, a pace.Answer, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pace.Back(t, a, now.UnixMilli())
}

func (p *pacer) slowed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pace.Slowed()
}

// asked is what a hand-over says of pace. Greylisting does not ask for slower
// mails: it wants the same one again.
func asked(r result, err error) pace.Answer {
	switch code := replyCode(err); {
	case r == accepted:
		return pace.Taken
	case r == refusedNow && (code == 421 || code == 450 || code == 451) && !greylisted(err):
		return pace.Slower
	}
	return pace.Neither
}

func greylisted(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "greylist") || strings.Contains(text, "graylist")
}

func (d *delivery) from() string { return domain(d.GetFrom()) }
func (d *delivery) to() string   { return domain(d.GetTo()) }

// domain is that of an address, which may stand in angle brackets.
func domain(address string) string {
	_, after, _ := strings.Cut(address[strings.LastIndexByte(address, '<')+1:], "@")
	return strings.ToLower(strings.TrimRight(after, "> "))
}
