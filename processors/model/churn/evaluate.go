package churn

import (
	"fmt"
	"time"

	"segue/processors/model/bgnbd"
	"segue/processors/model/gammagamma"
	"segue/processors/model/history"
	"segue/processors/model/likelihood"
	"segue/processors/model/mbgnbd"
	"segue/processors/model/measure"
	"segue/processors/model/paretonbd"
)

// Evaluation is how well models that were fitted to a cohort's past foretold
// what it did later.
type Evaluation struct {
	Customers    int           `json:"customers"`
	ActualOrders int           `json:"actual_orders"`
	Models       Forecasts     `json:"models"`
	GammaGamma   *Spending     `json:"gamma_gamma,omitempty"`
	Shown        Shown         `json:"shown"`
	Baselines    Baselines     `json:"baselines"`
	Silent       int           `json:"silent"`
	Scores       []Scored      `json:"-"`
	Horizon      time.Duration `json:"-"`
}

// Forecasts are those of the models of buying.
type Forecasts struct {
	ParetoNBD Forecast[paretonbd.Parameters] `json:"pareto_nbd"`
	BGNBD     Forecast[bgnbd.Parameters]     `json:"bg_nbd"`
	MBGNBD    Forecast[mbgnbd.Parameters]    `json:"mbg_nbd"`
}

// Forecast is a fit, and what it was worth.
type Forecast[P any] struct {
	likelihood.Fitted[P]
	Errors
}

// Errors are how far forecasts of each customer's orders were off.
type Errors struct {
	PredictedOrders float64 `json:"predicted_orders"`
	MAE             float64 `json:"mae"`
	RMSE            float64 `json:"rmse"`
	// AUCAlive and AUCExpected are how well P(alive) and the expected orders rank
	// those who ordered above those who did not.
	AUCAlive    measure.Figure `json:"auc_p_alive"`
	AUCExpected measure.Figure `json:"auc_expected"`
}

// Spending is the fit of the amounts. Correlation is that of amounts with how
// many orders there were, which the model takes for none.
type Spending struct {
	gammagamma.Fitted
	Correlation measure.Figure `json:"correlation"`
}

// Shown is how good Score is: its ranking, and how far the probabilities are
// from what happened, in tenths of the customers.
type Shown struct {
	Model            string         `json:"model"`
	AUC              measure.Figure `json:"auc"`
	CalibrationError measure.Figure `json:"calibration_error"`
	Bins             []measure.Bin  `json:"-"`
}

// Baselines need no model: who ordered last ranks first; who ordered as often
// until now goes on so.
type Baselines struct {
	Recency   Baseline `json:"recency"`
	Frequency Baseline `json:"frequency"`
}

// Baseline is how good one is; MAE is of the orders, where it foretells any.
type Baseline struct {
	AUC measure.Figure  `json:"auc"`
	MAE *measure.Figure `json:"mae,omitempty"`
}

// Scored is a customer as a curve needs them.
type Scored struct {
	// Gone, Recency and Frequency rank who places no order above who does.
	Gone, Recency, Frequency float64
	Silent                   bool
}

// Evaluate fits the models to what a cohort did up to the end of its
// calibration, and measures them by what it did over the horizon after it.
func Evaluate(customers []history.Customer, horizon time.Duration, unit history.Unit) (*Evaluation, error) {
	e := &Evaluation{Customers: len(customers), Horizon: horizon}
	seen := make([]history.History, len(customers))
	money := make([]gammagamma.Spending, len(customers))
	spent := false
	for i, c := range customers {
		seen[i] = c.History
		money[i] = gammagamma.Spending{Repeats: c.Repeats, Mean: c.MeanRepeat}
		spent = spent || c.MeanRepeat > 0
		e.ActualOrders += c.Later
	}
	pareto, err := paretonbd.Fit(seen, unit)
	if err != nil {
		return nil, err
	}
	bg, err := bgnbd.Fit(seen, unit)
	if err != nil {
		return nil, err
	}
	mbg, err := mbgnbd.Fit(seen, unit)
	if err != nil {
		return nil, err
	}
	if spent {
		fitted, err := gammagamma.Fit(money)
		if err != nil {
			return nil, err
		}
		e.GammaGamma = &Spending{fitted, measure.Figure(gammagamma.Correlation(money))}
	}
	e.Models = Forecasts{
		Forecast[paretonbd.Parameters]{pareto, e.errors(customers, pareto.Parameters)},
		Forecast[bgnbd.Parameters]{bg, e.errors(customers, bg.Parameters)},
		Forecast[mbgnbd.Parameters]{mbg, e.errors(customers, mbg.Parameters)},
	}
	name, model := Choose(pareto, mbg)
	e.show(customers, name, Score{model, horizon})
	return e, nil
}

// errors are those of one model.
func (e *Evaluation) errors(customers []history.Customer, m Model) Errors {
	var expected, alive, later []float64
	var ordered []bool
	sum := 0.0
	for _, c := range customers {
		orders := m.ExpectedAfter(c.History, e.Horizon)
		sum += orders
		expected, alive = append(expected, orders), append(alive, m.Alive(c.History))
		later, ordered = append(later, float64(c.Later)), append(ordered, c.Later > 0)
	}
	return Errors{
		sum, measure.MeanAbsoluteError(expected, later), measure.RootMeanSquareError(expected, later),
		measure.Figure(measure.AUC(alive, ordered)), measure.Figure(measure.AUC(expected, ordered)),
	}
}

// show measures the score beside the baselines.
func (e *Evaluation) show(customers []history.Customer, name string, score Score) {
	var gone, recency, frequency, asBefore, later []float64
	var silent []bool
	for _, c := range customers {
		s := Scored{score.Gone(c.History), (c.Age - c.Recency).Hours(), -float64(c.Repeats), c.Later == 0}
		e.Scores = append(e.Scores, s)
		if s.Silent {
			e.Silent++
		}
		gone, recency, frequency = append(gone, s.Gone), append(recency, s.Recency), append(frequency, s.Frequency)
		silent, later = append(silent, s.Silent), append(later, float64(c.Later))
		orders := 0.0
		if c.Age > 0 {
			orders = float64(c.Repeats) * float64(e.Horizon) / float64(c.Age)
		}
		asBefore = append(asBefore, orders)
	}
	bins := measure.Calibration(gone, silent, 10)
	e.Shown = Shown{name, measure.Figure(measure.AUC(gone, silent)), measure.Figure(measure.CalibrationError(bins)), bins}
	mae := measure.Figure(measure.MeanAbsoluteError(asBefore, later))
	e.Baselines = Baselines{
		Recency:   Baseline{AUC: measure.Figure(measure.AUC(recency, silent))},
		Frequency: Baseline{AUC: measure.Figure(measure.AUC(frequency, silent)), MAE: &mae},
	}
}

// Verdict says in a sentence whether to trust what is shown.
func (e *Evaluation) Verdict() string {
	auc, off := float64(e.Shown.AUC), float64(e.Shown.CalibrationError)
	best, name := float64(e.Baselines.Recency.AUC), "recency"
	if f := float64(e.Baselines.Frequency.AUC); f > best {
		best, name = f, "frequency"
	}
	figures := fmt.Sprintf("it ranks %.0f of 100 pairs right (%s alone %.0f), and what it says is off by %.1f points of 100",
		100*auc, name, 100*best, 100*off)
	// Below, an AUC is known to about .05 at best.
	const few = 50
	switch {
	case e.Silent < few || e.Customers-e.Silent < few:
		return fmt.Sprintf("Too few to judge: %d customers ordered later and %d did not; want at least %d of each.",
			e.Customers-e.Silent, e.Silent, few)
	case auc < .6:
		return "Do not trust the score: " + figures + "."
	case off > .1:
		return "Trust the order that the score gives, not its number: " + figures + "."
	case auc < best-.02:
		return fmt.Sprintf("Rank by %s, which does it better; the score's number is right on average: %s.", name, figures)
	case auc < best:
		return "Trust the score, which ranks about as well as " + name + " and says how likely: " + figures + "."
	default:
		return "Trust the score: " + figures + "."
	}
}
