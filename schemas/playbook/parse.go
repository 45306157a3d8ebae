package playbook

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"segue/schemas"
)

// defaultGiveUp is how long a mail is tried after it was due: later than that a
// reminder is no longer about what the customer is doing.
const defaultGiveUp = 6 * 3_600_000

// Parse reads a playbook and checks all of it: what it says, the templates that
// it names, the conditions. The error joins every *Error, in file order. file is
// what errors call the YAML.
func Parse(file string, yaml []byte, files map[string][]byte) (*Playbook, error) {
	d := &document{file: file}
	pb := &Playbook{ID: "main", Messages: make(map[string]*Message), Files: files, yaml: yaml}
	if top, ok := d.open(yaml); ok {
		d.playbook(pb, top)
	}
	d.errs = append(d.errs, checkTemplates(files)...)
	size := len(yaml)
	for name, content := range files {
		size += len(name) + len(content)
	}
	if size > maxSize {
		d.fail(0, 0, "", fmt.Sprintf("%d bytes with its templates", size), fmt.Sprintf("at most %d: a version is one record", maxSize))
	}
	if err := join(file, d.errs); err != nil {
		return nil, err
	}
	pb.Version = pb.ID + "@" + hash(yaml, files)
	pb.asks()
	pb.index = pb.indexed()
	return pb, nil
}

func (d *document) playbook(pb *Playbook, top entry) {
	f := top.fields("id", "store", "brand", "goals", "consent", "limits", "segments", "journeys", "messages")
	if id := f["id"]; id.node != nil {
		pb.ID = id.text("a name")
		if !schemas.IsName(pb.ID) && pb.ID != "" {
			id.fail(brief(pb.ID), "small letters, digits and hyphens, at most 63")
		}
	}
	d.store(pb, f["store"])
	d.brand(pb, f["brand"])
	d.goals(pb, f["goals"])
	if consent := f["consent"]; consent.node != nil {
		pb.Consent = Consent(consent.choice("explicit", "purchase"))
	}
	d.limits(pb, f["limits"])
	d.segments(pb, f["segments"])
	d.messages(pb, f["messages"])
	d.journeys(pb, f["journeys"])
	d.references(pb)
}

func (d *document) store(pb *Playbook, e entry) {
	f := e.fields("name", "url", "currency", "time_zone")
	pb.Store = Store{Name: f["name"].text("the name of the shop"), URL: f["url"].web(), Currency: f["currency"].currency(), Zone: f["time_zone"].zone()}
}

func (d *document) brand(pb *Playbook, e entry) {
	f := e.fields("voice", "promises", "never_say", "from", "address")
	pb.Brand = Brand{
		Voice:    f["voice"].optional("how the shop speaks"),
		Promises: f["promises"].texts("a promise"),
		NeverSay: f["never_say"].texts("words to avoid"),
		From:     f["from"].mailbox(),
		Address:  f["address"].text("the postal address that every commercial mail must carry"),
	}
}

func (e entry) texts(want string) []string {
	var out []string
	for _, x := range e.list() {
		if s := x.text(want); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func (d *document) goals(pb *Playbook, e entry) {
	if e.node == nil {
		return
	}
	named, _ := e.pairs("goals by name")
	for _, g := range named {
		if !g.named() {
			continue
		}
		f := g.fields("metric", "change", "within")
		pb.Goals = append(pb.Goals, Goal{Name: g.name, Metric: f["metric"].text("what is measured"),
			Change: f["change"].percent(-100, 10_000, "a change such as +15% or -10%"), Within: f["within"].span()})
	}
	slices.SortFunc(pb.Goals, func(a, b Goal) int { return strings.Compare(a.Name, b.Name) })
}

func (d *document) limits(pb *Playbook, e entry) {
	if e.node == nil {
		return
	}
	f := e.fields("quiet_hours", "at_most", "holdout", "soft_bounces")
	if f["quiet_hours"].node != nil {
		pb.Limits.Quiet = f["quiet_hours"].quiet()
	}
	for _, x := range f["at_most"].list() {
		c := x.atMost()
		if slices.ContainsFunc(pb.Limits.AtMost, func(o Cap) bool { return o.Per == c.Per }) && c.N > 0 {
			x.fail(c.String(), "one cap per "+c.Per.String())
		}
		pb.Limits.AtMost = append(pb.Limits.AtMost, c)
	}
	if f["holdout"].node != nil {
		pb.Limits.Holdout = f["holdout"].percent(0, 100, "a share of customers such as 5%, less than 100%")
	}
	if f["soft_bounces"].node != nil {
		pb.Limits.SoftBounces = f["soft_bounces"].softBounces()
	}
}

func (d *document) segments(pb *Playbook, e entry) {
	if e.node == nil {
		return
	}
	named, _ := e.pairs("segments by name")
	for _, s := range named {
		if !s.named() {
			continue
		}
		f := s.fields("about", "enter", "leave", "stay")
		segment := Segment{Name: s.name, About: f["about"].optional("who is in it"), Enter: f["enter"].condition(false)}
		if f["leave"].node != nil {
			segment.Leave = f["leave"].condition(false)
		}
		if f["stay"].node != nil {
			segment.Stay = f["stay"].span()
		}
		for i := range d.named {
			if d.named[i].segment == "" {
				d.named[i].segment = s.name
			}
		}
		pb.Segments = append(pb.Segments, segment)
	}
	slices.SortFunc(pb.Segments, func(a, b Segment) int { return strings.Compare(a.Name, b.Name) })
}

// condition reads a condition; inCart: in the steps of a cart's journey.
func (e entry) condition(inCart bool) *Condition {
	source := e.text("a condition such as orders.count >= 3")
	if source == "" {
		return nil
	}
	c, err := compile(source, inCart)
	if err == nil {
		for _, r := range c.segments {
			at := e
			if columns, ok := e.offset(); ok {
				at.column += columns + r.column
			}
			e.d.named = append(e.d.named, naming{entry: at, name: r.segment})
		}
		return c
	}
	faults := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		faults = joined.Unwrap()
	}
	for _, err := range faults {
		var f *fault
		if !errors.As(err, &f) {
			e.fail(brief(source), "a condition: "+err.Error())
			continue
		}
		line, column := e.line, e.column
		if columns, ok := e.offset(); ok {
			column += columns + f.column
		}
		e.d.fail(line, column, e.path, brief(f.got), f.want)
	}
	return nil
}

func (d *document) messages(pb *Playbook, e entry) {
	if e.node == nil {
		return
	}
	named, _ := e.pairs("messages by name")
	for _, m := range named {
		if !m.named() {
			continue
		}
		f := m.fields("subjects", "body", "give_up")
		message := &Message{Name: m.name, GiveUp: defaultGiveUp}
		if f["give_up"].node != nil {
			message.GiveUp = f["give_up"].span()
		}
		if f["subjects"].missing() {
			f["subjects"].fail("nothing", "one subject or more")
		}
		for _, s := range f["subjects"].list() {
			subject := s.text("a subject line")
			if strings.ContainsAny(subject, "\r\n") || len(subject) > 500 {
				s.fail(brief(subject), "one line of at most 500 bytes")
			}
			for _, x := range checkLiquid("", []byte(subject), localNames([]byte(subject)), nil) {
				s.fail(x.Got, x.Want)
			}
			message.Subjects = append(message.Subjects, subject)
		}
		if message.Body = f["body"].text("a template such as cart-reminder.html"); message.Body != "" {
			f["body"].template(message.Body, pb.Files)
		}
		pb.Messages[m.name] = message
	}
}

// template checks that a template is among the files.
func (e entry) template(name string, files map[string][]byte) {
	if _, ok := files[name]; ok {
		return
	}
	want := "a file in " + templates
	if near := nearest(name, slices.Sorted(maps.Keys(files))); near != "" {
		want += "; did you mean " + near + "?"
	}
	e.fail(brief(name)+", which is not there", want)
}

func (d *document) journeys(pb *Playbook, e entry) {
	if e.node == nil {
		return
	}
	named, _ := e.pairs("journeys by name")
	for _, j := range named {
		if !j.named() {
			continue
		}
		f := j.fields("topic", "start", "stop", "once_per", "goal", "steps")
		journey := Journey{Name: j.name, Topic: j.name, Start: f["start"].start(pb)}
		if topic := f["topic"]; topic.node != nil {
			journey.Topic = topic.topic()
		}
		if f["stop"].node != nil {
			journey.Stop = Stop(f["stop"].choice("ordered", "ordered of this cart", "none"))
		}
		aboutCart := journey.Start.Kind == CartAbandoned
		if journey.Stop == OrderedCart && !aboutCart {
			f["stop"].fail("ordered of this cart", "ordered or none: the journey is not about a cart")
		}
		if once := f["once_per"]; once.node != nil {
			once.choice([]string{"cart", "entry", "entry", "event"}[journey.Start.Kind])
		}
		if goal := f["goal"]; goal.node != nil {
			journey.Goal = goal.text("the name of a goal")
			goal.reference(journey.Goal, "goals", slices.Collect(func(yield func(string) bool) {
				for _, g := range pb.Goals {
					if !yield(g.Name) {
						return
					}
				}
			}))
		}
		steps := f["steps"].list()
		if len(steps) == 0 {
			f["steps"].fail(is(f["steps"].node), "one step or more")
		}
		for i, s := range steps {
			journey.Steps = append(journey.Steps, s.step(pb, i == 0 && aboutCart, aboutCart))
		}
		pb.Journeys = append(pb.Journeys, journey)
	}
	slices.SortFunc(pb.Journeys, func(a, b Journey) int { return strings.Compare(a.Name, b.Name) })
}

// maxTopic is bytes: a mail's links name all topics.
const maxTopic = 60

// topic reads what customers call the mails of a journey.
func (e entry) topic() string {
	s := e.text("what customers call these mails, such as Reminders of your basket")
	if strings.ContainsAny(s, "\r\n") || len(s) > maxTopic {
		e.fail(brief(s), fmt.Sprintf("one line of at most %d bytes", maxTopic))
	}
	return s
}

// Topics are what customers can choose among, by name.
func (pb *Playbook) Topics() []string {
	var all []string
	for i := range pb.Journeys {
		all = append(all, pb.Journeys[i].Topic)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var starts = regexp.MustCompile(`^(?:(cart\.abandoned)|(entered|left|happened)\(\s*"([^"\\]+)"\s*\))$`)

func (e entry) start(pb *Playbook) Start {
	const want = `cart.abandoned, entered("segment"), left("segment") or happened("Event Name")`
	s := e.text(want)
	if s == "" {
		return Start{}
	}
	m := starts.FindStringSubmatch(s)
	switch {
	case m == nil && nearest(s, []string{"cart.abandoned"}) != "":
		e.fail(brief(s), "a start that is known; did you mean cart.abandoned?")
	case m == nil:
		e.fail(brief(s), want)
	case m[2] == "happened":
		return Start{Kind: Happened, Event: m[3]}
	case m[2] != "":
		names := make([]string, len(pb.Segments))
		for i, x := range pb.Segments {
			names[i] = x.Name
		}
		e.reference(m[3], "segments", names)
		if m[2] == "left" {
			return Start{Kind: Left, Segment: m[3]}
		}
		return Start{Kind: Entered, Segment: m[3]}
	}
	return Start{}
}

// reference checks that name is one of what the playbook defines under section.
func (e entry) reference(name, section string, defined []string) {
	if name == "" || slices.Contains(defined, name) {
		return
	}
	want := "a name under " + section
	if near := nearest(name, defined); near != "" {
		want += "; did you mean " + near + "?"
	}
	e.fail(brief(name)+", which is not there", want)
}

// step reads a step. waits: it must say after what wait it comes.
func (e entry) step(pb *Playbook, waits, inCart bool) Step {
	f := e.fields("after", "when", "choose", "send")
	var s Step
	if after := f["after"]; after.node != nil {
		s.After = after.span()
	} else if waits {
		after.fail("nothing", "the wait after which a cart is abandoned, such as 1h")
	}
	if f["when"].node != nil {
		s.When = f["when"].condition(inCart)
	}
	for _, c := range f["choose"].list() {
		g := c.fields("when", "send")
		if g["when"].node == nil {
			g["when"].fail("nothing", "a condition; what is sent otherwise stands beside choose, as send")
			continue
		}
		s.Choose = append(s.Choose, Choice{When: g["when"].condition(inCart), Send: g["send"].message(pb)})
	}
	if f["send"].node != nil {
		s.Send = f["send"].message(pb)
	} else if len(s.Choose) == 0 && f["choose"].node == nil {
		f["send"].fail("nothing", "send or choose")
	}
	return s
}

// message reads the name of a message.
func (e entry) message(pb *Playbook) string {
	s := e.text("the name of a message")
	e.reference(s, "messages", slices.Sorted(maps.Keys(pb.Messages)))
	return s
}

// asks gathers what all conditions ask for: windows, by ID, and thresholds.
func (pb *Playbook) asks() {
	all := make(map[uint64]Need)
	for c := range pb.conditions {
		for _, n := range c.needs {
			all[n.ID] = n
		}
		for _, x := range c.crosses {
			pb.thresholds[x.of] = append(pb.thresholds[x.of], x.edges...)
		}
	}
	for i := range pb.thresholds {
		slices.Sort(pb.thresholds[i])
		pb.thresholds[i] = slices.Compact(pb.thresholds[i])
	}
	pb.Needs = make([]Need, 0, len(all))
	for _, id := range slices.Sorted(maps.Keys(all)) {
		pb.Needs = append(pb.Needs, all[id])
	}
	pb.counts = counts(pb.Needs)
}

// conditions are all that a playbook has.
func (pb *Playbook) conditions(yield func(*Condition) bool) {
	more := true
	each := func(c *Condition) { more = more && (c == nil || yield(c)) }
	for _, s := range pb.Segments {
		each(s.Enter)
		each(s.Leave)
	}
	for _, j := range pb.Journeys {
		for _, s := range j.Steps {
			each(s.When)
			for _, c := range s.Choose {
				each(c.When)
			}
		}
	}
}

// offset returns the column that a condition's text starts at beyond its value's,
// if it stands in the file as it is, on one line.
func (e entry) offset() (columns int, ok bool) {
	n, ok := e.node.(*ast.StringNode)
	if !ok || strings.Contains(strings.TrimSpace(n.Token.Origin), "\n") {
		return 0, false
	}
	switch n.Token.Type {
	case token.SingleQuoteType, token.DoubleQuoteType:
		return 1, !strings.Contains(n.Token.Origin, `\`)
	}
	return 0, true
}
