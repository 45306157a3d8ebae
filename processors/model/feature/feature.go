// Package feature makes numbers of what a shop's columns say.
//
//	training rows → Learn → Space
//	a row's texts → Space.Encode → numbers → logistic, trees
//
// A number stays what it is, and so do words for yes and no. Any other text is a
// category, and its levels are numbered by how often it happened among them, the
// least first: next to each other are those that behave alike, so that a model
// may treat the number as any other.
//
// Not obvious: what is missing is NaN, and means something to the models, since
// that nothing is known of a customer says something too. Rare levels are one,
// and so are those never seen: a column of names that all differ says nothing.
// What a Space knows it has from training rows alone, so it is learnt anew in
// each part of a cross-validation.
package feature

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Space is what the columns of training rows are.
type Space struct {
	Columns []Column `json:"columns"`
}

// Column is one input.
type Column struct {
	Name string `json:"name"`
	// Category: it is one, else a number.
	Category bool `json:"category,omitempty"`
	// Levels of a category that are told apart, sorted.
	Levels []string `json:"levels,omitempty"`
	// Codes are the numbers of the levels, from 0 on.
	Codes []int `json:"codes,omitempty"`
	// Other is the number of all further levels.
	Other int `json:"other,omitempty"`
}

const (
	// numeric is the share of values that are numbers in a column of numbers; the
	// others count as missing there.
	numeric = .95
	// common is in how many training rows a level stands to be one of its own,
	// and most is how many of those there are.
	common, most = 10, 64
	// prior is how many rows the overall rate weighs in the rate of a level.
	prior = 10
)

// Learn looks at training rows and whether it happened in each. Each row has as
// many values as there are names.
func Learn(names []string, rows [][]string, happened []bool) Space {
	var s Space
	for i, name := range names {
		column := Column{Name: name}
		if !isNumber(rows, i) {
			column.learnLevels(rows, i, happened)
		}
		s.Columns = append(s.Columns, column)
	}
	return s
}

func isNumber(rows [][]string, column int) bool {
	present, numbers := 0, 0
	for _, row := range rows {
		if missing(row[column]) {
			continue
		}
		present++
		if !math.IsNaN(Number(row[column])) {
			numbers++
		}
	}
	return float64(numbers) >= numeric*float64(present)
}

func (c *Column) learnLevels(rows [][]string, column int, happened []bool) {
	type level struct {
		name      string
		rows, did float64
	}
	var others level
	counts := map[string]level{}
	for i, row := range rows {
		name := clean(row[column])
		if missing(name) {
			continue
		}
		l := counts[name]
		l.name = name
		l.rows++
		others.rows++
		if happened[i] {
			l.did++
			others.did++
		}
		counts[name] = l
	}
	var levels []level
	for _, l := range counts {
		if l.rows >= common {
			levels = append(levels, l)
		}
	}
	slices.SortFunc(levels, func(a, b level) int {
		return cmp.Or(cmp.Compare(b.rows, a.rows), cmp.Compare(a.name, b.name))
	})
	levels = levels[:min(len(levels), most)]
	rate := others.did / max(others.rows, 1)
	for _, l := range levels {
		others.rows -= l.rows
		others.did -= l.did
	}
	levels = append(levels, others)
	smoothed := func(l level) float64 { return (l.did + prior*rate) / (l.rows + prior) }
	slices.SortFunc(levels, func(a, b level) int {
		return cmp.Or(cmp.Compare(smoothed(a), smoothed(b)), cmp.Compare(a.name, b.name))
	})
	c.Category = true
	codes := map[string]int{}
	for code, l := range levels {
		if l.name == "" {
			c.Other = code
			continue
		}
		codes[l.name] = code
		c.Levels = append(c.Levels, l.name)
	}
	slices.Sort(c.Levels)
	for _, name := range c.Levels {
		c.Codes = append(c.Codes, codes[name])
	}
}

// Names are the columns' names, in order.
func (s Space) Names() []string {
	names := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		names[i] = c.Name
	}
	return names
}

// Encode writes the number of each of a row's values; NaN is missing.
func (s Space) Encode(values []string, into []float64) {
	for i := range s.Columns {
		into[i] = s.Columns[i].Encode(values[i])
	}
}

// Encode is the number of a value.
func (c *Column) Encode(value string) float64 {
	if !c.Category {
		return Number(value)
	}
	value = clean(value)
	if missing(value) {
		return math.NaN()
	}
	if at, found := slices.BinarySearch(c.Levels, value); found {
		return float64(c.Codes[at])
	}
	return float64(c.Other)
}

// Number is the number that a text stands for, 1 for yes and 0 for no; NaN when
// it stands for none. It may be infinite.
func Number(text string) float64 {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseFloat(text, 64); err == nil || math.IsInf(n, 0) {
		return n
	}
	switch strings.ToLower(text) {
	case "true", "yes", "t", "y":
		return 1
	case "false", "no", "f", "n":
		return 0
	}
	return math.NaN()
}

func clean(text string) string { return strings.TrimSpace(text) }

func missing(text string) bool {
	switch strings.ToLower(clean(text)) {
	case "", "na", "n/a", "nan", "null", "none", "nil", "?", "-":
		return true
	}
	return false
}

// Matrix encodes rows, one slice for each column.
func (s Space) Matrix(rows [][]string) [][]float64 {
	columns := make([][]float64, len(s.Columns))
	for i := range columns {
		columns[i] = make([]float64, len(rows))
		for j, row := range rows {
			columns[i][j] = s.Columns[i].Encode(row[i])
		}
	}
	return columns
}

// Check says what is wrong with a Space that was read.
func (s Space) Check() error {
	for _, c := range s.Columns {
		if len(c.Levels) != len(c.Codes) || !slices.IsSorted(c.Levels) {
			return fmt.Errorf("column %q: got %d levels and %d codes, want as many, and levels sorted", c.Name, len(c.Levels), len(c.Codes))
		}
	}
	return nil
}
