package propensity

import (
	"fmt"
	"math"
	"slices"

	"segue/processors/model/calibrate"
	"segue/processors/model/draw"
	"segue/processors/model/feature"
	"segue/processors/model/logistic"
	"segue/processors/model/trees"
)

// Candidate is a model, and what it was worth on rows held back from it.
type Candidate struct {
	Model
	// LogLoss is the mean of those rows, in nats.
	LogLoss float64
	losses  []float64
}

// Fitted are the two candidates.
type Fitted struct {
	Linear, Trees Candidate
	// ByTrees: they are the ones to take.
	ByTrees bool
}

// Chosen is the candidate to take.
func (f *Fitted) Chosen() *Candidate {
	if f.ByTrees {
		return &f.Trees
	}
	return &f.Linear
}

const (
	// folds of the cross-validation.
	folds = 5
	// enough rows to choose by, with enough of the rarer outcome: of more, about as
	// many are drawn.
	enough, enoughRare = 50_000, 1000
	// most trees, and how many in a row may gain nothing.
	most, patience = 1000, 40
)

// What is tried, from the strictest: penalties of curves, and of what they do
// two by two, where nothing is the strictest.
var (
	penalties     = []float64{300, 100, 30, 10, 3, 1}
	pairPenalties = []float64{100, 10, 1}
)

// fold is one part of the rows held back, and the others to learn from.
type fold struct {
	space feature.Space
	in    [][]float64 // columns
	did   []bool
	out   []int       // places among the rows to choose by
	rows  [][]float64 // of out, encoded
}

// Fit fits both to rows, which have a text for each name.
func Fit(names []string, rows [][]string, happened []bool) (*Fitted, error) {
	if err := logistic.Check(nil, happened); err != nil {
		return nil, err
	}
	some, did := thinned(rows, happened)
	parts, err := part(names, some, did)
	if err != nil {
		return nil, err
	}
	space := feature.Learn(names, rows, happened)
	columns := space.Matrix(rows)
	f := &Fitted{}
	if f.Linear, err = linear(parts, did, columns, happened); err != nil {
		return nil, fmt.Errorf("linear: %w", err)
	}
	if f.Trees, err = forest(parts, did, columns, happened); err != nil {
		return nil, fmt.Errorf("trees: %w", err)
	}
	f.Linear.Space, f.Trees.Space = space, space
	gains := make([]float64, len(did))
	for i := range gains {
		gains[i] = f.Linear.losses[i] - f.Trees.losses[i]
	}
	mean, off := calibrate.MeanAndError(gains)
	f.ByTrees = mean > off
	return f, nil
}

func thinned(rows [][]string, happened []bool) (some [][]string, did []bool) {
	count := 0
	for _, h := range happened {
		if h {
			count++
		}
	}
	rare := min(count, len(happened)-count)
	every := uint64(max(1, min((len(rows)+enough-1)/enough, rare/enoughRare)))
	for i, row := range rows {
		if draw.Hash(uint64(i))%every == 0 {
			some, did = append(some, row), append(did, happened[i])
		}
	}
	return some, did
}

// part deals rows to the folds.
func part(names []string, rows [][]string, happened []bool) ([]fold, error) {
	seen := map[bool]int{}
	for _, h := range happened {
		seen[h]++
	}
	if seen[true] < folds || seen[false] < folds {
		return nil, fmt.Errorf("got %d rows in which it happened and %d in which it did not, want at least %d of both",
			seen[true], seen[false], folds)
	}
	in := draw.Parts(happened, folds)
	parts := make([]fold, folds)
	for k := range parts {
		p := &parts[k]
		var learn [][]string
		for i, row := range rows {
			if in[i] == k {
				p.out = append(p.out, i)
			} else {
				learn, p.did = append(learn, row), append(p.did, happened[i])
			}
		}
		p.space = feature.Learn(names, learn, p.did)
		p.in = p.space.Matrix(learn)
		for _, i := range p.out {
			row := make([]float64, len(names))
			p.space.Encode(rows[i], row)
			p.rows = append(p.rows, row)
		}
	}
	return parts, nil
}

// linear chooses the penalties, first of the curves and then of the pairs, and
// fits with them.
func linear(parts []fold, did []bool, columns [][]float64, happened []bool) (Candidate, error) {
	bases, curves := make([]*logistic.Basis, len(parts)), make([][]*logistic.Model, len(parts))
	var curved, paired trial
	for k, p := range parts {
		var err error
		if bases[k], err = logistic.NewBasis(p.in, p.did); err != nil {
			return Candidate{}, err
		}
		for i, penalty := range penalties {
			m := bases[k].Fit(penalty)
			curves[k] = append(curves[k], m)
			curved.hold(i, p, m, did)
		}
	}
	best := curved.best(did)
	for k, p := range parts {
		m := curves[k][best]
		paired.hold(0, p, m, did)
		for i, penalty := range pairPenalties {
			paired.hold(i+1, p, bases[k].Pairs(m, penalty), did)
		}
	}
	pairs := paired.best(did)
	basis, err := logistic.NewBasis(columns, happened)
	if err != nil {
		return Candidate{}, err
	}
	m := basis.Fit(penalties[best])
	if pairs > 0 {
		m = basis.Pairs(m, pairPenalties[pairs-1])
	}
	c, err := calibrated(paired.held[pairs], did)
	c.Logistic = m
	return c, err
}

// trial is the log-odds of rows that were held back, by each way.
type trial struct{ held [][]float64 }

func (t *trial) hold(way int, p fold, m *logistic.Model, did []bool) {
	if way == len(t.held) {
		t.held = append(t.held, make([]float64, len(did)))
	}
	for j, row := range p.rows {
		t.held[way][p.out[j]] = m.LogOdds(row)
	}
}

// best is the way whose loss is least, the first of equal ones.
func (t *trial) best(did []bool) int {
	best, least := 0, math.Inf(1)
	for way, held := range t.held {
		if loss := total(losses(held, did)); loss < least {
			best, least = way, loss
		}
	}
	return best
}

// forest chooses how many trees there are, and grows them.
func forest(parts []fold, did []bool, columns [][]float64, happened []bool) (Candidate, error) {
	forests := make([]*trees.Forest, len(parts))
	now := make([]float64, len(did))
	for k, p := range parts {
		var err error
		if forests[k], err = trees.New(p.in, p.did, trees.Defaults); err != nil {
			return Candidate{}, err
		}
		for _, i := range p.out {
			now[i] = forests[k].Model.Base
		}
	}
	held, best, least := slices.Clone(now), 0, total(losses(now, did))
	for count := 1; count <= most && count <= best+patience; count++ {
		for k, p := range parts {
			forests[k].Grow()
			tree := &forests[k].Model.Trees[count-1]
			for j, i := range p.out {
				now[i] += tree.Value(p.rows[j])
			}
		}
		if loss := total(losses(now, did)); loss < least {
			best, least = count, loss
			copy(held, now)
		}
	}
	all, err := trees.New(columns, happened, trees.Defaults)
	if err != nil {
		return Candidate{}, err
	}
	for range best {
		all.Grow()
	}
	c, err := calibrated(held, did)
	c.Trees = &all.Model
	return c, err
}

// calibrated is a candidate without its model, of log-odds of rows held back.
func calibrated(held []float64, did []bool) (c Candidate, err error) {
	c.losses = losses(held, did)
	c.LogLoss = total(c.losses) / float64(len(did))
	c.Calibration, err = calibrate.Fit(held, did)
	return c, err
}

func losses(logOdds []float64, did []bool) []float64 {
	each := make([]float64, len(did))
	for i, z := range logOdds {
		if did[i] {
			z = -z
		}
		each[i] = max(z, 0) + math.Log1p(math.Exp(-math.Abs(z)))
	}
	return each
}

func total(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum
}
