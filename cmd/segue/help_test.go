package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Every command shows an example, and fits a terminal of 80 columns.
func TestHelpOfEveryCommand(t *testing.T) {
	var visit func(cmd *cobra.Command, path []string)
	visit = func(cmd *cobra.Command, path []string) {
		var out, errs bytes.Buffer
		if code := execute(context.Background(), append(path, "--help"), strings.NewReader(""), &out, &errs); code != 0 || errs.Len() > 0 {
			t.Errorf("%s --help: exit code %d, stderr %q, want 0 and nothing", cmd.CommandPath(), code, &errs)
		}
		if want := "Examples:\n  "; cmd.Example == "" || !strings.Contains(out.String(), want) {
			t.Errorf("%s --help: got no %q in\n%s", cmd.CommandPath(), want, &out)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > helpWidth {
				t.Errorf("%s --help: got %d columns, want at most %d: %s", cmd.CommandPath(), n, helpWidth, line)
			}
		}
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				visit(c, append(path[:len(path):len(path)], c.Name()))
			}
		}
	}
	visit(newRoot(), nil)
}

// What README and the examples of help show can be typed.
func TestShownCommandLines(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := string(readme)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		shown += "\n" + cmd.Example
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit(newRoot())
	lines := regexp.MustCompile(`(?m)^ +(?:SEGUE_\w+=\S+ )?(?:bin/)?segue (.*)`).FindAllStringSubmatch(shown, -1)
	if len(lines) < 30 {
		t.Errorf("README and help: got %d command lines, want 30 or more", len(lines))
	}
	beyond := regexp.MustCompile(` {3,}.*| +[#<>|\\].*`) // what is said of it, or is the shell's
	for _, line := range lines {
		cmd, args, err := newRoot().Find(strings.Fields(beyond.ReplaceAllString(line[1], "")))
		if err == nil {
			if err = cmd.ParseFlags(args); err == nil {
				err = cmd.ValidateArgs(cmd.Flags().Args())
			}
		}
		if err != nil {
			t.Errorf("segue %s: %v", line[1], err)
		}
	}
}

// Every setting and variable that README and the runbook name is there.
func TestShownSettings(t *testing.T) {
	known := append(names(setting.name), names(setting.env)...)
	groups := "collector|returns|sender|ranks|customer|admin|kafka|links|topics|log"
	for _, file := range []string{"README.md", "deploy/runbook.md"} {
		text, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile("`((?:"+groups+")\\.[a-z_.]+)`|\\b(SEGUE_[A-Z_]+)").FindAllString(string(text), -1) {
			name = strings.Trim(name, "`")
			group := slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, name+".") })
			if !group && !slices.Contains(known, name) && !strings.HasPrefix(name, "SEGUE_TEST_") {
				t.Errorf("%s names %s, which is no setting%s", file, name, didYouMean(name, known))
			}
		}
	}
}

// A command line that cannot be meant says what was got and wanted, and exits
// with 2.
func TestUsageErrors(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"version now", `segue version: unknown command "now", want none; see "segue version --help"`},
		{"playbook check", `segue playbook check: got nothing, want FILE; see`},
		{"profile ada bob", `segue profile: got "ada bob", want CUSTOMER; see`},
		{"replay", `segue replay: want --events FILE`},
		{"replay --events week.jsonl more", `segue replay: unknown command "more", want none; see`},
		{"tail events --from middle", `segue tail: --from: got "middle", want start or end; see`},
		{"topics crate", `segue topics: unknown command "crate"; did you mean "create"?`},
		{"run all --brokrs a:1", `unknown flag: --brokrs; did you mean "--brokers"?; see "segue run --help"`},
		{"demo --untill 3", `unknown flag: --untill; did you mean "--until"?; see "segue demo --help"`},
		{"demo -z", `unknown shorthand flag: 'z' in -z; see "segue demo --help"`},
	} {
		var out, errs bytes.Buffer
		code := execute(context.Background(), strings.Fields(tc.args), strings.NewReader(""), &out, &errs)
		if code != 2 || !strings.HasPrefix(errs.String(), tc.want) {
			t.Errorf("segue %s: exit code %d\n got %s\nwant %s, and 2", tc.args, code, &errs, tc.want)
		}
	}
}
