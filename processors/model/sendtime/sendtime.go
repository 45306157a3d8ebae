// Package sendtime says at which hour of the week a person is there.
//
//	instants of many people, each in the zone of its own → Learn → Model
//	one person's instants + Model → Curve → the best hour
//
// A person's curve is told in two steps, each shrunk as far as they have shown
// little: their own hours of the day, towards the population's; and their own
// hours of the week, towards what that gives for each weekday. With nothing known
// it is the population's curve. How much a person must have shown to count as much
// as what they are shrunk to, and how fast what they showed fades, is what made
// the later part of everybody's instants likeliest, told from the earlier part:
// empirical Bayes.
//
// Hours are circular: what was at 23:30 says as much of 0:30 as of 22:30, and what
// was on Sunday night says something of Monday morning. A raw histogram of a
// person is worse than the population's curve; smoothed and shrunk it is better.
//
// Not obvious: the hour is that of the clock on the wall where the person is, so
// that it stays the same when clocks change. What fades is counted from a person's
// last instant: who was away for a year is expected at the hours they had. Opens
// of mail echo when it was sent; they are to be divided by that before.
package sendtime

import (
	"math"
	"time"
)

// Hours are in a week, the first from Monday at 0:00.
const Hours = 7 * 24

// Curve is how likely an instant falls into each hour of the week, by the clock on
// the wall; it sums to 1.
type Curve [Hours]float64

// Model is what Learn found. A strength is how many instants of a person count as
// much as what they are shrunk to.
type Model struct {
	Population Curve
	// Day is the strength of the population against a person's hours of the day,
	// Week that of the curve made of these against their hours of the week.
	Day, Week float64
	// HalfLife is after which time an instant counts half, 0 never.
	HalfLife time.Duration
}

// HourOf is the hour of the week of an instant, in the zone it is in.
func HourOf(at time.Time) int { return (int(at.Weekday())+6)%7*24 + at.Hour() }

// spread is the standard deviation of the smoothing, in hours.
const spread = 1

var ofDay, ofWeek = kernel(24), kernel(Hours)

// kernel is how what was in one hour is spread over those after it, in a circle of
// so many.
func kernel(hours int) []float64 {
	weights, sum := make([]float64, hours), 0.0
	for k := range weights {
		d := float64(min(k, hours-k)) / spread
		weights[k] = math.Exp(-d * d / 2)
		sum += weights[k]
	}
	for k := range weights {
		weights[k] /= sum
	}
	return weights
}

// smooth spreads what is counted in each hour; smoothed is all zeros before.
func smooth(smoothed, counted, kernel []float64) {
	for hour, count := range counted {
		if count == 0 {
			continue
		}
		for k, weight := range kernel {
			smoothed[(hour+k)%len(counted)] += count * weight
		}
	}
}

// Curve is that of a person with these instants, the earliest first.
func (m *Model) Curve(instants []time.Time) Curve {
	var day, daySmoothed, population [24]float64
	var week, curve Curve
	total := 0.0
	for _, at := range instants {
		weight := 1.0
		if m.HalfLife > 0 {
			weight = math.Exp2(-float64(instants[len(instants)-1].Sub(at)) / float64(m.HalfLife))
		}
		hour := HourOf(at)
		total += weight
		week[hour] += weight
		day[hour%24] += weight
	}
	smooth(daySmoothed[:], day[:], ofDay)
	smooth(curve[:], week[:], ofWeek)
	for hour, p := range m.Population {
		population[hour%24] += p
	}
	for hour := range curve {
		own := (daySmoothed[hour%24] + m.Day*population[hour%24]) / (total + m.Day)
		shrunk := m.Population[hour] * own / population[hour%24]
		curve[hour] = (curve[hour] + m.Week*shrunk) / (total + m.Week)
	}
	return curve
}

// Window is the hour of the day from which so many hours on hold most of the
// curve, of equals the earliest.
func (c *Curve) Window(hours int) (from int) {
	var day [24]float64
	for hour, p := range c {
		day[hour%24] += p
	}
	most := -1.0
	for start := range day {
		sum := 0.0
		for i := range hours {
			sum += day[(start+i)%24]
		}
		// Sums of the same in another order differ in the last bits.
		if sum > most+1e-12 {
			from, most = start, sum
		}
	}
	return from
}

// Best is the best instant from an instant on and before the end, in the zone of
// the first: the start of the likeliest hour, or the first instant itself if that
// is in it; of equals the earliest. After a week everything comes again, and is not
// looked at. Without a time between it is the first instant.
func (c *Curve) Best(from, end time.Time) time.Time {
	best, most := from, -1.0
	if week := from.AddDate(0, 0, 7); week.Before(end) {
		end = week
	}
	for at := from; at.Before(end); {
		if p := c[HourOf(at)]; p > most {
			best, most = at, p
		}
		into := time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second + time.Duration(at.Nanosecond())
		at = at.Add(time.Hour - into)
	}
	return best
}
