package special

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func near(got, want, relative float64) bool { return math.Abs(got-want) <= relative*math.Abs(want) }

// Values of mpmath 1.3 with 60 digits.
func TestGauss1(t *testing.T) {
	for _, v := range [][4]float64{
		{.5, 1.2, .3, 1.1585899941642005},
		{.553, 1.159, 0, 1},
		{26.55, 27.2, .2, 1.242638999812111},
		{221.5, 221.8, -3.9, .20430236246393412},
		{.01, .02, .999, 467.31204295699082},
		{3, 4.5, .9999, 6.7979619276373273},
		{1000, 1001, .5, 1.9980059741489273},
		{.5, 2, -50, .245657137141714},
	} {
		if got := Gauss1(v[0], v[1], v[2]); !near(got, v[3], 1e-12) {
			t.Errorf("Gauss1(%v, %v, %v) = %v, want %v", v[0], v[1], v[2], got, v[3])
		}
	}
}

// Near 1 the series and the fraction are the same function.
func TestGauss1Near1(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := math.Exp(rapid.Float64Range(-5, 5).Draw(t, "b"))
		s := rapid.OneOf(rapid.Float64Range(-.99, 19), rapid.Float64Range(19, 400)).Draw(t, "s")
		rest := math.Exp(rapid.Float64Range(-9, -4).Draw(t, "rest"))
		c := b + s + 1
		if c <= b || c <= 1 {
			t.Skip("outside what the function is said to take")
		}
		if got, want := Gauss1(b, c, 1-rest), gauss1Fraction(b, c, 1-rest); !near(got, want, 1e-9) {
			t.Fatalf("Gauss1(%v, %v, 1-%v) = %v, by the fraction %v", b, c, rest, got, want)
		}
	})
}

// Values of mpmath 1.3 with 60 digits; where a = 1 or a+b = 1 of a limit.
func TestPurchasesUntilDropout(t *testing.T) {
	for _, v := range [][5]float64{
		{.243, .793, 2.426, 8.8, 1.1934803503489889},
		{26.24, .793, 28.426, 1.47, 26.604227603713211},
		{.5, 1, 2, 1, .40975987533077106},
		{.5, .25, .75, 1, .43632562279813101},
		{.5, .1, .2, 3, 1.1045357402558598},
		{1000, .5, 3, .04, 16.538464623603529},
		{3, 200, 300, 2, 2.0743059161667291},
		{.02, .01, .01, 50, .52374399615389958},
		{.2, .9, 1e5, 1, .19999892002476715},
		{150, 2, 900, .5, 69.209433786083129},
		{1.5, 2.5, 3.5, 5000, 3.3328547715539358},
	} {
		if got := PurchasesUntilDropout(v[0], v[1], v[2], v[3]); !near(got, v[4], 1e-11) {
			t.Errorf("PurchasesUntilDropout(%v, %v, %v, %v) = %v, want %v", v[0], v[1], v[2], v[3], got, v[4])
		}
	}
}

// The series and the quadrature are the same function; it rises with time, and
// never passes what a customer who does not drop out buys.
func TestPurchasesByEitherWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := func(label string, low, high float64) float64 {
			return math.Exp(rapid.Float64Range(math.Log(low), math.Log(high)).Draw(t, label))
		}
		shape, a, b, y := size("shape", 1e-3, 1e4), size("a", 1e-3, 1e4), size("b", 1e-3, 1e4), size("y", 1e-4, 1e4)
		got, want := PurchasesUntilDropout(shape, a, b, y), purchasesByQuadrature(shape, a, b, y)
		if !near(got, want, 1e-8) {
			t.Fatalf("PurchasesUntilDropout(%v, %v, %v, %v) = %v, by quadrature %v", shape, a, b, y, got, want)
		}
		if later := PurchasesUntilDropout(shape, a, b, y*1.1); later < got*(1-1e-9) {
			t.Fatalf("PurchasesUntilDropout(%v, %v, %v, …) falls from %v to %v", shape, a, b, got, later)
		}
		if got > shape*y*(1+1e-9) {
			t.Fatalf("PurchasesUntilDropout(%v, %v, %v, %v) = %v, more than %v", shape, a, b, y, got, shape*y)
		}
	})
}

func TestLogarithms(t *testing.T) {
	for _, tc := range []struct {
		name      string
		got, want float64
	}{
		{"LogRising(.5, 3)", LogRising(.5, 3), math.Log(.5 * 1.5 * 2.5)},
		{"LogRising(.5, 100)", LogRising(.5, 100), LogGamma(100.5) - LogGamma(.5)},
		{"LogRising(1e9, 2)", LogRising(1e9, 2), math.Log(1e9) + math.Log(1e9+1)},
		{"LogRising(2, 0)", LogRising(2, 0), 0},
		{"LogRisingRatio(2, 3, 2)", LogRisingRatio(2, 3, 2), math.Log(3. / 5 * 4. / 6)},
		{"LogRisingRatio(1e8, 1e8, 70)", LogRisingRatio(1e8, 1e8, 70), 70*math.Log(.5) + 70*69./2*(.5e-8)},
		{"LogSum(-1000, -1001)", LogSum(-1000, -1001), -1000 + math.Log(1+math.Exp(-1))},
		{"LogSum(-Inf, 3)", LogSum(math.Inf(-1), 3), 3},
		{"Saturation(0, 3)", Saturation(0, 3), 3},
		{"Saturation(1e-12, 3)", Saturation(1e-12, 3), 3},
		{"Saturation(-.5, 3)", Saturation(-.5, 3), 2 * (math.Exp(1.5) - 1)},
	} {
		if math.Abs(tc.got-tc.want) > 1e-11*max(1, math.Abs(tc.want)) {
			t.Errorf("%s = %v, want %v", tc.name, tc.got, tc.want)
		}
	}
	if got := LogSum(math.Inf(-1), math.Inf(-1)); !math.IsInf(got, -1) {
		t.Errorf("LogSum(-Inf, -Inf) = %v, want -Inf", got)
	}
}

func BenchmarkGauss1(b *testing.B) {
	for b.Loop() {
		Gauss1(2.553, 3.159, -.03)
	}
}

func BenchmarkPurchasesUntilDropout(b *testing.B) {
	for name, y := range map[string]float64{"series": .9, "quadrature": 10} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				PurchasesUntilDropout(2.243, .793, 4.426, y)
			}
		})
	}
}
