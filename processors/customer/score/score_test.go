package score

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"segue/schemas/models"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

const now = int64(1_768_212_000_000) // 2026-01-12T10:00Z, a Monday

func reader(p *profile.Profile) *Reader {
	r := new(Reader)
	r.Of(models.Default(), p, time.UTC)
	return r
}

func at(t *testing.T, p *profile.Profile, s playbook.Score, at int64) float64 {
	t.Helper()
	v, _ := reader(p).At(s, at)
	return float64(v) / million
}

// monthly is somebody who looked around and bought every 30 days for a year, and
// opened every fourth mail of a weekly letter; the last time at now.
func monthly() *profile.Profile {
	p := &profile.Profile{FirstSeen: now - 360*day}
	for d := int64(360); d >= 0; d -= 30 {
		order(p, now-d*day, 40)
		visit(p, now-d*day-1000)
		visit(p, now-d*day-2*day)
		p.InMail.Add(now - d*day - 2000)
		p.Opened.Count++
		p.Opened.Last = now - d*day - 2000
		p.Sent = profile.Tally{Count: p.Sent.Count + 4, Last: now}
	}
	return p
}

func order(p *profile.Profile, at, money int64) {
	p.FirstSeen = max(1, p.FirstSeen)
	p.Orders.Recent = append(p.Orders.Recent, profile.Order{At: at, ValueMicros: money * million})
	p.Orders.Count++
	p.Orders.ValueMicros += money * million
	p.Orders.First, p.Orders.Last = p.Orders.Recent[0].At, at
}

func visit(p *profile.Profile, at int64) { p.OnSite.Add(at); p.Visits.Count++; p.Visits.Last = at }

// A marketer reads: somebody who bought every month goes silent, and is as good as
// gone within two months; one look around, and they are back.
func TestMonthlyBuyerGoesSilent(t *testing.T) {
	p := monthly()
	for _, c := range []struct {
		days, low, high float64
	}{{0, 0, 0}, {7, 0, .1}, {30, .1, .5}, {60, .6, .95}, {120, .95, 1}} {
		if x := at(t, p, playbook.Churn, now+int64(c.days*day)); x < c.low || x > c.high {
			t.Errorf("churn after %v silent days = %.3f, want %v to %v", c.days, x, c.low, c.high)
		}
	}
	gone := playbook.Crosses(reader(p), playbook.Churn, []int64{500_000}, now)
	if before, then := at(t, p, playbook.Churn, gone-1), at(t, p, playbook.Churn, gone); before >= .5 || then < .5 {
		t.Errorf("churn around %s is %v, %v, want it to reach .5", playbook.Span(gone-now), before, then)
	}
	why := reader(p).Reasons(playbook.Churn, gone)
	if len(why) == 0 || !strings.Contains(strings.Join(why, "; "), "no order for") {
		t.Errorf("reasons: %q", why)
	}
	visit(p, gone+day)
	if x := at(t, p, playbook.Churn, gone+day+3_600_000); x > .05 {
		t.Errorf("churn an hour after a visit = %.3f, want next to nothing", x)
	}
	if x := at(t, p, playbook.Churn, gone+8*day); x > .3 {
		t.Errorf("churn a week after a visit = %.3f, want little", x)
	}
}

// Of two who have bought nothing for 60 days, who reads no mail although they get
// some is gone sooner than who gets none.
func TestMailThatNobodySends(t *testing.T) {
	sent, quiet := monthly(), monthly()
	sent.Sent.Last = now + 60*day
	if a, b := at(t, sent, playbook.Churn, now+60*day), at(t, quiet, playbook.Churn, now+60*day); a <= b+.01 {
		t.Errorf("churn = %v with unread mails, %v without mails, want more", a, b)
	}
	waiting := monthly()
	waiting.Tickets.Open = []string{"t"}
	if a, b := at(t, waiting, playbook.Churn, now+20*day), at(t, quiet, playbook.Churn, now+20*day); a <= b {
		t.Errorf("churn = %v with an open ticket, %v without, want more", a, b)
	}
}

// With nothing known but orders, churn is that of Pareto/NBD: customer 1516 of
// CDNOW (BTYD's walkthrough), weeks turned into days.
func TestChurnOfOrdersAlone(t *testing.T) {
	set := *models.Default()
	set.Churn.Purchases = models.Purchases{R: .553, AlphaDays: 7 * 10.580, S: .606, BetaDays: 7 * 11.656}
	p := &profile.Profile{}
	first := now - 31*7*day
	last := first + int64(math.Round(30.857*7))*day
	for i := range int64(27) {
		order(p, first+(last-first)*i/26, 1)
	}
	r := new(Reader)
	r.Of(&set, p, time.UTC)
	if got := r.alive(now); math.Abs(got-.997874) > 1e-5 {
		t.Errorf("alive = %v, want .997874", got)
	}
	set.Value = models.Value{P: 1, Q: 2, V: 1, HorizonDays: 52 * 7} // mean order: 1 of orders of 1
	if got := r.value(now); math.Abs(got-25.45647) > 3e-3 {
		t.Errorf("orders within 52 weeks = %v, want 25.45647", got)
	}
}

// customers are any who can be.
func customers(t *rapid.T) *profile.Profile {
	p := &profile.Profile{}
	instants := rapid.Int64Range(now-500*day, now)
	for range rapid.IntRange(0, 6).Draw(t, "visits") {
		visit(p, instants.Draw(t, "visit"))
	}
	last := rapid.Int64Range(now-700*day, now).Draw(t, "first order")
	for range rapid.IntRange(0, 5).Draw(t, "orders") {
		order(p, last, rapid.Int64Range(1, 500).Draw(t, "money"))
		last = rapid.Int64Range(last, now).Draw(t, "order")
	}
	for range rapid.IntRange(0, 3).Draw(t, "opened") {
		x := instants.Draw(t, "opened")
		p.InMail.Add(x)
		p.Opened.Count++
	}
	p.Sent = profile.Tally{Count: 5, Last: rapid.Int64Range(now-100*day, now+100*day).Draw(t, "sent")}
	for range rapid.IntRange(0, 5).Draw(t, "views") {
		p.Views.Recent = append(p.Views.Recent, profile.View{At: p.OnSite.At, Product: rapid.SampledFrom([]string{"mug", "jug"}).Draw(t, "of")})
	}
	if rapid.Bool().Draw(t, "cart") {
		p.Carts = []profile.Cart{{Items: []profile.Item{{Product: "mug"}}}}
	}
	for range rapid.IntRange(0, 3).Draw(t, "named") {
		p.Named = append(p.Named, profile.Named{Name: rapid.SampledFrom([]string{"Search", "Sizing Guide Viewed", "Coupon Denied"}).Draw(t, "name"), At: p.OnSite.At})
	}
	if rapid.Bool().Draw(t, "ticket") {
		p.Tickets.Open = []string{"t"}
	}
	p.FirstSeen = 1
	return p
}

// sets are models as a fit may find them.
func sets(t *rapid.T) *models.Set {
	between := func(low, high float64, what string) float64 { return rapid.Float64Range(low, high).Draw(t, what) }
	s := *models.Default()
	s.Churn = models.Churn{Purchases: models.Purchases{R: between(.05, 4, "r"), AlphaDays: between(2, 400, "alpha"), S: between(.05, 4, "s"), BetaDays: between(2, 400, "beta")},
		Site: models.Rate{Shape: between(.1, 5, "site"), Days: between(1, 200, "site days")}, Mail: models.Rate{Shape: between(.1, 5, "mail"), Days: between(1, 200, "mail days")},
		OpenTicket: between(1, 5, "ticket")}
	s.Value = models.Value{P: between(.5, 10, "p"), Q: between(1.1, 10, "q"), V: between(1, 50, "v"), HorizonDays: between(10, 700, "horizon"),
		Ranks: slices.Sorted(slices.Values(rapid.SliceOfN(rapid.Float64Range(0, 500), 1, 20).Draw(t, "ranks")))}
	s.Propensity.FastHours, s.Propensity.SlowDays = between(1, 24, "fast"), between(1.1, 20, "slow")
	for _, l := range []*models.Logit{&s.Propensity.Day, &s.Propensity.Week} {
		l.Base = between(-7, 1, "base")
		for i, f := range models.Features {
			if l.Of[i] = between(-2, 2, f.Name); strings.HasPrefix(f.Name, "cart") {
				l.Of[i] = math.Abs(l.Of[i]) + .1 // whoever has one is nearer to an order
			}
		}
	}
	s.Engagement = models.Engagement{Rate: between(.01, .9, "rate"), Mails: between(.5, 20, "mails"), HalfLifeDays: between(1, 200, "half-life")}
	s.Price = models.Price{Low: 10, Premium: 100, Sensitivity: between(.05, .9, "sensitivity"), Weight: between(.5, 20, "weight"), Order: between(0, 10, "order")}
	return &s
}

// What happens moves a score where theory says to: by a visit churn falls to
// nothing; by a thing in the cart propensity rises, for as long as it lies there; by
// dearer orders value does, and its rank with it; by a mail opened engagement.
func TestWhatHappensMovesScores(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set, p, r := sets(t), customers(t), new(Reader)
		later := now + rapid.SampledFrom([]int64{0, 1000, day / 24, day, 30 * day}).Draw(t, "later")
		here := rapid.Bool().Draw(t, "here")
		if here {
			visit(p, now)
		}
		at := func(s playbook.Score, at int64) int64 {
			r.Of(set, p, time.UTC)
			v, _ := r.At(s, at)
			return v
		}
		want := func(s playbook.Score, what string, before, after int64) {
			if after < before {
				t.Fatalf("%v %s falls from %d to %d", s, what, before, after)
			}
		}
		p.Carts = nil
		for _, s := range []playbook.Score{playbook.PropensityDay, playbook.Propensity} {
			before := at(s, later)
			p.Carts = []profile.Cart{{ChangedAt: now, Items: []profile.Item{{Product: "mug"}}}}
			after := at(s, later)
			want(s, "with a cart", before, after)
			if here && later <= now+day/24 && before > 1_000 && before < 990_000 && after == before {
				t.Fatalf("%v is %d with a cart and without", s, before)
			}
			p.Carts = nil
		}
		value, valueRank := at(playbook.Value, later), at(playbook.ValueRank, later)
		for i := range p.Orders.Recent {
			p.Orders.Recent[i].ValueMicros *= 2
		}
		p.Orders.ValueMicros *= 2
		want(playbook.Value, "of dearer orders", value, at(playbook.Value, later))
		want(playbook.ValueRank, "of dearer orders", valueRank, at(playbook.ValueRank, later))
		engaged := at(playbook.Engagement, later)
		p.InMail.Add(now)
		p.Opened.Count++
		want(playbook.Engagement, "with a mail opened", engaged, at(playbook.Engagement, later))
		if x := at(playbook.Churn, later); x < 0 || x > million {
			t.Fatalf("churn = %d", x)
		}
		if visit(p, later); at(playbook.Churn, later) != 0 {
			t.Fatalf("churn = %d at a visit, want 0", at(playbook.Churn, later))
		}
	})
}

// Whoever is worth more ranks no lower.
func TestRank(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ranks := sets(t).Value.Ranks
		a, b := rapid.Float64Range(0, 600).Draw(t, "a"), rapid.Float64Range(0, 600).Draw(t, "b")
		if x, y := rank(ranks, min(a, b)), rank(ranks, max(a, b)); x > y || x < 0 || y > 1 {
			t.Fatalf("%v ranks %v, %v ranks %v of %v", min(a, b), x, max(a, b), y, ranks)
		}
	})
}

// With silence churn only rises, value, its rank and engagement only fall, and
// propensity turns at most once, where it says.
func TestMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := customers(t)
		r := new(Reader)
		r.Of(sets(t), p, time.UTC)
		for s := range texts {
			x := now
			v, until := r.At(s, x)
			if v < 0 || v > million && s != playbook.Value && s != playbook.NextOrder {
				t.Fatalf("%v = %d, want 0 to 1", s, v)
			}
			up, down, turned := false, false, 0
			for range 60 {
				next := x + rapid.Int64Range(1, 20*day).Draw(t, "later")
				if until != 0 && next >= until {
					next, up, down = until, false, false
					turned++
					v, until = r.At(s, until)
				}
				w, _ := r.At(s, next)
				up, down = up || w > v, down || w < v
				if up && down || turned > 1 || s == playbook.Churn && down || (s == playbook.Value || s == playbook.ValueRank || s == playbook.Engagement) && up {
					t.Fatalf("%v is %d at %s and %d at %s", s, v, playbook.Span(x-now), w, playbook.Span(next-now))
				}
				x, v = next, w
			}
		}
	})
}

// tried are scores that must be tried at one instant after another.
type tried struct{ playbook.Scores }

// Where a score is said to cross a number it does: a millisecond before, and a
// second, it is on one side, and from there on on the other; and nowhere before.
func TestCrosses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := new(Reader)
		r.Of(sets(t), customers(t), time.UTC)
		s := rapid.SampledFrom([]playbook.Score{playbook.Churn, playbook.PropensityDay, playbook.Propensity, playbook.Value, playbook.ValueRank, playbook.PriceSensitivity,
			playbook.Engagement}).Draw(t, "score")
		edge := rapid.Int64Range(1, 999_999).Draw(t, "edge")
		if s == playbook.Value {
			edge *= rapid.SampledFrom([]int64{1, 100, 2_000}).Draw(t, "money")
		}
		from, _ := r.At(s, now)
		at := playbook.Crosses(r, s, []int64{edge}, now)
		if same := playbook.Crosses(tried{r}, s, []int64{edge}, now); at != same {
			t.Fatalf("%v crosses %d at %d, or at %d", s, edge, at, same)
		}
		if at == 0 {
			if v, until := r.At(s, now+3660*day); until == 0 && (v >= edge) != (from >= edge) {
				t.Fatalf("%v never crosses %d, but is %d now and %d in ten years", s, edge, from, v)
			}
			return
		}
		for _, x := range []int64{-1000, -1, 0, 1000} {
			if v, _ := r.At(s, max(now, at+x)); (v >= edge) != (from >= edge) != (x >= 0) {
				t.Fatalf("%v is %d now, and %d %d ms from %s on, want it to cross %d there", s, from, v, x, playbook.Span(at-now), edge)
			}
		}
	})
}

// A score that rises over a number and falls below it again before the instant that is
// soonest else is not passed by.
func TestNextOfAScoreThatTurns(t *testing.T) {
	set, p := *models.Default(), &profile.Profile{FirstSeen: now}
	for range 4 {
		p.Views.Recent = append(p.Views.Recent, profile.View{At: now, Product: "mug"})
		visit(p, now)
	}
	week := &set.Propensity.Week
	week.Of = [models.FeatureCount]float64{}
	for i, f := range models.Features { // what fades fast weighs against an order
		switch f.Speed {
		case models.Fast:
			week.Of[i] = -2
		case models.Slow:
			week.Of[i] = 2
		}
	}
	r := new(Reader)
	r.Of(&set, p, time.UTC)
	v, turns := r.At(playbook.Propensity, now)
	most, _ := r.At(playbook.Propensity, turns)
	edge := (v + most) / 2
	if turns == 0 || edge <= v {
		t.Fatalf("propensity is %d and turns at %d, at %d; want it to rise at first", v, turns, most)
	}
	pb, err := playbook.Parse("playbook.yaml", fmt.Appendf(nil, "store: {name: A, url: https://a.example, currency: GBP}\nbrand: {from: A <a@a.example>, address: Here}\n"+
		"segments:\n  near: {enter: scores.propensity >= %.6f}\n", float64(edge)/million), nil)
	if err != nil {
		t.Fatal(err)
	}
	over := playbook.Crosses(r, playbook.Propensity, []int64{edge}, now)
	if over >= turns {
		t.Fatalf("it reaches %d at %+d ms, want before it turns", edge, over-now)
	}
	for _, c := range []struct{ soonest, want int64 }{{0, over}, {now + 400*day, over}, {over + 1, over}, {over - 1, over - 1}} {
		if got := Next(r, pb, now, c.soonest); got != c.want {
			t.Errorf("Next by %+d ms = %+d ms, want %+d", c.soonest-now, got-now, c.want-now)
		}
	}
}

func TestPropensity(t *testing.T) {
	p := &profile.Profile{FirstSeen: now - day}
	visit(p, now)
	idle := at(t, p, playbook.Propensity, now)
	for i := range int64(4) {
		p.Views.Recent = append(p.Views.Recent, profile.View{At: now + i, Product: "mug", Category: "Kitchen > Mugs"})
		visit(p, now+i)
	}
	looking := at(t, p, playbook.Propensity, now+3)
	p.Named = append(p.Named, profile.Named{Name: "sizing guide viewed", At: now + 4})
	sized := at(t, p, playbook.Propensity, now+4)
	p.Carts = []profile.Cart{{ChangedAt: now + 5, Items: []profile.Item{{Product: "mug"}}}}
	carted := at(t, p, playbook.Propensity, now+5)
	later := at(t, p, playbook.Propensity, now+2*day)
	p.Carts = nil
	order(p, now+6, 20)
	ordered := at(t, p, playbook.Propensity, now+6)
	if !(0 < idle && idle < looking && looking < sized && sized < carted && later < carted && ordered < carted) {
		t.Errorf("idle %v, looking %v, sized %v, with a cart %v, two days later %v, ordered %v", idle, looking, sized, carted, later, ordered)
	}
	if x := at(t, &profile.Profile{}, playbook.Propensity, now); x != 0 {
		t.Errorf("of nobody: %v, want 0", x)
	}
}

func TestTastes(t *testing.T) {
	set := *models.Default()
	set.Price.Low, set.Price.Premium = 10, 100
	set.Next = []models.Pair{{After: "mug", Buy: "pot", Chance: .2}, {After: "mug", Buy: "jug", Chance: .3}, {After: "mug", Buy: "mug", Chance: .9}}
	p := &profile.Profile{}
	for i := range int64(3) {
		p.Views.Recent = append(p.Views.Recent, profile.View{At: now + i*day, Product: "chair", Category: "Home > Chairs", PriceMicros: 400 * million})
	}
	r := new(Reader)
	text := func(s playbook.Score, at int64) string {
		r.Of(&set, p, time.UTC)
		text, _ := r.Text(s, at)
		return text
	}
	for s, want := range map[playbook.Score]string{playbook.ViewsTier: "premium", playbook.OrdersTier: "", playbook.FavouriteCategory: "Home > Chairs",
		playbook.FavouriteType: "Chairs", playbook.InterestCategory: "Home > Chairs", playbook.NextProduct: ""} {
		if got := text(s, now+3*day); got != want {
			t.Errorf("%v = %q, want %q", s, got, want)
		}
	}
	if got := text(playbook.InterestCategory, now+14*day); got != "" {
		t.Errorf("interest two weeks after the first of three views = %q, want none", got)
	}
	order(p, now+4*day, 5)
	p.Orders.Recent[0].Items = []profile.Item{{Product: "mug", Category: "Home > Mugs", PriceMicros: 5 * million}, {Product: "jug", Category: "Home > Chairs"}}
	for s, want := range map[playbook.Score]string{playbook.OrdersTier: "low", playbook.FavouriteCategory: "Home > Chairs", playbook.InterestCategory: "", playbook.NextProduct: "pot"} {
		if got := text(s, now+4*day); got != want {
			t.Errorf("after the order %v = %q, want %q", s, got, want)
		}
	}
}

// Who goes to and fro between two categories has one favourite all the time, and
// one look makes none.
func TestFavouriteStays(t *testing.T) {
	p, changed, was := &profile.Profile{}, 0, ""
	for i := range int64(40) {
		p.Views.Recent = append(p.Views.Recent, profile.View{At: now + i, Category: []string{"mugs", "pots"}[i%2]})
		text, _ := reader(p).Text(playbook.FavouriteCategory, now+i)
		if text != was {
			changed++
		}
		if was = text; i == 0 && text != "" {
			t.Errorf("after one look: %q, want none", text)
		}
	}
	if changed != 1 || was != "mugs" {
		t.Errorf("changed %d times, to %q at last, want once, to mugs", changed, was)
	}
	p.Views.Recent = append(p.Views.Recent, profile.View{At: now + 41, Category: "pots"}, profile.View{At: now + 42, Category: "pots"})
	if text, _ := reader(p).Text(playbook.FavouriteCategory, now+42); text != "pots" {
		t.Errorf("favourite = %q after more looks at pots", text)
	}
}

// Whoever waits for sales is told from who buys at full price, and every sign of it
// counts; of whom nothing is known is as everybody.
func TestPriceSensitivity(t *testing.T) {
	set := *models.Default()
	set.Price.Low, set.Price.Premium = 10, 100
	r := new(Reader)
	score := func(p *profile.Profile) float64 {
		r.Of(&set, p, time.UTC)
		v, _ := r.At(playbook.PriceSensitivity, now)
		return float64(v) / million
	}
	if x := score(&profile.Profile{}); x != set.Price.Sensitivity {
		t.Errorf("of nobody: %v, want %v", x, set.Price.Sensitivity)
	}
	waits, buys := &profile.Profile{}, &profile.Profile{}
	for i := range int64(8) {
		order(waits, now+i*day, 20)
		order(buys, now+i*day, 20)
	}
	waits.Orders.Discounted = 7
	if a, b := score(waits), score(buys); a < .75 || b > .1 {
		t.Errorf("7 of 8 orders with a discount: %v, none: %v, want more than .75 and less than .1", a, b)
	}
	score(waits)
	if why := strings.Join(r.Reasons(playbook.PriceSensitivity, now), "; "); why != "orders with a discount: 7 of 8" {
		t.Errorf("reasons: %q", why)
	}
	view := func(p *profile.Profile, price int64) {
		p.Views.Recent = append(p.Views.Recent, profile.View{At: now, Product: "mug", PriceMicros: price * million})
	}
	named := func(p *profile.Profile, names ...string) {
		for _, name := range names {
			p.Named = append(p.Named, profile.Named{Name: name, At: now, CheapestFirst: name == "Product List Filtered"})
		}
	}
	refused := &profile.Profile{}
	named(refused, "Coupon Entered", "Coupon Denied", "coupon entered", "coupon denied", "Coupon Entered")
	if x, want := score(refused), (.3*5+3)/(5+3); math.Abs(x-want) > 1e-6 {
		t.Errorf("three coupons tried, two refused: %v, want %v", x, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		p := &profile.Profile{}
		for range rapid.IntRange(0, 5).Draw(t, "orders") {
			order(p, now, 20)
			p.Orders.Discounted += rapid.Int64Range(0, 1).Draw(t, "discount")
		}
		for range rapid.IntRange(0, 10).Draw(t, "views") {
			view(p, rapid.SampledFrom([]int64{5, 20, 200}).Draw(t, "price"))
		}
		for range rapid.IntRange(0, 3).Draw(t, "coupons") {
			named(p, "coupon entered", "Coupon Denied")
		}
		before := score(p)
		if before < 0 || before > 1 {
			t.Fatalf("%v, want 0 to 1", before)
		}
		sign := rapid.SampledFrom([]string{"a discount", "full price", "cheap", "dear", "coupon", "sort", "quiz"}).Draw(t, "sign")
		up := map[string]int{"a discount": 1, "cheap": 1, "coupon": 1, "sort": 1, "full price": -1, "dear": -1}[sign]
		switch sign {
		case "a discount", "full price":
			order(p, now, 20)
			if sign == "a discount" {
				p.Orders.Discounted++
			}
		case "cheap":
			view(p, 5)
		case "dear":
			view(p, 20)
		case "coupon":
			named(p, "Coupon Entered", "Coupon Applied")
			if p.Orders.Discounted > 0 {
				up = 0 // it may be that of an order
			}
		case "sort":
			named(p, "Product List Filtered")
		case "quiz":
			named(p, "Quiz")
		}
		if after := score(p); up > 0 && after <= before || up < 0 && after >= before || sign == "quiz" && after != before || sign == "coupon" && after < before {
			t.Fatalf("%v, and after %s %v", before, sign, after)
		}
	})
}

// Of 40 orders, two a day, 32 are kept: there were 20 days all the same.
func TestMoreOrdersThanAreKept(t *testing.T) {
	p := &profile.Profile{}
	for i := range int64(40) {
		order(p, now+i/2*7*day, 10)
	}
	p.Orders.First = now
	p.Orders.Recent = p.Orders.Recent[8:]
	if o := reader(p).ordered(); o.days != 20 || o.first != now || o.mean != 20 {
		t.Errorf("got %+v, want 20 days of 20", *o)
	}
}

func TestChanges(t *testing.T) {
	p := monthly()
	r := reader(p)
	changes, next := Changes(r, p, nil, now, All), int64(0)
	var named []string
	for _, c := range changes {
		named = append(named, playbook.Score(c.Is.Of).String())
	}
	if got := fmt.Sprint(named); got != "[scores.value scores.next_order scores.price_sensitivity scores.engagement]" || next != 0 {
		t.Errorf("published at first: %s, next %d", got, next)
	}
	if changes := Changes(r, p, nil, now+1, All); len(changes) != 0 {
		t.Errorf("published again: %+v", changes)
	}
	edges, err := playbook.Parse("playbook.yaml", []byte(`
store: {name: Alder, url: https://alder.example, currency: GBP}
brand: {from: Alder <hello@alder.example>, address: 1 Mill Lane}
segments:
  fading: {enter: scores.churn >= 0.3}
  gone: {enter: scores.churn >= 0.5}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{300_000, 500_000} {
		at := max(now, next)
		changes, next = Changes(r, p, edges, at, Time), Next(r, edges, at, 0)
		if want == 300_000 {
			if len(changes) != 0 || next == 0 {
				t.Fatalf("published %+v, next %d, want nothing until churn crosses", changes, next)
			}
			changes, next = Changes(r, p, edges, next, Time), Next(r, edges, next, 0)
		}
		if len(changes) != 1 || changes[0].Is.Of != int64(playbook.Churn) || changes[0].Edge == nil || *changes[0].Edge != want || changes[0].Is.N < want {
			t.Fatalf("published %+v, want churn that crosses %d", changes, want)
		}
	}
	if next != 0 {
		t.Errorf("next = %d, want never", next)
	}
	visit(p, now+400*day)
	r.Of(models.Default(), p, time.UTC)
	if changes := Changes(r, p, edges, now+400*day, Numbers); len(changes) == 0 || changes[0].Edge == nil || *changes[0].Edge != 300_000 || changes[0].Is.N != 0 {
		t.Errorf("after a visit: %+v, want churn below .3", changes)
	}
}

func BenchmarkReader(b *testing.B) {
	p := monthly()
	for i := range int64(64) {
		p.Views.Recent = append(p.Views.Recent, profile.View{At: now - 64*600_000 + i*600_000, Product: fmt.Sprint("p", i%9), Category: fmt.Sprint("c", i%5)})
	}
	r := new(Reader)
	for s := range count {
		b.Run("score="+s.String(), func(b *testing.B) {
			b.ReportAllocs()
			for i := int64(0); b.Loop(); i++ {
				r.Of(models.Default(), p, time.UTC)
				if s >= texts {
					r.Text(s, now+i)
				} else {
					r.At(s, now+20*day+i)
				}
			}
		})
	}
	b.Run("crosses=churn", func(b *testing.B) {
		for i := int64(0); b.Loop(); i++ {
			r.Of(models.Default(), p, time.UTC)
			playbook.Crosses(r, playbook.Churn, []int64{500_000}, now+i)
		}
	})
	b.Run("changes=all", func(b *testing.B) {
		for i := int64(0); b.Loop(); i++ {
			r.Of(models.Default(), p, time.UTC)
			Changes(r, p, nil, now+i, All)
		}
	})
}
