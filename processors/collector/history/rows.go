package history

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxLine bounds a line of JSON.
const maxLine = 1 << 20

// rows reads a file's rows, as they stand.
type rows interface {
	// next returns the fields that are not empty, where the row starts, and how many
	// bytes were read up to its end; io.EOF after the last. wrong says what is
	// wrong with this row alone.
	next() (r row, line int, end int64, wrong string, err error)
}

// newRows looks at how a file begins.
func newRows(in io.Reader, k *Kind) (rows, error) {
	buffered := bufio.NewReaderSize(in, maxLine)
	start, err := buffered.Peek(64 << 10)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	mark := 0
	if bytes.HasPrefix(start, []byte("\ufeff")) { // spreadsheets write it
		mark, _ = buffered.Discard(len("\ufeff"))
	}
	if bytes.HasPrefix(bytes.TrimLeft(start[mark:], " \t\r\n"), []byte("{")) {
		return &objects{in: buffered, end: int64(mark)}, nil
	}
	return newTable(buffered, start[mark:], int64(mark), k)
}

// table is CSV.
type table struct {
	csv     *csv.Reader
	before  int64
	columns []string
}

func newTable(in io.Reader, start []byte, before int64, k *Kind) (*table, error) {
	t := &table{csv: csv.NewReader(in), before: before}
	t.csv.ReuseRecord = true
	header, _, _ := bytes.Cut(start, []byte("\n"))
	for _, separator := range ";\t" { // of those who write 12,50
		if !bytes.ContainsRune(header, ',') && bytes.ContainsRune(header, separator) {
			t.csv.Comma = separator
		}
	}
	names, err := t.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("got nothing, want a header with the names of columns")
	}
	if err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	for _, name := range names {
		t.columns = append(t.columns, columnName(name))
	}
	var missing []string
	for _, c := range k.Columns {
		if c.Needed && !slices.Contains(t.columns, c.Name) {
			missing = append(missing, c.Name)
		}
	}
	if missing != nil {
		return nil, fmt.Errorf("line 1: got the columns %s; want also %s", strings.Join(t.columns, ", "), strings.Join(missing, ", "))
	}
	return t, nil
}

// columnName is a header as it is compared.
func columnName(s string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(s)))
}

func (t *table) next() (row, int, int64, string, error) {
	fields, err := t.csv.Read()
	end := t.before + t.csv.InputOffset()
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		if errors.Is(err, csv.ErrFieldCount) {
			return nil, parse.StartLine, end, fmt.Sprintf("got %d fields, want %d as in the header", len(fields), len(t.columns)), nil
		}
		return nil, parse.StartLine, end, parse.Err.Error(), nil
	}
	if err != nil {
		return nil, 0, end, "", err
	}
	line, _ := t.csv.FieldPos(0)
	r := row{}
	for i, value := range fields {
		if !utf8.ValidString(value) {
			return nil, line, end, notUTF8(t.columns[i]), nil
		}
		if value = strings.TrimSpace(value); value != "" {
			r[t.columns[i]] = value
		}
	}
	return r, line, end, "", nil
}

func notUTF8(column string) string {
	return fmt.Sprintf("%s: got bytes that are not UTF-8; iconv -f latin1 -t utf-8 may be what the file needs", column)
}

// objects is JSON, one object per line.
type objects struct {
	in   *bufio.Reader
	line int
	end  int64
}

func (o *objects) next() (row, int, int64, string, error) {
	for {
		text, err := o.in.ReadSlice('\n')
		o.line++
		o.end += int64(len(text))
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, o.line, o.end, "", fmt.Errorf("line %d: got more than %d bytes, want one JSON object per line", o.line, maxLine)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, o.line, o.end, "", err
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			if err != nil {
				return nil, o.line, o.end, "", err
			}
			continue
		}
		if !utf8.Valid(text) {
			return nil, o.line, o.end, notUTF8("it"), nil
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber() // money keeps its digits
		var fields map[string]any
		if err := decoder.Decode(&fields); err != nil || decoder.More() {
			return nil, o.line, o.end, fmt.Sprintf("got %.60q, want one JSON object", text), nil
		}
		r := row{}
		for name, value := range fields {
			if value != nil && value != "" {
				r[columnName(name)] = value
			}
		}
		return r, o.line, o.end, "", nil
	}
}
