package profile

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write testdata anew")

// ada holds something in every field.
func ada() *Profile {
	const t = int64(1_767_600_000_000)
	items := []Item{{"mug", "Tin mug ♥", "kitchen", "https://alder.example/mug", "https://alder.example/mug.jpg", 12_500_000, 2}}
	return &Profile{
		Customer: "ada", RedirectTo: "grace", RedirectTrusted: true, Known: true, RefusedLinks: 1, Names: []string{"anon-7"}, Forgotten: t + 2, Email: "ada@example.com", FirstName: "Ada", LastName: "Lovelace",
		TimeZone: "Europe/London", Country: "GB", Language: "en-GB", Traits: []Trait{{"plan", "gold"}},
		Consent: Subscribed, ConsentAt: t + 1, Suppressed: "bounced", Bounced: []string{"ada@example.org"}, Holdout: true, FirstSeen: t, LastSeen: t + 1000,
		Orders: Orders{Tally{1, t, t}, 25_000_000, "GBP", 1, []Order{{"o1", t, 25_000_000, "EUR", items, true, true}}},
		Carts:  []Cart{{"c1", t + 5, t + 9, t + 6, "GBP", "https://alder.example/cart", items, []string{"cart"}}},
		Views:  Views{Tally{7, t, t + 8}, []View{{t + 8, "mug", "kitchen", 12_500_000}}},
		Visits: Tally{3, t, t + 2}, Sent: Tally{2, t, t + 3}, Opened: Tally{1, t + 4, t + 4}, Clicked: Tally{1, t + 5, t + 5},
		Tickets: Tickets{Tally{1, t, t}, []string{"T-1"}}, Named: []Named{{"Product List Filtered", t + 6, true}},
		Segments: []Membership{{"carts", t + 7}},
		Runs:     []Run{{"cart", "c1@1767600000005", "c1", t + 5, 1, t + 86_400_000, t + 90_000_000, "d1", 0, t + 3_600_000, true}},
		Mails:    []Mail{{"d1", t + 3_600_000}},
		Series:   []Series{{Need: 42, Count: 2, Points: []Point{{t + 8, 1, 12_500_000}}}},
		Seen:     []Seen{{0xfeedface, t + 9}}, SeenOverflow: 1, Playbook: "alder@0123456789ab", Next: t + 90_000_000,
		MachineOpens: 3, MachineClicks: 2, SoftBounces: []int64{t + 3, t + 9},
		Preferences: &Preferences{Choice{Weekly, []string{"news"}, t + 30*86_400_000}, t + 9, 0xdecade, Choice{Monthly, []string{"baskets"}, t + 8}, true, Subscribed},
		OnSite:      Rhythm{t + 9, [2]uint64{5, 1 << 63}}, InMail: Rhythm{t + 5, [2]uint64{1}},
		Scores: []Score{{1, 250_000, "", t + 9}, {7, 0, "mugs", t + 9}}, Models: "default@0123456789ab",
	}
}

func TestAdaHoldsEveryField(t *testing.T) {
	v := reflect.ValueOf(*ada())
	for i := range v.NumField() {
		if inMemory := v.Type().Field(i).Name == "Standing"; v.Field(i).IsZero() != inMemory {
			t.Errorf("%s is empty: give it a value, and the codec a line", v.Type().Field(i).Name)
		}
	}
}

// Profiles of every format ever written decode.
func TestEarlierFormats(t *testing.T) {
	three := ada()
	three.Orders.Discounted, three.Orders.Recent[0].Discounted, three.Named[0] = 0, false, Named{"Quiz Completed", three.Named[0].At, false}
	two := new(Profile)
	*two = *three
	two.RefusedLinks, two.OnSite, two.InMail, two.Scores, two.Models = 0, Rhythm{}, Rhythm{}, nil, ""
	one := new(Profile)
	*one = *two
	one.MachineOpens, one.MachineClicks, one.Preferences, one.SoftBounces = 0, 0, nil, nil
	for file, want := range map[string]*Profile{"testdata/profile-1.bin": one, "testdata/profile-2.bin": two, "testdata/profile-3.bin": three} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Decode(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Decode(%s) = %+v, %v, want %+v", file, got, err, want)
		}
	}
}

// Before format 3 nothing said who had been named by userId. Who can be guessed by
// strangers is taken for known; who has a browser's name can still log in.
func TestKnownBeforeItWasSaid(t *testing.T) {
	const drawn = "0b6e2c4e-6a3f-4f1c-9d5e-1f2a3b4c5d6e"
	for _, c := range []struct {
		of             Profile
		known, trusted bool
	}{
		{Profile{Customer: "ada"}, false, false},
		{Profile{Customer: "ada", Email: "ada@example.com"}, true, false},
		{Profile{Customer: drawn, Email: "ada@example.com"}, false, false},
		{Profile{Customer: drawn, Names: []string{"anon-7"}}, true, false},
		{Profile{Customer: drawn, RedirectTo: "ada"}, false, true},
	} {
		w := coder{format: 2}
		w.room(0)
		w.write(2)
		w.profile(&c.of)
		p, err := Decode(w.out[:w.at])
		if err != nil {
			t.Fatal(err)
		}
		if p.Known != c.known || p.RedirectTrusted != c.trusted {
			t.Errorf("%+v of format 2: known %v, trusted %v, want %v, %v", c.of, p.Known, p.RedirectTrusted, c.known, c.trusted)
		}
	}
}

func TestGolden(t *testing.T) {
	const file = "testdata/profile-4.bin"
	if *update {
		if err := os.WriteFile(file, Encode(nil, ada()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if want := ada(); !reflect.DeepEqual(got, want) {
		t.Errorf("Decode(%s) = %+v, want %+v", file, got, want)
	}
	if !bytes.Equal(Encode(nil, ada()), b) {
		t.Error("Encode gives other bytes than " + file)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		instants := rapid.Int64Range(0, 1<<42)
		p := &Profile{Customer: rapid.String().Draw(t, "customer"), FirstSeen: instants.Draw(t, "first"), Next: instants.Draw(t, "next")}
		for range rapid.IntRange(0, 5).Draw(t, "views") {
			p.Views.Recent = append(p.Views.Recent, View{instants.Draw(t, "at"), rapid.String().Draw(t, "product"), "", rapid.Int64().Draw(t, "price")})
		}
		got, err := Decode(Encode(nil, p))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, p) {
			t.Fatalf("got %+v, want %+v", got, p)
		}
	})
}

// The longest numbers wherever there is one, between texts and without any.
func TestLongestNumbers(t *testing.T) {
	p := ada()
	lengthen(reflect.ValueOf(p).Elem())
	p.Consent = Subscribed
	for n := range 2_000 { // however much room there happens to be
		b := Encode(make([]byte, n), p)
		if n == 0 || n == 1_999 {
			if got, err := Decode(b[n:]); err != nil || !reflect.DeepEqual(got, p) {
				t.Fatalf("got %+v, %v, want %+v", got, err, p)
			}
		}
	}
}

// lengthen makes all numbers in v as long as they get; an instant is coded as its
// difference to the one before, so they alternate.
func lengthen(v reflect.Value) {
	sign := int64(1)
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Pointer:
			walk(v.Elem())
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Int, reflect.Int64:
			v.SetInt(sign << 61)
			sign = -sign
		}
	}
	walk(v)
}

// Memory is bounded by Size: texts, which strangers fill, are part of it.
func TestSizeHoldsTexts(t *testing.T) {
	text, url := strings.Repeat("t", MaxText), strings.Repeat("u", MaxURL)
	items := []Item{{text, text, text, url, url, 1, 1}, {text, text, text, url, url, 1, 1}}
	for what, p := range map[string]*Profile{
		"orders":  {Orders: Orders{Recent: []Order{{ID: text, Items: items}}}},
		"carts":   {Carts: []Cart{{ID: text, URL: url, Items: items}}},
		"views":   {Views: Views{Recent: slices.Repeat([]View{{Product: text, Category: text}}, 10)}},
		"traits":  {Traits: slices.Repeat([]Trait{{text, text}}, 10)},
		"named":   {Named: slices.Repeat([]Named{{text, 1, false}}, 20)},
		"names":   {Names: slices.Repeat([]string{text}, 20)},
		"stopped": {Preferences: &Preferences{Choice: Choice{Stopped: slices.Repeat([]string{text}, MaxStopped)}}},
		"tickets": {Tickets: Tickets{Open: slices.Repeat([]string{text}, 20)}},
	} {
		if size, least := Size(p), len(Encode(nil, p)); size < least {
			t.Errorf("%s: Size = %d, but the bytes alone are %d", what, size, least)
		}
	}
}

// Nothing of whoever was in the memory before shows in who is decoded into it.
func TestDecodeInto(t *testing.T) {
	var p Profile
	full := ada()
	full.Orders.Recent = append(full.Orders.Recent, Order{ID: "o2"})
	full.Carts = append(full.Carts, Cart{ID: "c2", Done: []string{"welcome"}})
	full.Series = append(full.Series, Series{Need: 43, Count: 1})
	for _, next := range []*Profile{ada(), {Customer: "bob"}, full, ada(), {Customer: "cem", Carts: make([]Cart, 2), Series: make([]Series, 2),
		Orders: Orders{Recent: make([]Order, 2)}, Views: Views{Recent: make([]View, 1)}, Runs: make([]Run, 1), Traits: make([]Trait, 1), Seen: make([]Seen, 1)}} {
		p.Standing.Known = true
		want := Encode(nil, next)
		if err := DecodeInto(&p, want); err != nil {
			t.Fatal(err)
		}
		if got := Encode(nil, &p); !bytes.Equal(got, want) || p.Standing.Known {
			t.Errorf("%s is decoded as %+v", next.Customer, p)
		}
	}
	if err := DecodeInto(&p, []byte{format}); err == nil || !reflect.DeepEqual(p, Profile{}) {
		t.Errorf("DecodeInto of bytes that are cut short = %v, and leaves %+v", err, p)
	}
}

func TestDecodeCutShort(t *testing.T) {
	b := Encode(nil, ada())
	for n := range b {
		if _, err := Decode(b[:n]); err == nil {
			t.Fatalf("Decode of the first %d of %d bytes: got no error", n, len(b))
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode(nil, ada()))
	f.Add(Encode(nil, &Profile{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(Encode(nil, p))
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("decoded %+v, but encoded and decoded again %+v, %v", p, again, err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	p, buf := ada(), []byte(nil)
	for b.Loop() {
		buf = Encode(buf[:0], p)
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}

func BenchmarkDecode(b *testing.B) {
	buf := Encode(nil, ada())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeInto(b *testing.B) {
	p, buf := new(Profile), Encode(nil, ada())
	b.ReportAllocs()
	for b.Loop() {
		if err := DecodeInto(p, buf); err != nil {
			b.Fatal(err)
		}
	}
}
