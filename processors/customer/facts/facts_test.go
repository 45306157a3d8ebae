package facts

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

const (
	now    = int64(1_768_212_000_000)
	minute = 60_000
	day    = 24 * 60 * minute
)

func fold(p *profile.Profile, at, now int64, body any) Happening {
	e := &schemas.Event{OccurredAt: schemas.Timestamp(at)}
	switch x := body.(type) {
	case *schemas.Identify:
		e.Body = &schemas.Event_Identify{Identify: x}
	case *schemas.CartChange:
		e.Body = &schemas.Event_Cart{Cart: x}
	case *schemas.Order:
		e.Body = &schemas.Event_Order{Order: x}
	case *schemas.OrderCancelled:
		e.Body = &schemas.Event_OrderCancelled{OrderCancelled: x}
	case *schemas.View:
		e.Body = &schemas.Event_View{View: x}
	case *schemas.Subscription:
		e.Body = &schemas.Event_Subscription{Subscription: x}
	case *schemas.Preferences:
		e.Body = &schemas.Event_Preferences{Preferences: x}
	case *schemas.Engagement:
		e.Body = &schemas.Event_Engagement{Engagement: x}
	case *schemas.Named:
		e.Body = &schemas.Event_Named{Named: x}
	case *schemas.Ticket:
		e.Body = &schemas.Event_Ticket{Ticket: x}
	case *schemas.Outcome:
		e.Body = &schemas.Event_Outcome{Outcome: x}
	}
	return Apply(p, e, now, nil)
}

func added(sku string, price int64) *schemas.CartChange {
	return &schemas.CartChange{Change: schemas.CartChange_ADDED, Product: &schemas.Product{Id: sku, PriceMicros: price}}
}

func TestOccurredAtIsClamped(t *testing.T) {
	for _, c := range []struct {
		occurred, want int64
		late           bool
	}{{now + day, now, false}, {0, now, false}, {-5, now, false}, {now - schemas.LateAfter, now - schemas.LateAfter, false}, {now - schemas.LateAfter - 1, now - schemas.LateAfter - 1, true}} {
		if h := fold(&profile.Profile{}, c.occurred, now, &schemas.View{}); h.At != c.want || h.Late != c.late {
			t.Errorf("occurred at %d: At = %d, Late = %v, want %d, %v", c.occurred, h.At, h.Late, c.want, c.late)
		}
	}
}

func TestAnEventIDCountsOnceADay(t *testing.T) {
	p := &profile.Profile{Customer: "ada"}
	if !Remember(p, "x", now) || Remember(p, "x", now+day-1) || !Remember(p, "x", now+day) {
		t.Error("an id is not remembered for exactly a day")
	}
	for i := range profile.MaxSeen + 1 {
		Remember(p, fmt.Sprint(i), now+day)
	}
	if len(p.Seen) != profile.MaxSeen || p.SeenOverflow != 2 {
		t.Errorf("%d ids remembered, %d overflowed, want %d and 2", len(p.Seen), p.SeenOverflow, profile.MaxSeen)
	}
	for range 2 {
		if !Remember(p, "", now) {
			t.Error("an event without an id is taken for a repeated one")
		}
	}
}

func TestConsentIsWhatWasSaidLast(t *testing.T) {
	yes, no := &schemas.Subscription{Subscribed: true}, &schemas.Subscription{}
	p := &profile.Profile{}
	fold(p, now, now, yes)
	fold(p, now, now, no)
	fold(p, now, now, yes)
	if p.Consent != profile.Unsubscribed || p.Suppressed != "unsubscribed" {
		t.Errorf("said yes and no at one instant: %v, %q, want the refusal", p.Consent, p.Suppressed)
	}
	fold(p, now-day, now+1, yes)
	if p.Consent != profile.Unsubscribed {
		t.Error("an import of an older yes undid a no")
	}
	fold(p, now+2, now+2, yes)
	if p.Consent != profile.Subscribed || p.Suppressed != "" {
		t.Errorf("subscribed again: %v, %q", p.Consent, p.Suppressed)
	}
	fold(p, now+3, now+3, &schemas.Outcome{Kind: schemas.Outcome_COMPLAINED})
	fold(p, now+4, now+4, yes)
	if p.Suppressed != "complained" {
		t.Errorf("complained, then subscribed: %q, want complained", p.Suppressed)
	}
}

func TestABounceIsOfTheAddress(t *testing.T) {
	p := &profile.Profile{}
	fold(p, now, now, &schemas.Identify{Email: "ada@example.com"})
	fold(p, now, now, &schemas.Outcome{Kind: schemas.Outcome_BOUNCED})
	fold(p, now, now, &schemas.Identify{Email: "ada@example.com", FirstName: "Ada"})
	if p.Suppressed != "bounced" {
		t.Errorf("the same address again: %q, want bounced", p.Suppressed)
	}
	fold(p, now, now, &schemas.Identify{Email: "ada@example.org"})
	if p.Suppressed != "" {
		t.Errorf("another address: %q, want none", p.Suppressed)
	}
	// A mail comes back days later, from where it was sent.
	fold(p, now, now, &schemas.Outcome{Kind: schemas.Outcome_BOUNCED, Address: "ada@example.net"})
	if p.Suppressed != "" {
		t.Errorf("an address of before came back: %q, want none", p.Suppressed)
	}
	fold(p, now, now, &schemas.Outcome{Kind: schemas.Outcome_BOUNCED, Address: "ada@example.org", Soft: true})
	if p.Suppressed != "" {
		t.Errorf("a full mailbox: %q, want none", p.Suppressed)
	}
	fold(p, now, now, &schemas.Outcome{Kind: schemas.Outcome_BOUNCED, Address: "Ada@example.org"})
	if p.Suppressed != "bounced" {
		t.Errorf("it came back: %q, want bounced", p.Suppressed)
	}
}

func TestLateIdentifyFillsGaps(t *testing.T) {
	p := &profile.Profile{}
	fold(p, now, now, &schemas.Identify{FirstName: "Ada", Traits: map[string]string{"plan": "gold"}})
	fold(p, now-day, now, &schemas.Identify{FirstName: "A.", LastName: "Lovelace", Traits: map[string]string{"plan": "none", "size": "M"}})
	if p.FirstName != "Ada" || p.LastName != "Lovelace" || !reflect.DeepEqual(p.Traits, []profile.Trait{{Name: "plan", Value: "gold"}, {Name: "size", Value: "M"}}) {
		t.Errorf("got %q %q %v", p.FirstName, p.LastName, p.Traits)
	}
}

func TestCarts(t *testing.T) {
	p := &profile.Profile{}
	first := fold(p, now, now, added("mug", 12e6))
	fold(p, now+1, now+1, added("mug", 13e6))
	if len(p.Carts) != 1 || first.Cart != now || p.Carts[0].Value() != 26e6 || p.Carts[0].ChangedAt != now+1 {
		t.Fatalf("carts: %+v, first %+v", p.Carts, first)
	}
	named := added("jug", 30e6)
	named.CartId = "c1"
	if h := fold(p, now+2, now+2, named); h.Cart != now || p.Carts[0].ID != "c1" {
		t.Errorf("a cart that gets its id: %+v in %+v", h, p.Carts)
	}
	other := added("bowl", 9e6)
	other.CartId = "c2"
	if h := fold(p, now+2, now+3, other); h.Cart != now+2 || len(p.Carts) != 2 {
		t.Errorf("another cart: %+v in %+v", h, p.Carts)
	}
	removed := &schemas.CartChange{Change: schemas.CartChange_REMOVED, CartId: "c2", Product: &schemas.Product{Id: "bowl"}}
	if h := fold(p, now+4, now+4, removed); h.Cart != 0 || len(p.Carts) != 1 {
		t.Errorf("an emptied cart: %+v in %+v", h, p.Carts)
	}
	replaced := &schemas.CartChange{Change: schemas.CartChange_REPLACED, CartId: "c1", Products: []*schemas.Product{{Id: "a", Quantity: 2}, {Id: "a"}, {}, {Id: "b"}}}
	if fold(p, now+5, now+5, replaced); len(p.Carts[0].Items) != 2 || p.Carts[0].Items[0].Quantity != 3 {
		t.Errorf("a replaced cart: %+v", p.Carts)
	}
	Lapse(p, now+5+profile.CartLapse-1)
	if len(p.Carts) != 1 || NextLapse(p) != now+5+profile.CartLapse {
		t.Errorf("%d carts, the next lapses at %d", len(p.Carts), NextLapse(p))
	}
	if Lapse(p, now+5+profile.CartLapse); len(p.Carts) != 0 || NextLapse(p) != 0 {
		t.Errorf("carts: %+v, want none", p.Carts)
	}
}

func TestAnOrderCountsOnce(t *testing.T) {
	p := &profile.Profile{}
	order := &schemas.Order{OrderId: "o1", Currency: "GBP", TotalMicros: 20e6}
	fold(p, now, now, order)
	fold(p, now+day, now+day, added("mug", 12e6))
	fold(p, now+2*day, now+2*day, &schemas.Order{OrderId: "o1", Currency: "GBP", TotalMicros: 25e6})
	if p.Orders.Count != 1 || p.Orders.ValueMicros != 25e6 || p.Orders.Last != now {
		t.Errorf("an updated order: %+v", p.Orders)
	}
	if len(p.Carts) != 1 {
		t.Error("an update of an old order closed a new cart")
	}
	fold(p, now+3*day, now+3*day, &schemas.Order{OrderId: "o2", Currency: "EUR", TotalMicros: 99e6})
	if p.Orders.Count != 2 || p.Orders.ValueMicros != 25e6 {
		t.Errorf("an order in another currency: %+v", p.Orders)
	}
	fold(p, now+3*day, now+3*day, &schemas.OrderCancelled{OrderId: "o1", TotalMicros: 5e6})
	if p.Orders.Count != 2 || p.Orders.ValueMicros != 20e6 {
		t.Errorf("refunded in part: %+v", p.Orders)
	}
	for range 2 {
		fold(p, now+3*day, now+3*day, &schemas.OrderCancelled{OrderId: "o1"})
	}
	if p.Orders.Count != 1 || p.Orders.ValueMicros != 0 {
		t.Errorf("cancelled: %+v", p.Orders)
	}
}

// However it comes to be known that an order had a discount, it counts once, and no
// more when the order is cancelled.
func TestDiscounts(t *testing.T) {
	p, at := &profile.Profile{}, now
	for _, c := range []struct {
		what string
		body any
		want int64
	}{
		{"at full price", &schemas.Order{OrderId: "o1", TotalMicros: 5e6}, 0},
		{"of which a coupon becomes known", &schemas.Order{OrderId: "o1", TotalMicros: 5e6, Coupon: "SPRING"}, 1},
		{"told again", &schemas.Order{OrderId: "o1", TotalMicros: 5e6, Coupon: "SPRING", DiscountMicros: 1e6}, 1},
		{"of which nothing more is said", &schemas.Order{OrderId: "o1", TotalMicros: 4e6}, 1},
		{"in another currency", &schemas.Order{OrderId: "o2", Currency: "EUR", TotalMicros: 5e6, DiscountMicros: 1e6}, 2},
		{"refunded in part", &schemas.OrderCancelled{OrderId: "o1", TotalMicros: 1e6}, 2},
		{"cancelled", &schemas.OrderCancelled{OrderId: "o1"}, 1},
		{"cancelled, and told again", &schemas.Order{OrderId: "o1", Coupon: "SPRING"}, 1},
		{"cancelled again", &schemas.OrderCancelled{OrderId: "o1"}, 1},
	} {
		at++
		if fold(p, at, at, c.body); p.Orders.Discounted != c.want {
			t.Errorf("an order %s: %d with a discount, want %d", c.what, p.Orders.Discounted, c.want)
		}
	}
	visitor := &profile.Profile{Customer: "anon"}
	fold(visitor, now, now, &schemas.Order{OrderId: "o2", DiscountMicros: 1e6})
	fold(visitor, now+1, now+1, &schemas.Order{OrderId: "o3", DiscountMicros: 1e6})
	fold(visitor, now+1, now+1, &schemas.Named{Name: "Product List Filtered", CheapestFirst: true})
	if Merge(p, visitor, at, nil); p.Orders.Discounted != 2 || len(p.Named) != 1 || !p.Named[0].CheapestFirst {
		t.Errorf("merged with a visitor who heard of one of them, and bought another: %+v, %+v", p.Orders, p.Named)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	p := &profile.Profile{Customer: "ada"}
	long := strings.Repeat("é", 1000)
	many := make([]*schemas.Product, 200)
	traits := map[string]string{}
	for i := range many {
		many[i] = &schemas.Product{Id: fmt.Sprint(i, long), Name: long, Category: long, Url: long, ImageUrl: long, PriceMicros: 1e6}
		traits[fmt.Sprint(i)] = long
	}
	fold(p, now, now, &schemas.Identify{Email: long, FirstName: long, Traits: traits})
	for i := range int64(100) {
		fold(p, now+i, now+i, &schemas.View{Product: many[i]})
		fold(p, now+i, now+i, &schemas.Named{Name: long})
		fold(p, now+i, now+i, &schemas.Ticket{TicketId: fmt.Sprint(i)})
		fold(p, now+i, now+i, &schemas.Order{OrderId: fmt.Sprint(i), Products: many})
		Remember(p, fmt.Sprint(i), now)
	}
	for i := range int64(20) {
		fold(p, now+day+i, now+day+i, &schemas.CartChange{Change: schemas.CartChange_REPLACED, CartId: fmt.Sprint(i), Products: many})
	}
	if n := len(profile.Encode(nil, p)); n > 900_000 {
		t.Errorf("a profile of everything takes %d bytes, and must fit a record", n)
	}
	if len(p.Carts) != profile.MaxCarts || len(p.Orders.Recent) != profile.MaxOrders || len(p.Traits) != profile.MaxTraits || p.Orders.Count != 100 || p.Orders.ValueMicros != 100*200*1e6 {
		t.Errorf("%d carts, %d of %d orders worth %d, %d traits", len(p.Carts), len(p.Orders.Recent), p.Orders.Count, p.Orders.ValueMicros, len(p.Traits))
	}
	if p.Email != "" {
		t.Errorf("an address of %d bytes is kept", len(p.Email))
	}
}

// The same happenings, in whichever order they arrive within the hour, leave the
// same profile.
func TestOrderOfArrivalDoesNotMatter(t *testing.T) {
	bodies := []any{&schemas.View{Product: &schemas.Product{Id: "mug"}}, &schemas.Order{Currency: "GBP", TotalMicros: 5e6, DiscountMicros: 1e6}, &schemas.Named{Name: "Quiz", CheapestFirst: true},
		&schemas.Subscription{Subscribed: true}, &schemas.Subscription{}}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 20).Draw(t, "events")
		order := rapid.Permutation(ascending(n)).Draw(t, "order of arrival")
		kinds := rapid.SliceOfN(rapid.IntRange(0, len(bodies)-1), n, n).Draw(t, "kinds")
		a, b := &profile.Profile{}, &profile.Profile{}
		for i := range n {
			fold(a, now+int64(i), now+minute, bodies[kinds[i]])
			fold(b, now+int64(order[i]), now+minute, bodies[kinds[order[i]]])
		}
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("in order %+v, as they arrived %+v", a, b)
		}
	})
}

func ascending(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

// What an anonymous visitor did, merged, is what the customer would have done.
func TestMergeGoesByWhenItHappened(t *testing.T) {
	ada, anon := &profile.Profile{Customer: "ada", Email: "ada@example.com", Holdout: true}, &profile.Profile{Customer: "anon"}
	fold(anon, now, now, added("mug", 12e6))
	fold(anon, now+1, now+1, &schemas.View{Product: &schemas.Product{Id: "mug"}})
	fold(anon, now+2, now+2, &schemas.Subscription{Subscribed: true})
	fold(anon, now+3, now+3, &schemas.Identify{Email: "other@example.com", Country: "GB"})
	fold(ada, now-1, now-1, &schemas.View{Product: &schemas.Product{Id: "jug"}})
	held := Redirect(anon, "ada")
	if anon.RedirectTo != "ada" || len(anon.Carts) != 0 || anon.Views.Count != 0 {
		t.Errorf("the redirect still holds %+v", anon)
	}
	Merge(ada, held, now+4, nil)
	if ada.Email != "ada@example.com" || ada.Country != "GB" || !ada.Holdout || ada.Consent != profile.Subscribed || ada.FirstSeen != now-1 ||
		ada.Views.Count != 2 || ada.Views.Recent[1].Product != "mug" || len(ada.Carts) != 1 {
		t.Errorf("merged: %+v", ada)
	}

	// What was chosen last holds, under whichever name.
	fold(ada, now, now, &schemas.Preferences{Frequency: schemas.Preferences_WEEKLY})
	chose := &profile.Profile{Customer: "anon"}
	fold(chose, now+5, now+5, &schemas.Preferences{Stop: []string{"News"}})
	fold(chose, now+6, now+6, &schemas.Engagement{Kind: schemas.Engagement_OPENED, Machine: "scanner"})
	Merge(ada, chose, now+7, nil)
	if got := ada.Chosen(); got.Frequency != profile.EveryMail || len(got.Stopped) != 1 || ada.MachineOpens != 1 || ada.Opened.Count != 0 {
		t.Errorf("merged: chose %+v, opened %d, machines %d", got, ada.Opened.Count, ada.MachineOpens)
	}
	earlier := &profile.Profile{Customer: "anon"}
	fold(earlier, now+1, now+1, &schemas.Preferences{Frequency: schemas.Preferences_MONTHLY})
	if Merge(ada, earlier, now+8, nil); len(ada.Chosen().Stopped) != 1 {
		t.Errorf("merged: chose %+v, want what was chosen last", ada.Chosen())
	}

	// An order that both heard of counts once.
	both := &schemas.Order{OrderId: "o1", Currency: "GBP", TotalMicros: 5e6}
	known, visitor := &profile.Profile{Customer: "ada"}, &profile.Profile{Customer: "anon"}
	fold(known, now, now, both)
	fold(visitor, now, now, both)
	Merge(known, visitor, now+1, nil)
	if known.Orders.Count != 1 || known.Orders.ValueMicros != 5e6 || len(known.Orders.Recent) != 1 {
		t.Errorf("one order, known twice: %+v", known.Orders)
	}
	// A mail counts against the caps from now on at the latest.
	if Merge(known, &profile.Profile{Mails: []profile.Mail{{Delivery: "d1", At: now + day}}}, now+1, nil); len(known.Mails) != 1 || known.Mails[0].At != now+1 {
		t.Errorf("a mail by a clock that is ahead: %+v", known.Mails)
	}
	// An order since then closes the cart that arrives after it.
	later := &profile.Profile{Customer: "ada"}
	fold(later, now+day, now+day, &schemas.Order{OrderId: "o1"})
	if Merge(later, &profile.Profile{Carts: held.Carts}, now+day+1, nil); len(later.Carts) != 0 {
		t.Errorf("an ordered cart is open again: %+v", later.Carts)
	}
}

// counting is a playbook that counts views and money in windows.
func counting(t *testing.T) *playbook.Playbook {
	t.Helper()
	pb, err := playbook.Parse("p.yaml", []byte("store: {name: S, url: https://s.example, currency: GBP, time_zone: UTC}\n"+
		"brand: {from: S <a@s.example>, address: Here}\nsegments:\n"+
		"  looks: {enter: views.within(days(7)) >= 300}\n  spends: {enter: orders.spent(days(30)) >= money(20)}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return pb
}

// why shows what the segments of counting count.
func why(pb *playbook.Playbook, p *profile.Profile, now int64) string {
	var all []string
	for _, s := range pb.Segments {
		all = append(all, s.Enter.Why(playbook.Facts{Profile: p, Now: now}))
	}
	return strings.Join(all, "; ")
}

// Two who looked more often than a window keeps exactly become one: no view is
// lost while it is in the window.
func TestMergedWindowsAreNeverLow(t *testing.T) {
	pb := counting(t)
	ada, anon := &profile.Profile{Customer: "ada"}, &profile.Profile{Customer: "anon"}
	const each, apart = 400, 20 * minute
	for i := range int64(each) {
		at := now + i*apart
		Apply(ada, &schemas.Event{Body: &schemas.Event_View{View: &schemas.View{}}}, at, pb)
		Apply(anon, &schemas.Event{Body: &schemas.Event_View{View: &schemas.View{}}}, at+apart/2, pb)
	}
	end := now + int64(each-1)*apart // a moment before the last that anon saw: clocks differ
	Merge(ada, anon, end, pb)
	if got, want := why(pb, ada, end), "views.within(days(7)) >= 300 (800)"; !strings.HasPrefix(got, want) {
		t.Errorf("at once: %s, want %s", got, want)
	}
	if n := len(ada.Series[0].Points); n > profile.MaxInstants {
		t.Errorf("%d points are kept, want at most %d", n, profile.MaxInstants)
	}
	for later := end; later < end+7*day; later += 5 * 60 * minute {
		inside := int64(0)
		for i := range int64(each) {
			for _, at := range []int64{now + i*apart, min(now+i*apart+apart/2, end)} {
				if at > later-7*day {
					inside++
				}
			}
		}
		holds, _ := pb.Segments[0].Enter.Holds(playbook.Facts{Profile: ada, Now: later})
		if inside >= 300 && !holds {
			t.Fatalf("%s with %d views in the window", why(pb, ada, later), inside)
		}
	}
}

// What one order is worth is counted once, in one currency, by whoever counts it.
func TestMergedMoney(t *testing.T) {
	pb := counting(t)
	order := func(p *profile.Profile, pb *playbook.Playbook, id, currency string, total int64) {
		Apply(p, &schemas.Event{Body: &schemas.Event_Order{Order: &schemas.Order{OrderId: id, Currency: currency, TotalMicros: total}}}, now, pb)
	}
	for _, c := range []struct {
		currency string
		theirs   *playbook.Playbook // in force where the visitor was
		want     string
	}{{"GBP", pb, "(37.00)"}, {"GBP", nil, "(37.00)"}, {"EUR", pb, "(30.00)"}, {"EUR", nil, "(30.00)"}, {"", pb, "(37.00)"}} {
		ada, anon := &profile.Profile{Customer: "ada"}, &profile.Profile{Customer: "anon"}
		order(ada, pb, "o1", "GBP", 30e6)
		order(anon, c.theirs, "o1", c.currency, 30e6)
		order(anon, c.theirs, "o2", c.currency, 7e6)
		Merge(ada, anon, now+1, pb)
		if got := why(pb, ada, now+1); !strings.HasSuffix(got, c.want) || ada.Orders.Count != 2 || money(ada.Orders.ValueMicros) != c.want {
			t.Errorf("in %q, counted: %v: %s, in all %s for %d orders, want %s", c.currency, c.theirs != nil, got, money(ada.Orders.ValueMicros), ada.Orders.Count, c.want)
		}
	}
}

func money(micros int64) string { return fmt.Sprintf("(%.2f)", float64(micros)/1e6) }
