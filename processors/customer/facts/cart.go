package facts

import (
	"cmp"
	"slices"

	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

func item(x *schemas.Product) profile.Item {
	return profile.Item{Product: text(x.GetId()), Name: text(x.GetName()), Category: text(x.GetCategory()), URL: url(x.GetUrl()), Image: url(x.GetImageUrl()),
		PriceMicros: x.GetPriceMicros(), Quantity: max(1, x.GetQuantity())}
}

func items(xs []*schemas.Product) []profile.Item {
	out := make([]profile.Item, 0, min(len(xs), profile.MaxItems))
	for _, x := range xs {
		out = add(out, item(x))
	}
	return out
}

// kept is what is remembered of an order's items.
func kept(xs []*schemas.Product) []profile.Item {
	out := items(xs[:min(len(xs), profile.MaxBought)])
	for i := range out {
		out[i].URL, out[i].Image = "", ""
	}
	return out
}

// cart brings a change of a cart in. Carts are told apart by their id; where
// the storefront gives none, a customer has one cart. The start of the cart is
// returned; 0 when none is open after all.
func (b book) cart(c *schemas.CartChange) int64 {
	p, id := b.p, text(c.GetCartId())
	p.OnSite.Add(b.at)
	at := b.find(id)
	if b.at <= p.Orders.Last && (at < 0 || id == "" || p.Carts[at].ID != id) {
		return 0 // it is of a cart that was ordered since
	}
	if at < 0 {
		if at = b.open(id); at < 0 {
			return 0
		}
	}
	k := &p.Carts[at]
	if k.ID == "" {
		k.ID = id
	}
	if c.GetCurrency() != "" {
		k.Currency = text(c.GetCurrency())
	}
	if shown := url(c.GetUrl()); shown != "" {
		k.URL = shown
	}
	k.ChangedAt = max(k.ChangedAt, b.at)
	switch c.GetChange() {
	case schemas.CartChange_ADDED:
		added := item(c.GetProduct())
		k.Items = add(k.Items, added)
		b.pb.RecordCarted(p, added, b.at, b.now)
	case schemas.CartChange_REMOVED:
		k.Items = remove(k.Items, item(c.GetProduct()))
	case schemas.CartChange_REPLACED:
		k.Items, k.WholeAt = items(c.GetProducts()), b.at
	case schemas.CartChange_CHECKOUT:
		if len(c.GetProducts()) > 0 {
			k.Items, k.WholeAt = items(c.GetProducts()), b.at
		}
	}
	if len(k.Items) == 0 {
		p.Carts = slices.Delete(p.Carts, at, at+1)
		return 0
	}
	return k.StartedAt
}

// find returns the open cart that a change with this id is about, or -1.
func (b book) find(id string) int {
	carts := b.p.Carts
	for i := len(carts) - 1; i >= 0; i-- {
		if id == "" || carts[i].ID == id {
			return i
		}
	}
	for i := len(carts) - 1; i >= 0; i-- { // its first changes may have come without an id
		if carts[i].ID == "" {
			return i
		}
	}
	return -1
}

// open starts a cart and returns its place; the oldest cart makes room. -1 when
// the new one is the oldest.
func (b book) open(id string) int {
	p, started := b.p, b.at
	for slices.ContainsFunc(p.Carts, func(k profile.Cart) bool { return k.StartedAt == started }) {
		started++ // a cart is named by its start
	}
	k := profile.Cart{ID: id, StartedAt: started, ChangedAt: b.at}
	p.Carts = insert(p.Carts, k, func(x profile.Cart) int64 { return x.StartedAt }, profile.MaxCarts)
	return slices.IndexFunc(p.Carts, func(k profile.Cart) bool { return k.StartedAt == started })
}

func add(items []profile.Item, x profile.Item) []profile.Item {
	if x.Product == "" {
		return items
	}
	for i := range items {
		if items[i].Product == x.Product {
			x.Quantity += items[i].Quantity
			items[i] = x
			return items
		}
	}
	if len(items) >= profile.MaxItems {
		return items
	}
	return append(items, x)
}

func remove(items []profile.Item, x profile.Item) []profile.Item {
	for i := range items {
		if items[i].Product == x.Product {
			if items[i].Quantity -= x.Quantity; items[i].Quantity <= 0 {
				return slices.Delete(items, i, i+1)
			}
			return items
		}
	}
	return items
}

// order brings a purchase in, or more of what is known of it: the id counts
// once. It closes its own cart and every cart not touched since; up to when is
// returned.
func (b book) order(o *schemas.Order) int64 {
	p := b.p
	bought := profile.Order{ID: text(o.GetOrderId()), At: b.at, ValueMicros: o.WorthMicros(), Items: kept(o.GetProducts()),
		Discounted: o.GetDiscountMicros() > 0 || o.GetCoupon() != ""}
	if o.GetCurrency() != "" && p.Orders.Currency == "" {
		p.Orders.Currency = text(o.GetCurrency())
	}
	if currency := text(o.GetCurrency()); currency != p.Orders.Currency {
		bought.Currency = currency
	}
	closes := b.at + ClockSkew
	if i := b.known(bought.ID); i >= 0 {
		was := &p.Orders.Recent[i]
		closes = was.At
		if !was.Cancelled {
			if o.GetCurrency() == "" { // it does not say: as before
				bought.Currency = was.Currency
			}
			b.revalue(was, bought.ValueMicros, bought.Currency)
			if len(bought.Items) > 0 {
				was.Items = bought.Items
			}
			if bought.Discounted && !was.Discounted {
				was.Discounted = true
				p.Orders.Discounted++
			}
		}
	} else {
		count(&p.Orders.Tally, b.at)
		p.Orders.ValueMicros += bought.Counts()
		p.Orders.Discounted += bought.Discount()
		p.Orders.Recent = insert(p.Orders.Recent, bought, func(x profile.Order) int64 { return x.At }, profile.MaxOrders)
		b.pb.RecordOrder(p, bought, b.now)
	}
	id := text(o.GetCartId())
	alone := id != "" && cartsApart(b.pb)
	p.Carts = slices.DeleteFunc(p.Carts, func(k profile.Cart) bool {
		if k.ID != "" && k.ID == id {
			return true
		}
		return k.ChangedAt <= closes && !(alone && k.ID != "")
	})
	return closes
}

// cartsApart reports whether the playbook says that an order of one cart leaves
// the customer's other carts open.
func cartsApart(pb *playbook.Playbook) bool {
	return pb != nil && slices.ContainsFunc(pb.Journeys, func(j playbook.Journey) bool { return j.Stop == playbook.OrderedCart })
}

func (b book) known(order string) int {
	if order == "" {
		return -1
	}
	return slices.IndexFunc(b.p.Orders.Recent, func(o profile.Order) bool { return o.ID == order })
}

// cancelOrder takes back an order, or a part of its value. One that is not
// remembered changes nothing: what it had added is not known.
func (b book) cancelOrder(c *schemas.OrderCancelled) {
	i := b.known(text(c.GetOrderId()))
	if i < 0 || b.p.Orders.Recent[i].Cancelled {
		return
	}
	o := &b.p.Orders.Recent[i]
	if part := c.GetTotalMicros(); part > 0 {
		in, of := text(c.GetCurrency()), cmp.Or(o.Currency, b.p.Orders.Currency)
		if in != "" && of != "" && in != of {
			return // how much of the order that is nobody can say
		}
		if part < o.ValueMicros {
			b.revalue(o, o.ValueMicros-part, o.Currency)
			return
		}
	}
	b.pb.RecordCancelled(b.p, *o, b.now)
	b.p.Orders.Count--
	b.p.Orders.ValueMicros -= o.Counts()
	b.p.Orders.Discounted -= o.Discount()
	o.Cancelled = true
}

// revalue changes what an order that was not cancelled is worth.
func (b book) revalue(o *profile.Order, micros int64, currency string) {
	before := o.Counts()
	o.ValueMicros, o.Currency = micros, currency
	b.p.Orders.ValueMicros += o.Counts() - before
	b.pb.RecordRevalued(b.p, *o, o.Counts()-before, b.now)
}

// Lapse closes the carts that nobody has touched for too long.
func Lapse(p *profile.Profile, now int64) {
	p.Carts = slices.DeleteFunc(p.Carts, func(k profile.Cart) bool { return k.ChangedAt+profile.CartLapse <= now })
}

// NextLapse is when the next cart lapses; 0: none is open.
func NextLapse(p *profile.Profile) int64 {
	next := int64(0)
	for i := range p.Carts {
		if at := p.Carts[i].ChangedAt + profile.CartLapse; next == 0 || at < next {
			next = at
		}
	}
	return next
}
