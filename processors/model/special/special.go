// Package special holds the functions that the equations of models share, in
// forms that neither overflow nor lose the digits that matter.
//
//	special → paretonbd, bgnbd, mbgnbd, gammagamma
//
// Not obvious: the papers write their results with Gauss's hypergeometric
// function, whose value, and the powers before it, pass the range of float64 at
// two hundred purchases. Here the powers are inside (Euler's and Pfaff's
// transformations), so what is computed has the size of the result.
package special

import "math"

// LogGamma is the logarithm of the gamma function of a positive number.
func LogGamma(x float64) float64 {
	value, _ := math.Lgamma(x)
	return value
}

// LogRising is ln(Γ(a+n)/Γ(a)) for a > 0: the logarithm of a(a+1)…(a+n-1).
func LogRising(a float64, n int) float64 {
	// The difference of two large logarithms would lose what it is about.
	if n > 64 && a < 1e3 {
		return LogGamma(a+float64(n)) - LogGamma(a)
	}
	sum, product := 0.0, 1.0
	for i := range n {
		product *= a + float64(i)
		if product > 1e250 || product < 1e-250 {
			sum, product = sum+math.Log(product), 1
		}
	}
	return sum + math.Log(product)
}

// LogRisingRatio is ln(B(a,b+n)/B(a,b)) for a, b > 0: the logarithm of the
// probability of n failures in a row when that of a success is beta distributed.
func LogRisingRatio(a, b float64, n int) float64 {
	if n > 64 && a+b < 1e3 {
		return LogRising(b, n) - LogRising(a+b, n)
	}
	sum, product := 0.0, 1.0
	for i := range n {
		product *= (b + float64(i)) / (a + b + float64(i))
		if product < 1e-250 {
			sum, product = sum+math.Log(product), 1
		}
	}
	return sum + math.Log(product)
}

// LogSum is ln(exp(a) + exp(b)).
func LogSum(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(a, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// Saturation is (1-exp(-d·u))/d, which is u when d is 0: what a rate that decays
// by d gathers in u. It is what stands in the papers as (1-z^(s-1))/(s-1).
func Saturation(d, u float64) float64 {
	if d == 0 {
		return u
	}
	return -math.Expm1(-d*u) / d
}

// Gauss1 is Gauss's hypergeometric function F(1,b;c;z) for 0 < b < c and z < 1.
//
// Source: Gauss's continued fraction (NIST DLMF 15.7.5), which converges for each
// z, by the method of Lentz; Pfaff's transformation (15.8.1) turns a negative z,
// and near 1, where the fraction is slow, the series is in 1-z (15.8.4).
func Gauss1(b, c, z float64) float64 {
	if z < 0 {
		return Gauss1(c-b, c, z/(z-1)) / (1 - z)
	}
	s, rest := c-1-b, 1-z
	if rest < .01 && rest > 0 && b*rest < .3 && math.Abs(s-math.Round(s)) > 1e-3 {
		return gauss1Near1(b, c, s, rest)
	}
	return gauss1Fraction(b, c, z)
}

// gauss1Near1 is Gauss1 of 1-rest where s = c-1-b is no whole number.
func gauss1Near1(b, c, s, rest float64) float64 {
	term := (c - 1) / s
	sum := term
	for n := 0.; n < 200; n++ {
		term *= (b + n) / (1 - s + n) * rest
		sum += term
		if math.Abs(term) < 1e-16*math.Abs(sum) {
			break
		}
	}
	log, sign := math.Lgamma(-s)
	log += LogGamma(c) - LogGamma(b) + s*math.Log(rest) - (c-1)*math.Log1p(-rest)
	return sum + float64(sign)*math.Exp(log)
}

func gauss1Fraction(b, c, z float64) float64 {
	// 1/(1 - k1 z/(1 - k2 z/(1 - …))) for positive k.
	const tiny = 1e-300
	up, down, value := 1.0, 0.0, 1.0
	for i := 1; i < 1e6; i++ {
		n := float64(i / 2)
		var k float64
		if i%2 == 1 {
			k = (b + n) / (c + 2*n)
			if n > 0 {
				k *= (c + n - 1) / (c + 2*n - 1)
			}
		} else {
			k = n * (c - b + n - 1) / ((c + 2*n - 2) * (c + 2*n - 1))
		}
		down = 1 - k*z*down
		up = 1 - k*z/up
		if down < tiny {
			down = tiny
		}
		if up < tiny {
			up = tiny
		}
		down = 1 / down
		step := up * down
		value *= step
		if math.Abs(step-1) < 1e-15 {
			break
		}
	}
	return 1 / value
}

// PurchasesUntilDropout is how many purchases are expected within y of a
// customer who buys at a rate drawn from Gamma(shape, 1) and drops out after
// each purchase with a probability drawn from Beta(a, b); all are positive. In
// the papers it is (a+b-1)/(a-1) [1 - (1+y)^-shape F(shape,b;a+b-1;y/(1+y))],
// which has no value at a = 1 and at a+b = 1, as this has.
func PurchasesUntilDropout(shape, a, b, y float64) float64 {
	z, c := y/(1+y), a+b-1
	if z > .9 || a > 50 || (c-shape)*z < -3 || c > 1e4 {
		return purchasesByQuadrature(shape, a, b, y)
	}
	// By Pfaff F(shape,b;c;z)(1-z)^shape = (1-z)^(a-1) F(a-1,c-shape;c;z); the first
	// term of the latter meets the 1 before it, the others have the factor a-1.
	term := (c - shape) * z
	sum := term
	for n := 1.0; n < 1e5; n++ {
		term *= (a + n - 1) / (c + n) * (c - shape + n) / (n + 1) * z
		sum += term
		if math.Abs(term) < 1e-16*math.Abs(sum) {
			break
		}
	}
	log := math.Log1p(y)
	return c*Saturation(a-1, log) - math.Exp((1-a)*log)*sum
}

// purchasesByQuadrature is the mean of (1-(1+py)^-shape)/p over p of Beta(a,b),
// by the trapezoid rule over ln(p/(1-p)), stretched so that both tails end.
func purchasesByQuadrature(shape, a, b, y float64) float64 {
	mode := math.Log(a / b)
	width := math.Sqrt(1/a + 1/b)
	step := min(.08, .3/width)
	peak := logBetaWeight(a, b, mode)
	var weights, sum float64
	for _, direction := range [...]float64{1, -1} {
		start := 0
		if direction < 0 {
			start = 1
		}
		for i := start; i < 1e5; i++ {
			v := direction * step * float64(i)
			u := mode + width*math.Sinh(v)
			log := logBetaWeight(a, b, u) - peak
			if log < -50 {
				break
			}
			w := math.Exp(log) * math.Cosh(v)
			p := 1 / (1 + math.Exp(-u))
			weights += w
			sum += w * boughtBefore(shape, p, y)
		}
	}
	return sum / weights
}

// boughtBefore is (1-(1+py)^-shape)/p, also where p is nothing.
func boughtBefore(shape, p, y float64) float64 {
	if p < 1e-300 {
		return shape * y
	}
	return -math.Expm1(-shape*math.Log1p(p*y)) / p
}

// logBetaWeight is a ln(p) + b ln(1-p) for p = 1/(1+exp(-u)).
func logBetaWeight(a, b, u float64) float64 {
	if u > 0 {
		return -b*u - (a+b)*math.Log1p(math.Exp(-u))
	}
	return a*u - (a+b)*math.Log1p(math.Exp(u))
}
