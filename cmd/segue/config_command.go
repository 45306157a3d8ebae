package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newConfigCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration and where each value came from",
		Long: `Print the effective configuration and where each value came from: a default,
a line of segue.yaml, a variable or a flag; each beats the ones before it.
Secrets are not shown.`,
		Example: `  segue config
  SEGUE_PREFIX=staging- segue config --config deploy/segue.yaml --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := load(cmd)
			if err != nil {
				return err
			}
			if asJSON {
				return printConfigJSON(cmd, l)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "SETTING\tVALUE\tFROM")
			for _, s := range settings {
				fmt.Fprintf(w, "%s\t%s\t%s\n", s.key, s.show(s.in(&l.Config)), l.from[s.key])
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object per setting")
	return cmd
}

func printConfigJSON(cmd *cobra.Command, l *loaded) error {
	for _, s := range settings {
		row := struct {
			Setting string `json:"setting"`
			Value   any    `json:"value"`
			From    string `json:"from"`
		}{s.key, s.in(&l.Config).Interface(), l.from[s.key]}
		if text, ok := row.Value.(fmt.Stringer); ok {
			row.Value = text.String()
		}
		if s.secret {
			row.Value = s.show(s.in(&l.Config))
		}
		if err := writeJSON(cmd.OutOrStdout(), row); err != nil {
			return err
		}
	}
	return nil
}
