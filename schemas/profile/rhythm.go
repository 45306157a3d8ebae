package profile

import "math/bits"

// RhythmDays is how many days a rhythm remembers.
const RhythmDays = 128

const day = 24 * 60 * 60 * 1000

// Rhythm is on which of the last RhythmDays days something happened, counted from
// the last one: bit i of Days stands for the day that lies i before that of At, in
// UTC. In whichever order things arrive, and are merged, it is the same.
type Rhythm struct {
	At   int64 // the last time
	Days [2]uint64
}

// Add takes in that it happened at an instant.
func (r *Rhythm) Add(at int64) { r.Join(Rhythm{At: at, Days: [2]uint64{1}}) }

// Join takes in what another rhythm remembers.
func (r *Rhythm) Join(other Rhythm) {
	if other.At > r.At {
		*r, other = other, *r
	}
	if other.At == 0 {
		return
	}
	older := other.shifted(uint(r.At/day - other.At/day))
	r.Days[0] |= older[0]
	r.Days[1] |= older[1]
}

func (r Rhythm) shifted(days uint) [2]uint64 {
	if days >= 64 {
		return [2]uint64{0, r.Days[0] << (days - 64)}
	}
	return [2]uint64{r.Days[0] << days, r.Days[1]<<days | r.Days[0]>>(64-days)}
}

// Count is on how many days it happened, and from the first of them to the last,
// in days; 0 and 0: never.
func (r Rhythm) Count() (days, span int) {
	days = bits.OnesCount64(r.Days[0]) + bits.OnesCount64(r.Days[1])
	if r.Days[1] != 0 {
		return days, 63 + bits.Len64(r.Days[1])
	}
	return days, max(0, bits.Len64(r.Days[0])-1)
}

// Within is on how many of the last days it happened, up to that of At.
func (r Rhythm) Within(days int) int {
	if days < 64 {
		return bits.OnesCount64(r.Days[0] & (1<<days - 1))
	}
	return bits.OnesCount64(r.Days[0]) + bits.OnesCount64(r.Days[1]&(1<<(days-64)-1))
}
