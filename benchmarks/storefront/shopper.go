package storefront

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// shopper is one customer: what the shop must remember to simulate them.
type shopper struct {
	id      string
	country string
	zone    *time.Location
	email   string
	first   string
	last    string
	// anonymous shoppers have no account, and what the shop knows of them is id.
	anonymous bool
	// met is when the account is made.
	met        time.Time
	subscribes bool
	visits     int
	cart       *cart
	orders     []bought // the last few, oldest first
	mails      int
}

// cart is what a shopper has put together and not bought.
type cart struct {
	id    string
	items []product
}

// bought says which order held which products, for the returns.
type bought struct {
	order  string
	stocks []uint64 // hashes, sorted
}

const rememberedOrders = 8

// friendOf goes before a customer's id and names somebody who is not in the
// file, and came along.
const friendOf = "friend-of-"

func newShopper(seed uint64, id, country string) *shopper {
	home, ok := homes[country]
	if !ok {
		home = homes["United Kingdom"]
	}
	rng := draw(seed, "shopper", id)
	s := &shopper{
		id: id, country: home.code, zone: mustZone(home.zone),
		first:      firstNames[rng.IntN(len(firstNames))],
		last:       lastNames[rng.IntN(len(lastNames))],
		subscribes: rng.Float64() < 0.88,
	}
	s.email = fmt.Sprintf("%s.%s.%s@mail.example", strings.ToLower(s.first), strings.ToLower(s.last), strings.Replace(id, friendOf, "f", 1))
	return s
}

// buys remembers what an order held.
func (s *shopper) buys(order string, lines []Line) {
	b := bought{order: order}
	for _, l := range lines {
		b.stocks = append(b.stocks, xxhash.Sum64String(l.Stock))
	}
	slices.Sort(b.stocks)
	if len(s.orders) == rememberedOrders {
		s.orders = slices.Delete(s.orders, 0, 1)
	}
	s.orders = append(s.orders, b)
}

// soldBy returns the latest remembered order that held stock; "" for none, as
// when it was sold before the file begins.
func (s *shopper) soldBy(stock string) string {
	hash := xxhash.Sum64String(stock)
	for i := len(s.orders) - 1; i >= 0; i-- {
		if _, held := slices.BinarySearch(s.orders[i].stocks, hash); held {
			return s.orders[i].order
		}
	}
	return ""
}

// draw returns the random numbers of one thing: the same for the same seed,
// whatever was drawn for others.
func draw(seed uint64, about ...string) *rand.Rand {
	return rand.New(rand.NewPCG(seed, xxhash.Sum64String(strings.Join(about, "\x00"))))
}

// between returns a duration in [low, high).
func between(rng *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(rng.Int64N(int64(high-low)))
}

// awake moves t to when somebody in zone is likely to shop: 8:00 to 22:00.
func awake(rng *rand.Rand, t time.Time, zone *time.Location) time.Time {
	local := t.In(zone)
	if h := local.Hour(); h >= 8 && h < 22 {
		return t
	}
	y, m, d := local.Date()
	return time.Date(y, m, d, 8+rng.IntN(14), rng.IntN(60), rng.IntN(60), 0, zone)
}
