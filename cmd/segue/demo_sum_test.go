package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"segue/benchmarks/storefront"
)

func TestPrintSum(t *testing.T) {
	var out bytes.Buffer
	printSum(&out, midyear(t), storefront.Ledger{Lines: 24_860, Orders: 1_301, Recovered: 100, GuestOrders: 12, Refunds: 751, Adjustments: 9}, 379*24*time.Hour, 64*time.Second)
	want := `
379 days in 64 s: 12,345 events of 289 shoppers

  orders     24,860 lines: 1,201 orders (12 of guests), 751 refunded lines, 9 corrections of stock
  mail       412 sent, 201 opened (49 %), 90 clicked (22 %), 5 unsubscribed
  not sent   302 skipped, 17 cancelled, 0 failed, 0 stale; held for a better moment: 120 times
  recovered  41 carts, £3,120: orders within a day of a click
`
	if got := out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestPrintPromises(t *testing.T) {
	var out bytes.Buffer
	printPromises(&out, nil)
	if got := strings.Count(out.String(), "  kept       "); got != len(promises) {
		t.Errorf("nothing broken: got %d promises kept, want %d", got, len(promises))
	}
	out.Reset()
	var broken []string
	for i := range shownBroken + 2 {
		broken = append(broken, fmt.Sprintf("line %d of the orders: got it 0 times in the log, want once", i+1))
	}
	printPromises(&out, broken)
	if got := out.String(); strings.Contains(got, "kept") || !strings.HasPrefix(got, "\n  broken     line 1 of the orders: ") || !strings.HasSuffix(got, "line 50 of the orders: got it 0 times in the log, want once\n  broken     and 2 more\n") {
		t.Errorf("52 broken: got\n%s\nwant the first 50, and that there are 2 more", got)
	}
}
