package main

import (
	"io"
	"strings"
	"testing"
)

// What is expected decides the number of partitions; more is never fewer.
func TestPartitionsExpected(t *testing.T) {
	for _, tc := range []struct {
		customers, eventsPerSecond int64
		want                       int
	}{{1, 1, 16}, {8_000_000, 1, 16}, {8_000_001, 1, 32}, {1, 32_000, 16}, {1, 32_001, 32}, {10_000_000, 100_000, 64}, {1 << 60, 1 << 60, 1024}} {
		e := expectation{tc.customers, tc.eventsPerSecond}
		if got, _ := e.partitions(); got != tc.want {
			t.Errorf("%+v: got %d partitions, want %d", e, got, tc.want)
		}
	}
}

// Who is asked may type a number as people do, or take what is proposed.
func TestAskedWhatToExpect(t *testing.T) {
	for _, tc := range []struct {
		typed, wantErr string
		want           expectation
	}{
		{"\n\n", "", expectedByDefault},
		{"2,000,000\n500\n", "", expectation{2_000_000, 500}},
		{"2 million\n", `nothing was made: got "2 million", want a positive number`, expectation{}},
		{"5\n", "nothing was made: EOF", expectation{}},
	} {
		var e expectation
		err := e.ask(strings.NewReader(tc.typed), io.Discard)
		if tc.wantErr == "" && (err != nil || e != tc.want) || tc.wantErr != "" && (err == nil || err.Error() != tc.wantErr) {
			t.Errorf("typed %q: got %+v, %v, want %+v, %s", tc.typed, e, err, tc.want, tc.wantErr)
		}
	}
}
