package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// load is what is sent: each connection makes its next call when the last one is
// answered, or, with a rate, when its turn comes.
type load struct {
	connections int
	// events of a call: one is POST /v1/track, more are POST /v1/batch.
	events int
	// pad makes each event longer by as much.
	pad int
	// rate is of calls a second over all connections; 0: as fast as they are answered.
	rate int
	// lasts is how long; before it comes a warm-up that counts for nothing but the ids.
	warm, lasts time.Duration
}

// sent is what was sent and answered.
type sent struct {
	codes map[int]int // calls by what was answered; 0: no answer came
	// answered are the codes by the calls' ids, so that these can be looked for.
	answered map[string]int
	events   int // of a call
	// took is how long those answered 200 took, in order, since their turn.
	took []time.Duration
	// acknowledged are events within lasted.
	acknowledged int
	lasted       time.Duration
}

// run sends until its time is over.
func (l load) run(ctx context.Context, addr, name string) (*sent, error) {
	began := time.Now()
	counts, ends := began.Add(l.warm), began.Add(l.warm+l.lasts)
	ctx, cancel := context.WithDeadline(ctx, ends)
	defer cancel()
	all := make([]sent, l.connections)
	var group sync.WaitGroup
	for i := range all {
		all[i] = sent{codes: map[int]int{}, answered: map[string]int{}}
		group.Go(func() { l.call(ctx, addr, fmt.Sprintf("%s-%d", name, i), i, began, counts, &all[i]) })
	}
	group.Wait()
	whole := &sent{codes: map[int]int{}, answered: map[string]int{}, events: l.events, lasted: l.lasts}
	for _, s := range all {
		for code, n := range s.codes {
			whole.codes[code] += n
		}
		for id, code := range s.answered {
			whole.answered[id] = code
		}
		whole.took = append(whole.took, s.took...)
	}
	whole.acknowledged = len(whole.took) * l.events
	slices.Sort(whole.took)
	if len(whole.answered) == 0 {
		return nil, fmt.Errorf("no call to %s was made", addr)
	}
	return whole, nil
}

// call is one connection's part.
func (l load) call(ctx context.Context, addr, name string, place int, began, counts time.Time, to *sent) {
	var conn net.Conn
	var answers *bufio.Reader
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	var request []byte
	for n := 0; ctx.Err() == nil; n++ {
		turn := time.Now()
		if l.rate > 0 {
			turn = began.Add(time.Duration(n*l.connections+place) * time.Second / time.Duration(l.rate))
			select {
			case <-time.After(time.Until(turn)):
			case <-ctx.Done():
				return
			}
		}
		if conn == nil {
			var err error
			if conn, err = net.Dial("tcp", addr); err != nil {
				to.codes[0]++
				continue
			}
			answers = bufio.NewReader(conn)
		}
		id := fmt.Sprintf("%s-%d", name, n)
		request = l.request(request[:0], id)
		code := 0
		if _, err := conn.Write(request); err == nil {
			if a, err := http.ReadResponse(answers, nil); err == nil {
				code = a.StatusCode
				_, err = io.Copy(io.Discard, a.Body)
				if err != nil || a.Close {
					_ = conn.Close()
					conn = nil
				}
			}
		}
		if code == 0 && conn != nil {
			_ = conn.Close()
			conn = nil
		}
		to.answered[id] = code
		if now := time.Now(); now.After(counts) {
			to.codes[code]++
			if code == http.StatusOK {
				to.took = append(to.took, now.Sub(turn))
			}
		}
	}
}

var padding = strings.Repeat("x", 30<<10)

// request is a call as Segment's clients make it.
func (l load) request(b []byte, id string) []byte {
	body := l.body(nil, id)
	path := "track"
	if l.events > 1 {
		path = "batch"
	}
	b = fmt.Appendf(b, "POST /v1/%s HTTP/1.1\r\nHost: collector\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, writeKey, len(body))
	return append(b, body...)
}

func (l load) body(b []byte, id string) []byte {
	if l.events == 1 {
		return l.event(b, id, 0)
	}
	b = append(b, `{"batch":[`...)
	for i := range l.events {
		if i > 0 {
			b = append(b, ',')
		}
		b = l.event(b, id, i)
	}
	return append(b, `],"sentAt":"2026-03-02T10:00:00.000Z"}`...)
}

// event is the i-th of a call.
func (l load) event(b []byte, id string, i int) []byte {
	b = fmt.Appendf(b, `{"type":"track","messageId":"%s/%d","userId":"customer-%s","event":"Product Added","properties":{"cart_id":"cart-%s",`+
		`"product_id":"mug-%d","name":"Blue mug","category":"Kitchen","price":12.5,"currency":"GBP","quantity":1,`+
		`"url":"https://shop.example/mugs/blue","image_url":"https://shop.example/mugs/blue.jpg"`, id, i, id, id, i)
	if l.pad > 0 {
		b = append(b, `,"pad":"`...)
		b = append(b, padding[:l.pad]...)
		b = append(b, '"')
	}
	return append(b, `},"context":{"library":{"name":"load","version":"1.0.0"},"page":{"url":"https://shop.example/mugs/blue","title":"Blue mug"}}}`...)
}

// quantile is the time that a share q of the calls did not exceed.
func (s *sent) quantile(q float64) time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	return s.took[min(len(s.took)-1, int(q*float64(len(s.took))))]
}
