package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"segue/benchmarks/storefront"
	"segue/processors/stream"
)

const oneOrder = `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850,United Kingdom
`

// The clock moves to what comes first, and takes a minute of the shop at once
// unless somebody waits for an instant between.
func TestMetronomeNext(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	shop, err := storefront.New(storefront.Config{Lines: strings.NewReader(oneOrder), Seed: 1, Collector: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer shop.Close()
	m := &metronome{shop: shop}
	first, _ := shop.Next()
	batch, ok := m.next(time.Time{}, false)
	if !ok || !batch.After(first) || batch.After(first.Add(batching)) {
		t.Errorf("nobody waits: got %s, want the last of the minute after %s", batch, first)
	}
	for _, c := range []struct {
		name         string
		waited, want time.Time
	}{
		{"before the shop", first.Add(-time.Hour), first.Add(-time.Hour)},
		{"at the shop's instant", first, first},
		{"a moment later", first.Add(time.Millisecond), first},
		{"long after", first.Add(time.Hour), batch},
	} {
		if got, ok := m.next(c.waited, true); !ok || !got.Equal(c.want) {
			t.Errorf("somebody waits %s: got %s, want %s", c.name, got, c.want)
		}
	}

	for {
		now, ok := shop.Next()
		if !ok {
			break
		}
		if err := shop.Post(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	end, _ := shop.End()
	if got, ok := m.next(end.Add(time.Hour), true); !ok || !got.Equal(end.Add(time.Hour)) {
		t.Errorf("an hour after the last order: got %s, %t, want that somebody waits", got, ok)
	}
	if got, ok := m.next(end.Add(afterwards+time.Hour), true); ok {
		t.Errorf("long after the last order: got %s, want the end", got)
	}
	if got, ok := m.next(time.Time{}, false); ok {
		t.Errorf("nobody waits after the last order: got %s, want the end", got)
	}
}

// The next instant is the earlier of what the clock was told and what the fold
// knows, which it may not have told the clock yet.
func TestMetronomeQuiet(t *testing.T) {
	start := time.Date(2010, time.December, 1, 8, 0, 0, 0, time.UTC)
	clock := stream.NewVirtualClock(start)
	_, forget := clock.At(start.Add(time.Hour))
	defer forget()
	asked := 0
	m := &metronome{
		clock:    clock,
		nextWake: func() (int64, bool) { return 0, false },
		pending:  func() int { return 0 },
		ends:     func() map[string]map[int32]int64 { return map[string]map[int32]int64{"events": {0: 7}} },
	}
	m.settled = []settler{{"events", func(time.Time) (map[int32]int64, bool) {
		asked++
		return map[int32]int64{0: 7}, asked > 1
	}}}
	waited, waits, err := m.quiet(t.Context())
	if err != nil || !waits || !waited.Equal(start.Add(time.Hour)) {
		t.Errorf("quiet: got %s, %t, %v, want the hour that the clock was told", waited, waits, err)
	}
	if asked != 2 {
		t.Errorf("asked %d times, want 2: not settled, quiet", asked)
	}
	m.nextWake = func() (int64, bool) { return start.Add(time.Minute).UnixMilli(), true }
	waited, waits, err = m.quiet(t.Context())
	if want := start.Add(time.Minute + time.Millisecond); err != nil || !waits || !waited.Equal(want) {
		t.Errorf("quiet: got %s, %t, %v, want %s, just after the fold's wake-up", waited, waits, err, want)
	}
}

func TestMetronomeRestless(t *testing.T) {
	ends := map[string]map[int32]int64{"events": {0: 7}}
	m := &metronome{pending: func() int { return 0 }, ends: func() map[string]map[int32]int64 { return ends }}
	at := func(next int64, ok bool) []settler {
		return []settler{{"events", func(time.Time) (map[int32]int64, bool) { return map[int32]int64{0: next}, ok }}}
	}
	for _, c := range []struct {
		settled []settler
		want    string
	}{
		{at(7, true), ""},
		{at(6, true), "events is at map[0:6] of map[0:7]"},
		{at(7, false), "events has things to do; it is at map[0:7] of map[0:7]"},
	} {
		m.settled = c.settled
		if got := m.restless(time.Time{}); got != c.want {
			t.Errorf("restless: got %q, want %q", got, c.want)
		}
	}
	m.pending = func() int { return 3 }
	if got, want := m.restless(time.Time{}), "the collector has 3 events to write"; got != want {
		t.Errorf("restless: got %q, want %q", got, want)
	}
}
