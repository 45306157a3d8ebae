package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/benchmarks/workload"
	"segue/processors/sender/inbox"
	"segue/schemas"
	"segue/schemas/playbook"
)

const (
	shoppers = 20_000
	// offered events a second, of which one in cartEvery is a cart that is left.
	offered, cartEvery = 4000, 10
	pathPartitions     = 4
	connections        = 32 // to the mail server
	stationMemory      = 256 << 20
)

// leftCarts is a playbook that sends a mail for every cart, soon.
const leftCarts = `
store: {name: Alder & Oak, url: "https://alder.example", currency: GBP, time_zone: Europe/London}
brand: {from: "Alder & Oak <hello@alder.example>", address: "1 Mill Lane, Stroud, GL5 1AA"}
consent: explicit
limits: {at_most: [128 per day]}
segments:
  browsing-now: {enter: views.within(minutes(1)) >= 1}
journeys:
  cart: {start: cart.abandoned, once_per: cart, steps: [{after: 1s, send: reminder}]}
messages:
  reminder: {subjects: ["Your {{ cart.items[0].name }} is here"], body: mail.html, give_up: 1h}
`

const leftCartsMail = `<p>Your {{ cart.items[0].name }} waits.</p><p>{{ brand.address }} <a href="{{ unsubscribe_url }}">unsubscribe</a></p>`

// path is from events to mails: the customer station and the sender as processes,
// a wire to the broker, and a mail server.
type path struct {
	b               *bench
	id              string // before all of its names
	topics          []string
	wire            *wire
	inbox           *inbox.Inbox
	station, sender *process
	storefront      *kgo.Client
	closeInbox      func() error

	mu     sync.Mutex
	mails  map[string]int // by delivery
	answer func()         // comes before each of the mail server's
}

// openPath starts everything; close must be called, whatever the error.
func (b *bench) openPath(ctx context.Context) (p *path, err error) {
	p = &path{b: b, id: b.id("path") + "-", mails: map[string]int{}, answer: func() {}, closeInbox: func() error { return nil }}
	if p.topics, err = b.createTopics(ctx, p.id, pathPartitions, false); err != nil {
		return p, err
	}
	if p.wire, err = newWire(b.cluster.brokers); err != nil {
		return p, err
	}
	if err := p.openInbox(); err != nil {
		return p, err
	}
	if p.storefront, err = kgo.NewClient(kgo.SeedBrokers(b.cluster.brokers), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.MaxBufferedRecords(1_000_000), kgo.DisableClientMetrics()); err != nil {
		return p, fmt.Errorf("configure the client: %w", err)
	}
	if err := p.introduce(ctx); err != nil {
		return p, err
	}
	if p.station, err = p.start(station); err != nil {
		return p, err
	}
	if p.sender, err = p.start(mailer); err != nil {
		return p, err
	}
	return p, p.quiet(ctx)
}

func (p *path) topic(name string) string { return p.id + name }

func (p *path) start(e engine) (*process, error) {
	r := run{id: p.id, via: p.wire.addr(), mails: p.inbox.SMTPAddr()}
	if e.name == station.name {
		r.load.memory = stationMemory
	}
	return p.b.start(e, r)
}

func (p *path) openInbox() (err error) {
	p.inbox, err = inbox.New(inbox.Config{
		Keep: 1,
		Answer: func(inbox.Mail) error {
			p.mu.Lock()
			answer := p.answer
			p.mu.Unlock()
			answer()
			return nil
		},
		OnMail: func(m inbox.Mail) {
			p.mu.Lock()
			p.mails[m.DeliveryID]++
			p.mu.Unlock()
		},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.inbox.Run(ctx) }()
	p.closeInbox = func() error { cancel(); return <-ended }
	return nil
}

// answers lets the mail server do this before it answers.
func (p *path) answers(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

// close ends everything, and leaves nothing behind.
func (p *path) close(ctx context.Context) error {
	for _, x := range []*process{p.station, p.sender} {
		if x != nil {
			x.kill()
		}
	}
	if p.storefront != nil {
		p.storefront.Close()
	}
	if p.wire != nil {
		p.wire.close()
	}
	return errors.Join(p.closeInbox(), p.b.cluster.drop(ctx, p.topics...), os.RemoveAll(p.b.folder(p.id)))
}

// introduce puts the playbook in force, and lets every customer say who they are.
func (p *path) introduce(ctx context.Context) error {
	pb, err := playbook.Parse("left-carts.yaml", []byte(leftCarts), map[string][]byte{"mail.html": []byte(leftCartsMail)})
	if err != nil {
		return err
	}
	if err := p.b.putInForce(ctx, p.id, pb, pathPartitions, time.Now()); err != nil {
		return err
	}
	return p.b.cluster.produceAll(ctx, func(yield func(*kgo.Record) bool) {
		for customer := range shoppers {
			name := string(workload.Key(customer))
			_ = yield(p.event(customer, &schemas.Event{Id: name + " is", Body: &schemas.Event_Identify{Identify: &schemas.Identify{
				Email: name + "@shop.example", FirstName: "Ada", TimeZone: "Europe/London"}}})) &&
				yield(p.event(customer, &schemas.Event{Id: name + " agrees", Body: &schemas.Event_Subscription{Subscription: &schemas.Subscription{Subscribed: true}}}))
		}
	})
}

func (p *path) event(customer int, e *schemas.Event) *kgo.Record {
	now := schemas.Timestamp(time.Now().UnixMilli())
	e.OccurredAt, e.ReceivedAt, e.Source = now, now, "shop"
	key := workload.Key(customer)
	e.Customer, e.UserId = string(key), string(key)
	return &kgo.Record{Topic: p.topic(schemas.Events), Key: key, Value: schemas.Encode(e)}
}

// act is the nth thing that somebody does; left: a cart, which asks for a mail.
func (p *path) act(n int) (r *kgo.Record, left bool) {
	product := &schemas.Product{Id: "mug", Name: "Mug", Category: "home", PriceMicros: 12_000_000, Quantity: 1}
	e := &schemas.Event{Id: fmt.Sprintf("e-%d", n)}
	if left = n%cartEvery == 0; left {
		e.Body = &schemas.Event_Cart{Cart: &schemas.CartChange{Change: schemas.CartChange_ADDED, CartId: fmt.Sprintf("cart-%d", n), Currency: "GBP", Product: product}}
	} else {
		e.Body = &schemas.Event_View{View: &schemas.View{Product: product, Currency: "GBP"}}
	}
	// Carts go round, so that a customer who leaves one has left the last long ago.
	return p.event((n/cartEvery+n%cartEvery*(shoppers/cartEvery))%shoppers, e), left
}

// shop lets customers act until ctx ends, and returns how many carts they left.
func (p *path) shop(ctx context.Context) (carts int, err error) {
	err = produceAtRate(ctx, p.storefront, offered, func(n int) *kgo.Record {
		r, left := p.act(n)
		if left {
			carts++
		}
		return r
	})
	return carts, err
}

// behind is how many records of a topic a group has not done with.
func (p *path) behind(ctx context.Context, e engine, name string) (int64, error) {
	ends, err := p.b.cluster.ends(ctx, p.topic(name))
	if err != nil {
		return 0, err
	}
	offsets, err := p.b.cluster.committed(ctx, e.group(p.id), p.topic(name))
	return total(ends) - total(offsets), err
}

// quiet waits until nothing is under way: all is folded, and every delivery has
// its outcome, which is folded too.
func (p *path) quiet(ctx context.Context) error {
	const patience, rest = 3 * time.Minute, 1500 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	busy, why := time.Now(), error(nil)
	for time.Since(busy) < rest { // a cart that was left just now is heard of later
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait %v until nothing is under way: %w", patience, cmp.Or(why, ctx.Err()))
		case <-look.C:
		}
		if err := errors.Join(p.station.alive(), p.sender.alive()); err != nil {
			return err
		}
		events, err := p.behind(ctx, station, schemas.Events)
		deliveries, failed := p.behind(ctx, mailer, schemas.Deliveries)
		if why = errors.Join(err, failed); why != nil || events > 0 || deliveries > 0 {
			busy = time.Now()
		}
	}
	return nil
}
