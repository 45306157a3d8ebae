package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
)

// addresses are e-mail addresses, in lower case, and the customers who have each
// in profiles.
type addresses map[string][]string

func (a addresses) add(email string) {
	if email != "" {
		a[strings.ToLower(email)] = nil
	}
}

func (a addresses) of(email string) []string { return a[strings.ToLower(email)] }

// find reads profiles to its end. A later record of a customer replaces an
// earlier one, also when the address is no longer theirs.
func (a addresses) find(ctx context.Context, l *loaded) error {
	topic := l.Prefix + schemas.Profiles
	client, err := l.Kafka.client(ctx, fromStart(topic)...)
	if err != nil {
		return err
	}
	defer client.Close()
	left, err := unreadFrom(ctx, kadm.NewClient(client), []string{topic})
	if err != nil {
		return err
	}
	has := map[string]string{} // address by customer
	err = readToEnd(ctx, client, left, func(r *kgo.Record) error {
		var p schemas.CustomerProfile
		if err := schemas.Decode(r.Value, &p); err != nil {
			return fmt.Errorf("decode the profile of %q at offset %d of partition %d: %w", r.Key, r.Offset, r.Partition, err)
		}
		delete(has, string(r.Key))
		email := strings.ToLower(p.GetEmail())
		if _, wanted := a[email]; wanted {
			has[string(r.Key)] = email
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for addresses in %s: %w", topic, err)
	}
	for _, customer := range slices.Sorted(maps.Keys(has)) {
		a[has[customer]] = append(a[has[customer]], customer)
	}
	return nil
}

// report names the addresses that nobody has.
func (a addresses) report(out io.Writer, name string) {
	var nobodys []string
	for _, email := range slices.Sorted(maps.Keys(a)) {
		if len(a[email]) == 0 {
			nobodys = append(nobodys, email)
		}
	}
	if len(nobodys) == 0 {
		return
	}
	shown := nobodys[:min(len(nobodys), problemsShown)]
	fmt.Fprintf(out, "%s: %s no customer has now, and nobody is unsubscribed by; import again when customers were added: %s",
		name, counted(len(nobodys), "address", "addresses"), strings.Join(shown, ", "))
	if more := len(nobodys) - len(shown); more > 0 {
		fmt.Fprintf(out, " and %s more", thousands(more))
	}
	fmt.Fprintln(out)
}
