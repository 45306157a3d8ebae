package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// realData opens a file of real data, which lies beside the repository.
func realData(t *testing.T, name string) *os.File {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../../shared/data", name))
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%v: the data lie beside the repository, in shared/data", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// upliftTold is the part of evaluate uplift's JSON that a reader builds on.
type upliftTold struct {
	upliftWorth
	Rows        int
	TreatedRows int        `json:"treated_rows"`
	TestRows    int        `json:"test_rows"`
	Others      int        `json:"rows_of_other_treatments"`
	Average     float64    `json:"average_effect"`
	Error       float64    `json:"standard_error"`
	AlwaysValid [2]float64 `json:"always_valid"`
	Model       string
	Models      map[string]upliftWorth
	LeftOut     []struct{ Column, Why string } `json:"columns_left_out"`
	Verdict     string
}

type upliftWorth struct {
	UpliftAt30 *float64 `json:"uplift_at_30"`
	Over       struct {
		Mean  float64
		Error float64 `json:"standard_error"`
	} `json:"uplift_at_30_over_average"`
	Qini             float64
	CalibrationError float64 `json:"calibration_error"`
}

// A real experiment with mails for women and for men: the average effects are exact,
// for women it is found whom they move, and for men it is not claimed.
func TestEvaluateUpliftOfHillstrom(t *testing.T) {
	if testing.Short() {
		t.Skip("four models of ten thousand customers each take seconds")
	}
	path := realData(t, "hillstrom/hillstrom.csv").Name()
	tell := func(who string) (got upliftTold) {
		t.Helper()
		out, errs, code := evaluateTreatment("", "--table", path, "--treatment", "segment", "--control", "No E-Mail", "--treated", who+" E-Mail", "--outcome", "visit", "--json")
		if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || errs != "" {
			t.Fatalf("exit code %d, %v, stderr %s", code, err, errs)
		}
		var left []string
		for _, l := range got.LeftOut {
			left = append(left, l.Column)
		}
		if said := strings.Join(left, " "); said != "conversion spend" {
			t.Errorf("%s: left out %q, want conversion and spend, which come after the mail", who, said)
		}
		return got
	}
	womens, mens := tell("Womens"), tell("Mens")
	for _, tc := range []struct {
		name            string
		got, want, near float64
	}{
		{"women's average effect", womens.Average, .045233, 5e-7},
		{"men's average effect", mens.Average, .076590, 5e-7},
		{"women's rows", float64(womens.Rows), 42_693, 0},
		{"men's rows", float64(mens.Rows), 42_613, 0},
		{"rows for others", float64(womens.Others), 64_000 - 42_693, 0},
	} {
		if !(math.Abs(tc.got-tc.want) <= tc.near) {
			t.Errorf("%s = %v, want %v", tc.name, tc.got, tc.want)
		}
	}
	if !(*womens.UpliftAt30 >= .06 && womens.Qini >= .04 && womens.CalibrationError <= .02) {
		t.Errorf("women's: uplift %.4f at 30%%, Qini %.4f, calibration error %.4f, want .06 and .04 at least, and .02 at most", *womens.UpliftAt30, womens.Qini, womens.CalibrationError)
	}
	if !strings.Contains(womens.Verdict, "Choosing whom to treat is worth it") || !(womens.Over.Mean > 1.96*womens.Over.Error) {
		t.Errorf("women's verdict %q of %+v", womens.Verdict, womens.Over)
	}
	if !strings.Contains(mens.Verdict, "Do not choose by this model") && !(mens.Over.Mean > 1.96*mens.Over.Error) {
		t.Errorf("men's verdict %q of %+v, want no gain beyond its own interval claimed", mens.Verdict, mens.Over)
	}
	if !(0 < womens.AlwaysValid[0] && womens.AlwaysValid[0] < womens.Average-1.96*womens.Error && womens.AlwaysValid[1] > womens.Average+1.96*womens.Error) {
		t.Errorf("always within %v, want wider than %v ± 1.96 · %v", womens.AlwaysValid, womens.Average, womens.Error)
	}
}

// evaluateTreatment runs a command line whose values have spaces.
func evaluateTreatment(in string, args ...string) (out, errs string, code int) {
	var o, e bytes.Buffer
	code = execute(context.Background(), append([]string{"evaluate", "uplift"}, args...), strings.NewReader(in), &o, &e)
	return o.String(), e.String(), code
}

// experiment is n rows, in which the mail makes the young come.
func experiment(n int) string {
	var b strings.Builder
	b.WriteString("age,city,arm,came\n")
	for i := range n {
		age, arm, came := 20+i*7919%50, []string{"mail", "none", "sms"}[i/2%3], "no"
		p := .2
		if age < 40 && arm == "mail" {
			p = .5
		}
		if math.Mod(float64(i)*math.Phi, 1) < p {
			came = "yes"
		}
		fmt.Fprintf(&b, "%d,%s,%s,%s\n", age, []string{"Ulm", "Bonn", ""}[i%3], arm, came)
	}
	return b.String()
}

func TestEvaluateUplift(t *testing.T) {
	arms := []string{"--table", "-", "--treatment", "arm", "--control", "none", "--treated", "mail", "--outcome", "came"}
	plot := filepath.Join(t.TempDir(), "u.svg")
	out, errs, code := evaluateTreatment(experiment(4500), append(arms, "--plot", plot)...)
	for _, want := range []string{
		"3000 rows, of which 1500 were mail and 1500 none; tested on 1500.\n", "\ncame: +0.1", "\nlinear", "\ntrees", "\nchance ",
		"The treatment works", "is worth it",
	} {
		if code != 0 || !strings.Contains(strings.Join(strings.Fields(out), " "), strings.TrimSpace(want)) {
			t.Errorf("exit code %d, stderr %q, no %q in\n%s", code, errs, want, out)
		}
	}
	if picture, err := os.ReadFile(plot); err != nil || !strings.Contains(string(picture), "Calibration of uplift") {
		t.Errorf("the picture, %v: no calibration in %s", err, picture)
	}
	// What is dropped, held back otherwise, and counted by another value.
	out, _, _ = evaluateTreatment(experiment(4500), append(arms, "--json", "--drop", "age", "--positive", "no", "--test-every", "4:1")...)
	var got upliftTold
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Rows != 3000 || got.TestRows != 750 || got.Others != 1500 || !(got.Average < 0) || !strings.Contains(got.Verdict, "does harm") || !strings.Contains(got.Verdict, "Do not choose") {
		t.Errorf("got %+v, want that fewer stay away, and nothing told by the city", got)
	}
}

// A decimal comma is one of a number, as in every other table.
func TestEvaluateUpliftOfDecimalCommas(t *testing.T) {
	arms := []string{"--table", "-", "--treatment", "arm", "--control", "none", "--treated", "mail", "--outcome", "came", "--json"}
	decimals := regexp.MustCompile(`(?m)^(\d+),`)
	points := decimals.ReplaceAllString(experiment(4500), "$1.5,")
	want, _, _ := evaluateTreatment(points, arms...)
	commas := strings.ReplaceAll(experiment(4500), ",", ";")
	commas = regexp.MustCompile(`(?m)^(\d+);`).ReplaceAllString(commas, "$1,5;")
	if got, errs, code := evaluateTreatment(commas, arms...); code != 0 || got != want {
		t.Errorf("exit code %d, stderr %q, got\n%s\nwant what points give\n%s", code, errs, got, want)
	}
}

func TestEvaluateUpliftOfWrongTables(t *testing.T) {
	const head = "age,arm,came\n"
	some := strings.Repeat("1,mail,1\n2,mail,0\n3,none,1\n4,none,0\n", 30)
	for _, tc := range []struct {
		in, want string
		args     []string
		code     int
	}{
		{"", "segue evaluate uplift: want --table FILE, or - for standard input, --treatment COLUMN,", []string{"--treated", ""}, 2},
		{"", `segue evaluate uplift: got "none" for --control and --treated, want two values`, []string{"--treated", "none"}, 2},
		{"", `segue evaluate uplift: --test-every: got "2:2", want two numbers`, []string{"--test-every", "2:2"}, 2},
		{"age,came\n", `standard input: no column "arm"; there are age, came`, nil, 1},
		{head, "-: came by arm: got no row that was treated, want some of both arms", nil, 1},
		{head + "1,mail,1\n", "-: came by arm: got no row of the control, want some of both arms", nil, 1},
		{head + "1,mail,1\n2,,1\n", `standard input:3: arm: got "", want a treatment`, nil, 1},
		{head + "1,mail,1\n2,none,2\n", `standard input:3: came: got "2", want true or false, yes or no, 1 or 0; or say with --positive which value counts`, nil, 1},
		{head + some + "1,mail\n", "standard input:122: got 2 values, want 3: age, arm, came", nil, 1},
		{head + some, "-: came by arm: got no column to learn from, want at least one that is known before the treatment", []string{"--drop", "age"}, 1},
	} {
		args := append([]string{"--table", "-", "--treatment", "arm", "--control", "none", "--treated", "mail", "--outcome", "came"}, tc.args...)
		out, errs, code := evaluateTreatment(tc.in, args...)
		if code != tc.code || out != "" || !strings.HasPrefix(errs, tc.want) {
			t.Errorf("%q %q: exit code %d, want %d\n got %s\nwant %s", tc.in, tc.args, code, tc.code, errs, tc.want)
		}
	}
}
