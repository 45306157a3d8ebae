package main

import "github.com/spf13/cobra"

func newMailCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mail",
		Short: "Check a sending domain, send a test mail",
		Example: `  segue mail check shop.example --ip 203.0.113.7
  segue mail test cart-reminder --to ada@example.com`,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	cmd.AddCommand(newMailCheckCommand(), newMailTestCommand())
	return cmd
}
