package history

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const day = time.Duration(Day)

func order(t *testing.T, customer, at string, amount float64) Order {
	t.Helper()
	when, err := time.Parse(time.RFC3339, at)
	if err != nil {
		t.Fatal(err)
	}
	return Order{customer, when, amount}
}

// A cohort is who ordered by the end of the calibration; two orders on one date
// are one, in the zone in which the shop wrote them.
func TestCohort(t *testing.T) {
	orders := []Order{
		order(t, "ada", "2026-03-15T10:00:00Z", 30),
		order(t, "ada", "2026-03-01T23:30:00+02:00", 10), // 21:30 in UTC: the first of March
		order(t, "ada", "2026-03-15T20:00:00Z", 12),      // the same date again
		order(t, "ada", "2026-03-31T23:59:59Z", 8),       // the last date of the calibration
		order(t, "ada", "2026-04-01T00:00:00Z", 99),      // the first that is to be forecast
		order(t, "ada", "2026-04-01T12:00:00Z", 99),
		order(t, "ada", "2026-06-30T12:00:00Z", 99), // the last
		order(t, "ada", "2026-07-01T00:00:00Z", 99), // and beyond
		order(t, "bob", "2026-03-31T08:00:00Z", 5),  // known since today
		order(t, "cyd", "2026-04-02T08:00:00Z", 5),  // not known yet
		order(t, "dan", "2026-03-02T08:00:00Z", 0),  // a gift is an order
		order(t, "dan", "2026-03-09T08:00:00Z", 50), // and what comes back is none
		order(t, "dan", "2026-03-09T18:00:00Z", -20),
		order(t, "dan", "2026-03-20T08:00:00Z", -30),
		order(t, "eve", "2026-03-20T08:00:00Z", -30), // nothing was ever ordered
	}
	got := Cohort(orders, order(t, "", "2026-03-31T00:00:00Z", 0).At, order(t, "", "2026-06-30T00:00:00Z", 0).At)
	want := []Customer{
		{"ada", History{2, 30 * day, 30 * day}, (42. + 8) / 2, 2},
		{"bob", History{0, 0, 0}, 0, 0},
		{"dan", History{1, 7 * day, 29 * day}, 30, 0},
	}
	if !slices.Equal(got, want) {
		t.Errorf("Cohort:\n got %v\nwant %v", got, want)
	}
}

// Neither the order of the rows nor that of the customers means anything.
func TestOrderOfRows(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		orders := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Order {
			return Order{
				rapid.SampledFrom([]string{"ada", "bob", "cyd"}).Draw(t, "customer"),
				start.Add(rapid.Custom(func(t *rapid.T) time.Duration {
					return time.Duration(rapid.IntRange(0, 100*24).Draw(t, "hours")) * time.Hour
				}).Draw(t, "at")),
				float64(rapid.IntRange(-2, 9).Draw(t, "amount")),
			}
		})).Draw(t, "orders")
		end, last := start.AddDate(0, 0, 60), start.AddDate(0, 0, 90)
		one, other := Cohort(orders, end, last), Cohort(rapid.Permutation(orders).Draw(t, "permuted"), end, last)
		if !slices.Equal(one, other) {
			t.Fatalf("got %v, and in another order %v", one, other)
		}
		for _, c := range one {
			if !c.Valid() {
				t.Fatalf("got %v, want a valid history", c)
			}
		}
	})
}

func TestTallies(t *testing.T) {
	once, twice := History{0, 0, 10 * day}, History{1, 3 * day, 10 * day}
	got, err := Tallies([]History{twice, once, twice})
	if want := []Tally{{once, 1}, {twice, 2}}; !slices.Equal(got, want) || err != nil {
		t.Errorf("Tallies = %v, %v, want %v", got, err, want)
	}
	if rate, age := Pace(got, Week); math.Abs(rate-2.5/(30./7)) > 1e-12 || math.Abs(age-10./7) > 1e-12 {
		t.Errorf("Pace = %v, %v", rate, age)
	}
	for want, histories := range map[string][]History{
		"got no customers": nil,
		"got a history of 1 repeats, recency 264h0m0s and age 240h0m0s": {{1, 11 * day, 10 * day}},
		"got a history of 0 repeats, recency 24h0m0s":                   {{0, day, 10 * day}},
		"got a history of -1 repeats":                                   {{-1, 0, 10 * day}},
	} {
		if _, err := Tallies(histories); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Tallies(%v): %v, want %s", histories, err, want)
		}
	}
}

func TestUnits(t *testing.T) {
	if got := Week.Of(272 * day); math.Abs(got-38.857142857142854) > 1e-15 {
		t.Errorf("272 days are %v weeks", got)
	}
	if got := Month; got != 30*day+9*time.Hour+57*time.Minute+36*time.Second {
		t.Errorf("a month is %v, want 4.345 weeks", got)
	}
	if got := Day.Times(math.Inf(1)); got < 100*365*day {
		t.Errorf("Times(+Inf) = %v, want more than a century", got)
	}
	for _, u := range []Unit{Day, Week} {
		text, err := json.Marshal(u)
		var back Unit
		if err != nil || json.Unmarshal(text, &back) != nil || back != u {
			t.Errorf("%v is written as %s, %v, and read as %v", u, text, err, back)
		}
	}
	if err := json.Unmarshal([]byte(`"month"`), new(Unit)); err == nil {
		t.Error("a month is no unit of parameters")
	}
}
