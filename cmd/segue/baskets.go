package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"segue/cmd/segue/table"
)

// basketColumns are the columns of a table with one product of a basket in each row.
type basketColumns struct {
	customer, basket, product, time string
	// given says whether a flag was: a column of another name need not be there.
	given func(flag string) bool
}

func (c *basketColumns) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&c.customer, "customer", "customer", "`COLUMN` of the customer")
	flags.StringVar(&c.basket, "basket", "basket", "`COLUMN` of the basket, which need differ only within a customer")
	flags.StringVar(&c.product, "product", "product", "`COLUMN` of the product")
	flags.StringVar(&c.time, "time", "time", "`COLUMN` of the date or time, in ISO 8601")
	c.given = flags.Changed
}

// basketOf is a basket, and when it was.
type basketOf struct {
	customer string
	at       time.Time
	products []string
}

// read reads the baskets of a table. Each is at its earliest time; they stand in
// order of time, and of the file where there is no time or it is the same. Without
// a column of baskets, what one customer bought at one time is one, or all that
// they bought. customers says that each row must name one.
func (c *basketColumns) read(path string, in io.Reader, customers bool) ([]basketOf, error) {
	file, err := table.Open(path, in)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var names []string
	column := func(flag, name string, must bool) int {
		if !must && !c.given(flag) && !file.Has(name) {
			return -1
		}
		names = append(names, name)
		return len(names) - 1
	}
	product := column("product", c.product, true)
	customer := column("customer", c.customer, customers)
	at := column("time", c.time, false)
	basket := column("basket", c.basket, !customers)
	columns, err := file.Columns(names...)
	if err != nil {
		return nil, err
	}
	text := func(row table.Row, column int, want string) (string, error) {
		if column < 0 {
			return "", nil
		}
		text := strings.TrimSpace(row.Text(columns[column]))
		if text == "" {
			return "", row.Wrong(columns[column], want)
		}
		return text, nil
	}
	type key struct {
		customer, basket string
		at               time.Time
	}
	var baskets []basketOf
	known, products := map[key]int{}, map[string]string{}
	for row, err := range file.Rows() {
		if err != nil {
			return nil, err
		}
		var k key
		var when time.Time
		if k.customer, err = text(row, customer, "a customer"); err != nil {
			return nil, err
		}
		if k.basket, err = text(row, basket, "a basket"); err != nil {
			return nil, err
		}
		name, err := text(row, product, "a product")
		if err != nil {
			return nil, err
		}
		if at >= 0 {
			if when, err = row.Time(columns[at]); err != nil {
				return nil, err
			}
			if basket < 0 {
				k.at = when.UTC()
			}
		}
		i, is := known[k]
		if !is {
			i = len(baskets)
			known[k] = i
			baskets = append(baskets, basketOf{customer: k.customer, at: when})
		}
		if when.Before(baskets[i].at) {
			baskets[i].at = when
		}
		// A row's text is a part of its line, which would be kept whole.
		if _, is := products[name]; !is {
			name = strings.Clone(name)
			products[name] = name
		}
		baskets[i].products = append(baskets[i].products, products[name])
	}
	if len(baskets) == 0 {
		return nil, fmt.Errorf("%s: got no row, want at least one product of a basket", path)
	}
	slices.SortStableFunc(baskets, func(a, b basketOf) int { return a.at.Compare(b.at) })
	return baskets, nil
}

// byCustomer are the baskets of each customer, in order.
func byCustomer(baskets []basketOf) map[string][][]string {
	of := map[string][][]string{}
	for _, b := range baskets {
		of[b.customer] = append(of[b.customer], b.products)
	}
	return of
}

// readLines reads the baskets of a table, or of a text with one basket in each
// line.
func (c *basketColumns) readLines(path string, in io.Reader) ([]basketOf, error) {
	baskets, wrong := c.read(path, in, false)
	if wrong == nil || path == "-" || c.given("basket") || c.given("product") {
		return baskets, wrong
	}
	if file, err := table.Open(path, in); err == nil {
		defer file.Close()
		if file.Has(c.product) || file.Has(c.basket) {
			return nil, wrong
		}
	}
	lines, ok, err := table.Lines(path)
	if err != nil || !ok {
		return nil, wrong
	}
	for _, products := range lines {
		var b basketOf
		for _, name := range products {
			if name = strings.TrimSpace(name); name != "" {
				b.products = append(b.products, name)
			}
		}
		baskets = append(baskets, b)
	}
	return baskets, nil
}
