package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"segue/benchmarks/storefront"
	"segue/schemas"
)

// shownBroken is how many broken promises are printed.
const shownBroken = 50

// sum reads the whole log, prints what came of the year, and returns how many
// promises were broken.
func (s *stage) sum(ctx context.Context, out io.Writer) (int, error) {
	took := time.Since(s.began)
	total := newTally(s.zone, s.tally.segments)
	log := told{
		event: func(at int64, e *schemas.Event) {
			total.event(at, e)
			s.audit.event(at, e)
		},
		change: total.change,
		command: func(c *schemas.DeliveryCommand) {
			total.command(c)
			s.audit.command(c)
		},
		dead: s.audit.deadLetter,
	}
	if err := log.readAll(ctx, s.kafka); err != nil {
		return 0, err
	}
	did := s.shop.Ledger()
	sc := &scene{}
	total.fill(sc)
	s.mu.Lock()
	broken := s.audit.broken(did)
	s.mu.Unlock()
	printSum(out, sc, did, s.clock.Now().Sub(s.start), took)
	printPromises(out, broken)
	return len(broken), nil
}

func printSum(out io.Writer, sc *scene, did storefront.Ledger, year, took time.Duration) {
	c := sc.Counts
	fmt.Fprintf(out, `
%.0f days in %.0f s: %s events of %s shoppers

  orders     %s lines: %s orders (%s of guests), %s refunded lines, %s corrections of stock
  mail       %s sent, %s opened (%s), %s clicked (%s), %s unsubscribed
  not sent   %s skipped, %s cancelled, %s failed, %s stale; held for a better moment: %s times
  recovered  %s carts, £%s: orders within a day of a click
`,
		year.Hours()/24, took.Seconds(), thousands(sc.Events), thousands(sc.Shoppers),
		thousands(did.Lines), thousands(did.Orders-did.Recovered), thousands(did.GuestOrders), thousands(did.Refunds), thousands(did.Adjustments),
		thousands(c.Sent), thousands(c.Opened), share(c.Opened, c.Sent), thousands(c.Clicked), share(c.Clicked, c.Sent), thousands(c.Unsubscribed),
		thousands(c.Skipped), thousands(c.Cancelled), thousands(c.Failed), thousands(c.Stale), thousands(c.Held),
		thousands(c.Recovered), thousands(int(c.RecoveredMicros/1e6)))
}

// promises are what audit looks for.
var promises = []string{
	"no mail after its purchase",
	"no mail to anybody who unsubscribed",
	"no mail twice, and no step of a journey twice",
	"no mail in quiet hours, where the customer is",
	"no more mails than the limits allow",
	"exactly one outcome of each delivery",
	"every event and every line accounted for",
}

func printPromises(out io.Writer, broken []string) {
	fmt.Fprintln(out)
	if len(broken) == 0 {
		for _, p := range promises {
			fmt.Fprintf(out, "  kept       %s\n", p)
		}
		return
	}
	for i, line := range broken {
		if i == shownBroken {
			fmt.Fprintf(out, "  broken     and %s more\n", thousands(len(broken)-shownBroken))
			break
		}
		fmt.Fprintf(out, "  broken     %s\n", line)
	}
}
