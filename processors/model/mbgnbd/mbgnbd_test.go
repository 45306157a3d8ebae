package mbgnbd

import (
	"math"
	"testing"

	"segue/processors/model/history"
)

var batislam = Parameters{history.Week, .525, 6.183, .891, 1.614}

// A new customer has already dropped out with probability A/(A+B), and is one
// whose first order was just now.
func TestNewCustomers(t *testing.T) {
	if got, want := batislam.Alive(history.History{}), 1.614/(.891+1.614); math.Abs(got-want) > 1e-15 {
		t.Errorf("Alive(new) = %v, want %v", got, want)
	}
	// Hoppe and Wagner's b/(a-1) [1 - (α/(α+t))^r F(r,b+1;a+b;t/(α+t))], of mpmath.
	for within, want := range map[float64]float64{1: .0530847952637, 39: 1.1829536656, 520: 4.4144453268} {
		if got := batislam.Expected(history.Week.Times(within)); math.Abs(got-want) > 1e-9 {
			t.Errorf("Expected(%v weeks) = %.12f, want %v", within, got, want)
		}
	}
}

// Silence is told of one-time buyers too: that is what the model is for.
func TestAliveWithoutRepeats(t *testing.T) {
	h := history.History{Age: history.Week.Times(38.86)}
	if got := batislam.Alive(h); math.Abs(got-.38973508) > 5e-9 {
		t.Errorf("Alive(0, 0, 38.86) = %.8f, want .38973508", got)
	}
}

func TestWrongParameters(t *testing.T) {
	err := Parameters{history.Day, 1, 1, 1, 0}.Validate()
	if want := "mbg/nbd: b: got 0, want a positive number"; err == nil || err.Error() != want {
		t.Errorf("Validate() = %v, want %s", err, want)
	}
}
