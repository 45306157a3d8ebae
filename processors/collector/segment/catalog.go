package segment

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"segue/schemas"
)

// Listing is one product of a call to the catalog.
type Listing struct {
	// ID is the product's; Product is nil where the shop sells it no more.
	ID      string
	Product *schemas.CatalogProduct
	Notes   []Note
}

// ReadCatalog reads a body of /v1/catalog, which is not Segment's: a list of
// products, each as it is now, all of it. The error is Problems, and then nothing
// is taken.
func ReadCatalog(body []byte, r Receipt) ([]Listing, error) {
	var outer struct {
		Products []json.RawMessage `json:"products"`
	}
	err := json.Unmarshal(body, &outer)
	switch n := len(outer.Products); {
	case !utf8.Valid(body):
		return nil, Problems{{Item: -1, Field: "body", Got: "bytes that are not UTF-8", Want: "JSON"}}
	case err != nil || outer.Products == nil:
		return nil, Problems{{Item: -1, Field: "body", Got: describe(body, err), Want: `an object with a list "products"`}}
	case n > MaxItems:
		return nil, Problems{{Item: -1, Field: "products", TooLarge: true, Got: fmt.Sprintf("%d products", n), Want: fmt.Sprintf("at most %d", MaxItems)}}
	}
	var listings []Listing
	var problems Problems
	for i, raw := range outer.Products {
		c := call{item: i, receipt: r, problems: &problems}
		c.fields = fields{call: &c, path: fmt.Sprintf("products[%d]", i)}
		if len(raw) > MaxItem {
			problems = append(problems, Problem{Item: i, Field: c.path, TooLarge: true,
				Got: fmt.Sprintf("%d bytes", len(raw)), Want: fmt.Sprintf("at most %d", MaxItem)})
			continue
		}
		var ok bool
		if c.values, ok = decode(raw).(map[string]any); !ok {
			c.wrong("", plain(short(raw)), "an object")
			continue
		}
		listings = append(listings, c.listing())
		if len(problems) >= maxProblems {
			break
		}
	}
	if len(problems) > 0 {
		return nil, problems[:min(len(problems), maxProblems)]
	}
	return listings, nil
}

func (c *call) listing() Listing {
	if removed, _ := c.truth("removed"); removed {
		return Listing{ID: c.needed("product_id or sku", productID...)}
	}
	p := &schemas.CatalogProduct{Product: c.product(c.fields), Currency: c.currency(),
		ReceivedAt: schemas.Timestamp(c.receipt.At), Source: c.receipt.Source}
	p.Product.Quantity = 0
	if !c.has("name") { // a count alone would take away what was known of the rest
		c.wrong("name", nil, "the product's name: what is told replaces all that was known of it")
	}
	if c.has("stock") {
		stock := c.count("stock")
		p.Stock = &stock
	} else {
		c.note("stock", "nobody knows when it is sold out, or back")
	}
	c.shown()
	if c.has("price") {
		c.lacks("nobody knows in which currency the price is", "currency")
	}
	return Listing{ID: p.GetProduct().GetId(), Product: p, Notes: c.notes}
}
