package basket

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// history reads baskets: products by spaces, baskets by bars.
func history(text string) (baskets [][]string) {
	for _, products := range strings.Split(text, "|") {
		baskets = append(baskets, strings.Fields(products))
	}
	return baskets
}

func next(m *Model, past string, n int) string {
	var products []string
	for _, r := range m.Next(PastOf(history(past)), n) {
		products = append(products, r.Product)
	}
	return strings.Join(products, " ")
}

// Everyone buys milk each time, and a pot once. Ada, who had a pot and milk, is
// offered milk; eve, who had neither, is offered both.
func TestMilkComesBackAndPotsDoNot(t *testing.T) {
	var customers [][][]string
	for i := range 50 {
		customers = append(customers, history("pot milk | milk | milk | milk tea"))
		if i%5 == 0 {
			customers = append(customers, history("jam | jam"))
		}
	}
	m := Learn(customers)
	for _, tc := range []struct{ past, want string }{
		{"pot milk", "milk tea pot"},
		{"jam", "jam milk pot tea"},
		{"", "milk pot tea jam"},
		{"caviar", "caviar milk"}, // as likely as what is known
	} {
		if got := next(m, tc.past, 4); !strings.HasPrefix(got, tc.want) {
			t.Errorf("next of %q = %s, want %s", tc.past, got, tc.want)
		}
	}
}

// Of two products as frequent the one bought lately comes back, where customers
// change what they buy.
func TestLatelyBeforeLongAgo(t *testing.T) {
	var customers [][][]string
	for i := range 60 {
		a, b := fmt.Sprint("a", i%7), fmt.Sprint("b", i%7)
		customers = append(customers, history(strings.NewReplacer("a", a, "b", b).Replace("a|a|a|b|b|b|b")))
	}
	if got := next(Learn(customers), "a1|a1|b1|b1", 1); got != "b1" {
		t.Errorf("next = %s, want b1, which was bought lately", got)
	}
}

func TestPast(t *testing.T) {
	got := PastOf(history("a b a || b | c"))
	want := Past{Baskets: 3, Bought: []Bought{{"a", 1, 3}, {"b", 2, 2}, {"c", 1, 1}}}
	if got.Baskets != want.Baskets || !slices.Equal(got.Bought, want.Bought) {
		t.Errorf("PastOf = %+v, want %+v: of 3 baskets, an empty one not counted", got, want)
	}
	if got := PastOf(nil); got.Baskets != 0 || got.Bought != nil {
		t.Errorf("PastOf(nil) = %+v, want nothing", got)
	}
}

func TestGroups(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 0, 2: 1, 5: 4, 6: 4, 7: 5, 79: 11, 80: 12, 1 << 40: 12} {
		if got := group(n); got != want {
			t.Errorf("group(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestFewAndOddCustomers(t *testing.T) {
	long := make([]string, 10_000)
	for i := range long {
		long[i] = fmt.Sprint(i)
	}
	for name, customers := range map[string][][][]string{
		"none":                  nil,
		"one without a basket":  {nil},
		"one with an empty one": {history("")},
		"one basket":            {history("a b")},
		"the same each time":    {history("a a|a|a|a")},
		"a very long basket":    {{long}},
		"what is long gone":     {history("a" + strings.Repeat("|b", 3*taught))},
	} {
		m := Learn(customers)
		if err := m.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, past := range []string{"", "a", "unknown", strings.Repeat("a|", 500)} {
			known := len(m.Products)
			for _, b := range PastOf(history(past)).Bought {
				if !slices.Contains(m.Products, b.Product) {
					known++
				}
			}
			if got := m.Next(PastOf(history(past)), 3); len(got) != min(3, known) {
				t.Errorf("%s: next of %.10q = %v, want %d", name, past, got, min(3, known))
			}
		}
	}
}

func someCustomers() *rapid.Generator[[][][]string] {
	product := rapid.Map(rapid.IntRange(0, 8), func(i int) string { return string(rune('a' + i)) })
	return rapid.SliceOfN(rapid.SliceOfN(rapid.SliceOfN(product, 0, 5), 0, 8), 0, 20)
}

// The same customers give the same model, in whichever order, and one that was
// written and read ranks the same; ranks are chances that fall, each product once.
func TestOrderMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		customers := someCustomers().Draw(t, "customers")
		m := Learn(customers)
		written, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := json.Marshal(Learn(rapid.Permutation(customers).Draw(t, "shuffled"))); string(again) != string(written) {
			t.Fatalf("of %q in another order:\n%s\n%s", customers, written, again)
		}
		var read Model
		if err := errors.Join(json.Unmarshal(written, &read), read.Check()); err != nil {
			t.Fatalf("read %s: %v", written, err)
		}
		past := PastOf(append(customers, nil)[0])
		n := rapid.IntRange(0, 12).Draw(t, "n")
		ranked := m.Next(past, n)
		turned := Past{past.Baskets, rapid.Permutation(past.Bought).Draw(t, "turned")}
		if second := read.Next(turned, n); !slices.Equal(ranked, second) {
			t.Fatalf("next of %+v: %v, and read and turned: %v", past, ranked, second)
		}
		seen := map[string]bool{}
		for i, r := range ranked {
			if !(r.Chance >= 0 && r.Chance <= 1) || i > 0 && r.Chance > ranked[i-1].Chance || seen[r.Product] {
				t.Fatalf("next of %+v: got %v, want chances that fall, each product once", past, ranked)
			}
			seen[r.Product] = true
		}
		if want := min(n, len(m.Products)); len(ranked) != want {
			t.Fatalf("next of %+v: got %d, want %d", past, len(ranked), want)
		}
	})
}

// tafeng are the baskets of 13,858 customers of a grocery, in order.
func tafeng(t testing.TB) map[string][][]string {
	t.Helper()
	file, err := os.Open("../../../../shared/data/tafeng_nbr/tafeng_merged.json.gz")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%v: the data lie beside the repository, in shared/data", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var numbers map[string][][]json.Number
	if err := json.NewDecoder(text).Decode(&numbers); err != nil {
		t.Fatal(err)
	}
	customers := map[string][][]string{}
	for customer, baskets := range numbers {
		for _, products := range baskets {
			names := make([]string, len(products))
			for i, p := range products {
				names[i] = p.String()
			}
			customers[customer] = append(customers[customer], names)
		}
	}
	return customers
}

// The last basket of each customer is told from those before.
func TestNextBasketsOfTaFeng(t *testing.T) {
	customers := tafeng(t)
	var before [][][]string
	ids := slices.Sorted(maps.Keys(customers))
	for _, id := range ids {
		before = append(before, customers[id][:len(customers[id])-1])
	}
	var next [][]string
	for i, id := range ids {
		next = append(next, customers[id][len(before[i])])
	}
	e := Evaluate(before, next)
	if got := e.Model[10-1]; got.Recall() < .13 || got.HitRate() < .41 {
		t.Errorf("got Recall@10 %.4f, PHR@10 %.4f, want .13, .41 or more", got.Recall(), got.HitRate())
	}
	if e.Popularity[10-1].Recall() > .09 || e.OverPopularity.Mean < .05 || e.OverPersonal.Mean < .02 {
		t.Errorf("got %+v above popularity's %.4f and %+v above personal frequency's %.4f, want .05 and .02",
			e.OverPopularity, e.Popularity[10-1].Recall(), e.OverPersonal, e.Personal[10-1].Recall())
	}
}

// Personal frequency offers what was bought and nothing else, popularity the same
// to everyone; who has no next basket is not asked.
func TestBaselines(t *testing.T) {
	before := [][][]string{history("a|a b"), history("b|c"), nil, history("b")}
	e := Evaluate(before, [][]string{{"a", "a", "x"}, {"b"}, {"b"}, nil})
	if e.Customers != 3 || e.New != 1 {
		t.Errorf("got %d customers, %d new, want 3, 1", e.Customers, e.New)
	}
	for k, want := range map[int][2]float64{1: {2. / 3, .5 / 3}, 2: {2.5 / 3, 1.5 / 3}} {
		popular, personal := e.Popularity[k-1].Recall(), e.Personal[k-1].Recall()
		if popular != want[0] || math.Abs(personal-want[1]) > 1e-15 {
			t.Errorf("lists of %d: got recall %v of popularity, %v of personal frequency, want %v", k, popular, personal, want)
		}
	}
	if none := Evaluate(nil, nil); none.Customers != 0 || none.Model[9].Recall() != 0 {
		t.Errorf("of nobody: got %d customers, recall %v", none.Customers, none.Model[9].Recall())
	}
}

func TestModelsThatAreNone(t *testing.T) {
	for _, tc := range []struct {
		name string
		harm func(*Model)
		want string
	}{
		{"too few chances", func(m *Model) { m.First = m.First[1:] }, "got 2 of first, 3 of returns, want one for each of 3 products"},
		{"no chance", func(m *Model) { m.First[0] = 1.5 }, `first[0] ("a"): got 1.5, want a chance`},
		{"out of order", func(m *Model) { m.First[2] = .9 }, `first[2] ("c"): got 0.9`},
		{"less than never", func(m *Model) { m.Returns[1] = -1 }, `returns[1] ("b"): got -1, want 0 or more`},
		{"no rate", func(m *Model) { m.Again[1][0][2] = 2 }, "again[1][0][2]: got 2, want a chance"},
		{"twice", func(m *Model) { m.Products[2] = "a" }, "got one twice"},
	} {
		m := Learn([][][]string{history("a b c | a b | a")})
		tc.harm(m)
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
}

// What is read either is refused, or can be asked anything.
func FuzzModel(f *testing.F) {
	for _, customers := range [][][][]string{nil, {history("a b c | a b | a"), history("b | b d")}} {
		written, err := json.Marshal(Learn(customers))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(written)
	}
	f.Fuzz(func(t *testing.T, written []byte) {
		var m Model
		if json.Unmarshal(written, &m) != nil || m.Check() != nil {
			return
		}
		for _, past := range []string{"", "a|b a"} {
			for _, r := range m.Next(PastOf(history(past)), 3) {
				if !(r.Chance >= 0 && r.Chance <= 1) {
					t.Fatalf("next of %q: got %v, want a chance", past, r)
				}
			}
		}
	})
}

func BenchmarkNext(b *testing.B) {
	var customers [][][]string
	for i := range 2000 {
		var h [][]string
		for j := range 10 {
			h = append(h, []string{fmt.Sprint(i % 100), fmt.Sprint(i * j), fmt.Sprint(j)})
		}
		customers = append(customers, h)
	}
	m, past := Learn(customers), PastOf(customers[77])
	b.Run(fmt.Sprintf("bought=%d", len(past.Bought)), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Next(past, 10)
		}
	})
}
