// Package draw draws rows without chance: by a hash of their number, so that the
// same rows are drawn again, and no rhythm in them shows in what is drawn.
package draw

import (
	"cmp"
	"slices"
)

// Hash spreads x evenly over 64 bits.
//
// Source: the finaliser of SplitMix64; Steele, Lea and Flood, OOPSLA 2014.
func Hash(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Parts deals rows to parts, those of either outcome evenly.
func Parts(happened []bool, parts int) []int {
	order := make([]int, len(happened))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Compare(Hash(uint64(a)), Hash(uint64(b)))
	})
	part, seen := make([]int, len(happened)), map[bool]int{}
	for _, i := range order {
		part[i] = seen[happened[i]] % parts
		seen[happened[i]]++
	}
	return part
}
