package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"segue/cmd/segue/table"
	"segue/schemas"
)

// orderColumns are those of a table of orders, or of their lines.
type orderColumns struct {
	customer, date, amount, order, product, quantity, price string
	guests                                                  bool
	// given says whether a flag was: a column of another name need not be there.
	given func(flag string) bool
}

func (c *orderColumns) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&c.customer, "customer", "customer", "`COLUMN` of the customer, of orders")
	flags.StringVar(&c.date, "date", "date", "`COLUMN` of the date or time, in ISO 8601")
	flags.StringVar(&c.amount, "amount", "amount", "`COLUMN` of the amount; without it price times quantity, or no money")
	flags.StringVar(&c.order, "order", "order", "`COLUMN` of the order's number, if there is one")
	flags.StringVar(&c.product, "product", "product", "`COLUMN` of the product, if there is one")
	flags.StringVar(&c.quantity, "quantity", "quantity", "`COLUMN` of how many, if there is one")
	flags.StringVar(&c.price, "price", "price", "`COLUMN` of the price of one, if there is one")
	flags.BoolVar(&c.guests, "skip-guests", false, "leave rows without a customer out; they are an error else")
}

// mostMoney is what an amount is below.
const mostMoney = 1e12

// orderLine is a row.
type orderLine struct {
	customer, order, product string
	at                       time.Time
	amount, quantity, price  float64
}

// orderOf is what tells an order from others.
type orderOf struct {
	customer, number string
	at               int64
}

// sum is an order as its rows make it.
type sum struct {
	orderOf
	amount   float64
	sold     bool // there is a row that is not money back
	products []*schemas.Product
}

// orderBook makes orders of rows.
type orderBook struct {
	all   []*sum
	known map[orderOf]*sum
}

func (b *orderBook) add(l orderLine) {
	key := orderOf{l.customer, l.order, 0}
	at := wallClock(l.at)
	if l.order == "" {
		key.at = at
	}
	o := b.known[key]
	if o == nil {
		if b.known == nil {
			b.known = map[orderOf]*sum{}
		}
		o = &sum{orderOf: orderOf{l.customer, l.order, at}}
		b.known[key] = o
		b.all = append(b.all, o)
	}
	o.at = min(o.at, at)
	o.amount += l.amount
	if l.amount < 0 || l.quantity < 0 {
		return
	}
	o.sold = true
	if l.product != "" {
		o.products = append(o.products, &schemas.Product{Id: l.product, PriceMicros: micros(l.price), Quantity: int64(min(max(1, l.quantity), 1e6))})
	}
}

// history has an event of each order. alone is how often money went back on a day
// without one, which is left out.
func (b *orderBook) history() (h *storeHistory, alone int) {
	day := func(o *sum) orderOf { return orderOf{o.customer, "", o.at / (24 * time.Hour).Milliseconds()} }
	onDay := map[orderOf]*sum{}
	for _, o := range b.all {
		if o.sold && onDay[day(o)] == nil {
			onDay[day(o)] = o
		}
	}
	for _, o := range b.all {
		switch of := onDay[day(o)]; {
		case o.sold:
		case of == nil:
			alone++
		default:
			of.amount += o.amount
		}
	}
	h = new(storeHistory)
	for _, o := range b.all {
		if o.sold {
			total := micros(max(0, o.amount))
			h.events = append(h.events, storeEvent{o.at, o.customer, &schemas.Event{Body: &schemas.Event_Order{
				Order: &schemas.Order{TotalMicros: total, Free: total == 0, Products: o.products}}}})
		}
	}
	h.sort()
	return h, alone
}

// read makes an event of each order, and says what was left out.
func (c *orderColumns) read(path string, in io.Reader) (*storeHistory, []string, error) {
	var book orderBook
	guests, err := c.lines(path, in, book.add)
	if err != nil {
		return nil, nil, err
	}
	h, alone := book.history()
	var said []string
	if guests > 0 {
		said = append(said, fmt.Sprintf("left out: %s without a customer", counted(guests, "row", "rows")))
	}
	if alone > 0 {
		said = append(said, fmt.Sprintf("left out: %s on a day without an order", counted(alone, "time that money went back", "times that money went back")))
	}
	return h, said, nil
}

func micros(amount float64) int64 { return int64(math.Round(amount * 1e6)) }

// wallClock is an instant as the file's own calendar has it, in milliseconds.
func wallClock(at time.Time) int64 {
	_, offset := at.Zone()
	return at.UnixMilli() + int64(offset)*1000
}

// lines reads the rows.
func (c *orderColumns) lines(path string, in io.Reader, line func(orderLine)) (guests int, err error) {
	file, err := table.Open(path, in)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	names := []string{c.customer, c.date}
	optional := func(flag, name string) int {
		if !c.given(flag) && !file.Has(name) {
			return -1
		}
		names = append(names, name)
		return len(names) - 1
	}
	amount, order, product := optional("amount", c.amount), optional("order", c.order), optional("product", c.product)
	quantity, price := optional("quantity", c.quantity), optional("price", c.price)
	columns, err := file.Columns(names...)
	if err != nil {
		return 0, err
	}
	for row, err := range file.Rows() {
		if err != nil {
			return 0, err
		}
		text := func(column int) string {
			if column < 0 {
				return ""
			}
			return strings.Clone(strings.TrimSpace(row.Text(columns[column]))) // else its line is kept whole
		}
		number := func(column int, otherwise float64) (float64, error) {
			if column < 0 {
				return otherwise, nil
			}
			n, err := row.Number(columns[column])
			if err == nil && math.Abs(n) >= mostMoney {
				err = row.Wrong(columns[column], "a number below 1e12")
			}
			return n, err
		}
		l := orderLine{customer: text(0), order: text(order), product: text(product)}
		if l.customer == "" {
			if c.guests {
				guests++
				continue
			}
			return 0, row.Wrong(columns[0], "a customer, or --skip-guests")
		}
		if l.at, err = row.Time(columns[1]); err != nil {
			return 0, err
		}
		if wallClock(l.at) <= 0 {
			return 0, row.Wrong(columns[1], "a date after 1970")
		}
		if l.quantity, err = number(quantity, 1); err != nil {
			return 0, err
		}
		if l.price, err = number(price, 0); err != nil {
			return 0, err
		}
		if l.amount, err = number(amount, l.price*l.quantity); err != nil {
			return 0, err
		}
		if price < 0 && l.quantity > 0 && l.amount > 0 {
			l.price = l.amount / l.quantity
		}
		line(l)
	}
	return guests, nil
}
