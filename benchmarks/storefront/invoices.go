package storefront

import (
	"io"
	"strings"
	"time"
)

// Invoice is what was bought, brought back or written off at once.
type Invoice struct {
	Number   string
	At       time.Time // of the first line
	Customer string    // "" when not known
	Country  string
	Lines    []Line
}

// Cancels reports whether the invoice takes back what others sold.
func (i *Invoice) Cancels() bool { return strings.HasPrefix(i.Number, "C") }

// Adjusts reports whether the invoice is no sale at all: stock counted, lost or
// damaged, or a debt written off.
func (i *Invoice) Adjusts() bool {
	for _, l := range i.Lines {
		if l.Quantity <= 0 || l.PriceMicros < 0 {
			return !i.Cancels()
		}
	}
	return false
}

// invoiceSpan is how far apart the lines of one invoice may be: 43 of the
// file's 25,900 run into the next minute, and one is interleaved with another.
const invoiceSpan = 2 * time.Minute

// Invoices gathers lines, which are in order of time.
type Invoices struct {
	lines *Lines
	open  []*Invoice // by first line
	ahead *Line      // read, and not yet in open
	end   bool
}

// NewInvoices reads lines to their end.
func NewInvoices(lines *Lines) *Invoices { return &Invoices{lines: lines} }

// Next returns the next invoice, in order of first lines; io.EOF after the last.
func (in *Invoices) Next() (*Invoice, error) {
	for !in.end {
		if in.ahead == nil {
			line, err := in.lines.Next()
			if err == io.EOF {
				in.end = true
				break
			}
			if err != nil {
				return nil, err
			}
			in.ahead = &line
		}
		if len(in.open) > 0 && in.ahead.At.Sub(in.open[0].At) > invoiceSpan {
			break
		}
		in.add(*in.ahead)
		in.ahead = nil
	}
	if len(in.open) == 0 {
		return nil, io.EOF
	}
	first := in.open[0]
	in.open = in.open[1:]
	return first, nil
}

func (in *Invoices) add(line Line) {
	for _, i := range in.open {
		if i.Number == line.Invoice {
			i.Lines = append(i.Lines, line)
			return
		}
	}
	in.open = append(in.open, &Invoice{
		Number: line.Invoice, At: line.At, Customer: line.Customer, Country: line.Country,
		Lines: []Line{line},
	})
}
