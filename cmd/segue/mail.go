package main

import "github.com/spf13/cobra"

func newMailCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "mail",
		Short:   "Check a sending domain",
		Example: "  segue mail check shop.example --ip 203.0.113.7",
		Args:    cobra.ArbitraryArgs,
		RunE:    runGroup,
	}
	cmd.AddCommand(newMailCheckCommand())
	return cmd
}
