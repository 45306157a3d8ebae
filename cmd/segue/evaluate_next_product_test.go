package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// viewOf is a row of a table of sessions.
type viewOf struct {
	Session string    `parquet:"session"`
	Product string    `parquet:"product"`
	Time    time.Time `parquet:"time,timestamp(millisecond)"`
}

// tents are sessions in which whoever looks at a tent then looks at what goes with
// that tent.
func tents(from, to int) (views []viewOf) {
	for s := from; s < to; s++ {
		at := time.Date(2026, 1, 5, 9, s, 0, 0, time.UTC)
		for i, product := range []string{"tent", "stove", "rope"} {
			views = append(views, viewOf{fmt.Sprint("s", s), fmt.Sprint(product, s%30), at.Add(time.Duration(i) * time.Second)})
		}
	}
	return views
}

func viewed(views []viewOf) string {
	var b strings.Builder
	b.WriteString("session,product,time\n")
	for _, v := range views {
		fmt.Fprintf(&b, "%s,%s,%s\n", v.Session, v.Product, v.Time.Format(time.RFC3339))
	}
	return b.String()
}

func TestEvaluateNextProduct(t *testing.T) {
	before, after := tents(0, 120), tents(120, 180)
	var zipped, columns bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	zip.Write([]byte(viewed(before)))
	zip.Close()
	if err := parquet.Write(&columns, before); err != nil {
		t.Fatal(err)
	}
	backwards := slices.Clone(before)
	slices.Reverse(backwards)
	var seconds strings.Builder
	seconds.WriteString("session\tproduct\ttime\n")
	for _, v := range before {
		fmt.Fprintf(&seconds, "%s\t%s\t%d.0\n", v.Session, v.Product, v.Time.Unix())
	}
	type in20 struct {
		HitRate      float64 `json:"hit_rate_20"`
		MRR          float64 `json:"mrr_20"`
		Positions    int
		Microseconds float64 `json:"microseconds_p90"`
	}
	for format, content := range map[string]string{
		"csv": viewed(before), "gzip": zipped.String(), "parquet": columns.String(),
		"in another order": viewed(backwards), "tabs and seconds": seconds.String(),
	} {
		out, errs, code := evaluate(t, map[string]string{"-": content, "after.csv": viewed(after)},
			"next-product --sessions - --test after.csv --plot found.svg --json")
		if code != 0 {
			t.Fatalf("%s: exit code %d: %s", format, code, errs)
		}
		var got struct {
			Sessions int
			in20
			Popularity in20
			Verdict    string
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		// Sessions before went tent, stove, rope, and never back: the next is the first.
		if got.Sessions != 120 || got.Positions != 120 || got.HitRate != 1 || got.MRR < .75 ||
			got.Popularity.Positions != 120 || got.Popularity.HitRate > .5 || got.Popularity.MRR > .2 || got.Microseconds <= 0 ||
			!strings.HasPrefix(got.Verdict, "The model can be trusted") {
			t.Errorf("%s: got %+v", format, got)
		}
		if picture, err := os.ReadFile("found.svg"); err != nil || !bytes.HasPrefix(picture, []byte("<svg")) {
			t.Errorf("%s: got picture %.20q, %v", format, picture, err)
		}
	}
}

// Rows may be in any order: time orders the views of a session, and sessions by
// their last.
func TestSessionsInOrder(t *testing.T) {
	const rows = "session,product,time\nlast,c,2026-01-09\nfirst,b,2026-01-03\nlast,a,2026-01-01\nfirst,a,2026-01-02\nlast,b,2026-01-01\n"
	n := nextProductEvaluation{session: "session", product: "product", time: "time", given: func(string) bool { return false }}
	got, err := n.read("-", strings.NewReader(rows))
	if want := "[[a b] [a b c]]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("got %v, %v, want %s", got, err, want)
	}
}

// What nobody saw before counts as a view to tell, and without a time the file's
// order is that of the views.
func TestEvaluateNextProductOfUnseen(t *testing.T) {
	for _, tc := range []struct {
		after string
		want  []string
	}{
		{"id,sku\nx,tea\nx,new\nx,jam\nx,new\ny,tea\n", []string{
			"Learnt from 2 sessions, tested on 3 views that followed another in 2 others.",
			"model        0.6667", "popularity   0.3333",
			"Do not trust this yet: 3 views are too few to tell."}},
		{"id,sku\nx,tea\n", []string{"tested on 0 views", "No session of the test has two views"}},
	} {
		out, errs, code := evaluate(t, map[string]string{"a.csv": "id,sku\n1,tea\n2,tea\n1,jam\n", "b.csv": tc.after},
			"next-product --sessions a.csv --test b.csv --session id --product sku")
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		for _, want := range tc.want {
			if !strings.Contains(out, want) {
				t.Errorf("got no %q in\n%s", want, out)
			}
		}
	}
}

func TestEvaluateNextProductRefusals(t *testing.T) {
	const right = "session,product,time\n1,tea,2026-01-02\n"
	for _, tc := range []struct {
		sessions, line, want string
		code                 int
	}{
		{right, "--sessions a.csv", "want --sessions FILE and --test FILE", 2},
		{right, "--sessions - --test -", "got - for both files", 2},
		{right, "--sessions a.csv --test a.csv --product sku", `a.csv: no column "sku"; there are session, product, time`, 1},
		{right, "--sessions a.csv --test a.csv --time when", `a.csv: no column "when"`, 1},
		{right + "1,,2026-01-03\n", "--sessions a.csv --test a.csv", `a.csv:3: product: got "", want a product`, 1},
		{right + " ,tea,2026-01-03\n", "--sessions a.csv --test a.csv", `a.csv:3: session: got " ", want a session`, 1},
		{right + "1,tea,monday\n", "--sessions a.csv --test a.csv", `a.csv:3: time: got "monday", want a date or time`, 1},
		{right + "1,tea\n", "--sessions a.csv --test a.csv", "a.csv:3: got 2 values, want 3", 1},
		{"session,product\n", "--sessions a.csv --test a.csv", "a.csv: got no row, want at least one view", 1},
		{right, "--sessions a.csv --test none.csv", "open none.csv", 1},
		{right, "--sessions a.csv --test a.csv --plot " + filepath.Join("none", "p.svg"), "none", 1},
	} {
		out, errs, code := evaluate(t, map[string]string{"a.csv": tc.sessions}, "next-product "+tc.line)
		if code != tc.code || !strings.Contains(errs, tc.want) || out != "" {
			t.Errorf("evaluate next-product %s of %q: exit code %d, %q, want %d, %q", tc.line, tc.sessions, code, errs, tc.code, tc.want)
		}
	}
}
