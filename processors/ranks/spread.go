package ranks

import (
	"math"
	"sort"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

const (
	// accuracy is how far a breakpoint may be from the value that it stands for, as
	// a share of it: half a bin of the sketch.
	accuracy = .001
	// parts is how many parts the breakpoints make: one more than there are.
	parts = 100
	// point is by how much of all customers a breakpoint may be off.
	point = .01
	// least is what counts as worth anything, in millionths: bins below it would be
	// narrower than a millionth.
	least = 10_000

	million = 1e6
)

// bins are those of every sketch.
var bins = func() mapping.IndexMapping {
	m, err := mapping.NewLogarithmicMapping(accuracy)
	if err != nil {
		panic(err) // an accuracy that is no share
	}
	return m
}()

// spread is how values are spread over the customers who are worth anything.
type spread struct {
	bins  []bin // with customers, the cheapest first
	total float64
}

type bin struct {
	index int
	upTo  float64 // customers in it or below
}

// spreadOf counts values in millionths.
func spreadOf(values func(yield func(int64) bool)) spread {
	sketch := ddsketch.NewDDSketch(bins, store.NewDenseStore(), store.NewSparseStore())
	for v := range values {
		if v >= least {
			_ = sketch.Add(float64(v) / million) // what is too great is greater than any sum of money
		}
	}
	s := spread{total: sketch.GetCount()}
	upTo := 0.
	sketch.GetPositiveValueStore().ForEach(func(index int, count float64) bool {
		upTo += count
		s.bins = append(s.bins, bin{index, upTo})
		return false
	})
	return s
}

// breakpoints are the values that divide the customers into parts of one size, the
// lowest first. One that several customers have is not above its own breakpoint, so
// each is the greatest of its bin: somebody's rank counts those who are worth less.
func (s spread) breakpoints() []float64 {
	points := make([]float64, 0, parts-1)
	for i := 1; i < parts; i++ {
		want := s.total * float64(i) / parts
		at := sort.Search(len(s.bins), func(b int) bool { return s.bins[b].upTo >= want })
		points = append(points, greatest(s.bins[at].index))
	}
	return points
}

// greatest is the greatest value of a bin, in whole millionths.
func greatest(index int) float64 {
	micros := math.Floor(bins.LowerBound(index+1) * million)
	for bins.Index(micros/million) > index { // the bound, rounded
		micros--
	}
	return micros / million
}

// moved returns by which share of all customers the one of points that is furthest
// off is from where it should be; 1: there are none. No point is off that parts
// customers who are worth the same.
func (s spread) moved(points []float64) (most float64) {
	if len(points) == 0 {
		return 1
	}
	for i, v := range points {
		want := float64(i+1) / float64(len(points)+1)
		below, upTo := s.shares(v)
		most = max(most, below-want, want-upTo)
	}
	return most
}

// shares returns how many of all customers are in the bins below the one of v, and
// in these and v's own.
func (s spread) shares(v float64) (below, upTo float64) {
	if v*million < least {
		return 0, 0
	}
	index := bins.Index(v)
	at := sort.Search(len(s.bins), func(b int) bool { return s.bins[b].index >= index })
	if at > 0 {
		below = s.bins[at-1].upTo
	}
	upTo = below
	if at < len(s.bins) && s.bins[at].index == index {
		upTo = s.bins[at].upTo
	}
	return below / s.total, upTo / s.total
}
