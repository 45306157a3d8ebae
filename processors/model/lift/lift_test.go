package lift

import (
	"math"
	"testing"

	"segue/processors/model/draw"
)

// Published: 821,588 against 815,482 visitors, p = 1.8e-6 (Kohavi, Tang and Xu,
// "Trustworthy online controlled experiments", 2020, chapter 3). The others are
// chi-squares of whole numbers.
func TestMismatch(t *testing.T) {
	for _, tc := range []struct {
		counts     []int
		want, near float64
	}{
		{[]int{821_588, 815_482}, 1.8e-6, .05e-6},
		{[]int{10, 10, 10}, 1, 0},
		{[]int{60, 40}, .0455003, 1e-7},          // chi-square 4 with 1 degree
		{[]int{40, 20, 30}, .0356740, 1e-7},      // 20/3 with 2, e^(-10/3)
		{[]int{30, 30, 30, 60}, .00043985, 1e-8}, // 18 with 3
		{[]int{0, 50}, 1.54e-12, .01e-12},
		{[]int{7}, 1, 0}, {nil, 1, 0}, {[]int{0, 0}, 1, 0},
	} {
		if got := Mismatch(tc.counts); !(math.Abs(got-tc.want) <= tc.near) {
			t.Errorf("Mismatch(%v) = %v, want %v", tc.counts, got, tc.want)
		}
	}
}

// Of tests that are dealt rightly, one in a thousand is called a mismatch.
func TestMismatchOfRightTests(t *testing.T) {
	const tests, shown = 20_000, 400
	alarms := 0.0
	for i := range uint64(tests) {
		var counts [4]int
		for k := range uint64(shown) {
			counts[draw.Hash(i*shown+k)>>62]++
		}
		if Mismatch(counts[:]) < Suspicious {
			alarms++
		}
	}
	if want := tests * Suspicious; math.Abs(alarms-want) > 4*math.Sqrt(want) {
		t.Errorf("%v alarms in %d tests, want about %v", alarms, tests, want)
	}
}

// An effect is the difference of means, and its error that of Welch.
func TestBetween(t *testing.T) {
	var control, treated Sums
	for _, x := range []float64{1, 2, 3, 4} {
		control.Add(x)
	}
	for _, x := range []float64{5, 5, 8} {
		treated.Add(x)
	}
	got := Between(control, treated)
	// Variances 5/3 and 3, of 4 and 3.
	if want := (Effect{3.5, math.Sqrt(5./12 + 1)}); math.Abs(got.Mean-want.Mean) > 1e-12 || math.Abs(got.Error-want.Error) > 1e-12 {
		t.Errorf("Between = %+v, want %+v", got, want)
	}
}

// Where arms are alike, an interval of 95% that is looked at after every tenth
// customer lies off 0 at any time in no more than 5% of tests, and that of 1.96
// standard errors in far more; where they differ, the truth is within.
func TestAlwaysValid(t *testing.T) {
	const tests, customers, rate = 1000, 4000, .1
	for _, moved := range []float64{0, .02} {
		off, offFixed := 0, 0
		for test := range uint64(tests) {
			var control, treated Sums
			wrong, wrongFixed := false, false
			for i := range uint64(customers) {
				x := float64(draw.Hash(draw.Hash(test)+i)>>11) / (1 << 53)
				did := 0.0
				if i%2 == 0 && x < rate || i%2 == 1 && x < rate+moved {
					did = 1
				}
				if i%2 == 0 {
					control.Add(did)
				} else {
					treated.Add(did)
				}
				if i < 200 || i%10 != 9 {
					continue
				}
				e := Between(control, treated)
				low, high := e.AlwaysValid(.05, .02)
				wrong = wrong || !(low <= moved && moved <= high)
				wrongFixed = wrongFixed || math.Abs(e.Mean-moved) > 1.96*e.Error
			}
			if wrong {
				off++
			}
			if wrongFixed {
				offFixed++
			}
		}
		if off > 50 || offFixed < 200 {
			t.Errorf("effect %v: %d of %d tests alarm at any time, and %d by 1.96 standard errors; want at most 50, and more than 200", moved, off, tests, offFixed)
		}
	}
}
