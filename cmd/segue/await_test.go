package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// await is a script's command: it asks URL until the answer matches PATTERN, for
// at most 30 s.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await URL PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	var answer string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		response, err := http.Get(args[0])
		if err != nil {
			answer = err.Error()
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err == nil && pattern.Match(body) {
			return
		}
		answer = response.Status + " " + string(body)
	}
	ts.Fatalf("%s never said %q; last: %.2000s", args[0], args[1], answer)
}

// post is a script's command: it sends a FILE's lines, one call each, to URL
// under the write key KEY, and wants 200.
func post(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: post URL KEY FILE")
	}
	for line := range strings.SplitSeq(strings.TrimSpace(ts.ReadFile(args[2])), "\n") {
		request, err := http.NewRequest(http.MethodPost, args[0], strings.NewReader(line))
		ts.Check(err)
		request.SetBasicAuth(args[1], "")
		response, err := http.DefaultClient.Do(request)
		ts.Check(err)
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		ts.Check(err)
		if response.StatusCode != http.StatusOK {
			ts.Fatalf("post %s: %s: %s", line, response.Status, body)
		}
	}
}

// until is a script's command: it runs COMMAND again until its output matches
// PATTERN, for at most 30 s.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var out string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if out = ts.ReadFile("stdout"); pattern.MatchString(out) {
			return
		}
	}
	ts.Fatalf("%q never said %q; last: %.2000s", args[1:], args[0], out)
}
