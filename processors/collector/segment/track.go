package segment

import (
	"net/url"
	"strings"

	"segue/schemas"
)

// translations are the events that mean something to every shop, by their name
// in lower case; any other passes under its own name.
var translations = map[string]func(*call, fields, *schemas.Event){
	"product viewed":          (*call).productViewed,
	"product list viewed":     (*call).productListViewed,
	"product added":           changed(schemas.CartChange_ADDED),
	"product removed":         changed(schemas.CartChange_REMOVED),
	"cart viewed":             (*call).cartViewed,
	"checkout started":        (*call).checkout,
	"checkout step viewed":    (*call).checkout,
	"checkout step completed": (*call).checkout,
	"payment info entered":    (*call).checkout,
	"order completed":         (*call).ordered,
	"order updated":           (*call).ordered, // the order as it is now: its id counts once
	"order cancelled":         (*call).orderCancelled,
	"order refunded":          (*call).orderRefunded,
	"email opened":            engaged(schemas.Engagement_OPENED),
	"email link clicked":      engaged(schemas.Engagement_CLICKED),
	"subscribed":              subscribed(true),
	"unsubscribed":            subscribed(false),
	"email marked as spam":    subscribed(false), // a plainer word for the same wish
	"ticket opened":           ticket(false),
	"ticket closed":           ticket(true),
}

// reserved are the names of what Segue itself writes: nobody outside may seem
// to have sent a mail, or to have put a playbook in force.
var reserved = map[string]bool{
	"sent": true, "failed": true, "stale": true, "cancelled": true, "in-doubt": true, "skipped": true, "held": true,
	"bounced": true, "complained": true, "opened": true, "clicked": true,
	"link": true, "merge": true, "forget": true, "tick": true, "playbook": true, "skip": true, "models": true, "campaign": true,
}

// track translates an event by its name.
func (c *call) track() []*schemas.Event {
	name := c.needed("the event's name", "event")
	properties := c.object("properties")
	folded := strings.ToLower(strings.TrimSpace(name))
	if reserved[strings.NewReplacer(" ", "-", "_", "-").Replace(folded)] {
		c.wrong("event", name, "a name that Segue does not keep for itself")
	}
	e := c.event("")
	if translate, ok := translations[folded]; ok {
		translate(c, properties, e)
	}
	if e.Body == nil {
		e.Body = &schemas.Event_Named{Named: &schemas.Named{Name: strings.TrimSpace(name), Properties: properties.rest()}}
	}
	return []*schemas.Event{e}
}

// product reads one product; its id is the shop's, or else the sku.
func (c *call) product(f fields) *schemas.Product {
	p := &schemas.Product{
		Id:   f.needed("product_id or sku", "product_id", "sku", "id"),
		Name: f.text(maxText, "name"), Category: f.text(maxText, "category"),
		PriceMicros: f.money("price"), Quantity: f.count("quantity"),
		Url: c.webURL(f.text(maxURL, "url")), ImageUrl: c.webURL(f.text(maxURL, "image_url")),
	}
	if p.PriceMicros > maxUnits*microsPerUnit/max(1, p.Quantity) {
		f.wrong("quantity", f.values["quantity"], "price × quantity "+wantLess)
	}
	return p
}

// products reads the list of that name, whose sum must fit as well.
func (c *call) products(f fields) (all []*schemas.Product, there bool) {
	list, there := f.list("products")
	var sum int64
	for _, x := range list {
		p := c.product(x)
		if sum += p.PriceMicros * max(1, p.Quantity); sum > maxUnits*microsPerUnit {
			f.wrong("products", plain("a larger sum"), wantLess)
			return nil, false
		}
		all = append(all, p)
	}
	return all, there
}

// webURL makes an address absolute, as a mail needs it. What cannot be is left
// out: a mail without a picture is better than one with a broken one.
func (c *call) webURL(s string) string {
	if s == "" {
		return ""
	}
	u, err := url.Parse(strings.TrimSpace(s))
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
}

// productListViewed is a category seen. A list that is none passes by its name,
// as do clicks in lists: the view that follows them counts.
func (c *call) productListViewed(f fields, e *schemas.Event) {
	if category := f.text(maxText, "category", "list_id"); category != "" {
		e.Body = &schemas.Event_View{View: &schemas.View{Category: category, Currency: f.currency()}}
	}
}

func (c *call) cart(f fields, change schemas.CartChange_Change) *schemas.Event_Cart {
	return &schemas.Event_Cart{Cart: &schemas.CartChange{Change: change, CartId: f.id("cart_id"),
		Currency: f.currency(), Url: c.webURL(f.text(maxURL, "cart_url"))}}
}

func changed(change schemas.CartChange_Change) func(*call, fields, *schemas.Event) {
	return func(c *call, f fields, e *schemas.Event) {
		body := c.cart(f, change)
		body.Cart.Product = c.product(f)
		e.Body = body
	}
}

// cartViewed tells the whole cart; one without its products tells nothing of it.
func (c *call) cartViewed(f fields, e *schemas.Event) {
	if products, there := c.products(f); there {
		body := c.cart(f, schemas.CartChange_REPLACED)
		body.Cart.Products = products
		e.Body = body
	}
}

func (c *call) checkout(f fields, e *schemas.Event) {
	body := c.cart(f, schemas.CartChange_CHECKOUT)
	body.Cart.Products, _ = c.products(f)
	e.Body = body
}

func (c *call) ordered(f fields, e *schemas.Event) {
	products, _ := c.products(f)
	e.Body = &schemas.Event_Order{Order: &schemas.Order{OrderId: f.needed("the order's id", "order_id"), CartId: f.id("cart_id"),
		Currency: f.currency(), TotalMicros: f.money("total", "revenue", "value"), Products: products}}
}

// orderCancelled takes all of an order back; the total that comes along is what
// the order was.
func (c *call) orderCancelled(f fields, e *schemas.Event) {
	e.Body = &schemas.Event_OrderCancelled{OrderCancelled: &schemas.OrderCancelled{
		OrderId: f.needed("the order's id", "order_id"), Currency: f.currency()}}
}

// orderRefunded takes back the total, or what the products cost, or else all.
func (c *call) orderRefunded(f fields, e *schemas.Event) {
	total := f.money("total", "revenue", "value")
	if products, _ := c.products(f); total == 0 {
		for _, p := range products {
			total += p.GetPriceMicros() * max(1, p.GetQuantity())
		}
	}
	e.Body = &schemas.Event_OrderCancelled{OrderCancelled: &schemas.OrderCancelled{
		OrderId: f.needed("the order's id", "order_id"), Currency: f.currency(), TotalMicros: total}}
}

// engaged is of a mail that another tool sent: it names none of our deliveries.
func engaged(kind schemas.Engagement_Kind) func(*call, fields, *schemas.Event) {
	return func(_ *call, f fields, e *schemas.Event) {
		e.Body = &schemas.Event_Engagement{Engagement: &schemas.Engagement{Kind: kind, Url: f.text(maxURL, "link_url")}}
	}
}

func subscribed(yes bool) func(*call, fields, *schemas.Event) {
	return func(_ *call, _ fields, e *schemas.Event) {
		e.Body = &schemas.Event_Subscription{Subscription: &schemas.Subscription{Subscribed: yes}}
	}
}

func ticket(closed bool) func(*call, fields, *schemas.Event) {
	return func(_ *call, f fields, e *schemas.Event) {
		e.Body = &schemas.Event_Ticket{Ticket: &schemas.Ticket{Closed: closed,
			TicketId: f.id("ticket_id"), Subject: f.text(maxText, "subject")}}
	}
}
