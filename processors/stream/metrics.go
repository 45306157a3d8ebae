package stream

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of a processor, all of them labelled with its name.
type metrics struct {
	records, wakes, ticks, refolded, restored, restores prometheus.Counter
	deadLetters, flushed, rebalances, rebuilds, corrupt prometheus.Counter
	outputs, commits, handOvers, compared               *prometheus.CounterVec
	seconds                                             *prometheus.HistogramVec
	lateness                                            prometheus.Histogram
	clockLag, touched, nextWake, pendingWakes           prometheus.Gauge
	states                                              *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer, name string, w *watch) (*metrics, error) {
	labels := prometheus.Labels{"processor": name}
	var all []prometheus.Collector
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "segue", Subsystem: "stream", Name: name, Help: help, ConstLabels: labels}
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts(opts(name, help)))
		all = append(all, c)
		return c
	}
	counters := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts(opts(name, help)), []string{label})
		all = append(all, c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts(opts(name, help)))
		all = append(all, g)
		return g
	}
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Namespace: "segue", Subsystem: "stream", Name: name, Help: help, ConstLabels: labels, Buckets: buckets}
	}
	m := &metrics{
		records:      counter("records_total", "Records folded, live."),
		wakes:        counter("wakeups_total", "Wake-ups fired, live."),
		ticks:        counter("ticks_total", "Ticks appended to quiet partitions."),
		refolded:     counter("refolded_total", "Records and wake-ups folded again, silently."),
		restores:     counter("restores_total", "Partitions restored from profiles."),
		restored:     counter("restored_profiles_total", "Profiles read by restores."),
		deadLetters:  counter("dead_letters_total", "Records and wake-ups that could not be processed."),
		flushed:      counter("flushed_profiles_total", "Profiles written to the topic of profiles."),
		rebalances:   counter("rebalances_total", "Live partitions that were revoked or lost."),
		rebuilds:     counter("rebuilds_total", "Times that all was folded again from the last commit."),
		corrupt:      counter("corrupt_states_total", "Times that the state on disk was found corrupt, and set aside."),
		outputs:      counters("outputs_total", "Outputs by topic, committed or not.", "topic"),
		commits:      counters("commits_total", "Commits by result; progress is one without outputs.", "result"),
		handOvers:    counters("hand_overs_total", "Partitions given to other members, by result.", "result"),
		compared:     counters("compared_decisions_total", "Decisions of another fold version that were folded again, by result: alike or otherwise.", "result"),
		pendingWakes: gauge("wakeups_pending", "Keys that asked to be woken."),
		clockLag:     gauge("clock_lag_seconds", "How far the most quiet partition's clock is behind."),
		touched:      gauge("unwritten_bytes", "States in memory that are newer than the store."),
		nextWake:     gauge("next_wakeup_seconds", "When the next wake-up is due, from now."),
		lateness:     prometheus.NewHistogram(histogram("wakeup_lateness_seconds", "How late wake-ups fire.", []float64{.01, .05, .1, .5, 1, 5, 60, 3600})),
		seconds: prometheus.NewHistogramVec(histogram("phase_seconds", "Duration by phase: work (a turn of the loop, without what waits for Kafka), produce, end, apply.",
			prometheus.ExponentialBuckets(.000625, 2, 14)), []string{"phase"}),
		states: prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("partition_live", "1: live; 0: being restored or folded again.")), []string{"partition"}),
	}
	w.describe(func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName("segue", "stream", name), help, nil, labels)
	})
	all = append(all, m.lateness, m.seconds, m.states, w)
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range all {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) live(partition int32, live bool) {
	v := 0.0
	if live {
		v = 1
	}
	m.states.WithLabelValues(strconv.Itoa(int(partition))).Set(v)
}

func (m *metrics) gone(partition int32) {
	m.states.DeleteLabelValues(strconv.Itoa(int(partition)))
}

// observe sets what is known at the end of a turn.
func (m *metrics) observe(clock, earliest, asking int64, now time.Time) {
	m.pendingWakes.Set(float64(asking))
	if clock != math.MaxInt64 {
		m.clockLag.Set(float64(now.UnixMilli()-clock) / 1000)
	}
	if earliest == math.MaxInt64 {
		m.nextWake.Set(math.Inf(1))
	} else {
		m.nextWake.Set(float64(earliest-now.UnixMilli()) / 1000)
	}
}
