// Package propensity learns how likely a customer or a visit is to do something:
// buy, open, come back.
//
//	training rows, what happened → Fit → a linear Model and one of trees, and
//	                                     which of the two to take
//	a row + Model → Probability, Reasons
//
// Both are cross-validated in parts of the training rows: the penalty and how
// many trees there are come from rows that were held back, and so does the
// calibration. Trees are taken when their log loss there is lower by more than
// one standard error, else what is simpler.
package propensity

import (
	"encoding/json"
	"errors"

	"segue/processors/model/calibrate"
	"segue/processors/model/feature"
	"segue/processors/model/logistic"
	"segue/processors/model/trees"
)

// Model is the parameters, of Logistic or of Trees.
type Model struct {
	Space       feature.Space   `json:"space"`
	Logistic    *logistic.Model `json:"logistic,omitempty"`
	Trees       *trees.Model    `json:"trees,omitempty"`
	Calibration calibrate.Map   `json:"calibration"`
}

// LogOdds of an encoded row, before calibration.
func (m *Model) LogOdds(row []float64) float64 {
	if m.Trees != nil {
		return m.Trees.LogOdds(row)
	}
	return m.Logistic.LogOdds(row)
}

// Probability of an encoded row, within [0, 1].
func (m *Model) Probability(row []float64) float64 {
	return m.Calibration.Probability(m.LogOdds(row))
}

// Reasons are what each input added to the log-odds, that which moved it most
// first, appended to into.
func (m *Model) Reasons(row []float64, into []logistic.Reason) []logistic.Reason {
	if m.Trees != nil {
		return m.Trees.Reasons(row, into)
	}
	return m.Logistic.Reasons(row, into)
}

// UnmarshalJSON reads what was written, and lets no Model through that could not
// be evaluated.
func (m *Model) UnmarshalJSON(text []byte) error {
	type plain Model
	if err := json.Unmarshal(text, (*plain)(m)); err != nil {
		return err
	}
	inputs := len(m.Space.Columns)
	err := errors.Join(m.Space.Check(), m.Calibration.Check())
	switch {
	case m.Trees != nil && m.Logistic == nil:
		return errors.Join(err, m.Trees.Check(inputs))
	case m.Logistic != nil && m.Trees == nil:
		return errors.Join(err, m.Logistic.Check(inputs))
	}
	return errors.New("propensity: got none or both, want logistic or trees")
}
