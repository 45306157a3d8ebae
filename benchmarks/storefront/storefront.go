package storefront

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Config of a Storefront.
type Config struct {
	// Lines is Online Retail or a part of it: Cut, or a file.
	Lines io.Reader
	// Seed of all that is simulated.
	Seed uint64
	// Collector is the base URL of the collector, WriteKey what it knows us by.
	Collector string
	WriteKey  string
	// Until ends the year early: invoices from then on are not read. Zero: never.
	Until time.Time
}

// yearEnd is when Online Retail ends.
var yearEnd = time.Date(2011, 12, 9, 12, 50, 0, 0, london)

// Storefront is the shop of one run. Next, Post and Close belong to one
// goroutine; Deliver may be called from others.
type Storefront struct {
	seed     uint64
	base     string
	writeKey string
	until    time.Time
	first    time.Time // planned, ever
	client   *http.Client

	invoices *Invoices
	ahead    *Invoice  // read, and not yet planned
	end      time.Time // of the last invoice, once it is read
	ended    bool

	shoppers map[string]*shopper
	byEmail  map[string]*shopper
	shelf    []product
	shelved  int
	agenda   agenda
	seq      uint64

	batch  batch
	ledger Ledger

	mu    sync.Mutex
	inbox []Mail
}

// Mail is a mail as it lies in a shopper's inbox.
type Mail struct {
	At                       time.Time
	To                       string
	Open, Click, Unsubscribe string // URLs; Click of the button
}

// Ledger is what the shop knows that it did: what was posted must be in the
// log, no more and no less.
type Ledger struct {
	Lines                          int // of the file that were read
	Orders, Refunds, Adjustments   int // events that carry them
	GuestOrders                    int // of Orders, without a customer
	Recovered                      int // orders that the file knows nothing of
	Posted                         int // calls answered 200
	PostedIDs                      Digest
	Opens, Clicks, Unsubscriptions int
}

// New opens the shop: it reads as far ahead as the first visit may lie before
// its order.
func New(c Config) (*Storefront, error) {
	lines, err := NewLines(c.Lines)
	if err != nil {
		return nil, err
	}
	s := &Storefront{
		seed: c.Seed, base: c.Collector, writeKey: c.WriteKey, until: c.Until,
		client: &http.Client{
			Timeout:       time.Minute,
			Transport:     &http.Transport{MaxIdleConnsPerHost: 4},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		invoices: NewInvoices(lines),
		shoppers: map[string]*shopper{},
		byEmail:  map[string]*shopper{},
	}
	if err := s.advance(); err != nil {
		return nil, err
	}
	if s.ended {
		return nil, errors.New("read orders: got no invoice, want at least one")
	}
	if err := s.planTo(s.ahead.At.Add(Lookahead)); err != nil {
		return nil, err
	}
	s.first = s.agenda[0].at // of an order there is always something
	return s, nil
}

// Close lets go of the connections to the collector.
func (s *Storefront) Close() { s.client.CloseIdleConnections() }

// Next returns when the shop next has something to say; false when it never
// will again, unless a mail comes.
func (s *Storefront) Next() (time.Time, bool) {
	s.answerMail()
	if len(s.agenda) == 0 {
		return time.Time{}, false
	}
	return s.agenda[0].at, true
}

// LastBefore returns the latest planned instant up to t. A clock that moves
// there at once, from Next, makes one batch of what lies between.
func (s *Storefront) LastBefore(t time.Time) (last time.Time) {
	var look func(i int)
	look = func(i int) { // of a heap, what lies below something later is later
		if i >= len(s.agenda) || s.agenda[i].at.After(t) {
			return
		}
		if s.agenda[i].at.After(last) {
			last = s.agenda[i].at
		}
		look(2*i + 1)
		look(2*i + 2)
	}
	look(0)
	return last
}

// End returns the moment of the last invoice, once it is known.
func (s *Storefront) End() (time.Time, bool) { return s.end, s.ended }

// Progress returns how much of Online Retail's year, or of the part until Until,
// has passed at now: 0 to 1. It may be asked from any goroutine.
func (s *Storefront) Progress(now time.Time) float64 {
	end := yearEnd
	if !s.until.IsZero() && s.until.Before(end) {
		end = s.until
	}
	share := float64(now.Sub(s.first)) / float64(end.Sub(s.first))
	return min(max(share, 0), 1)
}

// Ledger returns what was done so far.
func (s *Storefront) Ledger() Ledger { return s.ledger }

// Post says and does all that is planned up to now, and returns when it is
// answered.
func (s *Storefront) Post(ctx context.Context, now time.Time) error {
	if err := s.planTo(now.Add(Lookahead)); err != nil {
		return err
	}
	s.answerMail()
	for len(s.agenda) > 0 && !s.agenda[0].at.After(now) {
		a := heap.Pop(&s.agenda).(*action)
		if s.void(a) {
			continue
		}
		if err := s.do(ctx, a, now); err != nil {
			return err
		}
	}
	if err := s.flush(ctx, now); err != nil {
		return err
	}
	return s.settle()
}

// Deliver tells the shop that a mail has come. It is read later.
func (s *Storefront) Deliver(m Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inbox = append(s.inbox, m)
}

// advance reads the next invoice into ahead.
func (s *Storefront) advance() error {
	next, err := s.invoices.Next()
	if err == nil && !s.until.IsZero() && !next.At.Before(s.until) {
		err = io.EOF
	}
	switch {
	case err == io.EOF:
		s.ahead, s.ended = nil, true
		return nil
	case err != nil:
		return err
	}
	s.ahead, s.end = next, next.At
	return nil
}

// planTo plans all invoices up to t.
func (s *Storefront) planTo(t time.Time) error {
	for s.ahead != nil && !s.ahead.At.After(t) {
		s.planInvoice(s.ahead)
		s.ledger.Lines += len(s.ahead.Lines)
		if err := s.advance(); err != nil {
			return err
		}
	}
	return nil
}

// settle drops what will not happen, and reads on until something will.
func (s *Storefront) settle() error {
	for {
		for len(s.agenda) > 0 && s.void(s.agenda[0]) {
			heap.Pop(&s.agenda)
		}
		if len(s.agenda) > 0 || s.ahead == nil {
			return nil
		}
		if err := s.planTo(s.ahead.At); err != nil {
			return err
		}
	}
}

// answerMail plans what shoppers do with the mails that came.
func (s *Storefront) answerMail() {
	s.mu.Lock()
	mails := s.inbox
	s.inbox = nil
	s.mu.Unlock()
	for _, m := range mails {
		if who := s.byEmail[m.To]; who != nil {
			s.planReading(who, m)
		}
	}
}

// void reports whether a will not happen after all: a cart that is no longer
// there cannot be recovered, and nobody just visits once the file has ended.
func (s *Storefront) void(a *action) bool {
	if a.recovers {
		return a.shopper.cart != a.cart
	}
	return s.ended && a.kind == noHit && !a.accounts && a.at.After(s.end)
}

func (s *Storefront) do(ctx context.Context, a *action, now time.Time) error {
	if a.kind != noHit {
		return s.hit(ctx, a, now)
	}
	if err := s.batch.add(a.call); err != nil {
		return err
	}
	switch {
	case a.emptied:
		a.shopper.cart = nil
	case a.cart != nil:
		a.shopper.cart = a.cart
	}
	s.count(a)
	if s.batch.body.Len() > maxBatch {
		return s.flush(ctx, now)
	}
	return nil
}

func (s *Storefront) count(a *action) {
	s.ledger.Posted++
	s.ledger.PostedIDs.Add(a.call.MessageID)
	switch a.call.Event {
	case "Order Completed":
		s.ledger.Orders++
		if a.recovers {
			s.ledger.Recovered++
		}
		if a.shopper.anonymous {
			s.ledger.GuestOrders++
		}
	case "Order Refunded":
		s.ledger.Refunds++
	case EventAdjusted:
		s.ledger.Adjustments++
	}
}

// hit follows a link of a mail, after all that was said before it.
func (s *Storefront) hit(ctx context.Context, a *action, now time.Time) error {
	if err := s.flush(ctx, now); err != nil {
		return err
	}
	want, count := http.StatusOK, &s.ledger.Opens
	switch a.kind {
	case clickHit:
		want, count = http.StatusFound, &s.ledger.Clicks
	case unsubscribeHit:
		count = &s.ledger.Unsubscriptions
	}
	if err := follow(ctx, s.client, a.method, a.url, want); err != nil {
		return fmt.Errorf("shopper %s reads a mail: %w", a.shopper.id, err)
	}
	*count++
	return nil
}

func (s *Storefront) flush(ctx context.Context, now time.Time) error {
	return s.batch.send(ctx, s.client, s.base, s.writeKey, now)
}

// shopper returns the customer called id, met or not.
func (s *Storefront) shopper(id, country string) *shopper {
	who := s.shoppers[id]
	if who == nil {
		who = newShopper(s.seed, id, country)
		s.shoppers[id] = who
		s.byEmail[who.email] = who
	}
	return who
}
