package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/sender/inbox"
	"segue/schemas"
)

// load is the shoppers: who does what comes from the seed, when it reaches the
// log from the broker, which may be dead just then.
type load struct {
	client *kgo.Client
	topic  string
	rate   int

	mu       sync.Mutex // the inbox answers, too
	rng      *rand.Rand
	shoppers []*shopper
	guests   []string // who became known, and may still come under the old name
	seq      int
	last     *kgo.Record // for storefronts that say things twice

	written, refused atomic.Int64
}

type shopper struct {
	id     string
	known  bool
	cart   int
	orders int
}

func newLoad(kafka []kgo.Opt, topic string, o options) (*load, error) {
	client, err := kgo.NewClient(append(kafka, kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(5_000))...)
	if err != nil {
		return nil, err
	}
	l := &load{client: client, topic: topic, rate: o.rate, rng: rand.New(rand.NewPCG(o.seed, 1))}
	for i := range o.customers {
		l.shoppers = append(l.shoppers, &shopper{id: fmt.Sprintf("shopper-%d", i)})
	}
	return l, nil
}

// run writes events at the rate until ctx ends.
func (l *load) run(ctx context.Context) {
	defer l.client.Close()
	const beat = 20 * time.Millisecond
	beats := time.NewTicker(beat)
	defer beats.Stop()
	due, last := 0.0, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-beats.C:
			due += float64(l.rate) * min(now.Sub(last), time.Second).Seconds()
			last = now
		}
		for ; due >= 1; due-- {
			l.mu.Lock()
			events := l.happen()
			l.mu.Unlock()
			for _, r := range events {
				l.write(ctx, r)
			}
			due -= float64(len(events) - 1)
		}
	}
}

func (l *load) write(ctx context.Context, r *kgo.Record) {
	// However long the broker is away, it is tried again.
	l.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
		switch {
		case err == nil:
			l.written.Add(1)
		case ctx.Err() == nil:
			l.refused.Add(1)
		}
	})
}

// happen is the next thing that somebody does.
func (l *load) happen() []*kgo.Record {
	if l.last != nil && l.rng.IntN(50) == 0 {
		again := &kgo.Record{Topic: l.topic, Key: l.last.Key, Value: l.last.Value}
		l.last = nil
		return []*kgo.Record{again}
	}
	s := l.shoppers[l.rng.IntN(len(l.shoppers))]
	if !s.known {
		s.known = true
		return l.introduce(s, "")
	}
	switch n := l.rng.IntN(100); {
	case n < 4:
		return l.visitAsGuest(s)
	case n < 6 && len(l.guests) > 0:
		return []*kgo.Record{l.event(l.guests[l.rng.IntN(len(l.guests))], l.view())}
	case n < 40:
		return []*kgo.Record{l.event(s.id, l.view())}
	case n < 60:
		return []*kgo.Record{l.event(s.id, l.add(s))}
	case n < 63:
		return []*kgo.Record{l.event(s.id, &schemas.Event{Body: &schemas.Event_Cart{Cart: &schemas.CartChange{
			Change: schemas.CartChange_CHECKOUT, CartId: s.cartID(), Currency: "GBP"}}})}
	case n < 75:
		return []*kgo.Record{l.event(s.id, l.order(s))}
	case n < 76 && s.orders > 0:
		return []*kgo.Record{l.event(s.id, &schemas.Event{Body: &schemas.Event_OrderCancelled{OrderCancelled: &schemas.OrderCancelled{
			OrderId: s.orderID(), Currency: "GBP"}}})}
	case n < 77:
		return []*kgo.Record{l.event(s.id, l.consent(l.rng.IntN(3) > 0))}
	}
	return []*kgo.Record{l.event(s.id, &schemas.Event{Body: &schemas.Event_Visit{Visit: &schemas.Visit{Url: "https://alder.example/"}}})}
}

// introduce says who a customer is, and whom they were before.
func (l *load) introduce(s *shopper, guest string) []*kgo.Record {
	identify := &schemas.Event{UserId: s.id, AnonymousId: guest, Body: &schemas.Event_Identify{Identify: &schemas.Identify{
		Email: s.id + "@shop.example", FirstName: s.id, TimeZone: "Europe/London"}}}
	events := []*kgo.Record{l.event(s.id, identify), l.event(s.id, l.consent(l.rng.IntN(10) > 0))}
	if guest != "" {
		events = append(events, l.event(guest, &schemas.Event{AnonymousId: guest, Body: &schemas.Event_Link{Link: &schemas.Link{Known: s.id}}}))
	}
	return events
}

// visitAsGuest is a visit under a name of its own, which s may then log in from.
func (l *load) visitAsGuest(s *shopper) []*kgo.Record {
	l.seq++
	guest := fmt.Sprintf("guest-%d", l.seq)
	events := []*kgo.Record{l.event(guest, l.view())}
	if l.rng.IntN(2) == 0 {
		events = append(events, l.event(guest, l.add(&shopper{id: guest})))
	}
	if l.rng.IntN(2) == 0 {
		events = append(events, l.introduce(s, guest)...)
		if l.guests = append(l.guests, guest); len(l.guests) > 200 {
			l.guests = l.guests[1:]
		}
	}
	return events
}

// answer is what the reader of a mail does.
func (l *load) answer(ctx context.Context, m inbox.Mail) {
	l.mu.Lock()
	var events []*kgo.Record
	engaged := func(kind schemas.Engagement_Kind) {
		events = append(events, l.event(m.CustomerID, &schemas.Event{Body: &schemas.Event_Engagement{Engagement: &schemas.Engagement{
			Kind: kind, DeliveryId: m.DeliveryID}}}))
	}
	if n := l.rng.IntN(100); n < 40 {
		engaged(schemas.Engagement_OPENED)
		if n < 15 {
			engaged(schemas.Engagement_CLICKED)
		}
		if n < 1 {
			events = append(events, l.event(m.CustomerID, l.consent(false)))
		}
	}
	l.mu.Unlock()
	for _, r := range events {
		l.write(ctx, r)
	}
}

func (l *load) event(customer string, e *schemas.Event) *kgo.Record {
	l.seq++
	e.Id, e.Customer, e.Source = fmt.Sprintf("e-%d", l.seq), customer, "torture"
	now := schemas.Timestamp(time.Now().UnixMilli())
	e.OccurredAt, e.ReceivedAt = now, now
	l.last = &kgo.Record{Topic: l.topic, Key: []byte(customer), Value: schemas.Encode(e)}
	return l.last
}

var products = []string{"mug", "jug", "bowl", "chair", "lamp", "vase"}

func (l *load) product() *schemas.Product {
	name := products[l.rng.IntN(len(products))]
	return &schemas.Product{Id: name, Name: name, Category: "home", PriceMicros: int64(1+l.rng.IntN(80)) * 1_000_000, Quantity: 1}
}

func (l *load) view() *schemas.Event {
	return &schemas.Event{Body: &schemas.Event_View{View: &schemas.View{Product: l.product(), Currency: "GBP"}}}
}

func (l *load) add(s *shopper) *schemas.Event {
	return &schemas.Event{Body: &schemas.Event_Cart{Cart: &schemas.CartChange{
		Change: schemas.CartChange_ADDED, CartId: s.cartID(), Currency: "GBP", Product: l.product()}}}
}

func (l *load) order(s *shopper) *schemas.Event {
	cart := s.cartID()
	s.cart++
	s.orders++
	return &schemas.Event{Body: &schemas.Event_Order{Order: &schemas.Order{
		OrderId: s.orderID(), CartId: cart, Currency: "GBP", Products: []*schemas.Product{l.product()}}}}
}

func (l *load) consent(given bool) *schemas.Event {
	return &schemas.Event{Body: &schemas.Event_Subscription{Subscription: &schemas.Subscription{Subscribed: given}}}
}

func (s *shopper) cartID() string  { return fmt.Sprintf("%s-cart-%d", s.id, s.cart) }
func (s *shopper) orderID() string { return fmt.Sprintf("%s-order-%d", s.id, s.orders) }
