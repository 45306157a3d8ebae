package storefront

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// cut is what CutFrom makes of Online Retail; NOTICE says whose work it is.
//
//go:embed online_retail_cut.csv.gz
var cut []byte

// Cut returns the embedded part of Online Retail, gzipped.
func Cut() io.Reader { return bytes.NewReader(cut) }

const (
	cutCustomers, cutGuests = 15, 150
	cutRemainder            = 7
)

// CutFrom writes the part of Online Retail that is embedded: all lines of the
// customers whose number leaves 7 when divided by 15, and, of the invoices
// without a customer, those whose number leaves 7 when divided by 150. What is
// kept is kept as it is, in its order. TestCutRegenerates compares, and writes it
// anew when it is told to.
func CutFrom(dst io.Writer, full io.Reader) error {
	records, err := newRecords(full)
	if err != nil {
		return err
	}
	out := csv.NewWriter(dst)
	if err := out.Write(strings.Split(header, ",")); err != nil {
		return err
	}
	for {
		record, err := records.Read()
		if err == io.EOF {
			out.Flush()
			return out.Error()
		}
		if err != nil {
			return fmt.Errorf("cut orders: %w", err)
		}
		number, modulus := record[6], cutCustomers
		if number == "" {
			number, modulus = strings.TrimLeft(record[0], "AC"), cutGuests
		}
		n, err := strconv.Atoi(number)
		if err != nil {
			return fmt.Errorf("cut orders: invoice %s: got number %q, want digits", record[0], number)
		}
		if n%modulus != cutRemainder {
			continue
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
}
