package main

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// wire is the network between our processes and the broker: a proxy on loopback
// that can be made slow.
type wire struct {
	listener net.Listener
	to       string
	up, down lane
}

// lane is one direction, which all connections share.
type lane struct {
	rate atomic.Int64 // bytes a second; 0: as fast as it goes

	mu   sync.Mutex
	free time.Time
}

func newWire(to string) (*wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for connections to %s: %w", to, err)
	}
	w := &wire{listener: l, to: to}
	go w.accept()
	return w, nil
}

func (w *wire) addr() string { return w.listener.Addr().String() }

// slow lets so many bytes a second through, each way; 0: all.
func (w *wire) slow(rate int64) {
	w.up.rate.Store(rate)
	w.down.rate.Store(rate)
}

// close takes no more connections; those that there are end with their process.
func (w *wire) close() { w.listener.Close() }

func (w *wire) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.to)
		if err != nil {
			near.Close()
			continue
		}
		go w.up.carry(far, near)
		go w.down.carry(near, far)
	}
}

// carry copies until either end is gone, and then ends both.
func (l *lane) carry(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 8<<10)
	for {
		n, err := from.Read(buffer)
		l.take(n)
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}

// take waits until the lane has had time for n bytes.
func (l *lane) take(n int) {
	rate := l.rate.Load()
	if rate == 0 {
		return
	}
	l.mu.Lock()
	if now := time.Now(); l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(n) * time.Second / time.Duration(rate))
	free := l.free
	l.mu.Unlock()
	time.Sleep(time.Until(free))
}
