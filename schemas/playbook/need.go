package playbook

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/cespare/xxhash/v2"

	"segue/schemas/profile"
)

// Kind is what a need counts.
type Kind uint8

const (
	Orders Kind = iota
	OrdersInCategory
	OrdersOfProduct
	Views
	ViewsInCategory
	ViewsOfProduct
	Visits
	Sent
	Opened
	Clicked
	Tickets
	Named
	OrdersWhere
	ViewsWhere
	Carted
	CartedInCategory
	CartedOfProduct
	CartedWhere
	kinds
)

// Need is a window that conditions ask for; a profile keeps a series for each.
type Need struct {
	// ID names kind, filter and window, the same in every playbook: an edited
	// playbook goes on with what is kept.
	ID     uint64
	Kind   Kind
	Filter string // a category in any case, a product, a name or a question about products; "" for all
	Window int64  // milliseconds; 0: since ever, and only a number is kept
	where  where
}

func (n Need) id() uint64 {
	b := append([]byte{byte(n.Kind)}, n.Filter...)
	return xxhash.Sum64(binary.BigEndian.AppendUint64(b, uint64(n.Window)))
}

// counts are the needs of each kind, by what they are narrowed to: a category, a
// product or a name.
func counts(needs []Need) (all [kinds]map[string][]int32) {
	for i, n := range needs {
		if all[n.Kind] == nil {
			all[n.Kind] = make(map[string][]int32)
		}
		all[n.Kind][n.narrowed()] = append(all[n.Kind][n.narrowed()], int32(i))
	}
	return all
}

func (n *Need) narrowed() string {
	switch n.Kind {
	case OrdersInCategory, ViewsInCategory, CartedInCategory:
		return anyCase(n.Filter)
	case ViewsOfProduct, CartedOfProduct, OrdersOfProduct, Named:
		return n.Filter
	case OrdersWhere, ViewsWhere, CartedWhere:
		return n.where.narrowed()
	}
	return ""
}

// anyCase is the same for texts that strings.EqualFold finds equal.
func anyCase(s string) string { return strings.Map(small, s) }

// small is the same for letters that differ in case alone.
func small(r rune) rune {
	if r < utf8.RuneSelf {
		return unicode.ToLower(r)
	}
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	if least < utf8.RuneSelf {
		return unicode.ToLower(least)
	}
	return least
}

// RecordOrder counts an order that was not known before.
func (pb *Playbook) RecordOrder(p *profile.Profile, o profile.Order, now int64) {
	if pb == nil {
		return
	}
	for i := range pb.Needs {
		if x, ok := pb.Needs[i].order(&o); ok {
			pb.count(p, int32(i), x, now)
		}
	}
}

// RecordCancelled takes back an order that was counted.
func (pb *Playbook) RecordCancelled(p *profile.Profile, o profile.Order, now int64) {
	if pb == nil {
		return
	}
	for i := range pb.Needs {
		n := &pb.Needs[i]
		if point, ok := n.order(&o); ok {
			if s := find(p, n.ID); s != nil {
				n.remove(s, point, now)
				noteCounted(p, int32(i))
			}
		}
	}
}

// RecordRevalued changes what a counted order is worth, by delta.
func (pb *Playbook) RecordRevalued(p *profile.Profile, o profile.Order, delta, now int64) {
	if pb == nil {
		return
	}
	for i := range pb.Needs {
		if n := &pb.Needs[i]; n.Kind == Orders {
			if s := find(p, n.ID); s != nil {
				n.revalue(s, o.At, delta, now)
				noteCounted(p, int32(i))
			}
		}
	}
}

// Merge counts for p what was counted for another, or, where nobody counted, what
// that one remembers.
func (pb *Playbook) Merge(p, from *profile.Profile, now int64) {
	if pb == nil {
		return
	}
	for i := range pb.Needs {
		n := &pb.Needs[i]
		counted := find(from, n.ID)
		if counted == nil {
			counted = new(profile.Series)
			n.recall(counted, from, now)
		}
		if counted.Count > 0 || len(counted.Points) > 0 {
			n.join(keep(p, n.ID), counted, now)
		}
	}
}

// RecordView counts a product or category seen. name is the product's.
func (pb *Playbook) RecordView(p *profile.Profile, v profile.View, name string, now int64) {
	product := Product{ID: v.Product, Name: name, Category: v.Category, PriceMicros: v.PriceMicros}
	pb.recordProduct(p, product, v.At, now, Views, ViewsInCategory, ViewsOfProduct, ViewsWhere)
}

// RecordCarted counts a product put in a cart.
func (pb *Playbook) RecordCarted(p *profile.Profile, x profile.Item, at, now int64) {
	pb.recordProduct(p, boughtProduct(&x), at, now, Carted, CartedInCategory, CartedOfProduct, CartedWhere)
}

// RecordNamed counts an event of the storefront's own.
func (pb *Playbook) RecordNamed(p *profile.Profile, e profile.Named, now int64) {
	pb.record(p, Named, e.Name, e.At, now)
}

// RecordVisit counts a page seen.
func (pb *Playbook) RecordVisit(p *profile.Profile, at, now int64) { pb.record(p, Visits, "", at, now) }

// RecordTicket counts a case with support.
func (pb *Playbook) RecordTicket(p *profile.Profile, at, now int64) {
	pb.record(p, Tickets, "", at, now)
}

// RecordSent counts a mail that went out.
func (pb *Playbook) RecordSent(p *profile.Profile, at, now int64) { pb.record(p, Sent, "", at, now) }

// RecordOpened counts a mail opened.
func (pb *Playbook) RecordOpened(p *profile.Profile, at, now int64) {
	pb.record(p, Opened, "", at, now)
}

// RecordClicked counts a click in a mail.
func (pb *Playbook) RecordClicked(p *profile.Profile, at, now int64) {
	pb.record(p, Clicked, "", at, now)
}

func (pb *Playbook) recordProduct(p *profile.Profile, x Product, at, now int64, all, inCategory, ofProduct, where Kind) {
	if pb == nil {
		return
	}
	pb.record(p, all, "", at, now)
	pb.record(p, inCategory, anyCase(x.Category), at, now)
	pb.record(p, ofProduct, x.ID, at, now)
	if pb.counts[where] == nil {
		return
	}
	asked := x // not x: it would always be garbage
	for _, narrowed := range [...]string{"", ofCategory + x.Category, ofID + x.ID} {
		for _, need := range pb.counts[where][narrowed] {
			if pb.Needs[need].where.accepts(&asked) {
				pb.count(p, need, profile.Point{At: at, N: 1}, now)
			}
		}
	}
}

// record counts what happened for the needs of a kind that are narrowed to it.
func (pb *Playbook) record(p *profile.Profile, kind Kind, narrowed string, at, now int64) {
	if pb == nil {
		return
	}
	for _, need := range pb.counts[kind][narrowed] {
		pb.count(p, need, profile.Point{At: at, N: 1}, now)
	}
}

// count adds a happening to the series of a need.
func (pb *Playbook) count(p *profile.Profile, need int32, x profile.Point, now int64) {
	n := &pb.Needs[need]
	n.add(keep(p, n.ID), x, now)
	noteCounted(p, need)
}

// noteCounted has what reads a need looked at again.
func noteCounted(p *profile.Profile, need int32) {
	if p.Standing.Known {
		p.Standing.Counted = append(p.Standing.Counted, need)
	}
}

func (n *Need) order(o *profile.Order) (profile.Point, bool) {
	if n.Kind == Orders {
		return profile.Point{At: o.At, N: 1, Micros: o.Counts()}, true
	}
	if n.Kind != OrdersInCategory && n.Kind != OrdersOfProduct && n.Kind != OrdersWhere {
		return profile.Point{}, false
	}
	for i := range o.Items {
		if n.product(boughtProduct(&o.Items[i]), Orders, OrdersInCategory, OrdersOfProduct, OrdersWhere) {
			return profile.Point{At: o.At, N: 1}, true
		}
	}
	return profile.Point{}, false
}

// product reports whether n, if it is of one of these kinds, counts p.
func (n *Need) product(p Product, all, inCategory, ofProduct, where Kind) bool {
	switch n.Kind {
	case all:
		return true
	case inCategory:
		return strings.EqualFold(p.Category, n.Filter)
	case ofProduct:
		return p.ID == n.Filter
	case where:
		return n.where.accepts(&p)
	}
	return false
}

// Keep fits p's series to the playbook: points that left their window go, and
// so do series that no condition reads any more. A new need starts with what is
// still remembered: views, orders and named events up to the number that a
// profile keeps, the last of the others.
func (pb *Playbook) Keep(p *profile.Profile, now int64) {
	p.Series = slices.DeleteFunc(p.Series, func(s profile.Series) bool {
		return !slices.ContainsFunc(pb.Needs, func(n Need) bool { return n.ID == s.Need })
	})
	for i := range pb.Needs { // sorted by ID, as series are
		n := &pb.Needs[i]
		at, found := place(p, n.ID)
		if found {
			n.expire(&p.Series[at], now)
			continue
		}
		s := profile.Series{Need: n.ID}
		n.recall(&s, p, now)
		if s.Count > 0 || len(s.Points) > 0 {
			p.Series = slices.Insert(p.Series, at, s)
		}
	}
}

// recall fills a new series with what p remembers.
func (n *Need) recall(s *profile.Series, p *profile.Profile, now int64) {
	var last int64
	switch n.Kind {
	case Orders, OrdersInCategory, OrdersOfProduct, OrdersWhere:
		for i := range p.Orders.Recent {
			if point, ok := n.order(&p.Orders.Recent[i]); ok && !p.Orders.Recent[i].Cancelled {
				n.add(s, point, now)
			}
		}
	case Views, ViewsInCategory, ViewsOfProduct, ViewsWhere:
		for _, v := range p.Views.Recent { // whose products' names are not remembered
			product := Product{ID: v.Product, Category: v.Category, PriceMicros: v.PriceMicros}
			if n.product(product, Views, ViewsInCategory, ViewsOfProduct, ViewsWhere) {
				n.add(s, profile.Point{At: v.At, N: 1}, now)
			}
		}
	case Named:
		for _, e := range p.Named {
			if e.Name == n.Filter {
				n.add(s, profile.Point{At: e.At, N: 1}, now)
			}
		}
	case Visits:
		last = p.Visits.Last
	case Sent:
		last = p.Sent.Last
	case Opened:
		last = p.Opened.Last
	case Clicked:
		last = p.Clicked.Last
	case Tickets:
		last = p.Tickets.Last
	}
	if last > 0 {
		n.add(s, profile.Point{At: last, N: 1}, now)
	}
}

// BytesPerCustomer is how much memory the windows of all conditions can take in
// one profile at most.
func (pb *Playbook) BytesPerCustomer() int {
	total := 0
	for _, n := range pb.Needs {
		total += int(unsafe.Sizeof(profile.Series{}))
		if n.Window > 0 {
			total += profile.MaxInstants * int(unsafe.Sizeof(profile.Point{}))
		}
	}
	return total
}
