package storefront

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the zones of shop and shoppers, on any machine
)

// header is the first line of Online Retail.
const header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"

// london is where the shop is and what its times mean.
var london = mustZone("Europe/London")

// Line is one line of Online Retail.
type Line struct {
	// Number in the file, from 1; the header is none. Two identical lines are
	// two lines, and nothing else tells them apart.
	Number      int
	Invoice     string
	Stock       string
	Description string
	Quantity    int64
	At          time.Time
	PriceMicros int64
	Customer    string // "" when not known
	Country     string
}

// Lines reads the file line by line.
type Lines struct {
	csv    *csv.Reader
	number int
}

// NewLines reads r, which may be gzipped.
func NewLines(r io.Reader) (*Lines, error) {
	records, err := newRecords(r)
	if err != nil {
		return nil, err
	}
	return &Lines{csv: records}, nil
}

// newRecords returns the records behind the header.
func newRecords(r io.Reader) (*csv.Reader, error) {
	buffered := bufio.NewReader(r)
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("read orders: %w", err)
		}
		buffered = bufio.NewReader(unzipped)
	}
	records := csv.NewReader(buffered)
	records.ReuseRecord = true
	first, err := records.Read()
	if err != nil {
		return nil, fmt.Errorf("read orders: header: %w", err)
	}
	if got := strings.TrimPrefix(strings.Join(first, ","), "\ufeff"); got != header {
		return nil, fmt.Errorf("read orders: header: got %q, want %q", got, header)
	}
	return records, nil
}

// Next returns the next line; io.EOF after the last.
func (l *Lines) Next() (Line, error) {
	record, err := l.csv.Read()
	if err == io.EOF {
		return Line{}, err
	}
	l.number++
	if err != nil {
		return Line{}, fmt.Errorf("read orders: line %d: %w", l.number, err)
	}
	line, err := parseLine(record)
	if err != nil {
		return Line{}, fmt.Errorf("read orders: line %d: %w", l.number, err)
	}
	line.Number = l.number
	return line, nil
}

func parseLine(record []string) (Line, error) {
	line := Line{
		Invoice:     record[0],
		Stock:       strings.TrimSpace(record[1]),
		Description: strings.Join(strings.Fields(record[2]), " "),
		Customer:    record[6],
		Country:     record[7],
	}
	var err error
	if line.Invoice == "" {
		return Line{}, errors.New("column InvoiceNo: got nothing, want a number")
	}
	if line.Quantity, err = strconv.ParseInt(record[3], 10, 64); err != nil {
		return Line{}, fmt.Errorf("column Quantity: got %q, want a whole number", record[3])
	}
	if line.At, err = time.ParseInLocation(time.DateTime, record[4], london); err != nil {
		return Line{}, fmt.Errorf("column InvoiceDate: got %q, want a time such as 2010-12-01 08:26:00", record[4])
	}
	if line.PriceMicros, err = parseMicros(record[5]); err != nil {
		return Line{}, fmt.Errorf("column UnitPrice: got %q, want an amount such as 2.55", record[5])
	}
	return line, nil
}

// parseMicros reads a decimal exactly.
func parseMicros(s string) (int64, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	if whole == "" || len(whole) > 12 || len(fraction) > 6 || strings.ContainsAny(digits, "+-") {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", 6-len(fraction)), 10, 64)
	if negative {
		n = -n
	}
	return n, err
}

// decimal writes micros exactly, with two digits or as many as it takes.
func decimal(micros int64) string {
	sign := ""
	if micros < 0 {
		sign, micros = "-", -micros
	}
	fraction := fmt.Sprintf("%06d", micros%1e6)
	for len(fraction) > 2 && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	return fmt.Sprintf("%s%d.%s", sign, micros/1e6, fraction)
}

func mustZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err) // the zones are embedded
	}
	return zone
}
