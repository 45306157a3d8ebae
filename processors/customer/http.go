package customer

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"segue/processors/customer/segment"
	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// known is the answer to GET /customers/{id}.
type known struct {
	// Profile is a schemas.CustomerProfile, without the fold.
	Profile json.RawMessage `json:"profile"`
	// Playbook is the version that decided last.
	Playbook string         `json:"playbook,omitempty"`
	Segments []knownSegment `json:"segments"`
	Journeys []knownJourney `json:"journeys"`
}

// knownSegment is a segment of the playbook, and why the customer is in or out.
type knownSegment struct {
	Segment string     `json:"segment"`
	About   string     `json:"about,omitempty"`
	In      bool       `json:"in"`
	Since   *time.Time `json:"since,omitempty"`
	Why     string     `json:"why"`
	Reasons []string   `json:"reasons"`
}

// knownJourney is a journey on its way.
type knownJourney struct {
	Journey    string     `json:"journey"`
	Instance   string     `json:"instance"`
	NextStep   int        `json:"nextStep,omitempty"` // from 1; absent: the last one is out
	At         *time.Time `json:"at,omitempty"`
	WaitingFor string     `json:"waitingFor"`
	// Delivery has no outcome yet.
	Delivery string `json:"delivery,omitempty"`
}

// ServeHTTP answers GET /customers/{id} with what is known of one customer: 404
// for one never met, 421 when another instance owns the partition. With ?values it
// is what templates can show of them.
func (s *Station) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if id == "" {
		id = strings.TrimPrefix(r.URL.Path, "/customers/")
	}
	p, owned, err := s.processor.View(r.Context(), id)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	case !owned:
		http.Error(w, "another instance owns this customer's partition", http.StatusMisdirectedRequest)
		return
	case p == nil:
		http.Error(w, "no event of this customer was ever seen", http.StatusNotFound)
		return
	}
	if p.Playbook != "" {
		if err := s.task.Load(r.Context(), p.Playbook); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	var answer any
	if r.URL.Query().Has("values") {
		answer, err = s.task.values(p)
	} else {
		answer, err = s.task.known(p, s.clock.Now().UnixMilli())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false) // people read conditions here: >= 3, &&
	_ = out.Encode(answer)   // whoever asked may have left
}

// known explains p as of now. It shows what was decided, which between two
// wake-ups is what holds.
func (t *Task) known(p *profile.Profile, now int64) (*known, error) {
	shown, err := protojson.Marshal(t.public(p))
	if err != nil {
		return nil, err
	}
	k := &known{Profile: shown, Playbook: p.Playbook, Segments: []knownSegment{}, Journeys: []knownJourney{}}
	pb, err := t.playbook(p.Playbook)
	if err != nil {
		return nil, err
	}
	if pb == nil || p.RedirectTo != "" {
		return k, nil
	}
	for i := range pb.Segments {
		k.Segments = append(k.Segments, why(&pb.Segments[i], t.facts(p, now)))
	}
	for i := range p.Runs {
		r := &p.Runs[i]
		m := running(r)
		k.Journeys = append(k.Journeys, knownJourney{Journey: r.Journey, Instance: r.Instance, NextStep: int(m.GetNextStep()),
			At: instant(schemas.Millis(m.GetDueAt())), WaitingFor: m.GetWaitingFor(), Delivery: r.Delivery})
	}
	return k, nil
}

func why(s *playbook.Segment, facts playbook.Facts) knownSegment {
	k := knownSegment{Segment: s.Name, About: s.About}
	k.Why, k.Reasons = segment.Why(s, facts)
	for _, m := range facts.Profile.Segments {
		if m.Segment == s.Name {
			k.In, k.Since = true, instant(m.Since)
		}
	}
	return k
}

// instant is nil for never.
func instant(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := time.UnixMilli(ms).UTC()
	return &t
}
