// Package trees learns how likely something is as a sum of many small decision
// trees, each of which mends what those before it got wrong.
//
//	columns, what happened → New → Grow, as often as it helps → Model
//	a row + Model → Probability, Reasons
//
// Where logistic adds up what each input does on its own, a tree also sees what
// inputs do together. How many trees help is not known here: whoever calls Grow
// holds rows back and stops when they gain nothing more.
//
// Sources: Friedman, "Greedy function approximation", Annals of Statistics 29
// (2001), and "Stochastic gradient boosting" (2002); Chen and Guestrin,
// "XGBoost", KDD 2016, for the second-order gain, its regularisation, and the
// learnt side of what is missing; Ke and others, "LightGBM", NIPS 2017, for
// histograms and for growing the best leaf first.
//
// Not obvious: this is own code, as no kept library in Go trains such trees
// (those there are evaluate what Python trained, or bind C). Rows and columns of
// a tree are drawn by a hash of its number, so that the same rows in the same
// order give the same model. Reasons are differences of means along the paths
// (Saabas, "Interpreting random forests", 2014): they add up, but an input
// further down a path may get less than its due, as Shapley values would give.
package trees

import (
	"encoding/json"
	"fmt"
	"math"

	"segue/processors/model/logistic"
)

// Model is the parameters; the zero Model gives a half.
type Model struct {
	// Base is the log-odds before the first tree.
	Base  float64 `json:"base"`
	Trees []Tree  `json:"trees"`
}

// Check says what a Model lacks that was read, for rows of so many inputs.
func (m *Model) Check(inputs int) error {
	for i, t := range m.Trees {
		for _, n := range t.nodes {
			if n.below != 0 && int(n.input) >= inputs {
				return fmt.Errorf("trees: tree %d: got input %d, want one of %d", i, n.input, inputs)
			}
		}
	}
	return nil
}

// Tree is its nodes, the root first.
type Tree struct{ nodes []node }

// node is a question, or a leaf.
type node struct {
	threshold float64
	// value is the mean of what the training rows that came here got: of a leaf,
	// what it adds to the log-odds.
	value float32
	// below is the first of two: where x <= threshold leads, and then where
	// x > threshold does. 0: a leaf.
	below int32
	input int32
	// missing is added to below for NaN.
	missing int32
}

func (t *Tree) next(n *node, row []float64) *node {
	x := row[n.input]
	switch {
	case x <= n.threshold:
		return &t.nodes[n.below]
	case x > n.threshold:
		return &t.nodes[n.below+1]
	default:
		return &t.nodes[n.below+n.missing]
	}
}

// Value is what a tree adds to the log-odds of a row.
func (t *Tree) Value(row []float64) float64 {
	n := &t.nodes[0]
	for n.below != 0 {
		n = t.next(n, row)
	}
	return float64(n.value)
}

// LogOdds of a row, which has a value for each column.
func (m *Model) LogOdds(row []float64) float64 {
	sum := m.Base
	for i := range m.Trees {
		sum += m.Trees[i].Value(row)
	}
	return sum
}

// Probability is within [0, 1], whatever the row holds.
func (m *Model) Probability(row []float64) float64 { return 1 / (1 + math.Exp(-m.LogOdds(row))) }

// Reasons are what each input added to the log-odds of a row, that which moved
// it most first. They are appended to into; with Mean they add up.
func (m *Model) Reasons(row []float64, into []logistic.Reason) []logistic.Reason {
	start := len(into)
	for i := range row {
		into = append(into, logistic.Reason{Input: i})
	}
	reasons := into[start:]
	for i := range m.Trees {
		t := &m.Trees[i]
		for n := &t.nodes[0]; n.below != 0; {
			next := t.next(n, row)
			reasons[n.input].LogOdds += float64(next.value) - float64(n.value)
			n = next
		}
	}
	logistic.SortReasons(reasons)
	return into
}

// Mean is the log-odds of the training rows on average.
func (m *Model) Mean() float64 {
	sum := m.Base
	for i := range m.Trees {
		sum += float64(m.Trees[i].nodes[0].value)
	}
	return sum
}

// written is a tree as data, a place in each for every node.
type written struct {
	Values []float32 `json:"values"`
	Below  []int32   `json:"below"`
	// Of the nodes that ask, in order.
	Inputs     []int32   `json:"inputs,omitempty"`
	Thresholds []float64 `json:"thresholds,omitempty"`
	Missing    []int32   `json:"missing,omitempty"`
}

// MarshalJSON writes a tree as lists.
func (t Tree) MarshalJSON() ([]byte, error) {
	var w written
	for _, n := range t.nodes {
		w.Values, w.Below = append(w.Values, n.value), append(w.Below, n.below)
		if n.below != 0 {
			w.Inputs, w.Thresholds = append(w.Inputs, n.input), append(w.Thresholds, n.threshold)
			w.Missing = append(w.Missing, n.missing)
		}
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote, and lets no tree through that
// could not be walked.
func (t *Tree) UnmarshalJSON(text []byte) error {
	var w written
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	asking := 0
	for _, below := range w.Below {
		if below != 0 {
			asking++
		}
	}
	if len(w.Values) == 0 || len(w.Below) != len(w.Values) ||
		len(w.Inputs) != asking || len(w.Thresholds) != asking || len(w.Missing) != asking {
		return fmt.Errorf("tree: got lists of %d values, %d below, %d inputs, %d thresholds and %d missing, want those of one tree",
			len(w.Values), len(w.Below), len(w.Inputs), len(w.Thresholds), len(w.Missing))
	}
	t.nodes = make([]node, len(w.Values))
	asking = 0
	for i, below := range w.Below {
		n := node{value: w.Values[i], below: below}
		if below != 0 {
			n.input, n.threshold, n.missing = w.Inputs[asking], w.Thresholds[asking], w.Missing[asking]
			asking++
			if int(below) <= i || int(below)+1 >= len(w.Values) || n.input < 0 || n.missing&^1 != 0 {
				return fmt.Errorf("tree: node %d: got input %d, below %d and missing %d of %d nodes, want what lies ahead",
					i, n.input, below, n.missing, len(w.Values))
			}
		}
		t.nodes[i] = n
	}
	return nil
}
