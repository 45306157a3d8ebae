package measure

import "math"

// Ranking says how good ranked lists were, each cut off at K, on average over
// those added.
type Ranking struct {
	// K is how many of a list count.
	K int
	// Lists is how many were added.
	Lists int

	recall, hits, gain, reciprocal float64
}

// Add adds a list: relevant says of its places, best first, whether what stands
// there was wanted; wanted is how many were, in the list or not, and is not 0.
func (r *Ranking) Add(relevant []bool, wanted int) {
	r.Lists++
	found, gain := 0, 0.0
	for i, was := range relevant[:min(r.K, len(relevant))] {
		if !was {
			continue
		}
		if found++; found == 1 {
			r.hits++
			r.reciprocal += 1 / float64(i+1)
		}
		gain += discount(i)
	}
	most := 0.0
	for i := range min(r.K, wanted) {
		most += discount(i)
	}
	r.recall += float64(found) / float64(wanted)
	r.gain += gain / most
}

func discount(place int) float64 { return 1 / math.Log2(float64(place)+2) }

// Recall is the share of what was wanted that stands in the list.
func (r *Ranking) Recall() float64 { return r.recall / float64(max(r.Lists, 1)) }

// HitRate is the share of lists in which anything wanted stands; of next baskets
// it is called the personalised hit ratio.
func (r *Ranking) HitRate() float64 { return r.hits / float64(max(r.Lists, 1)) }

// NDCG is the discounted gain over that of the best list of K.
//
// Source: Järvelin and Kekäläinen, ACM TOIS 20 (2002), each wanted one worth 1.
func (r *Ranking) NDCG() float64 { return r.gain / float64(max(r.Lists, 1)) }

// ReciprocalRank is the mean of 1 over the first place, from 1, of what was
// wanted; 0 where it is not among the K.
func (r *Ranking) ReciprocalRank() float64 { return r.reciprocal / float64(max(r.Lists, 1)) }
