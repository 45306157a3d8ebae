package playbook

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"segue/schemas/profile"
)

// piece is a score up to an instant: from one number to another, by a line or by
// a curve that falls fast at first.
type piece struct {
	from, to, start, until int64 // until 0: for ever, and to is reached a day later
	curved                 bool
}

func (x piece) at(now int64) int64 {
	length := x.until - x.start
	if x.until == 0 {
		length = day
	}
	part := min(1, float64(now-x.start)/float64(length))
	if x.curved {
		part = 1 - (1-part)*(1-part)*(1-part)
	}
	return x.from + int64(part*float64(x.to-x.from))
}

// pieces are one score, whichever is asked for.
type pieces []piece

func (p pieces) At(_ Score, now int64) (v, until int64) {
	i := slices.IndexFunc(p, func(x piece) bool { return x.until == 0 || now < x.until })
	return p[i].at(now), p[i].until
}

func (pieces) Text(Score, int64) (string, int64) { return "mugs", 0 }
func (pieces) Reasons(Score, int64) []string     { return []string{"silent for 3d", "no order"} }

// again is a score that goes up and down for ever.
type again struct{}

func (again) At(_ Score, now int64) (v, until int64) {
	return now / hour % 2 * 400_000, (now/hour + 1) * hour
}
func (again) Text(Score, int64) (string, int64) { return "", 0 }
func (again) Reasons(Score, int64) []string     { return nil }

// A customer whose churn rises by itself: the condition knows to the millisecond
// when it reaches a half, and says so.
func TestScoreCrosses(t *testing.T) {
	gone := mustCompile(t, `scores.churn >= 0.5`)
	rises := pieces{{from: 200_000, to: 700_000, start: noon, until: noon + 10*day}, {from: 900_000, to: 900_000, start: noon + 10*day}}
	ada := &profile.Profile{Customer: "ada"}
	holds, next := gone.Holds(Facts{Profile: ada, Scores: rises, Now: noon})
	if holds || next != noon+6*day {
		t.Fatalf("at 0.2: Holds = %v, %+d ms, want false until %+d ms", holds, next-noon, 6*day)
	}
	for _, x := range []struct {
		at    int64
		holds bool
		why   string
	}{{next - 1, false, "scores.churn >= 0.5 (0.499999)"}, {next, true, "scores.churn >= 0.5 (0.5)"}, {noon + 8*day, true, "scores.churn >= 0.5 (0.6)"},
		{noon + 7*day + hour, true, "scores.churn >= 0.5 (0.55)"}} {
		f := Facts{Profile: ada, Scores: rises, Now: x.at}
		if holds, next := gone.Holds(f); holds != x.holds || gone.Why(f) != x.why || x.holds && next != 0 {
			t.Errorf("at %+d ms: Holds = %v, %d, %s; want %v, %s", x.at-noon, holds, next, gone.Why(f), x.holds, x.why)
		}
	}
}

func TestNoModelsInForce(t *testing.T) {
	for source, want := range map[string]bool{
		`scores.churn >= 0.5`: false, `scores.value < money(100)`: true, `favourite.category == "mugs"`: false, `next.product == ""`: true,
		`since(scores.next_order) > days(1)`: true, `until(scores.next_order) < days(7)`: false,
	} {
		if holds, next := mustCompile(t, source).Holds(Facts{Profile: &profile.Profile{}, Now: noon}); holds != want || next != 0 {
			t.Errorf("%s: Holds = %v, %d, want %v for ever", source, holds, next, want)
		}
	}
}

func TestInstantsAhead(t *testing.T) {
	due := pieces{{from: noon + 10*day, to: noon + 10*day}}
	for source, want := range map[string]int64{
		`until(scores.next_order) < days(3)`: 7*day + 1, `until(scores.next_order) <= days(3)`: 7 * day, `until(scores.next_order) > days(3)`: 7 * day,
		`days(3) <= until(scores.next_order)`: 7*day + 1, `since(scores.next_order) > days(2)`: 12*day + 1, `until(scores.next_order) < days(12)`: 0,
	} {
		c := mustCompile(t, source)
		f := Facts{Profile: &profile.Profile{}, Scores: due, Now: noon}
		holds, next := c.Holds(f)
		if want == 0 {
			want = -noon
		}
		if next-noon != want {
			t.Errorf("%s: next %+d ms, want %+d ms", c.Why(f), next-noon, want)
			continue
		}
		for _, at := range []int64{next - 1, next} {
			f.Now = at
			if got, _ := c.Holds(f); next != 0 && got != (holds == (at < next)) {
				t.Errorf("%s at %+d ms: %v", c.Why(f), at-next, got)
			}
		}
	}
}

// Whatever pieces a score has: at the instant that is said the comparison turns, and
// at none before it.
func TestCrossingIsExact(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var all pieces
		start := noon
		for range rapid.IntRange(0, 4).Draw(r, "pieces") {
			x := piece{from: rapid.Int64Range(0, 12).Draw(r, "from"), to: rapid.Int64Range(0, 12).Draw(r, "to"), start: start,
				until: start + rapid.Int64Range(1, 400).Draw(r, "long"), curved: rapid.Bool().Draw(r, "curved")}
			all, start = append(all, x), x.until
		}
		last := rapid.Int64Range(0, 12).Draw(r, "last")
		all = append(all, piece{from: last, to: last, start: start})
		op := rapid.SampledFrom([]string{"<", "<=", ">", ">="}).Draw(r, "op")
		c := mustCompile(t, fmt.Sprintf("scores.churn %s 0.00000%d", op, rapid.IntRange(0, 9).Draw(r, "than")))
		f := Facts{Profile: &profile.Profile{}, Scores: all, Now: noon}
		holds, next := c.Holds(f)
		for f.Now < start+2 {
			if f.Now++; next == 0 && f.Now == start+2 {
				return
			}
			later, _ := c.Holds(f)
			if later != holds {
				break
			}
		}
		if f.Now != next {
			r.Fatalf("%s: turns at %+d, said %+d", c.Why(f), f.Now-noon, next-noon)
		}
	})
}

// Long pieces are solved for, at every scale, and not walked through.
func TestCrossingOfLongPieces(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		x := piece{from: rapid.Int64Range(0, 1_000_000).Draw(r, "from"), to: rapid.Int64Range(0, 1_000_000).Draw(r, "to"), start: noon,
			until: noon + rapid.Int64Range(1, 4000*day).Draw(r, "long"), curved: rapid.Bool().Draw(r, "curved")}
		than := rapid.Int64Range(0, 1_000_000).Draw(r, "than")
		f := Facts{Profile: &profile.Profile{}, Scores: pieces{x, {from: x.to, to: x.to, start: x.until}}, Now: noon}
		c := mustCompile(t, "scores.churn >= "+share(than))
		holds, next := c.Holds(f)
		if next == 0 {
			if (x.to >= than) != holds {
				r.Fatalf("%s: never turns, but ends at %s", c.Why(f), share(x.to))
			}
			return
		}
		for at, want := range map[int64]bool{next - 1: holds, next: !holds} {
			f.Now = at
			if got, _ := c.Holds(f); got != want {
				r.Fatalf("%s at %+d ms of the crossing: %v", c.Why(f), at-next, got)
			}
		}
	})
}

// What never settles is looked after for a while, and then asked again.
func TestScoreThatNeverSettles(t *testing.T) {
	c := mustCompile(t, `scores.propensity >= 0.5 || since(last.order) < hours(1)`)
	now := noon
	for range 3 {
		holds, next := c.Holds(Facts{Profile: &profile.Profile{}, Scores: again{}, Now: now})
		if holds || next < now+hour {
			t.Fatalf("Holds = %v, %+d ms, want to be asked again", holds, next-now)
		}
		now = next
	}
	if _, next := mustCompile(t, `scores.propensity >= 0.4`).Holds(Facts{Profile: &profile.Profile{}, Scores: again{}, Now: noon}); next != noon/hour*hour+hour {
		t.Errorf("next %+d ms, want the next hour", next-noon)
	}
}

func TestThresholds(t *testing.T) {
	pb := withNeeds(mustCompile(t, `scores.churn >= 0.5 || scores.churn < 0.2`), mustCompile(t, `scores.churn <= 0.5 && scores.value == money(3)`))
	if got, want := pb.Thresholds(Churn), []int64{200_000, 500_000, 500_001}; !slices.Equal(got, want) {
		t.Errorf("Thresholds(Churn) = %v, want %v", got, want)
	}
	if got, want := pb.Thresholds(Value), []int64{3_000_000, 3_000_001}; !slices.Equal(got, want) {
		t.Errorf("Thresholds(Value) = %v, want %v", got, want)
	}
	if got := pb.Thresholds(Engagement); got != nil {
		t.Errorf("Thresholds(Engagement) = %v, want none", got)
	}
}

func BenchmarkCrossing(b *testing.B) {
	c := mustCompile(b, `scores.churn >= 0.5`)
	f := Facts{Profile: &profile.Profile{}, Scores: pieces{{from: 900_000, to: 100_000, start: noon, until: noon + 30*day, curved: true}, {from: 100_000, to: 100_000}}, Now: noon}
	b.ReportAllocs()
	for b.Loop() {
		c.Holds(f)
	}
}
