package playbook

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"segue/schemas/profile"
)

// did brings what happened into a profile, as the fold does.
func did(pb *Playbook, p *profile.Profile, what string, at, now int64) {
	p.LastSeen = max(p.LastSeen, at)
	switch what {
	case "search":
		pb.RecordNamed(p, profile.Named{Name: "Products Searched", At: at}, now)
	case "visit":
		pb.RecordVisit(p, at, now)
	case "cart":
		pb.RecordCarted(p, profile.Item{Product: "mug", Category: "mugs", PriceMicros: 12e6}, at, now)
	default:
		pb.RecordView(p, profile.View{At: at, Product: what, Category: what + "s", PriceMicros: 12e6}, "Oak "+what, now)
	}
}

// Ada looks at the mug, searches, and is gone: two hours after the search, to the
// millisecond, she is known to have left it at that.
func TestSequence(t *testing.T) {
	c := mustCompile(t, `sequence([viewed("mug"), happened("Products Searched"), nothing(hours(2))], days(1))`)
	pb := withNeeds(c)
	ada := &profile.Profile{}
	did(pb, ada, "search", noon, noon)
	did(pb, ada, "mug", noon+hour, noon+hour)
	if holds, next := c.Holds(Facts{Profile: ada, Now: noon + 9*hour}); holds || next != 0 {
		t.Errorf("searched first: Holds = %v, %d", holds, next)
	}
	did(pb, ada, "search", noon+2*hour, noon+2*hour)
	did(pb, ada, "visit", noon+2*hour+second, noon+2*hour+second) // the page with what was found
	f := Facts{Profile: ada, Now: noon + 3*hour}
	holds, next := c.Holds(f)
	if want := noon + 4*hour + second; holds || next != want {
		t.Fatalf("then: Holds = %v, %+d ms, want false until %+d ms", holds, next-noon, want-noon)
	}
	f.Now = next
	if holds, next = c.Holds(f); !holds || next != noon+25*hour {
		t.Errorf("two hours later: Holds = %v, %+d ms, want true until the view is a day ago", holds, next-noon)
	}
	if got, want := c.Why(f), c.Source()+` (3h ago, 2h ago, nothing for 2h)`; got != want {
		t.Errorf("Why: got %s\nwant %s", got, want)
	}
	did(pb, ada, "visit", noon+5*hour, noon+5*hour)
	if holds, next = c.Holds(Facts{Profile: ada, Now: noon + 9*hour}); holds || next != 0 {
		t.Errorf("she came back: Holds = %v, %d, want false for good", holds, next)
	}
}

// A sequence holds when brute force finds one, and turns when it says so; of two
// profiles that become one as of one that saw it all.
func TestSequenceIsExact(t *testing.T) {
	what := []string{"mug", "jug", "search", "visit", "cart"}
	steps := map[string]func(string) bool{
		`viewed()`:                             func(x string) bool { return x == "mug" || x == "jug" },
		`viewed("mug")`:                        func(x string) bool { return x == "mug" },
		`viewed(product.name.contains("JUG"))`: func(x string) bool { return x == "jug" },
		`viewed(product.category == "mugs" && product.price < money(13))`: func(x string) bool { return x == "mug" },
		`happened("Products Searched")`:                                   func(x string) bool { return x == "search" },
		`visited()`:                                                       func(x string) bool { return x == "visit" },
		`carted()`:                                                        func(x string) bool { return x == "cart" },
		`carted(product.id in ["mug", "x"])`:                              func(x string) bool { return x == "cart" },
		`bought()`:                                                        func(x string) bool { return false },
	}
	names := make([]string, 0, len(steps))
	for name := range steps {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(r *rapid.T) {
		var chosen []string
		for range rapid.IntRange(2, 3).Draw(r, "steps") {
			chosen = append(chosen, rapid.SampledFrom(names).Draw(r, "step"))
		}
		source := "sequence(["
		for _, x := range chosen {
			source += x + ", "
		}
		silence := int64(rapid.IntRange(0, 3).Draw(r, "silence"))
		window := int64(rapid.IntRange(4, 9).Draw(r, "window"))
		if silence == 0 {
			source = source[:len(source)-2]
		} else {
			source += fmt.Sprintf("nothing(minutes(%d))", silence)
		}
		c := mustCompile(t, source+fmt.Sprintf("], minutes(%d))", window))
		pb := withNeeds(c)
		p, from := &profile.Profile{}, &profile.Profile{}
		type happening struct {
			what string
			at   int64
		}
		var all []happening
		now := noon
		for range rapid.IntRange(0, 8).Draw(r, "events") {
			now += rapid.SampledFrom([]int64{0, 1, second, minute, 2 * minute}).Draw(r, "pause")
			x := happening{rapid.SampledFrom(what).Draw(r, "what"), now - rapid.SampledFrom([]int64{0, 0, minute}).Draw(r, "ago")}
			all = append(all, x)
			whose := p
			if rapid.Bool().Draw(r, "theirs") {
				whose = from
			}
			did(pb, whose, x.what, x.at, now)
		}
		pb.Merge(p, from, now)
		p.LastSeen = max(p.LastSeen, from.LastSeen)
		truly := func(now int64) bool {
			reached := make([][]int64, len(chosen)) // instants at which each prefix ends
			for i, step := range chosen {
				for _, x := range all {
					ok := now-x.at < window*minute && steps[step](x.what)
					if ok && (i == 0 || slices.ContainsFunc(reached[i-1], func(at int64) bool { return at < x.at })) {
						reached[i] = append(reached[i], x.at)
					}
				}
			}
			ends := reached[len(chosen)-1]
			if silence == 0 || len(ends) == 0 {
				return len(ends) > 0
			}
			seen := p.LastSeen
			return seen-slices.Max(ends) <= moment && now-seen >= silence*minute
		}
		f := Facts{Profile: p, Now: now}
		holds, next := c.Holds(f)
		if holds != truly(now) {
			r.Fatalf("%s of %v: %v", c.Why(f), all, holds)
		}
		var turns []int64 // every instant at which anything can
		for _, x := range all {
			turns = append(turns, x.at+window*minute, x.at+silence*minute)
		}
		slices.Sort(turns)
		for _, at := range turns {
			if at > now && truly(at) != holds {
				if next != at {
					r.Fatalf("%s of %v: turns at %+d ms, said %+d ms", c.Why(f), all, at-now, next-now)
				}
				return
			}
		}
		if next != 0 {
			r.Fatalf("%s of %v: never turns, said %+d ms", c.Why(f), all, next-now)
		}
	})
}

func TestWhere(t *testing.T) {
	c := mustCompile(t, `views.where(product.name.contains("oak m") && product.price <= money(12), days(1)) == 1 && carted.where(product.category == "mugs") == 2 && carted.of_product("jug") == 0`)
	pb := withNeeds(c)
	p := &profile.Profile{}
	for _, what := range []string{"mug", "jug", "cart", "cart"} {
		did(pb, p, what, noon, noon)
	}
	if holds, next := c.Holds(Facts{Profile: p, Now: noon}); !holds || next != noon+day {
		t.Errorf("got %s until %+d ms", c.Why(Facts{Profile: p, Now: noon}), next-noon)
	}
	bought := mustCompile(t, `orders.where(product.price > money(20)) == 1`)
	pb = withNeeds(bought)
	for _, price := range []int64{20e6, 30e6} {
		pb.RecordOrder(p, profile.Order{At: noon, Items: []profile.Item{{Product: "x", PriceMicros: 1e6}, {Product: "y", PriceMicros: price}}}, noon)
	}
	if holds, _ := bought.Holds(Facts{Profile: p, Now: noon}); !holds {
		t.Errorf("got %s", bought.Why(Facts{Profile: p, Now: noon}))
	}
}

func TestNewestCart(t *testing.T) {
	c, err := compile(`cart.value >= money(30)`, false)
	if err != nil {
		t.Fatal(err)
	}
	cart := func(at, price int64) profile.Cart {
		return profile.Cart{StartedAt: at, ChangedAt: at, Items: []profile.Item{{Product: "x", PriceMicros: price * 1e6, Quantity: 1}}}
	}
	p := &profile.Profile{Carts: []profile.Cart{cart(noon-9*day, 50), cart(noon-day, 10)}}
	for _, x := range []struct {
		at    int64
		holds bool
		next  int64
	}{{noon, false, 0}, {noon - 9*day + profile.CartLapse, false, 0}} {
		if holds, next := c.Holds(Facts{Profile: p, Now: x.at}); holds != x.holds || next != x.next {
			t.Errorf("at %+d: %v, %d", x.at-noon, holds, next)
		}
	}
	p.Carts[1].Items[0].PriceMicros = 40e6
	if holds, next := c.Holds(Facts{Profile: p, Now: noon}); !holds || next != noon+29*day {
		t.Errorf("a full cart: %v until %+d ms, want true until it lapses", holds, next-noon)
	}
}
