package customer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"segue/processors/customer/score"
	"segue/schemas"
	"segue/schemas/models"
	"segue/schemas/playbook"
)

// CDNOW's orders up to the end of September 1997 give the published parameters
// (Fader and Hardie), weeks turned into days.
func TestFitOfCDNOW(t *testing.T) {
	text, err := os.ReadFile("../../../shared/data/cdnow/CDNOW_sample.txt")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%v: the data lie beside the repository, in shared/data", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	type bought struct {
		who    string
		at     int64
		micros int64
	}
	var all []bought
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		at, err := time.Parse("20060102", f[2])
		if err != nil {
			t.Fatal(err)
		}
		if f[2] <= "19970930" {
			all = append(all, bought{f[1], at.UnixMilli(), micros(t, f[4])})
		}
	}
	slices.SortStableFunc(all, func(a, b bought) int { return cmp.Compare(a.at, b.at) })
	h := NewPast(models.Default(), Plan{})
	for _, x := range all {
		if err := h.Event(x.who, x.at, &schemas.Event{Body: &schemas.Event_Order{Order: &schemas.Order{TotalMicros: x.micros, Free: x.micros == 0}}}); err != nil {
			t.Fatal(err)
		}
	}
	set, err := h.Fit("cdnow", 0, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	p, v := set.Churn.Purchases, set.Value
	for name, x := range map[string][2]float64{"r": {p.R, .553}, "alpha": {p.AlphaDays / 7, 10.578}, "s": {p.S, .606}, "beta": {p.BetaDays / 7, 11.669},
		"p": {v.P, 6.25}, "q": {v.Q, 3.74}, "v": {v.V, 15.44}} {
		if math.Abs(x[0]/x[1]-1) > .02 {
			t.Errorf("%s = %v, want %v", name, x[0], x[1])
		}
	}
}

// A shop whose customers look around, and buy soon after they have looked often and
// put something in a cart: that is what the models learn of it, the same each time.
func TestFitOfAStoresPast(t *testing.T) {
	fit := func() *models.Set {
		r := rand.New(rand.NewPCG(3, 4))
		h := NewPast(models.Default(), Plan{Events: 20_000, Hold: monday + 150*day})
		w := &world{t: t}
		for d := range int64(200) {
			for c := range 60 {
				if r.Float64() > .05+float64(c)/600 {
					continue
				}
				at := monday + d*day + int64(c)*10*minute
				does := []string{"visit", "view sku=mug price=12"}
				if r.Float64() < .3 {
					does = append(does, "view sku=mug price=12", "cart_add sku=mug price=12")
					if r.Float64() < .5 {
						does = append(does, "order sku=mug price=12 total="+fmt.Sprint(10+r.IntN(30)))
					}
				}
				for i, what := range does {
					_, e := w.event(fmt.Sprintf("c%d %s", c, what), at+int64(i)*minute/6)
					e.Id, e.OccurredAt = fmt.Sprint(d, c, i), nil
					if err := h.Event(fmt.Sprint("c", c), at+int64(i)*minute/6, e); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		var said []string
		set, err := h.Fit("fitted", 0, func(line string) { said = append(said, line) })
		if err != nil {
			t.Fatal(err)
		}
		for _, model := range []string{"churn: Pareto/NBD", "value: Gamma-Gamma", "churn.site (days with a visit): fitted", "propensity.day: of", "propensity.week: of", "price: as before, most", "held out: of", "held out: propensity.week ranks", "as before, since no history"} {
			if !strings.Contains(strings.Join(said, "\n"), model) {
				t.Errorf("said\n%s\nwant %q", strings.Join(said, "\n"), model)
			}
		}
		return set
	}
	set := fit()
	if again := fit(); !bytes.Equal(set.YAML(), again.YAML()) {
		t.Errorf("fitted twice, to\n%s\nand\n%s", set.YAML(), again.YAML())
	}
	if w := set.Propensity.Week.Weights; w["views_again"]+w["cart"]+w["cart_kept"] <= 1 || len(set.Value.Ranks) != 99 {
		t.Errorf("weights %v, ranks: %d, want a second look and a cart to tell of an order", w, len(set.Value.Ranks))
	}
	if set.Price.Order != 0 || set.Price.Sensitivity != models.Default().Price.Sensitivity {
		t.Errorf("price %+v of a history without discounts, want orders to weigh nothing, and the rest as before", set.Price)
	}
	if set.Churn.Purchases == models.Default().Churn.Purchases || set.ID != "fitted" || !strings.Contains(set.About, "Fitted to") {
		t.Errorf("models %+v", set)
	}
}

// Whatever a store's past is, what is fitted to it is finite and holds; without an
// order nothing is.
func TestFitOfLittle(t *testing.T) {
	type buys struct {
		who    string
		day    int64
		amount int64
		sku    string
	}
	of := func(n int, f func(i int) buys) (all []buys) {
		for i := range n {
			all = append(all, f(i))
		}
		return all
	}
	for name, all := range map[string][]buys{
		"one order":              {{"a", 0, 10, "mug"}},
		"one free order":         {{"a", 0, 0, ""}},
		"one customer":           of(40, func(i int) buys { return buys{"a", int64(7 * i), 10, "mug"} }),
		"one order each":         of(40, func(i int) buys { return buys{fmt.Sprint(i), int64(i), int64(i), "mug"} }),
		"all on one day":         of(40, func(i int) buys { return buys{fmt.Sprint(i % 20), 0, 10, "mug"} }),
		"all the same":           of(400, func(i int) buys { return buys{fmt.Sprint(i % 20), int64(i / 20), 10, "mug"} }),
		"great and small":        of(60, func(i int) buys { return buys{fmt.Sprint(i % 7), int64(i), 1 + int64(i%2)*900_000_000_000, "mug"} }),
		"once each, and another": append(of(40, func(i int) buys { return buys{fmt.Sprint(i), 0, 10, "mug"} }), buys{"0", 300, 10, "jug"}),
	} {
		slices.SortStableFunc(all, func(a, b buys) int { return cmp.Compare(a.day, b.day) })
		for _, hold := range []int64{0, monday + day/2, monday + 20*day} {
			h := NewPast(models.Default(), Plan{Hold: hold})
			for _, x := range all {
				o := &schemas.Order{TotalMicros: x.amount * 1e6, Free: x.amount == 0}
				if x.sku != "" {
					o.Products = []*schemas.Product{{Id: x.sku, PriceMicros: o.TotalMicros}}
				}
				if err := h.Event(x.who, monday+x.day*day, &schemas.Event{Body: &schemas.Event_Order{Order: o}}); err != nil {
					t.Fatal(err)
				}
			}
			set, err := h.Fit("little", 0, func(string) {})
			if err != nil { // Parse names what is no number, or out of bounds
				t.Errorf("%s, held out from %d: %v", name, hold, err)
				continue
			}
			var r score.Reader
			for _, c := range h.known() {
				for _, at := range []int64{h.to, h.to + 400*day} {
					r.Of(set, c.Profile, time.UTC)
					for _, s := range []playbook.Score{playbook.Churn, playbook.Propensity, playbook.ValueRank, playbook.Engagement} {
						if v, _ := r.At(s, at); v < 0 || v > 1e6 {
							t.Errorf("%s: %v of %s = %d, want 0 to 1,000,000", name, s, c.Customer, v)
						}
					}
				}
			}
		}
	}
	h := NewPast(models.Default(), Plan{Hold: monday})
	if err := h.Event("a", monday+day, &schemas.Event{Body: &schemas.Event_Visit{Visit: &schemas.Visit{}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Fit("none", 0, func(string) {}); !errors.Is(err, errNoOrder) {
		t.Errorf("without an order: %v, want %v", err, errNoOrder)
	}
}

// Products that are bought together lead from one to the other, what is always
// bought does not, and as many are kept as a set may hold.
func TestFitOfProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	h := NewPast(models.Default(), Plan{Hold: monday + 200*day})
	for i := range 900 {
		products := []*schemas.Product{{Id: "bag", PriceMicros: 1e6}, {Id: fmt.Sprint("tea", i%3), PriceMicros: int64(5+i%3) * 1e6}}
		if r.Float64() < .5 {
			products = append(products, &schemas.Product{Id: fmt.Sprint("pot", i%3), PriceMicros: 20e6})
		}
		order := &schemas.Order{Products: products}
		if i%4 == 0 {
			order.Coupon = "SPRING"
		}
		e := &schemas.Event{Body: &schemas.Event_Order{Order: order}}
		if err := h.Event(fmt.Sprint(i%180), monday+int64(i/3)*day, e); err != nil {
			t.Fatal(err)
		}
	}
	var said []string
	set, err := h.Fit("fitted", 0, func(line string) { said = append(said, line) })
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]string{}
	for _, p := range set.Next {
		next[p.After+" "+p.Buy] = fmt.Sprint(p.Chance > .2 && p.Chance < .5)
		if p.After == "bag" || p.Buy == "bag" {
			t.Errorf("%+v: everybody has a bag", p)
		}
	}
	if next["tea1 pot1"] != "true" || next["tea1 pot2"] != "" {
		t.Errorf("pairs %+v, want pot1 with tea1, and not pot2", set.Next)
	}
	if set.Price.Low != 1 || set.Price.Premium != 7 { // 2 of 5 things are bags, 2 are tea
		t.Errorf("price %+v, want low below 1 and premium from 7", set.Price)
	}
	if x := set.Price; x.Order != models.Default().Price.Order || math.Abs(x.Sensitivity-.25) > .005 {
		t.Errorf("price %+v, want a quarter to be bought by the price", x)
	}
	if !strings.Contains(strings.Join(said, "\n"), "held out: next_product was in") {
		t.Errorf("said\n%s\nwant what the pairs were worth", strings.Join(said, "\n"))
	}
}

// What would not fit is left out, the weakest first.
func TestFittedSetsAreNotTooLarge(t *testing.T) {
	s := *models.Default()
	for i := range 10_000 {
		s.Next = append(s.Next, models.Pair{After: fmt.Sprintf("%0200d", 9999-i), Buy: "b", Chance: .5})
	}
	set, err := asWritten(&s)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(set.Next); n < 2000 || n > 5000 || set.Next[n-1].After != fmt.Sprintf("%0200d", 9999) || len(set.YAML()) > models.MaxSize {
		t.Errorf("%d pairs up to %s in %d bytes, want the first of them", n, set.Next[n-1].After, len(set.YAML()))
	}
}

// Whatever happens to whom, a fit sees the features that the station serves: before
// and after they become another customer, as carts lapse, and with mails sent.
func TestFitSeesWhatIsServed(t *testing.T) {
	pb := parse(t, shop(t))
	does := []string{"visit", "view sku=mug price=12", "view sku=jug price=30", "view sku=mug", "cart_add sku=mug price=12.50", "cart_remove sku=mug", "order total=10",
		"order total=5 ago=9d", "view sku=mug ago=2d", "opened", "subscribe", "bounced", "opened machine=scanner"}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, monday)
		w.inForce(pb)
		h := NewPast(models.Default(), Plan{Zone: pb.Store.Zone})
		told, at := 0, int64(monday)
		names := []string{"ada", "bob", "anon-1", "anon-2"}
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			at = max(at, w.clock) + rapid.SampledFrom([]int64{1, 1000, 3_600_000, 7 * 3_600_000, 3 * day, 40 * day}).Draw(t, "gap")
			name := rapid.SampledFrom(names).Draw(t, "who")
			what := rapid.SampledFrom(does).Draw(t, "does")
			if strings.HasPrefix(name, "anon") && rapid.IntRange(0, 4).Draw(t, "logs in") == 0 {
				what = "becomes known=" + rapid.SampledFrom([]string{"ada", "bob"}).Draw(t, "known")
			}
			key, e := w.event(name+" "+what, at)
			w.record(at, key, e)
			now := w.clock
			for ; told < len(w.log); told++ {
				r, e := w.log[told], new(schemas.Event)
				if err := schemas.Decode(r.value, e); err != nil {
					t.Fatal(err)
				}
				if e.IsControl() || e.GetMerge() != nil { // the latter a fit writes itself
					continue
				}
				if err := h.Event(r.key, r.at, e); err != nil {
					t.Fatal(err)
				}
			}
			if err := h.let(now); err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				served, known := w.replay.State(name)
				c := h.customers[name]
				if !known || c == nil {
					if known != (c != nil) {
						t.Fatalf("%s is known to one of both", name)
					}
					continue
				}
				for _, wait := range looks {
					var r score.Reader
					r.Of(models.Default(), served, w.strict.zone(served.TimeZone, pb.Store.Zone))
					h.read(models.Default(), c)
					if got, want := h.reader.Features(now+wait), r.Features(now+wait); got != want {
						t.Fatalf("%s, %d ms after %q: a fit sees\n%v, the station\n%v", name, wait, what, got, want)
					}
				}
			}
		}
	})
}
