package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/deploy"
	"segue/processors/customer"
	"segue/processors/sender/mail"
	"segue/schemas"
	"segue/schemas/playbook"
)

const (
	// mailsInTopic wait when the sender starts.
	mailsInTopic = 60_000
	// senderGrows is what it may take more for four times the mails: nothing but noise.
	senderGrows = 16 << 20
	mailMessage = "cart-reminder"
)

// listmonk publishes no rate. What it does publish is a production instance that
// sends a campaign of more than 7 million mails with "a fraction of a single core"
// and a peak of 57 MB, not counting its database (listmonk.app, "Performance").
const listmonk = "listmonk, as published at listmonk.app: a campaign of 7+ million mails, a fraction of one core, peak 57 MB, without its database; it publishes no rate"

// mailing measures the sender against a mail server that throws everything away.
func (b *bench) mailing(ctx context.Context) error {
	b.title("Mails", fmt.Sprintf("The shipped message %s, composed, noted and handed over to a sink on this machine, by a sender that finds them in %d partitions. "+
		"CPU of sink and broker is of the same two cores. Each mail has come once, and each delivery has one outcome. Beside it: %s.", mailMessage, pathPartitions, listmonk))
	t := table{{"mails", "connections", "mails/s", "CPU of the sender, µs a mail", "of the sink", "of the broker", "most memory, MB"}}
	for _, n := range []int{8, 32, 128} {
		var most [2]int64
		for i, count := range []int{mailsInTopic / 4, mailsInTopic} {
			r, err := b.mailed(ctx, count, n)
			if err != nil {
				return fmt.Errorf("%d mails over %d connections: %w", count, n, err)
			}
			most[i] = r.rss
			perMail := func(d time.Duration) string { return figure(float64(d.Microseconds()) / float64(count)) }
			b.progress("mails: %d over %d connections in %v, %d MB", count, n, r.took.Round(time.Millisecond), r.rss>>20)
			t.row(fmt.Sprint(count), fmt.Sprint(n), figure(float64(count)/r.took.Seconds()), perMail(r.sender), perMail(r.sink), perMail(r.broker), figure(float64(r.rss)/1e6))
		}
		if grown := most[1] - most[0]; grown > senderGrows {
			return fmt.Errorf("%d mails took %d MB more than a quarter of them; want at most %d", mailsInTopic, grown>>20, senderGrows>>20)
		}
	}
	t.write(b.out)
	return nil
}

type mailed struct {
	took                 time.Duration
	sender, sink, broker time.Duration // CPU
	rss                  int64
}

func (b *bench) mailed(ctx context.Context, count, connections int) (m mailed, err error) {
	id := b.id("mails") + "-"
	topics, err := b.createTopics(ctx, id, pathPartitions, false)
	defer func() {
		ctx := context.WithoutCancel(ctx)
		err = errors.Join(err, b.cluster.drop(ctx, topics...), os.RemoveAll(b.folder(id)))
	}()
	if err != nil {
		return m, err
	}
	if err := b.fillDeliveries(ctx, id, count); err != nil {
		return m, err
	}
	sink, err := newSink(count)
	if err != nil {
		return m, err
	}
	defer sink.server.Close()
	usages := func() (sink, broker time.Duration, err error) {
		broker, err1 := cpuOf(b.cluster.pid)
		sink, err2 := cpuOf(os.Getpid())
		return sink, broker, errors.Join(err1, err2)
	}
	sinkBefore, brokerBefore, err := usages()
	if err != nil {
		return m, err
	}
	sender, err := b.start(mailer, run{id: id, mails: sink.addr, connections: connections})
	if err != nil {
		return m, err
	}
	defer sender.kill()
	select {
	case <-sink.done:
	case <-sender.ended:
		return m, sender.alive()
	case <-time.After(10 * time.Minute):
		return m, fmt.Errorf("got %d mails in ten minutes", sink.came())
	case <-ctx.Done():
		return m, ctx.Err()
	}
	m.took = sink.last.Sub(sink.first)
	sinkAfter, brokerAfter, err := usages()
	if err != nil {
		return m, err
	}
	m.sink, m.broker = sinkAfter-sinkBefore, brokerAfter-brokerBefore
	m.rss = sender.mostRSS()
	u, err := sender.stop() // outcomes are written by then
	if err != nil {
		return m, err
	}
	m.sender = u.cpu
	return m, b.countMails(ctx, id, count, sink)
}

// fillDeliveries lets count made-up customers be due for the shipped message now.
func (b *bench) fillDeliveries(ctx context.Context, id string, count int) error {
	yaml, files, err := playbook.ReadFS(deploy.Files, deploy.Playbook)
	if err != nil {
		return err
	}
	pb, err := playbook.Parse(deploy.Playbook, yaml, files)
	if err != nil {
		return err
	}
	if err := b.putInForce(ctx, id, pb, pathPartitions, time.Now()); err != nil {
		return err
	}
	now := time.Now()
	d, err := customer.Sample(pb, mailMessage, customer.Somebody(pb, now.UnixMilli()), now.UnixMilli())
	if err != nil {
		return err
	}
	d.GiveUpAt = schemas.Timestamp(now.Add(time.Hour).UnixMilli())
	return b.cluster.produceAll(ctx, func(yield func(*kgo.Record) bool) {
		for n := range count {
			d.Id, d.Customer, d.To = fmt.Sprintf("d-%d", n), fmt.Sprintf("c-%d", n), fmt.Sprintf("c-%d@shop.example", n)
			if !yield(&kgo.Record{Topic: id + schemas.Deliveries, Key: []byte(d.GetCustomer()),
				Value: schemas.Encode(&schemas.DeliveryCommand{Command: &schemas.DeliveryCommand_Send{Send: d}})}) {
				return
			}
		}
	})
}

// countMails wants each mail once, and each outcome.
func (b *bench) countMails(ctx context.Context, id string, count int, sink *sink) error {
	sent := map[string]int{}
	if err := b.cluster.read(ctx, id+schemas.Events, func(r *kgo.Record) error {
		var e schemas.Event
		if err := schemas.Decode(r.Value, &e); err != nil {
			return err
		}
		if o := e.GetOutcome(); o != nil {
			if o.GetKind() != schemas.Outcome_SENT {
				return fmt.Errorf("outcome of %s: got %v, %s", o.GetDeliveryId(), o.GetKind(), o.GetReason())
			}
			sent[o.GetDeliveryId()]++
		}
		return nil
	}); err != nil {
		return err
	}
	sink.mu.Lock()
	defer sink.mu.Unlock()
	for n := range count {
		if d := fmt.Sprintf("d-%d", n); sent[d] != 1 || sink.mails[d] != 1 {
			return fmt.Errorf("delivery %s: got %d outcomes and %d mails, want one of each", d, sent[d], sink.mails[d])
		}
	}
	return nil
}

// sink is a mail server that only counts.
type sink struct {
	server      *smtp.Server
	addr        string
	want        int
	done        chan struct{}
	first, last time.Time

	mu    sync.Mutex
	mails map[string]int // by delivery
}

func newSink(want int) (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{addr: l.Addr().String(), want: want, done: make(chan struct{}), mails: make(map[string]int, want)}
	s.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return sinking{s}, nil }))
	s.server.Domain = "localhost"
	go s.server.Serve(l)
	return s, nil
}

func (s *sink) came() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mails)
}

type sinking struct{ *sink }

func (sinking) Mail(string, *smtp.MailOptions) error { return nil }
func (sinking) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (sinking) Reset()                               {}
func (sinking) Logout() error                        { return nil }

func (s sinking) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, after, _ := bytes.Cut(raw, []byte(mail.HeaderDelivery+": "))
	delivery, _, _ := bytes.Cut(after, []byte("\r\n"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last = time.Now(); len(s.mails) == 0 {
		s.first = s.last
	}
	if s.mails[string(delivery)]++; len(s.mails) == s.want && s.mails[string(delivery)] == 1 {
		close(s.done)
	}
	return nil
}

// cpuOf is what a process has taken so far.
func cpuOf(pid int) (time.Duration, error) {
	if pid == os.Getpid() { // finer than /proc
		var u syscall.Rusage
		err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
	}
	u, err := usageOf(pid)
	return u.cpu, err
}
