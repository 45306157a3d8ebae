package collector

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"sync"

	"golang.org/x/sync/semaphore"
)

const (
	// callCost is what a call holds besides its body, unzipCost what it takes to
	// read one of gzip.
	callCost  = 4 << 10
	unzipCost = 44 << 10
	// atFirst is taken before anything came, whatever Content-Length says.
	atFirst = 4 << 10
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

// read takes room for a body of at most limit bytes and reads it, decompressed.
// What is compressed comes in first: who dawdles holds no room for unzipping.
func (s *Station) read(r *http.Request, limit int) (_ []byte, _ *held, refused *answer) {
	encoding := r.Header.Get("Content-Encoding")
	if r.ContentLength > int64(limit) {
		return nil, nil, tooLarge(limit)
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
	if !h.take(callCost) {
		return nil, nil, s.full()
	}
	body, refused := s.readAll(r.Body, h, int(r.ContentLength), limit)
	if refused == nil && encoding == "gzip" {
		body, refused = s.unzip(body, h, limit)
	}
	if refused != nil {
		return nil, nil, refused
	}
	s.metrics.bytes.Add(float64(len(body)))
	return body, h, nil
}

func (s *Station) unzip(packed []byte, h *held, limit int) (body []byte, refused *answer) {
	if !h.take(unzipCost) {
		return nil, s.full()
	}
	from, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, refusal(http.StatusBadRequest, "body: got no gzip, want what Content-Encoding says: %v", err)
	}
	return s.readAll(from, h, -1, limit)
}

// readAll takes room as bytes come. expected is how many there will be; -1: who
// knows.
func (s *Station) readAll(from io.Reader, h *held, expected, limit int) (body []byte, refused *answer) {
	for {
		if len(body) == cap(body) {
			longer := max(2*len(body), atFirst)
			if expected >= len(body) {
				longer = min(longer, expected+1) // to see the end
			}
			if !h.take(longer - len(body)) {
				return nil, s.full()
			}
			body = append(make([]byte, 0, longer), body...)
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > limit:
			return nil, tooLarge(limit)
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, refusal(http.StatusBadRequest, "body: read: %v", err)
		}
	}
}

func tooLarge(limit int) *answer {
	return refusal(http.StatusRequestEntityTooLarge, "body: got more than %d bytes, want at most that", limit)
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
