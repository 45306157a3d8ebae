package sendtime

import (
	"math"
	"time"
)

// Evaluation says how well the hours of later instants were told from earlier
// ones, beside the curve of the population.
type Evaluation struct {
	// People had an instant to tell, New of them none before.
	People, New    int
	Learnt, Tested int // instants
	Model          *Model
	Own            Figures
	Population     Figures
	// Gain is by how many bits an instant a person's curve is above the
	// population's, Error its standard error, where a person is one observation.
	Gain, Error float64
}

// Figures are how good curves are.
type Figures struct {
	// Bits is the mean logarithm, to base 2, of the chance of the hour that came:
	// -7.39 if all hours of the week are equal, 0 if it is certain.
	Bits float64
	// Windows are the shares of instants in the best so many hours of the day.
	Windows [24 + 1]float64
}

// Evaluate learns from the first 70% of each person's instants, which are in
// order, and tells the rest. Who has one alone only has it told.
func Evaluate(people [][]time.Time) *Evaluation {
	before, after := Split(people)
	e := &Evaluation{Model: Learn(before)}
	type sum struct{ more, instants float64 }
	var sums []sum
	for i, instants := range after {
		e.Learnt += len(before[i])
		if len(instants) == 0 {
			continue
		}
		e.People++
		if len(before[i]) == 0 {
			e.New++
		}
		own := e.Model.Curve(before[i])
		e.Tested += len(instants)
		more := e.Own.add(&own, instants) - e.Population.add(&e.Model.Population, instants)
		sums = append(sums, sum{more, float64(len(instants))})
	}
	if e.Tested == 0 {
		return e
	}
	e.Own.average(e.Tested)
	e.Population.average(e.Tested)
	e.Gain = e.Own.Bits - e.Population.Bits
	squares := 0.0
	for _, s := range sums {
		off := s.more - e.Gain*s.instants
		squares += off * off
	}
	if n := float64(len(sums)); n > 1 {
		e.Error = math.Sqrt(squares*n/(n-1)) / float64(e.Tested)
	}
	return e
}

// add sums what came by a curve, and is the bits of it.
func (f *Figures) add(curve *Curve, instants []time.Time) (bits float64) {
	var from [24 + 1]int
	for hours := range from {
		from[hours] = curve.Window(hours)
	}
	for _, at := range instants {
		bits += math.Log2(curve[HourOf(at)])
		for hours, start := range from {
			if (at.Hour()-start+24)%24 < hours {
				f.Windows[hours]++
			}
		}
	}
	f.Bits += bits
	return bits
}

func (f *Figures) average(n int) {
	f.Bits /= float64(n)
	for hours := range f.Windows {
		f.Windows[hours] /= float64(n)
	}
}
