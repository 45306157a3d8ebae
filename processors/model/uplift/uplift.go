// Package uplift says for whom a treatment, such as a mail, changes anything.
//
//	rows of an experiment → Fit → a model of each arm
//	a row + Model → Uplift: how likely it is with, less how likely without
//
// The two models are of propensity, one learnt from the treated and one from the
// control: both linear or both of trees, whichever says better what happens in rows
// held back from them.
//
// Sources: Hansotia and Rukstales, "Incremental value modeling" (2002), for the two
// models; Künzel and others, PNAS 116 (2019), who call it the T-learner.
//
// Not obvious: only an experiment tells, in which chance dealt the arms. What the
// treatment moves is no input, since of a customer to be treated it is not known;
// a column gives itself away when it differs between the arms, or when the outcome
// is certain wherever it says anything, and is left out. Differences of two models
// are small and unsure: an average effect is sure long before it is known for whom.
package uplift

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"segue/processors/model/feature"
	"segue/processors/model/lift"
	"segue/processors/model/propensity"
)

// Experiment is rows of two arms, all lists as long.
type Experiment struct {
	// Names of the columns, and Rows with a text for each.
	Names    []string
	Rows     [][]string
	Treated  []bool
	Happened []bool
}

// pick are the rows for which which is true.
func (x *Experiment) pick(which func(i int) bool) Experiment {
	some := Experiment{Names: x.Names}
	for i := range x.Rows {
		if which(i) {
			some.Rows, some.Treated, some.Happened = append(some.Rows, x.Rows[i]), append(some.Treated, x.Treated[i]), append(some.Happened, x.Happened[i])
		}
	}
	return some
}

// Model is the two models.
type Model struct{ Treated, Control *propensity.Model }

// Uplift is by how much likelier it is with the treatment, in [-1, 1].
func (m *Model) Uplift(values []string) float64 {
	return probability(m.Treated, values) - probability(m.Control, values)
}

func probability(m *propensity.Model, values []string) float64 {
	row := make([]float64, len(m.Space.Columns))
	m.Space.Encode(values, row)
	return m.Probability(row)
}

// Fitted are the candidates.
type Fitted struct {
	Linear, Trees Model
	// ByTrees: they are the ones to take.
	ByTrees bool
}

// Fit fits both.
func Fit(x Experiment) (*Fitted, error) {
	treated := x.pick(func(i int) bool { return x.Treated[i] })
	control := x.pick(func(i int) bool { return !x.Treated[i] })
	with, err := propensity.Fit(x.Names, treated.Rows, treated.Happened)
	if err != nil {
		return nil, fmt.Errorf("treated: %w", err)
	}
	without, err := propensity.Fit(x.Names, control.Rows, control.Happened)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	loss := func(with, without *propensity.Candidate) float64 {
		return float64(len(treated.Rows))*with.LogLoss + float64(len(control.Rows))*without.LogLoss
	}
	return &Fitted{
		Linear:  Model{&with.Linear.Model, &without.Linear.Model},
		Trees:   Model{&with.Trees.Model, &without.Trees.Model},
		ByTrees: loss(&with.Trees, &without.Trees) < loss(&with.Linear, &without.Linear),
	}, nil
}

// LeftOut is a column that is no input.
type LeftOut struct {
	Column string `json:"column"`
	Why    string `json:"why"`
}

const (
	// moved is how many standard errors arms must differ by, which of a thousand
	// columns one does by chance.
	moved = 3.29
	// certain is how unlikely it must be that chance made an outcome certain.
	certain = 1e-6
)

// Known splits columns into what may be known before the treatment and what cannot
// be: it is returned without these, and told why.
func (x *Experiment) Known() (known Experiment, out []LeftOut) {
	var keep []int
	for c, name := range x.Names {
		if why := x.afterwards(c); why != "" {
			out = append(out, LeftOut{name, why})
			continue
		}
		keep = append(keep, c)
		known.Names = append(known.Names, name)
	}
	known.Treated, known.Happened = x.Treated, x.Happened
	for _, row := range x.Rows {
		values := make([]string, len(keep))
		for k, c := range keep {
			values[k] = row[c]
		}
		known.Rows = append(known.Rows, values)
	}
	return known, out
}

// afterwards says why a column is known only after the treatment, if it is.
func (x *Experiment) afterwards(column int) string {
	common := x.common(column)
	numbers := true
	var control, treated, controlSize, treatedSize lift.Sums
	var rows, did float64
	for i, row := range x.Rows {
		text := strings.TrimSpace(row[column])
		size := feature.Number(text)
		if math.IsNaN(size) || math.IsInf(size, 0) {
			numbers = false
		}
		other := 0.0
		if text != common {
			other = 1
			rows++
		}
		if x.Treated[i] {
			treated.Add(other)
			treatedSize.Add(size)
		} else {
			control.Add(other)
			controlSize.Add(size)
		}
		if x.Happened[i] {
			did += other
		}
	}
	differ := func(e lift.Effect) bool { return math.Abs(e.Mean) > moved*e.Error && e.Error > 0 }
	if differ(lift.Between(control, treated)) || numbers && differ(lift.Between(controlSize, treatedSize)) {
		return "it differs between the arms, as chance would make it in one of a thousand columns: the treatment moved it, or the arms were not dealt by chance"
	}
	rate := x.rate()
	switch {
	case did == rows && math.Pow(rate, rows) < certain:
		return fmt.Sprintf("wherever it is not %q the outcome is certain: it is known only afterwards", common)
	case did == 0 && math.Pow(1-rate, rows) < certain:
		return fmt.Sprintf("wherever it is not %q the outcome is excluded: it is known only afterwards", common)
	}
	return ""
}

// common is the commonest text of a column, the first in order of equal ones.
func (x *Experiment) common(column int) string {
	counts := map[string]int{}
	for _, row := range x.Rows {
		counts[strings.TrimSpace(row[column])]++
	}
	best := ""
	for text, n := range counts {
		if n > counts[best] || n == counts[best] && text < best {
			best = text
		}
	}
	return best
}

// check says what an experiment lacks.
func (x *Experiment) check() error {
	switch {
	case !slices.Contains(x.Treated, true):
		return errors.New("got no row that was treated, want some of both arms")
	case !slices.Contains(x.Treated, false):
		return errors.New("got no row of the control, want some of both arms")
	}
	return nil
}
