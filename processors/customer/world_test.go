package customer

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/models"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// world is the loop around the fold that Kafka and the sender close elsewhere:
// what the fold writes to events comes back, and deliveries get their outcome.
type world struct {
	t       tb
	shelf   shelf
	rack    rack
	replay  *stream.Replay[profile.Profile, Decision]
	strict  *strict
	clock   int64
	pb      *playbook.Playbook
	pending []appended
	away    map[string]bool // cancelled before they were tried
	// smtp: the sender's mail server answers. station: so does the station; while
	// it does not, records gather, and are folded when it is back.
	smtpDown, stationDown bool
	shadows               bool // the sender hands over nothing
	backlog               []written
	log                   []written // all that was recorded, for a second fold
	outputs               []timed
	back                  []timed
	n                     int
	seen                  func(at int64, o stream.Output) // a test's own eyes
	folded                func(key string, value []byte)  // nil, or told of every record folded
}

// tb is what testing and rapid have in common.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

type written struct {
	at    int64
	key   string
	value []byte
}

// appended is a delivery, and when its record was written.
type appended struct {
	at int64
	*schemas.Delivery
}

type timed struct {
	at  int64
	out stream.Output
}

// shelf is where versions stand.
type shelf map[string]*playbook.Playbook

func (s shelf) Playbook(_ context.Context, version string) (*playbook.Playbook, error) {
	if s[version] == nil {
		return nil, fmt.Errorf("no playbook %s", version)
	}
	return s[version], nil
}

// scenarioFiles are the templates of testdata/shop.yaml.
var scenarioFiles = map[string][]byte{"mail.html": []byte("{{ cart.value }}")}

func parse(t tb, yaml string) *playbook.Playbook {
	t.Helper()
	return parseWith(t, yaml, scenarioFiles)
}

func parseWith(t tb, yaml string, files map[string][]byte) *playbook.Playbook {
	t.Helper()
	pb, err := playbook.Parse("playbook.yaml", []byte(yaml), files)
	if err != nil {
		t.Fatal(err)
	}
	return pb
}

func shop(t tb) string {
	t.Helper()
	yaml, err := os.ReadFile("testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(yaml)
}

func newWorld(t tb, start int64) *world {
	w := &world{t: t, shelf: shelf{}, rack: rack{}, clock: start, away: map[string]bool{}}
	w.strict = &strict{Task: NewTask(w.shelf, TaskOptions{Salt: "salt", Models: w.rack}), t: t}
	w.replay = stream.NewReplay(w.strict, w.emit)
	return w
}

func (w *world) emit(at int64, in stream.Input, o stream.Output) {
	w.outputs = append(w.outputs, timed{at, o})
	if w.seen != nil {
		w.seen(at, o)
	}
	switch o.Topic {
	case schemas.Events:
		w.back = append(w.back, timed{at, o})
	case schemas.Deliveries:
		var c schemas.DeliveryCommand
		if err := schemas.Decode(o.Value, &c); err != nil {
			w.t.Fatal(err)
		}
		if c.GetSend() != nil {
			w.pending = append(w.pending, appended{w.clock, c.GetSend()})
		} else {
			w.away[c.GetCancel().GetDeliveryId()] = true
		}
	}
}

// inForce puts a playbook in force.
func (w *world) inForce(pb *playbook.Playbook) {
	w.pb = pb
	w.shelf[pb.Version] = pb
	w.record(w.clock, "", &schemas.Event{Body: &schemas.Event_Playbook{Playbook: &schemas.PlaybookInForce{Version: pb.Version}}})
}

// modelsInForce puts models in force.
func (w *world) modelsInForce(set *models.Set) {
	w.rack[set.Version] = set
	w.record(w.clock, "", &schemas.Event{Body: &schemas.Event_Models{Models: &schemas.ModelsInForce{Version: set.Version}}})
}

// record appends e at an instant, once all that is due before has happened.
func (w *world) record(at int64, key string, e *schemas.Event) {
	w.until(at - 1)
	w.clock = max(w.clock, at)
	w.append(w.clock, key, schemas.Encode(e))
	w.settle()
}

func (w *world) append(at int64, key string, value []byte) {
	if w.stationDown {
		w.backlog = append(w.backlog, written{at, key, value})
		return
	}
	w.log = append(w.log, written{at, key, value})
	if err := w.replay.Record(context.Background(), at, key, value); err != nil {
		w.t.Fatal(err)
	}
	if w.folded != nil {
		w.folded(key, value)
	}
}

// until lets the clock run up to and including at, wake-up by wake-up.
func (w *world) until(at int64) {
	for !w.stationDown {
		due, ok := w.replay.Next()
		if !ok || due > at {
			break
		}
		if err := w.replay.Until(context.Background(), due); err != nil {
			w.t.Fatal(err)
		}
		w.clock = max(w.clock, due+1) // a tick is what lets it fire
		w.settle()
	}
	w.clock = max(w.clock, at)
	if !w.stationDown {
		if err := w.replay.Until(context.Background(), at); err != nil {
			w.t.Fatal(err)
		}
	}
}

// stationUp folds what was recorded meanwhile, and only then shows the sender
// what came of it. blinks: the station is down again before it hears of that.
func (w *world) stationUp(at int64, blinks bool) {
	w.until(at)
	w.stationDown = false
	backlog := w.backlog
	w.backlog = nil
	for _, r := range backlog {
		w.append(r.at, r.key, r.value)
	}
	if err := w.replay.Until(context.Background(), w.clock); err != nil {
		w.t.Fatal(err)
	}
	w.clock++ // the tick that let what was due fire
	w.stationDown = blinks
	w.settle()
}

// settle closes the loop until nothing comes back.
func (w *world) settle() {
	for n := 0; ; n++ {
		if n > 10_000 {
			w.t.Fatalf("what the fold writes comes back without end")
		}
		w.sender()
		if len(w.back) == 0 {
			return
		}
		back := w.back[0]
		w.back = w.back[1:]
		w.append(w.clock, back.out.Key, back.out.Value)
	}
}

// sender answers each delivery: cancelled, stale when it was written more than
// two minutes late, else sent, if the mail server is there.
func (w *world) sender() {
	pending := w.pending
	w.pending = nil
	for _, d := range pending {
		switch {
		case w.away[d.GetId()]:
			w.report(d, schemas.Outcome_CANCELLED)
		case d.at-schemas.Millis(d.GetDueAt()) > 2*60*1000:
			w.report(d, schemas.Outcome_STALE)
		case w.clock >= schemas.Millis(d.GetGiveUpAt()):
			w.report(d, schemas.Outcome_FAILED)
		case w.smtpDown:
			w.pending = append(w.pending, d)
		case w.shadows:
			w.report(d, schemas.Outcome_SHADOWED)
		default:
			w.report(d, schemas.Outcome_SENT)
		}
	}
}

func (w *world) report(d appended, kind schemas.Outcome_Kind) {
	e := &schemas.Event{Id: d.GetId() + kind.String(), Customer: d.GetCustomer(), OccurredAt: schemas.Timestamp(w.clock), Source: "sender",
		Body: &schemas.Event_Outcome{Outcome: &schemas.Outcome{Kind: kind, DeliveryId: d.GetId(), Journey: d.GetJourney(), Step: d.GetStep(), Instance: d.GetInstance()}}}
	if w.seen != nil {
		w.seen(w.clock, stream.Output{Topic: schemas.Events, Key: d.GetCustomer(), Value: schemas.Encode(e)})
	}
	w.back = append(w.back, timed{w.clock, stream.Output{Topic: schemas.Events, Key: d.GetCustomer(), Value: schemas.Encode(e)}})
}

// refold folds the same log once more, all at once, and wants the same outputs.
func (w *world) refold() {
	var again []timed
	r := stream.NewReplay(NewTask(w.shelf, TaskOptions{Salt: "salt", Models: w.rack}), func(at int64, _ stream.Input, o stream.Output) { again = append(again, timed{at, o}) })
	for _, rec := range w.log {
		if err := r.Record(context.Background(), rec.at, rec.key, rec.value); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := r.Until(context.Background(), w.clock); err != nil {
		w.t.Fatal(err)
	}
	if len(again) != len(w.outputs) {
		w.t.Fatalf("folded again: %d outputs, want %d", len(again), len(w.outputs))
	}
	for i := range again {
		if again[i].at != w.outputs[i].at || !reflect.DeepEqual(again[i].out, w.outputs[i].out) {
			w.t.Fatalf("folded again: output %d = %v, want %v", i, again[i], w.outputs[i])
		}
	}
}

// strict takes every step twice, the second time from the profile's bytes, and
// holds Advance to what the runtime expects of it.
type strict struct {
	*Task
	t tb
}

func (s *strict) Advance(p *profile.Profile, in stream.Input) ([]Decision, int64, error) {
	before := profile.Encode(nil, p)
	twin, err := s.Decode(before)
	if err != nil {
		s.t.Fatal(err)
	}
	decisions, next, err := s.Task.Advance(p, in)
	after := profile.Encode(nil, p)
	again, nextAgain, errAgain := s.Task.Advance(twin, in)
	defer s.Release(twin)
	switch {
	case (err == nil) != (errAgain == nil) || next != nextAgain || !bytes.Equal(after, profile.Encode(nil, twin)):
		s.t.Errorf("%s at %d: the same step gives another profile from its bytes", in.Key, in.Now)
	case err != nil && !bytes.Equal(before, after):
		s.t.Errorf("%s at %d: a step that failed changed the profile", in.Key, in.Now)
	case next != 0 && next <= in.Now:
		s.t.Errorf("%s at %d: next = %d, want later", in.Key, in.Now, next)
	case !reflect.DeepEqual(s.composed(p, in, decisions), s.composed(twin, in, again)):
		s.t.Errorf("%s at %d: the same step gives other records from the profile's bytes", in.Key, in.Now)
	}
	if in.Value == nil && len(decisions) == 0 && p.RedirectTo == "" && p.Forgotten == 0 { // a new playbook wakes whom it does not concern, too
		was, _ := profile.Decode(before)
		was.Next = p.Next
		if bytes.Equal(profile.Encode(nil, was), after) {
			s.t.Errorf("%s at %d: a wake-up for nothing", in.Key, in.Now)
		}
	}
	return decisions, next, err
}

func (s *strict) composed(p *profile.Profile, in stream.Input, ds []Decision) []stream.Output {
	var all []stream.Output
	for _, d := range ds {
		outs, err := s.Compose(p, in, d)
		if err != nil {
			s.t.Errorf("%s at %d: compose: %v", in.Key, in.Now, err)
		}
		all = append(all, outs...)
	}
	return all
}

// visitor is a name that nobody gave: a browser's, or a device's.
var visitor = regexp.MustCompile(`^(anon|guest|phone|tablet)\b`)

// event reads one line of a scenario: customer, what, and name=value…; quotes
// hold a value with spaces together.
func (w *world) event(line string, now int64) (key string, e *schemas.Event) {
	words := split(line)
	if len(words) < 2 {
		w.t.Fatalf("event %q: want CUSTOMER WHAT name=value…", line)
	}
	args := map[string]string{}
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		args[name] = value
	}
	w.n++
	e = &schemas.Event{Id: fmt.Sprintf("m%d", w.n), Customer: words[0], OccurredAt: schemas.Timestamp(now)}
	if visitor.MatchString(words[0]) {
		e.AnonymousId = words[0]
	} else {
		e.UserId = words[0]
	}
	if id := args["id"]; id != "" {
		e.Id = id
	}
	if ago := args["ago"]; ago != "" {
		e.OccurredAt = schemas.Timestamp(now - span(w.t, ago))
	}
	product := &schemas.Product{Id: args["sku"], Name: args["sku"], Category: args["category"], PriceMicros: micros(w.t, args["price"]), Quantity: number(w.t, args["qty"])}
	currency := cmp.Or(args["currency"], "GBP")
	cart := func(c schemas.CartChange_Change) *schemas.Event_Cart {
		return &schemas.Event_Cart{Cart: &schemas.CartChange{Change: c, CartId: args["cart"], Currency: "GBP", Product: product, Url: args["url"]}}
	}
	switch words[1] {
	case "identify":
		e.Body = &schemas.Event_Identify{Identify: &schemas.Identify{Email: args["email"], FirstName: args["name"], TimeZone: args["zone"]}}
	case "subscribe", "unsubscribe":
		e.Body = &schemas.Event_Subscription{Subscription: &schemas.Subscription{Subscribed: words[1] == "subscribe", DeliveryId: args["by_mail"]}}
	case "prefers":
		chosen := &schemas.Preferences{Frequency: schemas.Preferences_Frequency(schemas.Preferences_Frequency_value[strings.ToUpper(args["often"])]), Undoes: args["undoes"]}
		for name, topics := range map[string]*[]string{"stop": &chosen.Stop, "resume": &chosen.Resume} {
			if args[name] != "" {
				*topics = []string{args[name]}
			}
		}
		if days, ok := args["pause"]; ok {
			chosen.PauseDays = proto.Int32(int32(number(w.t, days)))
		}
		e.Body = &schemas.Event_Preferences{Preferences: chosen}
	case "visit":
		e.Body = &schemas.Event_Visit{Visit: &schemas.Visit{}}
	case "view":
		e.Body = &schemas.Event_View{View: &schemas.View{Product: product}}
	case "cart_add":
		e.Body = cart(schemas.CartChange_ADDED)
	case "cart_remove":
		e.Body = cart(schemas.CartChange_REMOVED)
	case "cart_viewed":
		body := cart(schemas.CartChange_REPLACED)
		body.Cart.Product, body.Cart.Products = nil, []*schemas.Product{product}
		e.Body = body
	case "checkout":
		e.Body = cart(schemas.CartChange_CHECKOUT)
	case "order":
		e.Body = &schemas.Event_Order{Order: &schemas.Order{OrderId: args["order"], CartId: args["cart"], Currency: currency, TotalMicros: micros(w.t, args["total"]),
			Free: args["total"] == "0", Products: ordered(product), Coupon: args["coupon"]}}
	case "order_cancelled":
		e.Body = &schemas.Event_OrderCancelled{OrderCancelled: &schemas.OrderCancelled{OrderId: args["order"], Currency: currency, TotalMicros: micros(w.t, args["total"])}}
	case "named":
		e.Body = &schemas.Event_Named{Named: &schemas.Named{Name: args["name"]}}
	case "becomes":
		e.UserId, e.AnonymousId = args["known"], words[0]
		e.Body = &schemas.Event_Link{Link: &schemas.Link{Known: args["known"], Trusted: args["by"] == "shop"}}
	case "forget":
		e.UserId, e.AnonymousId = "", "" // the shop asks, by whatever name
		e.Body = &schemas.Event_Forget{Forget: &schemas.Forget{}}
	case "sent": // by whatever else sends mails
		e.Body = &schemas.Event_Outcome{Outcome: &schemas.Outcome{Kind: schemas.Outcome_SENT, DeliveryId: e.GetId()}}
	case "bounced", "complained":
		kind := schemas.Outcome_Kind(schemas.Outcome_Kind_value[strings.ToUpper(words[1])])
		e.Body = &schemas.Event_Outcome{Outcome: &schemas.Outcome{Kind: kind, Address: args["email"], Soft: args["soft"] != ""}}
	case "bounced_elsewhere", "spam_elsewhere":
		e.Body = &schemas.Event_Rejection{Rejection: &schemas.Rejection{Spam: words[1] == "spam_elsewhere", Address: args["email"]}}
	case "opened", "clicked":
		kind := schemas.Engagement_Kind(schemas.Engagement_Kind_value[strings.ToUpper(words[1])])
		e.Body = &schemas.Event_Engagement{Engagement: &schemas.Engagement{Kind: kind, Machine: args["machine"]}}
	default:
		w.t.Fatalf("event %q: got %q, want something that customers do", line, words[1])
	}
	return words[0], e
}

// ordered is the order's one product, if the story tells it.
func ordered(p *schemas.Product) []*schemas.Product {
	if p.GetId() == "" {
		return nil
	}
	return []*schemas.Product{p}
}

func split(line string) []string {
	quoted := false
	words := strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	})
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], `"`, "")
	}
	return words
}

func micros(t tb, s string) int64 {
	if s == "" {
		return 0
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(x * 1e6)
}

func number(t tb, s string) int64 {
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// span reads a length of time such as 3d2h or 59m59s.
func span(t tb, s string) int64 {
	days := int64(0)
	if d, rest, ok := strings.Cut(s, "d"); ok {
		days, s = number(t, d), rest
	}
	if s == "" {
		s = "0s"
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return days*24*60*60*1000 + d.Milliseconds()
}
