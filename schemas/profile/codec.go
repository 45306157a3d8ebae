package profile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
	"unsafe"
)

// format is the first byte of an encoded profile. A field that is added later
// comes last in its list, behind a check of the format that first had it, so
// that every profile ever written decodes (testdata).
const format = 4

// ErrCorrupt is what Decode returns for bytes that Encode never wrote.
var ErrCorrupt = errors.New("corrupt profile")

// Encode appends p to dst. The same profile gives the same bytes.
func Encode(dst []byte, p *Profile) []byte {
	c := coder{format: format, out: dst[:cap(dst)], at: len(dst)}
	c.room(0)
	c.write(format)
	c.profile(p)
	return c.out[:c.at]
}

// Decode reads what Encode wrote. The profile's strings share one copy of b.
func Decode(b []byte) (*Profile, error) {
	p := new(Profile)
	if err := DecodeInto(p, b); err != nil {
		return nil, err
	}
	return p, nil
}

// DecodeInto is Decode into the memory of a profile that nobody needs any more.
// After an error there is nothing in it.
func DecodeInto(p *Profile, b []byte) (err error) {
	p.empty()
	if err = decode(p, b); err != nil {
		*p = Profile{}
	}
	return err
}

// empty leaves nothing in p but room for its lists.
func (p *Profile) empty() {
	*p = Profile{Names: room(p.Names), Traits: room(p.Traits), Bounced: room(p.Bounced), Orders: Orders{Recent: room(p.Orders.Recent)}, Carts: room(p.Carts),
		Views: Views{Recent: room(p.Views.Recent)}, Tickets: Tickets{Open: room(p.Tickets.Open)}, Named: room(p.Named),
		Segments: room(p.Segments), Runs: room(p.Runs), Mails: room(p.Mails), Series: room(p.Series), Seen: room(p.Seen),
		Scores: room(p.Scores), Standing: p.Standing.room()}
}

// room is the memory of s for another list. What is large goes: else all would
// become as large as the largest that there was.
func room[T any](s []T) []T {
	const most = 512 // bytes
	if cap(s)*int(unsafe.Sizeof(*new(T))) > most {
		return nil
	}
	return s[:0]
}

func decode(p *Profile, b []byte) error {
	if len(b) == 0 {
		return fmt.Errorf("%w: empty", ErrCorrupt)
	}
	if b[0] == 0 || b[0] > format {
		return fmt.Errorf("%w: got format %d, want at most %d", ErrCorrupt, b[0], format)
	}
	c := coder{format: b[0], decoding: true, in: string(b), at: 1}
	c.profile(p)
	switch {
	case c.at < len(c.in):
		c.fail(fmt.Sprintf("%d bytes too many", len(c.in)-c.at))
	case c.at > len(c.in):
		c.fail("number is cut short, or too long")
	}
	return c.err
}

// coder walks a profile in one order for both directions, so that what is
// written and what is read cannot drift apart. Instants are differences to the
// one before: most are near it.
//
// It steps by a number, not by slices that shrink or grow: a pointer that is
// stored costs a barrier whenever the garbage collector is at work.
type coder struct {
	format   byte
	decoding bool
	in       string // to read; texts are parts of it
	out      []byte // written up to at
	at       int    // read up to; behind the end once it was cut short
	last     int64  // instant
	err      error
}

func (c *coder) profile(p *Profile) {
	c.instant(&p.FirstSeen)
	c.instant(&p.LastSeen)
	c.text(&p.Customer)
	c.text(&p.RedirectTo)
	for i := range list(c, &p.Names) {
		c.text(&p.Names[i])
	}
	c.instant(&p.Forgotten)
	c.text(&p.Email)
	c.text(&p.FirstName)
	c.text(&p.LastName)
	c.text(&p.TimeZone)
	c.text(&p.Country)
	c.text(&p.Language)
	for i := range list(c, &p.Traits) {
		c.text(&p.Traits[i].Name)
		c.text(&p.Traits[i].Value)
	}
	c.consent(&p.Consent)
	c.instant(&p.ConsentAt)
	c.text(&p.Suppressed)
	for i := range list(c, &p.Bounced) {
		c.text(&p.Bounced[i])
	}
	c.flag(&p.Holdout)

	c.tally(&p.Orders.Tally)
	c.number(&p.Orders.ValueMicros)
	c.text(&p.Orders.Currency)
	for i := range lists(c, &p.Orders.Recent) {
		o := &p.Orders.Recent[i]
		if c.decoding {
			*o = Order{Items: room(o.Items)}
		}
		c.text(&o.ID)
		c.instant(&o.At)
		c.number(&o.ValueMicros)
		c.text(&o.Currency)
		c.flag(&o.Cancelled)
		c.items(&o.Items)
		if c.format >= 4 {
			c.flag(&o.Discounted)
		}
	}
	for i := range lists(c, &p.Carts) {
		k := &p.Carts[i]
		if c.decoding {
			*k = Cart{Items: room(k.Items), Done: room(k.Done)}
		}
		c.text(&k.ID)
		c.instant(&k.StartedAt)
		c.instant(&k.ChangedAt)
		c.instant(&k.WholeAt)
		c.text(&k.Currency)
		c.text(&k.URL)
		c.items(&k.Items)
		for i := range list(c, &k.Done) {
			c.text(&k.Done[i])
		}
	}
	c.tally(&p.Views.Tally)
	for i := range list(c, &p.Views.Recent) {
		v := &p.Views.Recent[i]
		c.instant(&v.At)
		c.text(&v.Product)
		c.text(&v.Category)
		c.number(&v.PriceMicros)
	}
	c.tally(&p.Visits)
	c.tally(&p.Sent)
	c.tally(&p.Opened)
	c.tally(&p.Clicked)
	c.tally(&p.Tickets.Tally)
	for i := range list(c, &p.Tickets.Open) {
		c.text(&p.Tickets.Open[i])
	}
	for i := range list(c, &p.Named) {
		c.text(&p.Named[i].Name)
		c.instant(&p.Named[i].At)
		if c.format >= 4 {
			c.flag(&p.Named[i].CheapestFirst)
		}
	}

	for i := range list(c, &p.Segments) {
		c.text(&p.Segments[i].Segment)
		c.instant(&p.Segments[i].Since)
	}
	for i := range list(c, &p.Runs) {
		r := &p.Runs[i]
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
	}
	for i := range list(c, &p.Mails) {
		c.text(&p.Mails[i].Delivery)
		c.instant(&p.Mails[i].At)
	}
	for i := range lists(c, &p.Series) {
		s := &p.Series[i]
		if c.decoding {
			*s = Series{Points: room(s.Points)}
		}
		c.hash(&s.Need)
		c.number(&s.Count)
		for i := range list(c, &s.Points) {
			x := &s.Points[i]
			c.instant(&x.At)
			c.number(&x.N)
			c.number(&x.Micros)
		}
	}
	for i := range list(c, &p.Seen) {
		c.hash(&p.Seen[i].Hash)
		c.instant(&p.Seen[i].At)
	}
	c.number(&p.SeenOverflow)
	c.text(&p.Playbook)
	c.instant(&p.Next)
	if c.format >= 2 {
		c.number(&p.MachineOpens)
		c.number(&p.MachineClicks)
		c.preferences(&p.Preferences)
		for i := range list(c, &p.SoftBounces) {
			c.instant(&p.SoftBounces[i])
		}
	}
	if c.format >= 3 {
		c.flag(&p.Known)
		c.flag(&p.RedirectTrusted)
		c.number(&p.RefusedLinks)
		c.rhythm(&p.OnSite)
		c.rhythm(&p.InMail)
		for i := range list(c, &p.Scores) {
			x := &p.Scores[i]
			c.number(&x.Of)
			c.number(&x.N)
			c.text(&x.S)
			c.instant(&x.At)
		}
		c.text(&p.Models)
	} else {
		p.Known = len(p.Names) > 0 || p.Email != "" && !isUUID(p.Customer)
		p.RedirectTrusted = p.RedirectTo != "" // what was one stays one
	}
	if c.format >= 4 {
		c.number(&p.Orders.Discounted)
	}
}

// isUUID reports whether a name looks like those that browsers draw for visitors;
// nobody guesses one.
func isUUID(name string) bool {
	return len(name) == 36 && name[8] == '-' && name[13] == '-' && name[18] == '-' && name[23] == '-'
}

// rhythm has its newest day in the lowest bit: most take few bytes.
func (c *coder) rhythm(r *Rhythm) {
	c.instant(&r.At)
	if r.At == 0 {
		return
	}
	for i := range r.Days {
		if c.decoding {
			r.Days[i], c.at = uvarint(c.in, c.at)
		} else {
			c.write(r.Days[i])
		}
	}
}

func (c *coder) preferences(v **Preferences) {
	chosen := *v != nil
	if c.flag(&chosen); !chosen {
		return
	}
	if c.decoding {
		*v = new(Preferences)
	}
	p := *v
	c.choice(&p.Choice)
	c.instant(&p.At)
	c.hash(&p.Last)
	c.choice(&p.Before)
	c.flag(&p.Unsubscribed)
	c.consent(&p.Consent)
}

func (c *coder) choice(x *Choice) {
	frequency := int64(x.Frequency)
	c.number(&frequency)
	if x.Frequency = Frequency(frequency); frequency < 0 || frequency > int64(Monthly) {
		c.fail("frequency is none of three")
	}
	for i := range list(c, &x.Stopped) {
		c.text(&x.Stopped[i])
	}
	c.instant(&x.PausedTo)
}

func (c *coder) consent(v *Consent) {
	consent := int64(*v)
	c.number(&consent)
	if *v = Consent(consent); consent < 0 || consent > int64(Unsubscribed) {
		c.fail("consent is none of three")
	}
}

func (c *coder) items(all *[]Item) {
	for i := range list(c, all) {
		x := &(*all)[i]
		c.text(&x.Product)
		c.text(&x.Name)
		c.text(&x.Category)
		c.text(&x.URL)
		c.text(&x.Image)
		c.number(&x.PriceMicros)
		c.number(&x.Quantity)
	}
}

func (c *coder) tally(t *Tally) {
	const none = "\x00\x00\x00" // what most customers have of most tallies, at once
	switch {
	case c.decoding && c.at+len(none) <= len(c.in) && c.in[c.at:c.at+len(none)] == none:
		c.at += len(none)
		return
	case !c.decoding && *t == (Tally{}):
		c.at += copy(c.out[c.at:], none)
		return
	}
	c.number(&t.Count)
	c.instant(&t.First)
	c.instant(&t.Last)
}

// fail notes the first thing that is wrong; nothing more is read.
func (c *coder) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s", ErrCorrupt, what)
	}
	c.at = len(c.in) + 1
}

// slack is more than the numbers between two texts or lists take.
const slack = 256

// room makes room for n bytes, and the slack that write counts on.
func (c *coder) room(n int) {
	if len(c.out)-c.at < n+slack {
		c.out = slices.Grow(c.out[:c.at], n+slack)
		c.out = c.out[:cap(c.out)]
	}
}

// write writes a number as encoding/binary does: seven bits a byte, the lowest
// first.
func (c *coder) write(x uint64) {
	for ; x >= 0x80; x >>= 7 {
		c.out[c.at] = byte(x) | 0x80
		c.at++
	}
	c.out[c.at] = byte(x)
	c.at++
}

// uvarint reads the number at a place, and returns the place behind it; behind the
// end, if there is none.
func uvarint(in string, at int) (uint64, int) {
	if at < len(in) && in[at] < 0x80 {
		return uint64(in[at]), at + 1
	}
	return longUvarint(in, at)
}

func longUvarint(in string, at int) (x uint64, next int) {
	for shift := 0; shift < 64 && at < len(in); shift += 7 {
		b := in[at]
		at++
		x |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if shift == 63 && b > 1 {
				break
			}
			return x, at
		}
	}
	return 0, len(in) + 1
}

func zigzag(x int64) uint64   { return uint64(x)<<1 ^ uint64(x>>63) }
func unzigzag(x uint64) int64 { return int64(x>>1) ^ -int64(x&1) }

func (c *coder) number(v *int64) {
	if c.decoding {
		var x uint64
		x, c.at = uvarint(c.in, c.at)
		*v = unzigzag(x)
	} else {
		c.write(zigzag(*v))
	}
}

func (c *coder) index(v *int) {
	x := int64(*v)
	c.number(&x)
	*v = int(x)
}

// instant keeps 0, never, apart from a difference of 0.
func (c *coder) instant(v *int64) {
	if c.decoding {
		var x uint64
		if x, c.at = uvarint(c.in, c.at); x == 0 {
			return
		}
		*v = c.last + unzigzag(x-1)
	} else {
		if *v == 0 {
			c.write(0)
			return
		}
		c.write(zigzag(*v-c.last) + 1)
	}
	if *v != 0 {
		c.last = *v
	}
}

func (c *coder) flag(v *bool) {
	x := uint64(0)
	if *v {
		x = 1
	}
	if !c.decoding {
		c.write(x)
		return
	}
	if x, c.at = uvarint(c.in, c.at); x > 1 {
		c.fail("flag is neither 0 nor 1")
	}
	*v = x == 1
}

func (c *coder) hash(v *uint64) {
	const size = 8
	if !c.decoding {
		c.room(size)
		binary.BigEndian.PutUint64(c.out[c.at:], *v)
		c.at += size
		return
	}
	if len(c.in)-c.at < size {
		c.fail("hash is cut short")
		return
	}
	b := c.in[c.at : c.at+size]
	*v = uint64(b[0])<<56 | uint64(b[1])<<48 | uint64(b[2])<<40 | uint64(b[3])<<32 | uint64(b[4])<<24 | uint64(b[5])<<16 | uint64(b[6])<<8 | uint64(b[7])
	c.at += size
}

func (c *coder) text(v *string) {
	if !c.decoding {
		c.room(len(*v))
		c.write(uint64(len(*v)))
		c.at += copy(c.out[c.at:], *v)
		return
	}
	n, at := uvarint(c.in, c.at)
	c.at = at
	if n == 0 {
		return
	}
	if n > uint64(len(c.in)-at) {
		c.fail("text is cut short")
		return
	}
	s := c.in[at : at+int(n)]
	if !utf8.ValidString(s) {
		c.fail("text is not UTF-8")
		return
	}
	*v = s
	c.at = at + int(n)
}

// list codes the length of s, and returns it; what is read has it afterwards, with
// nothing in the elements. Elements without a text have room to be written.
func list[T any](c *coder, s *[]T) int {
	n := lists(c, s)
	if c.decoding {
		clear(*s)
	}
	return n
}

// lists is list for elements that have lists themselves: they may lie in memory
// that is used again, and so may what is in them.
func lists[T any](c *coder, s *[]T) int {
	const most = 3 * binary.MaxVarintLen64 // bytes of such an element
	if !c.decoding {
		c.room(len(*s) * most)
		c.write(uint64(len(*s)))
		return len(*s)
	}
	*s = (*s)[:0]
	var n uint64
	n, c.at = uvarint(c.in, c.at)
	if n > uint64(len(c.in)-c.at) { // every element takes a byte or more
		c.fail("list is cut short")
		return 0
	}
	if n <= uint64(cap(*s)) {
		*s = (*s)[:n]
	} else {
		*s = make([]T, n)
	}
	return int(n)
}

// Size estimates what p takes in memory, in bytes: what a shop, or somebody who
// means it ill, fills with texts included.
func Size(p *Profile) int {
	const fixed, text, view, seen, run = 900, 16, 56, 16, 136
	n := fixed + len(p.Customer) + len(p.RedirectTo) + len(p.Email) + len(p.FirstName) + len(p.LastName)
	for i := range p.Orders.Recent {
		n += 96 + len(p.Orders.Recent[i].ID) + len(p.Orders.Recent[i].Currency) + sizeOf(p.Orders.Recent[i].Items)
	}
	for i := range p.Carts {
		n += 120 + len(p.Carts[i].ID) + len(p.Carts[i].URL) + sizeOf(p.Carts[i].Items)
	}
	for i := range p.Series {
		n += 48 + 24*cap(p.Series[i].Points)
	}
	for i := range p.Views.Recent {
		n += len(p.Views.Recent[i].Product) + len(p.Views.Recent[i].Category)
	}
	for i := range p.Traits {
		n += len(p.Traits[i].Name) + len(p.Traits[i].Value)
	}
	for i := range p.Named {
		n += len(p.Named[i].Name)
	}
	for _, name := range p.Names {
		n += len(name)
	}
	for _, address := range p.Bounced {
		n += text + len(address)
	}
	for _, id := range p.Tickets.Open {
		n += len(id)
	}
	n += 8*len(p.SoftBounces) + 40*cap(p.Scores)
	for i := range p.Scores {
		n += len(p.Scores[i].S)
	}
	if x := p.Preferences; x != nil {
		n += 128
		for _, stopped := range [][]string{x.Stopped, x.Before.Stopped} {
			for _, topic := range stopped {
				n += text + len(topic)
			}
		}
	}
	return n + 12*len(p.Standing.Levels) + 16*len(p.Standing.In) + view*cap(p.Views.Recent) + seen*cap(p.Seen) + run*cap(p.Runs) +
		(text+24)*(len(p.Traits)+len(p.Names)+len(p.Named)+len(p.Segments)+len(p.Mails)+len(p.Tickets.Open))
}

func sizeOf(items []Item) int {
	n := 120 * len(items)
	for i := range items {
		x := &items[i]
		n += len(x.Product) + len(x.Name) + len(x.Category) + len(x.URL) + len(x.Image)
	}
	return n
}
