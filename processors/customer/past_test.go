package customer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"segue/schemas"
	"segue/schemas/models"
)

// CDNOW's orders up to the end of September 1997 give the published parameters
// (Fader and Hardie), weeks turned into days.
func TestFitOfCDNOW(t *testing.T) {
	text, err := os.ReadFile("../../../shared/data/cdnow/CDNOW_sample.txt")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%v: the data lie beside the repository, in shared/data", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	type bought struct {
		who    string
		at     int64
		micros int64
	}
	var all []bought
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		at, err := time.Parse("20060102", f[2])
		if err != nil {
			t.Fatal(err)
		}
		if f[2] <= "19970930" {
			all = append(all, bought{f[1], at.UnixMilli(), micros(t, f[4])})
		}
	}
	slices.SortStableFunc(all, func(a, b bought) int { return cmp.Compare(a.at, b.at) })
	h := NewPast(models.Default())
	for _, x := range all {
		h.Event(x.who, x.at, &schemas.Event{Body: &schemas.Event_Order{Order: &schemas.Order{TotalMicros: x.micros, Free: x.micros == 0}}})
	}
	set, _, err := h.Fit("cdnow", 0)
	if err != nil {
		t.Fatal(err)
	}
	p, v := set.Churn.Purchases, set.Value
	for name, x := range map[string][2]float64{"r": {p.R, .553}, "alpha": {p.AlphaDays / 7, 10.578}, "s": {p.S, .606}, "beta": {p.BetaDays / 7, 11.669},
		"p": {v.P, 6.25}, "q": {v.Q, 3.74}, "v": {v.V, 15.44}} {
		if math.Abs(x[0]/x[1]-1) > .02 {
			t.Errorf("%s = %v, want %v", name, x[0], x[1])
		}
	}
}

// A shop whose customers look around, and buy soon after they have looked often and
// put something in a cart: that is what the models learn of it, the same each time.
func TestFitOfAStoresPast(t *testing.T) {
	fit := func() *models.Set {
		r := rand.New(rand.NewPCG(3, 4))
		h := NewPast(models.Default())
		w := &world{t: t}
		for d := range int64(200) {
			for c := range 60 {
				if r.Float64() > .05+float64(c)/600 {
					continue
				}
				at := monday + d*day + int64(c)*10*minute
				does := []string{"visit", "view sku=mug price=12"}
				if r.Float64() < .3 {
					does = append(does, "view sku=mug price=12", "cart_add sku=mug price=12")
					if r.Float64() < .5 {
						does = append(does, "order sku=mug price=12 total="+fmt.Sprint(10+r.IntN(30)))
					}
				}
				for i, what := range does {
					_, e := w.event(fmt.Sprintf("c%d %s", c, what), at+int64(i)*minute/6)
					e.Id, e.OccurredAt = fmt.Sprint(d, c, i), nil
					h.Event(fmt.Sprint("c", c), at+int64(i)*minute/6, e)
				}
			}
		}
		set, said, err := h.Fit("fitted", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, model := range []string{"churn: Pareto/NBD", "value: Gamma-Gamma", "churn.site: the rate", "propensity.day: of", "propensity.week: of", "price: low"} {
			if !strings.Contains(strings.Join(said, "\n"), model) {
				t.Errorf("said\n%s\nwant %q", strings.Join(said, "\n"), model)
			}
		}
		return set
	}
	set := fit()
	if again := fit(); !bytes.Equal(set.YAML(), again.YAML()) {
		t.Errorf("fitted twice, to\n%s\nand\n%s", set.YAML(), again.YAML())
	}
	if w := set.Propensity.Week.Weights; w["cart"]+w["cart_kept"] <= 0 || len(set.Value.Ranks) != 99 {
		t.Errorf("weights %v, ranks: %d, want a cart to tell of an order", w, len(set.Value.Ranks))
	}
	if set.Churn.Purchases == models.Default().Churn.Purchases || set.ID != "fitted" || !strings.Contains(set.About, "Fitted to") {
		t.Errorf("models %+v", set)
	}
}
