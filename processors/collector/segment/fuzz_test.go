package segment

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"segue/schemas"
)

// FuzzBatch: whatever comes, what is taken can be written, has its key, and lies
// within its bounds.
func FuzzBatch(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	spec, err := filepath.Glob("testdata/spec/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(paths, spec...) {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for part := range strings.SplitSeq(string(text), "\n----\n") {
			if i := strings.Index(part, "\n{"); i >= 0 {
				f.Add([]byte(part[i+1:]))
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, endpoint := range []string{"", "batch", "track", "identify", "page", "alias", "group"} {
			b, err := Read(endpoint, body)
			if err != nil {
				continue
			}
			const now = 1_772_445_600_000
			taken, err := b.Take(Receipt{At: now, Source: "shop", NewID: func() string { return "new" }})
			if err != nil && taken != nil {
				t.Fatalf("%s: got events and %v, want one of them", endpoint, err)
			}
			for _, x := range taken {
				if len(x.Events) == 0 {
					t.Fatalf("%s: a call was taken and became nothing", endpoint)
				}
				for _, n := range x.Notes {
					if n.Field == "" || n.Costs == "" {
						t.Fatalf("%s: got note %+v", endpoint, n)
					}
				}
				for _, e := range x.Events {
					if err := sound(e, now); err != nil {
						t.Fatalf("%s: %v: %v", endpoint, e, err)
					}
				}
			}
		}
	})
}

func sound(e *schemas.Event, now int64) error {
	again := new(schemas.Event)
	if err := schemas.Decode(schemas.Encode(e), again); err != nil {
		return err
	}
	switch {
	case e.GetCustomer() == "" || len(e.GetCustomer()) > maxID:
		return fmt.Errorf("customer of %d bytes", len(e.GetCustomer()))
	case e.GetId() == "":
		return errors.New("no id")
	case schemas.Millis(e.GetOccurredAt()) > now:
		return fmt.Errorf("occurred after it was received")
	case e.GetOutcome() != nil || e.GetMerge() != nil || e.GetForget() != nil || e.IsControl():
		return errors.New("it is ours to write")
	case e.GetLink() != nil && (e.GetLink().GetKnown() == "" || e.GetLink().GetKnown() == e.GetCustomer()):
		return errors.New("a link that leads nowhere")
	case e.GetOrder().GetFree() && e.GetOrder().GetTotalMicros() != 0:
		return errors.New("free, and of a price")
	}
	for _, address := range []string{e.GetIdentify().GetEmail(), e.GetRejection().GetAddress()} {
		if strings.ContainsAny(address, "\r\n<>, ") || address != "" && !strings.Contains(address, "@") || len(address) > maxEmail {
			return fmt.Errorf("address %q", address)
		}
	}
	for _, code := range []string{e.GetView().GetCurrency(), e.GetCart().GetCurrency(), e.GetOrder().GetCurrency(), e.GetOrderCancelled().GetCurrency()} {
		if code != "" && !(len(code) == 3 && isUpper(code)) {
			return fmt.Errorf("currency %q", code)
		}
	}
	shown := append(e.GetCart().GetProducts(), e.GetOrder().GetProducts()...)
	for _, p := range append(shown, e.GetCart().GetProduct(), e.GetView().GetProduct()) {
		for _, address := range []string{p.GetUrl(), p.GetImageUrl(), e.GetCart().GetUrl()} {
			if address != "" && !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") {
				return fmt.Errorf("address %q", address)
			}
		}
	}
	var sum int64
	for _, p := range append(e.GetOrder().GetProducts(), e.GetCart().GetProducts()...) {
		if sum += p.GetPriceMicros() * max(1, p.GetQuantity()); p.GetPriceMicros() < 0 || sum < 0 || sum > maxUnits*microsPerUnit {
			return fmt.Errorf("sum %d", sum)
		}
	}
	return nil
}

// FuzzMoney: an amount is read digit by digit as exact arithmetic reads it.
func FuzzMoney(f *testing.F) {
	for _, s := range []string{"12.50", "-3", "18.990000000000002", "0.0000005", "1e3", "125e-2", "9e-999999999999", "0e99999999999", "100000000000",
		"100000000000.0000005", ".5", "5.", "+1", "1,5", "--1", "1e", "", " 7 ", "١"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, refused := parseMicros(s)
		want, ok := slowMicros(strings.TrimSpace(s))
		if ok != (refused == "") || ok && got != want {
			t.Fatalf("parseMicros(%q) = %d, %q; want %d, taken %t", s, got, refused, want, ok)
		}
	})
}

var decimal = regexp.MustCompile(`^(-?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?$`)

// slowMicros is an amount by rational numbers.
func slowMicros(s string) (micros int64, ok bool) {
	m := decimal.FindStringSubmatch(s)
	if m == nil || m[2]+m[3] == "" {
		return 0, false
	}
	mantissa, _ := new(big.Int).SetString(m[2]+m[3], 10)
	exponent := new(big.Int)
	if m[4] != "" {
		exponent.SetString(strings.TrimPrefix(m[4], "+"), 10)
	}
	exponent.Sub(exponent, big.NewInt(int64(len(m[3])-decimals)))
	limit := big.NewInt(maxUnits * microsPerUnit)
	bound := big.NewInt(int64(len(s) + 40)) // beyond it any digit is far too large, or nothing
	switch {
	case mantissa.Sign() == 0 || exponent.Cmp(new(big.Int).Neg(bound)) < 0:
		return 0, true
	case exponent.Cmp(bound) > 0:
		return 0, false
	}
	power := new(big.Int).Exp(big.NewInt(10), new(big.Int).Abs(exponent), nil)
	x := new(big.Rat).SetInt(power)
	if exponent.Sign() < 0 {
		x.Inv(x)
	}
	x.Mul(x, new(big.Rat).SetInt(mantissa))
	x.Add(x, big.NewRat(1, 2))
	rounded := new(big.Int).Quo(x.Num(), x.Denom())
	if rounded.Cmp(limit) > 0 {
		return 0, false
	}
	if m[1] == "-" {
		rounded.Neg(rounded)
	}
	return rounded.Int64(), true
}

// FuzzInstant: a time is what the calendar says, or refused.
func FuzzInstant(f *testing.F) {
	for _, s := range []string{"2026-03-02T10:00:00Z", "2026-03-02T10:00:00.123456789+05:30", "2024-02-29T23:59:59-23:59", "2025-02-29T00:00:00Z",
		"2026-03-02T24:00:00Z", "2026-03-02T1:00:00Z", "2026-03-02T10:00:00,5Z", "2026-03-02", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-03-02t10:00:00z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var problems Problems
		c := call{problems: &problems}
		c.fields = fields{call: &c, values: map[string]any{"timestamp": s}}
		got := c.instant("timestamp")
		want, ok := slowInstant(s)
		if s != "" && (ok != (len(problems) == 0) || ok && got != want) {
			t.Fatalf("instant(%q) = %d, %v; want %d, taken %t", s, got, problems, want, ok)
		}
	})
}

var iso8601 = regexp.MustCompile(`^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))$`)

// slowInstant counts the days of the years and months, one by one.
func slowInstant(s string) (ms int64, ok bool) {
	m := iso8601.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	n := func(i int) int64 {
		x, _ := strconv.ParseInt(m[i], 10, 64) // digits, or nothing: 0
		return x
	}
	leap := func(y int64) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }
	length := func(y, month int64) int64 {
		switch {
		case month == 2 && leap(y):
			return 29
		case month == 2:
			return 28
		case month == 4 || month == 6 || month == 9 || month == 11:
			return 30
		}
		return 31
	}
	if n(2) < 1 || n(2) > 12 || n(3) < 1 || n(3) > length(n(1), n(2)) || n(4) > 23 || n(5) > 59 || n(6) > 59 || n(9) > 23 || n(10) > 59 {
		return 0, false
	}
	days := n(3) - 1
	for y := int64(1970); y < n(1); y++ {
		days += 365
		if leap(y) {
			days++
		}
	}
	if n(1) < 1969 {
		return 0, false
	} else if n(1) == 1969 {
		days -= 365
	}
	for month := int64(1); month < n(2); month++ {
		days += length(n(1), month)
	}
	offset := (n(9)*60 + n(10)) * 60
	if m[8] == "-" {
		offset = -offset
	}
	fraction, _ := strconv.ParseInt((m[7] + "000")[:3], 10, 64)
	ms = ((days*24+n(4))*60+n(5))*60_000 + n(6)*1000 + fraction - offset*1000
	return ms, ms > 0
}

// FuzzProductAdded: what is taken is what a slow reading of the same JSON takes,
// and what that refuses is refused.
func FuzzProductAdded(f *testing.F) {
	f.Add(`"mug"`, `12.50`, `2`, `"gbp"`, `"c1"`, `"2026-03-02T09:00:00Z"`, `"2026-03-02T09:00:01Z"`)
	f.Add(`7`, `"1e2"`, `"3.0"`, `null`, `""`, `null`, `"2026-03-02T11:00:00Z"`)
	f.Add(`"mug"`, `-1`, `0`, `"pounds"`, `[]`, `"2027-03-02T09:00:00Z"`, `null`)
	f.Add(`"\ud800"`, `{}`, `1000001`, `7`, `"a\u0000"`, `"9"`, `true`)
	f.Fuzz(func(t *testing.T, product, price, quantity, currency, cart, at, sent string) {
		const now = 1_772_445_600_000
		body := fmt.Sprintf(`{"event":"Product Added","messageId":"m","userId":"ada","timestamp":%s,"sentAt":%s,"properties":{"product_id":%s,"price":%s,"quantity":%s,"currency":%s,"cart_id":%s}}`,
			at, sent, product, price, quantity, currency, cart)
		var said map[string]any
		decoder := json.NewDecoder(strings.NewReader(body))
		decoder.UseNumber()
		if decoder.Decode(&said) != nil || decoder.Decode(new(any)) != io.EOF || len(said) != 6 || len(body) > MaxItem {
			return // something else than those values: FuzzBatch's
		}
		properties, _ := said["properties"].(map[string]any)
		if len(properties) != 5 || said["event"] != "Product Added" || said["userId"] != "ada" || said["messageId"] != "m" {
			return
		}
		want, ok := slowProductAdded(said, properties, now)
		var got *schemas.Event
		b, err := Read("track", []byte(body))
		if err == nil {
			var events []*schemas.Event
			if events, err = b.Events(Receipt{At: now}); err == nil {
				got = events[0]
			}
		}
		if ok != (err == nil) {
			t.Fatalf("%s: got %v, want it taken: %t", body, err, ok)
		}
		if ok && want.String() != got.String() {
			t.Fatalf("%s:\ngot  %v\nwant %v", body, got, want)
		}
	})
}

func slowProductAdded(said, properties map[string]any, now int64) (*schemas.Event, bool) {
	ok := true
	text := func(value any) string {
		s := ""
		switch v := value.(type) {
		case nil:
		case string:
			s = v
		case json.Number:
			s = v.String()
		default:
			ok = false
		}
		ok = ok && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\uFFFD' })
		return s
	}
	amount := func(value any) int64 {
		if value == nil || value == "" {
			return 0
		}
		_, isText := value.(string)
		_, isNumber := value.(json.Number)
		micros, valid := slowMicros(strings.TrimSpace(fmt.Sprint(value)))
		ok = ok && (isText || isNumber) && valid && micros >= 0
		return micros
	}
	instant := func(value any) int64 {
		if value == nil || value == "" {
			return 0
		}
		s, isText := value.(string)
		ms, valid := slowInstant(s)
		ok = ok && isText && valid
		return ms
	}
	e := &schemas.Event{Id: "m", Customer: "ada", UserId: "ada", ReceivedAt: schemas.Timestamp(now)}
	at, sent := instant(said["timestamp"]), instant(said["sentAt"])
	if at != 0 {
		if sent != 0 {
			at = now - (sent - at)
		}
		ok = ok && at > 0
		e.OccurredAt = schemas.Timestamp(min(at, now))
	}
	p := &schemas.Product{Id: text(properties["product_id"]), PriceMicros: amount(properties["price"])}
	quantity := amount(properties["quantity"])
	p.Quantity = quantity / microsPerUnit
	currency := strings.ToUpper(text(properties["currency"]))
	cart := text(properties["cart_id"])
	worth := new(big.Int).Mul(big.NewInt(p.PriceMicros), big.NewInt(max(1, p.Quantity)))
	ok = ok && p.Id != "" && quantity%microsPerUnit == 0 && p.Quantity <= maxCount && worth.Cmp(big.NewInt(maxUnits*microsPerUnit)) <= 0 &&
		(currency == "" || regexp.MustCompile(`^[A-Z]{3}$`).MatchString(currency))
	e.Body = &schemas.Event_Cart{Cart: &schemas.CartChange{Change: schemas.CartChange_ADDED, CartId: cart, Currency: currency, Product: p}}
	if none := properties["quantity"] != nil && properties["quantity"] != "" && quantity == 0; none {
		texts := map[string]string{}
		for name, value := range properties {
			if s, isText := value.(string); isText {
				texts[name] = s
			} else if value != nil {
				texts[name] = fmt.Sprint(value)
			}
		}
		e.Body = &schemas.Event_Named{Named: &schemas.Named{Name: "Product Added", Properties: texts}}
	}
	return e, ok
}

// FuzzCatalog: what is taken is whole, within bounds, and encodes.
func FuzzCatalog(f *testing.F) {
	for _, s := range []string{`{"products":[{"product_id":"mug","name":"Mug","price":"12.50","currency":"GBP","stock":7,"url":"https://shop.example/mug"}]}`,
		`{"products":[{"sku":"mug","removed":true}]}`, `{"products":[{"id":"\ud800","name":"x"}]}`, `{"products":[0]}`, `{"products":null}`, `[]`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		listings, err := ReadCatalog(body, Receipt{At: 1, Source: "shop"})
		if err != nil && listings != nil {
			t.Fatalf("got %d products and %v", len(listings), err)
		}
		for _, l := range listings {
			if l.ID == "" || len(l.ID) > maxID {
				t.Fatalf("id of %d bytes", len(l.ID))
			}
			if l.Product == nil {
				continue
			}
			again := new(schemas.CatalogProduct)
			if err := schemas.Decode(schemas.Encode(l.Product), again); err != nil {
				t.Fatal(err)
			}
			p := again.GetProduct()
			if p.GetId() != l.ID || p.GetName() == "" || p.GetPriceMicros() < 0 || p.GetQuantity() != 0 || again.GetStock() < 0 || again.GetStock() > maxCount {
				t.Fatalf("took %v", again)
			}
			for _, address := range []string{p.GetUrl(), p.GetImageUrl()} {
				if address != "" && !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") {
					t.Fatalf("address %q", address)
				}
			}
		}
	})
}
