package trees

import (
	"cmp"
	"math"
	"slices"

	"segue/processors/model/draw"
	"segue/processors/model/logistic"
)

// Settings are how trees grow; they are what works across many data sets, and
// nothing is tuned to one.
type Settings struct {
	// Rate is the part of what a tree would mend that it does mend.
	Rate float64
	// Leaves of a tree, at most.
	Leaves int
	// Rows that a leaf stands on, at least.
	Rows int
	// Pull is the ridge penalty on the values of leaves.
	Pull float64
	// RowShare and ColumnShare are what a tree sees.
	RowShare, ColumnShare float64
}

// Defaults for thousands of rows of a few dozen inputs.
var Defaults = Settings{Rate: .05, Leaves: 12, Rows: 20, Pull: 5, RowShare: .7, ColumnShare: .7}

// bins is how many values of an input are told apart, with that of missing, 0.
const bins = 64

// Forest is training rows and the trees grown on them so far.
type Forest struct {
	Model    Model
	settings Settings
	did      []bool
	// cuts of each column: bin b holds x with cuts[b-2] < x <= cuts[b-1].
	cuts   [][]float64
	binned [][]uint8
	// logOdds of each row, and the first and second derivative of its loss.
	logOdds, first, second []float64
}

// New prepares columns of as many rows as happened has; NaN is missing. Both
// must have occurred.
func New(columns [][]float64, happened []bool, settings Settings) (*Forest, error) {
	if err := logistic.Check(columns, happened); err != nil {
		return nil, err
	}
	f := &Forest{settings: settings, did: happened}
	did := 0
	for _, h := range happened {
		if h {
			did++
		}
	}
	f.Model.Base = math.Log(float64(did) / float64(len(happened)-did))
	for _, column := range columns {
		cuts := cut(column)
		binned := make([]uint8, len(column))
		for i, x := range column {
			if !math.IsNaN(x) {
				at, _ := slices.BinarySearch(cuts, x)
				binned[i] = uint8(at + 1)
			}
		}
		f.cuts, f.binned = append(f.cuts, cuts), append(f.binned, binned)
	}
	f.logOdds = slices.Repeat([]float64{f.Model.Base}, len(happened))
	f.first, f.second = make([]float64, len(happened)), make([]float64, len(happened))
	return f, nil
}

// cut finds where a column may be split: between neighbouring values, at
// quantiles if there are many.
func cut(column []float64) []float64 {
	sorted := make([]float64, 0, len(column))
	for _, x := range column {
		if !math.IsNaN(x) {
			sorted = append(sorted, x)
		}
	}
	slices.Sort(sorted)
	var cuts []float64
	distinct := len(slices.Compact(slices.Clone(sorted)))
	size := 0
	// What is left is shared evenly among the cuts that are left.
	for i := 1; i < len(sorted); i++ {
		size++
		left := bins - 2 - len(cuts)
		if sorted[i] == sorted[i-1] || left <= 0 || distinct > bins-1 && size*(left+1) < len(sorted)-i+size {
			continue
		}
		middle := sorted[i-1]/2 + sorted[i]/2
		if !(middle > sorted[i-1] && middle < sorted[i]) || math.IsInf(middle, 0) {
			middle = max(sorted[i-1], -math.MaxFloat64)
		}
		cuts = append(cuts, middle)
		size = 0
	}
	return cuts
}

// sum of derivatives over rows.
type sum struct {
	first, second float64
	rows          int32
}

func (s *sum) add(o sum) { s.first += o.first; s.second += o.second; s.rows += o.rows }
func (s *sum) sub(o sum) { s.first -= o.first; s.second -= o.second; s.rows -= o.rows }

// histogram has the sums of each bin of each column that a tree sees.
type histogram [][bins]sum

// leaf is a node that may be split.
type leaf struct {
	node  int32
	rows  []int32
	total sum
	sums  histogram
	best  split
}

// split is the best question to ask in a leaf.
type split struct {
	gain    float64
	column  int
	bin     int // the last that goes left
	missing int32
	left    sum
}

// Grow adds a tree.
func (f *Forest) Grow() {
	number := uint64(len(f.Model.Trees))
	for i, z := range f.logOdds {
		p := 1 / (1 + math.Exp(-z))
		f.first[i], f.second[i] = p, p*(1-p)
		if f.did[i] {
			f.first[i] = p - 1
		}
	}
	columns := f.drawColumns(number)
	root := leaf{rows: f.drawRows(number)}
	root.sums = f.gather(columns, root.rows)
	for _, i := range root.rows {
		root.total.add(sum{f.first[i], f.second[i], 1})
	}
	tree := Tree{nodes: []node{{value: f.value(root.total)}}}
	var at []split // what each node asks, by bin
	at = append(at, split{})
	f.search(&root, columns)
	leaves := []leaf{root}
	for len(leaves) < f.settings.Leaves {
		most := 0
		for i := range leaves {
			if leaves[i].best.gain > leaves[most].best.gain {
				most = i
			}
		}
		parent := leaves[most]
		if parent.best.gain <= 0 {
			break
		}
		best := parent.best
		below := int32(len(tree.nodes))
		n := &tree.nodes[parent.node]
		n.below, n.input, n.threshold, n.missing = below, int32(best.column), f.cuts[best.column][best.bin-1], best.missing
		at[parent.node] = best
		left := leaf{node: below, total: best.left}
		right := leaf{node: below + 1, total: parent.total}
		right.total.sub(best.left)
		left.rows, right.rows = f.part(parent.rows, best)
		// The sums of the smaller are gathered, those of the other are the rest.
		small, large := &left, &right
		if len(left.rows) > len(right.rows) {
			small, large = large, small
		}
		small.sums = f.gather(columns, small.rows)
		large.sums = parent.sums
		for c := range large.sums {
			for b := range large.sums[c] {
				large.sums[c][b].sub(small.sums[c][b])
			}
		}
		f.search(&left, columns)
		f.search(&right, columns)
		tree.nodes = append(tree.nodes, node{value: f.value(left.total)}, node{value: f.value(right.total)})
		at = append(at, split{}, split{})
		leaves[most] = left
		leaves = append(leaves, right)
	}
	f.finish(&tree, at)
	f.Model.Trees = append(f.Model.Trees, tree)
}

// value is what a leaf adds to the log-odds.
func (f *Forest) value(total sum) float32 {
	return float32(-f.settings.Rate * total.first / (total.second + f.settings.Pull))
}

// search finds the best split of a leaf.
func (f *Forest) search(l *leaf, columns []int) {
	least := int32(f.settings.Rows)
	score := func(s sum) float64 { return s.first * s.first / (s.second + f.settings.Pull) }
	whole := score(l.total)
	l.best = split{gain: 1e-9}
	found := false
	for k, column := range columns {
		sums := &l.sums[k]
		missing := sums[0]
		var left sum
		for bin := 1; bin <= len(f.cuts[column]); bin++ {
			left.add(sums[bin])
			for side := range int32(2) {
				if side == 0 && missing.rows == 0 {
					continue
				}
				here := left
				if side == 0 {
					here.add(missing)
				}
				there := l.total
				there.sub(here)
				if here.rows < least || there.rows < least {
					continue
				}
				if gain := score(here) + score(there) - whole; gain > l.best.gain {
					found = true
					l.best = split{gain, column, bin, side, here}
				}
			}
		}
	}
	if !found {
		l.best.gain = 0
	}
}

func (f *Forest) gather(columns []int, rows []int32) histogram {
	h := make(histogram, len(columns))
	for k, column := range columns {
		sums, binned := &h[k], f.binned[column]
		for _, i := range rows {
			s := &sums[binned[i]&(bins-1)]
			s.first += f.first[i]
			s.second += f.second[i]
			s.rows++
		}
	}
	return h
}

// part parts rows by a split.
func (f *Forest) part(rows []int32, s split) (left, right []int32) {
	for _, i := range rows {
		if f.side(s, i) == 0 {
			left = append(left, i)
		} else {
			right = append(right, i)
		}
	}
	return left, right
}

func (f *Forest) side(s split, row int32) int32 {
	switch bin := int(f.binned[s.column][row]); {
	case bin == 0:
		return s.missing
	case bin <= s.bin:
		return 0
	}
	return 1
}

// finish adds what the tree says to each row, and gives each node the mean of
// what its rows got.
func (f *Forest) finish(tree *Tree, at []split) {
	sums, counts := make([]float64, len(tree.nodes)), make([]float64, len(tree.nodes))
	for row := range f.logOdds {
		n := int32(0)
		for tree.nodes[n].below != 0 {
			n = tree.nodes[n].below + f.side(at[n], int32(row))
		}
		f.logOdds[row] += float64(tree.nodes[n].value)
		counts[n]++
	}
	for n := len(tree.nodes) - 1; n >= 0; n-- {
		if below := tree.nodes[n].below; below != 0 {
			sums[n] = sums[below] + sums[below+1]
			counts[n] = counts[below] + counts[below+1]
			if counts[n] > 0 {
				tree.nodes[n].value = float32(sums[n] / counts[n])
			}
		} else {
			sums[n] = counts[n] * float64(tree.nodes[n].value)
		}
	}
}

// drawRows are the rows that a tree sees.
func (f *Forest) drawRows(tree uint64) []int32 {
	var rows []int32
	limit := uint64(f.settings.RowShare * (1 << 32))
	for i := range f.did {
		if draw.Hash(tree<<32|uint64(i))>>32 < limit {
			rows = append(rows, int32(i))
		}
	}
	return rows
}

// drawColumns are the columns that a tree sees, at least one.
func (f *Forest) drawColumns(tree uint64) []int {
	columns := make([]int, len(f.cuts))
	for i := range columns {
		columns[i] = i
	}
	const apart = 1 << 63 // from the rows
	slices.SortFunc(columns, func(a, b int) int {
		return cmp.Compare(draw.Hash(tree<<32|uint64(a)|apart), draw.Hash(tree<<32|uint64(b)|apart))
	})
	columns = columns[:int(math.Ceil(f.settings.ColumnShare*float64(len(columns))))]
	slices.Sort(columns)
	return columns
}
