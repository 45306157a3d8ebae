package bgnbd

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"segue/processors/model/history"
)

// weeks is a history with times in weeks.
func weeks(repeats int, recency, age float64) history.History {
	return history.History{Repeats: repeats, Recency: history.Week.Times(recency), Age: history.Week.Times(age)}
}

var (
	// walkthrough are the parameters of the BTYD package's walkthrough, paper those
	// of Fader, Hardie and Lee's table.
	walkthrough = Parameters{history.Week, .2425982, 4.4136842, .7929899, 2.4261667}
	paper       = Parameters{history.Week, .243, 4.414, .793, 2.426}
)

// Values of the BTYD package's walkthrough, as far as the seven digits of its
// parameters go.
func TestWalkthrough(t *testing.T) {
	regular := weeks(26, 216./7, 31)
	year := history.Week.Times(52)
	for _, v := range []struct {
		what      string
		got, want float64
	}{
		{"Expected(52 weeks)", walkthrough.Expected(year), 1.444004},
		{"ExpectedAfter(customer 1516, 52 weeks)", walkthrough.ExpectedAfter(regular, year), 25.75659},
		{"Alive(customer 1516)", walkthrough.Alive(regular), .9688523},
		{"ExpectedAfter(10, 20, 39)", walkthrough.ExpectedAfter(weeks(10, 20, 39), year), .3474606},
		{"ExpectedAfter(15, 20, 39)", walkthrough.ExpectedAfter(weeks(15, 20, 39), year), .04283391},
		{"ExpectedAfter(20, 20, 39)", walkthrough.ExpectedAfter(weeks(20, 20, 39), year), .004158973},
		{"ExpectedAfter(25, 20, 39)", walkthrough.ExpectedAfter(weeks(25, 20, 39), year), .0003583685},
	} {
		if math.Abs(v.got/v.want-1) > 6e-6 {
			t.Errorf("%s = %.10f, want %v", v.what, v.got, v.want)
		}
	}
}

// Values of Hardie's spreadsheet and of lifetimes' tests.
func TestPaper(t *testing.T) {
	if got := paper.ExpectedAfter(weeks(2, 30.43, 38.86), history.Week.Times(39)); math.Abs(got-1.226) > .0005 {
		t.Errorf("ExpectedAfter(2, 30.43, 38.86; 39) = %.4f, want 1.226", got)
	}
	for within, want := range map[float64]float64{.1429: .0078, 1: .0532, 3: .1506, 31.8571: 1.0405, 32: 1.0437, 78: 1.8576} {
		if got := paper.Expected(history.Week.Times(within)); math.Abs(got-want) > .003 {
			t.Errorf("Expected(%v weeks) = %.4f, want %v", within, got, want)
		}
	}
	if got := paper.Silent(history.History{}, history.Week.Times(39)); math.Abs(got-.5737864) > 5e-8 {
		t.Errorf("Silent(new, 39 weeks) = %.8f, want .5737864", got)
	}
}

// Nobody who did not come back is known to be gone.
func TestAliveWithoutRepeats(t *testing.T) {
	if got := paper.Alive(weeks(0, 0, 1000)); got != 1 {
		t.Errorf("Alive(0, 0, 1000) = %v, want 1", got)
	}
}

// A unit is part of the parameters: the same customer in days.
func TestUnits(t *testing.T) {
	daily := Parameters{history.Day, paper.R, 7 * paper.Alpha, paper.A, paper.B}
	h, quarter := weeks(2, 30.43, 38.86), 13*7*24*time.Hour
	if got, want := daily.ExpectedAfter(h, quarter), paper.ExpectedAfter(h, quarter); math.Abs(got-want) > 1e-12 {
		t.Errorf("in days %v orders are expected, in weeks %v", got, want)
	}
	text, err := json.Marshal(paper)
	if want := `{"unit":"week","r":0.243,"alpha":4.414,"a":0.793,"b":2.426}`; string(text) != want || err != nil {
		t.Errorf("JSON is %s, %v, want %s", text, err, want)
	}
	var back Parameters
	if err := json.Unmarshal(text, &back); err != nil || back != paper {
		t.Errorf("JSON is read as %v, %v, want %v", back, err, paper)
	}
}

func TestWrongParameters(t *testing.T) {
	for want, p := range map[string]Parameters{
		"bg/nbd: unit: got 0s, want day or week":        {0, 1, 1, 1, 1},
		"bg/nbd: alpha: got -1, want a positive number": {history.Day, 1, -1, 1, 1},
		"bg/nbd: b: got NaN, want a positive number":    {history.Day, 1, 1, 1, math.NaN()},
		"bg/nbd: r: got +Inf, want a positive number":   {history.Day, math.Inf(1), 1, 1, 1},
		"bg/nbd: a: got 0, want a positive number":      {history.Day, 1, 1, 0, 1},
		"<nil>": paper,
	} {
		err := p.Validate()
		if got := "<nil>"; err != nil && err.Error() != want || err == nil && got != want {
			t.Errorf("%v.Validate() = %v, want %s", p, err, want)
		}
	}
}
