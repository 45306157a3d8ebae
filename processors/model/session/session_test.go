package session

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// sessions reads one for each bar: what it showed, by spaces.
func sessions(text string) (all [][]string) {
	for _, shown := range strings.Split(text, "|") {
		all = append(all, strings.Fields(shown))
	}
	return all
}

func next(m *Model, shown string, n int) string {
	var products []string
	for _, r := range m.Ranking().Next(strings.Fields(shown), n) {
		products = append(products, r.Product)
	}
	return strings.Join(products, " ")
}

// Who looked at a tent is shown what others looked at beside it, not what everyone
// looks at, and where nothing is known of them, that.
func TestWhatOthersLookedAt(t *testing.T) {
	m := Learn(sessions("mug tea | mug tea jug | mug jug tea | mug | mug tea | tent stove | tent rope stove | stove tent lamp"))
	for _, tc := range []struct{ shown, want string }{
		{"tent", "stove"},
		{"rope tent", "stove"},
		{"mug", "tea"},
		{"caviar", "mug tea stove tent"},
		{"", "mug tea stove tent jug lamp rope"},
	} {
		got := next(m, tc.shown, 7)
		fresh := slices.DeleteFunc(strings.Fields(got), func(p string) bool { return slices.Contains(strings.Fields(tc.shown), p) })
		if !strings.HasPrefix(strings.Join(fresh, " "), tc.want) {
			t.Errorf("next of %q = %s, want new to it %s first", tc.shown, got, tc.want)
		}
	}
}

// One shop's visitors reload the page they are on, another's never do, and a third's
// go back to the one before: what is offered first follows.
func TestGoingBackIsLearnt(t *testing.T) {
	for _, tc := range []struct{ history, shown, want string }{
		{"a a b b | c c d d | a a c c", "a", "a"},
		{"a b c d | b a c d | a b d c", "a", "b"},
		{"a b a b a | c d c d | a c a c", "d c", "d"},
	} {
		if got := next(Learn(sessions(tc.history)), tc.shown, 1); got != tc.want {
			t.Errorf("next of %q after %q = %s, want %s", tc.shown, tc.history, got, tc.want)
		}
	}
	if got := next(Learn(sessions("a a | b b | c c")), "new", 2); got != "new a" {
		t.Errorf("next of a product nobody saw, where all reload = %s, want it, then a", got)
	}
}

// The equations, by hand: two past sessions, and b and a shown, the newest last.
// {a x} shares a, the newest: alike 1, weight 1; {x b} shares b: alike 1/2, weight
// 9/10. x stands beside both shared products, and is in 3 of 3 sessions.
func TestByHand(t *testing.T) {
	m := Learn(sessions("x | x b | a x"))
	alike := (1 + .5*.9) * nearby * math.Log(4./3)
	back := .25 / 1 // a session of two products was never seen: a half for both ways back
	want := (1 - 2*back) * (alike + popular*3./5) / (alike + popular)
	for _, r := range m.Ranking().Next([]string{"b", "a"}, 5) {
		switch r.Product {
		case "x":
			if math.Abs(r.Chance-want) > 1e-15 {
				t.Errorf("chance of x = %v, want %v", r.Chance, want)
			}
		default:
			if r.Chance != back {
				t.Errorf("chance of %s = %v, want %v", r.Product, r.Chance, back)
			}
		}
	}
}

// Of a product the newest sessions alone are kept, and of a session what no product
// wants is dropped: what was shown with it long ago is forgotten.
func TestNewestSessionsAlone(t *testing.T) {
	var all [][]string
	for range 3 * newest {
		all = append(all, []string{"tent", "old"}, []string{"old", "rag"})
	}
	for i := range newest {
		all = append(all, []string{"tent", fmt.Sprint("new", i%3)})
	}
	m := Learn(all)
	if got := next(m, "tent", 3); strings.Contains(got, "old") {
		t.Errorf("next of a tent = %s, want what the newest %d sessions with one show", got, newest)
	}
	if got, want := len(m.sessions), 2*newest+newest; got > want {
		t.Errorf("got %d sessions kept, want at most %d", got, want)
	}
	long := make([]string, 100*views)
	for i := range long {
		long[i] = fmt.Sprint(i)
	}
	if m := Learn([][]string{long}); len(m.products) != views {
		t.Errorf("a robot's session: got %d products, want the last %d", len(m.products), views)
	}
}

// Of the newest sessions with any of the products those most alike are the
// neighbours, however many there are.
func TestNeighbours(t *testing.T) {
	var all [][]string
	for range newest {
		all = append(all, []string{"tent"}) // most alike, but older
	}
	for i := range newest {
		if i%5 == 0 {
			all = append(all, []string{"stove", "rope"})
		} else {
			all = append(all, []string{"stove"})
		}
	}
	ranking := Learn(all).Ranking()
	ranking.Next([]string{"stove", "rope", "tent"}, 20)
	both := 0
	for _, met := range ranking.neighbours {
		if met.session >= newest {
			t.Errorf("session %d, from the newest, is a neighbour, want none after %d", met.session, newest)
		}
		if met.alike > .5 {
			both++
		}
	}
	if len(ranking.neighbours) != nearest || both != newest/5 {
		t.Errorf("got %d neighbours, %d with both products, want %d, %d", len(ranking.neighbours), both, nearest, newest/5)
	}
}

// Whatever was learnt and is asked: n products, each once, all known or shown, the
// likeliest first, chances that sum to at most 1; and asking changes nothing.
func TestAnySession(t *testing.T) {
	product := rapid.SampledFrom(strings.Fields("a b c d e f g h i j k l m n o p"))
	rapid.Check(t, func(t *rapid.T) {
		m := Learn(rapid.SliceOf(rapid.SliceOfN(product, 0, 15)).Draw(t, "sessions"))
		shown := rapid.SliceOfN(rapid.OneOf(product, rapid.Just("unseen")), 0, 15).Draw(t, "shown")
		n := rapid.IntRange(0, 20).Draw(t, "n")
		ranking := m.Ranking()
		first := slices.Clone(ranking.Next(shown, n))
		ranking.Next([]string{"a", "p", "c"}, n)
		if again := ranking.Next(shown, n); !slices.Equal(again, first) {
			t.Fatalf("next of %v = %v, then %v", shown, first, again)
		}
		known := map[string]bool{}
		for _, p := range m.products {
			known[p] = true
		}
		recent := 0
		for i, p := range slices.Backward(shown) {
			if recent < looked && !slices.Contains(shown[i+1:], p) {
				known[p] = true
				recent++
			}
		}
		if want := min(n, len(known)); len(first) != want {
			t.Fatalf("got %d, want %d", len(first), want)
		}
		sum := 0.0
		for i, r := range first {
			if !known[r.Product] {
				t.Fatalf("%q is unknown or twice in %v", r.Product, first)
			}
			delete(known, r.Product)
			if sum += r.Chance; !(r.Chance >= 0) || i > 0 && r.Chance > first[i-1].Chance || sum > 1+1e-12 {
				t.Fatalf("got chances %v", first)
			}
		}
	})
}

// read are the sessions of a file of SessionId, ItemId and Time by tabs, the
// earliest last view first.
func read(t testing.TB, name string) (all [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../../shared/data", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%v: the data lie beside the repository, in shared/data", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	type view struct {
		session, product string
		at               float64
	}
	var views []view
	last := map[string]float64{}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if i == 0 {
			continue
		}
		f := strings.Split(line, "\t")
		at, err := strconv.ParseFloat(f[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		views = append(views, view{f[0], f[1], at})
		last[f[0]] = max(last[f[0]], at)
	}
	slices.SortStableFunc(views, func(a, b view) int {
		return cmp.Or(cmp.Compare(last[a.session], last[b.session]), cmp.Compare(a.session, b.session), cmp.Compare(a.at, b.at))
	})
	for i, v := range views {
		if i == 0 || v.session != views[i-1].session {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], v.product)
	}
	return all
}

// Clicks of two shops, the following day held back.
func TestRealShops(t *testing.T) {
	for _, tc := range []struct {
		name, before, after string
		positions           int
		hit, reciprocal     float64
	}{
		{"rsc15_100k", "yoochoose-clicks-100k_train_full.txt", "yoochoose-clicks-100k_test.txt", 10152, .67, .355},
		{"serenade_example", "train.txt", "test.txt", 931, .64, .325},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, tests := Learn(read(t, filepath.Join(tc.name, tc.before))), read(t, filepath.Join(tc.name, tc.after))
			e := Evaluate(m, tests)
			got, popular := e.Model[Longest-1], e.Popularity[Longest-1]
			t.Logf("HR@20 %.4f, MRR@20 %.4f, of popularity %.4f, %.4f; more by %.4f ± %.4f",
				got.HitRate(), got.ReciprocalRank(), popular.HitRate(), popular.ReciprocalRank(), e.Gain, 1.96*e.Error)
			if e.Positions != tc.positions || got.HitRate() < tc.hit || got.ReciprocalRank() < tc.reciprocal || e.Gain < .4 {
				t.Errorf("got HR@20 %.4f, MRR@20 %.4f of %d positions, %.4f above popularity, want %v, %v of %d, and .4 above",
					got.HitRate(), got.ReciprocalRank(), e.Positions, e.Gain, tc.hit, tc.reciprocal, tc.positions)
			}
			ranking := m.Ranking()
			var took []time.Duration
			for shown := range Positions(tests) {
				start := time.Now()
				ranking.Next(shown, Longest)
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			if most := took[len(took)*9/10]; most > time.Millisecond {
				t.Errorf("one of ten predictions takes more than %v, want 1ms", most)
			}
		})
	}
}

func BenchmarkNext(b *testing.B) {
	var all [][]string
	for i := range 100_000 {
		var shown []string
		for j := range 5 {
			shown = append(shown, fmt.Sprint((i*i+j*j*7)%5000))
		}
		all = append(all, shown)
	}
	ranking := Learn(all).Ranking()
	for _, shown := range []int{1, 10} {
		asked := slices.Concat(all[77], all[777])[:shown]
		b.Run(fmt.Sprintf("shown=%d", shown), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ranking.Next(asked, 20)
			}
		})
	}
}
