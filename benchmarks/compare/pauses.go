package main

import (
	"fmt"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// turns is how often a processor's loop went round, and how often that took
// longer than is good for what is live.
type turns struct{ all, long uint64 }

// longTurn is one of the metric's buckets, in seconds.
const longTurn = .02

func (t turns) since(former turns) turns { return turns{t.all - former.all, t.long - former.long} }

func (t turns) String() string { return fmt.Sprintf("%d of %d", t.long, t.all) }

// turnsOf reads what a processor's metrics say of its turns.
func turnsOf(metrics prometheus.Gatherer) (t turns, err error) {
	families, err := metrics.Gather()
	if err != nil {
		return t, err
	}
	for _, family := range families {
		if family.GetName() != "segue_stream_phase_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			if label(m, "phase") == "work" {
				return countTurns(m.GetHistogram())
			}
		}
	}
	return t, fmt.Errorf("no turns among %d metrics", len(families))
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func countTurns(h *dto.Histogram) (turns, error) {
	for _, b := range h.GetBucket() {
		if b.GetUpperBound() == longTurn {
			return turns{h.GetSampleCount(), h.GetSampleCount() - b.GetCumulativeCount()}, nil
		}
	}
	return turns{}, fmt.Errorf("no bucket of %v s", longTurn)
}

// tellTurns answers whoever connects to a child, until it ends.
func tellTurns(path string, metrics prometheus.Gatherer) (stop func() error, err error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if t, err := turnsOf(metrics); err == nil {
				fmt.Fprintln(c, t.all, t.long)
			}
			_ = c.Close()
		}
	}()
	return l.Close, nil
}

// askTurns asks the child of a run.
func (b *bench) askTurns(r run) (t turns, err error) {
	c, err := net.Dial("unix", b.folder(r.id)+socket)
	if err != nil {
		return t, err
	}
	defer c.Close()
	if _, err = fmt.Fscan(c, &t.all, &t.long); err != nil {
		err = fmt.Errorf("ask for turns: %w", err)
	}
	return t, err
}

// socket ends the name of where a child tells its turns, beside its folder.
const socket = ".turns"
