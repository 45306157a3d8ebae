package playbook

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Error is one thing that is wrong with a playbook:
//
//	playbook.yaml:14:9: journeys.cart.steps[1].after: got -3d, want a positive length of time such as 72h
type Error struct {
	File         string
	Line, Column int // from 1; 0: not known
	Path         string
	Got, Want    string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
		if e.Column > 0 {
			fmt.Fprintf(&b, ":%d", e.Column)
		}
	}
	b.WriteString(": ")
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	fmt.Fprintf(&b, "got %s, want %s", e.Got, e.Want)
	return b.String()
}

// join returns errs as one error in file order, each once; nil for none. first
// is the file that comes first.
func join(first string, errs []*Error) error {
	slices.SortStableFunc(errs, func(a, b *Error) int {
		if a.File != b.File {
			if a.File == first || b.File == first {
				return cmp.Compare(truth(b.File == first).n, truth(a.File == first).n)
			}
			return cmp.Compare(a.File, b.File)
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	var all []error
	seen := make(map[Error]bool)
	for _, e := range errs {
		if !seen[*e] {
			seen[*e] = true
			all = append(all, e)
		}
	}
	return errors.Join(all...)
}

// nearest returns the candidate that word was most likely meant to be, or "".
func nearest(word string, candidates []string) string {
	best, distance := "", 1+max(1, 2*utf8.RuneCountInString(word)/5)
	for _, c := range candidates {
		if d := edits(word, c); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// edits returns how many letters must be changed, added, dropped or swapped
// with their neighbour to make b of a.
func edits(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return max(len(x), len(y))
	}
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			change := rows[i-1][j-1]
			if x[i-1] != y[j-1] {
				change++
			}
			rows[i][j] = min(change, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}
