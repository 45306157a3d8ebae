// Package pace decides when a mail may set out, so that a domain's servers are
// not pressed harder than they take, and a new sending domain earns its name day
// by day.
//
//	from, to, now → at once, at an instant, or when another mail comes back
//	what came of it → a narrower or a wider window for the recipient's domain
//
// A recipient's domain has a window: so many mails in hand. A server that says
// "slower" (the caller knows which words say so) halves it, once for all mails
// that were in hand then; each accepted mail opens it a little (AIMD, as TCP
// does). Below one mail at a time the window becomes a distance in time: half a
// mail is one mail in two seconds. The allowed rate shrinks and grows with it.
//
// Not obvious: each process paces for itself: with two senders, halve the limits.
// A window is not remembered across a restart, and found again within minutes. A
// warm-up day is: whoever takes a partition over recalls what set out from it
// today, and sends nothing that a warm-up limits before all its partitions are
// recalled. How mails are spread over the day begins anew, with an hour's share.
//
// A day's number is each process's. Counted is what set out, whoever sent it, of
// all partitions that the process has, and what it knew of those it had. So one
// process never sends more than the number, and n of them n times as much at most;
// each that is started anew elsewhere, for partitions that little was sent of yet,
// may add as much again. A partition that cannot be read holds up whatever a
// warm-up limits, until that gives up.
package pace

import (
	"math"
	"time"
)

// Limits of a recipient's domain.
type Limits struct {
	// AtOnce is how many mails are in hand at most; 0: as Config.Default has it.
	AtOnce int
	// PerMinute is how many set out; 0: as many as are ready. A second's share may
	// set out together.
	PerMinute int
}

// WarmUp is how many mails of a sending domain set out on each day (UTC) from
// Start on; after the last day, as many as are ready. Before Start the first
// day's number holds.
type WarmUp struct {
	Start  time.Time
	PerDay []int
}

// Config of a pacer.
type Config struct {
	Default Limits
	Domains map[string]Limits // of recipients, in lower case
	WarmUps map[string]WarmUp // of senders, in lower case
}

const (
	second    = 1000.0 // in milliseconds, as all instants and distances here
	dayLength = 24 * 60 * 60 * second

	// narrowest window: one mail in five minutes.
	narrowest = 1.0 / 300
	// widening is what an accepted mail adds to a window of up to one mail.
	widening = 1.0 / 8
	// remembered is how many recipients' domains are kept at most, but for those
	// with mails in hand.
	remembered = 10_000
)

// Pacer is a machine without a clock. It is not safe for concurrent use.
type Pacer struct {
	config  Config
	domains map[string]*domain
	senders map[string]*sender
	// unknown are partitions whose mails of today are not recalled yet.
	unknown map[int32]struct{}
}

type domain struct {
	Limits
	window float64
	inHand int
	// round counts the times that the window was halved.
	round int
	meter meter
}

type sender struct {
	WarmUp
	day   int
	today map[int32]int // mails, by the partition that they are of
	meter meter
}

// Ticket is a mail that set out.
type Ticket struct {
	domain string
	round  int
}

// Answer is what came of a mail, as far as pace goes.
type Answer uint8

const (
	// Neither says nothing of pace.
	Neither Answer = iota
	// Taken: the server was content.
	Taken
	// Slower is what the server asked for.
	Slower
)

// New returns a pacer that has seen nothing yet.
func New(c Config) *Pacer {
	p := &Pacer{config: c, domains: map[string]*domain{}, senders: map[string]*sender{}, unknown: map[int32]struct{}{}}
	for name, w := range c.WarmUps {
		p.senders[name] = &sender{WarmUp: w, day: math.MinInt}
	}
	return p
}

// When says whether a mail may set out at now. If not, at is the instant to ask
// again; 0: when one to the same domain has come back, or no partition is expected
// any more.
func (p *Pacer) When(from, to string, now int64) (ok bool, at int64) {
	d := p.domain(to, now)
	if d.inHand >= max(1, int(d.window)) {
		return false, 0
	}
	at = d.meter.when(d.distance())
	if s := p.senders[from]; s != nil {
		if _, _, limited := s.on(now); limited && len(p.unknown) > 0 {
			return false, 0
		}
		at = max(at, s.when(now))
	}
	return at <= now, at
}

// Expect says that partitions are ours, and will be recalled.
func (p *Pacer) Expect(partitions ...int32) {
	for _, partition := range partitions {
		p.unknown[partition] = struct{}{}
	}
}

// Recall says when mails of a partition set out, by the domain that they are
// from, in the place of whatever was known of them.
func (p *Pacer) Recall(partition int32, out map[string][]int64, now int64) {
	delete(p.unknown, partition)
	for from, s := range p.senders {
		today := 0
		s.turn(now)
		for _, at := range out[from] {
			if day, _, _ := s.on(at); day == s.day {
				today++
			}
		}
		s.today[partition] = today
	}
}

// Leave says that a partition is no longer ours: nobody waits for it. What is
// known of its mails still counts.
func (p *Pacer) Leave(partition int32) { delete(p.unknown, partition) }

// Take lets a mail of a partition set out, if it may. Its ticket must come back.
func (p *Pacer) Take(partition int32, from, to string, now int64) (Ticket, bool) {
	if ok, _ := p.When(from, to, now); !ok {
		return Ticket{}, false
	}
	d := p.domain(to, now)
	d.inHand++
	distance, _ := d.distance()
	d.meter.take(now, distance)
	if s := p.senders[from]; s != nil {
		s.take(partition, now)
	}
	return Ticket{domain: to, round: d.round}, true
}

// Back brings in what came of a mail.
func (p *Pacer) Back(t Ticket, a Answer, now int64) {
	d := p.domains[t.domain]
	if d == nil {
		return
	}
	d.inHand--
	if t.round != d.round {
		return // it set out before the last halving, and says nothing new
	}
	switch a {
	case Taken:
		d.window = min(d.window+widening/max(1, d.window), float64(d.AtOnce))
	case Slower:
		d.window = max(d.window/2, narrowest)
		d.round++
		distance, _ := d.distance()
		d.meter.earliest = max(d.meter.earliest, float64(now)+distance)
	}
}

// Slowed is how many domains have a narrowed window.
func (p *Pacer) Slowed() (n int) {
	for _, d := range p.domains {
		if d.window < float64(d.AtOnce) {
			n++
		}
	}
	return n
}

func (p *Pacer) domain(name string, now int64) *domain {
	d := p.domains[name]
	if d == nil {
		if len(p.domains) >= remembered {
			p.forget(now)
		}
		limits, ok := p.config.Domains[name]
		if !ok {
			limits = p.config.Default
		}
		if limits.AtOnce <= 0 {
			limits.AtOnce = max(p.config.Default.AtOnce, 1)
		}
		d = &domain{Limits: limits, window: float64(limits.AtOnce)}
		p.domains[name] = d
	}
	return d
}

// forget makes room: for whom nothing is in hand, those of whom nothing is known
// first, and all if that is not enough.
func (p *Pacer) forget(now int64) {
	for _, all := range []bool{false, true} {
		for name, d := range p.domains {
			if d.inHand == 0 && (all || d.window == float64(d.AtOnce) && d.meter.earliest <= float64(now)) {
				delete(p.domains, name)
			}
		}
		if len(p.domains) < remembered {
			return
		}
	}
}

// distance between two mails to the domain, and how many may set out together.
func (d *domain) distance() (ms float64, together int) {
	if d.PerMinute > 0 {
		ms = 60 * second / float64(d.PerMinute) * float64(d.AtOnce) / d.window
	}
	if d.window < 1 {
		return max(ms, second/d.window), 1
	}
	if ms == 0 {
		return 0, 1
	}
	return ms, max(1, int(second/ms))
}

func (s *sender) on(now int64) (day int, allowed int, limited bool) {
	since := float64(now - s.Start.UnixMilli())
	n := max(0, int(math.Floor(since/dayLength)))
	if n >= len(s.PerDay) {
		return n, 0, false
	}
	return n, max(s.PerDay[n], 1), true
}

func (s *sender) when(now int64) int64 {
	n, allowed, limited := s.on(now)
	switch {
	case !limited, n != s.day:
		return now
	case s.sum() >= allowed:
		return s.Start.UnixMilli() + int64(n+1)*int64(dayLength)
	}
	return s.meter.when(dayLength/float64(allowed), max(1, allowed/24))
}

// turn begins a new day, if there is one.
func (s *sender) turn(now int64) {
	if n, _, _ := s.on(now); n != s.day {
		s.day, s.today, s.meter = n, map[int32]int{}, meter{}
	}
}

func (s *sender) sum() (n int) {
	for _, mails := range s.today {
		n += mails
	}
	return n
}

func (s *sender) take(partition int32, now int64) {
	s.turn(now)
	s.today[partition]++
	if _, allowed, limited := s.on(now); limited {
		s.meter.take(now, dayLength/float64(allowed))
	}
}

// meter keeps a distance between mails, some of which may set out together (the
// generic cell rate algorithm).
type meter struct{ earliest float64 }

func (m *meter) when(distance float64, together int) int64 {
	return int64(math.Ceil(m.earliest - distance*float64(together-1)))
}

func (m *meter) take(now int64, distance float64) {
	m.earliest = max(m.earliest, float64(now)) + distance
}
