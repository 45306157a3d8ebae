package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is what help is laid out for, in columns.
const helpWidth = 80

// printUsage is the part of a command's help that follows what it does.
func printUsage(cmd *cobra.Command) error {
	var b strings.Builder
	group := cmd.HasAvailableSubCommands()
	if group {
		fmt.Fprintf(&b, "Usage:\n  %s COMMAND\n", cmd.CommandPath())
	} else {
		fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
	}
	fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	if group {
		var rows [][2]string
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				rows = append(rows, [2]string{c.Name(), c.Short})
			}
		}
		fmt.Fprintf(&b, "\nCommands:\n%s", columns(rows))
	}
	fmt.Fprintf(&b, "\nFlags:\n%s", columns(flagRows(cmd.LocalFlags())))
	if cmd.HasAvailableInheritedFlags() {
		fmt.Fprintf(&b, "\nFlags of every command:\n%s", columns(flagRows(cmd.InheritedFlags())))
	}
	if group {
		fmt.Fprintf(&b, "\n%q says more.\n", cmd.CommandPath()+" COMMAND --help")
	}
	_, err := io.WriteString(cmd.OutOrStderr(), b.String())
	return err
}

// flagRows are flags with what they take, and what they say and default to.
func flagRows(flags *pflag.FlagSet) (rows [][2]string) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		left := "    --" + f.Name
		if f.Shorthand != "" {
			left = "-" + f.Shorthand + ", --" + f.Name
		}
		takes, right := pflag.UnquoteUsage(f)
		if takes != "" {
			left += " " + takes
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
			right += " (default " + f.DefValue + ")"
		}
		rows = append(rows, [2]string{left, right})
	})
	return rows
}

// columns sets the second of each row beside the first, wrapped.
func columns(rows [][2]string) string {
	left := 0
	for _, r := range rows {
		left = max(left, utf8.RuneCountInString(r[0]))
	}
	var b strings.Builder
	for _, r := range rows {
		for i, line := range wrapped(r[1], helpWidth-left-4) {
			beside := ""
			if i == 0 {
				beside = r[0]
			}
			fmt.Fprintf(&b, "  %-*s  %s\n", left, beside, line)
		}
	}
	return b.String()
}

// wrapped breaks text between words into lines of at most width; a longer word
// has a line of its own.
func wrapped(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
