package streamtest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Fate is what becomes of a request.
type Fate int

const (
	Delivered Fate = iota
	// Lost: the connection breaks before the broker hears of it.
	Lost
	// Unanswered: the connection breaks when the broker, which did what was
	// asked, answers.
	Unanswered
)

// Through reaches the cluster over a network on which each request meets what
// is said of its kind. meet may take its time, and is called by whichever
// goroutine of the client sends.
func (c *Cluster) Through(meet func(kmsg.Key) Fate) []kgo.Opt {
	dial := func(ctx context.Context, network, host string) (net.Conn, error) {
		conn, err := c.dial(ctx, network, host)
		if err != nil {
			return nil, err
		}
		return &wire{Conn: conn, meet: meet}, nil
	}
	return []kgo.Opt{kgo.SeedBrokers(c.seeds...), kgo.Dialer(dial), kgo.MetadataMinAge(50 * time.Millisecond)}
}

type wire struct {
	net.Conn
	meet       func(kmsg.Key) Fate
	unanswered atomic.Bool
}

// Write is given one request at a time: its length, then what kind it is.
func (w *wire) Write(b []byte) (int, error) {
	if len(b) > 6 {
		switch w.meet(kmsg.Key(binary.BigEndian.Uint16(b[4:]))) {
		case Lost:
			_ = w.Close()
			return 0, io.ErrClosedPipe
		case Unanswered:
			w.unanswered.Store(true)
		}
	}
	return w.Conn.Write(b)
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if w.unanswered.Load() {
		_ = w.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}
