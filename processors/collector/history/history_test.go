package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"segue/schemas"
)

var (
	asOf     = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	latest   = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	received = latest.Add(16 * time.Minute)
)

func kind(t testing.TB, name string) *Kind {
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		t.Fatalf("no kind %s", name)
	}
	return &Kinds[i]
}

func entries(t testing.TB, name, file string) (all []Entry, unused []string) {
	t.Helper()
	r, err := NewReader(strings.NewReader(file), kind(t, name), Options{AsOf: asOf.UnixMilli(), Latest: latest.UnixMilli(), ReceivedAt: received.UnixMilli()})
	if err != nil {
		t.Fatal(err)
	}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, r.Unused()
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
}

// told are the events of entries as people read them; an id stands for itself.
func told(t testing.TB, all []Entry) (lines []string) {
	t.Helper()
	for _, e := range all {
		lines = append(lines, e.Problems...)
		for _, event := range e.Events {
			if event.GetId() == "" || event.GetSource() != Source || schemas.Millis(event.GetReceivedAt()) != received.UnixMilli() {
				t.Errorf("event of line %d: got %v, want an id, the source and when it came", e.Line, event)
			}
			said := proto.Clone(event).(*schemas.Event)
			said.Id, said.Source, said.ReceivedAt, said.UserId, said.Customer, said.OccurredAt = "", "", nil, "", "", nil
			text, err := protojson.Marshal(said)
			if err != nil {
				t.Fatal(err)
			}
			var compact bytes.Buffer // protojson puts in spaces at random
			if err := json.Compact(&compact, text); err != nil {
				t.Fatal(err)
			}
			at := time.UnixMilli(schemas.Millis(event.GetOccurredAt())).UTC()
			lines = append(lines, fmt.Sprintf("%d %s %s %s", e.Line, event.GetCustomer(), at.Format(time.RFC3339), &compact))
		}
	}
	return lines
}

func check(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// An order of two products on two rows, one that was cancelled, and one of a few
// minutes ago, which must not look live.
func TestOrders(t *testing.T) {
	const csv = "Customer,Order ID,Ordered At,currency,total,product_id,price,quantity,cancelled_at,colour\r\n" +
		"ada,o1,2025-12-24T18:00:00+01:00,GBP,30.00,mug,12.50,2,,blue\r\n" +
		"ada,o1,2025-12-24T18:00:00+01:00,GBP,30.00,pin,\"5\",1,,\r\n" +
		"bob,o2,2026-01-05 10:00:00 +0000,GBP,9.99,,,,2026-01-06T10:00:00Z,\r\n" +
		"bob,o3,2026-03-02T09:14:00Z,,,pin,5,,,\r\n"
	got, unused := entries(t, "orders", csv)
	reduced, _ := entries(t, "orders", "customer,order_id,ordered_at,total,discount,coupon\nada,o1,2025-12-24T18:00:00Z,20,2.50,\nada,o2,2025-12-25T18:00:00Z,20,0.00,SPRING\n")
	check(t, "discounts", told(t, reduced),
		`2 ada 2025-12-24T18:00:00Z {"order":{"orderId":"o1","totalMicros":"20000000","discountMicros":"2500000"}}`,
		`3 ada 2025-12-25T18:00:00Z {"order":{"orderId":"o2","totalMicros":"20000000","coupon":"SPRING"}}`)
	want := []string{
		`2 ada 2025-12-24T17:00:00Z {"order":{"orderId":"o1","currency":"GBP","totalMicros":"30000000","products":[{"id":"mug","priceMicros":"12500000","quantity":"2"},{"id":"pin","priceMicros":"5000000","quantity":"1"}]}}`,
		`4 bob 2026-01-05T10:00:00Z {"order":{"orderId":"o2","currency":"GBP","totalMicros":"9990000"}}`,
		`4 bob 2026-01-06T10:00:00Z {"orderCancelled":{"orderId":"o2"}}`,
		`5 bob 2026-03-02T09:00:00Z {"order":{"orderId":"o3","products":[{"id":"pin","priceMicros":"5000000"}]}}`,
	}
	check(t, "CSV", told(t, got), want...)
	check(t, "unused columns", unused, "colour")
	if got[0].End != int64(strings.Index(csv, "bob,o2")) || got[len(got)-1].End != int64(len(csv)) {
		t.Errorf("ends: got %d and %d, want those of the rows", got[0].End, got[len(got)-1].End)
	}

	same, _ := entries(t, "orders", `
{"customer":"ada","order_id":"o1","ordered_at":"2025-12-24T18:00:00+01:00","currency":"GBP","total":30.00,"products":[{"product_id":"mug","price":12.50,"quantity":2},{"product_id":"pin","price":5,"quantity":1}]}
`)
	check(t, "JSON", told(t, same), strings.Replace(want[0], "2 ada", "2 ada", 1))
	again, _ := entries(t, "orders", csv)
	for i := range got {
		for j, e := range got[i].Events {
			if id := again[i].Events[j].GetId(); id != e.GetId() {
				t.Errorf("event id of line %d, read again: got %s, want %s", got[i].Line, id, e.GetId())
			}
		}
	}
}

// What is known of customers, each thing at its own time.
func TestCustomers(t *testing.T) {
	got, unused := entries(t, "customers", "\ufeffcustomer;email;first_name;subscribed;subscribed_at;as_of;favourite colour\n"+
		"ada;ada@shop.example;Ada;yes;2025-06-01T00:00:00Z;2025-07-01T00:00:00Z;blue\n"+
		"bob;bob@shop.example;;false;;;\n")
	check(t, "customers", told(t, got),
		`2 ada 2025-07-01T00:00:00Z {"identify":{"email":"ada@shop.example","firstName":"Ada","traits":{"favourite_colour":"blue"}}}`,
		`2 ada 2025-06-01T00:00:00Z {"subscription":{"subscribed":true}}`,
		`3 bob 2026-03-01T09:00:00Z {"identify":{"email":"bob@shop.example"}}`,
		`3 bob 2026-03-01T09:00:00Z {"subscription":{}}`)
	check(t, "unused columns", unused)
}

// Who must not be mailed, by id or by address.
func TestSuppressions(t *testing.T) {
	got, _ := entries(t, "suppressions", "customer,email,at\nada,,2025-06-01T00:00:00Z\n,Bob@shop.example,\n")
	check(t, "suppressions", told(t, got),
		`2 ada 2025-06-01T00:00:00Z {"subscription":{}}`,
		`3 Bob@shop.example 2026-03-01T09:00:00Z {"subscription":{}}`)
	if got[0].Email != "" || got[1].Email != "Bob@shop.example" {
		t.Errorf("addresses to find a customer of: got %q, %q, want the second alone", got[0].Email, got[1].Email)
	}
}

// What is wrong names its line and its column, as the file has them; the next
// row is read all the same.
func TestWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		kind, file string
		want       []string
	}{
		{"orders", "customer,order_id,ordered_at,product_id,price\nada,o1,yesterday,,\n,o2,2026-01-01T00:00:00Z,mug,1\nada,o3,2026-01-01T00:00:00Z,mug,1\nada,o3,2026-01-01T00:00:00Z,pin,dear\nada,o4\n", []string{
			`line 2: ordered_at: got "yesterday", want a time with its zone, such as 2026-03-29T12:00:00Z`,
			`line 3: customer: got nothing, want who ordered: the userId that the storefront sends`,
			`line 5: price: got "dear", want a decimal amount such as 12.50`,
			`line 6: got 2 fields, want 5 as in the header`}},
		{"customers", "customer,email,subscribed,subscribed_at,accepts_marketing\nada,nowhere,,,\nbob,,true,,\ncarol,,perhaps,,\ndan,,,,true\n\"e\xffa\",,,,\n", []string{
			`line 2: email: got "nowhere", want an e-mail address such as ada@example.com`,
			`line 3: subscribed_at: got nothing, want when they said so: what they said since counts more`,
			`line 4: subscribed: got "perhaps", want true or false`,
			`line 5: a column says whether they want e-mail: call it subscribed, and say in subscribed_at since when`,
			`line 6: customer: got bytes that are not UTF-8; iconv -f latin1 -t utf-8 may be what the file needs`}},
		{"suppressions", `{"reason":"asked"}` + "\n[1]\n" + `{"customer":"ada"}{}`, []string{
			`line 1: customer: got nothing, want a customer or an email`,
			`line 2: got "[1]", want one JSON object`,
			`line 3: got "{\"customer\":\"ada\"}{}", want one JSON object`}},
	} {
		all, _ := entries(t, tc.kind, tc.file)
		check(t, tc.kind, told(t, all), tc.want...)
	}
	for file, want := range map[string]string{
		"":                               "got nothing, want a header",
		"customer,total\na,1":            "line 1: got the columns customer, total; want also order_id, ordered_at",
		"{" + strings.Repeat(" ", 2<<20): "line 1: got more than 1048576 bytes",
	} {
		r, err := NewReader(strings.NewReader(file), kind(t, "orders"), Options{})
		if err == nil {
			_, err = r.Next()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %s", file, err, want)
		}
	}
}
