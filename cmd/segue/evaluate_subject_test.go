package main

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// subjectTold is the part of evaluate subject's JSON that a reader builds on.
type subjectTold struct {
	subjectWays
	Tests       int
	Without     int `json:"tests_without_a_choice"`
	Impressions int
	Believed    subjectWays `json:"rates_as_believed"`
	Mismatched  float64
	Features    []string
	Prior       struct{ Weights []float64 }
	Verdict     string
}

type subjectWays struct {
	Clicks  float64
	Uniform struct{ Clicks float64 }
	RollOut struct{ Clicks float64 } `json:"test_then_roll_out"`
	Best    struct{ Clicks float64 } `json:"best_arm"`
	Over    struct {
		Mean  float64
		Error float64 `json:"standard_error"`
	} `json:"clicks_over_uniform"`
}

// upworthy are the rows of its tests in some weeks, as a gzipped file of its own.
func upworthy(t *testing.T, from, to string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tests.csv.gz")
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	out := csv.NewWriter(zip)
	for i, name := range [...]string{"upworthy_weeks_to_201352.csv.gz", "upworthy_weeks_201401_201402_srm_only.csv.gz"} {
		file := realData(t, "upworthy/"+name)
		unzipped, err := gzip.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(unzipped).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		week := slices.Index(rows[0], "test_week")
		if i == 0 {
			out.Write(rows[0])
		}
		for _, row := range rows[1:] {
			if from <= row[week] && row[week] <= to {
				out.Write(row)
			}
		}
	}
	out.Flush()
	zip.Close()
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func tellSubject(t *testing.T, files map[string]string, line string) (got subjectTold) {
	t.Helper()
	out, errs, code := evaluate(t, files, "subject --json "+line)
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || errs != "" {
		t.Fatalf("exit code %d, %v, stderr %s", code, err, errs)
	}
	return got
}

const upworthyColumns = " --test clickability_test_id --variant headline"

// A year of real headline tests, and what was found of their randomiser.
func TestEvaluateSubjectOfUpworthy(t *testing.T) {
	if testing.Short() {
		t.Skip("twenty million impressions take seconds")
	}
	before, during := upworthy(t, "201301", "201352"), upworthy(t, "201327", "201402")
	year := tellSubject(t, nil, "--tests "+before+upworthyColumns)
	if year.Tests != 1361 || year.Impressions != 20_559_031 {
		t.Errorf("got %d tests, %d impressions, want 1361 and 20559031", year.Tests, year.Impressions)
	}
	if over := year.Clicks/year.Uniform.Clicks - 1; over < .1 || math.Abs(over-year.Over.Mean) > 1e-9 || !(year.Over.Mean > 1.96*year.Over.Error) {
		t.Errorf("%.4f more clicks than uniform, said to be %+v, want .1 at least", over, year.Over)
	}
	if year.Clicks < year.RollOut.Clicks || year.Clicks > year.Best.Clicks || year.Believed.Over.Mean > year.Over.Mean {
		t.Errorf("got %+v, want more than test and roll out, less than the best, and less if rates are as believed", year)
	}
	period := tellSubject(t, nil, "--tests "+during+upworthyColumns)
	if period.Mismatched < .665 || period.Mismatched > .685 || !strings.Contains(period.Verdict, "In 67.7% of tests the variants were not shown as often") {
		t.Errorf("mismatched %.4f, want .675 ± .01; verdict %q", period.Mismatched, period.Verdict)
	}
}

// subjects are n tests of three lines, of which that with a question is better.
func subjects(n int) string {
	var b strings.Builder
	b.WriteString("test,variant,impressions,clicks\n")
	for i := range n {
		rate := 10 + i%30
		fmt.Fprintf(&b, "t%d,Is it time?,%d,%d\nt%d,\"It, is\",%d,%d\nt%d,We have it,%d,%d\n",
			i, 1000+i%7, 2*rate, i, 1000-i%5, rate, i, 1000, rate+i%3)
	}
	return b.String()
}

func TestEvaluateSubject(t *testing.T) {
	plot := filepath.Join(t.TempDir(), "s.svg")
	out, errs, code := evaluate(t, map[string]string{"-": subjects(100) + "alone,x,5,1\n"}, "subject --tests - --plot "+plot)
	for _, want := range []string{
		"100 tests of 300 lines, shown ", "1 tests have no choice and are left out.", "\nchosen ", "\neach as often ", "\ntest, then roll out ", "\nthe best line ",
		"Features of the line add ",
	} {
		if code != 0 || !strings.Contains(strings.ReplaceAll(out, "\nline ", " line "), want) {
			t.Errorf("exit code %d, stderr %q, no %q in\n%s", code, errs, want, out)
		}
	}
	if strings.Contains(out, "nothing that is sure") || strings.Contains(out, "not shown as often as each") {
		t.Errorf("the question is not seen to help, or a mismatch is:\n%s", out)
	}
	if picture, err := os.ReadFile(plot); err != nil || !strings.Contains(string(picture), "rates as believed") {
		t.Errorf("the picture, %v: no rates as believed in %s", err, picture)
	}
	got := tellSubject(t, map[string]string{"-": strings.Replace(subjects(50), "test,variant,impressions,clicks", "campaign,subject,sent,opened", 1)},
		"--tests - --test campaign --variant subject --impressions sent --clicks opened")
	if got.Tests != 50 || got.Without != 0 || !(got.Clicks > got.Uniform.Clicks) || len(got.Features) != len(got.Prior.Weights) ||
		!(got.Prior.Weights[slices.Index(got.Features, "question")] > .1) {
		t.Errorf("got %+v, want that a question is better", got)
	}
}

func TestEvaluateSubjectOfWrongTests(t *testing.T) {
	const head = "test,variant,impressions,clicks\n"
	for _, tc := range []struct {
		in, line, want string
		code           int
	}{
		{"", "", "segue evaluate subject: want --tests FILE, or - for standard input\n", 2},
		{"test,headline,impressions,clicks\n", "--tests -", `standard input: no column "variant"; there are test, headline, impressions, clicks`, 1},
		{head, "--tests -", "-: got no test in which two variants were shown, want one at least", 1},
		{head + "t,a,9,1\nt,b,0,0\n", "--tests -", "-: got no test in which two variants were shown, want one at least", 1},
		{head + "t,a,9,1\n,b,9,1\n", "--tests -", `standard input:3: test: got "", want a test`, 1},
		{head + "t,,9,1\n", "--tests -", `standard input:2: variant: got "", want a line`, 1},
		{head + "t,a,9,1\nt,b,-9,1\n", "--tests -", `standard input:3: impressions: got "-9", want a whole number, 0 or more`, 1},
		{head + "t,a,1.5,1\n", "--tests -", `standard input:2: impressions: got "1.5", want a whole number, 0 or more`, 1},
		{head + "t,a,9,10\n", "--tests -", `standard input:2: clicks: got "10", want a whole number from 0 to 9, how often the line was shown`, 1},
		{head + "t,a,9,few\n", "--tests -", `standard input:2: clicks: got "few", want a whole number from 0 to 9, how often the line was shown`, 1},
		{head + "t,a,9\n", "--tests -", "standard input:2: got 3 values, want 4: test, variant, impressions, clicks", 1},
	} {
		out, errs, code := evaluate(t, map[string]string{"-": tc.in}, "subject "+tc.line)
		if code != tc.code || out != "" || !strings.HasPrefix(errs, tc.want) {
			t.Errorf("%q %q: exit code %d, want %d\n got %s\nwant %s", tc.in, tc.line, code, tc.code, errs, tc.want)
		}
	}
}
