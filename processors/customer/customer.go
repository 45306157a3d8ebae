package customer

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	_ "time/tzdata" // a customer's zone must not depend on the machine having it
	"unicode/utf8"

	"segue/processors/customer/facts"
	"segue/processors/customer/journey"
	"segue/processors/customer/limit"
	"segue/processors/customer/score"
	"segue/processors/customer/segment"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/models"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// FoldVersion is raised by hand whenever the same log would lead to other
// decisions than before.
const FoldVersion = 5

// maxName is what a record's key may have.
const maxName = 256

// Playbooks is where versions are found.
type Playbooks interface {
	Playbook(ctx context.Context, version string) (*playbook.Playbook, error)
}

// Models is where versions of the models are found.
type Models interface {
	Models(ctx context.Context, version string) (*models.Set, error)
}

// TaskOptions of the fold. They decide, and must stay as they are while a log
// is folded.
type TaskOptions struct {
	// Salt goes into the holdout and every other draw.
	Salt string
	// Models are asked for those that are put in force; nil: none can be.
	Models Models
	// Refused hears of every event of somebody who was forgotten, RefusedLink of
	// every link from outside onto somebody who is known, but not when it is folded
	// again; nil: nobody does.
	Refused, RefusedLink func()
}

// Task is the fold: what the station does with one customer's events. Several
// partitions may be folded at a time, each with profiles of its own.
type Task struct {
	source               Playbooks
	salt                 string
	models               Models
	refused, refusedLink func()

	loading   sync.Mutex
	playbooks atomic.Pointer[map[string]*playbook.Playbook]
	sets      atomic.Pointer[map[string]*models.Set]
	zones     sync.Map  // of *time.Location, by name
	released  sync.Pool // of *profile.Profile
}

var _ stream.Task[profile.Profile, Decision] = (*Task)(nil)

// NewTask returns a task that takes its playbooks from source.
func NewTask(source Playbooks, o TaskOptions) *Task {
	t := &Task{source: source, salt: o.Salt, models: o.Models, refused: o.Refused, refusedLink: o.RefusedLink}
	t.playbooks.Store(&map[string]*playbook.Playbook{})
	t.sets.Store(&map[string]*models.Set{"": models.Default()})
	return t
}

// Decision is one of seven things, and the event that led to it; "" when time
// alone did.
type Decision struct {
	Segment *segment.Change
	Score   *score.Change
	Journey *journey.Decision
	// Forward goes to the customer that this visitor became. At is when what
	// causes it happened, if that is too long ago to start anything; else 0.
	Forward *schemas.Merge
	At      int64
	// Forget goes to another name of a customer who was forgotten.
	Forget *otherName
	// Refused: the event is of somebody who was forgotten.
	Refused bool
	// RefusedLink: somebody outside would have made this customer another.
	RefusedLink bool
	Event       string
}

// New is a customer never met.
func (t *Task) New(key string) *profile.Profile { return &profile.Profile{Customer: key} }

// Encode is the profile's own format.
func (t *Task) Encode(dst []byte, p *profile.Profile) []byte { return profile.Encode(dst, p) }

// Decode reads what Encode wrote, into the memory of a released profile if there
// is one.
func (t *Task) Decode(b []byte) (*profile.Profile, error) {
	p, again := t.released.Get().(*profile.Profile)
	if !again {
		p = new(profile.Profile)
	}
	if err := profile.DecodeInto(p, b); err != nil {
		return nil, err
	}
	return p, nil
}

// Release takes a profile back that nobody looks at any more.
func (t *Task) Release(p *profile.Profile) { t.released.Put(p) }

// Size estimates what p takes in memory.
func (t *Task) Size(p *profile.Profile) int { return profile.Size(p) }

// Load gets a playbook and models ready.
func (t *Task) Load(ctx context.Context, version string) error {
	v := schemas.ParseInForce(version)
	if v.Playbook != "" {
		if err := load(&t.loading, &t.playbooks, v.Playbook, func() (*playbook.Playbook, error) { return t.source.Playbook(ctx, v.Playbook) }); err != nil {
			return err
		}
	}
	return load(&t.loading, &t.sets, v.Models, func() (*models.Set, error) {
		if t.models == nil {
			return nil, fmt.Errorf("models %q are in force, but there is nowhere to find them", v.Models)
		}
		return t.models.Models(ctx, v.Models)
	})
}

// load keeps what find returns under its version, unless it is known.
func load[T any](loading *sync.Mutex, all *atomic.Pointer[map[string]*T], version string, find func() (*T, error)) error {
	if (*all.Load())[version] != nil {
		return nil // and does not wait for one that is being read
	}
	loading.Lock()
	defer loading.Unlock()
	known := *all.Load()
	if known[version] != nil {
		return nil
	}
	found, err := find()
	if err != nil {
		return err
	}
	known = maps.Clone(known)
	known[version] = found
	all.Store(&known)
	return nil
}

// playbook returns a version that was loaded; nil for "": none is in force.
func (t *Task) playbook(version string) (*playbook.Playbook, error) {
	if version == "" {
		return nil, nil
	}
	pb := (*t.playbooks.Load())[version]
	if pb == nil {
		return nil, fmt.Errorf("playbook %q is in force but not loaded", version)
	}
	return pb, nil
}

// Advance takes one customer through one event, or to the instant at which
// something was due.
func (t *Task) Advance(p *profile.Profile, in stream.Input) ([]Decision, int64, error) {
	version := schemas.ParseInForce(in.Version)
	pb, err := t.playbook(version.Playbook)
	if err != nil {
		return nil, 0, err
	}
	set := (*t.sets.Load())[version.Models]
	if set == nil {
		return nil, 0, fmt.Errorf("models %q are in force but not loaded", version.Models)
	}
	s := steps.Get().(*step)
	s.task, s.p, s.pb, s.set, s.version, s.now = t, p, pb, set, version, in.Now
	defer s.done()
	if !utf8.ValidString(in.Key) {
		return nil, 0, fmt.Errorf("got key %q, want a customer in UTF-8", in.Key)
	}
	if in.Value != nil {
		s.event = &s.own.event
		whole := p.RedirectTo != "" // it is forwarded
		if whole || !s.own.read(in.Value) {
			s.event = new(schemas.Event)
			if err := schemas.Decode(in.Value, s.event); err != nil {
				return nil, 0, fmt.Errorf("decode event: %w", err)
			}
		}
	}
	if n := len(s.event.GetLink().GetKnown()); n > maxName {
		return nil, 0, fmt.Errorf("got a link to a name of %d bytes, want at most %d", n, maxName)
	}
	if m := s.event.GetMerge(); len(m.GetState()) > 0 {
		if s.merged, err = profile.Decode(m.GetState()); err != nil {
			return nil, 0, fmt.Errorf("decode what was known of %q: %w", m.GetFrom(), err)
		}
	}
	p.Next = s.advance()
	return s.decisions, p.Next, nil
}

// steps are used again: they are most of what a fold would leave to the
// garbage collector.
var steps = sync.Pool{New: func() any { return new(step) }}

// done lets the step be used again: no decision points into it.
func (s *step) done() {
	*s = step{}
	steps.Put(s)
}

// step is one call of Advance: what comes in, and what comes of it.
type step struct {
	task      *Task
	p         *profile.Profile
	pb        *playbook.Playbook // nil: none is in force
	set       *models.Set
	version   schemas.InForce
	now       int64
	event     *schemas.Event   // nil: a wake-up
	merged    *profile.Profile // what a merge brings
	journeys  journey.Book     // empty: no playbook
	changed   playbook.Aspects // since the segments were last asked
	look      score.Look       // what may have changed of the scores
	scores    score.Reader
	decisions []Decision

	own glance // the input's event; here, so that a step is one allocation
}

// advance returns when time alone may change something next.
func (s *step) advance() int64 {
	switch f := s.event.GetForget(); {
	case s.p.Forgotten != 0:
		s.refuse()
		return 0
	case f != nil && (f.GetStandsFor() == "" || f.GetStandsFor() == s.p.RedirectTo):
		s.forget(f)
		return 0
	}
	s.named()
	if s.p.RedirectTo != "" {
		s.forward()
		return 0
	}
	if s.p.Models != s.version.Models {
		s.p.Models, s.p.Standing.Known = s.version.Models, false
	}
	s.read()
	if s.pb != nil {
		s.journeys = s.book()
		if s.pb.Version != s.p.Playbook {
			s.inForce()
		}
	}
	live := true
	if s.event != nil {
		known := s.event.GetLink().GetKnown()
		switch {
		case known == "" || known == s.p.Customer || !facts.Remember(s.p, s.event.GetId(), s.now):
			live = s.happen(s.event)
		case s.mayBecome():
			s.become(known)
			return 0
		default:
			s.refuseLink()
			live = false
		}
	}
	facts.Lapse(s.p, s.now)
	s.read()
	s.score()
	next := facts.NextLapse(s.p)
	if s.pb == nil {
		return next
	}
	next = playbook.Sooner(next, s.segments(live))
	s.journeys.Due()
	s.settle()
	return score.Next(&s.scores, s.pb, s.now, playbook.Sooner(next, s.journeys.Next()))
}

// facts are what conditions read of p, by the versions that last decided.
func (t *Task) facts(p *profile.Profile, now int64) playbook.Facts {
	f := playbook.Facts{Profile: p, Now: now}
	if r := t.reader(p); r != nil {
		f.Scores = r
	}
	return f
}

// reader reads p's scores; nil: those models are not loaded, as nobody has asked
// for p since they were in force.
func (t *Task) reader(p *profile.Profile) *score.Reader {
	set := (*t.sets.Load())[p.Models]
	if set == nil {
		return nil
	}
	r := new(score.Reader)
	r.Of(set, p, t.zone(p.TimeZone, t.storeZone(p.Playbook)))
	return r
}

func (t *Task) storeZone(playbook string) *time.Location {
	if pb := (*t.playbooks.Load())[playbook]; pb != nil {
		return pb.Store.Zone
	}
	return time.UTC
}

func (s *step) book() journey.Book {
	return journey.Book{Profile: s.p, Playbook: s.pb, Scores: &s.scores, Now: s.now, Salt: s.task.salt, Limits: s}
}

// read makes the scores those of the profile as it is by now.
func (s *step) read() {
	zone := time.UTC
	if s.pb != nil {
		zone = s.pb.Store.Zone
	}
	s.scores.Of(s.set, s.p, s.task.zone(s.p.TimeZone, zone))
}

// score publishes the scores that have changed.
func (s *step) score() {
	changes := score.Changes(&s.scores, s.p, s.pb, s.now, s.look)
	for i := range changes {
		s.decide(Decision{Score: &changes[i]})
	}
}

// inForce brings the customer under a playbook that has not decided before.
// Nothing has happened to them, so no journey starts.
func (s *step) inForce() {
	if s.p.Playbook == "" { // first contact
		s.p.Holdout = profile.Draw(s.task.salt, "holdout", s.p.Customer) < s.pb.Limits.Holdout
	}
	s.p.Playbook, s.p.Standing.Known = s.pb.Version, false
	if s.p.FirstSeen == 0 {
		return
	}
	s.pb.Keep(s.p, s.now)
	s.journeys.InForce()
	s.segments(false)
}

// happen folds an event in and tells the journeys. It reports whether what
// follows may start one.
func (s *step) happen(e *schemas.Event) (live bool) {
	h := facts.Apply(s.p, e, s.now, s.pb)
	if h.Repeated {
		return true
	}
	s.changed |= playbook.ChangedBy(e)
	live = !h.Late
	if live {
		s.look = looked(e)
	}
	if m := e.GetMerge(); m != nil {
		return s.merge(m, live)
	}
	if s.pb == nil {
		return live
	}
	switch body := e.GetBody().(type) {
	case *schemas.Event_Cart:
		if h.Cart != 0 {
			s.journeys.CartChanged(h.Cart, h.Late)
		}
	case *schemas.Event_View:
		s.journeys.Viewed(h.At)
	case *schemas.Event_Order:
		since := h.Ordered
		if h.Bought && !h.Late { // it may have been under way when a journey began
			since = max(since, s.now)
		}
		s.journeys.Ordered(h.Ordered, since)
	case *schemas.Event_Outcome:
		s.journeys.Reported(body.Outcome)
	case *schemas.Event_Named:
		if live {
			s.journeys.Happened(body.Named.GetName(), h.At)
		}
	}
	return live
}

// looked says what e can change of the scores.
func looked(e *schemas.Event) score.Look {
	switch body := e.GetBody().(type) {
	case *schemas.Event_View, *schemas.Event_Cart, *schemas.Event_Order, *schemas.Event_OrderCancelled, *schemas.Event_Merge:
		return score.All
	case *schemas.Event_Engagement:
		if body.Engagement.GetMachine() != "" {
			return score.Time // nobody was there
		}
	case *schemas.Event_Rejection:
		return score.Time
	}
	return score.Numbers
}

// merge brings in what an anonymous visitor did before, or still does, under
// the name that they had.
func (s *step) merge(m *schemas.Merge, live bool) bool {
	s.knownAs(s.event.GetAnonymousId())
	if m.GetForwarded() != nil {
		if m.GetForwarded().GetMerge() != nil {
			return false // one redirect, not a chain
		}
		s.event = m.GetForwarded()
		return s.happen(s.event)
	}
	if s.merged == nil {
		return false
	}
	carts := facts.Merge(s.p, s.merged, s.now, s.pb)
	if s.pb != nil {
		s.pb.Keep(s.p, s.now)
		s.journeys.Ordered(s.p.Orders.Last, s.p.Orders.Last)
		for _, started := range carts {
			s.journeys.CartChanged(started, true) // moves, and starts nothing
			if live {
				s.journeys.Joined(started)
			}
		}
	}
	return live
}

// become turns an anonymous visitor into a redirect, and sends what is known of
// them after it.
func (s *step) become(known string) {
	met := s.p.FirstSeen != 0
	reason := "became " + known
	for _, c := range segment.Leave(s.p, reason) {
		s.decide(Decision{Segment: &c})
	}
	if s.pb != nil {
		s.journeys.Undone(reason)
		s.settle()
	}
	held := facts.Redirect(s.p, known)
	s.p.RedirectTrusted = s.event.GetLink().GetTrusted()
	d := Decision{Forward: &schemas.Merge{From: s.p.Customer}}
	if met {
		d.Forward.State = profile.Encode(nil, held)
	}
	if at := schemas.Millis(s.event.GetOccurredAt()); at > 0 && s.now-at > schemas.LateAfter {
		d.At = at
	}
	s.decide(d)
}

// forward sends an event that still arrives under the visitor's old name after
// them. What was forwarded already goes on under the same id, so that names which
// redirect to each other send nothing round: each passes an id on once.
func (s *step) forward() {
	if s.event == nil {
		return
	}
	if !facts.Remember(s.p, s.event.GetId(), s.now) {
		return
	}
	if known := s.event.GetLink().GetKnown(); known != "" {
		trusted := s.event.GetLink().GetTrusted()
		switch {
		case known == s.p.Customer:
		case known == s.p.RedirectTo:
			s.p.RedirectTrusted = s.p.RedirectTrusted || trusted
		case s.mayBecome():
			s.p.RedirectTo, s.p.RedirectTrusted = known, trusted
			s.decide(Decision{Forward: &schemas.Merge{From: s.p.Customer}})
		default:
			s.refuseLink()
		}
		return
	}
	if s.event.GetForget() != nil {
		return // it is of a customer that this name stands for no more
	}
	if m := s.event.GetMerge(); m != nil {
		s.knownAs(s.event.GetAnonymousId())
		switch {
		case len(m.GetState()) == 0 && m.GetForwarded() == nil:
		case m.GetFrom() != s.p.RedirectTo: // whom it was sent to became another meanwhile
			s.decide(Decision{Forward: m, At: schemas.Millis(s.event.GetOccurredAt())})
		case s.merged != nil:
			facts.Merge(s.p, s.merged, s.now, s.pb)
		}
		return
	}
	if s.event.GetOccurredAt() == nil {
		s.event.OccurredAt = schemas.Timestamp(s.now)
	}
	s.decide(Decision{Forward: &schemas.Merge{From: s.p.Customer, Forwarded: s.event}})
}

// segments brings the memberships up to now. live: journeys may start with a
// change.
func (s *step) segments(live bool) int64 {
	changes, next := segment.Changes(playbook.Facts{Profile: s.p, Scores: &s.scores, Now: s.now}, s.pb, s.changed)
	for i := range changes {
		s.decide(Decision{Segment: &changes[i]})
		if live {
			s.journeys.SegmentChanged(changes[i].Segment, changes[i].Entered)
		}
	}
	return next
}

// settle takes over what the journeys decided.
func (s *step) settle() {
	for i := range s.journeys.Decisions {
		s.decide(Decision{Journey: &s.journeys.Decisions[i]})
	}
}

func (s *step) decide(d Decision) {
	d.Event = strings.Clone(s.event.GetId())
	s.decisions = append(s.decisions, d)
}

// Free and End are the journeys' limits: those of the profile as it is by then.
func (s *step) Free(at int64) (int64, string) { return s.limits().Free(at) }

// End: see Free.
func (s *step) End(at int64) int64 { return s.limits().End(at) }

func (s *step) limits() limit.Limits {
	return limit.Limits{Of: &s.pb.Limits, Zone: s.task.zone(s.p.TimeZone, s.pb.Store.Zone), Chosen: s.p.Chosen(), Mails: s.p.Mails}
}

// zone returns the location of an IANA name; otherwise when there is none.
func (t *Task) zone(name string, otherwise *time.Location) *time.Location {
	if name == "" || strings.EqualFold(name, "local") { // Go takes those for its own
		return otherwise
	}
	if z, known := t.zones.Load(name); known {
		return z.(*time.Location)
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return otherwise // not kept: anybody can make such names up
	}
	t.zones.Store(name, z)
	return z
}
