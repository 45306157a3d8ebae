package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/models"
)

func newModelsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show which models are in force, since when, and which there are",
		Long: `Show by which models each partition of events is scored, and since when; then
all versions that were put in force and are still known, the last one first.

A partition is where its customer station has committed to be: until that comes
to the last version, an older one scores there.`,
		Example: "  segue models list --brokers kafka-1:9092",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, kafka, err := reached(cmd)
			if err != nil {
				return err
			}
			table, err := stream.NewTable(kafka, l.Prefix+schemas.Models)
			if err != nil {
				return err
			}
			defer table.Close()
			if err := table.CatchUp(cmd.Context()); err != nil {
				return err
			}
			partitions, err := stream.ReachedBy(cmd.Context(), kafka, l.Prefix, "customer", schemas.Events)
			if err != nil {
				return err
			}
			known, err := knownModels(table)
			if err != nil {
				return err
			}
			return listModels(cmd.OutOrStdout(), known, partitions)
		},
	}
}

// knownSet is a version, and when it was last put in force; zero: it comes with
// Segue.
type knownSet struct {
	*models.Set
	since time.Time
}

// knownModels are those in the topic, the last one first, and what comes with Segue.
func knownModels(table *stream.Table) (known []knownSet, err error) {
	for _, r := range table.Records() {
		set, err := models.Decode(string(r.Key), r.Value)
		if err != nil {
			return nil, err
		}
		known = append(known, knownSet{set, r.Timestamp})
	}
	if ours := models.Default(); !slices.ContainsFunc(known, func(k knownSet) bool { return k.Version == ours.Version }) {
		known = append(known, knownSet{Set: ours})
	}
	return known, nil
}

func listModels(out io.Writer, known []knownSet, partitions []stream.Reached) error {
	since := map[string]string{}
	for _, k := range known {
		since[k.Version] = k.shownSince()
	}
	last := known[0].Version
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PARTITION\tIN FORCE\tSINCE\tSTATION")
	for id, p := range partitions {
		version, station := last, "here"
		if p.Position == nil {
			station = "was never here"
		} else if version = textOr(schemas.ParseInForce(p.Position.Version.Name).Models, models.Default().Version); version != last {
			station = fmt.Sprintf("has not come to %s, records to go: %s", last, thousands(int(p.End-p.Position.Next)))
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", id, version, textOr(since[version], "not known any more"), station)
	}
	fmt.Fprintln(w, "\nVERSION\tPUT IN FORCE\tRANKS\tABOUT")
	for _, k := range known {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.Version, k.shownSince(), k.ranks(), k.about())
	}
	return w.Flush()
}

func (k knownSet) shownSince() string {
	if k.since.IsZero() {
		return "comes with Segue"
	}
	return k.since.UTC().Format(time.RFC3339)
}

func (k knownSet) ranks() string {
	if len(k.Value.Ranks) == 0 {
		return "none"
	}
	return fmt.Sprint(len(k.Value.Ranks)) + ranksOf(k.Set)
}

// aboutShown is how many characters of how a set was obtained fit a line.
const aboutShown = 60

func (k knownSet) about() string {
	about := []rune(strings.Join(strings.Fields(k.About), " "))
	if len(about) > aboutShown {
		about = append(about[:aboutShown-1], '…')
	}
	return onOneLine(string(about))
}
