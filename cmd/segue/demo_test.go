package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Two weeks before Christmas go through every station, in seconds, and every
// promise is kept.
func TestDemo(t *testing.T) {
	mails := t.TempDir()
	var out, errs bytes.Buffer
	code := execute(t.Context(), []string{"demo", "--exit", "--speed", "0", "--until", "2010-12-16", "--mail-dir", mails, "--inbox", "127.0.0.1:0"}, nil, &out, &errs)
	if code != 0 {
		t.Fatalf("exit code: got %d, want 0\n%s%s", code, errs.String(), out.String())
	}
	for _, p := range promises {
		if !strings.Contains(out.String(), "  kept       "+p+"\n") {
			t.Errorf("output does not say that this was kept: %s", p)
		}
	}
	for _, news := range []string{" is the first in segment ", "mail to ", " opens a mail", " clicks a mail", " comes back through a mail", "quiet hours", ", step 3"} {
		if !strings.Contains(out.String(), news) {
			t.Errorf("output tells nothing of %q", news)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("output that is no terminal has control characters")
	}
	found := regexp.MustCompile(`mail +([\d,]+) sent`).FindStringSubmatch(out.String())
	if found == nil {
		t.Fatalf("output has no summary:\n%s", out.String())
	}
	sent, _ := strconv.Atoi(strings.ReplaceAll(found[1], ",", ""))
	files, err := filepath.Glob(filepath.Join(mails, "*.eml"))
	if err != nil || len(files) != sent || sent == 0 {
		t.Errorf("mails: got %d files, want %d, as the summary says (%v)", len(files), sent, err)
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// The whole year of the embedded part: what make demo checks at its end.
func TestDemoYear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the better part of a minute")
	}
	var out, errs bytes.Buffer
	if code := execute(t.Context(), []string{"demo", "--exit", "--speed", "0", "--inbox", "127.0.0.1:0"}, nil, &out, &errs); code != 0 {
		t.Fatalf("exit code: got %d, want 0\n%s%s", code, errs.String(), out.String())
	}
	_, sum, _ := strings.Cut(out.String(), " days in ")
	for _, want := range []string{"24,860 lines: 1,201 orders (12 of guests), 751 refunded lines, 9 corrections of stock", " 0 failed, 0 stale;"} {
		if !strings.Contains(sum, want) {
			t.Errorf("summary: got\n%s\nwant %q in it", sum, want)
		}
	}
	for _, news := range []string{"models fitted to the shop's own ", "first in segment vip: orders: 2, at least 2; value: ", "first in segment lapsing-vip: in vip; churn: 0.5",
		"first in segment at-risk: ", "first in segment next-product: next product: ", "first in segment going-premium: orders price tier: mid"} {
		if !strings.Contains(out.String(), news) {
			t.Errorf("output tells nothing of %q", news)
		}
	}
}

// Two runs of a seed send the same mails.
func TestDemoIsRepeatable(t *testing.T) {
	run := func() string {
		var out, errs bytes.Buffer
		if code := execute(t.Context(), []string{"demo", "--exit", "--speed", "0", "--until", "2010-12-05", "--inbox", "127.0.0.1:0"}, nil, &out, &errs); code != 0 {
			t.Fatalf("exit code: got %d, want 0\n%s%s", code, errs.String(), out.String())
		}
		_, sum, _ := strings.Cut(out.String(), "  orders  ")
		return sum
	}
	if first, second := run(), run(); first != second {
		t.Errorf("the second run is another:\n%s\n%s", first, second)
	}
}

// Ctrl-C stops a run that is under way, and is no failure.
func TestDemoStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	started := watch{cancel: cancel, until: "mail to "}
	var errs bytes.Buffer
	began := time.Now()
	code := execute(ctx, []string{"demo", "--inbox", "127.0.0.1:0"}, nil, &started, &errs)
	if code != 0 || !strings.Contains(started.String(), "stopped at 2010-") {
		t.Errorf("exit code: got %d, want 0, and when it stopped\n%s%s", code, errs.String(), started.String())
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the first mail and a stop took %s, want less than 20 s", took)
	}
}

// watch cancels once a text is written to it.
type watch struct {
	bytes.Buffer
	cancel func()
	until  string
}

func (w *watch) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(w.until)) {
		w.cancel()
	}
	return w.Buffer.Write(b)
}

func TestDemoUsage(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "orders.csv")
	if err := os.WriteFile(broken, []byte("a,b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"--until tomorrow", 2, `--until: got "tomorrow", want a day such as 2011-03-01`},
		{"--speed -1", 2, "--speed: got -1, want 0 or more"},
		{"--data no-such-file", 1, "--data: open no-such-file"},
		{"--data " + broken, 1, `header: got "a,b"`},
		{"--until 2009-01-01", 1, "got no invoice"},
		{"more", 2, `unknown command "more"`},
	} {
		var out, errs bytes.Buffer
		code := execute(t.Context(), append([]string{"demo", "--inbox", "127.0.0.1:0"}, strings.Fields(c.args)...), nil, &out, &errs)
		if code != c.code || !strings.Contains(errs.String(), c.want) {
			t.Errorf("segue demo %s: got %d, %q; want %d, %q", c.args, code, errs.String(), c.code, c.want)
		}
	}
}
