package collector

import (
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"segue/processors/collector/segment"
)

// retryAfter is what a 503 asks for, in seconds.
const retryAfter = 5

// maxDrain is how much of a refused body is read and thrown away.
const maxDrain = 4 << 20

func (s *Station) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern, path string, h http.HandlerFunc) {
		counted := s.metrics.requests.MustCurryWith(prometheus.Labels{"path": path})
		mux.Handle(pattern, promhttp.InstrumentHandlerCounter(counted, h))
	}
	for _, endpoint := range []string{"batch", "track", "identify", "page", "screen", "alias"} {
		path := "/v1/" + endpoint
		handle("POST "+path, path, func(w http.ResponseWriter, r *http.Request) { s.serveCall(w, r, endpoint) })
	}
	// A pattern of GET takes HEAD as well.
	handle("GET /o/{token}", "/o/", s.serveOpen)
	handle("GET /c/{token}", "/c/", s.serveClick)
	handle("GET /u/{token}", "/u/", s.serveUnsubscribePage)
	handle("POST /u/{token}", "/u/", s.serveUnsubscribe)
	return mux
}

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
	}
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a) // whoever asked may be gone
}

func (s *Station) serveCall(w http.ResponseWriter, r *http.Request, endpoint string) {
	a := s.take(r, endpoint)
	// Who is still sending would see a broken connection, not the answer.
	_, _ = io.CopyN(io.Discard, r.Body, maxDrain)
	a.write(w)
}

// take brings one body in.
func (s *Station) take(r *http.Request, endpoint string) *answer {
	key, shown := headerKey(r)
	source, known := s.source(key)
	if shown && !known {
		return unauthorized(shown)
	}
	bytes, release, refused := s.read(r)
	if refused != nil {
		return refused
	}
	handedOver := false
	defer func() {
		if !handedOver {
			release()
		}
	}()
	body, err := segment.Read(endpoint, bytes)
	if err != nil {
		return wrong(err)
	}
	if !shown {
		if source, known = s.source(body.WriteKey); !known {
			return unauthorized(body.WriteKey != "")
		}
	}
	events, err := body.Events(segment.Receipt{At: s.config.Clock.Now().UnixMilli(), Source: source, NewID: rand.Text})
	if err != nil {
		return wrong(err)
	}
	handedOver = true
	if err := s.appendAll(events, release); err != nil {
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

func (s *Station) source(key string) (name string, known bool) {
	name, known = s.sources[sha256.Sum256([]byte(key))]
	return name, known
}

func unauthorized(shown bool) *answer {
	got := "none"
	if shown {
		got = "an unknown one"
	}
	return refusal(http.StatusUnauthorized, "write key: got %s, want one as user of Basic, as Bearer, or as writeKey in the body", got)
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

// read takes room for a body and reads it, decompressed. release gives the room
// back and may be called again.
func (s *Station) read(r *http.Request) (body []byte, release func(), refused *answer) {
	tooLarge := refusal(http.StatusRequestEntityTooLarge, "body: got more than %d bytes, want at most that", segment.MaxBody)
	encoding := r.Header.Get("Content-Encoding")
	room := r.ContentLength
	switch {
	case room > segment.MaxBody:
		return nil, nil, tooLarge
	case encoding == "gzip" || room < 0:
		room = segment.MaxBody
	case encoding != "" && encoding != "identity":
		return nil, nil, refusal(http.StatusUnsupportedMediaType, "Content-Encoding: got %.40q, want gzip or none", encoding)
	}
	if !s.room.TryAcquire(room) {
		return nil, nil, refusal(http.StatusServiceUnavailable, "too much waits for Kafka; send the same again")
	}
	giveBack := sync.OnceFunc(func() { s.room.Release(room) })
	defer func() {
		if refused != nil {
			giveBack()
		}
	}()
	from := io.LimitReader(r.Body, segment.MaxBody+1)
	if encoding == "gzip" {
		unzip, err := gzip.NewReader(from)
		if err != nil {
			return nil, nil, refusal(http.StatusBadRequest, "body: got no gzip, want what Content-Encoding says: %v", err)
		}
		from = io.LimitReader(unzip, segment.MaxBody+1)
	}
	body, err := io.ReadAll(from)
	switch {
	case len(body) > segment.MaxBody:
		return nil, nil, tooLarge
	case err != nil:
		return nil, nil, refusal(http.StatusBadRequest, "body: read: %v", err)
	}
	s.metrics.bytes.Add(float64(len(body)))
	return body, giveBack, nil
}
