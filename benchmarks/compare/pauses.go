package main

import (
	"fmt"

	dto "github.com/prometheus/client_model/go"
)

// turns is how often a processor's loop went round, and how often that took
// longer than is good for what is live.
type turns struct{ All, Long uint64 }

// longTurn is one of the metric's buckets, in seconds.
const longTurn = .02

func (t turns) since(former turns) turns { return turns{t.All - former.All, t.Long - former.Long} }

func (t turns) String() string { return fmt.Sprintf("%d of %d", t.Long, t.All) }

// turnsOf reads what a processor's metrics say of its turns; none without one.
func turnsOf(families []*dto.MetricFamily) (turns, error) {
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
	return turns{}, nil
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
