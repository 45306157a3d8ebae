package customer

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

const monday = int64(1_768_212_000_000) // 2026-01-12T10:00Z

// event is one as it lies in the log, at an instant.
func encoded(t tb, line string, at int64) []byte {
	w := &world{t: t}
	_, e := w.event(line, at)
	e.Id = fmt.Sprint(line, at)
	return schemas.Encode(e)
}

func loaded(t tb, pb *playbook.Playbook) *Task {
	task := NewTask(shelf{pb.Version: pb}, TaskOptions{Salt: "salt"})
	if err := task.Load(context.Background(), pb.Version); err != nil {
		t.Fatal(err)
	}
	return task
}

// A delivery holds all that the sender needs.
func TestDelivery(t *testing.T) {
	w := newWorld(t, monday)
	var got *schemas.Delivery
	w.seen = func(_ int64, o stream.Output) {
		var c schemas.DeliveryCommand
		if o.Topic == schemas.Deliveries && schemas.Decode(o.Value, &c) == nil && got == nil {
			got = c.GetSend()
		}
	}
	w.inForce(parse(t, strings.Replace(shop(t), "[Still thinking it over?]", "[Still thinking it over?, \"Your {{ cart.items[0].name }}\"]", 1)))
	for _, line := range []string{"ada identify email=ada@example.com name=Ada", "ada subscribe", "ada cart_add sku=mug price=12.50 qty=2 url=https://alder.example/cart cart=c1", "ada cart_add sku=chair price=1250"} {
		key, e := w.event(line, monday)
		w.record(monday, key, e)
	}
	w.until(monday + 3_600_000)
	if got == nil {
		t.Fatal("no delivery an hour after the cart was left")
	}
	var context map[string]any
	if err := json.Unmarshal(got.GetContextJson(), &context); err != nil {
		t.Fatal(err)
	}
	shown, _ := json.Marshal(context)
	want := `{"brand":{"address":"1 Mill Lane, Stroud, GL5 1AA","promises":null},` +
		`"cart":{"currency":"GBP","items":[{"category":"","image_url":"","name":"mug","price":"£12.50","quantity":2,"url":""},` +
		`{"category":"","image_url":"","name":"chair","price":"£1,250.00","quantity":1,"url":""}],"url":"https://alder.example/cart","value":"£1,275.00"},` +
		`"customer":{"country":"","email":"ada@example.com","first_name":"Ada","language":"","last_name":"","traits":{}},` +
		`"store":{"name":"Alder & Oak","url":"https://alder.example"}}`
	if string(shown) != strings.ReplaceAll(want, "&", `\u0026`) {
		t.Errorf("context:\ngot  %s\nwant %s", shown, want)
	}
	due := monday + 3_600_000
	if got.GetProbability() != 0.5 || got.GetVariant() != "1" && got.GetVariant() != "2" {
		t.Errorf("variant %q with probability %v, want one of two", got.GetVariant(), got.GetProbability())
	}
	got.Variant, got.Probability, got.Subject, got.ContextJson = "", 0, "", nil
	if !proto.Equal(got, &schemas.Delivery{
		Id: profile.Derive("delivery", "ada", "cart", fmt.Sprintf("c1@%d", monday), "0", ""), Customer: "ada", Journey: "cart", Step: 1,
		Instance: fmt.Sprintf("c1@%d", monday), Message: "reminder", Playbook: w.pb.Version, DecidedAt: schemas.Timestamp(due), DueAt: schemas.Timestamp(due),
		GiveUpAt: schemas.Timestamp(due + w.pb.Messages["reminder"].GiveUp), Reason: "journey cart, step 1", To: "ada@example.com", ToName: "Ada",
		From: w.pb.Brand.From, Template: "mail.html", PostalAddress: "1 Mill Lane, Stroud, GL5 1AA", Topics: []string{"cart"},
	}) {
		t.Errorf("delivery: %v", got)
	}
}

func TestTemplatesAreShownWhatTheyMayName(t *testing.T) {
	shown := map[string]bool{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		shown[path] = true
		if m, ok := v.(map[string]any); ok {
			for name, v := range m {
				walk(strings.TrimPrefix(path+"."+name, "."), v)
			}
		}
	}
	b, err := json.Marshal(show(&profile.Profile{}, parse(t, shop(t)), 0))
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	walk("", v)
	for _, name := range playbook.TemplateNames {
		if !strings.HasSuffix(name, "_url") && !shown[name] { // those are the sender's
			t.Errorf("%s is a name for templates, but no delivery holds it", name)
		}
	}
}

func TestMoney(t *testing.T) {
	for _, c := range []struct {
		micros   int64
		currency string
		want     string
	}{
		{12_500_000, "GBP", "£12.50"}, {1_234_567_890_000, "EUR", "€1,234,567.89"}, {-5_000_000, "USD", "-$5.00"},
		{1_250_000_000, "JPY", "¥1,250"}, {9_995_000, "CHF", "10.00 CHF"}, {0, "", "0.00"}, {999_000_000, "", "999.00"},
	} {
		if got := money(c.micros, c.currency); got != c.want {
			t.Errorf("money(%d, %q) = %q, want %q", c.micros, c.currency, got, c.want)
		}
	}
}

// What Publish writes is readable, and Restore finds the fold in it.
func TestPublish(t *testing.T) {
	pb := parse(t, shop(t))
	task := loaded(t, pb)
	p := task.New("ada")
	for i, line := range []string{"ada identify email=ada@example.com zone=Europe/London", "ada subscribe", "ada order order=o1 total=20", "ada cart_add cart=c1 sku=mug price=12.50"} {
		at := monday + int64(i)
		if _, _, err := task.Advance(p, stream.Input{Key: "ada", Now: at, Value: encoded(t, line, at), Version: pb.Version}); err != nil {
			t.Fatal(err)
		}
	}
	value := task.Publish("ada", p, []byte("fold"))
	fold, err := task.Restore(value)
	if err != nil || string(fold) != "fold" {
		t.Errorf("Restore = %q, %v, want what Publish was given", fold, err)
	}
	var m schemas.CustomerProfile
	if err := schemas.Decode(value, &m); err != nil {
		t.Fatal(err)
	}
	if m.GetEmail() != "ada@example.com" || m.GetConsent() != "subscribed" || m.GetOrderCount() != 1 || m.GetOrderValueMicros() != 20e6 ||
		len(m.GetCarts()) != 1 || m.GetCarts()[0].GetValueMicros() != 12_500_000 || len(m.GetSegments()) != 1 || len(m.GetJourneys()) != 1 ||
		schemas.Millis(m.GetNextWakeUpAt()) != monday+3+3_600_000 {
		t.Errorf("published: %v", &m)
	}
	if _, err := task.Restore([]byte{0xff}); err == nil {
		t.Error("Restore takes bytes that Publish never wrote")
	}
}

// Somebody who does as much of everything as is remembered, with the longest
// texts, still fits a record.
func TestFullestProfileFitsARecord(t *testing.T) {
	pb := parse(t, shop(t))
	task := loaded(t, pb)
	p, now, n := task.New("ada"), monday, 0
	happens := func(e *schemas.Event) {
		n, now = n+1, now+1
		e.Id = fmt.Sprint(n)
		if _, _, err := task.Advance(p, stream.Input{Key: "ada", Now: now, Value: schemas.Encode(e), Version: pb.Version}); err != nil {
			t.Fatal(err)
		}
	}
	long := func(length int) string { return fmt.Sprintf("%0*d", length, n) } // another one each time
	products := func(count int) (all []*schemas.Product) {
		for range count {
			n++
			text, url := long(profile.MaxText), long(profile.MaxURL)
			all = append(all, &schemas.Product{Id: text, Name: text, Category: text, Url: url, ImageUrl: url, PriceMicros: 1 << 40, Quantity: 1})
		}
		return all
	}
	for range profile.MaxOrders {
		happens(&schemas.Event{OccurredAt: schemas.Timestamp(monday - 1<<32), Body: &schemas.Event_Order{Order: &schemas.Order{
			OrderId: long(profile.MaxText), TotalMicros: 1 << 40, Products: products(profile.MaxBought)}}})
	}
	for range profile.MaxCarts {
		happens(&schemas.Event{Body: &schemas.Event_Cart{Cart: &schemas.CartChange{Change: schemas.CartChange_REPLACED,
			CartId: long(profile.MaxText), Url: long(profile.MaxURL), Products: products(profile.MaxItems)}}})
	}
	for range profile.MaxSeen {
		text := long(profile.MaxText)
		happens(&schemas.Event{Body: &schemas.Event_View{View: &schemas.View{Product: products(1)[0]}}})
		happens(&schemas.Event{Body: &schemas.Event_Named{Named: &schemas.Named{Name: text}}})
		happens(&schemas.Event{Body: &schemas.Event_Ticket{Ticket: &schemas.Ticket{TicketId: text}}})
		happens(&schemas.Event{Body: &schemas.Event_Identify{Identify: &schemas.Identify{Traits: map[string]string{text: long(profile.MaxURL)}}}})
	}
	if len(p.Orders.Recent) != profile.MaxOrders || len(p.Carts) != profile.MaxCarts || len(p.Carts[0].Items) != profile.MaxItems ||
		len(p.Views.Recent) != profile.MaxViews || len(p.Traits) != profile.MaxTraits {
		t.Fatalf("%d orders, %d carts, %d views, %d traits: want as many as there can be", len(p.Orders.Recent), len(p.Carts), len(p.Views.Recent), len(p.Traits))
	}
	const most = 1_000_000 - 2*maxName // what the runtime writes at most
	if n := len(task.Publish("ada", p, task.Encode(nil, p))); n > most {
		t.Errorf("published in %d bytes, want at most %d", n, most)
	}
}

func TestWhatCannotBeFolded(t *testing.T) {
	pb := parse(t, shop(t))
	task := loaded(t, pb)
	for _, c := range []struct {
		in   stream.Input
		want string
	}{
		{stream.Input{Key: "ada", Now: 1, Value: []byte("{"), Version: pb.Version}, "decode event"},
		{stream.Input{Key: "ada\xff", Now: 1, Value: encoded(t, "ada visit", 1), Version: pb.Version}, "want a customer in UTF-8"},
		{stream.Input{Key: "ada", Now: 1, Value: encoded(t, "ada visit", 1), Version: "other@1"}, `playbook "other@1" is in force but not loaded`},
		{stream.Input{Key: "ada", Now: 1, Version: pb.Version, Value: schemas.Encode(&schemas.Event{Body: &schemas.Event_Merge{
			Merge: &schemas.Merge{From: "bob", State: []byte("x")}}})}, `what was known of "bob"`},
		{stream.Input{Key: "ada", Now: 1, Value: encoded(t, "ada becomes known="+strings.Repeat("a", maxName+1), 1), Version: pb.Version}, "a name of 257 bytes, want at most 256"},
	} {
		if _, _, err := task.Advance(task.New("ada"), c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Advance(%.20q…) = %v, want %q", c.in.Value, err, c.want)
		}
	}
}

func TestZones(t *testing.T) {
	task := NewTask(shelf{}, TaskOptions{})
	for name, want := range map[string]string{"America/New_York": "America/New_York", "": "UTC", "Local": "UTC", "local": "UTC", "Mars/Olympus": "UTC", "../etc/passwd": "UTC"} {
		for range 2 {
			if got := task.zone(name, time.UTC).String(); got != want {
				t.Errorf("zone(%q) = %s, want %s", name, got, want)
			}
		}
	}
	task.zones.Range(func(name, _ any) bool {
		if name != "America/New_York" {
			t.Errorf("%q is kept: names that there are not have no end", name)
		}
		return true
	})
}

// Any bytes, as an event, under a name that stands for another or not: no panic,
// the same again from the profile's bytes, and a next wake-up that lies ahead.
func FuzzAdvance(f *testing.F) {
	pb := parse(f, shop(f))
	for _, line := range []string{"ada identify email=ada@example.com zone=Europe/London", "ada subscribe", "ada unsubscribe", "ada visit", "ada view sku=mug category=kitchen",
		"ada cart_add cart=c1 sku=mug price=12.50", "ada cart_remove sku=mug", "ada checkout", "ada order order=o1 total=20", "ada order_cancelled order=o1",
		"ada named name=Quiz", "ada becomes known=bob", "ada forget", "ada bounced", "ada opened", "ada order total=3 ago=400d"} {
		f.Add(encoded(f, line, monday))
	}
	f.Add([]byte(`{"id":"1","cart":{"change":"ADDED","product":{"id":"mug","priceMicros":"12500000"}}}`))
	f.Add(schemas.Encode(&schemas.Event{Body: &schemas.Event_Merge{Merge: &schemas.Merge{From: "anon", State: profile.Encode(nil, &profile.Profile{
		Customer: "anon", Carts: []profile.Cart{{ID: "c", StartedAt: 1 << 62, ChangedAt: 1 << 62, Items: []profile.Item{{Product: "mug", Quantity: 1}}}}})}}}))
	f.Add(schemas.Encode(&schemas.Event{Body: &schemas.Event_Merge{Merge: &schemas.Merge{From: "anon", Forwarded: &schemas.Event{Body: &schemas.Event_Order{Order: &schemas.Order{}}}}}}))
	f.Fuzz(func(t *testing.T, value []byte) {
		task := &strict{Task: loaded(t, pb), t: t}
		p := task.New("ada")
		step := func(in stream.Input) int64 {
			in.Key, in.Version = "ada", pb.Version
			decisions, next, err := task.Advance(p, in)
			if err == nil {
				task.composed(p, in, decisions)
				task.Publish("ada", p, nil)
			}
			return next
		}
		step(stream.Input{Now: monday, Value: encoded(t, "ada cart_add sku=jug price=30", monday)})
		step(stream.Input{Now: monday + 1, Value: value})
		next := step(stream.Input{Now: monday + 2, Value: encoded(t, "ada subscribe", monday)})
		for i := 0; next != 0 && i < 50; i++ {
			next = step(stream.Input{Now: next, Offset: -1})
		}
		step(stream.Input{Now: monday + 1<<40, Value: value})
	})
}
