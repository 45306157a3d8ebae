package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"segue/processors/collector/history"
	"segue/schemas"
)

const (
	// importLate is how far imported events lie behind their records at least: more
	// than the customer station takes for live.
	importLate = 16 * time.Minute
	// problemsShown bounds what is printed of a file that is wrong throughout.
	problemsShown = 20
	// samplesShown entries are what a dry run prints.
	samplesShown = 3
)

func newImportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Bring in what the shop knows already: orders, customers, suppressions",
		Long: `Bring in what the shop knows already, as events of the past: they inform
segments, and start no journey. Begin with suppressions, then customers, then
orders; suppressions that name addresses alone come last.`,
		Example: `  segue import orders orders.csv --dry-run
  segue import customers customers.ndjson`,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	for i := range history.Kinds {
		cmd.AddCommand(newImportKindCommand(&history.Kinds[i]))
	}
	return cmd
}

func newImportKindCommand(k *history.Kind) *cobra.Command {
	var rows [][2]string
	for _, c := range k.Columns {
		if c.Holds == "" {
			continue // said with the one before
		}
		name := "  " + c.Name
		if c.Needed {
			name = "* " + c.Name
		}
		rows = append(rows, [2]string{name, c.Holds})
	}
	i := importing{kind: k}
	cmd := &cobra.Command{
		Use:   k.Name + " FILE",
		Short: "Bring in a file of " + k.Name,
		Long: strings.Join(wrapped("Bring in a file of "+k.Name+": CSV with a header (separated by commas, semicolons or tabs), "+
			"or JSON with one object per line and the same names. "+k.Rows+" Columns (* in every row):", helpWidth), "\n") + "\n\n" +
			strings.TrimSuffix(columns(rows), "\n") + `

The file is read whole before anything is imported. If a row is wrong, the lines
are named and nothing is imported, unless --skip-bad leaves those rows out.

How far it came stands beside the file, in FILE.imported: when it is stopped,
the same command goes on from there. Nothing is imported twice.`,
		Example: fmt.Sprintf(`  segue import %[1]s %[1]s.csv --dry-run
  segue import %[1]s %[1]s.ndjson --skip-bad`, k.Name),
		Args: takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := load(cmd)
			if err != nil {
				return err
			}
			return i.run(cmd.Context(), l, args[0], cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&i.dryRun, "dry-run", false, "read and check the file, and import nothing")
	cmd.Flags().BoolVar(&i.skipBad, "skip-bad", false, "leave out rows that are wrong")
	cmd.Flags().StringVar(&i.cursorAt, "cursor", "", "`FILE` that says how far it came (default: FILE.imported)")
	return cmd
}

// importing is one file on its way to events.
type importing struct {
	kind     *history.Kind
	dryRun   bool
	skipBad  bool
	cursorAt string

	file    *os.File
	name    string
	size    int64
	options history.Options
	// Of the whole file:
	sum       string
	entries   int
	bad       int
	addresses addresses
}

func (i *importing) run(ctx context.Context, l *loaded, path string, out, errs io.Writer) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("import %s: %w", i.kind.Name, err)
	}
	defer file.Close()
	about, err := file.Stat()
	if err != nil {
		return fmt.Errorf("import %s: %w", i.kind.Name, err)
	}
	if !about.Mode().IsRegular() {
		return fmt.Errorf("import %s: %s is no file that can be read twice", i.kind.Name, path)
	}
	now := time.Now()
	i.file, i.name, i.size = file, filepath.Base(path), about.Size()
	i.cursorAt = cmp.Or(i.cursorAt, path+".imported")
	i.addresses = addresses{}
	i.options = history.Options{AsOf: about.ModTime().UnixMilli(), Latest: now.Add(-importLate).UnixMilli(), ReceivedAt: now.UnixMilli()}

	if err := i.check(ctx, out, errs); err != nil {
		return err
	}
	if len(i.addresses) > 0 {
		if err := i.addresses.find(ctx, l); err != nil {
			return err
		}
		i.addresses.report(out, i.name)
	}
	if i.dryRun {
		_, err := fmt.Fprintf(out, "%s: right are %s of %s %s; nothing was imported\n", i.name, thousands(i.entries-i.bad), thousands(i.entries), i.kind.Name)
		return err
	}
	return i.produce(ctx, l, out, errs)
}

// each hands on the file's entries, from its start, and returns the columns that
// nothing is made of.
func (i *importing) each(in io.Reader, take func(history.Entry) error) (unused []string, err error) {
	if _, err := i.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	r, err := history.NewReader(in, i.kind, i.options)
	for err == nil {
		var e history.Entry
		if e, err = r.Next(); err == nil {
			if err := take(e); err != nil {
				return nil, err
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", i.name, err)
	}
	return r.Unused(), nil
}

// check reads the file once, and refuses one with a row that is wrong.
func (i *importing) check(ctx context.Context, out, errs io.Writer) error {
	hash := sha256.New()
	p := newProgress(errs)
	defer p.end()
	unused, err := i.each(io.TeeReader(i.file, hash), func(e history.Entry) error {
		i.entries++
		i.addresses.add(e.Email)
		if len(e.Problems) > 0 {
			i.bad++
		}
		for _, problem := range e.Problems {
			if i.bad <= problemsShown {
				p.end()
				fmt.Fprintf(errs, "%s: %s\n", i.name, problem)
			}
		}
		p.show(func() string { return fmt.Sprintf("%s: checked %d %%", i.name, 100*e.End/max(1, i.size)) })
		if i.dryRun && i.entries <= samplesShown {
			return i.sample(out, e)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	i.sum = hex.EncodeToString(hash.Sum(nil))
	if len(unused) > 0 {
		fmt.Fprintf(out, "%s: columns that nothing is made of: %s\n", i.name, strings.Join(unused, ", "))
	}
	if i.bad > problemsShown {
		fmt.Fprintf(errs, "%s: and %s more\n", i.name, thousands(i.bad-problemsShown))
	}
	if i.bad > 0 && !i.skipBad {
		return fmt.Errorf("%s: wrong are %s of %s %s, and nothing was imported; mend them, or leave them out with --skip-bad",
			i.name, thousands(i.bad), thousands(i.entries), i.kind.Name)
	}
	return nil
}

// sample shows what an entry would become.
func (i *importing) sample(out io.Writer, e history.Entry) error {
	for _, event := range e.Events {
		value, err := decoded(schemas.Events, schemas.Encode(event))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "line %d: %s\n", e.Line, value); err != nil {
			return err
		}
	}
	return nil
}
