package customer

import (
	"fmt"
	"strings"

	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// shown is what templates and subjects can show: playbook.TemplateNames. The
// sender adds the links to unsubscribe and to choose.
type shown struct {
	Customer shownCustomer `json:"customer"`
	Cart     shownCart     `json:"cart"`
	Store    shownStore    `json:"store"`
	Brand    shownBrand    `json:"brand"`
}

type shownCustomer struct {
	FirstName string            `json:"first_name"`
	LastName  string            `json:"last_name"`
	Email     string            `json:"email"`
	Country   string            `json:"country"`
	Language  string            `json:"language"`
	Traits    map[string]string `json:"traits"`
}

type shownCart struct {
	Items    []shownItem `json:"items"`
	Value    string      `json:"value"`
	Currency string      `json:"currency"`
	URL      string      `json:"url"`
}

type shownItem struct {
	Name     string `json:"name"`
	Price    string `json:"price"`
	Quantity int64  `json:"quantity"`
	URL      string `json:"url"`
	ImageURL string `json:"image_url"`
	Category string `json:"category"`
}

type shownStore struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

type shownBrand struct {
	Address  string   `json:"address"`
	Promises []string `json:"promises"`
}

// show gathers it. cart is the start of the cart that the mail is about.
func show(p *profile.Profile, pb *playbook.Playbook, cart int64) shown {
	s := shown{
		Customer: shownCustomer{FirstName: p.FirstName, LastName: p.LastName, Email: p.Email, Country: p.Country, Language: p.Language,
			Traits: make(map[string]string, len(p.Traits))},
		Cart:  shownCart{Items: []shownItem{}, URL: pb.Store.URL},
		Store: shownStore{pb.Store.Name, pb.Store.URL},
		Brand: shownBrand{pb.Brand.Address, pb.Brand.Promises},
	}
	for _, t := range p.Traits {
		s.Customer.Traits[t.Name] = t.Value
	}
	for i := range p.Carts {
		k := &p.Carts[i]
		if k.StartedAt != cart {
			continue
		}
		if s.Cart.Currency = k.Currency; s.Cart.Currency == "" {
			s.Cart.Currency = pb.Store.Currency
		}
		if k.URL != "" {
			s.Cart.URL = k.URL
		}
		s.Cart.Value = money(k.Value(), s.Cart.Currency)
		for _, x := range k.Items {
			name := x.Name
			if name == "" {
				name = x.Product
			}
			s.Cart.Items = append(s.Cart.Items, shownItem{Name: name, Price: money(x.PriceMicros, s.Cart.Currency), Quantity: x.Quantity,
				URL: x.URL, ImageURL: x.Image, Category: x.Category})
		}
	}
	return s
}

// money writes an amount as people do: £1,250.00, ¥1,250, 12.50 CHF.
func money(micros int64, currency string) string {
	sign := ""
	if micros < 0 {
		sign, micros = "-", -micros
	}
	text := ""
	switch currency {
	case "JPY", "KRW", "VND", "CLP", "ISK":
		text = thousands((micros + 500_000) / 1_000_000)
	default:
		cents := (micros + 5_000) / 10_000
		text = fmt.Sprintf("%s.%02d", thousands(cents/100), cents%100)
	}
	switch currency {
	case "GBP":
		return sign + "£" + text
	case "EUR":
		return sign + "€" + text
	case "USD":
		return sign + "$" + text
	case "JPY":
		return sign + "¥" + text
	case "":
		return sign + text
	}
	return sign + text + " " + currency
}

func thousands(n int64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
