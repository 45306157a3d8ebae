package customer

import (
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	"segue/schemas"
)

// glance reads what most events are, as far as the fold uses them. That takes a
// fraction of what a whole event does. Whatever it is not sure to read as
// schemas.Decode would, it leaves to that.
type glance struct {
	// event, whose ids are parts of the record: who keeps one makes a copy.
	event schemas.Event
	// What event points to, in one piece of memory with it.
	at         timestamppb.Timestamp
	product    schemas.Product
	visit      schemas.Event_Visit
	view       schemas.Event_View
	viewed     schemas.View
	cart       schemas.Event_Cart
	changed    schemas.CartChange
	order      schemas.Event_Order
	ordered    schemas.Order
	engagement schemas.Event_Engagement
	engaged    schemas.Engagement
	named      schemas.Event_Named
	happened   schemas.Named
}

// read reports whether value is one of those, and in g.event now; else event is
// as it was.
func (g *glance) read(value []byte) bool {
	var id, user, occurred, body []byte
	bodyIs, ok := 0, true
	f := fields{in: value}
	for ok && f.next() {
		switch f.number {
		case 1:
			id, ok = f.bytes, f.text()
		case 2: // occurred_at
			ok = occurred == nil && f.message()
			occurred = f.bytes
		case 3: // received_at
			ok = f.message() && readInstant(f.bytes, new(timestamppb.Timestamp))
		case 5:
			user, ok = f.bytes, f.text()
		case 4, 6, 7: // customer, anonymous_id, source
			ok = f.text()
		default:
			ok = bodyIs == 0 && f.message()
			bodyIs, body = f.number, f.bytes
		}
	}
	if !ok || !f.whole() || occurred != nil && !readInstant(occurred, &g.at) || !g.body(bodyIs, body) {
		g.event.Body = nil
		return false
	}
	if occurred != nil {
		g.event.OccurredAt = &g.at
	}
	g.event.Id = unsafe.String(unsafe.SliceData(id), len(id))
	g.event.UserId = unsafe.String(unsafe.SliceData(user), len(user))
	return true
}

// body reads b, which the event has as that field.
func (g *glance) body(number int, b []byte) bool {
	switch number {
	case 11:
		g.event.Body = &g.visit
		return readVisit(b)
	case 12:
		g.view.View = &g.viewed
		g.event.Body = &g.view
		return g.readView(b)
	case 13:
		g.cart.Cart = &g.changed
		g.event.Body = &g.cart
		return g.readCart(b)
	case 14:
		g.order.Order = &g.ordered
		g.event.Body = &g.order
		return readOrder(b, &g.ordered)
	case 18:
		g.engagement.Engagement = &g.engaged
		g.event.Body = &g.engagement
		return readEngagement(b, &g.engaged)
	case 19:
		g.named.Named = &g.happened
		g.event.Body = &g.named
		return readNamed(b, &g.happened)
	}
	return false
}

func readInstant(b []byte, t *timestamppb.Timestamp) bool {
	f, ok := fields{in: b}, true
	for ok && f.next() {
		switch f.number {
		case 1:
			t.Seconds, ok = int64(f.value), f.varint()
		case 2:
			t.Nanos, ok = int32(f.value), f.varint()
		default:
			ok = false
		}
	}
	return ok && f.whole()
}

func readVisit(b []byte) bool {
	f, ok := fields{in: b}, true
	for ok && f.next() {
		ok = f.number <= 3 && f.text() // url, title, referrer
	}
	return ok && f.whole()
}

func (g *glance) readView(b []byte) bool {
	var category []byte
	f, ok := fields{in: b}, true
	for ok && f.next() {
		switch f.number {
		case 1:
			ok = g.viewed.Product == nil && f.message() && readSeen(f.bytes, &g.product)
			g.viewed.Product = &g.product
		case 2:
			category, ok = f.bytes, f.text()
		case 3: // currency
			ok = f.text()
		default:
			ok = false
		}
	}
	if g.product.Category == "" { // else the list's is not asked for
		g.viewed.Category = string(category)
	}
	return ok && f.whole()
}

// readSeen reads of a product what a view keeps.
func readSeen(b []byte, p *schemas.Product) bool {
	f, ok := fields{in: b}, true
	for ok && f.next() {
		switch f.number {
		case 1:
			ok = f.string(&p.Id)
		case 2: // nobody keeps it
			p.Name, ok = unsafe.String(unsafe.SliceData(f.bytes), len(f.bytes)), f.text()
		case 3:
			ok = f.string(&p.Category)
		case 4:
			p.PriceMicros, ok = int64(f.value), f.varint()
		case 5: // quantity
			ok = f.varint()
		case 6, 7: // url, image_url
			ok = f.text()
		default:
			ok = false
		}
	}
	return ok && f.whole()
}

func (g *glance) readCart(b []byte) bool {
	c := &g.changed
	f, ok := fields{in: b}, true
	for ok && f.next() {
		switch f.number {
		case 1:
			c.Change, ok = schemas.CartChange_Change(f.value), f.varint()
		case 2:
			ok = f.string(&c.CartId)
		case 3:
			ok = f.string(&c.Currency)
		case 4:
			ok = c.Product == nil && f.message() && readProduct(f.bytes, &g.product)
			c.Product = &g.product
		case 5:
			ok = f.message() && addProduct(f.bytes, &c.Products)
		case 6:
			ok = f.string(&c.Url)
		default:
			ok = false
		}
	}
	return ok && f.whole()
}

func readOrder(b []byte, o *schemas.Order) bool {
	f, ok := fields{in: b}, true
	for ok && f.next() {
		switch f.number {
		case 1:
			ok = f.string(&o.OrderId)
		case 2:
			ok = f.string(&o.CartId)
		case 3:
			ok = f.string(&o.Currency)
		case 4:
			o.TotalMicros, ok = int64(f.value), f.varint()
		case 5:
			ok = f.message() && addProduct(f.bytes, &o.Products)
		case 6:
			o.Free, ok = f.value != 0, f.varint()
		case 7:
			o.DiscountMicros, ok = int64(f.value), f.varint()
		case 8:
			ok = f.string(&o.Coupon)
		default:
			ok = false
		}
	}
	return ok && f.whole()
}

func addProduct(b []byte, all *[]*schemas.Product) bool {
	p := new(schemas.Product)
	*all = append(*all, p)
	return readProduct(b, p)
}

func readProduct(b []byte, p *schemas.Product) bool {
	f, ok := fields{in: b}, true
	for ok && f.next() {
		switch f.number {
		case 1:
			ok = f.string(&p.Id)
		case 2:
			ok = f.string(&p.Name)
		case 3:
			ok = f.string(&p.Category)
		case 4:
			p.PriceMicros, ok = int64(f.value), f.varint()
		case 5:
			p.Quantity, ok = int64(f.value), f.varint()
		case 6:
			ok = f.string(&p.Url)
		case 7:
			ok = f.string(&p.ImageUrl)
		default:
			ok = false
		}
	}
	return ok && f.whole()
}

func readEngagement(b []byte, e *schemas.Engagement) bool {
	f, ok := fields{in: b}, true
	for ok && f.next() {
		switch f.number {
		case 1:
			e.Kind, ok = schemas.Engagement_Kind(f.value), f.varint()
		case 2, 3, 4: // delivery_id, url, journey
			ok = f.text()
		case 5: // step
			ok = f.varint()
		case 6:
			ok = f.string(&e.Machine)
		case 7: // reason
			ok = f.text()
		default:
			ok = false
		}
	}
	return ok && f.whole()
}

func readNamed(b []byte, n *schemas.Named) bool {
	f, ok := fields{in: b}, true
	for ok && f.next() {
		switch f.number {
		case 1:
			ok = f.string(&n.Name)
		case 2: // properties
			ok = f.message() && readProperty(f.bytes)
		case 3:
			n.CheapestFirst, ok = f.value != 0, f.varint()
		default:
			ok = false
		}
	}
	return ok && f.whole()
}

func readProperty(b []byte) bool {
	f, ok := fields{in: b}, true
	for ok && f.next() {
		ok = f.number <= 2 && f.text()
	}
	return ok && f.whole()
}

// fields goes through those of a message.
type fields struct {
	in []byte
	at int
	// What it is at: a number, or the bytes of a text or of a message.
	number int
	kind   protowire.Type
	value  uint64
	bytes  []byte
}

// next is false behind the last one, and at one that is of another kind or cut
// short.
func (f *fields) next() bool {
	tag, n := varint(f.in[f.at:])
	if n <= 0 || tag < 8 {
		return false
	}
	at := f.at + n
	f.number, f.kind = int(tag>>3), protowire.Type(tag&7)
	x, n := varint(f.in[at:])
	if n <= 0 {
		return false
	}
	at += n
	switch f.kind {
	case protowire.VarintType:
		f.value, f.bytes, f.at = x, nil, at
		return true
	case protowire.BytesType:
		if x > uint64(len(f.in)-at) {
			return false
		}
		f.value, f.bytes, f.at = 0, f.in[at:at+int(x)], at+int(x)
		return true
	}
	return false
}

func varint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return protowire.ConsumeVarint(b)
}

// whole: all was gone through.
func (f *fields) whole() bool   { return f.at == len(f.in) }
func (f *fields) varint() bool  { return f.kind == protowire.VarintType }
func (f *fields) message() bool { return f.kind == protowire.BytesType }
func (f *fields) text() bool    { return f.kind == protowire.BytesType && utf8.Valid(f.bytes) }

func (f *fields) string(s *string) bool {
	*s = string(f.bytes)
	return f.text()
}
