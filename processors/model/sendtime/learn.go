package sendtime

import (
	"math"
	"time"
)

const (
	// anywhere is how many instants of no hour in particular stand beside those
	// that are counted, so that nothing is impossible.
	anywhere = 24.0
	// asked is about how many people the strengths are fitted to, spread evenly.
	asked = 5000

	day  = 24 * time.Hour
	year = 365 * day
)

// What is tried. The largest strength leaves the population's curve alone.
var (
	strengths = []float64{3, 10, 30, 100, 300, 1000, 1e6}
	halfLives = []time.Duration{0, 90 * day, year / 2, year, 2 * year}
)

// Learn makes a model of the instants of each person, the earliest first.
func Learn(people [][]time.Time) *Model {
	m := &Model{Population: population(people), Day: 100, Week: 1000}
	var some [][]time.Time
	for i := 0; i < len(people); i += 1 + len(people)/asked {
		some = append(some, people[i])
	}
	before, after := Split(some)
	trial := *m
	trial.Population = population(before)
	best := trial.bits(before, after)
	try := func(set func(*Model)) {
		other := trial
		set(&other)
		if bits := other.bits(before, after); better(bits, best) {
			best, trial = bits, other
			set(m)
		}
	}
	// One after the other, twice: they hardly depend on each other.
	for range 2 {
		for _, s := range strengths {
			try(func(m *Model) { m.Day = s })
		}
		for _, s := range strengths {
			try(func(m *Model) { m.Week = s })
		}
		for _, h := range halfLives {
			try(func(m *Model) { m.HalfLife = h })
		}
	}
	return m
}

// population is the curve of all instants.
func population(people [][]time.Time) (curve Curve) {
	var counted Curve
	total := 0.0
	for _, instants := range people {
		for _, at := range instants {
			counted[HourOf(at)]++
			total++
		}
	}
	smooth(curve[:], counted[:], ofWeek)
	for hour := range curve {
		curve[hour] = (curve[hour] + anywhere/Hours) / (total + anywhere)
	}
	return curve
}

// Split leaves the first 70% of each person's instants before, the rest after.
func Split(people [][]time.Time) (before, after [][]time.Time) {
	for _, instants := range people {
		cut := len(instants) * 7 / 10
		before, after = append(before, instants[:cut]), append(after, instants[cut:])
	}
	return before, after
}

// bits are how likely instants of each person were by what was before: the sum of
// the logarithms to base 2.
func (m *Model) bits(before, after [][]time.Time) []float64 {
	bits := make([]float64, len(after))
	for i, instants := range after {
		if len(instants) == 0 {
			continue
		}
		curve := m.Curve(before[i])
		for _, at := range instants {
			bits[i] += math.Log2(curve[HourOf(at)])
		}
	}
	return bits
}

// better says whether bits are more than others by more than the standard error of
// that: less is chance, of which a choice among many finds some.
func better(bits, others []float64) bool {
	more, squares := 0.0, 0.0
	for i := range bits {
		difference := bits[i] - others[i]
		more += difference
		squares += difference * difference
	}
	return more > math.Sqrt(squares)
}
