package stream

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"segue/state"
)

// tally is a task that does next to nothing, so that what is measured is the
// runtime: 200 bytes of state, an output for every tenth record of a key.
type tally struct{ wakes bool }

type tallyState struct {
	Count, Sum, Last int64
	Recent           [22]int64
}

func (tally) New(string) *tallyState { return new(tallyState) }
func (tally) Release(*tallyState)    {}
func (tally) Size(*tallyState) int   { return 200 }

func (tally) Encode(dst []byte, s *tallyState) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.Count))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.Sum))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.Last))
	for _, v := range s.Recent {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v))
	}
	return dst
}

func (tally) Decode(b []byte) (*tallyState, error) {
	if len(b) != 200 {
		return nil, fmt.Errorf("got %d bytes, want 200", len(b))
	}
	s := &tallyState{
		Count: int64(binary.LittleEndian.Uint64(b)),
		Sum:   int64(binary.LittleEndian.Uint64(b[8:])),
		Last:  int64(binary.LittleEndian.Uint64(b[16:])),
	}
	for i := range s.Recent {
		s.Recent[i] = int64(binary.LittleEndian.Uint64(b[24+8*i:]))
	}
	return s, nil
}

func (tally) Load(context.Context, string) error                     { return nil }
func (tally) Publish(_ string, _ *tallyState, fold []byte) []byte    { return fold }
func (tally) Restore(value []byte) ([]byte, error)                   { return value, nil }
func (tally) Compose(*tallyState, Input, struct{}) ([]Output, error) { return nil, nil }

func (p tally) Advance(s *tallyState, in Input) (decisions []struct{}, next int64, err error) {
	if in.Offset >= 0 {
		s.fold(in.Value, in.Now)
	}
	if s.Count%10 == 0 {
		decisions = make([]struct{}, 1)
	}
	if p.wakes {
		next = in.Now + 24*time.Hour.Milliseconds()
	}
	return decisions, next, nil
}

func (s *tallyState) fold(value []byte, now int64) {
	amount := int64(binary.LittleEndian.Uint64(value))
	s.Recent[s.Count%int64(len(s.Recent))] = amount
	s.Count, s.Sum, s.Last = s.Count+1, s.Sum+amount, now
}

// benchLog makes records as a client hands them on: spread over partitions,
// in buffers that nobody keeps.
type benchLog struct {
	customers int
	picks     []uint32 // customers, in turn
	at        int64
	offsets   [benchPartitions]int64
	records   [benchPartitions][]record
	buf       []byte
}

const (
	benchPartitions = 16
	benchPoll       = 10_000
	benchKey        = 16
	benchRecord     = benchKey + 100
)

func newBenchLog(customers int, zipf bool) *benchLog {
	rng := rand.New(rand.NewPCG(1, 2))
	z := rand.NewZipf(rng, 1.1, 1, uint64(customers-1))
	l := &benchLog{customers: customers, picks: make([]uint32, 4_000_000), at: 1_700_000_000_000, buf: make([]byte, benchPoll*benchRecord)}
	for i := range l.picks {
		if zipf {
			l.picks[i] = uint32(z.Uint64()) * 0x9e3779b1 >> 2 // far from each other
		} else {
			l.picks[i] = uint32(rng.IntN(customers))
		}
	}
	return l
}

// next makes the records of a poll, by partition.
func (l *benchLog) next() *[benchPartitions][]record {
	for id := range l.records {
		l.records[id] = l.records[id][:0]
	}
	for i := range benchPoll {
		customer := l.picks[(int(l.at)+i)%len(l.picks)]
		b := l.buf[i*benchRecord:][:benchRecord]
		digits := customer
		for d := benchKey - 1; d >= 0; d-- {
			b[d] = '0' + byte(digits%10)
			digits /= 10
		}
		binary.LittleEndian.PutUint64(b[benchKey:], uint64(i))
		id := customer % benchPartitions
		l.records[id] = append(l.records[id], record{offset: l.offsets[id], at: l.at + int64(i), key: b[:benchKey], value: b[benchKey:]})
		l.offsets[id]++
	}
	l.at += benchPoll
	return &l.records
}

// cpu is what the process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The fold with write-back and without Kafka, in CPU time of the process. bare
// is a map and the same arithmetic.
func BenchmarkFold(b *testing.B) {
	for _, customers := range []int{100_000, 1_000_000} {
		for _, keys := range []string{"uniform", "zipf"} {
			name := fmt.Sprintf("customers=%d/keys=%s", customers, keys)
			b.Run(name+"/bare", func(b *testing.B) { benchBare(b, newBenchLog(customers, keys == "zipf")) })
			b.Run(name+"/fold", func(b *testing.B) { benchFold(b, tally{}, newBenchLog(customers, keys == "zipf")) })
			b.Run(name+"/wakes", func(b *testing.B) { benchFold(b, tally{wakes: true}, newBenchLog(customers, keys == "zipf")) })
		}
	}
}

func benchBare(b *testing.B, l *benchLog) {
	var maps [benchPartitions]map[string]*tallyState
	for i := range maps {
		maps[i] = map[string]*tallyState{}
	}
	turn := func() {
		for id, records := range l.next() {
			for _, r := range records {
				s := maps[id][string(r.key)]
				if s == nil {
					s = new(tallyState)
					maps[id][string(r.key)] = s
				}
				s.fold(r.value, r.at)
			}
		}
	}
	for range 2 * l.customers / benchPoll {
		turn()
	}
	b.ReportAllocs()
	b.ResetTimer()
	turns, start := 0, cpu(b)
	for b.Loop() {
		turn()
		turns++
	}
	b.ReportMetric(float64((cpu(b)-start).Nanoseconds())/float64(turns*benchPoll), "cpu-ns/event")
}

func benchFold(b *testing.B, task tally, l *benchLog) {
	// A partition is written back as often as five seconds at 800,000 events a second come to.
	const perFlight = 4_000_000 / benchPartitions
	s, err := state.Open(b.TempDir(), state.Options{Memory: 256 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}()
	outputs := 0
	var background sync.WaitGroup
	var xs [benchPartitions]*benchPartition
	for id := range xs {
		store := s.Partition(int32(id))
		x := &benchPartition{partition: partition[tallyState, struct{}]{id: int32(id), store: store, fold: newFold[tallyState, struct{}](task, store)}}
		x.fold.out = func(Input, Output) { outputs++ }
		x.since = id * perFlight / benchPartitions // not all at once
		xs[id] = x
	}
	turn := func() {
		for id, records := range l.next() {
			x := xs[id]
			if err := x.turn(b.Context(), records); err != nil {
				b.Fatal(err)
			}
			if x.since += len(records); x.since >= perFlight && x.fold.flight == nil {
				x.since = 0
				if err := x.fold.freeze("", 0); err != nil {
					b.Fatal(err)
				}
			}
			if err := x.writeBack(&background); err != nil {
				b.Fatal(err)
			}
		}
	}
	for range 2 * l.customers / benchPoll { // most customers are known by then
		turn()
	}
	b.ReportAllocs()
	b.ResetTimer()
	turns, longest, start := 0, time.Duration(0), cpu(b)
	for b.Loop() {
		started := time.Now()
		turn()
		longest = max(longest, time.Since(started))
		turns++
	}
	background.Wait()
	b.ReportMetric(float64((cpu(b)-start).Nanoseconds())/float64(turns*benchPoll), "cpu-ns/event")
	b.ReportMetric(float64(longest.Microseconds())/1000, "longest-turn-ms")
}

// benchPartition is a partition and what a loop does with it.
type benchPartition struct {
	partition[tallyState, struct{}]
	since int // records since it was frozen
}

func (x *benchPartition) turn(ctx context.Context, records []record) error {
	for i, r := range records {
		if i%warmAhead == 0 {
			x.fold.warm(len(records)-i, func(n int) []byte { return records[i+n].key })
		}
		if err := x.fold.record(ctx, r); err != nil {
			return err
		}
	}
	_, err := x.fold.drain(state.Wake{Due: x.fold.pos.Clock}, 1000)
	return err
}

func (x *benchPartition) writeBack(background *sync.WaitGroup) error {
	l := x.fold.flight
	if l == nil {
		return nil
	}
	if l.handed {
		ended, err := l.landed()
		if ended && err == nil {
			x.land()
		}
		return err
	}
	x.fold.saveNext(2 * saveMost)
	if l.complete() {
		l.handed = true
		background.Go(func() { _ = l.write() })
	}
	return nil
}
