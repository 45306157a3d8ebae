package churn

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"segue/processors/model/history"
	"segue/processors/model/mbgnbd"
	"segue/processors/model/measure"
	"segue/processors/model/paretonbd"
)

var (
	pareto = paretonbd.Parameters{Unit: history.Week, R: .553, Alpha: 10.578, S: .606, Beta: 11.669}
	mbg    = mbgnbd.Parameters{Unit: history.Week, R: .525, Alpha: 6.183, A: .891, B: 1.614}
)

// Over an endless horizon those are silent who have dropped out, and, where one
// can without an order, those who will before the next.
func TestGoneForGood(t *testing.T) {
	h := history.History{Repeats: 2, Recency: history.Week.Times(20), Age: history.Week.Times(39)}
	for _, m := range []Model{pareto, mbg} {
		quarter, ever := Score{m, history.Week.Times(13)}.Gone(h), Score{m, history.Week.Times(7000)}.Gone(h)
		gone := 1 - m.Alive(h)
		if _, atOrders := m.(mbgnbd.Parameters); quarter < ever || ever < gone || atOrders && ever > gone+.001 {
			t.Errorf("%T: gone for a quarter %.4f, for 134 years %.4f, for good %.4f", m, quarter, ever, gone)
		}
	}
}

func TestTheLikelierIsShown(t *testing.T) {
	for _, tc := range []struct {
		pareto, mbg float64
		want        string
	}{{-10, -9, MBGNBD}, {-9, -10, ParetoNBD}} {
		name, model := Choose(paretonbd.Fitted{Parameters: pareto, LogLikelihood: tc.pareto}, mbgnbd.Fitted{Parameters: mbg, LogLikelihood: tc.mbg})
		if _, isMBG := model.(mbgnbd.Parameters); name != tc.want || isMBG != (name == MBGNBD) {
			t.Errorf("log-likelihoods %v and %v: got %s, %T, want %s", tc.pareto, tc.mbg, name, model, tc.want)
		}
	}
}

// A cohort that does as Pareto/NBD has it is fitted and foretold: the parameters
// come back, and the probabilities are those of what happens.
func TestEvaluateOfASimulatedCohort(t *testing.T) {
	const day = 24 * time.Hour
	const customersInAll, calibrated, horizon = 3000, 300., 300.
	draw := rand.New(rand.NewPCG(1, 2))
	var customers []history.Customer
	for range customersInAll {
		// R and S of 1, Alpha of 60 and Beta of 200 days.
		rate, dropout := draw.ExpFloat64()/60, draw.ExpFloat64()/200
		last := draw.ExpFloat64() / dropout
		c := history.Customer{History: history.History{Age: time.Duration(calibrated * float64(day))}, MeanRepeat: 20 + 5*draw.Float64()}
		for at := draw.ExpFloat64() / rate; at < min(last, calibrated+horizon); at += draw.ExpFloat64() / rate {
			if at > calibrated {
				c.Later++
				continue
			}
			c.Repeats++
			c.Recency = time.Duration(at * float64(day))
		}
		customers = append(customers, c)
	}
	e, err := Evaluate(customers, time.Duration(horizon*float64(day)), history.Day)
	if err != nil {
		t.Fatal(err)
	}
	p, errs := e.Models.ParetoNBD.Parameters, e.Models.ParetoNBD.StandardErrors
	for i, v := range [][2]float64{{p.R, 1}, {p.Alpha, 60}, {p.S, 1}, {p.Beta, 200}} {
		if math.Abs(v[0]-v[1]) > 3*errs[i] {
			t.Errorf("parameter %d is %.3f ± %.3f, want %v", i, v[0], errs[i], v[1])
		}
	}
	if e.Shown.Model != ParetoNBD || e.Shown.CalibrationError > .03 || e.Shown.AUC < e.Baselines.Recency.AUC {
		t.Errorf("shown %+v, recency %.3f", e.Shown, e.Baselines.Recency.AUC)
	}
	if got := e.Verdict(); !strings.HasPrefix(got, "Trust the score: ") {
		t.Errorf("got %q with %+v", got, e.Shown)
	}
	if len(e.Scores) != customersInAll || e.Silent+len(later(customers)) != customersInAll || e.GammaGamma == nil {
		t.Errorf("%d scores, %d silent", len(e.Scores), e.Silent)
	}
	if _, err := Evaluate(nil, day, history.Week); err == nil {
		t.Error("nobody was evaluated")
	}
}

func later(customers []history.Customer) (ordered []history.Customer) {
	for _, c := range customers {
		if c.Later > 0 {
			ordered = append(ordered, c)
		}
	}
	return ordered
}

func TestVerdicts(t *testing.T) {
	for want, e := range map[string]Evaluation{
		"Too few to judge: 49 customers ordered later":       verdict(100, 51, .9, .01, .5),
		"Do not trust the score: it ranks 59":                verdict(200, 100, .59, .01, .5),
		"Trust the order that the score gives, not its numb": verdict(200, 100, .9, .11, .5),
		"Rank by recency, which does it better":              verdict(200, 100, .7, .01, .73),
		"Trust the score, which ranks about as well as rece": verdict(200, 100, .7, .01, .71),
		"Trust the score: it ranks 80 of 100 pairs right (r": verdict(200, 100, .8, .01, .71),
	} {
		if got := e.Verdict(); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func verdict(customers, silent int, auc, off, recency float64) Evaluation {
	return Evaluation{
		Customers: customers, Silent: silent,
		Shown:     Shown{AUC: measure.Figure(auc), CalibrationError: measure.Figure(off)},
		Baselines: Baselines{Recency: Baseline{AUC: measure.Figure(recency)}, Frequency: Baseline{AUC: .5}},
	}
}
