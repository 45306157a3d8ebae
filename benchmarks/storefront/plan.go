package storefront

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lookahead is how far before its order a session may begin.
const Lookahead = 6 * 24 * time.Hour

// RecoveredOrder begins the number of an order that only a mail brought about:
// the file knows nothing of it.
const RecoveredOrder = "recovered-"

// ShopURL is where the shop's own pages would be.
const ShopURL = "https://alder.example"

const (
	currency = "GBP"
	// maxItems is how many lines an order's own event holds, so that it stays
	// below the 32 KB that an event may have; EventItems tell the rest.
	maxItems = 120
	// shelf is how many products, lately sold, shoppers pick from.
	shelf = 512
)

// What the shop says that the Ecommerce Spec has no name for.
const (
	// EventItems are the lines of an order beyond the first maxItems.
	EventItems = "Order Items"
	// EventAdjusted is an invoice that sold nothing.
	EventAdjusted = "Stock Adjusted"
)

// action is something that will happen: a call, or what a shopper does with a
// mail.
type action struct {
	at      time.Time
	seq     uint64
	call    *call
	shopper *shopper
	// accounts: call tells lines of the file.
	accounts bool
	// cart is opened, or closed when emptied is set, once the call is out.
	cart    *cart
	emptied bool
	// recovers: happens only while cart is still what the shopper left.
	recovers bool
	method   string
	url      string
	kind     hit
}

type hit uint8

const (
	noHit hit = iota
	openHit
	clickHit
	unsubscribeHit
)

type agenda []*action

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	if !a[i].at.Equal(a[j].at) {
		return a[i].at.Before(a[j].at)
	}
	return a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(*action)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	(*a)[len(*a)-1] = nil
	*a = (*a)[:len(*a)-1]
	return last
}

func (s *Storefront) plan(a *action) {
	s.seq++
	a.seq = s.seq
	heap.Push(&s.agenda, a)
}

// say plans one event of who.
func (s *Storefront) say(who *shopper, at time.Time, id, event string, properties map[string]any) *action {
	return s.call(who, at, &call{Type: "track", MessageID: id, Event: event, Properties: properties})
}

// call plans one call of who.
func (s *Storefront) call(who *shopper, at time.Time, c *call) *action {
	c.Timestamp = stamp(at)
	switch {
	case who.anonymous:
		c.AnonymousID = who.id
	case c.AnonymousID == "" || c.Type == "identify":
		c.UserID = who.id
	}
	a := &action{at: at, shopper: who, call: c}
	s.plan(a)
	return a
}

// planInvoice plans all that an invoice brings about.
func (s *Storefront) planInvoice(i *Invoice) {
	switch {
	case i.Customer == "":
		s.planGuest(i)
	case i.Cancels():
		s.planRefunds(s.shopper(i.Customer, i.Country), i)
	default:
		s.planOrder(s.shopper(i.Customer, i.Country), i)
	}
}

// planGuest plans the visit of somebody who stays anonymous.
func (s *Storefront) planGuest(i *Invoice) {
	guest := &shopper{id: "guest-" + i.Number, anonymous: true}
	switch {
	case i.Cancels():
		s.planRefunds(guest, i)
	case i.Adjusts():
		for n, lines := 0, i.Lines; len(lines) > 0; n++ {
			head := lines[:min(maxItems, len(lines))]
			lines = lines[len(head):]
			s.say(guest, i.At, fmt.Sprintf("adjust-%s-%d", i.Number, n), EventAdjusted, map[string]any{"invoice": i.Number, "items": items(head)}).accounts = true
		}
	default:
		s.planPage(guest, i.At.Add(-20*time.Second), "page-"+i.Number, "")
		s.planPurchase(guest, i, i.At, "")
	}
}

// planRefunds plans an event per line of a C… invoice: the file does not say
// which order it takes back, so a line is of the last order that held its product.
func (s *Storefront) planRefunds(who *shopper, i *Invoice) {
	for _, l := range i.Lines {
		order := who.soldBy(l.Stock)
		if order == "" {
			order = i.Number
		}
		s.say(who, l.At, "refund-line-"+strconv.Itoa(l.Number), "Order Refunded", map[string]any{
			"order_id": order, "currency": currency, "total": decimal(abs(l.Quantity * l.PriceMicros)),
			"invoice": i.Number,
		}).accounts = true
	}
}

// planOrder plans a session that ends in an order, and what follows from it.
func (s *Storefront) planOrder(who *shopper, i *Invoice) {
	rng := draw(s.seed, "order", i.Number)
	first := len(who.orders) == 0
	who.buys(i.Number, i.Lines)
	if first {
		s.planNewcomer(rng, who, i)
	}
	begin := i.At.Add(-between(rng, 4*time.Minute, 25*time.Minute))
	if !first && rng.Float64() < 0.3 { // slept on it
		begin = awake(rng, i.At.Add(-between(rng, 3*time.Hour, 44*time.Hour)), who.zone)
	}
	if met := who.met.Add(time.Minute); begin.Before(met) {
		begin = met
	}
	if latest := i.At.Add(-2 * time.Minute); begin.After(latest) {
		begin = latest
	}
	c := &cart{id: "cart-" + i.Number}
	for _, l := range i.Lines[:min(len(i.Lines), 1+rng.IntN(3))] {
		c.items = append(c.items, productOf(l))
	}
	s.planSession(rng, who, begin, c)
	s.planPurchase(who, i, i.At, c.id)
	for _, l := range i.Lines {
		s.stock(l)
	}
	s.planLater(rng, who, i)
}

// planNewcomer plans what happens before a first order: sometimes a cart that
// is left, and sometimes a friend who leaves one and may never buy.
func (s *Storefront) planNewcomer(rng *rand.Rand, who *shopper, i *Invoice) {
	if rng.Float64() < 0.35 {
		at := awake(rng, i.At.Add(-between(rng, 26*time.Hour, Lookahead-24*time.Hour)), who.zone)
		s.planSession(rng, who, at, s.pick(rng, "left-before-"+i.Number))
	}
	if rng.Float64() < 0.5 {
		friend := s.shopper(friendOf+who.id, i.Country)
		at := awake(rng, i.At.Add(-between(rng, 26*time.Hour, Lookahead-24*time.Hour)), friend.zone)
		s.planSession(rng, friend, at, s.pick(rng, "left-by-friend-"+i.Number))
	}
}

// planLater plans visits after an order: some look, some leave a cart.
func (s *Storefront) planLater(rng *rand.Rand, who *shopper, i *Invoice) {
	at := i.At
	for n := range 3 {
		at = at.Add(2*24*time.Hour + time.Duration(rng.ExpFloat64()*float64(16*24*time.Hour)))
		if at.Sub(i.At) > 60*24*time.Hour {
			return
		}
		at = awake(rng, at, who.zone)
		var c *cart
		if rng.Float64() < 0.55 {
			c = s.pick(rng, fmt.Sprintf("left-%s-%d", i.Number, n))
		}
		s.planSession(rng, who, at, c)
	}
}

// planSession plans a visit of less than a minute that fills c, or just looks
// when c is nil.
func (s *Storefront) planSession(rng *rand.Rand, who *shopper, at time.Time, c *cart) {
	who.visits++
	visit := fmt.Sprintf("%s-%d", who.id, who.visits)
	if who.met.IsZero() {
		// Until the account is made only the browser is known.
		who.met = at
		browser := "browser-" + who.id
		s.planPage(who, at, "page-"+visit, browser)
		at = at.Add(6 * time.Second)
		s.planIdentify(who, at, browser)
	} else {
		s.planPage(who, at, "page-"+visit, "")
	}
	var looks []product
	if c != nil {
		looks = slices.Clone(c.items)
	}
	for range 1 + rng.IntN(3) {
		if p, ok := s.any(rng); ok {
			looks = append(looks, p)
		}
	}
	for n, p := range looks {
		at = at.Add(between(rng, 2*time.Second, 6*time.Second))
		properties := p.properties()
		delete(properties, "quantity")
		s.say(who, at, fmt.Sprintf("view-%s-%d", visit, n), "Product Viewed", properties)
	}
	if c == nil {
		return
	}
	for n, p := range c.items {
		at = at.Add(between(rng, time.Second, 4*time.Second))
		properties := p.properties()
		properties["cart_id"], properties["cart_url"] = c.id, ShopURL+"/cart"
		s.say(who, at, fmt.Sprintf("add-%s-%d", visit, n), "Product Added", properties).cart = c
	}
}

// planPage plans the page that a visit begins with; browser when no more is
// known of who.
func (s *Storefront) planPage(who *shopper, at time.Time, id, browser string) {
	s.call(who, at, &call{
		Type: "page", MessageID: id, AnonymousID: browser,
		Properties: map[string]any{"url": ShopURL + "/", "title": "Alder & Oak", "path": "/"},
	})
}

// planIdentify plans the account: the browser becomes the customer.
func (s *Storefront) planIdentify(who *shopper, at time.Time, browser string) {
	s.call(who, at, &call{
		Type: "identify", MessageID: "identify-" + who.id, AnonymousID: browser,
		Traits: map[string]any{
			"email": who.email, "firstName": who.first, "lastName": who.last,
			"timezone": who.zone.String(), "country": who.country, "language": "en-GB",
		},
	})
	if who.subscribes {
		s.say(who, at.Add(time.Second), "subscribe-"+who.id, eventSubscribed, map[string]any{"email": who.email})
	}
}

// planPurchase plans an order, in as many events as its lines need.
func (s *Storefront) planPurchase(who *shopper, i *Invoice, at time.Time, cartID string) {
	var total int64
	for _, l := range i.Lines {
		total += l.Quantity * l.PriceMicros
	}
	head, rest := i.Lines, []Line(nil)
	if len(head) > maxItems {
		head, rest = head[:maxItems], head[maxItems:]
	}
	products := make([]product, len(head))
	for n, l := range head {
		products[n] = productOf(l)
		products[n].URL = lineURL(l)
	}
	properties := map[string]any{
		"order_id": i.Number, "total": decimal(total), "currency": currency, "products": products,
	}
	if cartID != "" {
		properties["cart_id"] = cartID
		s.say(who, at.Add(-20*time.Second), "checkout-"+i.Number, "Checkout Started", map[string]any{"cart_id": cartID, "currency": currency})
	}
	order := s.say(who, at, "order-"+i.Number, "Order Completed", properties)
	order.accounts, order.emptied = true, true
	for n := 0; len(rest) > 0; n++ {
		part := rest[:min(maxItems, len(rest))]
		rest = rest[len(part):]
		s.say(who, at, fmt.Sprintf("items-%s-%d", i.Number, n), EventItems, map[string]any{"order_id": i.Number, "items": items(part)}).accounts = true
	}
}

// stock puts what was sold on the shelf that others pick from.
func (s *Storefront) stock(l Line) {
	if l.PriceMicros < 100_000 || l.PriceMicros > 60_000_000 || len(l.Stock) < 5 {
		return // postage, fees and the like
	}
	p := productOf(l)
	p.Quantity = 1
	if len(s.shelf) < shelf {
		s.shelf = append(s.shelf, p)
		return
	}
	s.shelf[s.shelved%shelf] = p
	s.shelved++
}

func (s *Storefront) any(rng *rand.Rand) (product, bool) {
	if len(s.shelf) == 0 {
		return product{}, false
	}
	return s.shelf[rng.IntN(len(s.shelf))], true
}

// pick fills a cart from the shelf; nil while that is empty.
func (s *Storefront) pick(rng *rand.Rand, id string) *cart {
	c := &cart{id: "cart-" + id}
	for range 1 + rng.IntN(4) {
		p, ok := s.any(rng)
		if !ok {
			return nil
		}
		p.Quantity = 1 + rng.Int64N(8)
		c.items = append(c.items, p)
	}
	return c
}

// planReading plans what who does with a mail that came at t.
func (s *Storefront) planReading(who *shopper, m Mail) {
	who.mails++
	rng := draw(s.seed, "mail", who.id, strconv.Itoa(who.mails))
	if rng.Float64() >= 0.52 {
		return
	}
	at := m.At.Add(2*time.Minute + time.Duration(rng.ExpFloat64()*float64(50*time.Minute)))
	s.plan(&action{at: at, shopper: who, method: http.MethodGet, url: m.Open, kind: openHit})
	if m.Unsubscribe != "" && rng.Float64() < 0.03 {
		s.plan(&action{at: at.Add(30 * time.Second), shopper: who, method: http.MethodPost, url: m.Unsubscribe, kind: unsubscribeHit})
		return
	}
	if m.Click == "" || rng.Float64() >= 0.5 {
		return
	}
	at = at.Add(between(rng, 10*time.Second, 50*time.Second))
	s.plan(&action{at: at, shopper: who, method: http.MethodGet, url: m.Click, kind: clickHit})
	if c := who.cart; c != nil && rng.Float64() < 0.6 {
		s.planRecovery(who, c, at.Add(between(rng, time.Minute, 6*time.Minute)))
	}
}

// planRecovery plans the order of a cart that a mail brought back, unless the
// shopper has ordered or filled another one by then.
func (s *Storefront) planRecovery(who *shopper, c *cart, at time.Time) {
	var total int64
	for _, p := range c.items {
		total += p.micros * p.Quantity
	}
	number := RecoveredOrder + c.id
	order := s.say(who, at, "order-"+number, "Order Completed", map[string]any{
		"order_id": number, "cart_id": c.id, "total": decimal(total), "currency": currency, "products": c.items,
	})
	order.cart, order.emptied, order.recovers = c, true, true
}

// lineURL is a product's page, and behind # the line that sold it: what
// accounts for every line of the file.
func lineURL(l Line) string { return ShopURL + "/p/" + l.Stock + "#" + strconv.Itoa(l.Number) }

// items writes lines as NUMBER:PRODUCT:QUANTITY:PRICE, between spaces.
func items(lines []Line) string {
	var b strings.Builder
	for n, l := range lines {
		if n > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d:%s:%d:%s", l.Number, strings.ReplaceAll(l.Stock, " ", "_"), l.Quantity, decimal(l.PriceMicros))
	}
	return b.String()
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
