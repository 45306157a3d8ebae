package customer

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	"segue/schemas"
)

// glance reads views and visits, which most events are, as far as the fold uses
// them. That takes a fraction of what a whole event does. Whatever it is not sure
// to read as schemas.Decode would, it leaves to that.
type glance struct {
	event schemas.Event
	// What event points to, in one piece of memory with it.
	at      timestamppb.Timestamp
	visit   schemas.Event_Visit
	view    schemas.Event_View
	viewed  schemas.View
	product schemas.Product
}

// read reports whether value is a view or a visit, and in g.event now; else
// event is as it was.
func (g *glance) read(value []byte) bool {
	var id, occurred, body field
	ok := each(value, func(f field) bool {
		switch f.number {
		case 1:
			id = f
			return f.text()
		case 2: // occurred_at
			again := occurred.number != 0
			occurred = f
			return !again && f.message(g.instant)
		case 3: // received_at
			return f.message(func(f field) bool { return f.number <= 2 && f.kind == protowire.VarintType })
		case 4, 5, 6, 7: // customer, user_id, anonymous_id, source
			return f.text()
		case 11: // visit: url, title, referrer
			again := body.number != 0
			body = f
			return !again && f.message(func(f field) bool { return f.number <= 3 && f.text() })
		case 12: // view
			again := body.number != 0
			body = f
			return !again && f.message(g.look)
		}
		return false
	})
	if !ok || body.number == 0 {
		return false
	}
	if body.number == 11 {
		g.event.Body = &g.visit
	} else {
		g.view.View = &g.viewed
		g.event.Body = &g.view
	}
	if occurred.number != 0 {
		g.event.OccurredAt = &g.at
	}
	g.event.Id = string(id.bytes)
	return true
}

func (g *glance) instant(f field) bool {
	switch f.number {
	case 1:
		g.at.Seconds = int64(f.value)
	case 2:
		g.at.Nanos = int32(f.value)
	default:
		return false
	}
	return f.kind == protowire.VarintType
}

func (g *glance) look(f field) bool {
	switch f.number {
	case 1: // product
		again := g.viewed.Product != nil
		g.viewed.Product = &g.product
		return !again && f.message(g.shown)
	case 2:
		g.viewed.Category = string(f.bytes)
	case 3: // currency
	default:
		return false
	}
	return f.text()
}

func (g *glance) shown(f field) bool {
	switch f.number {
	case 1:
		g.product.Id = string(f.bytes)
	case 2, 6, 7: // name, url, image_url
	case 3:
		g.product.Category = string(f.bytes)
	case 4:
		g.product.PriceMicros = int64(f.value)
		return f.kind == protowire.VarintType
	case 5: // quantity
		return f.kind == protowire.VarintType
	default:
		return false
	}
	return f.text()
}

// field of a message: a number, or the bytes of a text or of a message.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64
	bytes  []byte
}

func (f field) text() bool { return f.kind == protowire.BytesType && utf8.Valid(f.bytes) }

func (f field) message(take func(field) bool) bool {
	return f.kind == protowire.BytesType && each(f.bytes, take)
}

// each hands the fields of a message over; false when one is not taken, or of
// another kind, or cut short.
func each(b []byte, take func(field) bool) bool {
	for len(b) > 0 {
		var f field
		var n int
		if f.number, f.kind, n = protowire.ConsumeTag(b); n < 0 {
			return false
		}
		b = b[n:]
		switch f.kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			return false
		}
		if n < 0 || !take(f) {
			return false
		}
		b = b[n:]
	}
	return true
}
