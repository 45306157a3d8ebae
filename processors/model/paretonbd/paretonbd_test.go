package paretonbd

import (
	"math"
	"testing"

	"segue/processors/model/history"
)

// weeks is a history with times in weeks.
func weeks(repeats int, recency, age float64) history.History {
	return history.History{Repeats: repeats, Recency: history.Week.Times(recency), Age: history.Week.Times(age)}
}

// Values of the BTYD package's walkthrough, as far as the three digits of its
// parameters go.
func TestWalkthrough(t *testing.T) {
	p := Parameters{history.Week, .553, 10.580, .606, 11.656}
	regular := weeks(26, 216./7, 31)
	year := history.Week.Times(52)
	for _, v := range []struct {
		what      string
		got, want float64
	}{
		{"Expected(52 weeks)", p.Expected(year), 1.473434},
		{"ExpectedAfter(customer 1516, 52 weeks)", p.ExpectedAfter(regular, year), 25.45647},
		{"Alive(customer 1516)", p.Alive(regular), .997874},
		{"ExpectedAfter(10, 20, 39)", p.ExpectedAfter(weeks(10, 20, 39), year), .7062289},
		{"ExpectedAfter(15, 20, 39)", p.ExpectedAfter(weeks(15, 20, 39), year), .1442396},
		{"ExpectedAfter(20, 20, 39)", p.ExpectedAfter(weeks(20, 20, 39), year), .02250658},
		{"ExpectedAfter(25, 20, 39)", p.ExpectedAfter(weeks(25, 20, 39), year), .00309267},
	} {
		if math.Abs(v.got/v.want-1) > 1e-3 {
			t.Errorf("%s = %.10f, want %v", v.what, v.got, v.want)
		}
	}
}

// Customers with so many orders that the paper's powers pass the range of
// float64 (lifetimes' issues).
func TestManyOrders(t *testing.T) {
	p := Parameters{history.Week, .5143, 2.8845, .2856, 14.1087}
	for _, h := range []history.History{
		weeks(221, 103.43, 103.57), weeks(254, 97.14, 97.29), weeks(161, 94.71, 98.00), weeks(204, 98.57, 99.43),
	} {
		if got := p.Alive(h); !(got > 0 && got <= 1) {
			t.Errorf("Alive(%v) = %v, want within (0, 1]", h, got)
		}
	}
	p = Parameters{history.Week, .55, 10.58, .61, 11.67}
	for repeats, want := range map[int]float64{132: 6.2060517889632418, 133: 6.2528722475748113} {
		if got := p.ExpectedAfter(weeks(repeats, 200, 200), history.Week.Times(10)); math.Abs(got-want) > 1e-9 {
			t.Errorf("ExpectedAfter(%d, 200, 200; 10) = %.16f, want %.16f", repeats, got, want)
		}
	}
	if got := p.Alive(weeks(1e6, 200, 200)); got != 1 {
		t.Errorf("Alive(1e6, 200, 200) = %v, want 1", got)
	}
	if got := p.Alive(weeks(1e6, 200, 201)); got != 0 {
		t.Errorf("Alive(1e6, 200, 201) = %v, want 0", got)
	}
}

// Where s is 1 the paper divides by nothing.
func TestDropoutAtOne(t *testing.T) {
	at := func(s float64) float64 {
		p := Parameters{history.Week, .553, 10.578, s, 11.669}
		return p.Expected(history.Week.Times(39)) + p.ExpectedAfter(weeks(2, 30, 39), history.Week.Times(39))
	}
	if below, one, above := at(1-1e-9), at(1), at(1+1e-9); math.Abs(below-one) > 1e-8 || math.Abs(above-one) > 1e-8 {
		t.Errorf("expected orders with s just below 1, at 1 and above: %v, %v, %v", below, one, above)
	}
}

// Either rate may be the more even: alpha above beta, below, or the same.
func TestEitherOrderOfScales(t *testing.T) {
	h := weeks(3, 20, 39)
	for _, v := range [][3]float64{ // alpha, beta, P(alive) by mpmath's quadrature
		{12, 5, 0.474461554906027}, {5, 12, 0.481130058325943}, {8, 8, 0.473855883472584}, {1e4, 1e-3, 0.666303428175821}, {1e-3, 1e4, 0.99585800874039},
	} {
		p := Parameters{history.Week, .553, v[0], .606, v[1]}
		if got := p.Alive(h); math.Abs(got-v[2]) > 1e-11 {
			t.Errorf("Alive with alpha %v, beta %v = %.15f, want %v", v[0], v[1], got, v[2])
		}
	}
}

func TestWrongParameters(t *testing.T) {
	err := Parameters{history.Day, 1, 1, math.Inf(1), 1}.Validate()
	if want := "pareto/nbd: s: got +Inf, want a positive number"; err == nil || err.Error() != want {
		t.Errorf("Validate() = %v, want %s", err, want)
	}
}
