package customer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"segue/processors/customer/journey"
	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// Sample is a message as who has the profile p would get it now, about their last
// cart. It is nobody's delivery: it names no customer, so that nothing that is done
// with the mail counts.
func Sample(pb *playbook.Playbook, message string, p *profile.Profile, now int64) (*schemas.Delivery, error) {
	m := pb.Messages[message]
	if m == nil {
		return nil, fmt.Errorf("message: got %q, want one of %s", message, strings.Join(slices.Sorted(maps.Keys(pb.Messages)), ", "))
	}
	d := journey.Decision{Delivery: profile.Derive("sample", message, strconv.FormatInt(now, 10)), Journey: "test", Message: m, Due: now, Reason: "a test of the message " + message}
	d.Cart = lastCart(p)
	of := *p
	of.Customer = ""
	return delivery(&of, now, pb, &d)
}

func lastCart(p *profile.Profile) int64 {
	if n := len(p.Carts); n > 0 {
		return p.Carts[n-1].StartedAt
	}
	return 0
}

// values are what templates can show of p, about their last cart.
func (t *Task) values(p *profile.Profile) (*shown, error) {
	pb, err := t.playbook(p.Playbook)
	if err != nil {
		return nil, err
	}
	if pb == nil {
		return nil, fmt.Errorf("values of %q: got no playbook that has decided about them, want one in force", p.Customer)
	}
	s := show(p, pb, lastCart(p))
	return &s, nil
}

// Somebody is who gets a sample when it is about no customer: they left two things
// in a cart.
func Somebody(pb *playbook.Playbook, now int64) *profile.Profile {
	url := strings.TrimSuffix(pb.Store.URL, "/")
	return &profile.Profile{
		FirstName: "Ada", LastName: "Example", Email: "ada@example.com", Country: "GB", Language: "en-GB",
		Carts: []profile.Cart{{StartedAt: now, ChangedAt: now, Currency: pb.Store.Currency, URL: url + "/cart", Items: []profile.Item{
			{Product: "sample-1", Name: "Stoneware mug", Category: "kitchen", URL: url + "/mug", PriceMicros: 18_500_000, Quantity: 2},
			{Product: "sample-2", Name: "Linen apron with a name that is rather long, as some are", Category: "kitchen", URL: url + "/apron", PriceMicros: 1_249_000_000, Quantity: 1},
		}}},
	}
}
