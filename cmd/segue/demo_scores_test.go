package main

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"segue/schemas"
	"segue/schemas/playbook"
)

func shipped(t *testing.T) *playbook.Playbook {
	t.Helper()
	pb, err := shippedPlaybook()
	if err != nil {
		t.Fatal(err)
	}
	return pb
}

// The first few VIPs are watched, by name; crossings are told of segments that scores
// decide, and of no others.
func TestTallyOfScores(t *testing.T) {
	tally := newTally(time.UTC, shipped(t).Segments)
	day := time.Date(2011, time.June, 1, 0, 0, 0, 0, time.UTC)
	at := func(hour int) int64 { return day.Add(time.Duration(hour) * time.Hour).UnixMilli() }
	change := func(hour int, customer, segment string, entered bool) {
		tally.change(&schemas.SegmentChange{Customer: customer, Segment: segment, Entered: entered, At: schemas.Timestamp(at(hour)), Reasons: []string{"value: 1200.00, at least 1000.00"}})
	}
	score := func(hour int, customer, name string, micros int64, event string) {
		tally.score(&schemas.ScoreChange{Customer: customer, Score: name, At: schemas.Timestamp(at(hour)), EventId: event,
			Value: &schemas.ScoreValue{Value: &schemas.ScoreValue_Micros{Micros: micros}}})
	}
	score(1, "ada", "scores.churn", 300_000, "")
	for i, who := range []string{"ada", "bob", "cid", "dot", "eve"} {
		change(2+i, who, watchedSegment, true)
	}
	change(8, "ada", watchedSegment, false)
	change(9, "ada", watchedSegment, true)
	change(10, "bob", "cart-open", true)
	score(12, "ada", "scores.churn", 500_000, "")
	score(16, "ada", "scores.churn", 0, "m1")
	score(16, "ada", "scores.propensity", 160_000, "m1")
	score(16, "ada", "scores.value", 1_000_000, "m1")
	score(17, "eve", "scores.churn", 500_000, "")
	asked := 0
	for _, hour := range []int{14, 15, 21} {
		tally.sample(at(hour), func(customer string) (playbook.Scores, error) {
			asked++
			return anyScore(250_000), nil
		})
	}
	tally.event(at(18), &schemas.Event{Customer: "ada", Body: &schemas.Event_Identify{Identify: &schemas.Identify{FirstName: "Ada", LastName: "Abel"}}})

	var s scene
	tally.fill(&s)
	var who []string
	for _, w := range s.Watched {
		who = append(who, w.Customer)
	}
	if want := []string{"Ada Abel", "bob", "cid", "dot"}; !slices.Equal(who, want) {
		t.Errorf("watched: got %q, want %q", who, want)
	}
	ada := s.Watched[0]
	if want := []point{{at(12), 500_000}, {at(14), 250_000}, {at(16), 0}, {at(21), 250_000}}; !slices.Equal(ada.Churn, want) || len(ada.Propensity) != 3 {
		t.Errorf("Ada: got churn %v and propensity %v, want churn %v and three of propensity", ada.Churn, ada.Propensity, want)
	}
	if asked != 8 {
		t.Errorf("asked %d times, want twice of each: an hour later is too soon", asked)
	}
	change(19, "ada", "at-risk", true)
	tally.fill(&s)
	var crossed []string
	for _, c := range s.Crossings {
		crossed = append(crossed, c.Customer+" "+c.did()+" "+c.Segment)
	}
	if want := []string{"Ada Abel enters at-risk", "Ada Abel enters vip", "Ada Abel leaves vip", "eve enters vip"}; !slices.Equal(crossed, want) {
		t.Errorf("crossings: got %q, want %q: the latest, three of a segment", crossed, want)
	}
}

// anyScore is every score of somebody.
type anyScore int64

func (s anyScore) At(playbook.Score, int64) (v, until int64) { return int64(s), 0 }
func (anyScore) Text(playbook.Score, int64) (string, int64)  { return "", 0 }
func (anyScore) Reasons(playbook.Score, int64) []string      { return nil }

func TestValueAt(t *testing.T) {
	curve := []point{{100, 0}, {200, 500_000}, {200, 100_000}, {300, 0}}
	for at, want := range map[int64]float64{50: 0, 100: 0, 150: .25, 199: .495, 200: .1, 250: .05, 300: 0, 900: 0} {
		if got := valueAt(curve, at); math.Abs(got-want) > 1e-9 {
			t.Errorf("valueAt(%d) = %v, want %v", at, got, want)
		}
	}
	if got := highest(curve, 150, 250); got != .5 {
		t.Errorf("highest = %v, want .5: it was that for an instant", got)
	}
}

// The page draws a score over the year so far, and shows names as text.
func TestLivePage(t *testing.T) {
	s := midyear(t)
	s.Progress = .5
	s.Watched[0] = watched{"<Ada>", []point{{at: s.Start.UnixMilli(), micros: 0}, {at: s.Now.UnixMilli(), micros: 500_000}}, []point{{at: s.Now.UnixMilli(), micros: 300_000}}}
	s.Segments[0].About = "As likely gone as not"
	var page strings.Builder
	if err := s.live(&page, shipped(t)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<h3>&lt;Ada&gt;</h3>`, `d="M0.00 100.00L50.00 50.00"`, `d="M50.00 50.00"`, `<strong>0.50</strong>`, `<strong>–</strong>`,
		`y1="50.00" x2="100" y2="50.00"`, // churn of a half is asked for
		`Noah Stone enters <span class="mark">at-risk</span>`, `Noah Stone leaves <span class="mark out">vip</span>`, `churn: 0.5, at least 0.5 (not on the site for 68d7h)`,
		`As likely gone as not`, `412 mails →`, `<div style="width: 50.00%">`,
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("page: want %q in\n%s", want, page.String())
		}
	}
}
