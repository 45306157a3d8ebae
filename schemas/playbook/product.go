package playbook

import (
	"strings"

	"segue/schemas/profile"
)

// Product is one as an event carried it, for what where(…) asks.
type Product struct {
	ID, Name, Category string
	PriceMicros        int64
}

// ofProduct are the names that a question about one product has, and no other.
var ofProduct = []variable{
	{name: "product.id", kind: text, product: true, read: func(f Facts) (value, int64) { return value{s: f.product.ID}, 0 }},
	{name: "product.name", kind: text, product: true, read: func(f Facts) (value, int64) { return value{s: f.product.Name}, 0 }},
	{name: "product.category", kind: text, product: true, read: func(f Facts) (value, int64) { return value{s: f.product.Category}, 0 }},
	{name: "product.price", kind: money, product: true, read: func(f Facts) (value, int64) { return value{n: f.product.PriceMicros}, 0 }},
}

// where is what a need asks of each product.
type where struct{ of node }

func (x where) accepts(p *Product) bool {
	v, _ := x.of.eval(Facts{product: p})
	return v.n != 0
}

// narrowed is what a product must be to be accepted, as far as it is easily told: of
// one category, or one product.
func (x where) narrowed() string {
	if l, ok := x.of.(*logic); ok && l.op == "&&" {
		if left := (where{l.left}).narrowed(); left != "" {
			return left
		}
		return where{l.right}.narrowed()
	}
	c, ok := x.of.(*comparison)
	if !ok || c.op != equal {
		return ""
	}
	name, named := c.left.(read)
	than, fixed := c.right.(*constant)
	switch {
	case !named || !fixed:
	case name.name == "product.category":
		return ofCategory + than.value.s
	case name.name == "product.id":
		return ofID + than.value.s
	}
	return ""
}

const ofCategory, ofID = "category ", "product "

func boughtProduct(x *profile.Item) Product {
	return Product{ID: x.Product, Name: x.Name, Category: x.Category, PriceMicros: x.PriceMicros}
}

// contains asks whether a text has a part, in any case.
type contains struct {
	text node
	part string
}

func (c *contains) kind() kind { return boolean }
func (c *contains) eval(f Facts) (value, int64) {
	v, until := c.text.eval(f)
	return truth(strings.Contains(strings.ToLower(v.s), strings.ToLower(c.part))), until
}

func (c *contains) write(w *writer, _ int) {
	c.text.write(w, comparePrecedence)
	w.text(".contains(", quote(c.part), ")")
	w.values(c.text)
}
