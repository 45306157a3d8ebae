package playbook

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"segue/schemas/profile"
)

const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
	noon   = int64(1_750_000_000_000)
)

func mustCompile(t testing.TB, source string) *Condition {
	t.Helper()
	c, err := compile(source, true)
	if err != nil {
		t.Fatalf("compile %s: %v", source, err)
	}
	return c
}

// withNeeds returns a playbook of nothing but what the conditions count.
func withNeeds(conditions ...*Condition) *Playbook {
	pb := &Playbook{}
	for i, c := range conditions {
		pb.Segments = append(pb.Segments, Segment{Name: fmt.Sprint(i), Enter: c})
	}
	pb.asks()
	return pb
}

// Ada looks three times in a week, then stays away. Nothing happens; yet the
// condition knows to the millisecond when she no longer looks a lot.
func TestWindowEmptiesWithoutAnyEvent(t *testing.T) {
	looks := mustCompile(t, `views.within(days(7)) >= 3`)
	pb := withNeeds(looks)
	ada := &profile.Profile{Customer: "ada"}

	for i, at := range []int64{noon, noon + day, noon + 2*day} {
		if holds, next := looks.Holds(Facts{Profile: ada, Now: at - 1}); holds || next != 0 {
			t.Errorf("after %d views: Holds = %v, %d, want false and no instant", i, holds, next)
		}
		pb.RecordView(ada, profile.View{At: at, Product: "mug"}, "", at)
	}
	holds, next := looks.Holds(Facts{Profile: ada, Now: noon + 2*day})
	if !holds || next != noon+7*day {
		t.Fatalf("after 3 views: Holds = %v, %d, want true until %d", holds, next, noon+7*day)
	}
	if holds, _ := looks.Holds(Facts{Profile: ada, Now: next - 1}); !holds {
		t.Error("a millisecond before: false, want true")
	}
	if holds, next := looks.Holds(Facts{Profile: ada, Now: next}); holds || next != 0 {
		t.Errorf("then: Holds = %v, %d, want false for good", holds, next)
	}
}

func TestHolds(t *testing.T) {
	cart := &profile.Cart{Currency: "GBP", Items: []profile.Item{{Product: "mug", PriceMicros: 12_500_000, Quantity: 4}}}
	ada := &profile.Profile{
		Customer: "ada", Email: "ada@example.com", Country: "GB", Consent: profile.Subscribed, FirstSeen: noon - 40*day, LastSeen: noon,
		Traits: []profile.Trait{{Name: "plan", Value: "gold"}},
		Orders: profile.Orders{Tally: profile.Tally{Count: 4, First: noon - 30*day, Last: noon - 10*day}, ValueMicros: 80_000_000},
		Visits: profile.Tally{Count: 9, Last: noon - hour},
		Carts:  []profile.Cart{{StartedAt: noon - 2*day, ChangedAt: noon - 2*day}, {StartedAt: noon - day, ChangedAt: noon - day}},
	}
	pb := withNeeds(mustCompile(t, `orders.spent(days(30)) > money(0) && visits.within(days(1)) > 0 && orders.in_category("mugs") > 0 && events.named("Quiz", days(2)) > 0`))
	for _, o := range []profile.Order{{ID: "1", At: noon - 29*day, ValueMicros: 30_000_000, Items: []profile.Item{{Category: "Mugs"}}}, {ID: "2", At: noon - 10*day, ValueMicros: 50_000_000}} {
		pb.RecordOrder(ada, o, noon)
	}
	pb.RecordVisit(ada, noon-hour, noon)
	pb.RecordNamed(ada, profile.Named{Name: "Quiz", At: noon - day}, noon)

	for _, x := range []struct {
		source string
		holds  bool
		next   int64
	}{
		{`true`, true, 0},
		{`orders.count >= 3`, true, 0},
		{`3 < orders.count`, true, 0},
		{`orders.count == 3 || orders.count != 4`, false, 0},
		{`!(orders.count == 4)`, false, 0},
		{`orders.count + 1 - 2 == 3`, true, 0},
		{`orders.value > cart.value`, true, 0},
		{`cart.value == money(50)`, true, 0},
		{`cart.size == 1 && cart.currency == "GBP"`, true, 0},
		{`customer.country in ["IE", "GB"]`, true, 0},
		{`customer.traits["plan"] == "gold" && customer.traits.age == ""`, true, 0},
		{`customer.subscribed && customer.email != ""`, true, 0},
		{`customer.subscribed == false`, false, 0},
		{`last.visit > last.order`, true, 0},

		// since(x) turns at x + length; > and <= a millisecond later than >= and <.
		{`since(last.visit) >= hours(2)`, false, noon + hour},
		{`since(last.visit) > hours(2)`, false, noon + hour + 1},
		{`since(last.visit) < hours(2)`, true, noon + hour},
		{`since(last.visit) <= hours(2)`, true, noon + hour + 1},
		{`hours(2) > since(last.visit)`, true, noon + hour},
		{`since(last.visit) >= minutes(30)`, true, 0},
		{`since(last.visit) >= minutes(60)`, true, 0},
		{`since(last.visit) > minutes(60)`, false, noon + 1},
		{`since(last.open) > days(60)`, true, 0}, // never
		{`since(last.open) < days(60)`, false, 0},

		{`visits.within(hours(24)) >= 1`, true, noon + 23*hour},
		{`visits.within(hours(24)) == 0`, false, noon + 23*hour},
		{`visits.within(hours(24)) > 1`, false, 0},
		{`visits.within(hours(24)) < 1`, false, noon + 23*hour},
		{`visits.within(hours(24)) <= 0`, false, noon + 23*hour},
		{`visits.within(hours(24)) >= 0`, true, 0},
		{`orders.in_category("mugs") == 1`, true, 0},
		{`orders.spent(days(30)) == money(80)`, true, noon + day},
		{`orders.spent(days(30)) >= money(50)`, true, noon + 20*day},
		{`events.named("Quiz", days(2)) == 1`, true, noon + day},
		{`carts.open == 2`, true, noon + 28*day},
		{`carts.open >= 1`, true, noon + 29*day},

		// What is read first decides, until it changes.
		{`orders.count < 3 && since(last.visit) >= hours(2)`, false, 0},
		{`orders.count >= 3 && since(last.visit) >= hours(2)`, false, noon + hour},
		{`since(last.visit) < hours(2) || since(last.visit) < hours(3)`, true, noon + 2*hour},
		{`since(last.visit) >= hours(2) && visits.within(hours(24)) >= 1`, false, noon + hour},
		{`since(last.visit) >= hours(48) && visits.within(hours(24)) >= 1`, false, 0}, // never both
	} {
		c := mustCompile(t, x.source)
		if holds, next := c.Holds(Facts{Profile: ada, Cart: cart, Now: noon}); holds != x.holds || next != x.next {
			t.Errorf("%s: Holds = %v, %+d ms, want %v, %+d ms", x.source, holds, next-noon, x.holds, x.next-noon)
		}
	}
}

func TestWhy(t *testing.T) {
	ada := &profile.Profile{Customer: "ada", Country: "GB", FirstSeen: noon - 61*day - 4*hour,
		Orders: profile.Orders{Tally: profile.Tally{Count: 4, First: noon - 30*day, Last: noon - 90*minute}, ValueMicros: 80_250_000}}
	cart := &profile.Cart{Items: []profile.Item{{Product: "mug", PriceMicros: 120_000_000, Quantity: 1}}}
	pb := withNeeds(mustCompile(t, `views.in_category("mugs", days(7)) >= 1`))
	pb.RecordView(ada, profile.View{At: noon, Category: "mugs"}, "", noon)
	for source, want := range map[string]string{
		`orders.count >= 3 && since(last.open) > days(60)`:  `orders.count >= 3 (4) && since(last.open) > days(60) (never)`,
		`days(60)<since(first.seen)`:                        `since(first.seen) > days(60) (61d4h)`,
		`since(last.order) < hours(2)`:                      `since(last.order) < hours(2) (1h30m)`,
		`cart.value >= money(100)`:                          `cart.value >= money(100) (120.00)`,
		`cart.value >= money(49.9)`:                         `cart.value >= money(49.90) (120.00)`,
		`cart.value > orders.value`:                         `cart.value > orders.value (120.00, 80.25)`,
		`views.in_category("mugs", days(7)) >= 1`:           `views.in_category("mugs", days(7)) >= 1 (1)`,
		`!customer.subscribed`:                              `!customer.subscribed (false)`,
		`customer.subscribed == true`:                       `customer.subscribed == true (false)`,
		`customer.country in ["GB", "IE"]`:                  `customer.country in ["GB", "IE"] ("GB")`,
		`customer.traits["a\"b"] == ""`:                     `customer.traits["a\"b"] == "" ("")`,
		`last.open < first.order`:                           `last.open < first.order (never, 2025-05-16 15:06:40)`,
		`(orders.count > 1 || true) && !(orders.count > 9)`: `(orders.count > 1 (4) || true) && !(orders.count > 9 (4))`,
		`orders.count - (orders.count - 1) == 1`:            `orders.count - (orders.count - 1) == 1 (1)`,
	} {
		if got := mustCompile(t, source).Why(Facts{Profile: ada, Cart: cart, Now: noon}); got != want {
			t.Errorf("Why of %s:\n got %s\nwant %s", source, got, want)
		}
	}
}

// What decided is told in words, and nothing else is.
func TestReasons(t *testing.T) {
	ada := &profile.Profile{Customer: "ada", Country: "GB", FirstSeen: noon - 61*day - 4*hour, Named: []profile.Named{{Name: "Quiz Taken", At: noon - day}},
		Segments: []profile.Membership{{Segment: "vip", Since: noon - 3*hour}},
		Orders:   profile.Orders{Tally: profile.Tally{Count: 4, First: noon - 30*day, Last: noon}, ValueMicros: 80_250_000}}
	rises := pieces{{from: 499_999, to: 499_999}}
	for source, want := range map[string][]string{
		`orders.count >= 3 && since(last.open) > days(60)`:             {"orders: 4, at least 3", "last open: never"},
		`orders.count >= 5 && since(first.seen) > days(60)`:            {"orders: 4, less than 5"},
		`orders.count >= 5 || since(first.seen) > days(60)`:            {"first seen: 61d4h ago, more than 60d"},
		`orders.count >= 5 || orders.count == 0`:                       {"orders: 4, less than 5", "orders: 4, not 0"},
		`since(last.order) < hours(2)`:                                 {"last order: now, less than 2h"},
		`3 < orders.count`:                                             {"orders: 4, more than 3"},
		`!(orders.count > 3 || true)`:                                  {"orders: 4, more than 3"},
		`orders.value - orders.value >= money(1)`:                      {"orders value - orders value: 0.00, less than 1.00"},
		`orders.spent(days(90)) < money(5.5)`:                          {"spent on orders within 90d: 0.00, less than 5.50"},
		`views.in_category("mugs", days(7)) >= 1`:                      {"views in mugs within 7d: 0, less than 1"},
		`orders.of_product("m1") == 0`:                                 {"orders of m1: 0, exactly 0"},
		`views.where(product.price < money(20), minutes(90)) >= 1`:     {"views where product.price < money(20) within 1h30m: 0, less than 1"},
		`events.named("Quiz Taken", days(7)) >= 1`:                     {"Quiz Taken within 7d: 1, at least 1"},
		`scores.churn >= 0.5`:                                          {"churn: just less than 0.5 (silent for 3d; no order)"},
		`scores.churn >= 0.5 || scores.value_rank >= 0.9`:              {"churn: just less than 0.5 (silent for 3d; no order)", "value rank: 0.5, less than 0.9"},
		`scores.value > money(0.25)`:                                   {"value: 0.50, more than 0.25 (silent for 3d; no order)"},
		`next.product != ""`:                                           {"next product: mugs (silent for 3d; no order)"},
		`customer.country == "GB"`:                                     {"customer country: GB"},
		`customer.country == "FR"`:                                     {"customer country: GB, not FR"},
		`customer.country in ["IE", "FR"]`:                             {"customer country: GB, not one of IE, FR"},
		`customer.country != "GB"`:                                     {"customer country: GB"},
		`customer.traits["plan"] == ""`:                                {"customer plan: none"},
		`customer.subscribed`:                                          {"not customer subscribed"},
		`in("vip") && !in("new") && since(entered("vip")) >= hours(3)`: {"in vip", "not in new", "entered vip: 3h ago, at least 3h"},
		`until(scores.next_order) < days(7)`:                           {"next order: 7h ago, less than 7d (silent for 3d; no order)"},
	} {
		c := mustCompile(t, source)
		withNeeds(c).Keep(ada, noon)
		f := Facts{Profile: ada, Scores: rises, Now: noon}
		if source == `until(scores.next_order) < days(7)` {
			f.Scores = pieces{{from: noon - 7*hour, to: noon - 7*hour}}
		}
		if got := c.Reasons(f); !slices.Equal(got, want) {
			t.Errorf("Reasons of %s:\n got %q\nwant %q", source, got, want)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for source, want := range map[string]string{
		`orders.coutn >= 1`:                                             `got orders.coutn, want a name that is known; did you mean orders.count?`,
		`orders.witin(days(3)) >= 1`:                                    `got orders.witin, want a name that is known; did you mean orders.within?`,
		`brain.churn >= 1`:                                              `got brain.churn, want a name that is known; there is nothing called brain`,
		`scores.chrun >= 0.5`:                                           `got scores.chrun, want a name that is known; did you mean scores.churn?`,
		`scores.churn >= 1`:                                             `got fraction >= number, want a score on one side of < <= > >= and a written fraction on the other, such as scores.churn >= 0.5`,
		`scores.churn == 0.5`:                                           `got fraction == fraction, want a score on one side of < <= > >= and a written fraction on the other, such as scores.churn >= 0.5`,
		`scores.churn >= 50.0`:                                          `got 50, want a fraction from 0.0 to 1.0 of at most six decimals`,
		`scores.churn >= 0.1234567`:                                     `got 0.1234567, want a fraction from 0.0 to 1.0 of at most six decimals`,
		`scores.churn > scores.propensity`:                              `got a score, which moves by itself, compared with what is not written out, want ` + alone,
		`orders.value > scores.value`:                                   `got a score, which moves by itself, compared with what is not written out, want ` + alone,
		`orders.value + scores.value > money(5)`:                        `got a sum with a score, which moves by itself, want ` + alone,
		`scores.churn - scores.propensity > 0.1`:                        `got fraction - fraction, want a score on one side of < <= > >= and a written fraction on the other, such as scores.churn >= 0.5`,
		`orders.count() >= 1`:                                           `got orders.count(…), want orders.count without arguments`,
		`orders.count >= 1 and orders.count <= 2`:                       `got and, want &&`,
		`orders.count = 1`:                                              `got =, want == to compare`,
		`orders.count >= 1 ||`:                                          `got orders.count >= 1 ||, want a condition: mismatched input its end`,
		`orders.count / 2 >= 1`:                                         `got /, want one of && || ! == != < <= > >= + - in`,
		`orders.count`:                                                  `got orders.count, want what holds or not, such as orders.count >= 3`,
		`orders.count > 9223372036854775807`:                            `got 9223372036854775807, want a whole number up to a thousand million million`,
		`1 == 1`:                                                        `got a comparison of two constants, want a name on one side, such as orders.count >= 3`,
		`orders.value >= 3`:                                             `got money >= number, want both sides of one kind, such as orders.count >= 3, cart.value >= money(50) or since(last.visit) > days(7)`,
		`since(last.open) == days(2)`:                                   `got length of time == length of time, want a length of time on both sides of < <= > >=, such as since(last.visit) > days(7)`,
		`since(last.open) > since(last.order)`:                          `got since(…) compared with something that moves too, want a written length, such as since(last.visit) > days(7)`,
		`since(last.open)`:                                              `got since(…) alone, want since(…) compared with a length, such as since(last.visit) > days(7)`,
		`views.within(7) >= 1`:                                          `got views.within(number), want views.within(days(30))`,
		`views.within(days(-7)) >= 1`:                                   `got days(…) of no positive written number, want days(7), at most ten years`,
		`views.within(days(9999)) >= 1`:                                 `got days(…) of no positive written number, want days(7), at most ten years`,
		`views.in_category(customer.country) > 1`:                       `got views.in_category of no written text, want views.in_category("…", days(30)) or views.in_category("…")`,
		`product.price < money(1)`:                                      `got product.price, want a name that is known here; product.… is known in where(…) and in the steps of a sequence, such as views.where(product.price < money(20), days(7))`,
		`views.where(orders.count > 1) > 1`:                             `got orders.count, want what is known of each product: product.id, .name, .category and .price`,
		`views.where(views.within(days(1)) > 1, days(2)) > 1`:           `got views.within(…), want what is known of each product: product.id, .name, .category and .price`,
		`views.where("mugs") > 1`:                                       `got views.where(text), want views.where(product.price < money(20), days(30))`,
		`views.where(product.name.contains(product.id)) > 1`:            `got contains of no written text, want product.name.contains("oak")`,
		`viewed("mug")`:                                                 `got viewed(…) alone, want it in a sequence, such as ` + sequenceUsage,
		`in(customer.country)`:                                          `got in of no written text, want in("segment")`,
		`in(3)`:                                                         `got in(number), want in("segment")`,
		`sequence([viewed("mug")], days(1))`:                            `got a sequence of fewer than two steps, want ` + sequenceUsage,
		`sequence([nothing(hours(1)), viewed("mug")], days(1))`:         `got nothing(…) where a step follows, or none came before, want nothing(…) at the end: it looks back from now`,
		`sequence([viewed("mug"), nothing(days(2))], days(1))`:          `got nothing(days(2)) in a window of days(1), want a silence shorter than the window`,
		`sequence([viewed("mug"), viewed(orders.count > 1)], days(1))`:  `got orders.count, want what is known of each product: product.id, .name, .category and .price`,
		`since(sequence([viewed("mug"), opened()], days(1))) > days(1)`: `got since(bool), want since(last.visit) or another instant`,
		`sequence([viewed("mug"), opened(3)], days(1))`:                 `got opened(number), want opened()`,
		`customer.traits[1] == "x"`:                                     `got […], want customer.traits["…"]`,
		`orders.value > money(orders.count)`:                            `got money of what is not an amount, want a written amount up to a thousand million, such as money(49.90)`,
		`customer.country in [customer.language]`:                       `got an element that is not written out, want in ["GB", "IE"]`,
	} {
		if _, err := compile(source, false); err == nil || err.Error() != want {
			t.Errorf("compile %s:\n got %v\nwant %s", source, err, want)
		}
	}
	if _, err := compile(strings.Repeat("(", 900)+"true"+strings.Repeat(")", 900), false); err == nil {
		t.Error("compile of 900 parentheses: no error")
	}
	if _, err := compile(strings.Repeat("true && ", 300)+"true", false); err == nil {
		t.Error("compile of 2400 characters: no error")
	}
}

func TestNamesAreSortedAndDistinct(t *testing.T) {
	all := Names()
	if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("Names() = %v, want sorted and distinct", all)
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{`orders.count >= 3 && since(last.open) > days(60)`, `views.in_category("x", days(1)) - 1 < 2 || !(customer.traits.a in ["b"])`,
		`cart.value >= money(1.5)`, `a.b(`, `"`, `[]`, `{}`, `-1 == 9223372036854775808`, `since(days(1)) < hours(1)`, `x{y: 1}`, `has(a.b)`, `[1].map(x, x)`,
		`sequence([viewed(product.price < money(3)), happened("a"), nothing(hours(2))], days(1)) || in("x") && since(entered("y")) > days(1)`,
		`carted.where(product.name.contains("\"x") || product.id in ["b", "c"], days(1)) > 1 && !in ("z")`, `scores.churn >= 0.25 && until(scores.next_order) < days(2)`} {
		f.Add(s)
	}
	ada := &profile.Profile{Customer: "ada", FirstSeen: noon}
	f.Fuzz(func(t *testing.T, source string) {
		c, err := compile(source, true)
		if err != nil {
			return
		}
		facts := Facts{Profile: ada, Now: noon}
		holds, _ := c.Holds(facts)
		why := c.Why(facts)
		again, err := compile(withoutValues(c), true)
		if err != nil {
			t.Fatalf("%q is written as %q, which does not compile: %v", source, why, err)
		}
		if h, _ := again.Holds(facts); h != holds {
			t.Fatalf("%q holds: %v; written as %q: %v", source, holds, withoutValues(c), h)
		}
	})
}

// withoutValues writes c as a condition again.
func withoutValues(c *Condition) string {
	w := writer{bare: true}
	c.root.write(&w, 0)
	return string(w.out)
}

// BenchmarkHolds evaluates conditions for somebody whose windows are full.
func BenchmarkHolds(b *testing.B) {
	for _, source := range []string{
		`orders.count >= 3`,
		`orders.count >= 3 && since(last.open) > days(60) && since(last.visit) > days(60)`,
		`views.within(days(7)) >= 6 && orders.within(days(30)) == 0`,
		`orders.spent(days(90)) >= money(1000)`,
		`views.within(days(7)) - views.in_category("mugs", days(7)) >= 300`,
		`customer.traits["plan"] == "gold" || customer.country in ["GB", "IE"]`,
	} {
		b.Run("condition="+strings.ReplaceAll(source, " ", ""), func(b *testing.B) {
			c := mustCompile(b, source)
			pb := withNeeds(c)
			ada := &profile.Profile{Customer: "ada", Orders: profile.Orders{Tally: profile.Tally{Count: 4}}, Country: "IE"}
			now := noon
			for range profile.MaxInstants {
				now += 20 * minute
				pb.RecordView(ada, profile.View{At: now, Category: "mugs"}, "", now)
				pb.RecordOrder(ada, profile.Order{At: now, ValueMicros: 20e6}, now)
			}
			b.ReportAllocs()
			for b.Loop() {
				c.Holds(Facts{Profile: ada, Now: now})
			}
		})
	}
}
