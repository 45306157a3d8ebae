package likelihood

import (
	"math"
	"testing"
)

// A normal distribution of mean 3 and deviation 2 seen 400 times: the maximum and
// the errors are known.
func TestMaximize(t *testing.T) {
	const n, mean, variance = 400, 3, 4
	found, err := Maximize(Problem{
		Start: []float64{1, 1},
		LogLikelihood: func(p []float64) float64 {
			return -n * (math.Log(p[1]) + (variance+(mean-p[0])*(mean-p[0]))/(2*p[1]*p[1]))
		},
		Seen: n,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{mean, math.Sqrt(variance)} {
		if math.Abs(found.Parameters[i]-want) > 1e-6 {
			t.Errorf("parameter %d is %v, want %v", i, found.Parameters[i], want)
		}
	}
	for i, want := range []float64{math.Sqrt(variance) / 20, math.Sqrt(variance) / math.Sqrt(2*n)} {
		if got := found.StandardErrors[i]; math.Abs(got-want) > 1e-4 {
			t.Errorf("standard error %d is %v, want %v", i, got, want)
		}
	}
}

// A crooked ridge (Rosenbrock's, in four logarithms) is climbed to its top.
func TestRidge(t *testing.T) {
	found, err := Maximize(Problem{
		Start: []float64{1, 1, 1, 1},
		LogLikelihood: func(p []float64) float64 {
			sum := 0.0
			for i := range 3 {
				u, v := math.Log(p[i]), math.Log(p[i+1])
				sum -= 1e3*(v-u*u)*(v-u*u) + (1-u)*(1-u)
			}
			return sum
		},
		Seen: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range found.Parameters {
		if math.Abs(got-math.E) > 1e-3 {
			t.Errorf("parameter %d is %v, want e", i, got)
		}
	}
}

// A likelihood that rises without end has a maximum, hardly beyond a thousandfold,
// with no standard errors.
func TestRisesWithoutEnd(t *testing.T) {
	found, err := Maximize(Problem{
		Start:         []float64{1, 5},
		LogLikelihood: func(p []float64) float64 { return -10 * (1/p[0] + p[1]) },
		Seen:          10,
	})
	if err != nil {
		t.Fatal(err)
	}
	if p := found.Parameters; !(p[0] > 900 && p[0] < 1100) || !(p[1] > .0045 && p[1] < .0055) {
		t.Errorf("parameters are %v, want about 1000 and .005", p)
	}
	if found.StandardErrors != nil {
		t.Errorf("standard errors are %v, want none", found.StandardErrors)
	}
}

func TestNoLikelihood(t *testing.T) {
	if _, err := Maximize(Problem{
		Start:         []float64{1},
		LogLikelihood: func([]float64) float64 { return math.Inf(-1) },
		Seen:          1,
	}); err == nil {
		t.Error("want an error")
	}
}
