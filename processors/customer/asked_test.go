package customer

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"segue/processors/customer/score"
	"segue/processors/customer/segment"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// asking has every name that a segment can ask about.
var asking = []string{
	"orders.count >= 2", "orders.discounted >= 1", "views.count > visits.count", "visits.count >= 3", "sent.count >= 2", "opened.count >= 2", "clicked.count >= 2", "tickets.count >= 2",
	"tickets.open >= 1", "carts.open >= 1", "orders.value >= money(20)",
	"since(first.seen) > minutes(20)", "since(first.order) > minutes(5)", "since(last.seen) > minutes(10)", "since(last.order) < minutes(30)",
	"since(last.view) > minutes(3)", "since(last.visit) <= minutes(4)", "since(last.sent) > minutes(5)", "since(last.open) < minutes(6)",
	"since(last.click) > minutes(7)", "since(last.ticket) < minutes(8)", "since(last.view) > hours(1)", "since(last.order) > days(1)",
	`customer.email == "ada@shop.example"`, `customer.first_name != ""`, `customer.last_name == "Lovelace"`, `customer.country in ["GB", "IE"]`,
	`customer.language == "en"`, "customer.subscribed", `customer.traits["plan"] == "gold"`,
	"orders.within(minutes(10)) >= 1", "orders.spent(minutes(20)) >= money(15)", `orders.in_category("mugs", minutes(15)) >= 1`, `orders.of_product("mug") >= 2`,
	"views.within(minutes(7)) >= 2", `views.in_category("mugs", minutes(9)) > views.in_category("pots", minutes(5))`, `views.of_product("mug", minutes(6)) >= 1`,
	"visits.within(minutes(3)) == 1", "sent.within(minutes(12)) >= 1", "opened.within(minutes(4)) >= 1", "clicked.within(minutes(9)) >= 1",
	`scores.churn < 0.5 || scores.propensity >= 0.2 || scores.propensity_day >= 0.1 || scores.value_rank > 0.9 || scores.price_sensitivity > 0.4 || scores.engagement > 0.1`,
	`sequence([viewed("mug"), carted(product.price < money(9)), nothing(minutes(3))], hours(1))`, `sequence([visited(), viewed(product.name.contains("pot"))], minutes(30))`,
	`sequence([opened(), clicked(), happened("Quiz"), bought()], days(1))`, `in("one-0") && since(entered("one-0")) > minutes(9)`, "cart.value >= money(15)", `cart.size > 1 || cart.currency == "EUR"`,
	`views.where(product.name.contains("mug") && product.price > money(5), minutes(9)) >= 2`, `carted.where(product.id == "pot", hours(1)) == 1`,
	`orders.where(product.category == "mugs" && product.price >= money(12)) >= 1`, "carted.within(minutes(8)) >= 2",
	`carted.in_category("mugs", minutes(5)) == 1`, `carted.of_product("pot") >= 3`,
	"scores.value >= money(100)", "until(scores.next_order) < days(1)", `orders.price_tier == "mid" || views.price_tier == "low"`,
	`favourite.category == "mugs" || favourite.product_type == "mug" || interest.category == "pots" || next.product == "pot"`,
	"tickets.within(minutes(11)) >= 1", `events.named("Quiz", minutes(8)) >= 1`,
	"(since(last.view) > minutes(2)) == true", "(scores.propensity >= 0.2) != true", "(until(scores.next_order) < days(2)) == (views.count > 2)", "(scores.propensity_day >= 0.1) == customer.subscribed",
	"orders.count - (views.count - visits.count) > 1", "orders.count - views.count - visits.count > 1", `customer.country in []`,
}

// askingAll is a playbook with each of them alone, and with others; some segments
// are left by another than they are entered by.
func askingAll(t tb) *playbook.Playbook {
	var yaml strings.Builder
	yaml.WriteString(shop(t))
	before, after, _ := strings.Cut(yaml.String(), "segments:\n")
	yaml.Reset()
	yaml.WriteString(before + "segments:\n")
	for i, one := range asking {
		next, other := asking[(i+1)%len(asking)], asking[(i+5)%len(asking)]
		for name, enter := range map[string]string{"one": one, "both": one + " && " + next, "either": "!(" + one + ") || " + other} {
			fmt.Fprintf(&yaml, "  %s-%d: {enter: '%s'}\n", name, i, enter)
		}
		fmt.Fprintf(&yaml, "  two-%d: {enter: '%s', leave: '%s'}\n", i, one, other)
		fmt.Fprintf(&yaml, "  stay-%d: {enter: '%s', leave: 'in(\"two-%d\")', stay: %dm}\n", i, next, i, 1+i%7)
	}
	return parse(t, yaml.String()+after)
}

func TestAskingHasEveryName(t *testing.T) {
	all := strings.Join(asking, " ")
	for _, name := range playbook.Names() {
		if !strings.HasPrefix(name, "cart.") && !strings.Contains(all, name) {
			t.Errorf("no condition has %s", name)
		}
	}
}

// drawn is something that happens.
func drawn(t *rapid.T) *schemas.Event {
	product := &schemas.Product{Id: rapid.SampledFrom([]string{"mug", "pot"}).Draw(t, "product"), PriceMicros: rapid.Int64Range(1, 20).Draw(t, "price") * 1e6}
	product.Category, product.Name = product.Id+"s", "Oak "+product.Id
	yes := rapid.Bool().Draw(t, "yes")
	kind := map[bool]schemas.Engagement_Kind{false: schemas.Engagement_OPENED, true: schemas.Engagement_CLICKED}[yes]
	return rapid.SampledFrom([]*schemas.Event{
		{Body: &schemas.Event_View{View: &schemas.View{Product: product}}},
		{Body: &schemas.Event_Visit{Visit: &schemas.Visit{}}},
		{Body: &schemas.Event_Cart{Cart: &schemas.CartChange{Change: schemas.CartChange_ADDED, Product: product}}},
		{Body: &schemas.Event_Cart{Cart: &schemas.CartChange{Change: schemas.CartChange_REMOVED, Product: product}}},
		{Body: &schemas.Event_Order{Order: &schemas.Order{OrderId: product.Id, Currency: "GBP", Products: []*schemas.Product{product}, DiscountMicros: product.PriceMicros % 2e6}}},
		{Body: &schemas.Event_OrderCancelled{OrderCancelled: &schemas.OrderCancelled{OrderId: product.Id, Currency: "GBP"}}},
		{Body: &schemas.Event_Ticket{Ticket: &schemas.Ticket{TicketId: product.Id, Closed: yes}}},
		{Body: &schemas.Event_Engagement{Engagement: &schemas.Engagement{Kind: kind}}},
		{Body: &schemas.Event_Subscription{Subscription: &schemas.Subscription{Subscribed: yes}}},
		{Body: &schemas.Event_Named{Named: &schemas.Named{Name: "Quiz"}}},
		{Body: &schemas.Event_Outcome{Outcome: &schemas.Outcome{Kind: schemas.Outcome_SENT}}},
		{Body: &schemas.Event_Identify{Identify: &schemas.Identify{Email: product.Id + "@shop.example", FirstName: "Ada", LastName: "Lovelace", Country: "GB", Language: "en",
			Traits: map[string]string{"plan": rapid.SampledFrom([]string{"gold", "tin"}).Draw(t, "plan")}}}},
	}).Draw(t, "event")
}

// happens draws what happens to somebody from monday on. take is called with it, and
// with nothing when they are woken before, and returns when they want to be woken.
func happens(t *rapid.T, take func(e *schemas.Event, now int64) (next int64)) {
	now, next := monday, int64(0)
	for i := range rapid.IntRange(1, 25).Draw(t, "events") {
		now += rapid.SampledFrom([]int64{0, 1, 30_000, minute, 5 * minute, 2 * day, 31 * day}).Draw(t, "pause")
		for next != 0 && next < now {
			next = take(nil, next)
		}
		e := drawn(t)
		e.Id = fmt.Sprint(max(0, i-rapid.IntRange(0, 1).Draw(t, "again")))
		e.OccurredAt = schemas.Timestamp(now - rapid.SampledFrom([]int64{0, 0, 2 * minute, day}).Draw(t, "ago"))
		next = take(e, now)
	}
}

// Whatever happens and however long nothing does: asking only the segments that
// it concerns decides as asking all of them.
func TestWhoIsNotAskedWouldNotHaveChanged(t *testing.T) {
	pb := askingAll(t)
	task := loaded(t, pb)
	rapid.Check(t, func(t *rapid.T) {
		p, twin := task.New("ada"), new(profile.Profile)
		take := func(e *schemas.Event, now int64) int64 {
			in := stream.Input{Key: "ada", Now: now, Offset: -1, Version: pb.Version}
			if e != nil {
				in.Value = schemas.Encode(e)
			}
			if err := profile.DecodeInto(twin, profile.Encode(nil, p)); err != nil {
				t.Fatal(err)
			}
			want, wantNext, err := task.Advance(twin, in) // whose segments are all asked
			if err != nil {
				t.Fatal(err)
			}
			got, next, err := task.Advance(p, in)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) || next != wantNext || !bytes.Equal(profile.Encode(nil, p), profile.Encode(nil, twin)) || !reflect.DeepEqual(p.Standing.Levels, twin.Standing.Levels) || !reflect.DeepEqual(p.Standing.Turns, twin.Standing.Turns) {
				t.Fatalf("%v at %+d ms: got %+v, next %d, want %+v, next %d", e, now-monday, got, next, want, wantNext)
			}
			return next
		}
		happens(t, take)
	})
}

// some draws a playbook of a few segments, the first of which others ask about.
func some(t *rapid.T, shop string) *playbook.Playbook {
	condition := func(of []string) string {
		all := rapid.SampledFrom(of).Draw(t, "condition")
		for range rapid.IntRange(0, 3).Draw(t, "more") {
			all += rapid.SampledFrom([]string{" && ", " || "}).Draw(t, "logic") + rapid.SampledFrom(of).Draw(t, "condition")
			if rapid.Bool().Draw(t, "negate") {
				all = "!(" + all + ")"
			}
		}
		return all
	}
	of := slices.DeleteFunc(slices.Clone(asking), func(s string) bool { return strings.Contains(s, "one-0") })
	before, after, _ := strings.Cut(shop, "segments:\n")
	before += "segments:\n"
	for i := range rapid.IntRange(1, 9).Draw(t, "segments") {
		before += fmt.Sprintf("  one-%d: {enter: '%s'", i, condition(of))
		if of = asking; rapid.Bool().Draw(t, "leaves") {
			before += ", leave: '" + condition(slices.DeleteFunc(slices.Clone(of), func(s string) bool { return i == 0 && strings.Contains(s, "one-0") })) + "'"
		}
		if rapid.Bool().Draw(t, "stays") {
			before += fmt.Sprintf(", stay: %dm", rapid.IntRange(1, 40).Draw(t, "stay"))
		}
		before += "}\n"
	}
	return parse(t, before+after)
}

// plainly brings memberships up to f.Now by evaluating every condition, and reports
// whether any changed.
func plainly(pb *playbook.Playbook, f playbook.Facts) (changed bool) {
	holds := func(c *playbook.Condition) bool { holds, _ := c.Holds(f); return holds }
	for _, i := range pb.Order {
		s, p := &pb.Segments[i], f.Profile
		at, in := playbook.Membership(p, s.Name)
		is := holds(s.Enter)
		switch {
		case s.Leave != nil && in:
			is = !holds(s.Leave)
		case s.Leave != nil:
			is = is && !holds(s.Leave)
		}
		if is = is || in && f.Now < p.Segments[at].Since+s.Stay; is == in {
			continue
		}
		changed = true
		if is {
			p.Segments = slices.Insert(p.Segments, at, profile.Membership{Segment: s.Name, Since: f.Now})
		} else {
			p.Segments = slices.Delete(p.Segments, at, at+1)
		}
	}
	return changed
}

// plainlyNext is when time alone changes a membership next; 0: not within the many
// instants at which a condition turns.
func plainlyNext(pb *playbook.Playbook, f playbook.Facts) int64 {
	for range 500 {
		next := int64(0)
		for _, s := range pb.Segments {
			_, until := s.Enter.Holds(f)
			next = playbook.Sooner(next, until)
			if s.Leave != nil {
				_, until = s.Leave.Holds(f)
				next = playbook.Sooner(next, until)
			}
			if at, in := playbook.Membership(f.Profile, s.Name); in && f.Profile.Segments[at].Since+s.Stay > f.Now {
				next = playbook.Sooner(next, f.Profile.Segments[at].Since+s.Stay)
			}
		}
		if f.Now = next; next == 0 || plainly(pb, f) {
			return next
		}
	}
	return 0
}

// changesNext is when a membership changes if nothing happens but wake-ups.
func changesNext(pb *playbook.Playbook, f playbook.Facts) int64 {
	for range 500 {
		changes, next := segment.Changes(f, pb, 0)
		if len(changes) > 0 {
			return f.Now
		}
		if f.Now = score.Next(f.Scores.(*score.Reader), pb, f.Now, next); f.Now == 0 {
			break
		}
	}
	return 0
}

// as is a copy of p whose memberships are others.
func as(p *profile.Profile, members []profile.Membership) *profile.Profile {
	q := *p
	q.Segments, q.Standing = slices.Clone(members), profile.Standing{}
	return &q
}

// Whatever the playbook, whatever happens and however long nothing does: asking the
// segments that it concerns decides as evaluating every condition does, and nobody is
// woken late.
func TestAskedAsEvaluatedPlainly(t *testing.T) {
	yaml := shop(t)
	rapid.Check(t, func(t *rapid.T) {
		pb := some(t, yaml)
		task := loaded(t, pb)
		p := task.New("ada")
		take := func(e *schemas.Event, now int64) int64 {
			in := stream.Input{Key: "ada", Now: now, Offset: -1, Version: pb.Version}
			if e != nil {
				in.Value = schemas.Encode(e)
			}
			before := slices.Clone(p.Segments)
			_, next, err := task.Advance(p, in)
			if err != nil {
				t.Fatal(err)
			}
			plain := as(p, before)
			if plainly(pb, task.facts(plain, now)); !slices.Equal(p.Segments, plain.Segments) {
				t.Fatalf("%v at %+d ms: members of %v, want %v", e, now-monday, p.Segments, plain.Segments)
			}
			want := plainlyNext(pb, task.facts(as(p, p.Segments), now))
			if got := changesNext(pb, task.facts(as(p, p.Segments), now)); want != 0 && got != want {
				t.Fatalf("%v at %+d ms: woken at %+d ms, want %+d ms", e, now-monday, got-monday, want-monday)
			}
			return next
		}
		happens(t, take)
	})
}
