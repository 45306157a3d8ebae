package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// propensityTold is the part of evaluate propensity's JSON that a reader builds on.
type propensityTold struct {
	propensityWorth
	Rows          int
	TestRows      int `json:"test_rows"`
	TestPositives int `json:"test_positives"`
	Model         string
	Models        map[string]propensityWorth
	Baselines     map[string]propensityWorth
	Without       *propensityWorth `json:"without_best_column"`
	Inputs        []struct {
		Name string
		By   float64
	}
	Verdict string
}

type propensityWorth struct {
	Column           string
	AUC              float64
	AveragePrecision float64 `json:"average_precision"`
	LogLoss          float64 `json:"log_loss"`
	CalibrationError float64 `json:"calibration_error"`
}

func evaluatePropensity(t *testing.T, in string, args ...string) (out, errs string, code int) {
	var o, e bytes.Buffer
	code = execute(context.Background(), append([]string{"evaluate", "propensity"}, args...), strings.NewReader(in), &o, &e)
	return o.String(), e.String(), code
}

// Visits of a real shop: what was published of them is reached on rows that were
// held back, with the column that leaks the purchase and without.
func TestEvaluatePropensityOfOnlineShoppers(t *testing.T) {
	if testing.Short() {
		t.Skip("twelve thousand visits take seconds")
	}
	path := "../../../shared/data/online_shoppers/online_shoppers_intention.csv"
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%v: the data lie beside the repository, in shared/data", err)
	}
	out, errs, code := evaluatePropensity(t, "", "--table", path, "--target", "Revenue", "--json")
	var got propensityTold
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || errs != "" {
		t.Fatalf("exit code %d, %v, stderr %s", code, err, errs)
	}
	if got.Rows != 12330 || got.TestRows != 2466 || got.TestPositives != 385 || got.Model != "trees" {
		t.Errorf("got %d rows, of which %d for the test, %d positive, and %s; want 12330, 2466, 385 and trees",
			got.Rows, got.TestRows, got.TestPositives, got.Model)
	}
	for _, bar := range []struct {
		name              string
		got               propensityWorth
		auc, average, off float64
	}{
		{"linear", got.Models["linear"], .925, .73, .03},
		{"trees", got.Models["trees"], .938, .78, .03},
		{"chosen", got.propensityWorth, .938, .78, .03},
		{"without PageValues", *got.Without, .75, .3, .03},
	} {
		if !(bar.got.AUC >= bar.auc && bar.got.AveragePrecision >= bar.average && bar.got.CalibrationError <= bar.off) {
			t.Errorf("%s: AUC %.4f, average precision %.4f, calibration error %.4f; want at least %v and %v, and at most %v",
				bar.name, bar.got.AUC, bar.got.AveragePrecision, bar.got.CalibrationError, bar.auc, bar.average, bar.off)
		}
	}
	if best := got.Baselines["best_column"]; best.Column != "PageValues" || got.Without.Column != "PageValues" || !strings.Contains(got.Verdict, "do not trust it yet") {
		t.Errorf("best column %s, left out %s, verdict %q; want PageValues suspected", best.Column, got.Without.Column, got.Verdict)
	}
}

// visits are n of a small shop: who sees many pages buys, on a phone less.
func visits(n int) string {
	var b strings.Builder
	b.WriteString("visit,pages,device,bought,spent\n")
	for i := range n {
		pages, device := i*7919%30, []string{"phone", "desk", ""}[i%3]
		z := float64(pages)/4 - 5
		if device == "phone" {
			z -= 2
		}
		bought, spent := "no", "0"
		if math.Mod(float64(i)*math.Phi, 1) < 1/(1+math.Exp(-z)) {
			bought, spent = "yes", fmt.Sprint(10+i%9)
		}
		fmt.Fprintf(&b, "v%d,%d,%s,%s,%s\n", i, pages, device, bought, spent)
	}
	return b.String()
}

func TestEvaluatePropensity(t *testing.T) {
	text := visits(1500)
	plot := filepath.Join(t.TempDir(), "p.svg")
	out, errs, code := evaluatePropensity(t, text, "--table", "-", "--target", "bought", "--drop", "spent,visit", "--plot", plot)
	for _, want := range []string{
		"Learnt from 1200 rows, tested on 300 others; bought was true in ",
		"\nMODEL ", "\nlinear", "\ntrees", "\nbase rate ", "\npages alone ", "Moved most by pages, device.",
	} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, stderr %q, no %q in\n%s", code, errs, want, out)
		}
	}
	if picture, err := os.ReadFile(plot); err != nil || !strings.Contains(string(picture), "pages alone") {
		t.Errorf("the picture, %v: no pages alone in %s", err, picture)
	}
	// The same by the other value, and what is known afterwards gives itself away.
	out, _, _ = evaluatePropensity(t, text, "--table", "-", "--target", "bought", "--positive", "no", "--json", "--test-every", "3:0")
	var got propensityTold
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.TestRows != 500 || got.AUC < .99 || got.Without == nil || got.Without.Column != "spent" || got.Without.AUC > .98 ||
		!strings.Contains(got.Verdict, "spent alone gives an AUC of 1.000") || got.Inputs[0].Name != "spent" {
		t.Errorf("got %+v, want spent suspected", got)
	}
}

// What is not there to be found is not found.
func TestEvaluatePropensityOfNoise(t *testing.T) {
	var b strings.Builder
	b.WriteString("a,b,y\n")
	draw := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		fmt.Fprintf(&b, "%d,%d,%d\n", draw.IntN(83), draw.IntN(61), draw.IntN(2))
	}
	out, errs, code := evaluatePropensity(t, b.String(), "--table", "-", "--target", "y")
	if code != 0 || !strings.Contains(out, "Do not use it: it may be no better than chance") {
		t.Errorf("exit code %d, stderr %q, want it advised against:\n%s", code, errs, out)
	}
	few, _, _ := evaluatePropensity(t, visits(60), "--table", "-", "--target", "bought", "--drop", "spent")
	if want := "Too little to tell: the rarer outcome stands in "; !strings.Contains(few, want) {
		t.Errorf("of 60 rows: no %q in\n%s", want, few)
	}
}

func TestEvaluatePropensityOfWrongTables(t *testing.T) {
	const head = "pages,bought\n"
	for _, tc := range []struct {
		in, want string
		args     []string
		code     int
	}{
		{"", "segue evaluate propensity: want --table FILE, or - for standard input, and --target COLUMN\n", []string{"--target", ""}, 2},
		{"", `segue evaluate propensity: --test-every: got "5", want two numbers`, []string{"--test-every", "5"}, 2},
		{"", `segue evaluate propensity: --test-every: got "5:5", want`, []string{"--test-every", "5:5"}, 2},
		{"", `segue evaluate propensity: --test-every: got "5:4x", want`, []string{"--test-every", "5:4x"}, 2},
		{"pages,buys\n", `standard input: no column "bought"; there are pages, buys`, nil, 1},
		{head, `standard input: no column "page"; there are pages, bought`, []string{"--drop", "page"}, 1},
		{head, "-: bought: test rows: got no rows to learn from", nil, 1},
		{head + "1,yes\n2,perhaps\n", `standard input:3: bought: got "perhaps", want true or false, yes or no, 1 or 0; or say with --positive which value counts`, nil, 1},
		{head + "1,yes\n2,\n", `standard input:3: bought: got "", want "yes" or another value`, []string{"--positive", "yes"}, 1},
		{head + strings.Repeat("1,TRUE\n", 10), "-: bought: test rows: got 2 rows in all of which the outcome is true, want some of both", nil, 1},
		{head + strings.Repeat("1,TRUE\n1,0\n", 10), "-: bought: got no column to learn from, want at least one beside the outcome", []string{"--drop", "pages"}, 1},
		{head + strings.Repeat("1,0\n1,0\n1,1\n1,0\n1,0\n1,0\n", 4), "-: bought: training rows: got 16 rows in all of which the outcome is false, want some of both", []string{"--test-every", "3:2"}, 1},
	} {
		out, errs, code := evaluatePropensity(t, tc.in, append([]string{"--table", "-", "--target", "bought"}, tc.args...)...)
		if code != tc.code || out != "" || !strings.HasPrefix(errs, tc.want) {
			t.Errorf("%q %q: exit code %d, want %d\n got %s\nwant %s", tc.in, tc.args, code, tc.code, errs, tc.want)
		}
	}
}
