package collector

import (
	"context"
	"sync"
	"time"

	"segue/processors/collector/machine"
	"segue/processors/stream"
	"segue/schemas"
)

// unjudged are the clicks that wait to be judged: whether somebody follows a link of
// a mail, or a machine all of them, shows only with the next ones.
type unjudged struct {
	machines *machine.Machines
	clock    stream.Clock
	most     int

	mu    sync.Mutex
	mails map[string]*followed
	queue []*followed // all wait equally long: what began first ends first
	count int         // of clicks
	began chan struct{}
}

// followed is a mail whose links are followed.
type followed struct {
	mail    string
	due     time.Time
	reached <-chan struct{} // due
	stop    func()
	clicks  []*schemas.Event
	links   map[string]bool
	heads   bool
}

func newUnjudged(m *machine.Machines, clock stream.Clock, most int) *unjudged {
	return &unjudged{machines: m, clock: clock, most: most, mails: map[string]*followed{}, began: make(chan struct{}, 1)}
}

// click keeps e until its mail's first click has waited long enough. False when
// too many wait already.
func (u *unjudged) click(mail string, e *schemas.Event) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.count >= u.most {
		return false
	}
	f := u.of(mail)
	f.clicks = append(f.clicks, e)
	f.links[e.GetEngagement().GetUrl()] = true
	u.count++
	return true
}

// head notes that something looks whether the links of a mail are there.
func (u *unjudged) head(mail string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.mails) < u.most {
		u.of(mail).heads = true
	}
}

// of tells the clock at once, so that virtual time does not pass it by.
func (u *unjudged) of(mail string) *followed {
	f := u.mails[mail]
	if f == nil {
		f = &followed{mail: mail, due: u.clock.Now().Add(u.machines.Within), links: map[string]bool{}}
		f.reached, f.stop = u.clock.At(f.due)
		u.mails[mail] = f
		u.queue = append(u.queue, f)
		select {
		case u.began <- struct{}{}:
		default:
		}
	}
	return f
}

// waited is how many clicks could be judged by now.
func (u *unjudged) waited() (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.clock.Now()
	for _, f := range u.queue {
		if f.due.After(now) {
			break
		}
		n += len(f.clicks)
	}
	return n
}

// run judges clicks as their time comes, until ctx ends; then those that are left.
// Each is either waiting here or was put.
func (u *unjudged) run(ctx context.Context, put func(*schemas.Event)) {
	for ctx.Err() == nil {
		u.mu.Lock()
		var reached <-chan struct{} // nil: never
		if len(u.queue) > 0 {
			reached = u.queue[0].reached
		}
		u.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-u.began:
		case <-reached:
			u.judge(put)
		}
	}
	for u.judge(put) {
	}
}

// judge judges the clicks of the mail that has waited the longest; false: none waits.
func (u *unjudged) judge(put func(*schemas.Event)) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.queue) == 0 {
		return false
	}
	f := u.queue[0]
	f.stop()
	u.queue[0] = nil
	u.queue = u.queue[1:]
	delete(u.mails, f.mail)
	u.count -= len(f.clicks)
	name, reason := u.machines.Together(len(f.links), f.heads)
	for _, e := range f.clicks {
		g := e.GetEngagement()
		g.Machine, g.Reason = name, reason
		put(e)
	}
	return true
}
