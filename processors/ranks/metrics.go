package ranks

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	customers, moved   prometheus.Gauge
	versions, failures prometheus.Counter
}

func newMetrics() *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "segue", Subsystem: "ranks", Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "segue", Subsystem: "ranks", Name: name, Help: help})
	}
	return &metrics{
		customers: gauge("customers", "Customers who are worth anything, when it was last looked."),
		moved:     gauge("moved_share", "Share of them on the wrong side of the breakpoint in force that is furthest off, when it was last looked."),
		versions:  counter("versions_total", "Versions of models with new ranks that were put in force."),
		failures:  counter("failures_total", "Times that the station began anew after an error."),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{m.customers, m.moved, m.versions, m.failures} {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("ranks: %w", err)
		}
	}
	return nil
}
