package customer

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/proto"

	"segue/deploy"
	"segue/processors/customer/segment"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/models"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// The files in testdata tell stories, in these words:
//
//	start 2026-01-12T10:00 [zone=Europe/London] [scores=churn] [segments=vip]
//	                                              the clock, and the zone that it is shown in; with scores,
//	                                              those of these names are, when they are published; with
//	                                              segments, no others are
//	playbook [shipped]                            the YAML below is in force from now on; none: testdata/shop.yaml,
//	                                              or the one that comes with Segue;
//	                                              lines that start with s/ edit it: s/old/new/
//	models                                        those that come with Segue are in force from now on, edited by lines
//	                                              that start with s/, and with all others of them at the end
//	event at=1h                                   what customers do, an hour after the start; anon-1, phone-1
//	                                              and tablet are names of browsers, all others are userIds
//	advance to=72h                                the clock runs on
//	smtp down|up|shadowed                         the mail server; shadowed, it gets nothing
//	station down|up|blinks [at=3h]                the station; blinking, it folds what
//	                                              has gathered and is down again
//	profile ada                                   what is known
//	why ada vip                                   why she is in the segment, or is not
//
// Below ---- stands what came of it: when, what, who. A time is a span since the
// start or an instant in the zone; it is shown to the second. Every story is folded twice.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".txt") {
			return
		}
		s := &scenario{t: t}
		datadriven.RunTest(t, path, s.run)
		s.world.refold()
	})
}

type scenario struct {
	t     *testing.T
	world *world
	zone  *time.Location
	start int64
	yaml  string
	said  []string
	// scores are the names that are shown, segments too, if there are any.
	scores, segments []string
}

func (s *scenario) run(t *testing.T, d *datadriven.TestData) string {
	s.said = nil
	switch d.Cmd {
	case "start":
		if s.world != nil {
			s.world.refold()
		}
		s.zone, s.yaml = time.UTC, shop(t)
		if name, ok := argument(d, "zone"); ok {
			z, err := time.LoadLocation(name)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			s.zone = z
		}
		s.scores, s.segments = nil, nil
		for _, a := range d.CmdArgs {
			switch a.Key {
			case "scores":
				s.scores = a.Vals
			case "segments":
				s.segments = a.Vals
			}
		}
		s.start = s.when(d.CmdArgs[0].Key)
		s.world = newWorld(t, s.start)
		s.world.seen = s.see
	case "playbook":
		s.playbook(d)
	case "models":
		s.models(d)
	case "event":
		at := s.at(d)
		for line := range strings.Lines(d.Input) {
			key, e := s.world.event(strings.TrimSpace(line), at)
			s.world.record(at, key, e)
		}
	case "advance":
		to, _ := argument(d, "to")
		s.world.until(s.when(to))
		s.world.settle()
	case "smtp":
		s.world.smtpDown, s.world.shadows = d.CmdArgs[0].Key == "down", d.CmdArgs[0].Key == "shadowed"
		s.world.settle()
	case "station":
		if d.CmdArgs[0].Key == "down" {
			s.world.stationDown = true
		} else {
			s.world.stationUp(s.at(d), d.CmdArgs[0].Key == "blinks")
		}
	case "profile":
		return s.profile(d.CmdArgs[0].Key)
	case "why":
		return s.why(d, d.CmdArgs[0].Key, d.CmdArgs[1].Key)
	default:
		d.Fatalf(t, "got command %q", d.Cmd)
	}
	if len(s.said) == 0 {
		if d.Cmd == "advance" {
			return "nothing\n"
		}
		return ""
	}
	return strings.Join(s.said, "\n") + "\n"
}

func (s *scenario) playbook(d *datadriven.TestData) {
	files := scenarioFiles
	if len(d.CmdArgs) > 0 && d.CmdArgs[0].Key == "shipped" {
		yaml, shipped, err := playbook.ReadFS(deploy.Files, deploy.Playbook)
		if err != nil {
			d.Fatalf(s.t, "%v", err)
		}
		s.yaml, files = string(yaml), shipped
	}
	edited, whole := s.edited(d, s.yaml)
	if s.yaml = edited; whole != "" {
		s.yaml = d.Input
	}
	s.world.inForce(parseWith(s.t, s.yaml, files))
}

func (s *scenario) models(d *datadriven.TestData) {
	edited, more := s.edited(d, string(models.Default().YAML()))
	set, err := models.Parse("models.yaml", []byte(edited+more))
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	s.world.modelsInForce(set)
}

// edited applies the lines that start with s/ to a text, and returns all others.
func (s *scenario) edited(d *datadriven.TestData, text string) (edited, others string) {
	for line := range strings.Lines(d.Input) {
		edit, ok := strings.CutPrefix(strings.TrimSpace(line), "s/")
		if !ok {
			others += line
			continue
		}
		parts := strings.Split(edit, "/")
		if len(parts) != 3 || !strings.Contains(text, parts[0]) {
			d.Fatalf(s.t, "edit %q does not fit", line)
		}
		text = strings.Replace(text, parts[0], parts[1], 1)
	}
	return text, others
}

func argument(d *datadriven.TestData, name string) (string, bool) {
	for _, a := range d.CmdArgs {
		if a.Key == name && len(a.Vals) > 0 {
			return a.Vals[0], true
		}
	}
	return "", false
}

// at is the command's instant; without one, now.
func (s *scenario) at(d *datadriven.TestData) int64 {
	if at, ok := argument(d, "at"); ok {
		return s.when(at)
	}
	return s.world.clock
}

func (s *scenario) when(text string) int64 {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if at, err := time.ParseInLocation(layout, text, s.zone); err == nil {
			return at.UnixMilli()
		}
	}
	return s.start + span(s.t, text)
}

// see writes down one output as a person would.
func (s *scenario) see(at int64, o stream.Output) {
	text := ""
	switch o.Topic {
	case schemas.Scores:
		var c schemas.ScoreChange
		s.decode(o.Value, &c)
		if text = s.score(&c); text == "" {
			return
		}
	case schemas.SegmentChanges:
		var c schemas.SegmentChange
		s.decode(o.Value, &c)
		if s.segments != nil && !slices.Contains(s.segments, c.Segment) {
			return
		}
		sign := "-"
		if c.Entered {
			sign = "+"
		}
		text = fmt.Sprintf("segment: %s %s%s, %s", c.Customer, sign, c.Segment, cmp.Or(strings.Join(c.Reasons, "; "), c.Why))
	case schemas.Deliveries:
		var c schemas.DeliveryCommand
		s.decode(o.Value, &c)
		if m := c.GetSend(); m != nil {
			text = fmt.Sprintf("deliver: %s %s (%s)", m.Customer, m.Message, m.Reason)
			if due := schemas.Millis(m.GetDueAt()); due != at {
				text += ", due " + s.shown(due)
			}
		} else {
			text = fmt.Sprintf("cancel: %s (%s)", o.Key, c.GetCancel().GetReason())
		}
	case schemas.Events:
		var e schemas.Event
		s.decode(o.Value, &e)
		switch body := e.GetBody().(type) {
		case *schemas.Event_Outcome:
			kind := strings.ToLower(body.Outcome.GetKind().String())
			text = fmt.Sprintf("%s: %s %s, step %d", kind, o.Key, body.Outcome.GetJourney(), body.Outcome.GetStep())
			if body.Outcome.GetReason() != "" {
				text += " (" + body.Outcome.GetReason() + ")"
			}
		case *schemas.Event_Merge:
			text = fmt.Sprintf("merge: %s into %s", body.Merge.GetFrom(), o.Key)
			switch {
			case body.Merge.GetForwarded() != nil:
				text = fmt.Sprintf("forward: %s to %s", body.Merge.GetFrom(), o.Key)
			case body.Merge.GetState() == nil:
				text = fmt.Sprintf("name: %s stands for %s", body.Merge.GetFrom(), o.Key)
			}
		case *schemas.Event_Forget:
			text = "forget: " + o.Key + ", too"
			if who := body.Forget.GetStandsFor(); who != "" {
				text += ", which stands for " + who
			}
		}
	case schemas.DeadLetters:
		text = fmt.Sprintf("dead letter: %s (%s)", o.Key, o.Reason)
	}
	s.said = append(s.said, s.shown(at)+" "+text)
}

// score is empty for one that the story does not ask for.
func (s *scenario) score(c *schemas.ScoreChange) string {
	_, name, _ := strings.Cut(c.GetScore(), ".")
	if !slices.Contains(s.scores, name) {
		return ""
	}
	shown := func(v *schemas.ScoreValue) string {
		switch v := v.GetValue().(type) {
		case *schemas.ScoreValue_Micros:
			return fmt.Sprintf("%.3f", float64(v.Micros)/1e6)
		case *schemas.ScoreValue_Instant:
			return s.shown(schemas.Millis(v.Instant))
		case *schemas.ScoreValue_Text:
			return fmt.Sprintf("%q", v.Text)
		}
		return "never published"
	}
	text := fmt.Sprintf("score: %s %s %s (%s)", c.GetCustomer(), name, shown(c.GetValue()), shown(c.GetPrevious()))
	if c.CrossedMicros != nil {
		text += fmt.Sprintf(" crosses %v", float64(c.GetCrossedMicros())/1e6)
	}
	return text + ": " + strings.Join(c.GetReasons(), "; ")
}

func (s *scenario) decode(value []byte, m proto.Message) {
	if err := schemas.Decode(value, m); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scenario) shown(at int64) string {
	t := time.UnixMilli(at).In(s.zone)
	if t.Second() != 0 {
		return t.Format("Mon 02 15:04:05")
	}
	return t.Format("Mon 02 15:04")
}

func (s *scenario) profile(customer string) string {
	p, ok := s.world.replay.State(customer)
	if !ok {
		return "not known\n"
	}
	var b strings.Builder
	if p.Forgotten != 0 {
		if !reflect.DeepEqual(p, &profile.Profile{Customer: customer, Forgotten: p.Forgotten}) {
			s.t.Errorf("%s is forgotten, but %+v is left", customer, p)
		}
		return "forgotten since " + s.shown(p.Forgotten) + "\n"
	}
	if p.RedirectTo != "" {
		return "is " + p.RedirectTo + " now\n" + refusedLinks(p)
	}
	fmt.Fprintf(&b, "orders %d, %s; views %d; sent %d\n", p.Orders.Count, money(p.Orders.ValueMicros, p.Orders.Currency), p.Views.Count, p.Sent.Count)
	if p.Opened.Count+p.Clicked.Count+p.MachineOpens+p.MachineClicks > 0 {
		fmt.Fprintf(&b, "opened %d, clicked %d; machines opened %d, clicked %d\n", p.Opened.Count, p.Clicked.Count, p.MachineOpens, p.MachineClicks)
	}
	if x := p.Chosen(); !reflect.DeepEqual(x, profile.Choice{}) {
		fmt.Fprintf(&b, "chose %s", [...]string{"every mail", "weekly", "monthly"}[x.Frequency])
		if len(x.Stopped) > 0 {
			fmt.Fprintf(&b, "; nothing of %s", strings.Join(x.Stopped, ", "))
		}
		if x.PausedTo != 0 {
			fmt.Fprintf(&b, "; paused to %s", s.shown(x.PausedTo))
		}
		b.WriteByte('\n')
	}
	for i := range p.Carts {
		var items []string
		for _, x := range p.Carts[i].Items {
			items = append(items, fmt.Sprintf("%d %s", x.Quantity, x.Product))
		}
		fmt.Fprintf(&b, "cart of %s: %s\n", s.shown(p.Carts[i].StartedAt), strings.Join(items, ", "))
	}
	for i := range p.Runs {
		m := running(&p.Runs[i])
		at := ""
		if due := schemas.Millis(m.GetDueAt()); due != 0 {
			at = " at " + s.shown(due)
		}
		fmt.Fprintf(&b, "journey %s waits for %s%s\n", m.GetJourney(), m.GetWaitingFor(), at)
	}
	var in []string
	for _, m := range p.Segments {
		in = append(in, m.Segment)
	}
	slices.Sort(in)
	fmt.Fprintf(&b, "segments %s\n", strings.Join(in, " "))
	return b.String() + refusedLinks(p)
}

// why says so as segue profile does.
func (s *scenario) why(d *datadriven.TestData, customer, name string) string {
	p, ok := s.world.replay.State(customer)
	i := slices.IndexFunc(s.world.pb.Segments, func(x playbook.Segment) bool { return x.Name == name })
	if !ok || i < 0 {
		d.Fatalf(s.t, "got %s and %s, want a customer and a segment", customer, name)
	}
	_, in := playbook.Membership(p, name)
	_, reasons := segment.Why(&s.world.pb.Segments[i], s.world.strict.facts(p, s.world.clock))
	return fmt.Sprintf("%s: %s\n", map[bool]string{true: "in", false: "out"}[in], strings.Join(reasons, "; "))
}

func refusedLinks(p *profile.Profile) string {
	if p.RefusedLinks == 0 {
		return ""
	}
	return fmt.Sprintf("links from outside, refused: %d\n", p.RefusedLinks)
}
