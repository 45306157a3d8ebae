package pair

import (
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

// Bread and butter are bought together, and milk by everyone; who holds bread is
// offered butter before milk, and who holds nothing known is offered milk.
func TestBreadAndButter(t *testing.T) {
	var b Baskets
	for range 30 {
		b.Add("bread", "butter", "milk")
		b.Add("milk", "tea")
		b.Add("milk", "jam")
		b.Add("milk")
	}
	rules := b.Learn(Options{})
	if with, chance := rules.After("bread", 0); with != "butter" || chance != .5 {
		t.Errorf("After(bread, 0) = %s, %v, want butter, which is half of what lies beside bread", with, chance)
	}
	if with, _ := rules.After("bread", 1); with != "" {
		t.Errorf("After(bread, 1) = %s, want nothing: milk is no likelier beside bread than anywhere", with)
	}
	ranking := rules.Ranking()
	for _, tc := range []struct{ basket, want string }{
		{"bread", "butter milk"},
		{"butter bread bread", "milk"},
		{"", "milk bread"},
		{"caviar", "milk bread"},
	} {
		var got []string
		for _, r := range ranking.For(strings.Fields(tc.basket), 2) {
			got = append(got, r.Product)
		}
		if !strings.HasPrefix(strings.Join(got, " "), tc.want) {
			t.Errorf("For(%s) = %v, want %s", tc.basket, got, tc.want)
		}
	}
}

// Source: the tests of Apache Commons Math (GTestTest) and Mahout.
func TestPublishedRatios(t *testing.T) {
	for _, tc := range []struct {
		both, onlyA, onlyB, neither int
		want, within                float64
	}{
		{1, 0, 0, 1, 2.772589, 1e-6},
		{10, 0, 0, 10, 27.72589, 1e-5},
		{5, 1995, 0, 100000, 39.33052, 1e-5},
		{1000, 1995, 1000, 100000, 4730.737, 1e-3},
		{1000, 1000, 1000, 100000, 5734.343, 1e-3},
		{1000, 1000, 1000, 99000, 5714.932, 1e-3},
	} {
		table := Table{tc.both, tc.both + tc.onlyA, tc.both + tc.onlyB, tc.both + tc.onlyA + tc.onlyB + tc.neither}
		if got := table.LLR(); math.Abs(got-tc.want) > tc.within {
			t.Errorf("%+v.LLR() = %.6f, want %v", table, got, tc.want)
		}
		if got, want := table.Root(), math.Sqrt(tc.want); math.Abs(got-want) > tc.within {
			t.Errorf("%+v.Root() = %.6f, want %.6f", table, got, want)
		}
	}
	if got := (Table{1, 100, 100, 1000}).Root(); !(got < -3) {
		t.Errorf("Root of two that are together in 1 basket where chance has 10 = %v, want under -3", got)
	}
}

func tables() *rapid.Generator[Table] {
	return rapid.Custom(func(t *rapid.T) Table {
		both, onlyA, onlyB, neither := rapid.IntRange(0, 1000).Draw(t, "both"), rapid.IntRange(0, 1000).Draw(t, "only a"),
			rapid.IntRange(0, 1000).Draw(t, "only b"), rapid.IntRange(0, 1000000).Draw(t, "neither")
		return Table{both, both + onlyA, both + onlyB, both + onlyA + onlyB + neither}
	})
}

func TestRatioIsSymmetricAndNeverNegative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := tables().Draw(t, "table")
		got := table.LLR()
		if turned := (Table{table.Together, table.B, table.A, table.Baskets}).LLR(); got != turned {
			t.Fatalf("%+v.LLR() = %v, and %v with a and b exchanged", table, got, turned)
		}
		if !(got >= 0) || math.IsInf(got, 0) {
			t.Fatalf("%+v.LLR() = %v, want 0 or more", table, got)
		}
		if root := table.Root(); math.Abs(root*root-got) > 1e-9*got || table.Lift() > 1 && root < 0 || table.Lift() < 1 && root > 0 {
			t.Fatalf("%+v.Root() = %v with a ratio of %v and a lift of %v", table, root, got, table.Lift())
		}
	})
}

func TestNoRatioWithoutABond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, others, b, rest := rapid.IntRange(1, 100).Draw(t, "a"), rapid.IntRange(0, 100).Draw(t, "others"),
			rapid.IntRange(1, 100).Draw(t, "b"), rapid.IntRange(0, 100).Draw(t, "rest")
		// The share of b is the same with a and without.
		table := Table{a * b, a * (b + rest), b * (a + others), (a + others) * (b + rest)}
		if got := table.LLR(); got != 0 {
			t.Fatalf("%+v.LLR() = %v, want 0", table, got)
		}
	})
}

func someBaskets() *rapid.Generator[[][]string] {
	product := rapid.Map(rapid.IntRange(0, 8), func(i int) string { return string(rune('a' + i)) })
	return rapid.SliceOfN(rapid.SliceOfN(product, 0, 6), 0, 40)
}

func counted(baskets [][]string) *Baskets {
	b := new(Baskets)
	for _, products := range baskets {
		b.Add(products...)
	}
	return b
}

// What is counted is what one would count by hand.
func TestCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		baskets := someBaskets().Draw(t, "baskets")
		want := map[Pair]bool{}
		for a := 'a'; a <= 'i'; a++ {
			for b := a + 1; b <= 'i'; b++ {
				table := Table{Baskets: len(baskets)}
				for _, basket := range baskets {
					hasA, hasB := slices.Contains(basket, string(a)), slices.Contains(basket, string(b))
					table.Together += one(hasA && hasB)
					table.A += one(hasA)
					table.B += one(hasB)
				}
				if table.Together > 0 {
					want[Pair{string(a), string(b), table}] = true
				}
			}
		}
		got := map[Pair]bool{}
		for p := range counted(baskets).Pairs() {
			got[p] = true
		}
		if !maps.Equal(got, want) {
			t.Fatalf("pairs of %q:\n got %v\nwant %v", baskets, got, want)
		}
	})
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// Neither the order of baskets nor that within one changes a rule or a rank, and
// rules that were written and read say the same.
func TestOrderMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		baskets := someBaskets().Draw(t, "baskets")
		options := Options{MinLLR: rapid.SampledFrom([]float64{1e-9, 1, 5}).Draw(t, "least ratio"), MinTogether: 1, PerProduct: rapid.IntRange(1, 5).Draw(t, "per product")}
		rules := counted(baskets).Learn(options)
		written, err := json.Marshal(rules)
		if err != nil {
			t.Fatal(err)
		}
		shuffled := rapid.Permutation(baskets).Draw(t, "shuffled")
		if again, _ := json.Marshal(counted(shuffled).Learn(options)); string(again) != string(written) {
			t.Fatalf("rules of %q:\n%s\nin another order:\n%s", baskets, written, again)
		}
		var read Rules
		if err := errors.Join(json.Unmarshal(written, &read), read.Check()); err != nil {
			t.Fatalf("read %s: %v", written, err)
		}
		basket := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "unknown"}), 0, 4).Draw(t, "basket")
		n := rapid.IntRange(0, 10).Draw(t, "n")
		first := slices.Clone(rules.Ranking().For(basket, n))
		ranking := read.Ranking()
		ranking.For([]string{"b", "e"}, 3) // leaves nothing behind
		if second := ranking.For(rapid.Permutation(basket).Draw(t, "turned"), n); !slices.Equal(first, second) {
			t.Fatalf("ranks for %q: %v, and read and turned: %v", basket, first, second)
		}
		for i, r := range first {
			if slices.Contains(basket, r.Product) || !(r.Chance >= 0 && r.Chance < 1+1e-9) {
				t.Fatalf("ranks for %q: got %v, want chances of what it does not hold", basket, first)
			}
			if i > 0 && r.Chance > first[i-1].Chance {
				t.Fatalf("ranks for %q do not fall: %v", basket, first)
			}
		}
		if want := min(n, rules.without(basket)); len(first) != want {
			t.Fatalf("ranks for %q: got %d, want %d", basket, len(first), want)
		}
	})
}

func (r *Rules) without(basket []string) (n int) {
	for _, p := range r.Products {
		n += one(!slices.Contains(basket, p))
	}
	return n
}

func TestOddBaskets(t *testing.T) {
	long := make([]string, 3*MostProducts)
	for i := range long {
		long[i] = fmt.Sprintf("%04d", i/2)
	}
	for _, tc := range []struct {
		name            string
		baskets         [][]string
		products, pairs int
	}{
		{"none", nil, 0, 0},
		{"an empty one", [][]string{{}}, 0, 0},
		{"one product", [][]string{{"a"}}, 1, 0},
		{"one product, often", [][]string{{"a", "a", "a"}}, 1, 0},
		{"one basket", [][]string{{"a", "b", "a"}}, 2, 1},
		{"a very long one", [][]string{long}, MostProducts, MostProducts * (MostProducts - 1) / 2},
	} {
		b := counted(tc.baskets)
		pairs := 0
		for p := range b.Pairs() {
			pairs++
			if p.LLR() != 0 {
				t.Errorf("%s: %+v has a ratio of %v, want 0 from one basket", tc.name, p, p.LLR())
			}
		}
		if b.Len() != len(tc.baskets) || b.Products() != tc.products || pairs != tc.pairs {
			t.Errorf("%s: got %d baskets, %d products, %d pairs, want %d, %d, %d", tc.name,
				b.Len(), b.Products(), pairs, len(tc.baskets), tc.products, tc.pairs)
		}
		rules := b.Learn(Options{})
		if err := rules.Check(); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if got := rules.Ranking().For([]string{"a"}, 5); len(got) != min(5, rules.without([]string{"a"})) {
			t.Errorf("%s: For(a) = %v", tc.name, got)
		}
	}
}

// What met once is no rule, however rare both are.
func TestOnceIsChance(t *testing.T) {
	b := counted([][]string{{"caviar", "nails"}})
	for range 1000 {
		b.Add("bread")
	}
	if with, _ := b.Learn(Options{}).After("caviar", 0); with != "" {
		t.Errorf("After(caviar) = %s, though they met once", with)
	}
	b.Add("caviar", "nails")
	if with, _ := b.Learn(Options{}).After("caviar", 0); with != "nails" {
		t.Errorf("After(caviar) = %q, want nails, which they met twice", with)
	}
}

// groceries are 9,835 baskets of a grocery.
func groceries(t testing.TB) (baskets [][]string) {
	t.Helper()
	const path = "../../../../shared/data/groceries_arules/groceries.csv"
	lines, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%v: the data lie beside the repository, in shared/data", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(lines)) {
		products := strings.Split(strings.TrimSpace(line), ",")
		for i := range products {
			products[i] = strings.TrimSpace(products[i])
		}
		baskets = append(baskets, products)
	}
	return baskets
}

func TestStrongestPairsOfGroceries(t *testing.T) {
	want := []struct {
		a, b string
		llr  float64
	}{
		{"other vegetables", "root vegetables", 374.637},
		{"root vegetables", "whole milk", 212.863},
		{"other vegetables", "whole milk", 200.070},
		{"beef", "root vegetables", 197.222},
	}
	got := counted(groceries(t)).Strongest(len(want))
	for i, w := range want {
		if g := got[i]; g.A != w.a || g.B != w.b || math.Abs(g.LLR()-w.llr) > 1e-3 {
			t.Errorf("pair %d: got %s and %s with %.3f, want %s and %s with %.3f", i+1, g.A, g.B, g.LLR(), w.a, w.b, w.llr)
		}
	}
}

// A product hidden from a basket is found by rules of other baskets, more often
// than by popularity.
func TestHiddenProductsOfGroceries(t *testing.T) {
	e := Evaluate(counted(groceries(t)), Options{}, 20)
	rules, popular := e.Rules, e.Popularity
	if rules.HitRate() < .565 || rules.ReciprocalRank() < .178 {
		t.Errorf("rules: got HR@20 %.4f, MRR@20 %.4f, want .565, .178 or more", rules.HitRate(), rules.ReciprocalRank())
	}
	if rules.HitRate() < popular.HitRate()+.01 || e.Gain < 6*e.Error {
		t.Errorf("rules: got HR@20 %.4f, want .01 and 6 standard errors of %.4f above popularity's %.4f", rules.HitRate(), e.Error, popular.HitRate())
	}
}

// Neither very long baskets nor baskets of one product stand in the way.
func TestHidden(t *testing.T) {
	long := make([]string, 200)
	for i := range long {
		long[i] = fmt.Sprint(i)
	}
	for _, tc := range []struct {
		name    string
		baskets [][]string
		hidden  int
	}{
		{"none", nil, 0},
		{"one product each", [][]string{{"a"}, {"b", "b"}, {}}, 0},
		{"two and three", [][]string{{"a", "b"}, {"a", "b", "c"}}, 5},
		{"a long one", [][]string{long, {"a"}}, 40},
	} {
		e := Evaluate(counted(tc.baskets), Options{}, 20)
		if e.Rules.Lists != tc.hidden || e.Popularity.Lists != tc.hidden || e.Cosine.Lists != tc.hidden || math.IsNaN(e.Gain+e.Error) {
			t.Errorf("%s: got %d, %d, %d hidden, %v ± %v, want %d", tc.name, e.Rules.Lists, e.Popularity.Lists, e.Cosine.Lists, e.Gain, e.Error, tc.hidden)
		}
	}
}

func TestRulesThatAreNone(t *testing.T) {
	const right = `"baskets":2,"products":["a","b"],"sold":[2,1],"with":[{},{}],"apart":[{},{}]`
	for _, tc := range []struct{ from, to, want string }{
		{`"sold":[2,1]`, `"sold":[2]`, "got 1 of sold"},
		{`"with":[{},{}]`, `"with":[{}]`, "1 of with"},
		{`"sold":[2,1]`, `"sold":[3,1]`, `sold[0] ("a"): got 3, want 1 to the 2 baskets`},
		{`"sold":[2,1]`, `"sold":[1,2]`, `sold[1] ("b"): got 2 after 1, want the most popular first`},
		{`"a","b"`, `"a","a"`, "got one twice"},
		{`"with":[{},{}]`, `"with":[{"products":[2],"chances":[5]},{}]`, `with[0] ("a"): products[0]: got 2, want the place of another of 2`},
		{`"with":[{},{}]`, `"with":[{},{"products":[1],"chances":[5]}]`, `with[1] ("b"): products[0]: got 1`},
		{`"with":[{},{}]`, `"with":[{"products":[1]},{}]`, "got 0 chances, want one for each of 1"},
		{`"apart":[{},{}]`, `"apart":[{"products":[1],"chances":[1000001]},{}]`, `apart[0] ("a"): chances[0]: got 1000001, want 0 to 1000000`},
	} {
		var r Rules
		text := "{" + strings.Replace(right, tc.from, tc.to, 1) + "}"
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", text, err, tc.want)
		}
	}
}

// What is read either is refused, or can be asked anything.
func FuzzRules(f *testing.F) {
	b := counted([][]string{{"a", "b"}, {"a", "b", "c"}, {"c"}, {"d"}})
	for _, o := range []Options{{}, {MinLLR: 1e-9, MinTogether: 1}} {
		written, err := json.Marshal(b.Learn(o))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(written)
	}
	f.Add([]byte(`{"baskets":2,"products":["a","b"],"sold":[2,1],"with":[{"products":[1],"chances":[500000]},{}],"apart":[{},{"products":[0],"chances":[0]}]}`))
	f.Fuzz(func(t *testing.T, written []byte) {
		var r Rules
		if json.Unmarshal(written, &r) != nil || r.Check() != nil {
			return
		}
		again, err := json.Marshal(&r)
		if err != nil {
			t.Fatal(err)
		}
		var second Rules
		if err := errors.Join(json.Unmarshal(again, &second), second.Check()); err != nil {
			t.Fatalf("%s was right, and written again it is not: %v", written, err)
		}
		ranking := r.Ranking()
		for _, product := range append(r.Products, "") {
			r.After(product, 0)
			for _, ranked := range ranking.For([]string{product}, 3) {
				if ranked.Product == product {
					t.Fatalf("For(%q) offers it", product)
				}
			}
		}
	})
}

func BenchmarkAfter(b *testing.B) {
	var baskets Baskets
	for i := range 200_000 {
		baskets.Add(fmt.Sprint(i%10_000), fmt.Sprint(i%10_000/2), fmt.Sprint(i%97))
	}
	rules := baskets.Learn(Options{})
	b.Run("products=1e4", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rules.After("4711", 0)
		}
	})
	ranking, basket := rules.Ranking(), []string{"4711", "42", "7", "96"}
	b.Run("products=1e4/basket=4", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ranking.For(basket, 10)
		}
	})
}

func BenchmarkLearn(b *testing.B) {
	baskets := groceries(b)
	b.ReportAllocs()
	for b.Loop() {
		counted(baskets).Learn(Options{})
	}
	b.ReportMetric(float64(len(baskets)*b.N)/b.Elapsed().Seconds(), "baskets/s")
}
