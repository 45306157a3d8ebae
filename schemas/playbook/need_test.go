package playbook

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"segue/schemas/profile"
)

// A new playbook asks for what nobody counted so far: it starts with what the
// profile remembers, and what the old one alone asked for is forgotten.
func TestKeepWhenThePlaybookChanges(t *testing.T) {
	before := withNeeds(mustCompile(t, `visits.within(days(7)) >= 1 && views.within(days(7)) >= 1`))
	after := withNeeds(mustCompile(t, `views.within(days(7)) >= 1 && views.in_category("mugs") >= 1 && orders.within(days(30)) == 0 && clicked.within(days(2)) >= 1`))
	p := &profile.Profile{
		Views: profile.Views{Recent: []profile.View{{At: noon, Category: "mugs"}, {At: noon + 2, Category: "Mugs"}}},
		Orders: profile.Orders{Recent: []profile.Order{{ID: "1", At: noon - 40*day}, {ID: "2", At: noon - day, Cancelled: true},
			{ID: "3", At: noon - 2*day}}},
		Clicked: profile.Tally{Count: 8, Last: noon - hour},
	}
	before.RecordVisit(p, noon, noon)
	before.RecordView(p, profile.View{At: noon}, "", noon)
	after.Keep(p, noon)

	for _, source := range []string{
		`views.within(days(7)) == 1`, // as it was counted
		`views.in_category("mugs") == 2`,
		`orders.within(days(30)) == 1`,
		`clicked.within(days(2)) == 1`, // the last one
		`visits.within(days(7)) == 0`,
	} {
		c := mustCompile(t, source)
		if holds, _ := c.Holds(Facts{Profile: p, Now: noon + 3}); !holds {
			t.Errorf("got %s", c.Why(Facts{Profile: p, Now: noon + 3}))
		}
	}
	if !slices.IsSortedFunc(p.Series, func(a, b profile.Series) int { return cmp.Compare(a.Need, b.Need) }) {
		t.Errorf("series by need: got %v", p.Series)
	}
	after.Keep(p, noon+30*day)
	for _, s := range p.Series {
		if len(s.Points) > 0 {
			t.Errorf("30 days later: series %d holds %v, want nothing", s.Need, s.Points)
		}
	}
}

func TestCancelledOrderCountsNoMore(t *testing.T) {
	c := mustCompile(t, `orders.spent(days(30)) >= money(30) && orders.in_category("mugs") >= 1`)
	pb := withNeeds(c)
	p := &profile.Profile{}
	mug := profile.Order{ID: "1", At: noon, ValueMicros: 30e6, Items: []profile.Item{{Category: "mugs"}}}
	pb.RecordOrder(p, profile.Order{ID: "2", At: noon - day, ValueMicros: 5e6}, noon)
	pb.RecordOrder(p, mug, noon)
	if why := c.Why(Facts{Profile: p, Now: noon}); why != `orders.spent(days(30)) >= money(30) (35.00) && orders.in_category("mugs") >= 1 (1)` {
		t.Errorf("before: %s", why)
	}
	pb.RecordCancelled(p, mug, noon)
	if why := c.Why(Facts{Profile: p, Now: noon}); why != `orders.spent(days(30)) >= money(30) (5.00) && orders.in_category("mugs") >= 1 (0)` {
		t.Errorf("after: %s", why)
	}
}

func TestRevaluedOrder(t *testing.T) {
	c := mustCompile(t, `orders.spent(days(30)) >= money(30) && orders.within(days(30)) >= 1`)
	pb := withNeeds(c)
	p := &profile.Profile{}
	o := profile.Order{ID: "1", At: noon, ValueMicros: 30e6}
	pb.RecordOrder(p, o, noon)
	for _, x := range []struct {
		delta, now int64
		want       string
	}{{10e6, noon + day, "(40.00)"}, {-25e6, noon + 30*day - 1, "(15.00)"}, {5e6, noon + 30*day, "(0.00)"}} {
		pb.RecordRevalued(p, o, x.delta, x.now)
		if why := c.Why(Facts{Profile: p, Now: x.now}); !strings.Contains(why, x.want) {
			t.Errorf("worth %+d after %s: %s, want %s", x.delta, Span(x.now-noon), why, x.want)
		}
	}
}

func TestRecordWithoutPlaybook(t *testing.T) {
	var pb *Playbook
	p := &profile.Profile{}
	pb.RecordOrder(p, profile.Order{At: noon}, noon)
	pb.RecordCancelled(p, profile.Order{At: noon}, noon)
	pb.RecordRevalued(p, profile.Order{At: noon}, 1, noon)
	pb.RecordVisit(p, noon, noon)
	pb.Merge(p, &profile.Profile{Series: []profile.Series{{Need: 1, Count: 1}}}, noon)
	if len(p.Series) > 0 {
		t.Errorf("series without a playbook: %v, want none", p.Series)
	}
}

// Up to 256 instants are exact in whatever order they come; beyond, a count is
// never too low, and never holds what left the window more than 1/255 ago. So it
// is when what two counted is joined.
func TestSeriesBounds(t *testing.T) {
	const window = 7 * day
	rapid.Check(t, func(t *rapid.T) {
		n := &Need{Kind: Visits, Window: window}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var s, other profile.Series
		var all []int64
		now := noon
		two := rapid.Bool().Draw(t, "two")
		for range rapid.IntRange(1, 900).Draw(t, "events") {
			now += random.Int64N(window / 400)
			at := now - random.Int64N(hour)
			all = append(all, at)
			if two && random.IntN(2) == 0 {
				n.add(&other, profile.Point{At: at, N: 1}, now)
			} else {
				n.add(&s, profile.Point{At: at, N: 1}, now)
			}
		}
		n.join(&s, &other, now)
		if len(s.Points) > profile.MaxInstants || !slices.IsSortedFunc(s.Points, func(a, b profile.Point) int { return int(a.At - b.At) }) {
			t.Fatalf("%d points, want at most %d, in order", len(s.Points), profile.MaxInstants)
		}
		p := &profile.Profile{Series: []profile.Series{s}}
		c := &count{need: *n}
		for range 20 {
			later := now + random.Int64N(window)
			v, _ := c.eval(Facts{Profile: p, Now: later})
			got := v.n
			within := func(d int64) (m int64) {
				for _, at := range all {
					if at > later-d {
						m++
					}
				}
				return m
			}
			low, high := within(window), within(window+(window+buckets-1)/buckets)
			if len(all) <= profile.MaxInstants {
				high = low
			}
			if got < low || got > high {
				t.Fatalf("%d events, %d points, %s later: got %d, want %d to %d", len(all), len(s.Points), Span(later-now), got, low, high)
			}
		}
	})
}

func TestOutOfOrderLeavesTheSameSeries(t *testing.T) {
	pb := withNeeds(mustCompile(t, `visits.within(days(7)) >= 1`))
	a, b := &profile.Profile{}, &profile.Profile{}
	instants := []int64{noon, noon + 1, noon + 1, noon + hour, noon - day, noon - 8*day}
	now := noon + hour
	for i := range instants {
		pb.RecordVisit(a, instants[i], now)
		pb.RecordVisit(b, instants[len(instants)-1-i], now)
	}
	if !slices.EqualFunc(a.Series, b.Series, func(x, y profile.Series) bool { return slices.Equal(x.Points, y.Points) }) {
		t.Errorf("series differ:\n%v\n%v", a.Series, b.Series)
	}
}

func BenchmarkRecord(b *testing.B) {
	pb := withNeeds(mustCompile(b, `views.within(days(7)) >= 6 && views.in_category("mugs", days(1)) >= 1 && visits.within(minutes(30)) >= 1 && orders.within(days(30)) >= 1`))
	p := &profile.Profile{}
	now := noon
	b.ReportAllocs()
	for b.Loop() {
		now += minute
		pb.RecordView(p, profile.View{At: now, Category: "pots"}, "", now)
	}
}
