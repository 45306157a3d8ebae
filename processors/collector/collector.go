// Package collector is the front door: what shoppers do and what they do with
// their mail becomes events.
//
//	storefront ─ POST /v1/batch, track, identify, page … ─┐
//	inbox ─ GET /o/… /c/…  POST /u/… /p/… ────────────────┴▶ collector ─▶ events
//	shop ─ POST /v1/catalog ───────────────────────────────▶ collector ─▶ catalog
//
// The API is Segment's, with the short paths of its browser client (/v1/t, /v1/b
// …) and what browsers need (CORS, text/plain, sendBeacon, settings): a write key
// as user of Basic, as Bearer or as writeKey in the body, signed where the key has
// a secret; plain JSON or gzip; up to 32 KB a call, 500 KB and 2,500 calls a
// batch. Package segment says what becomes of which event.
//
// An answer says what is so. 200: Kafka has every event of the body, on all
// replicas in sync. 400: what is wrong with which item; 401, 403, 413, 415; 429
// with Retry-After: too much comes at once; 503 with Retry-After: Kafka did not
// acknowledge in time. Of a body that is answered 400 or 429 nothing is taken.
// One that is answered 503 may still arrive: send it again as it is, and the same
// messageId folds once. A call without messageId has no such protection.
//
// A click is redirected whether Kafka is there or not. Its event, like that of
// an opened mail, waits in a buffer of its own; what does not fit, or is still
// there when the station ends, is lost and counted. Before that it waits two
// seconds to be judged: package machine says what is a machine's, and whoever
// follows every link of a mail is one. A crash loses what waits, and a scanner
// that is spread over several collectors shows each of them less of itself.
//
// Only a POST unsubscribes, or chooses what mails somebody gets: what scans mails
// follows links, and does not press buttons.
//
// Not obvious: the calls of one customer keep their order. A body's events are
// appended one after the other by one idempotent producer, or not at all: room
// is taken while the body comes in (Config.MaxInFlightBytes) and given back when
// Kafka has the last one, however the call was answered. Who dawdles over a body
// holds room for no more than came of it.
package collector

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/semaphore"

	"segue/processors/collector/machine"
	"segue/processors/collector/segment"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/link"
)

// Config is all that a station needs. What has a default may stay zero.
type Config struct {
	// Listen is HOST:PORT.
	Listen string
	// Listener, if any, is used instead.
	Listener net.Listener
	Kafka    []kgo.Opt
	// Prefix goes before the topic's name.
	Prefix string
	// WriteKeys are what storefronts show, each with the name of its source,
	// which the events carry.
	WriteKeys map[string]string
	// CatalogKeys are the same for the catalog. Write keys lie open in every
	// browser, and what the catalog says stands in mails.
	CatalogKeys map[string]string
	// SigningSecrets are of keys whose calls must be signed, as servers can.
	SigningSecrets map[string]string
	// Hosts, if any, are where what an unsigned call says may lead: mails show it.
	Hosts []string
	Links link.Keys
	// Machines are who opens and clicks in readers' place; default: the shipped list.
	Machines *machine.Machines
	// Clock stamps events; default: the machine's.
	Clock stream.Clock
	// AckTimeout is how long a call waits for Kafka; default 10s, at least 1s.
	AckTimeout time.Duration
	// MaxInFlightBytes bounds bodies that are read, or wait for Kafka; default
	// 32 MiB. What becomes of a body takes several times its length.
	MaxInFlightBytes int64
	// MaxConnections bounds those that are open; default 10000. Beyond it a new
	// one waits to be accepted, and beyond half of it none is kept for a next call.
	MaxConnections int
	// MaxClicks bounds the opens and clicks that wait for Kafka; default 10000.
	MaxClicks int
	// Returns takes POST /v1/returns/PROVIDER: what became of mails; nil: nobody.
	Returns http.Handler

	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Ready is told when the station can take calls, and why it cannot.
	Ready func(ok bool, why string)
}

// lingerFor gathers what comes at the same moment into one request to Kafka.
const lingerFor = 2 * time.Millisecond

// metadataAge bounds how soon a producer asks again where a partition is: after
// a broken connection it waits for that answer, and calls are answered 503.
const metadataAge = 250 * time.Millisecond

// maxClickBytes bounds the buffer of clicks in bytes: their targets may be long.
const maxClickBytes = 32 << 20

// complete fills in defaults, and refuses what cannot work.
func (c *Config) complete() error {
	if c.Clock == nil {
		c.Clock = stream.RealClock{}
	}
	if c.Machines == nil {
		c.Machines = machine.Shipped()
	}
	if c.AckTimeout == 0 {
		c.AckTimeout = 10 * time.Second
	}
	if c.MaxInFlightBytes == 0 {
		c.MaxInFlightBytes = 32 << 20
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 10_000
	}
	if c.MaxClicks == 0 {
		c.MaxClicks = 10_000
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Ready == nil {
		c.Ready = func(bool, string) {}
	}
	if c.AckTimeout < time.Second {
		return fmt.Errorf("AckTimeout: got %v, want at least 1s", c.AckTimeout)
	}
	if c.MaxInFlightBytes < 4*segment.MaxBody {
		return fmt.Errorf("MaxInFlightBytes: got %d, want at least %d, for a few bodies", c.MaxInFlightBytes, 4*segment.MaxBody)
	}
	for _, keys := range []map[string]string{c.WriteKeys, c.CatalogKeys} {
		for key, source := range keys {
			if key == "" || source == "" {
				return errors.New("write keys: got an empty key or source, want both")
			}
		}
	}
	for _, secret := range c.SigningSecrets {
		if len(secret) < minSecret {
			return fmt.Errorf("signing secrets: got one of %d bytes, want at least %d", len(secret), minSecret)
		}
	}
	return nil
}

// Station is a collector.
type Station struct {
	config   Config
	topic    string
	catalog  string // the topic
	listener net.Listener
	server   http.Server
	metrics  metrics
	debug    *debug

	writeKeys, catalogKeys sources

	// calls has no bounds of its own: room is what bounds it. clicks is a second
	// client, so that neither takes the other's place while Kafka is away.
	calls, clicks *kgo.Client
	room          *semaphore.Weighted
	unjudged      *unjudged
	pending       atomic.Int64
	promises      sync.WaitGroup // of the same events
	connections   atomic.Int64
	// away is set while Kafka does not acknowledge, so that it is said once.
	away atomic.Bool
}

// sources are the names of write keys by the keys' hashes, so that looking one
// up takes the same time however much of it is right.
type sources map[[sha256.Size]byte]string

func newSources(keys map[string]string) sources {
	s := sources{}
	for key, source := range keys {
		s[sha256.Sum256([]byte(key))] = source
	}
	return s
}

func (s sources) of(key string) (name string, known bool) {
	name, known = s[sha256.Sum256([]byte(key))]
	return name, known
}

func (c *Config) listen() (net.Listener, error) {
	if c.Listener != nil {
		return c.Listener, nil
	}
	return net.Listen("tcp", c.Listen)
}

// New listens at once; Run answers.
func New(c Config) (*Station, error) {
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	s := &Station{config: c, topic: c.Prefix + schemas.Events, catalog: c.Prefix + schemas.Catalog,
		writeKeys: newSources(c.WriteKeys), catalogKeys: newSources(c.CatalogKeys),
		debug: newDebug(), room: semaphore.NewWeighted(c.MaxInFlightBytes), unjudged: newUnjudged(c.Machines, c.Clock, c.MaxClicks)}
	var err error
	if s.calls, err = s.producer(kgo.MaxBufferedRecords(math.MaxInt32)); err != nil {
		return nil, err
	}
	if s.clicks, err = s.producer(kgo.MaxBufferedRecords(c.MaxClicks), kgo.MaxBufferedBytes(maxClickBytes)); err != nil {
		s.calls.Close()
		return nil, err
	}
	if s.listener, err = c.listen(); err != nil {
		s.calls.Close()
		s.clicks.Close()
		return nil, fmt.Errorf("collector: %w", err)
	}
	s.metrics = newMetrics(c.Metrics, func() float64 { return float64(s.Pending()) })
	s.listener = netutil.LimitListener(s.listener, c.MaxConnections)
	s.server = http.Server{
		Handler:           s.routes(),
		ConnState:         s.connection,
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      20*time.Second + c.AckTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10, // a click's target may be long
	}
	return s, nil
}

func (s *Station) producer(more ...kgo.Opt) (*kgo.Client, error) {
	opts := append(append([]kgo.Opt{}, s.config.Kafka...),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(lingerFor),
		kgo.MetadataMinAge(metadataAge),
	)
	client, err := kgo.NewClient(append(opts, more...)...)
	if err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	return client, nil
}

// Addr is where the station listens.
func (s *Station) Addr() net.Addr { return s.listener.Addr() }

// Pending is how many events Kafka has not acknowledged yet, without the clicks
// that wait to be judged until a later instant.
func (s *Station) Pending() int {
	return s.unjudged.waited() + int(s.pending.Load())
}

// Run answers until ctx ends; then it takes nothing new and finishes what it
// has, for as long as a call may take.
func (s *Station) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(s.listener) }()
	reached, stop := context.WithCancel(ctx)
	found := make(chan struct{})
	go func() { defer close(found); s.findKafka(reached) }()
	judging, judge := context.WithCancel(context.WithoutCancel(ctx))
	judged := make(chan struct{})
	go func() { defer close(judged); s.unjudged.run(judging, s.appendEngagement) }()

	var failed error
	select {
	case <-ctx.Done():
	case err := <-served:
		failed = fmt.Errorf("collector: serve %s: %w", s.Addr(), err)
	}
	stop()
	<-found
	s.config.Ready(false, "stopping")
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.AckTimeout+time.Second)
	defer cancel()
	if err := s.server.Shutdown(last); err != nil {
		s.config.Log.Warn("calls were cut off", "cause", err)
		_ = s.server.Close()
	}
	judge()
	<-judged
	s.flush(last)
	return failed
}

// findKafka says ready once Kafka answers, and never takes it back: a balancer
// that turned away from every collector would take the redirects with it.
func (s *Station) findKafka(ctx context.Context) {
	for {
		err := s.calls.Ping(ctx)
		if err == nil {
			s.config.Ready(true, "")
			return
		}
		if ctx.Err() != nil {
			return
		}
		s.config.Ready(false, fmt.Sprintf("reach Kafka: %v", err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// flush waits for what Kafka has not acknowledged, and gives up what is left.
func (s *Station) flush(ctx context.Context) {
	for _, client := range []*kgo.Client{s.calls, s.clicks} {
		if err := client.Flush(ctx); err != nil {
			s.config.Log.Error("Kafka did not acknowledge before the station ended", "events", client.BufferedProduceRecords(), "cause", err)
		}
		client.Close()
	}
	kept := make(chan struct{})
	go func() { s.promises.Wait(); close(kept) }() // a closed client breaks its promises in the background
	select {
	case <-kept:
	case <-time.After(time.Second):
	}
}
