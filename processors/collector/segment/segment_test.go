package segment

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"segue/schemas"
)

// The files of testdata are bodies and what comes of them, by an open key where it
// says so; take tells the notes as well, and catalog reads products. testdata/spec holds each event that the specification documents, as it
// does: in full, then with less. After a change: go test -rewrite.
func TestRead(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var endpoint, at string
			d.MaybeScanArgs(t, "endpoint", &endpoint)
			d.MaybeScanArgs(t, "at", &at)
			r := Receipt{}
			if endpoint != "" {
				received, err := time.Parse(time.RFC3339, at)
				if err != nil {
					d.Fatalf(t, "at: %v", err)
				}
				r = Receipt{At: received.UnixMilli(), Source: "shop", Open: d.HasArg("open"), NewID: func() string { return "new" }}
			}
			if d.Cmd == "catalog" {
				listings, err := ReadCatalog([]byte(d.Input), Receipt{Source: "shop"})
				return list(t, listings, err)
			}
			b, err := Read(endpoint, []byte(d.Input))
			if err != nil {
				return show(t, nil, err)
			}
			taken, err := b.Take(r)
			said := ""
			for _, x := range taken {
				said += show(t, x.Events, nil)
				for _, n := range x.Notes {
					if d.Cmd == "take" {
						said += n.Field + ": " + n.Costs + "\n"
					}
				}
			}
			if err != nil || said == "" {
				return show(t, nil, err)
			}
			return said
		})
	})
}

// TestEveryEventIsDocumented: what has a meaning of its own has a file that tells it.
func TestEveryEventIsDocumented(t *testing.T) {
	for name := range translations {
		path := "testdata/spec/" + strings.ToLower(strings.ReplaceAll(name, " ", "_")) + ".txt"
		if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), `"`+name+`"`) {
			t.Errorf("%s: no golden body in %s (%v)", name, path, err)
		}
	}
}

// TestSpellings: the names of V1, and those that storefronts spell their own way,
// become what V2's become.
func TestSpellings(t *testing.T) {
	spellings := map[string]string{"product_viewed": "Product Viewed", "ProductAdded": "Product Added", " order-completed ": "Order Completed",
		"PRODUCT ADDED TO WISHLIST": "Product Added to Wishlist"}
	maps.Copy(spellings, formerly)
	for said, name := range spellings {
		if got, want := become(t, said), become(t, name); got != want {
			t.Errorf("%q became\n%swant, as of %q,\n%s", said, got, name, want)
		}
	}
	for name := range translations {
		if formerly[name] != "" {
			t.Errorf("%q is a name of today", name)
		}
	}
	// A name may hold a known one, and mean something else.
	if got := become(t, "Product Viewed Twice"); !strings.Contains(got, `"named":{"name":"Product Viewed Twice"`) {
		t.Errorf("Product Viewed Twice became %s", got)
	}
}

// become is what an event of that name becomes, told as V1 told an order.
func become(t *testing.T, name string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"type": "track", "event": name, "messageId": "m", "userId": "ada", "properties": map[string]any{
		"orderId": "o-1", "id": "mug", "sku": "AO-118", "price": 12.5, "category": "Kitchen", "total": 30, "products": []any{map[string]any{"id": "mug", "price": 12.5}}}})
	if err != nil {
		t.Fatal(err)
	}
	events, err := Events(body)
	return show(t, events, err)
}

func show(t *testing.T, events []*schemas.Event, err error) string {
	t.Helper()
	var problems Problems
	switch {
	case errors.As(err, &problems):
		return strings.ReplaceAll(problems.Error(), "; ", "\n") + "\n"
	case err != nil:
		t.Fatalf("got %v, want Problems", err)
	case len(events) == 0:
		return "nothing\n"
	}
	var out bytes.Buffer
	for _, e := range events {
		out.Write(compact(t, e))
		out.WriteByte('\n')
	}
	return out.String()
}

// compact is m as JSON without the spaces that protojson puts in at random.
func compact(t *testing.T, m proto.Message) []byte {
	t.Helper()
	line, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, line); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func list(t *testing.T, listings []Listing, err error) string {
	t.Helper()
	if err != nil || len(listings) == 0 {
		return show(t, nil, err)
	}
	var out strings.Builder
	for _, l := range listings {
		line := []byte("gone")
		if l.Product != nil {
			line = compact(t, l.Product)
		}
		out.WriteString(l.ID + " " + string(line) + "\n")
		for _, n := range l.Notes {
			out.WriteString(n.Field + ": " + n.Costs + "\n")
		}
	}
	return out.String()
}

// What a delivery can come to is Segue's to say, a new kind as well.
func TestOutcomesAreReserved(t *testing.T) {
	for kind, name := range schemas.Outcome_Kind_name {
		if kind != 0 && !reserved[squeeze(name)] {
			t.Errorf("%s is not reserved", name)
		}
	}
}

func TestParseMicros(t *testing.T) {
	for _, test := range []struct {
		value any
		want  int64
	}{
		{json.Number("12.50"), 12_500_000},
		{"12.50", 12_500_000},
		{" 0.1 ", 100_000},
		{json.Number("18.990000000000002"), 18_990_000},
		{json.Number("18.989999999999998"), 18_990_000},
		{json.Number("0.0000005"), 1},
		{json.Number("0.00000049"), 0},
		{json.Number("1e3"), 1_000_000_000},
		{json.Number("1.25E+2"), 125_000_000},
		{json.Number("125e-2"), 1_250_000},
		{json.Number("5e-7"), 1},
		{json.Number("4e-7"), 0},
		{json.Number("9e-999999999999"), 0},
		{json.Number("0e999999999999"), 0},
		{json.Number("-3.5"), -3_500_000},
		{json.Number("-0"), 0},
		{"100000000000", 100_000_000_000_000_000},
		{".5", 500_000},
		{"5.", 5_000_000},
		{"0" + strings.Repeat("0", 100) + "7", 7_000_000},
	} {
		if got, want := parseMicros(test.value); got != test.want || want != "" {
			t.Errorf("parseMicros(%v) = %d, %q; want %d", test.value, got, want, test.want)
		}
	}
	for _, value := range []any{"", ".", "-", "12,50", "£12", "1 000", "1e", "1e+", "1e1.5", "0x10", "NaN", "١٢", true, nil, []any{},
		"100000000000.000001", "1e300", "1e999999999999", json.Number("99999999999999999999")} {
		if got, want := parseMicros(value); want == "" {
			t.Errorf("parseMicros(%v) = %d, want a complaint", value, got)
		}
	}
}

func TestBounds(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"item":       {`{"event":"x","userId":"ada","properties":{"x":"` + strings.Repeat("x", MaxItem) + `"}}`, "body: got 32818 bytes, want at most 32768"},
		"customer":   {`{"event":"x","userId":"` + strings.Repeat("x", 257) + `"}`, "userId: got 257 bytes, want at most 256 bytes"},
		"not UTF-8":  {`{"event":"x","userId":"` + "\xff" + `"}`, "body: got bytes that are not UTF-8, want JSON"},
		"cut in two": {`{"event":"x","userId":"ada","timestamp":"` + strings.Repeat("é", 40) + `"}`, `timestamp: got "` + strings.Repeat("é", 29) + `…, want a time`},
	} {
		b, err := Read("track", []byte(test.body))
		if err == nil {
			_, err = b.Events(Receipt{At: 1})
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
	}
	var b Problems
	_, err := Events([]byte(`{"batch":[` + strings.Repeat("7,", 100) + `7]}`))
	if !errors.As(err, &b) || len(b) != maxProblems {
		t.Errorf("a batch of 101 wrong items: got %d problems, want %d", len(b), maxProblems)
	}
}
