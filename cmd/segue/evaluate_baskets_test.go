package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// evaluate runs a command line of evaluate with files beside it.
func evaluate(t *testing.T, files map[string]string, line string) (out, errs string, code int) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range files {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var o, e bytes.Buffer
	code = execute(context.Background(), append([]string{"evaluate"}, strings.Fields(line)...), strings.NewReader(files["-"]), &o, &e)
	return o.String(), e.String(), code
}

// lineOf is a row of a table of baskets.
type lineOf struct {
	Customer string    `parquet:"customer"`
	Basket   string    `parquet:"basket"`
	Product  string    `parquet:"product"`
	Time     time.Time `parquet:"time,timestamp(millisecond)"`
}

// shop is a shop in which everyone has milk each time, half of all bread with
// butter, and each something of their own that comes back.
func shop() (before, next []lineOf) {
	start := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	for c := range 40 {
		for visit := range 4 {
			for i, product := range []string{"milk", fmt.Sprint("own", c), "bread", "butter"} {
				if i >= 2 && (c+visit)%2 == 0 {
					continue
				}
				row := lineOf{fmt.Sprint("c", c), fmt.Sprint(visit), product, start.AddDate(0, 0, 7*visit)}
				if visit < 3 {
					before = append(before, row)
				} else {
					next = append(next, row)
				}
			}
		}
	}
	return before, next
}

func written(rows []lineOf) string {
	var b strings.Builder
	b.WriteString("customer,basket,product,time\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "%s,%s,%s,%s\n", r.Customer, r.Basket, r.Product, r.Time.Format(time.RFC3339))
	}
	return b.String()
}

func TestEvaluateNextBasket(t *testing.T) {
	before, next := shop()
	var zipped, columns bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	zip.Write([]byte(written(before)))
	zip.Close()
	if err := parquet.Write(&columns, before); err != nil {
		t.Fatal(err)
	}
	backwards := before[:0:0]
	for i := range before {
		backwards = append(backwards, before[len(before)-1-i])
	}
	var first string
	for format, content := range map[string]string{
		"csv": written(before), "gzip": zipped.String(), "parquet": columns.String(), "in another order": written(backwards),
	} {
		out, errs, code := evaluate(t, map[string]string{"-": content, "next.csv": written(next)},
			"next-basket --baskets - --test next.csv --plot found.svg --json")
		if code != 0 {
			t.Fatalf("%s: exit code %d: %s", format, code, errs)
		}
		if first == "" {
			first = out
		} else if out != first {
			t.Errorf("%s: another answer:\n%s%s", format, first, out)
		}
		if picture, err := os.ReadFile("found.svg"); err != nil || !bytes.HasPrefix(picture, []byte("<svg")) {
			t.Errorf("%s: got picture %.20q, %v", format, picture, err)
		}
	}
	type in10 struct {
		Recall float64 `json:"recall_10"`
		PHR    float64 `json:"phr_10"`
		NDCG   float64 `json:"ndcg_10"`
	}
	var got struct {
		Customers int
		in10
		Popularity, Personal in10
		Verdict              string
	}
	if err := json.Unmarshal([]byte(first), &got); err != nil {
		t.Fatal(err)
	}
	if got.Customers != 40 || got.Recall != 1 || got.PHR != 1 || got.NDCG < .9 ||
		got.Popularity.Recall > .9 || got.Personal.Recall != 1 || !strings.HasPrefix(got.Verdict, "Do not trust") {
		t.Errorf("got %+v, want all of it found, as by personal frequency, and that said", got)
	}
}

// Baskets need no column where time tells them apart, and a customer may be new.
func TestEvaluateNextBasketOfNewCustomers(t *testing.T) {
	out, errs, code := evaluate(t, map[string]string{
		"before.csv": "who,sku,when\nada,tea,2026-01-02\nada,tea,2026-01-09\nbob,tea,2026-01-09\n",
		"next.csv":   "who,sku,when\neve,tea,2026-02-01\neve,tea,2026-02-01\neve,jam,2026-02-08\n",
	}, "next-basket --baskets before.csv --test next.csv --customer who --product sku --time when")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	for _, want := range []string{
		"3 baskets before, and the next of 1 customers, 1 of them new; 1 later baskets are left out.",
		"model                     1.0000     1.0000  1.0000",
		"personal frequency alone  0.0000     0.0000  0.0000",
		"Do not trust this yet: 1 customers with a next basket are too few to tell.",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got no %q in\n%s", want, out)
		}
	}
}

func TestEvaluatePairs(t *testing.T) {
	before, _ := shop()
	lines := map[string][]string{}
	var order []string
	for _, r := range before {
		key := r.Customer + "/" + r.Basket
		if lines[key] == nil {
			order = append(order, key)
		}
		lines[key] = append(lines[key], r.Product)
	}
	var text strings.Builder
	for _, key := range order {
		fmt.Fprintln(&text, strings.Join(append(lines[key], "milk "), ", "))
	}
	for format, content := range map[string]string{"a table": written(before), "a basket in each line": text.String()} {
		out, errs, code := evaluate(t, map[string]string{"baskets.csv": content}, "pairs --baskets baskets.csv --top 2 --json")
		if code != 0 {
			t.Fatalf("%s: exit code %d: %s", format, code, errs)
		}
		type rates struct {
			HR  float64 `json:"hr_20"`
			MRR float64 `json:"mrr_20"`
		}
		var got struct {
			Baskets, Products, Hidden int
			Pairs                     []struct {
				A, B      string
				Together  int
				ACount    int `json:"a_count"`
				BCount    int `json:"b_count"`
				LLR, Lift float64
			}
			rates
			Popularity, Cosine rates
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		if got.Baskets != 120 || got.Products != 43 || got.Hidden != 360 || len(got.Pairs) != 2 || got.HR < .6 || got.MRR < .6 || got.Popularity.HR < .6 || got.Cosine.HR < .6 {
			t.Errorf("%s: got %+v", format, got)
		}
		if p := got.Pairs[0]; p.A != "bread" || p.B != "butter" || p.Together != 60 || p.ACount != 60 || p.BCount != 60 || p.Lift != 2 || p.LLR < 166.355 || p.LLR > 166.356 {
			t.Errorf("%s: got strongest pair %+v, want bread and butter, in 60 of 120 baskets, LLR 240 ln 2", format, p)
		}
	}
	out, _, code := evaluate(t, map[string]string{"baskets.csv": "basket,product\n1,a\n2,b\n"}, "pairs --baskets baskets.csv")
	if want := "No basket holds two products"; code != 0 || !strings.Contains(out, want) {
		t.Errorf("baskets of one product: exit code %d, got no %q in\n%s", code, want, out)
	}
}

func TestEvaluateBasketsRefusals(t *testing.T) {
	const right = "customer,basket,product,time\nada,1,tea,2026-01-02\n"
	for _, tc := range []struct {
		baskets, line string
		want          string
		code          int
	}{
		{right, "next-basket --baskets a.csv", "want --baskets FILE and --test FILE", 2},
		{right, "next-basket --baskets - --test -", "got - for both files", 2},
		{right, "pairs", "want --baskets FILE", 2},
		{right, "pairs --baskets a.csv --top -1", "--top: got -1, want 0 or more", 2},
		{right, "pairs --baskets a.csv --product sku", `a.csv: no column "sku"; there are customer, basket, product, time`, 1},
		{"order,sku\n1,tea\n", "pairs --baskets a.csv", `a.csv: no column "product"; there are order, sku`, 1},
		{right + "ada,2,,2026-01-03\n", "pairs --baskets a.csv", `a.csv:3: product: got "", want a product`, 1},
		{right + "ada, ,tea,2026-01-03\n", "pairs --baskets a.csv", `a.csv:3: basket: got " ", want a basket`, 1},
		{right + ",2,tea,2026-01-03\n", "next-basket --baskets a.csv --test a.csv", `a.csv:3: customer: got "", want a customer`, 1},
		{right + "ada,2,tea,monday\n", "next-basket --baskets a.csv --test a.csv", `a.csv:3: time: got "monday", want a date or time`, 1},
		{right + "ada,2,tea\n", "pairs --baskets a.csv", "a.csv:3: got 3 values, want 4", 1},
		{"customer,basket,product,time\n", "pairs --baskets a.csv", "a.csv: got no row, want at least one product of a basket", 1},
		{"", "pairs --baskets a.csv", "a.csv: got nothing", 1},
		{right, "pairs --baskets none.csv", "open none.csv", 1},
		{right, "next-basket --baskets a.csv --test a.csv --plot " + filepath.Join("none", "p.svg"), "none", 1},
	} {
		out, errs, code := evaluate(t, map[string]string{"a.csv": tc.baskets}, tc.line)
		if code != tc.code || !strings.Contains(errs, tc.want) || out != "" {
			t.Errorf("evaluate %s of %q: exit code %d, %q, want %d, %q", tc.line, tc.baskets, code, errs, tc.code, tc.want)
		}
	}
}
