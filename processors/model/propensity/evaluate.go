package propensity

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"segue/processors/model/feature"
	"segue/processors/model/logistic"
	"segue/processors/model/measure"
)

// bins of equal size, of the calibration error.
const bins = 10

// Figures are how good predictions of test rows were.
type Figures struct {
	AUC              float64 `json:"auc"`
	AveragePrecision float64 `json:"average_precision"`
	LogLoss          float64 `json:"log_loss"`
	Brier            float64 `json:"brier"`
	// CalibrationError is over 10 bins of equal size.
	CalibrationError float64 `json:"calibration_error"`
	// Probabilities of the test rows, in order.
	Probabilities []float64 `json:"-"`
}

// Column is figures of or without one column.
type Column struct {
	Name string `json:"column"`
	Figures
}

// Moved is how much an input moves the log-odds of test rows, up or down, on
// average.
type Moved struct {
	Name string  `json:"name"`
	By   float64 `json:"by"`
}

// Evaluation is what a model learnt from training rows says of test rows.
type Evaluation struct {
	Rows     int `json:"rows"`
	TestRows int `json:"test_rows"`
	// TestPositives are the test rows in which it happened.
	TestPositives int `json:"test_positives"`
	// Model is linear or trees, chosen by training rows; its figures follow.
	Model string `json:"model"`
	Figures
	// AUCError is the standard error of AUC.
	AUCError float64 `json:"auc_error"`
	Models   struct {
		Linear Figures `json:"linear"`
		Trees  Figures `json:"trees"`
	} `json:"models"`
	Baselines struct {
		// BaseRate gives each row the share of training rows.
		BaseRate Figures `json:"base_rate"`
		// BestColumn is a linear model of the column that tells most in training rows.
		BestColumn Column `json:"best_column"`
	} `json:"baselines"`
	// Without the best column, when it alone explains almost all.
	Without *Column `json:"without_best_column,omitempty"`
	Inputs  []Moved `json:"inputs"`
	// Happened in the test rows, in order.
	Happened []bool `json:"-"`
}

// Evaluate learns from all rows but each so many-th, beginning with that at
// place first, and predicts those.
func Evaluate(names []string, rows [][]string, happened []bool, every, first int) (*Evaluation, error) {
	if len(names) == 0 {
		return nil, errors.New("got no column to learn from, want at least one beside the outcome")
	}
	var train, test [][]string
	var did, tested []bool
	for i, row := range rows {
		if i%every == first {
			test, tested = append(test, row), append(tested, happened[i])
		} else {
			train, did = append(train, row), append(did, happened[i])
		}
	}
	if err := logistic.Check(nil, tested); err != nil {
		return nil, fmt.Errorf("test rows: %w", err)
	}
	f, err := Fit(names, train, did)
	if err != nil {
		return nil, fmt.Errorf("training rows: %w", err)
	}
	e := &Evaluation{Rows: len(rows), TestRows: len(test), Happened: tested, Model: "linear"}
	for _, h := range tested {
		if h {
			e.TestPositives++
		}
	}
	e.Models.Linear, e.Models.Trees = f.Linear.figures(test, tested), f.Trees.figures(test, tested)
	e.Figures = e.Models.Linear
	if f.ByTrees {
		e.Model, e.Figures = "trees", e.Models.Trees
	}
	e.AUCError = measure.AUCError(e.AUC, e.TestPositives, len(test)-e.TestPositives)
	e.Inputs = f.Chosen().moved(test)
	e.Baselines.BaseRate = figures(slices.Repeat([]float64{rate(did)}, len(test)), tested)
	best, alone, err := bestColumn(f.Linear.Space, train, did)
	if err != nil {
		return nil, err
	}
	probabilities := make([]float64, len(test))
	for i, row := range test {
		probabilities[i] = alone.Probability([]float64{f.Linear.Space.Columns[best].Encode(row[best])})
	}
	e.Baselines.BestColumn = Column{names[best], figures(probabilities, tested)}
	if !e.suspicious() || len(names) == 1 {
		return e, nil
	}
	g, err := Fit(without(names, best), withouts(train, best), did)
	if err != nil {
		return nil, fmt.Errorf("training rows without %s: %w", names[best], err)
	}
	e.Without = &Column{names[best], g.Chosen().figures(withouts(test, best), tested)}
	return e, nil
}

func (m *Model) figures(rows [][]string, happened []bool) Figures {
	probabilities, row := make([]float64, len(rows)), make([]float64, len(m.Space.Columns))
	for i, values := range rows {
		m.Space.Encode(values, row)
		probabilities[i] = m.Probability(row)
	}
	return figures(probabilities, happened)
}

func figures(probabilities []float64, happened []bool) Figures {
	return Figures{
		AUC:              measure.AUC(probabilities, happened),
		AveragePrecision: measure.AveragePrecision(probabilities, happened),
		LogLoss:          measure.LogLoss(probabilities, happened),
		Brier:            measure.Brier(probabilities, happened),
		CalibrationError: measure.CalibrationError(measure.Calibration(probabilities, happened, bins)),
		Probabilities:    probabilities,
	}
}

// moved are the inputs, that which moves most first.
func (m *Model) moved(rows [][]string) []Moved {
	moved := make([]Moved, len(m.Space.Columns))
	row := make([]float64, len(moved))
	var reasons []logistic.Reason
	for i := range moved {
		moved[i].Name = m.Space.Columns[i].Name
	}
	for _, values := range rows {
		m.Space.Encode(values, row)
		reasons = m.Reasons(row, reasons[:0])
		for _, r := range reasons {
			moved[r.Input].By += math.Abs(r.LogOdds) / float64(len(rows))
		}
	}
	slices.SortStableFunc(moved, func(a, b Moved) int { return cmp.Compare(b.By, a.By) })
	return moved
}

// lightly is the penalty of a model of one column.
const lightly = 10

// bestColumn is the one that alone makes what happened in training rows
// likeliest, and its model.
func bestColumn(space feature.Space, rows [][]string, did []bool) (best int, by *logistic.Model, err error) {
	least := math.Inf(1)
	for c, column := range space.Matrix(rows) {
		basis, err := logistic.NewBasis([][]float64{column}, did)
		if err != nil {
			return 0, nil, err
		}
		m, logOdds := basis.Fit(lightly), make([]float64, len(column))
		for i, x := range column {
			logOdds[i] = m.LogOdds([]float64{x})
		}
		if loss := total(losses(logOdds, did)); loss < least {
			best, by, least = c, m, loss
		}
	}
	return best, by, nil
}

// suspicious: one column explains almost all, so it may hold what is only known
// afterwards.
func (e *Evaluation) suspicious() bool {
	alone := e.Baselines.BestColumn.AUC
	return alone >= .75 && alone-.5 >= .8*(e.AUC-.5)
}

// chance is the calibration error to expect of probabilities that are right: the
// mean distance of a share from its probability, as a normal's.
func (e *Evaluation) chance() float64 {
	sum := 0.0
	for _, b := range measure.Calibration(e.Probabilities, e.Happened, bins) {
		n := float64(b.Count)
		sum += n * math.Sqrt(2/math.Pi*b.Predicted*(1-b.Predicted)/n)
	}
	return sum / float64(e.TestRows)
}

// Verdict says whether to trust the model.
func (e *Evaluation) Verdict() string {
	const sigma = 1.96 // of 95%
	best := e.Baselines.BestColumn
	low, high := max(e.AUC-sigma*e.AUCError, 0), min(e.AUC+sigma*e.AUCError, 1)
	between := fmt.Sprintf("AUC %.3f, and with 95%% between %.3f and %.3f", e.AUC, low, high)
	fewest := min(e.TestPositives, e.TestRows-e.TestPositives)
	var said []string
	switch {
	case fewest < 25:
		said = append(said, fmt.Sprintf("Too little to tell: the rarer outcome stands in %d of the test rows, want 25 or more (%s).", fewest, between))
	case low <= .5:
		said = append(said, fmt.Sprintf("Do not use it: it may be no better than chance (%s).", between))
	case e.LogLoss >= best.LogLoss:
		said = append(said, fmt.Sprintf("It orders better than chance (%s), but %s alone does as well, and is simpler.", between, best.Name))
	case e.suspicious():
		said = append(said, fmt.Sprintf("It orders well (%s), but do not trust it yet.", between))
	default:
		said = append(said, fmt.Sprintf("Trust its order: %s.", between))
	}
	if fewest >= 25 && low > .5 {
		off := fmt.Sprintf("off by %.1f points on average", 100*e.CalibrationError)
		switch {
		case e.CalibrationError <= .03:
			said = append(said, fmt.Sprintf("Its probabilities can be taken as such: they are %s.", off))
		case e.CalibrationError <= 1.5*e.chance():
			said = append(said, fmt.Sprintf("Its probabilities are %s, which may be chance in so few rows.", off))
		default:
			said = append(said, fmt.Sprintf("Its probabilities cannot be taken as such: they are %s.", off))
		}
	}
	if e.suspicious() {
		leak := fmt.Sprintf("%s alone gives an AUC of %.3f, almost all there is: make sure that it is known before the outcome, and not because of it.", best.Name, best.AUC)
		if e.Without != nil {
			leak += fmt.Sprintf(" Without it the AUC is %.3f.", e.Without.AUC)
		}
		said = append(said, leak)
	}
	return strings.Join(said, " ")
}

func rate(did []bool) float64 {
	count := 0.0
	for _, d := range did {
		if d {
			count++
		}
	}
	return count / float64(len(did))
}

func without[T any](values []T, at int) []T {
	return slices.Delete(slices.Clone(values), at, at+1)
}

func withouts(rows [][]string, at int) [][]string {
	less := make([][]string, len(rows))
	for i, row := range rows {
		less[i] = without(row, at)
	}
	return less
}
