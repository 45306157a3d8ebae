package segment

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"segue/schemas"
)

// track translates an event by its name.
func (c *call) track() []*schemas.Event {
	said := strings.TrimSpace(c.needed("the event's name", "event"))
	properties := c.object("properties")
	squeezed := squeeze(said)
	if reserved[squeezed] {
		c.wrong("event", said, "a name that Segue does not keep for itself")
	}
	e := c.event("")
	c.named = said
	if name, ok := known[squeezed]; ok {
		c.named = name
		translations[name](c, properties, e)
	} else {
		c.note("event", "Segue knows no such event: it counts by its name alone")
	}
	if e.Body == nil {
		e.Body = &schemas.Event_Named{Named: &schemas.Named{Name: c.named, Properties: properties.rest()}}
	}
	return []*schemas.Event{e}
}

// Fields by the names of V2, of V1, and of clients that write them together.
var (
	productID = []string{"product_id", "productId", "id", "sku"}
	orderID   = []string{"order_id", "orderId"}
	cartID    = []string{"cart_id", "cartId"}
	imageURL  = []string{"image_url", "imageUrl"}
	amount    = []string{"total", "revenue", "value"}
)

const usualCurrency = "amounts count in the customer's usual currency"

// product reads one product; its id is the shop's, or else the sku.
func (c *call) product(f fields) *schemas.Product {
	p := &schemas.Product{
		Id:   f.needed("product_id or sku", productID...),
		Name: f.text(maxText, "name"), Category: f.text(maxText, "category"),
		PriceMicros: f.money("price"), Quantity: f.count("quantity"),
		Url: f.webURL("url"), ImageUrl: f.webURL(imageURL...),
	}
	if p.PriceMicros > maxUnits*microsPerUnit/max(1, p.Quantity) {
		f.wrong("quantity", f.values["quantity"], "price × quantity "+wantLess)
	}
	return p
}

// shown notes what a mail about a product will lack.
func (f fields) shown() {
	f.lacks("the mail has no name for it", "name")
	f.lacks("the mail shows none, and it adds nothing to a cart's value", "price")
	f.lacks("the mail cannot lead there", "url")
	f.lacks("the mail shows no picture", imageURL...)
}

// products reads the list of that name, whose sum must fit as well. What it says
// there is none of is not in it.
func (c *call) products(f fields) (all []*schemas.Product, there bool) {
	list, there := f.list("products")
	var sum int64
	for _, x := range list {
		p := c.product(x)
		if sum += p.PriceMicros * max(1, p.Quantity); sum > maxUnits*microsPerUnit {
			f.wrong("products", plain("a larger sum"), wantLess)
			return nil, false
		}
		if x.none("quantity", p.Quantity) {
			x.note("quantity", "of a product that there is none of nothing is kept")
			continue
		}
		all = append(all, p)
	}
	return all, there
}

// none reports whether a field says 0, and is not merely absent.
func (f fields) none(name string, value int64) bool { return value == 0 && f.has(name) }

// webURL reads an address and makes it absolute, as a mail needs it. What cannot
// be is left out: a mail without a picture is better than one with a broken one.
func (f fields) webURL(names ...string) string {
	said := f.text(maxURL, names...)
	if said == "" {
		return ""
	}
	name, _ := f.first(names)
	absolute := f.call.absolute(strings.TrimSpace(said))
	switch {
	case absolute == "":
		f.note(name, "is no address of the web, and left out")
	case !f.call.receipt.mayLeadTo(absolute):
		f.note(name, "is none of the shop's hosts (collector.hosts), and left out: anybody could have said it")
		return ""
	}
	return absolute
}

// mayLeadTo reports whether a mail may lead to address: it would in the shop's name.
func (r *Receipt) mayLeadTo(address string) bool {
	if !r.Open || len(r.Hosts) == 0 {
		return true
	}
	u, err := url.Parse(address)
	return err == nil && slices.ContainsFunc(r.Hosts, func(host string) bool {
		got := strings.ToLower(u.Hostname())
		return got == host || strings.HasSuffix(got, "."+host)
	})
}

func (c *call) absolute(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	if !u.IsAbs() {
		page, _ := c.page.values["url"].(string)
		base, err := url.Parse(page)
		if u.Host != "" && (err != nil || base.Scheme == "") {
			base, err = &url.URL{Scheme: "https"}, nil // //cdn.example/mug.png
		}
		if err != nil {
			return ""
		}
		u = base.ResolveReference(u)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return ""
	}
	return u.String()
}

func (c *call) productViewed(f fields, e *schemas.Event) {
	e.Body = &schemas.Event_View{View: &schemas.View{Product: c.product(f), Currency: f.currency()}}
	f.lacks("it counts for no category", "category")
	f.lacks("what was seen has no price", "price")
}

// productListViewed is a category seen. A list that is none passes by its name.
func (c *call) productListViewed(f fields, e *schemas.Event) {
	if category := f.text(maxText, "category", "list_id"); category != "" {
		e.Body = &schemas.Event_View{View: &schemas.View{Category: category, Currency: f.currency()}}
		f.lacks("list_id stands for it", "category")
	} else {
		f.note("category", "it is no category seen, and counts by its name alone")
	}
}

func (c *call) cart(f fields, change schemas.CartChange_Change) *schemas.Event_Cart {
	f.lacks("carts are joined by customer", cartID...)
	return &schemas.Event_Cart{Cart: &schemas.CartChange{Change: change, CartId: f.id(cartID...),
		Currency: f.currency(), Url: f.webURL("cart_url")}}
}

func changed(change schemas.CartChange_Change) translate {
	return func(c *call, f fields, e *schemas.Event) {
		body := c.cart(f, change)
		body.Cart.Product = c.product(f)
		if f.none("quantity", body.Cart.Product.Quantity) {
			f.note("quantity", "nothing comes or goes: it counts by its name alone")
			return
		}
		e.Body = body
		f.lacks("one is meant", "quantity")
		if change == schemas.CartChange_ADDED {
			f.lacks(usualCurrency, "currency")
			f.shown()
		}
	}
}

// cartProducts are products that a mail will show.
func (c *call) cartProducts(f fields) (all []*schemas.Product, there bool) {
	list, _ := f.list("products")
	for _, x := range list {
		x.shown()
	}
	if len(list) > 0 {
		f.lacks(usualCurrency, "currency")
	}
	return c.products(f)
}

// cartViewed tells the whole cart; one without its products tells nothing of it.
func (c *call) cartViewed(f fields, e *schemas.Event) {
	products, there := c.cartProducts(f)
	if !there {
		f.note("products", "what lies in the cart stays as it was: it counts by its name alone")
		return
	}
	body := c.cart(f, schemas.CartChange_REPLACED)
	body.Cart.Products = products
	e.Body = body
}

func (c *call) checkout(f fields, e *schemas.Event) {
	body := c.cart(f, schemas.CartChange_CHECKOUT)
	body.Cart.Products, _ = c.cartProducts(f)
	if len(body.Cart.Products) == 0 {
		f.note("products", "what lies in the cart stays as it was")
	}
	e.Body = body
}

func (c *call) ordered(f fields, e *schemas.Event) {
	products, _ := c.products(f)
	total := f.money(amount...)
	e.Body = &schemas.Event_Order{Order: &schemas.Order{OrderId: f.needed("the order's id", orderID...), CartId: f.id(cartID...),
		Currency: f.currency(), TotalMicros: total, Free: total == 0 && f.has(amount...), Products: products}}
	c.discounted(f, e.GetOrder())
	f.lacks("it closes all that lay in a cart before it", cartID...)
	f.lacks(usualCurrency, "currency")
	switch {
	case f.has("total"):
	case f.has(amount...):
		f.note("total", "what is said instead may leave out tax and shipping")
	case len(products) > 0:
		f.note("total", "the sum of the products counts")
	default:
		f.note("total", "it is an order of no value")
	}
	if len(products) == 0 {
		f.note("products", "nobody knows what was bought")
	}
}

// discounted reads what was taken off an order's price; of its products, where the
// order itself does not say.
func (c *call) discounted(f fields, o *schemas.Order) {
	o.DiscountMicros, o.Coupon = f.discount(), f.coupon()
	said := f.has("discount") || f.has("coupon")
	list, _ := f.values["products"].([]any)
	var sum int64
	for i, x := range list {
		p := fields{call: c, path: fmt.Sprintf("%s[%d]", f.name("products"), i)}
		p.values, _ = x.(map[string]any)
		said = said || p.has("discount") || p.has("coupon")
		sum = min(sum+p.discount(), maxUnits*microsPerUnit)
		o.Coupon = cmp.Or(o.Coupon, p.coupon())
	}
	o.DiscountMicros = cmp.Or(o.DiscountMicros, sum)
	if !said {
		f.note("discount", "it counts as an order at full price")
	}
}

// discount reads an amount that was taken off, also one told as what it adds. One
// that is none is left out: the order counts all the same.
func (f fields) discount() int64 {
	_, value := f.first([]string{"discount"})
	if value == nil {
		return 0
	}
	micros, want := parseMicros(value)
	if want != "" {
		f.note("discount", "is no amount, and left out")
		return 0
	}
	return max(micros, -micros)
}

// coupon reads the one that was redeemed.
func (f fields) coupon() string {
	_, value := f.first([]string{"coupon"})
	said, ok := value.(string)
	switch {
	case value == nil || slices.Contains(slips, strings.ToLower(said)):
		return ""
	case !ok || len(said) > maxText:
		f.note("coupon", "is no name of one, and left out")
		return ""
	}
	return said
}

// productListFiltered passes by its name, and says whether it is in the order of
// prices.
func (c *call) productListFiltered(f fields, e *schemas.Event) {
	e.Body = &schemas.Event_Named{Named: &schemas.Named{Name: c.named, Properties: f.rest(), CheapestFirst: cheapestFirst(f.values["sorts"])}}
	f.lacks("nobody knows whether the cheapest came first", "sorts")
}

// rising are how storefronts say that the lowest comes first, squeezed.
var rising = []string{"asc", "ascending", "lowtohigh", "lowhigh", "lowesttohighest", "lowestfirst", "lowest", "cheapest", "cheapestfirst"}

// cheapestFirst reports whether sorts begins with prices that rise. It is what a
// shop makes up: whatever is not understood is no such order.
func cheapestFirst(sorts any) bool {
	if list, ok := sorts.([]any); ok && len(list) > 0 {
		sorts = list[0]
	}
	of, _ := sorts.(map[string]any)
	by, _ := of["type"].(string)
	order, _ := of["value"].(string)
	by, order = squeeze(by), strings.TrimPrefix(strings.TrimPrefix(squeeze(order), "price"), ":")
	return strings.HasSuffix(by, "price") && slices.Contains(rising, order)
}

// orderUpdated is the order as it is now: its id counts once. One that says
// neither what it costs nor what it holds leaves it as it was.
func (c *call) orderUpdated(f fields, e *schemas.Event) {
	if products, _ := f.list("products"); len(products) == 0 && !f.has(amount...) {
		f.note("total", "the order stays as it was: it counts by its name alone")
		return
	}
	c.ordered(f, e)
}

func orderDelivered(_ *call, f fields, _ *schemas.Event) {
	f.lacks("nobody knows which order", orderID...)
}

// orderCancelled takes all of an order back; the total that comes along is what
// the order was.
func (c *call) orderCancelled(f fields, e *schemas.Event) {
	e.Body = &schemas.Event_OrderCancelled{OrderCancelled: &schemas.OrderCancelled{
		OrderId: f.needed("the order's id", orderID...), Currency: f.currency()}}
}

// orderRefunded takes back the total, or what the products cost, or else all.
func (c *call) orderRefunded(f fields, e *schemas.Event) {
	order, currency, total := f.needed("the order's id", orderID...), f.currency(), f.money(amount...)
	products, _ := c.products(f)
	switch {
	case total > 0:
	case f.has(amount...):
		f.note("total", "a refund of nothing changes nothing: it counts by its name alone")
		return
	case len(products) > 0:
		for _, p := range products {
			if p.GetPriceMicros() == 0 {
				f.note("products", "nobody knows what was paid back: it counts by its name alone")
				return
			}
			total += p.GetPriceMicros() * max(1, p.GetQuantity())
		}
		f.note("total", "what the products cost is paid back")
	default:
		f.note("total", "all of the order is paid back")
	}
	e.Body = &schemas.Event_OrderCancelled{OrderCancelled: &schemas.OrderCancelled{OrderId: order, Currency: currency, TotalMicros: total}}
}

// engaged is of a mail that another tool sent: it names none of our deliveries.
func engaged(kind schemas.Engagement_Kind) translate {
	return func(_ *call, f fields, e *schemas.Event) {
		e.Body = &schemas.Event_Engagement{Engagement: &schemas.Engagement{Kind: kind, Url: f.text(maxURL, "link_url")}}
	}
}

// rejected is of a mail that another tool sent. Ours may not follow it, for good:
// by an open key anybody could stop the mail of everybody.
func rejected(spam bool) translate {
	return func(c *call, f fields, e *schemas.Event) {
		if c.receipt.Open {
			c.note("event", "an open key cannot stop mail for good: it counts by its name alone, unless the key has a signing secret")
			return
		}
		e.Body = &schemas.Event_Rejection{Rejection: &schemas.Rejection{Spam: spam, Address: f.email()}}
		if !spam {
			f.lacks("it is the customer's present address that no mail goes to", "email")
		}
	}
}

func subscribed(yes bool) translate {
	return func(_ *call, f fields, e *schemas.Event) {
		e.Body = &schemas.Event_Subscription{Subscription: &schemas.Subscription{Subscribed: yes}}
		if f.has("list_id", "list_name") {
			f.note("list_id", "Segue keeps no lists: it holds for all mail")
		}
	}
}

func ticket(closed bool) translate {
	return func(_ *call, f fields, e *schemas.Event) {
		e.Body = &schemas.Event_Ticket{Ticket: &schemas.Ticket{Closed: closed,
			TicketId: f.id("ticket_id", "ticketId"), Subject: f.text(maxText, "subject")}}
		f.lacks("nobody knows which ticket is closed", "ticket_id", "ticketId")
	}
}
