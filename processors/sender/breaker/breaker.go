// Package breaker decides when mails must stop because too many come back.
//
//	outcomes of all deliveries → counts by journey and hour → pauses, each with its reason
//
// It is pure: time is that of the records, and the same outcomes in any order
// give the same counts.
//
// Not obvious: a share is of at least so many mails (Bounds.Of), also while fewer
// are out, so that one complaint of the first ten does not stop a shop, and forty
// of the first hundred do. All journeys are judged without those that are paused:
// one bad journey does not stop the others.
package breaker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"segue/schemas"
)

// Bounds are what may come back, as shares of the mails handed over.
type Bounds struct {
	// Complaints: Gmail and Yahoo want less than 0.003, and better 0.001.
	Complaints float64
	// Bounces: from 0.05 on Amazon SES puts an account under review.
	Bounces float64
	// Window is how long a mail, or what came back, counts, in whole hours.
	Window time.Duration
	// Of is how many mails are counted at least.
	Of int64
}

// Counts are what was handed over in some time, and what came back.
type Counts struct{ HandedOver, Bounced, Complained int64 }

// Trip is a journey, or all of them (""), whose mails must stop.
type Trip struct {
	Journey, Reason string
}

// Counter is what is known of all journeys.
type Counter struct {
	now      int64 // the latest hour of an outcome
	journeys map[string]*journey
}

type journey struct {
	since int64 // milliseconds
	hours map[int64]Counts
}

const hour = int64(time.Hour / time.Millisecond)

// New goes on with what Save said; nil: with nothing.
func New(saved *schemas.MailCounts) *Counter {
	c := &Counter{journeys: map[string]*journey{}}
	for _, s := range saved.GetJourneys() {
		j := c.of(s.GetJourney())
		j.since = schemas.Millis(s.GetSince())
		for _, h := range s.GetHours() {
			j.hours[h.GetHour()] = Counts{h.GetHandedOver(), h.GetBounced(), h.GetComplained()}
			c.now = max(c.now, h.GetHour())
		}
	}
	return c
}

// Save writes down all that counts, without positions.
func (c *Counter) Save() *schemas.MailCounts {
	saved := new(schemas.MailCounts)
	for _, name := range slices.Sorted(maps.Keys(c.journeys)) {
		j := c.journeys[name]
		s := &schemas.JourneyCounts{Journey: name, Since: schemas.Timestamp(j.since)}
		for _, h := range slices.Sorted(maps.Keys(j.hours)) {
			n := j.hours[h]
			s.Hours = append(s.Hours, &schemas.HourCounts{Hour: h, HandedOver: n.HandedOver, Bounced: n.Bounced, Complained: n.Complained})
		}
		saved.Journeys = append(saved.Journeys, s)
	}
	return saved
}

func (c *Counter) of(name string) *journey {
	j := c.journeys[name]
	if j == nil {
		j = &journey{hours: map[int64]Counts{}}
		c.journeys[name] = j
	}
	return j
}

// Take counts an outcome that was recorded at an instant, in milliseconds, and
// reports whether it is one that counts. A mail that the server refuses for good
// was handed over, and came back at once.
func (c *Counter) Take(at int64, o *schemas.Outcome) bool {
	var n Counts
	switch reply := o.GetSmtpReply(); o.GetKind() {
	case schemas.Outcome_SENT:
		n.HandedOver = 1
	case schemas.Outcome_FAILED:
		if len(reply) < 3 || reply[0] != '5' {
			return false
		}
		n.HandedOver, n.Bounced = 1, 1
	case schemas.Outcome_BOUNCED:
		if o.GetSoft() {
			return false // the address may take another mail
		}
		n.Bounced = 1
	case schemas.Outcome_COMPLAINED:
		n.Complained = 1
	default:
		return false
	}
	j := c.of(o.GetJourney())
	if at < j.since {
		return false
	}
	h := at / hour
	j.hours[h] = j.hours[h].plus(n)
	c.now = max(c.now, h)
	return true
}

// Resumed: somebody let a journey's mails go out again, or all ("") journeys', at
// an instant in milliseconds. What came before no longer counts. It reports
// whether that is news.
func (c *Counter) Resumed(name string, at int64) (news bool) {
	begin := func(j *journey) {
		if j.since < at {
			j.since, j.hours, news = at, map[int64]Counts{}, true
		}
	}
	if name != "" {
		begin(c.of(name))
		return news
	}
	for _, j := range c.journeys {
		begin(j)
	}
	return news
}

// Trips returns what must be paused, but is not yet: journeys by name, or all of
// them, when those that are left are over a bound together.
func (c *Counter) Trips(b Bounds, paused func(journey string) bool) (trips []Trip) {
	var all Counts
	for _, name := range slices.Sorted(maps.Keys(c.journeys)) {
		n := c.Within(name, b.Window)
		why := b.over(n)
		switch {
		case paused(name):
		case why != "" && name != "":
			trips = append(trips, Trip{name, why})
		default:
			all = all.plus(n)
		}
	}
	if why := b.over(all); why != "" {
		trips = append(trips, Trip{"", why})
	}
	return trips
}

// Journeys are the names of all that has counts.
func (c *Counter) Journeys() []string { return slices.Sorted(maps.Keys(c.journeys)) }

// Within returns a journey's counts of a window that ends with the latest outcome,
// and forgets what is older.
func (c *Counter) Within(name string, window time.Duration) (n Counts) {
	j := c.journeys[name]
	if j == nil {
		return n
	}
	for h, of := range j.hours {
		if h <= c.now-int64(window/time.Hour) {
			delete(j.hours, h)
			continue
		}
		n = n.plus(of)
	}
	return n
}

func (n Counts) plus(m Counts) Counts {
	return Counts{n.HandedOver + m.HandedOver, n.Bounced + m.Bounced, n.Complained + m.Complained}
}

// Shares are those that Bounds bound.
func (b Bounds) Shares(n Counts) (complaints, bounces float64) {
	of := float64(max(n.HandedOver, b.Of, 1))
	return float64(n.Complained) / of, float64(n.Bounced) / of
}

// over says which bound is broken; "" if none is. Complaints weigh more.
func (b Bounds) over(n Counts) string {
	complaints, bounces := b.Shares(n)
	say := func(what string, count int64, share, bound float64) string {
		of := strconv.FormatInt(n.HandedOver, 10)
		if n.HandedOver < b.Of {
			of += fmt.Sprintf(" (counted as %d)", b.Of)
		}
		return fmt.Sprintf("%d %s of %s mails in %dh: %s, over the bound of %s", count, what, of, int(b.Window/time.Hour), percent(share), percent(bound))
	}
	switch {
	case complaints > b.Complaints:
		return say("complaints", n.Complained, complaints, b.Complaints)
	case bounces > b.Bounces:
		return say("bounces", n.Bounced, bounces, b.Bounces)
	}
	return ""
}

func percent(share float64) string {
	return strconv.FormatFloat(share*100, 'g', 3, 64) + "%"
}

// Check refuses bounds that bound nothing, or everything.
func (b Bounds) Check() error {
	switch {
	case b.Complaints < 0 || b.Complaints > 1:
		return fmt.Errorf("complaints: got %s, want a share of all mails", percent(b.Complaints))
	case b.Bounces < 0 || b.Bounces > 1:
		return fmt.Errorf("bounces: got %s, want a share of all mails", percent(b.Bounces))
	case b.Window < time.Hour || b.Window%time.Hour != 0:
		return fmt.Errorf("window: got %s, want whole hours", b.Window)
	case b.Of <= 0:
		return fmt.Errorf("of: got %d, want a positive number of mails", b.Of)
	}
	return nil
}
