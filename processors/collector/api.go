package collector

import (
	"bytes"
	crypto "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"segue/processors/collector/returns"
	"segue/processors/collector/segment"
)

// retryAfter is what a 503 asks for, in seconds; a 429 asks for up to that, so
// that not all come back at once.
const retryAfter = 5

// maxDrain is how much of a refused body is read and thrown away.
const maxDrain = 4 << 20

func (s *Station) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern, path string, h http.HandlerFunc) {
		counted := s.metrics.requests.MustCurryWith(prometheus.Labels{"path": path})
		mux.Handle(pattern, promhttp.InstrumentHandlerCounter(counted, h))
	}
	for endpoint, short := range endpoints {
		path := "/v1/" + endpoint
		call := anyOrigin(func(w http.ResponseWriter, r *http.Request) {
			s.serve(w, r, path, func() *taken { return s.take(r, endpoint) })
		})
		for _, spelt := range []string{endpoint, short} {
			if spelt != "" {
				handle("POST /v1/"+spelt, path, call)
				handle("OPTIONS /v1/"+spelt, path, anyOrigin(preflight))
			}
		}
	}
	handle("POST /v1/catalog", "/v1/catalog", func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, "/v1/catalog", func() *taken { return s.takeCatalog(r) })
	})
	handle("GET /v1/projects/{key}/settings", "/v1/projects/", anyOrigin(s.serveSettings))
	// A pattern of GET takes HEAD as well.
	handle("GET /o/{token}", "/o/", s.serveOpen)
	handle("GET /c/{token}", "/c/", s.serveClick)
	handle("GET /u/{token}", "/u/", s.serveUnsubscribePage)
	handle("POST /u/{token}", "/u/", s.serveUnsubscribe)
	handle("GET /p/{token}", "/p/", s.servePreferencesPage)
	handle("POST /p/{token}", "/p/", s.servePreferences)
	if s.config.Returns != nil {
		handle("POST /v1/returns/{provider}", "/v1/returns/", s.serveReturns)
	}
	handle("POST /{path...}", "other", anyOrigin(elsewhere))
	return s.brief(mux)
}

// elsewhere tells whoever builds a storefront what there is.
func elsewhere(w http.ResponseWriter, r *http.Request) {
	refusal(http.StatusNotFound, "path: got %.80q, want /v1/batch, track, identify, page, screen, alias, group, import or catalog", r.URL.Path).write(w)
}

// serveReturns hands on a call once it is in, and its room with it.
func (s *Station) serveReturns(w http.ResponseWriter, r *http.Request) {
	body, held, refused := s.read(r, returns.MaxBody)
	if refused != nil {
		refused.write(w)
		return
	}
	defer held.giveBack()
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.config.Returns.ServeHTTP(w, r)
}

// endpoints are the calls of the API, each with the short path of browsers.
var endpoints = map[string]string{"batch": "b", "track": "t", "identify": "i", "page": "p", "screen": "s", "alias": "a", "group": "g",
	"import": ""}

// answer is the body of every answer of the API.
type answer struct {
	Success  bool             `json:"success"`
	Error    string           `json:"error,omitempty"`
	Problems segment.Problems `json:"problems,omitempty"`

	status int
}

func refusal(status int, format string, args ...any) *answer {
	return &answer{status: status, Error: fmt.Sprintf(format, args...)}
}

func (a *answer) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	switch a.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Basic realm="write key as user"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	case http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(1+rand.IntN(retryAfter)))
	}
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a) // whoever asked may be gone
}

// taken is what became of one call to the API.
type taken struct {
	*answer
	source string
	bytes  int
	items  []understood
}

// serve answers a call to the API, and keeps it for GET /debug.
func (s *Station) serve(w http.ResponseWriter, r *http.Request, path string, take func() *taken) {
	t := take()
	s.debug.keep(r, path, s.config.Clock.Now(), t)
	// Who is still sending would see a broken connection, not the answer.
	_, _ = io.CopyN(io.Discard, r.Body, maxDrain)
	t.write(w)
}

// take brings one body in.
func (s *Station) take(r *http.Request, endpoint string) *taken {
	t := new(taken)
	key, shown := headerKey(r)
	known := false
	if t.source, known = s.writeKeys.of(key); shown && !known {
		return t.with(unauthorized(shown, wantWriteKey))
	}
	bytes, held, refused := s.read(r, segment.MaxBody)
	if refused != nil {
		return t.with(refused)
	}
	handedOver := false
	defer func() {
		if !handedOver {
			held.giveBack()
		}
	}()
	t.bytes = len(bytes)
	body, err := segment.Read(endpoint, bytes)
	if err != nil {
		return t.with(wrong(err))
	}
	if !shown {
		key = body.WriteKey
		if t.source, known = s.writeKeys.of(key); !known {
			return t.with(unauthorized(key != "", wantWriteKey))
		}
	}
	if refused := s.unsigned(r, key, bytes); refused != nil {
		return t.with(refused)
	}
	_, signs := s.config.SigningSecrets[key]
	calls, err := body.Take(segment.Receipt{At: s.config.Clock.Now().UnixMilli(), Source: t.source, Open: !signs, Hosts: s.config.Hosts, NewID: crypto.Text})
	if err != nil {
		return t.with(wrong(err))
	}
	var all []outgoing
	for _, c := range calls {
		t.understand(c)
		for _, e := range c.Events {
			all = append(all, s.outgoing(e))
		}
	}
	handedOver = true
	return t.with(s.acknowledged(all, held.giveBack))
}

func (t *taken) with(a *answer) *taken {
	t.answer = a
	return t
}

// acknowledged answers once Kafka has all, or has not acknowledged it in time.
func (s *Station) acknowledged(all []outgoing, release func()) *answer {
	if err := s.appendAll(all, release); err != nil {
		return refusal(http.StatusServiceUnavailable, "Kafka has %v; send the same again", err)
	}
	return &answer{status: http.StatusOK, Success: true}
}

// headerKey is the write key that a header shows: the user of Basic, or Bearer.
func headerKey(r *http.Request) (key string, shown bool) {
	if user, _, ok := r.BasicAuth(); ok {
		return user, true
	}
	header := r.Header.Get("Authorization")
	if scheme, token, _ := strings.Cut(header, " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token), true
	}
	return "", header != ""
}

const (
	wantWriteKey   = "one as user of Basic, as Bearer, or as writeKey in the body"
	wantCatalogKey = "one of collector.catalog_keys as user of Basic or as Bearer"
)

func unauthorized(shown bool, want string) *answer {
	got := "none"
	if shown {
		got = "an unknown one"
	}
	return refusal(http.StatusUnauthorized, "write key: got %s, want %s", got, want)
}

// wrong answers what is wrong with a body.
func wrong(err error) *answer {
	var problems segment.Problems
	if !errors.As(err, &problems) {
		return refusal(http.StatusBadRequest, "%v", err)
	}
	status := http.StatusBadRequest
	for _, p := range problems {
		if p.TooLarge {
			status = http.StatusRequestEntityTooLarge
		}
	}
	return &answer{status: status, Problems: problems, Error: "nothing of the body was taken: " + problems.Error()}
}
