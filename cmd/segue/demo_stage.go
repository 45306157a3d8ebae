package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kslog"
	"golang.org/x/sync/errgroup"

	"segue/benchmarks/storefront"
	"segue/deploy"
	"segue/processors/collector"
	"segue/processors/customer"
	"segue/processors/sender"
	"segue/processors/sender/inbox"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/link"
	"segue/schemas/models"
	"segue/schemas/playbook"
)

const (
	demoPartitions = 4
	demoSource     = "storefront" // what the write key is of
	demoWriteKey   = "demo"
	demoMemory     = 256 << 20
	loopback       = "127.0.0.1:0"
)

// stage is everything that the demo runs, and what is seen of it.
type stage struct {
	zone     *time.Location
	playbook *playbook.Playbook
	clock    *stream.VirtualClock
	speed    float64
	broker   *kfake.Cluster
	kafka    []kgo.Opt
	log      *slog.Logger
	dir      string // of what stations keep

	collector *collector.Station
	customer  *customer.Station
	sender    *sender.Station
	inbox     *inbox.Inbox
	shop      *storefront.Storefront

	tally *tally
	audit *audit
	mu    sync.Mutex // of audit, while mails come in
	began time.Time
	start time.Time // of the shop's year
	group *errgroup.Group
	// running ends when a station fails, or stop is called.
	running context.Context
	stop    context.CancelFunc

	closers []func()
}

// open builds everything, and starts nothing but the broker and the ports.
func (d *demo) open(ctx context.Context, lines io.Reader, until time.Time, inboxChosen bool) (s *stage, err error) {
	s = &stage{clock: stream.NewVirtualClock(time.Unix(0, 0)), speed: d.speed, log: slog.New(slog.DiscardHandler)}
	defer func() {
		if err != nil {
			s.close()
			s = nil
		}
	}()
	if d.logFile != "" {
		file, err := os.Create(d.logFile)
		if err != nil {
			return s, fmt.Errorf("--log: %w", err)
		}
		s.closers = append(s.closers, func() { file.Close() })
		s.log = slog.New(slog.NewTextHandler(file, nil))
	}
	if s.playbook, err = shippedPlaybook(); err != nil {
		return s, err
	}
	s.zone = s.playbook.Store.Zone
	s.tally, s.audit = newTally(s.zone, s.playbook.Segments), newAudit(s.playbook, demoSource)
	if s.dir, err = os.MkdirTemp("", "segue-demo-"); err != nil {
		return s, err
	}
	s.closers = append(s.closers, func() { os.RemoveAll(s.dir) })
	if err := s.openBroker(ctx); err != nil {
		return s, err
	}
	keys, err := link.NewKeys("links of a demo that ends with it")
	if err != nil {
		return s, err
	}
	if err := s.openInbox(d, inboxChosen); err != nil {
		return s, err
	}
	if s.collector, err = collector.New(collector.Config{
		Listen: loopback, Kafka: s.kafka, WriteKeys: map[string]string{demoWriteKey: demoSource}, Links: keys,
		Clock: s.clock, Log: s.log.With("station", "collector"), Metrics: prometheus.NewRegistry(),
	}); err != nil {
		return s, err
	}
	return s, s.openCustomers(d, lines, until, keys)
}

// openCustomers builds the storefront and what serves its customers; the clock
// stands just before the shop's year.
func (s *stage) openCustomers(d *demo, lines io.Reader, until time.Time, keys link.Keys) (err error) {
	collect := "http://" + s.collector.Addr().String()
	if s.shop, err = storefront.New(storefront.Config{
		Lines: lines, Seed: d.seed, Collector: collect, WriteKey: demoWriteKey, Until: until,
	}); err != nil {
		return err
	}
	s.closers = append(s.closers, s.shop.Close)
	s.start, _ = s.shop.Next()
	s.clock.MoveTo(s.start.Add(-time.Second))
	if s.customer, err = customer.New(customer.Config{
		Kafka: s.kafka, Instance: "demo", Dir: s.dir, Salt: "demo", Memory: demoMemory, CommitSpacing: -1,
		Clock: s.clock, Log: s.log.With("station", "customer"), Metrics: prometheus.NewRegistry(),
	}); err != nil {
		return err
	}
	s.sender, err = sender.New(sender.Config{
		Kafka: s.kafka, Instance: "demo", SMTP: sender.SMTP{Addr: s.inbox.SMTPAddr()}, PublicURL: collect, Links: keys,
		CommitSpacing: time.Nanosecond, // kfake has none of what spacing is for
		Clock:         s.clock, Log: s.log.With("station", "sender"), Metrics: prometheus.NewRegistry(),
	})
	return err
}

func shippedPlaybook() (*playbook.Playbook, error) {
	yaml, files, err := playbook.ReadFS(deploy.Files, deploy.Playbook)
	if err != nil {
		return nil, err
	}
	return playbook.Parse(deploy.Playbook, yaml, files)
}

// openBroker starts a broker that forgets everything at the end.
func (s *stage) openBroker(ctx context.Context) (err error) {
	if s.broker, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("segue-demo")); err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	s.closers = append(s.closers, s.broker.Close)
	s.kafka = []kgo.Opt{
		kgo.SeedBrokers(s.broker.ListenAddrs()...), kgo.ClientID("segue-demo"), kgo.MetadataMinAge(metadataAge),
		kgo.WithLogger(kslog.New(s.log)),
	}
	client, err := kgo.NewClient(s.kafka...)
	if err != nil {
		return err
	}
	defer client.Close()
	for _, t := range schemas.Topics {
		if _, err := kadm.NewClient(client).CreateTopic(ctx, int32(partitionsOf(t, demoPartitions)), 1, settingsOf(t, true), t.Name); err != nil {
			return fmt.Errorf("create topic %s: %w", t.Name, err)
		}
	}
	return nil
}

// openInbox listens where it is told, or at any port when nobody chose one and
// the usual one is taken.
func (s *stage) openInbox(d *demo, chosen bool) (err error) {
	listen := inbox.Config{SMTPListen: loopback, HTTPListen: d.inbox, Dir: d.mailDir, Clock: s.clock, Log: s.log, OnMail: s.mailCame, Live: s.live}
	s.inbox, err = inbox.New(listen)
	var taken *net.OpError
	if errors.As(err, &taken) && !chosen {
		listen.HTTPListen = "localhost:0"
		s.inbox, err = inbox.New(listen)
	}
	return err
}

// mailCame is told of each mail, by the inbox.
func (s *stage) mailCame(m inbox.Mail) {
	s.tally.subject(m.DeliveryID, m.Subject)
	s.mu.Lock()
	s.audit.mail(m.Received, m.DeliveryID, m.To)
	s.mu.Unlock()
	letter := storefront.Mail{At: m.Received, To: m.To, Open: m.Links.Open, Unsubscribe: m.Links.Unsubscribe}
	if len(m.Links.Clicks) > 0 {
		letter.Click = m.Links.Clicks[0]
	}
	s.shop.Deliver(letter)
}

// eventCame is told of each record of events.
func (s *stage) eventCame(at int64, e *schemas.Event) {
	s.tally.event(at, e)
	switch body := e.GetBody().(type) {
	case *schemas.Event_Engagement:
		clicked := body.Engagement.GetKind() == schemas.Engagement_CLICKED
		s.inbox.Mark(body.Engagement.GetDeliveryId(), inbox.Marks{Opened: !clicked, Clicked: clicked})
	case *schemas.Event_Subscription:
		s.inbox.Mark(body.Subscription.GetDeliveryId(), inbox.Marks{Unsubscribed: !body.Subscription.GetSubscribed()})
	}
}

// play runs the year, and shows it on out.
func (s *stage) play(ctx context.Context, out io.Writer) error {
	running, stop := context.WithCancel(ctx)
	s.stop = stop
	s.group, running = errgroup.WithContext(running)
	s.running = running
	if _, err := stream.PutInForce(ctx, s.kafka, "", playbookVersion(s.playbook), s.clock.Now()); err != nil {
		return err
	}
	for name, run := range map[string]func(context.Context) error{
		"collector": s.collector.Run, "customer": s.customer.Run, "sender": s.sender.Run, "inbox": s.inbox.Run,
		"watch": func(ctx context.Context) error {
			return told{event: s.eventCame, change: s.tally.change, score: s.tally.score, command: s.tally.command}.follow(ctx, s.kafka)
		},
	} {
		s.group.Go(func() error {
			if err := run(running); err != nil && running.Err() == nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}

	s.began = time.Now()
	shown, hide := context.WithCancel(running)
	var screen sync.WaitGroup
	screen.Go(func() { showDemo(shown, out, s.see()) })
	beat := &metronome{
		clock: s.clock, nextWake: s.customer.NextWake, shop: s.shop, speed: s.speed, pending: s.collector.Pending, ends: s.ends,
		settled: []settler{{schemas.Events, s.customer.Settled}, {schemas.Deliveries, s.sender.Settled}},
		when:    s.start.AddDate(0, learntAfter, 0), then: s.learn,
	}
	err := beat.run(running)
	hide()
	screen.Wait()
	if err != nil {
		stop()
		if failed := s.group.Wait(); failed != nil {
			return failed // why the clock stopped
		}
	}
	return err
}

// learntAfter is how many months of its own history the shop fits its models to.
const learntAfter = 6

// learn does what segue fit and segue models apply do.
func (s *stage) learn(ctx context.Context) error {
	h := &storeHistory{}
	log := told{event: func(at int64, e *schemas.Event) {
		if !e.IsControl() {
			h.events = append(h.events, storeEvent{at, e.GetCustomer(), e})
		}
	}}
	if err := log.readAll(ctx, s.kafka); err != nil {
		return err
	}
	h.sort()
	now := s.clock.Now()
	past := customer.NewPast(models.Default(), customer.Plan{Events: len(h.events), Zone: s.zone})
	if err := h.fold(past, io.Discard); err != nil {
		return fmt.Errorf("fit: %w", err)
	}
	set, err := past.Fit("half-year", now.UnixMilli(), func(string) {})
	if err != nil {
		return err
	}
	s.tally.learnt(now, len(h.events))
	_, err = stream.PutInForce(ctx, s.kafka, "", modelsVersion(set), now)
	return err
}

// ends are where the logs end that stations read.
func (s *stage) ends() map[string]map[int32]int64 {
	ends := map[string]map[int32]int64{}
	for _, topic := range []string{schemas.Events, schemas.Deliveries} {
		ends[topic] = map[int32]int64{}
		for _, p := range s.broker.PartitionInfos(topic) {
			ends[topic][p.Partition] = p.HighWatermark
		}
	}
	return ends
}

// window is what rates are taken over.
const window = 2 * time.Second

// see returns what tells the present scene, and what is new in it.
func (s *stage) see() func() (*scene, []string) {
	type sample struct {
		real    time.Time
		virtual time.Time
		events  int
	}
	var samples []sample
	return func() (*scene, []string) {
		now := s.clock.Now()
		s.tally.sample(now.UnixMilli(), func(customer string) (playbook.Scores, error) { return s.customer.Scores(s.running, customer) })
		sc, news := s.scene(now), s.tally.happened()
		samples = append(samples, sample{time.Now(), now, sc.Events})
		for len(samples) > 2 && time.Since(samples[0].real) > window {
			samples = samples[1:]
		}
		first, last := samples[0], samples[len(samples)-1]
		if passed := last.real.Sub(first.real).Seconds(); passed > 0 {
			sc.Speed = last.virtual.Sub(first.virtual).Seconds() / passed
			sc.Rate = float64(last.events-first.events) / passed
		}
		return sc, news
	}
}

// scene is what is to be seen at an instant.
func (s *stage) scene(now time.Time) *scene {
	sc := &scene{Store: s.playbook.Store.Name, Start: s.start.In(s.zone), Now: now.In(s.zone), Progress: s.shop.Progress(now), Inbox: s.inbox.URL()}
	s.tally.fill(sc)
	return sc
}

// live writes the page of what goes on now.
func (s *stage) live(w io.Writer) (goes bool, err error) {
	sc := s.scene(s.clock.Now())
	return sc.Progress < 1, sc.live(w, s.playbook)
}

// wait keeps everything up until Ctrl-C.
func (s *stage) wait() error {
	<-s.running.Done()
	s.stop()
	return s.group.Wait()
}

func (s *stage) close() {
	if s.stop != nil {
		s.stop()
		_ = s.group.Wait() // whatever it says has been told, or is of the end
	}
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}
