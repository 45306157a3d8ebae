package table

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

const orders = "customer,date,amount\nada,2026-03-29,12.5\n\"bob, jr\",2026-03-30,7\n"

// One table means the same in every format, whatever the file is called.
func TestOneTableInEveryFormat(t *testing.T) {
	type order struct {
		Customer string    `parquet:"customer"`
		Date     time.Time `parquet:"date,timestamp(microsecond)"`
		Amount   *float64  `parquet:"amount,optional"`
	}
	day, amounts := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC), []float64{12.5, 7}
	var columns, zipped bytes.Buffer
	if err := parquet.Write(&columns, []order{
		{"ada", day, &amounts[0]}, {"bob, jr", day.AddDate(0, 0, 1), &amounts[1]},
	}); err != nil {
		t.Fatal(err)
	}
	zip := gzip.NewWriter(&zipped)
	fmt.Fprint(zip, orders)
	zip.Close()
	for format, content := range map[string]string{
		"csv":          orders,
		"crlf and bom": "\ufeff" + strings.ReplaceAll(orders, "\n", "\r\n"),
		"tabs":         strings.NewReplacer(`"bob, jr"`, "bob, jr", ",2", "\t2", ",1", "\t1", ",7", "\t7", "r,d", "r\td", "e,a", "e\ta").Replace(orders),
		"semicolons":   strings.NewReplacer(",2", ";2", ",1", ";1", ",7", ";7", "r,d", "r;d", "e,a", "e;a", "12.5", "12,5").Replace(orders),
		"names quoted": strings.Replace(orders, "customer,date,amount", `"customer","date","amount"`, 1),
		"gzip":         zipped.String(),
		"parquet":      columns.String(),
	} {
		path := filepath.Join(t.TempDir(), "orders.txt")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{path, "-"} {
			got, err := read(path, content)
			if want := "ada 2026-03-29 12.5; bob, jr 2026-03-30 7; "; got != want || err != nil {
				t.Errorf("%s from %s: got %q, %v, want %q", format, filepath.Base(path), got, err, want)
			}
		}
	}
}

func read(path, in string) (string, error) {
	file, err := Open(path, strings.NewReader(in))
	if err != nil {
		return "", err
	}
	defer file.Close()
	at, err := file.Columns("customer", "date", "amount")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for row, err := range file.Rows() {
		if err != nil {
			return b.String(), err
		}
		date, err := row.Time(at[1])
		if err != nil {
			return b.String(), err
		}
		amount, err := row.Number(at[2])
		if err != nil {
			return b.String(), err
		}
		fmt.Fprintf(&b, "%s %s %v; ", row.Text(at[0]), date.Format(time.DateOnly), amount)
	}
	return b.String(), nil
}

// The header alone says what separates: what stands in quotes does not count.
func TestSeparators(t *testing.T) {
	for header, want := range map[string]string{
		"a,b": "[a b]", "a;b": "[a b]", "a\tb": "[a b]", "a": "[a]", "a,b;c,d": "[a b;c d]",
		`"a;b;c",d`: "[a;b;c d]", `"a,b,c";d`: "[a,b,c d]", "a,b\tc;d": "[a,b c;d]", `"a ""x;y"" b",c`: `[a "x;y" b c]`,
	} {
		file, err := Open("-", strings.NewReader(header+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(file.names); got != want {
			t.Errorf("columns of %q: got %s, want %s", header, got, want)
		}
	}
}

// Where semicolons separate a number may have either point; where commas do, one in
// quotes is no number.
func TestDecimalCommas(t *testing.T) {
	file, err := Open("-", strings.NewReader("n;t\n12,5;a,b\n-,5;a,b\n1e3;a,b\n 7 ;a,b\n12.25;a,b\n1,2e-1;a,b\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []float64
	for row, err := range file.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		n, err := row.Number(0)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
		if text := row.Value(0); text != strconv.FormatFloat(n, 'g', -1, 64) {
			t.Errorf("Value = %q, want that of %v", text, n)
		}
		if row.Value(1) != "a,b" {
			t.Errorf("Value = %q, want a,b", row.Value(1))
		}
	}
	if want := []float64{12.5, -.5, 1000, 7, 12.25, .12}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What is wrong is named with its line, what stands there, and what was wanted.
func TestWrongTables(t *testing.T) {
	const head, semi = "customer,date,amount\n", "customer;date;amount\n"
	for _, tc := range []struct{ content, want string }{
		{"", "standard input: got nothing, want a line that names the columns"},
		{"a,b\n", `standard input: no column "customer"; there are a, b`},
		{"\x00\x01\x02", "standard input: got neither text nor Parquet, want CSV (gzipped or not) or Parquet"},
		{"PAR1 and no more", "standard input: "},
		{head + "ada,2026-03-29,1\nada,2026-03-29\n", "standard input:3: got 2 values, want 3: customer, date, amount"},
		{head + "\"ada\nl\",2026-03-29,x\n", `standard input:2: amount: got "x", want a number`},
		{head + "ada,2026-03-29,1\n\"b\nob\",2026-03-29,1\ncyd,2026-03-29,1e\n", `standard input:5: amount: got "1e", want a number`},
		{head + "ada,2026-03-29,NaN\n", `standard input:2: amount: got "NaN", want a number`},
		{head + "ada,29.3.2026,1\n", `standard input:2: date: got "29.3.2026", want a date or time such as 2026-03-29 or 2026-03-29T12:00:00Z`},
		{head + "ada,2026-02-30,1\n", `standard input:2: date: got "2026-02-30"`},
		{head + "ada,\"2026-03-29,1\n", "standard input:2: "},
		{head + "ada,2026-03-29,\"1,5\"\n", `standard input:2: amount: got "1,5", want a number`},
		{semi + "ada;2026-03-29;1.234,5\n", `standard input:2: amount: got "1.234,5", want a number with one decimal comma or point, and no thousands`},
		{semi + "ada;2026-03-29;1\nada;2026-03-29;1,234,567\n", `standard input:3: amount: got "1,234,567", want a number with one`},
		{semi + "ada;2026-03-29;,\n", `standard input:2: amount: got ",", want a number`},
		{semi + "ada;2026-03-29\n", "standard input:2: got 2 values, want 3: customer, date, amount"},
		{"customer,date;amount;x\n", `standard input: no column "customer"; there are customer,date, amount, x`},
	} {
		if _, err := read("-", tc.content); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%q:\n got %v\nwant %s", tc.content, err, tc.want)
		}
	}
}

func TestTimes(t *testing.T) {
	for text, want := range map[string]string{
		"20260329":                       "2026-03-29T00:00:00Z",
		"2026-03-29":                     "2026-03-29T00:00:00Z",
		"2026-03-29 23:05:06":            "2026-03-29T23:05:06Z",
		"2026-03-29 23:05":               "2026-03-29T23:05:00Z",
		"2026-03-29T23:05:06.25+02:00":   "2026-03-29T23:05:06.25+02:00",
		" 2026-03-29T23:05:06Z ":         "2026-03-29T23:05:06Z",
		"2026-03-29 23:05:06.123456789Z": "2026-03-29T23:05:06.123456789Z",
		"2026-03-29T23:05:06-0730":       "2026-03-29T23:05:06-07:30",
		"2026-03-29 23:05:06 +0200":      "2026-03-29T23:05:06+02:00",
		"1396860669.277":                 "2014-04-07T08:51:09.277Z",
		"1.396860669277e+09":             "2014-04-07T08:51:09.277Z",
		"1396860669":                     "2014-04-07T08:51:09Z",
		"1396860669277":                  "2014-04-07T08:51:09.277Z",
		"1396860669277001":               "2014-04-07T08:51:09.277001Z",
	} {
		if got, err := ParseTime(text); err != nil || got.Format(time.RFC3339Nano) != want {
			t.Errorf("ParseTime(%q) = %v, %v, want %s", text, got.Format(time.RFC3339Nano), err, want)
		}
	}
	for _, text := range []string{"", "monday", "12", "20140407085109", "-1396860669", "NaN", "Inf", "1e300"} {
		if got, err := ParseTime(text); err == nil {
			t.Errorf("ParseTime(%q) = %v, want an error", text, got)
		}
	}
}

// Dates, exact amounts and old timestamps of Parquet come as in CSV.
func TestParquetTypes(t *testing.T) {
	type values struct {
		Day    int32   `parquet:"day,date"`
		Cents  int64   `parquet:"cents,decimal(2:18)"`
		Single float32 `parquet:"single"`
		Many   int64   `parquet:"many"`
		Yes    bool    `parquet:"yes"`
		None   *string `parquet:"none,optional"`
	}
	var b bytes.Buffer
	if err := parquet.Write(&b, []values{{20541, -1205, 0.1, 1 << 60, true, nil}}); err != nil {
		t.Fatal(err)
	}
	file, err := Open("-", &b)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for row, err := range file.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%d %v %q", row.Line, file.names, row.fields)
		want := `1 [day cents single many yes none] ["2026-03-29" "-12.05" "0.1" "1152921504606846976" "true" ""]`
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(orders))
	f.Add([]byte("customer;date;amount\nada;2026-03-29;12,5\n\"bob; jr\";2026-03-30;1.234,5\n"))
	f.Add([]byte("customer\tdate\tamount\nada\t2026-03-29\t12.5\n"))
	f.Add([]byte("PAR1"))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if bytes.HasPrefix(content, []byte("PAR1")) {
			t.Skip("the decoder of Parquet is another's")
		}
		file, err := Open("-", bytes.NewReader(content))
		if err != nil {
			return
		}
		defer file.Close()
		for row, err := range file.Rows() {
			if err != nil {
				return
			}
			for i := range file.names {
				row.Text(i)
				row.Number(i)
				row.Time(i)
			}
		}
	})
}
