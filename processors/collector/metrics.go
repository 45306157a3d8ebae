package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"segue/schemas"
)

type metrics struct {
	requests   *prometheus.CounterVec // path, code
	events     *prometheus.CounterVec // kind, source
	products   *prometheus.CounterVec // source
	bytes      prometheus.Counter
	ack        prometheus.Histogram
	clicksLost prometheus.Counter
	machines   *prometheus.CounterVec // kind, machine
}

func newMetrics(to prometheus.Registerer, pending func() float64) metrics {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "segue_collector_requests_total", Help: "Requests answered."}, []string{"path", "code"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "segue_collector_events_total", Help: "Events that Kafka has acknowledged."}, []string{"kind", "source"}),
		products: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "segue_collector_products_total", Help: "Products of the catalog that Kafka has acknowledged."}, []string{"source"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "segue_collector_body_bytes_total", Help: "Bytes of bodies read, after decompression."}),
		ack: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "segue_collector_ack_seconds", Help: "From a body's first event handed to Kafka to its last one acknowledged.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		clicksLost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "segue_collector_clicks_lost_total", Help: "Opens and clicks that were answered and whose event is lost."}),
		machines: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "segue_collector_machine_engagements_total", Help: "Opens and clicks that were a machine's, by what it is or was known by."}, []string{"kind", "machine"}),
	}
	to.MustRegister(m.requests, m.events, m.products, m.bytes, m.ack, m.clicksLost, m.machines,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "segue_collector_pending_events", Help: "Events that Kafka has not acknowledged yet."}, pending))
	return m
}

// kind is what an event is called in metrics: the name of its body's field.
func kind(e *schemas.Event) string {
	m := e.ProtoReflect()
	return string(m.WhichOneof(m.Descriptor().Oneofs().ByName("body")).Name())
}
