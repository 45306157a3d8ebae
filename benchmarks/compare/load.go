package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/benchmarks/workload"
)

// load is a topic full of events, and how large the states are that they make.
type load struct {
	workload.Workload
	events int
	bytes  int // of a state
	memory int64

	topic string
	want  *workload.Answers
}

const loadSyntax = "CUSTOMERS[~ZIPF][:STATE_BYTES][*EVENTS][@MEMORY], such as 1M~1.1 or 1M:1500*2M@2GiB"

// parseLoad reads what loadSyntax says; what is not said is as in the defaults.
func parseLoad(s string, defaults load) (load, error) {
	l := defaults
	rest := s
	cut := func(mark string, set func(string) error) error {
		before, after, found := strings.Cut(rest, mark)
		rest = before
		if !found {
			return nil
		}
		return set(after)
	}
	number := func(into *int) func(string) error {
		return func(s string) (err error) {
			*into, err = parseCount(s)
			return err
		}
	}
	steps := []struct {
		mark string
		set  func(string) error
	}{
		{"@", func(s string) (err error) { l.memory, err = parseSize(s); return err }},
		{"*", number(&l.events)},
		{":", number(&l.bytes)},
		{"~", func(s string) (err error) { l.Zipf, err = strconv.ParseFloat(s, 64); return err }},
	}
	for _, step := range steps {
		if err := cut(step.mark, step.set); err != nil {
			return l, fmt.Errorf("load %q: %w; want %s", s, err, loadSyntax)
		}
	}
	if err := number(&l.Customers)(rest); err != nil {
		return l, fmt.Errorf("load %q: %w; want %s", s, err, loadSyntax)
	}
	if l.Customers < 1 || l.events < 1 || l.Zipf != 0 && l.Zipf <= 1 {
		return l, fmt.Errorf("load %q: got %d customers, %d events, Zipf %g; want one or more, and a Zipf above 1", s, l.Customers, l.events, l.Zipf)
	}
	return l, nil
}

func parseLoads(s string, defaults load) (loads []load, err error) {
	for _, s := range strings.Split(s, ",") {
		l, err := parseLoad(s, defaults)
		if err != nil {
			return nil, err
		}
		loads = append(loads, l)
	}
	return loads, nil
}

func parseCount(s string) (int, error) {
	factor := 1.0
	switch {
	case strings.HasSuffix(s, "M"):
		factor = 1e6
	case strings.HasSuffix(s, "k"):
		factor = 1e3
	}
	n, err := strconv.ParseFloat(strings.TrimRight(s, "kM"), 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("got %q, want a number such as 500, 100k or 2M", s)
	}
	return int(n * factor), nil
}

func parseSize(s string) (int64, error) {
	for suffix, shift := range map[string]uint{"GiB": 30, "MiB": 20} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			size, err := strconv.ParseInt(n, 10, 64)
			if err != nil || size < 1 {
				break
			}
			return size << shift, nil
		}
	}
	return 0, fmt.Errorf("got %q, want a size such as 512MiB or 2GiB", s)
}

func (l load) pads() int       { return workload.Padding(l.bytes) }
func (l load) stateBytes() int { return workload.StateBytes(l.pads()) }

func (l load) String() string {
	return fmt.Sprintf("%v, %s events, state %d B", l.Workload, workload.Count(l.events), l.stateBytes())
}

// produce writes the load to a topic, and folds it on the way: what every engine
// has to answer.
func (l *load) produce(ctx context.Context, c *cluster, topic string) error {
	l.topic, l.want = topic, workload.NewAnswers(l.Customers)
	if err := c.create(ctx, c.partitions, map[string]string{"message.timestamp.type": "LogAppendTime"}, topic); err != nil {
		return err
	}
	states := make([]*workload.State, l.Customers)
	var buffer []byte
	start, source := time.Now().UnixMilli(), l.Events()
	return c.produceAll(ctx, func(yield func(*kgo.Record) bool) {
		for i := range l.events {
			e := source.Next(start + int64(i)/1000)
			s := states[e.Customer]
			if s == nil {
				s = &workload.State{Pad: make([]uint64, l.pads())}
				states[e.Customer] = s
			}
			if s.Apply(&e) {
				l.want.Output(e.Customer, s.AppendOutput(buffer[:0], e.At))
			}
			if !yield(&kgo.Record{Topic: topic, Key: workload.Key(e.Customer), Value: e.Append(nil)}) {
				return
			}
		}
		for customer, s := range states {
			if s != nil {
				buffer = s.Append(buffer[:0])
				l.want.State(customer, buffer)
			}
		}
	})
}

// produceAll writes records as fast as the broker takes them.
func (c *cluster) produceAll(ctx context.Context, records func(yield func(*kgo.Record) bool)) error {
	var failed atomic.Pointer[error]
	records(func(r *kgo.Record) bool {
		c.client.Produce(ctx, r, func(r *kgo.Record, err error) {
			if err != nil {
				err = fmt.Errorf("produce to %s: %w", r.Topic, err)
				failed.CompareAndSwap(nil, &err)
			}
		})
		return failed.Load() == nil
	})
	if err := c.client.Flush(ctx); err != nil {
		return err
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
