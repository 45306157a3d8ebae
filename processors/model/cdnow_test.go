package model_test

import (
	"math"
	"testing"
	"time"

	"segue/processors/model/bgnbd"
	"segue/processors/model/churn"
	"segue/processors/model/gammagamma"
	"segue/processors/model/history"
	"segue/processors/model/mbgnbd"
	"segue/processors/model/measure"
	"segue/processors/model/paretonbd"
)

// What was published for CDNOW: Fader, Hardie and Lee 2005 (BG/NBD), the BTYD,
// BTYDplus and CLVTools packages, Fader and Hardie 2013 (Gamma-Gamma).
var (
	publishedBG     = bgnbd.Parameters{Unit: history.Week, R: .243, Alpha: 4.414, A: .793, B: 2.426}
	publishedMBG    = mbgnbd.Parameters{Unit: history.Week, R: .525, Alpha: 6.183, A: .891, B: 1.614}
	publishedPareto = paretonbd.Parameters{Unit: history.Week, R: .553, Alpha: 10.578, S: .606, Beta: 11.669}
	publishedMoney  = gammagamma.Parameters{P: 6.25, Q: 3.74, V: 15.44}
)

const (
	weeks39 = 39 * 7 * 24 * time.Hour
	holdout = 273 * 24 * time.Hour // to the last of June 1998
)

func off(got, want float64) float64 { return math.Abs(got/want - 1) }

// Every customer of CDNOW, by every model, as others computed it.
func TestEveryCustomerOfCDNOW(t *testing.T) {
	rows := cdnowReference(t)
	if len(rows) != 2357 {
		t.Fatalf("got %d customers, want 2,357", len(rows))
	}
	furthest := 0.0
	for i, r := range rows {
		for _, v := range []struct {
			name      string
			got, want float64
		}{
			{"bg/nbd Alive", publishedBG.Alive(r.History), r.bgAlive},
			{"bg/nbd ExpectedAfter", publishedBG.ExpectedAfter(r.History, weeks39), r.bgExpected},
			{"mbg/nbd Alive", publishedMBG.Alive(r.History), r.mbgAlive},
			{"mbg/nbd ExpectedAfter", publishedMBG.ExpectedAfter(r.History, weeks39), r.mbgExpected},
			{"pareto/nbd Alive", publishedPareto.Alive(r.History), r.paretoAlive},
			{"pareto/nbd ExpectedAfter", publishedPareto.ExpectedAfter(r.History, weeks39), r.paretoExpected},
			{"gamma-gamma Mean", publishedMoney.Mean(r.Spending), r.mean},
		} {
			furthest = max(furthest, math.Abs(v.got-v.want))
			if !(math.Abs(v.got-v.want) <= 1e-6) {
				t.Fatalf("customer %d: %s(%+v) = %.9f, want %.8f", i+1, v.name, r.History, v.got, v.want)
			}
		}
	}
	t.Logf("furthest from the reference: %.1e", furthest)
}

// The log itself gives the published parameters.
func TestFitsOfCDNOW(t *testing.T) {
	customers := cdnowCohort(t)
	seen := histories(customers)
	check := func(name string, got, want, errors, wantErrors []float64, within, likelihood, atLeast float64) {
		t.Helper()
		t.Logf("%s: %.7g, standard errors %.5g, log-likelihood %.4f", name, got, errors, likelihood)
		for i := range want {
			if off(got[i], want[i]) > within {
				t.Errorf("%s: parameters %v, want %v", name, got, want)
				break
			}
		}
		for i := range wantErrors {
			if off(errors[i], wantErrors[i]) > .01 {
				t.Errorf("%s: standard errors %v, want %v", name, errors, wantErrors)
				break
			}
		}
		if likelihood < atLeast {
			t.Errorf("%s: log-likelihood %.4f, want at least %v", name, likelihood, atLeast)
		}
	}
	bg, err := bgnbd.Fit(seen, history.Week)
	if err != nil {
		t.Fatal(err)
	}
	check("bg/nbd", []float64{bg.Parameters.R, bg.Parameters.Alpha, bg.Parameters.A, bg.Parameters.B}, []float64{.2425945, 4.4136019, .7929199, 2.4258881},
		bg.StandardErrors, []float64{.012557, .378221, .185719, .705345}, 1e-5, bg.LogLikelihood, -9582.4293)
	mbg, err := mbgnbd.Fit(seen, history.Week)
	if err != nil {
		t.Fatal(err)
	}
	check("mbg/nbd", []float64{mbg.Parameters.R, mbg.Parameters.Alpha, mbg.Parameters.A, mbg.Parameters.B}, []float64{.525, 6.183, .891, 1.614},
		mbg.StandardErrors, nil, .001, mbg.LogLikelihood, -9582.1361)
	pareto, err := paretonbd.Fit(seen, history.Week)
	if err != nil {
		t.Fatal(err)
	}
	check("pareto/nbd", []float64{pareto.Parameters.R, pareto.Parameters.Alpha, pareto.Parameters.S, pareto.Parameters.Beta}, []float64{.55328, 10.5777, .60624, 11.6687},
		pareto.StandardErrors, []float64{.0476, .843, .187, 6.21}, 1e-4, pareto.LogLikelihood, -9594.9763)
	money, err := gammagamma.Fit(spendings(customers))
	if err != nil {
		t.Fatal(err)
	}
	check("gamma-gamma", []float64{money.Parameters.P, money.Parameters.Q, money.Parameters.V}, []float64{6.24957, 3.74422, 15.4435},
		money.StandardErrors, nil, 1e-4, money.LogLikelihood, -4055.9178)
	if money.Customers != 946 {
		t.Errorf("%d customers spent on repeat orders, want 946", money.Customers)
	}
	if got := gammagamma.Correlation(spendings(customers)); off(got, .113884) > 1e-3 {
		t.Errorf("Correlation = %.6f, want .113884", got)
	}
}

func spendings(customers []history.Customer) []gammagamma.Spending {
	all := make([]gammagamma.Spending, len(customers))
	for i, c := range customers {
		all[i] = gammagamma.Spending{Repeats: c.Repeats, Mean: c.MeanRepeat}
	}
	return all
}

// The same customers in days: the unit changes parameters, not forecasts.
func TestUnitsOfAFit(t *testing.T) {
	seen := histories(cdnowCohort(t))
	weekly, err := paretonbd.Fit(seen, history.Week)
	if err != nil {
		t.Fatal(err)
	}
	daily, err := paretonbd.Fit(seen, history.Day)
	if err != nil {
		t.Fatal(err)
	}
	if off(daily.Parameters.Alpha, 7*weekly.Parameters.Alpha) > 1e-4 || off(daily.Parameters.Beta, 7*weekly.Parameters.Beta) > 1e-4 || off(daily.Parameters.R, weekly.Parameters.R) > 1e-4 {
		t.Errorf("in weeks %+v, in days %+v", weekly.Parameters, daily.Parameters)
	}
	if got, want := daily.Parameters.ExpectedAfter(seen[0], weeks39), weekly.Parameters.ExpectedAfter(seen[0], weeks39); off(got, want) > 1e-4 {
		t.Errorf("in days %v orders are expected, in weeks %v", got, want)
	}
}

// How well 39 weeks foretell the next 39.
func TestForecastsOfCDNOW(t *testing.T) {
	customers := cdnowCohort(t)
	seen := histories(customers)
	bg, _ := bgnbd.Fit(seen, history.Week)
	mbg, _ := mbgnbd.Fit(seen, history.Week)
	pareto, _ := paretonbd.Fit(seen, history.Week)
	for _, tc := range []struct {
		name                                     string
		model                                    churn.Model
		orders, mae, rmse, aucExpected, aucAlive float64
	}{
		{"bg/nbd", bg.Parameters, 1653.4, .7855, 1.608, .7725, .3158},
		{"mbg/nbd", mbg.Parameters, 1576.7, .7648, 1.607, .7728, .6866},
		{"pareto/nbd", pareto.Parameters, 1665.5, .7545, 1.603, .7787, .7262},
	} {
		var expected, alive, later []float64
		var bought []bool
		orders, actual := 0.0, 0
		for _, c := range customers {
			e := tc.model.ExpectedAfter(c.History, holdout)
			expected, alive = append(expected, e), append(alive, tc.model.Alive(c.History))
			later, bought = append(later, float64(c.Later)), append(bought, c.Later > 0)
			orders, actual = orders+e, actual+c.Later
		}
		if actual != 1882 {
			t.Fatalf("%d orders came, want 1,882", actual)
		}
		for _, v := range []struct {
			what              string
			got, want, within float64
		}{
			{"orders", orders, tc.orders, .05},
			{"MAE", measure.MeanAbsoluteError(expected, later), tc.mae, .00005},
			{"RMSE", measure.RootMeanSquareError(expected, later), tc.rmse, .0005},
			{"AUC of expected orders", measure.AUC(expected, bought), tc.aucExpected, .00005},
			{"AUC of P(alive)", measure.AUC(alive, bought), tc.aucAlive, .00005},
		} {
			if math.Abs(v.got-v.want) > v.within {
				t.Errorf("%s: %s %.5f, want %v", tc.name, v.what, v.got, v.want)
			}
		}
	}

	// What is shown as churn ranks right, and means what it says.
	name, model := churn.Choose(pareto, mbg)
	score := churn.Score{Model: model, Horizon: holdout}
	var gone []float64
	var silent []bool
	for _, c := range customers {
		gone, silent = append(gone, score.Gone(c.History)), append(silent, c.Later == 0)
	}
	auc, calibration := measure.AUC(gone, silent), measure.CalibrationError(measure.Calibration(gone, silent, 10))
	t.Logf("shown: %s, AUC %.4f, calibration error %.4f", name, auc, calibration)
	if auc < .76 || calibration > .055 {
		t.Errorf("what is shown (%s) has AUC %.4f and calibration error %.4f, want .76 and .055", name, auc, calibration)
	}
}

// The mean number of orders of those who came back 0 to 6 times, and more often
// (BTYD): what came, what BG/NBD and Pareto/NBD expect.
func TestForecastsByFrequency(t *testing.T) {
	customers := cdnowCohort(t)
	want := [8][4]float64{ // customers, actual, BG/NBD, Pareto/NBD
		{1411, .237, .2251, .138}, {439, .697, .5231, .600}, {214, 1.393, 1.0441, 1.196}, {100, 1.560, 1.5203, 1.714},
		{62, 2.532, 2.1638, 2.399}, {38, 2.947, 2.6538, 2.907}, {29, 3.862, 3.5040, 3.819}, {64, 6.359, 6.1570, 6.403},
	}
	var got [8][4]float64
	for _, c := range customers {
		row := &got[min(c.Repeats, 7)]
		row[0]++
		row[1] += float64(c.Later)
		row[2] += publishedBG.ExpectedAfter(c.History, weeks39)
		row[3] += publishedPareto.ExpectedAfter(c.History, weeks39)
	}
	for repeats, row := range got {
		for i := 1; i < 4; i++ {
			row[i] /= row[0]
		}
		w := want[repeats]
		// The parameters are rounded to three digits, and so are the last column's values.
		if row[0] != w[0] || math.Abs(row[1]-w[1]) > .0005 || off(row[2], w[2]) > .002 || math.Abs(row[3]-w[3]) > .0015 {
			t.Errorf("%d repeats: got %.4f, want %v", repeats, row, w)
		}
	}
}

// Cumulative repeat orders of weeks 20 to 25 of the year (BTYD).
func TestTrackingOfCDNOW(t *testing.T) {
	customers, orders := cdnowCohort(t), cdnow(t)
	start := on(t, time.DateOnly, "1997-01-01")
	cohortEnd := on(t, time.DateOnly, "1997-09-30")
	for i, want := range [...][2]float64{{1359, 1312.5}, {1414, 1387.3}, {1484, 1460.4}, {1517, 1531.7}, {1573, 1601.4}, {1672, 1669.6}} {
		end := start.AddDate(0, 0, 7*(20+i)-1)
		actual := 0
		for _, c := range history.Cohort(orders, end, end) {
			actual += c.Repeats
		}
		expected := 0.0
		for _, c := range customers {
			known := cohortEnd.Add(-c.Age)
			if at := end.Sub(known) + 24*time.Hour; at > 0 { // to the end of the week's last date
				expected += publishedBG.Expected(at)
			}
		}
		if float64(actual) != want[0] || off(expected, want[1]) > .002 {
			t.Errorf("week %d: %d orders, %.1f expected; want %v", 20+i, actual, expected, want)
		}
	}
}
