package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/benchmarks/workload"
	"segue/schemas"
)

// trouble is something that Segue leans on, and that is slow or stands still
// until strike returns.
type trouble struct {
	name   string
	strike func(p *path, ctx context.Context) error
}

// slowWire is in bytes a second, each way: a fraction of what events alone ask for.
const slowWire = 400_000

// onTop of the memory that a customer station is given come the program itself
// and the store's cache; a sender may grow by as much.
const onTop = 64 << 20

// slowAnswer is how long a slow mail server takes for a mail.
const slowAnswer = 10 * time.Second

// pressure shows what waits where when the broker, the network to it or the mail
// server is slow or stands still. It must not be memory.
func (b *bench) pressure(ctx context.Context) error {
	b.title("Pressure", fmt.Sprintf("%d events/s of %s customers, one in %d a cart that asks for a mail, through the customer station (given %d MB) and the sender (%d connections). "+
		"Most is from when the trouble begins until all has arrived. Behind is what waits in Kafka; unsettled are deliveries in the sender's memory, at most 1,500 in each of %d partitions. "+
		"In doubt are mails of which the sender cannot say whether they went out: the mail server's answer did not come.",
		offered, workload.Count(shoppers), cartEvery, stationMemory/1_000_000, connections, pathPartitions))
	t := table{{"trouble", "lasts, s", "station before, most, after, MB", "sender before, most, after, MB", "most at the storefront, events", "events behind", "deliveries behind", "unsettled", "all arrived after, s", "mails of carts", "lost, repeated, in doubt"}}
	for _, trouble := range []trouble{
		{"none", func(_ *path, ctx context.Context) error { return sleep(ctx, b.seconds) }},
		{"the broker stands still", (*path).stopBroker},
		{fmt.Sprintf("the network carries %d kB/s", slowWire/1000), (*path).slowNetwork},
		{fmt.Sprintf("the mail server answers after %v, then not at all", slowAnswer), (*path).slowMails},
	} {
		r, err := b.under(ctx, trouble)
		if err != nil {
			return fmt.Errorf("%s: %w", trouble.name, err)
		}
		b.progress("pressure: %s: station %v, sender %v MB, all arrived after %v", trouble.name, r.station, r.sender, r.recovery.Round(time.Second/10))
		t.row(trouble.name, figure(r.lasted.Seconds()), r.station.String(), r.sender.String(), fmt.Sprint(r.most.storefront), fmt.Sprint(r.most.events), fmt.Sprint(r.most.deliveries),
			fmt.Sprint(r.most.unsettled), figure(r.recovery.Seconds()), fmt.Sprintf("%d of %d", r.mails, r.carts), fmt.Sprintf("%d, %d, %d", r.lost, r.repeated, r.doubted))
	}
	t.write(b.out)
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (p *path) stopBroker(ctx context.Context) error {
	defer syscall.Kill(p.b.cluster.pid, syscall.SIGCONT)
	if err := syscall.Kill(p.b.cluster.pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop the broker: %w", err)
	}
	return sleep(ctx, 2*p.b.seconds)
}

func (p *path) slowNetwork(ctx context.Context) error {
	defer p.wire.slow(0)
	p.wire.slow(slowWire)
	return sleep(ctx, 2*p.b.seconds)
}

func (p *path) slowMails(ctx context.Context) error {
	answering := make(chan struct{})
	defer close(answering)
	defer p.answers(func() {})
	p.answers(func() {
		select {
		case <-answering:
		case <-time.After(slowAnswer):
		}
	})
	if err := sleep(ctx, p.b.seconds); err != nil {
		return err
	}
	p.answers(func() { <-answering })
	return sleep(ctx, 2*p.b.seconds)
}

// resident is a process's memory in MB.
type resident struct{ before, most, after float64 }

func (r resident) String() string {
	return fmt.Sprintf("%s, **%s**, %s", figure(r.before), figure(r.most), figure(r.after))
}

// waiting is what waits where.
type waiting struct{ storefront, events, deliveries, unsettled int64 }

type relief struct {
	station, sender                       resident
	most                                  waiting
	lasted, recovery                      time.Duration
	carts, mails, lost, repeated, doubted int
}

// under lets a trouble strike while customers shop.
func (b *bench) under(ctx context.Context, t trouble) (r relief, err error) {
	p, err := b.openPath(ctx)
	defer func() { err = errors.Join(err, p.close(context.WithoutCancel(ctx))) }()
	if err != nil {
		return r, err
	}
	shopping, closed := context.WithCancel(ctx)
	defer closed()
	shopped := make(chan error, 1)
	go func() {
		carts, err := p.shop(shopping)
		r.carts = carts
		shopped <- err
	}()
	if err := sleep(ctx, b.seconds); err != nil {
		return r, err
	}

	looking, seen := context.WithCancel(ctx)
	defer seen()
	var looks sync.WaitGroup
	looks.Go(func() { r.most = p.look(looking) })
	mb := func(bytes int64) float64 { return float64(bytes) / 1e6 }
	r.station.before, r.sender.before = mb(p.station.usage().rss), mb(p.sender.usage().rss)
	p.station.mostRSS()
	p.sender.mostRSS()
	began := time.Now()
	err = t.strike(p, ctx)
	r.lasted = time.Since(began)
	closed()
	if err := errors.Join(err, <-shopped); err != nil {
		return r, err
	}
	if err := p.quiet(ctx); err != nil {
		return r, err
	}
	r.recovery = time.Since(began) - r.lasted
	seen()
	looks.Wait()
	r.station.most, r.sender.most = mb(p.station.mostRSS()), mb(p.sender.mostRSS())
	r.station.after, r.sender.after = mb(p.station.usage().rss), mb(p.sender.usage().rss)
	for _, x := range []*process{p.station, p.sender} {
		if _, err := x.stop(); err != nil {
			return r, err
		}
	}
	err = errors.Join(r.bounded(), p.count(ctx, &r))
	return r, err
}

// bounded is an error if memory was where things waited.
func (r relief) bounded() error {
	if most := float64(stationMemory+onTop) / 1e6; r.station.most > most {
		return fmt.Errorf("the customer station took %s MB, want at most %s", figure(r.station.most), figure(most))
	}
	if most := r.sender.before + onTop/1e6; r.sender.most > most {
		return fmt.Errorf("the sender took %s MB, and %s before; want at most %s", figure(r.sender.most), figure(r.sender.before), figure(most))
	}
	return nil
}

// look watches what waits, until ctx ends. Who does not answer is asked again.
func (p *path) look(ctx context.Context) (most waiting) {
	beat := time.NewTicker(200 * time.Millisecond)
	defer beat.Stop()
	for ctx.Err() == nil {
		most.storefront = max(most.storefront, p.storefront.BufferedProduceRecords())
		asking, enough := context.WithTimeout(ctx, 500*time.Millisecond)
		if n, err := p.behind(asking, station, schemas.Events); err == nil {
			most.events = max(most.events, n)
		}
		if n, err := p.behind(asking, mailer, schemas.Deliveries); err == nil {
			most.deliveries = max(most.deliveries, n)
		}
		if t, err := p.b.ask(asking, p.id, "sender"); err == nil {
			most.unsettled = max(most.unsettled, int64(t.Metrics["segue_sender_unsettled"]))
		}
		enough()
		select {
		case <-ctx.Done():
		case <-beat.C:
		}
	}
	return most
}

// count reads every topic: each cart has one delivery, and that one outcome and,
// if that says so, one mail.
func (p *path) count(ctx context.Context, r *relief) error {
	deliveries, outcomes := map[string]int{}, map[string][]schemas.Outcome_Kind{}
	err := p.b.cluster.read(ctx, p.topic(schemas.Deliveries), func(rec *kgo.Record) error {
		var c schemas.DeliveryCommand
		if err := schemas.Decode(rec.Value, &c); err != nil {
			return err
		}
		if c.GetSend() != nil {
			deliveries[c.GetSend().GetId()]++
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = p.b.cluster.read(ctx, p.topic(schemas.Events), func(rec *kgo.Record) error {
		var e schemas.Event
		if err := schemas.Decode(rec.Value, &e); err != nil {
			return err
		}
		if o := e.GetOutcome(); o != nil {
			outcomes[o.GetDeliveryId()] = append(outcomes[o.GetDeliveryId()], o.GetKind())
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r.mails = len(p.mails)
	r.lost, r.repeated = max(r.carts-len(deliveries), 0), max(len(deliveries)-r.carts, 0)
	for id, n := range deliveries {
		switch kinds := outcomes[id]; {
		case n > 1 || len(kinds) > 1 || p.mails[id] > 1:
			r.repeated++
		case len(kinds) == 1 && kinds[0] == schemas.Outcome_IN_DOUBT:
			r.doubted++
		case len(kinds) == 0 || kinds[0] != schemas.Outcome_SENT || p.mails[id] == 0:
			r.lost++
		}
	}
	if r.lost > 0 || r.repeated > 0 || r.doubted > connections {
		return fmt.Errorf("%d carts were left: got %d deliveries and %d mails, %d lost, %d repeated, %d in doubt; want none lost or repeated, and no more in doubt than the sender has connections, %d",
			r.carts, len(deliveries), len(p.mails), r.lost, r.repeated, r.doubted, connections)
	}
	return nil
}
