package collector

import (
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"sync"

	"golang.org/x/sync/semaphore"

	"segue/processors/collector/segment"
)

const (
	// callCost is what a call holds besides its body, unzipCost what it takes to
	// read one of gzip.
	callCost  = 4 << 10
	unzipCost = 44 << 10
	// maxAtFirst bounds what is taken on the word of Content-Length.
	maxAtFirst = 64 << 10
)

// held is the room that one call has taken.
type held struct {
	room  *semaphore.Weighted
	bytes int64
	once  sync.Once
}

func (h *held) take(bytes int) bool {
	if !h.room.TryAcquire(int64(bytes)) {
		return false
	}
	h.bytes += int64(bytes)
	return true
}

// giveBack may be called again.
func (h *held) giveBack() { h.once.Do(func() { h.room.Release(h.bytes) }) }

// full is the answer to what there is no room for.
func (s *Station) full() *answer {
	if s.away.Load() {
		return refusal(http.StatusServiceUnavailable, "too much waits for Kafka, which does not acknowledge; send the same again")
	}
	return refusal(http.StatusTooManyRequests, "too much comes at once; send the same again, later")
}

// read takes room for a body and reads it, decompressed.
func (s *Station) read(r *http.Request) (_ []byte, _ *held, refused *answer) {
	tooLarge := refusal(http.StatusRequestEntityTooLarge, "body: got more than %d bytes, want at most that", segment.MaxBody)
	encoding := r.Header.Get("Content-Encoding")
	if r.ContentLength > segment.MaxBody {
		return nil, nil, tooLarge
	}
	if encoding != "" && encoding != "identity" && encoding != "gzip" {
		return nil, nil, refusal(http.StatusUnsupportedMediaType, "Content-Encoding: got %.40q, want gzip or none", encoding)
	}
	h := &held{room: s.room}
	defer func() {
		if refused != nil {
			h.giveBack()
		}
	}()
	cost, from := callCost, io.Reader(r.Body)
	if encoding == "gzip" {
		cost += unzipCost
	}
	if !h.take(cost) {
		return nil, nil, s.full()
	}
	if encoding == "gzip" {
		unzip, err := gzip.NewReader(io.LimitReader(r.Body, segment.MaxBody+1))
		if err != nil {
			return nil, nil, refusal(http.StatusBadRequest, "body: got no gzip, want what Content-Encoding says: %v", err)
		}
		from = unzip
	}
	var body []byte
	for more := int(min(max(r.ContentLength, 0), maxAtFirst)) + 1; ; {
		if len(body) == cap(body) {
			if more = max(more, len(body)); !h.take(more) {
				return nil, nil, s.full()
			}
			longer := make([]byte, len(body), len(body)+more)
			copy(longer, body)
			body = longer
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > segment.MaxBody:
			return nil, nil, tooLarge
		case err == io.EOF:
			s.metrics.bytes.Add(float64(len(body)))
			return body, h, nil
		case err != nil:
			return nil, nil, refusal(http.StatusBadRequest, "body: read: %v", err)
		}
	}
}

// connection counts those that are open.
func (s *Station) connection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.connections.Add(-1)
	}
}

// brief ends connections after their call while there are many: those that wait
// for a next call would keep others out.
func (s *Station) brief(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.connections.Load() > int64(s.config.MaxConnections/2) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
