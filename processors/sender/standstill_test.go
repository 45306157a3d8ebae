package sender

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/sender/inbox"
	"segue/schemas"
)

// standstill is the way to a broker that can fall silent: connections are made
// and taken as ever, and nothing comes back over them.
type standstill struct{ silent atomic.Bool }

func (w *standstill) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	broker, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	var once sync.Once
	hangUp := func() { once.Do(func() { broker.Close(); theirs.Close() }) }
	pass := func(to io.Writer, from io.Reader) {
		defer hangUp()
		b := make([]byte, 64<<10)
		for {
			n, err := from.Read(b)
			if err != nil {
				return
			}
			if w.silent.Load() {
				continue
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
	}
	go pass(broker, theirs)
	go pass(theirs, broker)
	return ours, nil
}

func (w *standstill) use(c *Config) {
	c.Kafka = append(c.Kafka[:len(c.Kafka):len(c.Kafka)], kgo.Dialer(w.dial))
}

// TestStopWhileKafkaStandsStill: a stop ends within its bound although nothing is
// answered any more, whatever it is in the middle of. What had been handed over
// and could not be recorded is in doubt, and not sent again.
func TestStopWhileKafkaStandsStill(t *testing.T) {
	for _, at := range []string{"idle", "fenced", "note", "noted", "answered", "settle", "settled", "offset"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, inbox.Config{})
			var way standstill
			reached := make(chan struct{})
			stand := sync.OnceFunc(func() { way.silent.Store(true); close(reached) })
			s := r.start(way.use, func(c *Config) {
				c.Patience = 200 * time.Millisecond
				c.Hook = func(step string) error {
					if step == at {
						stand()
					}
					return nil
				}
			})
			if at == "idle" {
				r.quiet(s)
				stand()
			}
			r.send(r.delivery("d1"))
			<-reached
			s.stop()
			select {
			case <-s.done:
			case <-time.After(10 * time.Second): // a client alone would take longer
				t.Fatal("a stop: got no end within 10s, want one after 250ms")
			}
			if s.err != nil {
				t.Errorf("stop: %v", s.err)
			}
			r.start()
			o := r.outcomes(1)[0]
			handedOver := at == "answered" || at == "settle"
			if mails := r.inbox.Count(); mails > 1 || (o.GetKind() == schemas.Outcome_SENT) != (mails == 1 && !handedOver && at != "noted") {
				t.Errorf("got %v and %d mails, want one that is sent, or in doubt if it could not be recorded", o, mails)
			}
		})
	}
}
