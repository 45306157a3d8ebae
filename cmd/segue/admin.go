package main

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"segue/processors/collector"
)

// admin is what operators ask a process: whether it lives, whether it is ready,
// its metrics, and what it knows of a customer and of the last calls.
type admin struct {
	listener net.Listener
	token    string
	registry *prometheus.Registry
	// customers answers GET /customers/{id}; nil where no customer station runs.
	customers http.HandlerFunc
	// debug answers GET /debug/calls; nil where no collector runs.
	debug http.HandlerFunc

	mu    sync.Mutex
	ready map[string]string    // station → why it is not ready; "" when it is
	gauge *prometheus.GaugeVec // of the same
}

// newAdmin listens at once, so that a port in use stops a process before it
// has begun.
func newAdmin(c Admin) (*admin, error) {
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %w", err)
	}
	a := &admin{listener: listener, token: c.Token, registry: prometheus.NewRegistry(), ready: map[string]string{}}
	a.gauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "segue_ready", Help: "1 when the station is ready; /readyz says why not."}, []string{"station"})
	a.registry.MustRegister(a.gauge, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return a, nil
}

// readiness returns what a station calls when it becomes ready, or no longer is.
func (a *admin) readiness(station string) func(ok bool, why string) {
	set := func(ok bool, why string) {
		a.mu.Lock()
		defer a.mu.Unlock()
		is := 0.0
		if ok {
			why, is = "", 1
		} else if why == "" {
			why = "not ready"
		}
		a.ready[station] = why
		a.gauge.WithLabelValues(station).Set(is)
	}
	set(false, "starting")
	return set
}

// serve answers until ctx ends.
func (a *admin) serve(ctx context.Context, log *slog.Logger) error {
	server := &http.Server{
		Handler:           a.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.Serve(a.listener); ctx.Err() == nil {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

func (a *admin) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /readyz", a.readyz)
	if a.customers != nil {
		mux.Handle("GET /customers/{id}", a.personal(a.customers))
	}
	if a.debug != nil {
		mux.Handle("GET /debug/calls", a.personal(a.debug))
		mux.Handle("GET /debug/", collector.DebugPage())
	}
	return mux
}

// readyz answers a line per station, and 503 while one is not ready.
func (a *admin) readyz(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var lines strings.Builder
	status := http.StatusOK
	for _, station := range slices.Sorted(maps.Keys(a.ready)) {
		why := a.ready[station]
		if why == "" {
			why = "ready"
		} else {
			status = http.StatusServiceUnavailable
		}
		fmt.Fprintf(&lines, "%s: %s\n", station, why)
	}
	w.WriteHeader(status)
	fmt.Fprint(w, lines.String())
}

// personal asks for the token. Without one only loopback listens, and the Host
// must say so too: a page in a browser can point a name of its own at 127.0.0.1.
func (a *admin) personal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case a.token != "" && subtle.ConstantTimeCompare([]byte(bearer), []byte(a.token)) != 1:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "want Authorization: Bearer with admin.token", http.StatusUnauthorized)
		case a.token == "" && !isLoopback(r.Host):
			http.Error(w, fmt.Sprintf("Host: got %q, want this machine's loopback address", r.Host), http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
