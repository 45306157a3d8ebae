package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	netmail "net/mail"
	"time"

	"github.com/spf13/cobra"

	"segue/processors/customer"
	"segue/processors/sender"
	"segue/schemas/playbook"
)

func newMailTestCommand() *cobra.Command {
	var to, file, of string
	cmd := &cobra.Command{
		Use:   "test MESSAGE",
		Short: "Send one message of a playbook to an address",
		Long: `Send one message of a playbook to an address, with somebody made up who left two
things in a cart, through the relays that the sender is configured with, signed
as its mails are. The subject begins with [test]. Kafka is not asked and nothing
is counted: links lead straight to the shop, opening it is not noticed, and its
link to unsubscribe says that it is not valid. With --customer it shows what it
would show to them, about their last cart, as a running station at admin.listen
knows it.

Each relay that the mail was handed to is named, with the step that went wrong
and what was answered there. A mail that no relay took fails the command.`,
		Example: `  segue mail test cart-reminder --to ada@example.com
  segue mail test cart-second --to me@shop.example --playbook new.yaml
  segue mail test cart-second --to me@shop.example --customer ada`,
		Args: takes("MESSAGE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			address, err := netmail.ParseAddress(to)
			if err != nil {
				return usageError{fmt.Errorf("segue mail test: --to: got %q, want an address such as ada@example.com", to)}
			}
			l, err := load(cmd)
			if err != nil {
				return err
			}
			pb, err := playbookOrShipped(file)
			if err != nil {
				return err
			}
			return l.tryMail(cmd.Context(), cmd.OutOrStdout(), pb, args[0], of, address)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "`ADDRESS` that gets it")
	cmd.Flags().StringVar(&file, "playbook", "", "playbook `FILE` (default: the one that comes with Segue)")
	cmd.Flags().StringVar(&of, "customer", "", "`CUSTOMER` whose mail it would be")
	settingFlag(cmd.Flags(), "admin", "admin.listen", "`HOST:PORT` of the station that knows the customer")
	settingFlag(cmd.Flags(), "smtp", "sender.smtp.address", "`HOST:PORT` of the SMTP relay")
	return cmd
}

func (l *loaded) tryMail(ctx context.Context, out io.Writer, pb *playbook.Playbook, message, of string, to *netmail.Address) error {
	c, err := l.senderConfig()
	if err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	d, err := customer.Sample(pb, message, customer.Somebody(pb, now), now)
	if err != nil {
		return err
	}
	if of != "" {
		if d.ContextJson, err = askCustomer(ctx, l.Admin, of, "?values"); err != nil {
			return err
		}
		d.ToName = ""
	}
	d.Subject = "[test] " + d.Subject
	d.To, d.ToName = to.Address, cmp.Or(to.Name, d.ToName)
	trials, err := sender.Try(ctx, c, d, pb.Files)
	if err != nil {
		return err
	}
	for _, t := range trials {
		if t.Accepted() {
			_, err := fmt.Fprintf(out, "%s took %s for %s\n", t.Relay, message, d.To)
			return err
		}
		err = errors.Join(err, fmt.Errorf("%s: %s: %w", t.Relay, t.Result, t.Err))
	}
	return err
}
