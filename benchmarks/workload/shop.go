package workload

import (
	"fmt"
	"time"

	"segue/schemas"
)

// Shop draws what customers of a storefront do: first each says who they are, or
// one in four that they agree to mail. Then come visits of up to eleven events,
// about a minute apart, some at the same time: customers look around, fill carts,
// order, and open what they were sent. Time passes evenly from Start, so that
// windows, carts and journeys have their instants in between.
type Shop struct {
	Workload
	Events   int
	Start    time.Time
	Duration time.Duration
}

// Act is an event of a customer, and when it is in the log.
type Act struct {
	Customer int
	At       time.Time
	Event    *schemas.Event
}

// All hands on what happens in the order of the log.
func (s Shop) All(yield func(Act) bool) {
	source, spacing := s.Workload.Events(), s.Duration/time.Duration(s.Events)
	visits := make([]visit, 1+time.Minute/spacing)
	for i := range s.Events {
		at := s.Start.Add(time.Duration(i) * spacing)
		customer := i
		if i >= s.Customers {
			v := &visits[source.rand.IntN(len(visits))]
			if v.left == 0 {
				*v = visit{source.Customer(), 1 + source.rand.IntN(11)}
			}
			v.left--
			customer = v.customer
		}
		e := &schemas.Event{Id: fmt.Sprintf("%016x", uint64(i+1)*multiplier), OccurredAt: schemas.Timestamp(at.UnixMilli()), ReceivedAt: schemas.Timestamp(at.UnixMilli()),
			Customer: string(Key(customer)), UserId: string(Key(customer)), Source: "shop"}
		switch {
		case i < s.Customers && i%4 == 3:
			e.Body = &schemas.Event_Subscription{Subscription: &schemas.Subscription{Subscribed: true}}
		case i < s.Customers:
			e.Body = identify(customer)
		default:
			s.act(e, source, customer)
		}
		if !yield(Act{customer, at, e}) {
			return
		}
	}
}

// visit is a customer who is in the shop, with that many events to come.
type visit struct{ customer, left int }

func identify(customer int) *schemas.Event_Identify {
	first := [...]string{"Ada", "Blaise", "Carl", "Dorothy", "Emmy", "Felix"}
	return &schemas.Event_Identify{Identify: &schemas.Identify{Email: fmt.Sprintf("c%d@shop.example", customer), FirstName: first[customer%len(first)],
		TimeZone: "Europe/London", Country: "GB", Language: "en-GB"}}
}

// act gives e a body: of a hundred 20 visits, 45 views, 14 carts, 5 steps of a
// checkout, 6 orders, 5 mails opened, 3 who agree to mail and 2 of a shop's own.
func (s Shop) act(e *schemas.Event, source *Source, customer int) {
	drawn := source.Next(0)
	product := &schemas.Product{Id: fmt.Sprintf("p%03d", drawn.Amount), Name: fmt.Sprintf("Product number %d", drawn.Amount),
		Category: fmt.Sprintf("category-%d", drawn.Kind), PriceMicros: int64(drawn.Amount) * 500_000, Quantity: 1}
	cart := fmt.Sprintf("cart-%d", customer)
	switch share := source.rand.IntN(100); {
	case share < 20:
		e.Body = &schemas.Event_Visit{Visit: &schemas.Visit{Url: "https://shop.example/" + product.Category, Title: product.Category}}
	case share < 65:
		e.Body = &schemas.Event_View{View: &schemas.View{Product: product, Category: product.Category, Currency: "GBP"}}
	case share < 79:
		e.Body = &schemas.Event_Cart{Cart: &schemas.CartChange{Change: schemas.CartChange_ADDED, CartId: cart, Currency: "GBP", Product: product}}
	case share < 84:
		e.Body = &schemas.Event_Cart{Cart: &schemas.CartChange{Change: schemas.CartChange_CHECKOUT, CartId: cart, Currency: "GBP"}}
	case share < 90:
		e.Body = &schemas.Event_Order{Order: &schemas.Order{OrderId: "o" + e.GetId(), CartId: cart, Currency: "GBP", Products: []*schemas.Product{product}}}
	case share < 95:
		e.Body = &schemas.Event_Engagement{Engagement: &schemas.Engagement{Kind: schemas.Engagement_OPENED, DeliveryId: "d" + e.GetId(), Journey: "cart", Step: 1}}
	case share < 98:
		e.Body = &schemas.Event_Subscription{Subscription: &schemas.Subscription{Subscribed: true}}
	default:
		e.Body = &schemas.Event_Named{Named: &schemas.Named{Name: "Quiz Taken", Properties: map[string]string{"score": "7"}}}
	}
}
