// Package table reads what a person hands to a command: rows with named columns.
//
//	CSV with commas, semicolons or tabs, gzipped or not, or Parquet → columns by name → rows
//
// It stands beside the commands, since models do no I/O and stations read topics.
//
// Not obvious: what a file is shows in its first bytes, whatever it is called.
// Every value is handed over as text, as if it had been CSV, so that one file
// means the same in all formats. Where semicolons separate, a comma in a number is
// that of its decimals, as those write it who need the semicolon; nowhere else.
package table

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// File is an open table.
type File struct {
	path  string
	names []string
	// next is the following row and its line; its fields hold until the next.
	next  func() (fields []string, line int, err error)
	place string
	close []func() error
	// comma is that of decimals: semicolons separate.
	comma bool
}

// Row is one row of a table, valid until the next is read.
type Row struct {
	// Line is where it stands: the line of a text, the row of a Parquet file;
	// both count from 1, and a text's header is a line.
	Line   int
	file   *File
	fields []string
}

// Open opens the table at path, or the one that in holds when path is "-". The
// first line of a text names its columns; it shows what separates them.
func Open(path string, in io.Reader) (*File, error) {
	f := &File{path: path}
	if path == "-" {
		f.path = "standard input"
	} else {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		f.close = append(f.close, file.Close)
		in = file
	}
	if err := f.open(in); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.path, err), f.Close())
	}
	return f, nil
}

func (f *File) open(in io.Reader) error {
	text := bufio.NewReaderSize(in, 1<<16)
	head, _ := text.Peek(4)
	switch {
	case len(head) == 0:
		return errors.New("got nothing, want a line that names the columns")
	case string(head) == "PAR1":
		return f.openParquet(in, text)
	}
	text, err := unzipped(text)
	if err != nil {
		return err
	}
	return f.openText(text)
}

// unzipped is text itself, or what is in it if it is gzipped.
func unzipped(text *bufio.Reader) (*bufio.Reader, error) {
	if head, _ := text.Peek(2); !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return text, nil
	}
	inside, err := gzip.NewReader(text)
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(inside, 1<<16), nil
}

func (f *File) openText(text *bufio.Reader) error {
	if bom, _ := text.Peek(3); string(bom) == "\ufeff" {
		text.Discard(3)
	}
	start, _ := text.Peek(text.Size())
	header, _, _ := bytes.Cut(start, []byte("\n"))
	if !utf8.Valid(header) || bytes.IndexByte(header, 0) >= 0 {
		return errors.New("got neither text nor Parquet, want CSV (gzipped or not) or Parquet")
	}
	records := csv.NewReader(text)
	records.ReuseRecord = true
	records.Comma = separator(header)
	f.comma = records.Comma == ';'
	names, err := records.Read()
	if err != nil {
		return err
	}
	f.names = slices.Clone(names)
	f.place = "%s:%d"
	f.next = func() ([]string, int, error) {
		fields, err := records.Read()
		if err == nil {
			line, _ := records.FieldPos(0)
			return fields, line, nil
		}
		var wrong *csv.ParseError
		switch {
		case !errors.As(err, &wrong):
			return nil, 0, err
		case errors.Is(err, csv.ErrFieldCount):
			return nil, wrong.StartLine, fmt.Errorf("got %d values, want %d: %s",
				len(fields), len(f.names), strings.Join(f.names, ", "))
		default:
			return nil, wrong.StartLine, wrong.Err
		}
	}
	return nil
}

// separator of a header: tabs if there are any, else semicolons if there are more of
// them than commas, which names in quotes may have too, else commas.
func separator(header []byte) rune {
	var tabs, semicolons, commas int
	quoted := false
	for _, b := range header {
		switch {
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '\t':
			tabs++
		case b == ';':
			semicolons++
		case b == ',':
			commas++
		}
	}
	switch {
	case tabs > 0:
		return '\t'
	case semicolons > commas:
		return ';'
	}
	return ','
}

// Close closes the file.
func (f *File) Close() error {
	var errs []error
	for _, close := range slices.Backward(f.close) {
		errs = append(errs, close())
	}
	f.close = nil
	return errors.Join(errs...)
}

// Besides are the columns that are not among some, and their names.
func (f *File) Besides(some []int) (columns []int, names []string) {
	for i, name := range f.names {
		if !slices.Contains(some, i) {
			columns, names = append(columns, i), append(names, name)
		}
	}
	return columns, names
}

// Has says whether there is a column of this name.
func (f *File) Has(name string) bool { return slices.Contains(f.names, name) }

// Columns are the places of the columns of these names, for Row's methods.
func (f *File) Columns(names ...string) ([]int, error) {
	columns := make([]int, len(names))
	for i, name := range names {
		if columns[i] = slices.Index(f.names, name); columns[i] < 0 {
			return nil, fmt.Errorf("%s: no column %q; there are %s", f.path, name, strings.Join(f.names, ", "))
		}
	}
	return columns, nil
}

// Rows are the rows in order, until the first that cannot be read, whose error
// says where it is.
func (f *File) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for {
			fields, line, err := f.next()
			switch {
			case err == io.EOF:
				return
			case err != nil && line == 0:
				yield(Row{}, fmt.Errorf("%s: %w", f.path, err))
				return
			case err != nil:
				yield(Row{}, fmt.Errorf(f.place+": %w", f.path, line, err))
				return
			case !yield(Row{line, f, fields}, nil):
				return
			}
		}
	}
}

// Text is what stands in a column.
func (r Row) Text(column int) string { return r.fields[column] }

// Value is what stands in a column as other tables have it: a number with a decimal
// comma has a point.
func (r Row) Value(column int) string {
	if n, err := r.Number(column); r.file.comma && err == nil {
		return strconv.FormatFloat(n, 'g', -1, 64)
	}
	return r.fields[column]
}

// Values are those of several columns.
func (r Row) Values(columns []int) []string {
	values := make([]string, len(columns))
	for i, column := range columns {
		values[i] = r.Value(column)
	}
	return values
}

// Number is the finite number in a column.
func (r Row) Number(column int) (float64, error) {
	text := strings.TrimSpace(r.fields[column])
	if r.file.comma {
		var ok bool
		if text, ok = withPoint(text); !ok {
			return 0, r.Wrong(column, "a number with one decimal comma or point, and no thousands")
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		return 0, r.Wrong(column, "a number")
	}
	return n, nil
}

// withPoint writes a number that may have a decimal comma with a point. False: 1.234,5
// and 1,234,567 have signs of thousands, so that 1,234 might be a thousand as well.
func withPoint(text string) (string, bool) {
	switch commas := strings.Count(text, ","); {
	case commas == 0:
		return text, true
	case commas > 1 || strings.ContainsRune(text, '.'):
		return "", false
	}
	return strings.Replace(text, ",", ".", 1), true
}

// layouts are the forms of ISO 8601 that Time takes, which all differ in length
// or separators.
var layouts = []string{
	"2006-01-02",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02T15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02 15:04:05.999999999 Z0700",
	"2006-01-02T15:04",
	"2006-01-02 15:04",
	"20060102",
}

// Time is the date or instant in a column, in the zone that it was written
// with, UTC when none was.
func (r Row) Time(column int) (time.Time, error) {
	t, err := ParseTime(r.fields[column])
	if err != nil {
		return time.Time{}, r.Wrong(column, "a date or time such as 2026-03-29 or 2026-03-29T12:00:00Z")
	}
	return t, nil
}

// ParseTime reads a date or an instant of ISO 8601, or an instant as seconds,
// milliseconds or microseconds since 1970, which the years 1973 to 2286 tell
// apart.
func ParseTime(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		for _, unit := range [...]float64{1, 1e3, 1e6} {
			if n >= 1e8*unit && n < 1e10*unit {
				return time.UnixMicro(int64(math.Round(n / unit * 1e6))).UTC(), nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("got %q, want a date or time such as 2026-03-29 or 2026-03-29T12:00:00Z", text)
}

// Wrong is the error of a value that is not what was wanted.
func (r Row) Wrong(column int, want string) error {
	return fmt.Errorf(r.file.place+": %s: got %q, want %s",
		r.file.path, r.Line, r.file.names[column], r.fields[column], want)
}
