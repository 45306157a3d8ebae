package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every promise names tests, and each of them is there: a promise whose test was
// renamed or dropped is one that nobody keeps.
func TestPromisesAreShown(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "| shown by |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")[1:]
	if len(rows) < 20 {
		t.Errorf("README promises %d things, want 20 or more", len(rows))
	}
	test := regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz)\\w+)`")
	for _, row := range rows {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		shown := test.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(shown) == 0 {
			t.Errorf("README: no test shows: %s", row)
		}
		for _, s := range shown {
			if !hasTest(t, s[1], s[2]) {
				t.Errorf("README: %s has no %s", s[1], s[2])
			}
		}
	}
}

// hasTest looks in a folder of the top level, or of processors.
func hasTest(t *testing.T, folder, name string) bool {
	for _, pattern := range []string{"../../" + folder, "../../processors/" + folder} {
		files, err := filepath.Glob(pattern + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "\nfunc "+name+"(") {
				return true
			}
		}
	}
	return false
}
