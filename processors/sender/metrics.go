package sender

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	outcomes           *prometheus.CounterVec
	attempts           *prometheus.CounterVec
	sessions           prometheus.Counter
	smtpSeconds        prometheus.Histogram
	transactionSeconds prometheus.Histogram
	pauses, returned   *prometheus.GaugeVec
}

func newMetrics(s *Station) (*metrics, error) {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "segue", Subsystem: "sender", Name: name, Help: help}
	}
	seconds := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "segue", Subsystem: "sender", Name: name, Help: help,
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12)})
	}
	gauge := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "segue", Subsystem: "sender", Name: name, Help: help}, read)
	}
	m := &metrics{
		outcomes:           prometheus.NewCounterVec(opts("mails_total", "Deliveries by how they ended, and why."), []string{"outcome", "cause"}),
		attempts:           prometheus.NewCounterVec(opts("attempts_total", "Hand-overs by what the mail server said."), []string{"result"}),
		sessions:           prometheus.NewCounter(opts("sessions_lost_total", "Times that a partition was begun again after an error.")),
		smtpSeconds:        seconds("smtp_seconds", "Time of a hand-over."),
		transactionSeconds: seconds("transaction_seconds", "Time of a transaction with notes and outcomes."),
		pauses: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "segue", Subsystem: "sender", Name: "pauses",
			Help: "1 while a journey's mails wait (*: all journeys'), by who said so: person or breaker."}, []string{"journey", "by"}),
		returned: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "segue", Subsystem: "sender", Name: "returned_share",
			Help: "Share of a journey's mails that came back (bounced, complained), as the circuit breaker counts it."}, []string{"journey", "kind"}),
	}
	for _, c := range []prometheus.Collector{
		m.outcomes, m.attempts, m.sessions, m.smtpSeconds, m.transactionSeconds, m.pauses, m.returned,
		gauge("in_hand", "Mails that are handed over now.", func() float64 {
			s.gate.mu.Lock()
			defer s.gate.mu.Unlock()
			return float64(s.gate.taken)
		}),
		gauge("slowed_domains", "Recipients' domains that asked for slower mails.", func() float64 { return float64(s.pacer.slowed()) }),
		gauge("server_away", "1 while no mail server can be reached.", func() float64 {
			if s.gate.closed(s.Clock.Now()) {
				return 1
			}
			return 0
		}),
		gauge("unsettled", "Deliveries in memory without an outcome.", func() float64 {
			n := 0
			for _, o := range s.ours() {
				n += o.state().open
			}
			return float64(n)
		}),
	} {
		if err := s.Metrics.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	for i, r := range s.SMTP.relays() {
		c := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "segue", Subsystem: "sender", Name: "relay_away",
			Help: "1 while this relay cannot be reached; others may do its work.", ConstLabels: prometheus.Labels{"relay": r.Addr}}, func() float64 {
			if s.relays.lost(i) {
				return 1
			}
			return 0
		})
		if err := s.Metrics.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: relay %s: %w", r.Addr, err)
		}
	}
	return m, nil
}
