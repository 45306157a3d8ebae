package profile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// format is the first byte of an encoded profile. A field that is added later
// comes last in its list, behind a check of the format that first had it, so
// that every profile ever written decodes (testdata).
const format = 1

// ErrCorrupt is what Decode returns for bytes that Encode never wrote.
var ErrCorrupt = errors.New("corrupt profile")

// Encode appends p to dst. The same profile gives the same bytes.
func Encode(dst []byte, p *Profile) []byte {
	c := coder{out: append(dst, format)}
	c.profile(p)
	return c.out
}

// Decode reads what Encode wrote. The profile's strings share one copy of b.
func Decode(b []byte) (*Profile, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: empty", ErrCorrupt)
	}
	if b[0] != format {
		return nil, fmt.Errorf("%w: got format %d, want %d", ErrCorrupt, b[0], format)
	}
	c := coder{in: string(b[1:]), raw: b[1:], decoding: true}
	p := new(Profile)
	c.profile(p)
	if c.err == nil && len(c.raw) > 0 {
		c.err = fmt.Errorf("%w: %d bytes too many", ErrCorrupt, len(c.raw))
	}
	if c.err != nil {
		return nil, c.err
	}
	return p, nil
}

// coder walks a profile in one order for both directions, so that what is
// written and what is read cannot drift apart. Instants are differences to the
// one before: most are near it.
type coder struct {
	decoding bool
	out      []byte
	raw      []byte // what is left to read
	in       string // the same bytes, of which strings are parts
	last     int64
	err      error
}

func (c *coder) profile(p *Profile) {
	c.instant(&p.FirstSeen)
	c.instant(&p.LastSeen)
	c.text(&p.Customer)
	c.text(&p.RedirectTo)
	c.text(&p.Email)
	c.text(&p.FirstName)
	c.text(&p.LastName)
	c.text(&p.TimeZone)
	c.text(&p.Country)
	c.text(&p.Language)
	list(c, &p.Traits, func(c *coder, t *Trait) { c.text(&t.Name); c.text(&t.Value) })
	consent := int64(p.Consent)
	c.number(&consent)
	if p.Consent = Consent(consent); consent < 0 || p.Consent > Unsubscribed {
		c.fail("consent is none of three")
	}
	c.instant(&p.ConsentAt)
	c.text(&p.Suppressed)
	c.flag(&p.Holdout)

	c.tally(&p.Orders.Tally)
	c.number(&p.Orders.ValueMicros)
	c.text(&p.Orders.Currency)
	list(c, &p.Orders.Recent, func(c *coder, o *Order) {
		c.text(&o.ID)
		c.instant(&o.At)
		c.number(&o.ValueMicros)
		c.flag(&o.Cancelled)
		list(c, &o.Items, (*coder).item)
	})
	list(c, &p.Carts, func(c *coder, k *Cart) {
		c.text(&k.ID)
		c.instant(&k.StartedAt)
		c.instant(&k.ChangedAt)
		c.text(&k.Currency)
		c.text(&k.URL)
		list(c, &k.Items, (*coder).item)
		list(c, &k.Done, (*coder).text)
	})
	c.tally(&p.Views.Tally)
	list(c, &p.Views.Recent, func(c *coder, v *View) {
		c.instant(&v.At)
		c.text(&v.Product)
		c.text(&v.Category)
		c.number(&v.PriceMicros)
	})
	c.tally(&p.Visits)
	c.tally(&p.Sent)
	c.tally(&p.Opened)
	c.tally(&p.Clicked)
	c.tally(&p.Tickets.Tally)
	list(c, &p.Tickets.Open, (*coder).text)
	list(c, &p.Named, func(c *coder, n *Named) { c.text(&n.Name); c.instant(&n.At) })

	list(c, &p.Segments, func(c *coder, m *Membership) { c.text(&m.Segment); c.instant(&m.Since) })
	list(c, &p.Runs, func(c *coder, r *Run) {
		c.text(&r.Journey)
		c.text(&r.Instance)
		c.text(&r.Cart)
		c.instant(&r.From)
		c.index(&r.Step)
		c.instant(&r.Due)
		c.instant(&r.HeldTo)
		c.text(&r.Delivery)
		c.index(&r.DeliveryStep)
		c.instant(&r.DeliveryDue)
		c.flag(&r.Again)
	})
	list(c, &p.Mails, func(c *coder, m *Mail) { c.text(&m.Delivery); c.instant(&m.At) })
	list(c, &p.Series, func(c *coder, s *Series) {
		c.hash(&s.Need)
		c.number(&s.Count)
		list(c, &s.Points, func(c *coder, x *Point) { c.instant(&x.At); c.number(&x.N); c.number(&x.Micros) })
	})
	list(c, &p.Seen, func(c *coder, s *Seen) { c.hash(&s.Hash); c.instant(&s.At) })
	c.number(&p.SeenOverflow)
	c.text(&p.Playbook)
	c.instant(&p.Next)
}

func (c *coder) item(i *Item) {
	c.text(&i.Product)
	c.text(&i.Name)
	c.text(&i.Category)
	c.text(&i.URL)
	c.text(&i.Image)
	c.number(&i.PriceMicros)
	c.number(&i.Quantity)
}

func (c *coder) tally(t *Tally) {
	c.number(&t.Count)
	c.instant(&t.First)
	c.instant(&t.Last)
}

func (c *coder) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s, %d bytes before the end", ErrCorrupt, what, len(c.raw))
	}
	c.raw, c.in = nil, ""
}

func (c *coder) skip(n int) { c.raw, c.in = c.raw[n:], c.in[n:] }

func (c *coder) unsigned(v *uint64) {
	if !c.decoding {
		c.out = binary.AppendUvarint(c.out, *v)
		return
	}
	x, n := binary.Uvarint(c.raw)
	if n <= 0 {
		c.fail("number is cut short")
		return
	}
	c.skip(n)
	*v = x
}

func (c *coder) number(v *int64) {
	x := uint64(*v)<<1 ^ uint64(*v>>63)
	c.unsigned(&x)
	*v = int64(x>>1) ^ -int64(x&1)
}

func (c *coder) index(v *int) {
	x := int64(*v)
	c.number(&x)
	*v = int(x)
}

// instant keeps 0, never, apart from a difference of 0.
func (c *coder) instant(v *int64) {
	var x uint64
	if d := *v - c.last; *v != 0 {
		x = (uint64(d)<<1 ^ uint64(d>>63)) + 1
	}
	c.unsigned(&x)
	if c.decoding {
		*v = 0
		if x != 0 {
			x--
			*v = c.last + (int64(x>>1) ^ -int64(x&1))
		}
	}
	if *v != 0 {
		c.last = *v
	}
}

func (c *coder) flag(v *bool) {
	var x uint64
	if *v {
		x = 1
	}
	c.unsigned(&x)
	if x > 1 {
		c.fail("flag is neither 0 nor 1")
	}
	*v = x == 1
}

func (c *coder) hash(v *uint64) {
	if !c.decoding {
		c.out = binary.BigEndian.AppendUint64(c.out, *v)
		return
	}
	if len(c.raw) < 8 {
		c.fail("hash is cut short")
		return
	}
	*v = binary.BigEndian.Uint64(c.raw)
	c.skip(8)
}

func (c *coder) text(v *string) {
	n := uint64(len(*v))
	c.unsigned(&n)
	if !c.decoding {
		c.out = append(c.out, *v...)
		return
	}
	if n > uint64(len(c.raw)) {
		c.fail("text is cut short")
		return
	}
	*v = c.in[:n]
	if !utf8.ValidString(*v) {
		c.fail("text is not UTF-8")
		return
	}
	c.skip(int(n))
}

func list[T any](c *coder, s *[]T, each func(*coder, *T)) {
	n := uint64(len(*s))
	c.unsigned(&n)
	if c.decoding {
		if n > uint64(len(c.raw)) { // every element takes a byte or more
			c.fail("list is cut short")
			return
		}
		if n > 0 {
			*s = make([]T, n)
		}
	}
	for i := range *s {
		each(c, &(*s)[i])
	}
}

// Size estimates what p takes in memory, in bytes: what a shop, or somebody who
// means it ill, fills with texts included.
func Size(p *Profile) int {
	const fixed, text, view, seen, run = 900, 16, 56, 16, 136
	n := fixed + len(p.Customer) + len(p.RedirectTo) + len(p.Email) + len(p.FirstName) + len(p.LastName)
	for i := range p.Orders.Recent {
		n += 80 + len(p.Orders.Recent[i].ID) + sizeOf(p.Orders.Recent[i].Items)
	}
	for i := range p.Carts {
		n += 96 + len(p.Carts[i].ID) + len(p.Carts[i].URL) + sizeOf(p.Carts[i].Items)
	}
	for i := range p.Series {
		n += 48 + 24*len(p.Series[i].Points)
	}
	for i := range p.Views.Recent {
		n += view + len(p.Views.Recent[i].Product) + len(p.Views.Recent[i].Category)
	}
	for i := range p.Traits {
		n += len(p.Traits[i].Name) + len(p.Traits[i].Value)
	}
	for i := range p.Named {
		n += len(p.Named[i].Name)
	}
	for _, id := range p.Tickets.Open {
		n += len(id)
	}
	return n + seen*len(p.Seen) + run*len(p.Runs) +
		(text+24)*(len(p.Traits)+len(p.Named)+len(p.Segments)+len(p.Mails)+len(p.Tickets.Open))
}

func sizeOf(items []Item) int {
	n := 120 * len(items)
	for i := range items {
		x := &items[i]
		n += len(x.Product) + len(x.Name) + len(x.Category) + len(x.URL) + len(x.Image)
	}
	return n
}
