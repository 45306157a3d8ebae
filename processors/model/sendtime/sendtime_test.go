package sendtime

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var monday = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// weekly are instants of one a week, from the first on.
func weekly(first time.Time, n int) (all []time.Time) {
	for i := range n {
		all = append(all, first.AddDate(0, 0, 7*i))
	}
	return all
}

// Early birds and night owls have an hour of their own, who is new that of the
// most, and who showed little something between.
func TestOwnHour(t *testing.T) {
	var people [][]time.Time
	for i := range 40 {
		hour := 7
		if i%4 == 0 {
			hour = 22
		}
		people = append(people, weekly(monday.Add(time.Duration(hour+24*(i%7))*time.Hour), 30))
	}
	m := Learn(people)
	for _, tc := range []struct {
		name     string
		instants []time.Time
		want     int
	}{
		{"an owl", people[0], 22},
		{"an early bird", people[1], 7},
		{"a new one", nil, 7},
	} {
		curve := m.Curve(tc.instants)
		if got := curve.Window(1); got != tc.want {
			t.Errorf("best hour of %s = %d, want %d", tc.name, got, tc.want)
		}
	}
	if got := m.Curve(nil); got != m.Population && !near(got[:], m.Population[:], 1e-15) {
		t.Error("the curve of nobody known is not the population's")
	}
	at := func(n int) float64 {
		curve := m.Curve(weekly(monday.Add(22*time.Hour), n))
		return curve[22]
	}
	if !(at(0) < at(1) && at(1) < at(5) && at(5) < at(50)) {
		t.Errorf("chance of an hour seen 0, 1, 5, 50 times = %v, %v, %v, %v, want it to grow", at(0), at(1), at(5), at(50))
	}
}

func near(got, want []float64, within float64) bool {
	return slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) <= within })
}

// Published weights of a standard deviation of an hour; the hours at both ends of
// the day and of the week are neighbours.
func TestSmoothing(t *testing.T) {
	want := []float64{.398942, .241971, .053991, .004432, .000134}
	for _, weights := range [][]float64{ofDay, ofWeek} {
		if !near(weights[:5], want, 5e-7) {
			t.Errorf("weights = %.6f, want %.6f", weights[:5], want)
		}
		n := len(weights)
		counted, smoothed := make([]float64, n), make([]float64, n)
		counted[n-1] = 1
		smooth(smoothed, counted, weights)
		if smoothed[0] != smoothed[n-2] || math.Abs(smoothed[0]-.241971) > 5e-7 {
			t.Errorf("of a spike in the last hour the first gets %v, the one before %v, want the same", smoothed[0], smoothed[n-2])
		}
	}
}

// By hand: a population of no hour in particular, and one instant.
func TestByHand(t *testing.T) {
	m := Model{Day: 3, Week: 9}
	for hour := range m.Population {
		m.Population[hour] = 1. / Hours
	}
	curve := m.Curve([]time.Time{monday.Add(5 * time.Hour)})
	for hour, want := range map[int]float64{
		5:      (.398942 + 9*(.398942+3./24)/4/7) / 10,
		6:      (.241971 + 9*(.241971+3./24)/4/7) / 10,
		24 + 5: 9 * (.398942 + 3./24) / 4 / 7 / 10,
		12:     9 * (3. / 24) / 4 / 7 / 10,
	} {
		if math.Abs(curve[hour]-want) > 1e-6 {
			t.Errorf("curve[%d] = %.6f, want %.6f", hour, curve[hour], want)
		}
	}
	m.HalfLife = day
	faded := m.Curve([]time.Time{monday.Add(5 * time.Hour), monday.Add(53 * time.Hour)})
	if math.Abs((faded[53]-faded[77])-4*(faded[5]-faded[29])) > 1e-9 {
		t.Errorf("what was two half-lives before the last counts %v beside its %v, want a quarter", faded[5]-faded[29], faded[53]-faded[77])
	}
}

// A curve sums to 1 and nothing is impossible, whatever was.
func TestAnyCurve(t *testing.T) {
	hours := rapid.SliceOfN(rapid.IntRange(0, 10_000), 0, 40)
	rapid.Check(t, func(t *rapid.T) {
		var people [][]time.Time
		for _, drawn := range rapid.SliceOfN(hours, 0, 5).Draw(t, "people") {
			slices.Sort(drawn)
			var instants []time.Time
			for _, h := range drawn {
				instants = append(instants, monday.Add(time.Duration(h)*time.Hour))
			}
			people = append(people, instants)
		}
		e := Evaluate(people)
		for _, instants := range append(people, nil) {
			curve, sum := e.Model.Curve(instants), 0.0
			for hour, p := range curve {
				if sum += p; !(p > 0) {
					t.Fatalf("curve[%d] = %v, want more than 0", hour, p)
				}
			}
			if math.Abs(sum-1) > 1e-9 {
				t.Fatalf("the curve sums to %v", sum)
			}
		}
		if e.Tested > 0 && (e.Own.Windows[0] != 0 || e.Own.Windows[24] != 1 || !(e.Own.Bits < 0)) {
			t.Fatalf("got %+v", e)
		}
	})
}

// What is told teaches nothing: who was there at all hours of the morning and then
// always at 20:00 is not looked for there.
func TestLaterInstantsAreNotLearnt(t *testing.T) {
	var people [][]time.Time
	for range 20 {
		var instants []time.Time
		for i := range 7 {
			instants = append(instants, monday.Add(time.Duration(24*i+2*i)*time.Hour))
		}
		people = append(people, append(instants, weekly(monday.AddDate(0, 0, 7).Add(20*time.Hour), 3)...))
	}
	e := Evaluate(people)
	if e.Learnt != 140 || e.Tested != 60 || e.Own.Windows[4] != 0 || e.Population.Windows[4] != 0 || e.Own.Windows[24] != 1 {
		t.Errorf("got %+v of 140 instants and 60, want none of these in the best hours", e)
	}
}

// Of windows around a single hour that hold as much the earliest of the day is
// taken, wherever the hour is.
func TestWindow(t *testing.T) {
	for hour := range 24 {
		curve := population([][]time.Time{{monday.Add(time.Duration(hour) * time.Hour)}})
		if got, want := curve.Window(4), min((hour+22)%24, (hour+23)%24); got != want {
			t.Errorf("best 4 hours around %d:00 begin at %d, want %d", hour, got, want)
		}
	}
}

// Where people have no hours of their own, following them costs next to nothing,
// however many they are and however much each did.
func TestNoRhythmOfTheirOwn(t *testing.T) {
	for _, size := range [][2]int{{10, 10}, {10, 40}, {30, 20}, {100, 10}, {100, 100}, {300, 4}} {
		r, sum := rand.New(rand.NewPCG(1, uint64(size[0]))), 0.0
		for range 6 {
			var people [][]time.Time
			for range size[0] {
				var instants []time.Time
				for i := range size[1] {
					instants = append(instants, monday.AddDate(0, 0, i).Add(time.Duration(8+r.IntN(12))*time.Hour))
				}
				people = append(people, instants)
			}
			sum += Evaluate(people).Gain
		}
		if got := sum / 6; got < -.01 {
			t.Errorf("%d people with %d instants: %.4f bits against the population's curve, want -.01 or more", size[0], size[1], got)
		}
	}
}

// The best hour is one of the wall clock: the same before and after it changes,
// though it is another in UTC; inside the window, and before its end.
func TestBestAcrossAClockChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	var winter []time.Time
	for i := range 90 {
		winter = append(winter, time.Date(2026, 1, 1+i, 18, 20, 0, 0, berlin))
	}
	m := Learn([][]time.Time{winter[:80]})
	curve := m.Curve(winter[:80])
	on := func(month time.Month, day, hour, minute int) time.Time {
		return time.Date(2026, month, day, hour, minute, 0, 0, berlin)
	}
	for _, tc := range []struct{ from, end, want time.Time }{
		{on(3, 28, 9, 30), on(3, 29, 2, 0), on(3, 28, 18, 0)},
		{on(3, 29, 0, 30), on(3, 29, 23, 0), on(3, 29, 18, 0)}, // 2:00 is 3:00
		{on(10, 25, 0, 30), on(10, 25, 23, 0), on(10, 25, 18, 0)},
		{on(6, 1, 18, 40), on(6, 1, 23, 0), on(6, 1, 18, 40)},
		{on(6, 1, 9, 0), on(6, 1, 17, 0), on(6, 1, 16, 0)},
		{on(6, 1, 19, 10), on(6, 2, 8, 0), on(6, 1, 19, 10)},
		{on(6, 1, 9, 0), on(6, 1, 9, 0), on(6, 1, 9, 0)},
		{on(6, 1, 9, 0), time.Unix(1<<50, 0), on(6, 4, 18, 0)}, // no end: the likeliest weekday, of which there was one more
	} {
		if got := curve.Best(tc.from, tc.end); !got.Equal(tc.want) {
			t.Errorf("Best(%v, %v) = %v, want %v", tc.from, tc.end, got, tc.want)
		}
	}
	if a, b := curve.Best(on(3, 28, 9, 0), on(3, 29, 1, 0)).UTC().Hour(), curve.Best(on(3, 29, 9, 0), on(3, 30, 1, 0)).UTC().Hour(); a != 17 || b != 16 {
		t.Errorf("best hours in UTC = %d, %d, want 17 and 16", a, b)
	}
}

// activity is when 223 people committed, each instant with the offset of the clock
// that it was written by.
func activity(t testing.TB) (people [][]time.Time) {
	t.Helper()
	file, err := os.Open("../../../../shared/data/activity_git/activity.csv.gz")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%v: the data lie beside the repository, in shared/data", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zip, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(zip).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]int{}
	for _, r := range records[1:] {
		seconds, err := strconv.ParseInt(r[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		zone, err := time.Parse("-0700", r[2])
		if err != nil {
			t.Fatal(err)
		}
		i, known := places[r[0]]
		if !known {
			i = len(people)
			places[r[0]] = i
			people = append(people, nil)
		}
		people[i] = append(people[i], time.Unix(seconds, 0).In(zone.Location()))
	}
	for _, instants := range people {
		slices.SortStableFunc(instants, time.Time.Compare)
	}
	return people
}

func TestActivity(t *testing.T) {
	people := activity(t)
	e := Evaluate(people)
	t.Logf("%d people, %d instants: bits %.4f, best 4 hours %.4f, of the population %.4f, %.4f; gain %.4f ± %.4f; day %v, week %v, half-life %v",
		e.People, e.Learnt+e.Tested, e.Own.Bits, e.Own.Windows[4], e.Population.Bits, e.Population.Windows[4], e.Gain, 1.96*e.Error, e.Model.Day, e.Model.Week, e.Model.HalfLife)
	if e.People != 223 || e.Learnt+e.Tested != 75061 || e.Own.Bits < -6.65 || e.Own.Windows[4] < .36 || e.Gain < -.01 {
		t.Errorf("got %.4f bits and %.4f in the best 4 hours, %.4f bits over the population, of %d people and %d instants, want -6.65, .36 and -.01 or more, of 223 and 75061",
			e.Own.Bits, e.Own.Windows[4], e.Gain, e.People, e.Learnt+e.Tested)
	}
	// Without their zones the same people are told worse.
	for _, instants := range people {
		for i := range instants {
			instants[i] = instants[i].UTC()
		}
	}
	if utc := Evaluate(people); utc.Own.Bits > e.Own.Bits-.01 || utc.Population.Bits > e.Population.Bits-.2 {
		t.Errorf("in UTC: got %.4f bits, of the population %.4f, want less than %.4f and %.4f in local time", utc.Own.Bits, utc.Population.Bits, e.Own.Bits, e.Population.Bits)
	}
}

func BenchmarkCurve(b *testing.B) {
	m, instants := Learn(nil), weekly(monday, 64)
	b.ReportAllocs()
	for b.Loop() {
		m.Curve(instants)
	}
}
