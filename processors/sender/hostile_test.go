package sender

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/processors/sender/inbox"
	"segue/schemas"
)

// hostile is a mail server that spoils one step of each connection, until it has
// spoiled every step in every way; then it behaves.
type hostile struct {
	mu       sync.Mutex
	spoils   []spoil
	took     map[string]int // mails by delivery, but for those that it refused
	doubtful map[string]bool
}

type spoil struct{ step, how string }

var smtpSteps = []string{"greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot"}

func newHostile() *hostile {
	h := &hostile{took: map[string]int{}, doubtful: map[string]bool{}}
	for _, step := range smtpSteps {
		for _, how := range []string{"close", "silence", "trickle", "flood", "garbage", "421"} {
			h.spoils = append(h.spoils, spoil{step, how})
		}
	}
	return h
}

func (h *hostile) left() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.spoils)
}

func (h *hostile) serve(conn net.Conn) {
	defer conn.Close()
	h.mu.Lock()
	var bad spoil
	if len(h.spoils) > 0 {
		bad, h.spoils = h.spoils[0], h.spoils[1:]
	}
	h.mu.Unlock()
	in := bufio.NewReader(conn)
	answer := func(step, good string) bool {
		if step != bad.step {
			_, err := fmt.Fprintf(conn, "%s\r\n", good)
			return err == nil
		}
		switch bad.how {
		case "silence":
			io.Copy(io.Discard, conn) // until the other side has had enough
		case "trickle":
			for _, c := range strings.Repeat(good, 100) {
				if _, err := conn.Write([]byte(string(c))); err != nil {
					break
				}
				time.Sleep(20 * time.Millisecond) // what a tarpit does
			}
		case "flood":
			for err := error(nil); err == nil; {
				_, err = conn.Write([]byte(strings.Repeat("2", 1<<16)))
			}
		case "garbage":
			fmt.Fprint(conn, "what?\r\n")
		case "421":
			fmt.Fprint(conn, "421 4.3.2 going away\r\n")
		}
		return false
	}
	if !answer("greeting", "220 hostile") {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		ok := true
		switch verb {
		case "EHLO":
			ok = answer(verb, "250 hostile")
		case "HELO", "QUIT", "RSET":
			ok = answer(verb, "250 ok")
		case "MAIL", "RCPT":
			ok = answer(verb, "250 ok")
		case "DATA":
			if ok = answer(verb, "354 go on"); !ok {
				break
			}
			id := ""
			for line = ""; line != ".\r\n"; {
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
				if v, is := strings.CutPrefix(line, "X-Segue-Delivery: "); is {
					id = strings.TrimSpace(v)
				}
			}
			h.mu.Lock()
			refused := bad == spoil{"dot", "421"}
			if !refused {
				h.took[id]++
				h.doubtful[id] = bad.step == "dot"
			}
			h.mu.Unlock()
			ok = answer("dot", "250 taken")
		}
		if !ok {
			return
		}
	}
}

// TestHostileServer: whatever a server does at whichever step, each delivery ends
// in one outcome, none is taken twice, and in doubt is only what it took without
// saying so.
func TestHostileServer(t *testing.T) {
	r := newRig(t, inbox.Config{})
	h := newHostile()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { h.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	r.change = func(c *Config) {
		c.SMTP.Addr, c.SMTP.Timeout, c.SMTP.Connections = l.Addr().String(), 300*time.Millisecond, 2
	}
	const mails = 12
	for i := range mails {
		r.send(r.delivery(fmt.Sprint("d", i)))
	}
	s := r.start()
	for r.quiet(s); ; r.quiet(s) {
		at, ok := r.clock.Next()
		if !ok {
			break
		}
		r.clock.MoveTo(at)
	}
	if n := h.left(); n > 0 {
		t.Errorf("%d ways to spoil a connection were not met", n)
	}
	s.end()
	outcomes := map[string]schemas.Outcome_Kind{}
	for _, o := range r.outcomes(mails) {
		if was, twice := outcomes[o.GetDeliveryId()]; twice {
			t.Errorf("%s: got outcomes %v and %v, want one", o.GetDeliveryId(), was, o.GetKind())
		}
		outcomes[o.GetDeliveryId()] = o.GetKind()
		want := schemas.Outcome_SENT
		if h.doubtful[o.GetDeliveryId()] {
			want = schemas.Outcome_IN_DOUBT
		}
		if o.GetKind() != want || h.took[o.GetDeliveryId()] != 1 {
			t.Errorf("%s: got %v with %d mails taken, want %v and 1", o.GetDeliveryId(), o, h.took[o.GetDeliveryId()], want)
		}
	}
	if n := len(r.readAll(schemas.Events)); len(outcomes) != mails || n < mails {
		t.Errorf("outcomes: got %d of %d deliveries", len(outcomes), mails)
	}
}
