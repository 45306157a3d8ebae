package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

func newProfileCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profile CUSTOMER",
		Short: "Show what is known of one customer",
		Long: `Show what is known of one customer, as JSON: facts, each segment of the playbook
with the reason for being in or out of it, and the journeys on their way. It is
asked of a running customer station at admin.listen, of those instances that own
the customer's partition.`,
		Example: `  segue profile ada
  SEGUE_ADMIN_TOKEN=… segue profile ada --admin segue-1:9090`,
		Args: takes("CUSTOMER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := load(cmd)
			if err != nil {
				return err
			}
			return showProfile(cmd.Context(), cmd.OutOrStdout(), l.Admin, args[0])
		},
	}
	settingFlag(cmd.Flags(), "admin", "admin.listen", "`HOST:PORT` of the station")
	return cmd
}

func showProfile(ctx context.Context, out io.Writer, a Admin, customer string) error {
	body, err := askCustomer(ctx, a, customer, "")
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, body, "", "  "); err != nil {
		return fmt.Errorf("customer %q: answer is not JSON: %w", customer, err)
	}
	text.WriteByte('\n')
	_, err = text.WriteTo(out)
	return err
}

// askCustomer asks a station what it knows of a customer.
func askCustomer(ctx context.Context, a Admin, customer, query string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.Listen+"/customers/"+url.PathEscape(customer)+query, nil)
	if err != nil {
		return nil, err
	}
	if a.Token != "" {
		request.Header.Set("Authorization", "Bearer "+a.Token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask for customer %q: %w", customer, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	if err != nil {
		return nil, fmt.Errorf("ask for customer %q: %w", customer, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s for customer %q: %s: %s", a.Listen, customer, answer.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}
