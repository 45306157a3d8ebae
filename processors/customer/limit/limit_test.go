package limit

import (
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"segue/schemas/playbook"
	"segue/schemas/profile"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func ms(t testing.TB, s string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

func TestQuietHoursAcrossClockChanges(t *testing.T) {
	night := &playbook.Quiet{From: 21 * 60, To: 8 * 60}
	for _, c := range []struct {
		zone     string
		quiet    *playbook.Quiet
		at, free string
		reason   string
	}{
		{"Europe/London", night, "2026-01-10T22:00:00Z", "2026-01-11T08:00:00Z", "quiet hours until 08:00"},
		{"Europe/London", night, "2026-01-10T20:59:59Z", "2026-01-10T20:59:59Z", ""},
		{"Europe/London", night, "2026-01-10T08:00:00Z", "2026-01-10T08:00:00Z", ""},
		// Clocks go forward on 29 March: the night has ten hours.
		{"Europe/London", night, "2026-03-28T22:30:00Z", "2026-03-29T07:00:00Z", "quiet hours until 08:00"},
		// And back on 25 October: twelve.
		{"Europe/London", night, "2026-10-24T21:30:00Z", "2026-10-25T08:00:00Z", "quiet hours until 08:00"},
		{"America/New_York", night, "2026-03-08T03:00:00Z", "2026-03-08T12:00:00Z", "quiet hours until 08:00"},
		{"America/New_York", night, "2026-11-01T03:00:00Z", "2026-11-01T13:00:00Z", "quiet hours until 08:00"},
		// 02:30 never comes on 8 March.
		{"America/New_York", &playbook.Quiet{From: 0, To: 150}, "2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z", "quiet hours until 03:00"},
		// 01:30 comes twice on 1 November; the hour that is lived again is quiet again.
		{"America/New_York", &playbook.Quiet{From: 60, To: 90}, "2026-11-01T05:10:00Z", "2026-11-01T05:30:00Z", "quiet hours until 01:30"},
		{"America/New_York", &playbook.Quiet{From: 60, To: 90}, "2026-11-01T06:10:00Z", "2026-11-01T06:30:00Z", "quiet hours until 01:30"},
		{"Asia/Kathmandu", night, "2026-05-01T15:15:01Z", "2026-05-02T02:15:00Z", "quiet hours until 08:00"},
	} {
		l := Limits{Of: &playbook.Limits{Quiet: c.quiet}, Zone: zone(t, c.zone)}
		free, reason := l.Free(ms(t, c.at))
		if free != ms(t, c.free) || reason != c.reason {
			t.Errorf("%s: Free(%s) = %s, %q, want %s, %q", c.zone, c.at, time.UnixMilli(free).UTC().Format(time.RFC3339), reason, c.free, c.reason)
		}
	}
}

func TestCaps(t *testing.T) {
	day, week := playbook.Cap{N: 1, Per: playbook.Day}, playbook.Cap{N: 2, Per: playbook.Week}
	for _, c := range []struct {
		zone     string
		caps     []playbook.Cap
		quiet    *playbook.Quiet
		mails    []string
		at, free string
		reason   string
	}{
		{"Europe/London", []playbook.Cap{day}, nil, []string{"2026-01-10T09:00:00Z"}, "2026-01-10T12:00:00Z", "2026-01-11T00:00:00Z", "cap: 1 per day"},
		{"Europe/London", []playbook.Cap{day}, nil, []string{"2026-01-09T23:59:00Z"}, "2026-01-10T00:00:00Z", "2026-01-10T00:00:00Z", ""},
		// After the cap come the quiet hours.
		{"Europe/London", []playbook.Cap{day}, &playbook.Quiet{From: 1260, To: 480}, []string{"2026-01-10T09:00:00Z"}, "2026-01-10T12:00:00Z", "2026-01-11T08:00:00Z", "cap: 1 per day"},
		// Weeks start on Monday; 10 January is a Saturday.
		{"Europe/London", []playbook.Cap{day, week}, nil, []string{"2026-01-05T09:00:00Z", "2026-01-10T09:00:00Z"}, "2026-01-10T12:00:00Z", "2026-01-12T00:00:00Z", "cap: 1 per day"},
		{"Europe/London", []playbook.Cap{{N: 1, Per: playbook.Month}}, nil, []string{"2026-01-05T09:00:00Z"}, "2026-01-31T12:00:00Z", "2026-02-01T00:00:00Z", "cap: 1 per month"},
		// The calendar is the customer's: 23:30 in New York is tomorrow in London.
		{"America/New_York", []playbook.Cap{day}, nil, []string{"2026-01-10T15:00:00Z"}, "2026-01-11T04:30:00Z", "2026-01-11T05:00:00Z", "cap: 1 per day"},
		// In Santiago clocks skip midnight on 6 September, so that day starts at 01:00.
		{"America/Santiago", []playbook.Cap{day}, nil, []string{"2026-09-05T15:00:00Z"}, "2026-09-05T20:00:00Z", "2026-09-06T04:00:00Z", "cap: 1 per day"},
		// In Havana midnight comes twice on 1 November.
		{"America/Havana", []playbook.Cap{day}, nil, []string{"2026-10-31T15:00:00Z"}, "2026-10-31T20:00:00Z", "2026-11-01T04:00:00Z", "cap: 1 per day"},
	} {
		l := Limits{Of: &playbook.Limits{Quiet: c.quiet, AtMost: c.caps}, Zone: zone(t, c.zone)}
		for _, m := range c.mails {
			l.Mails = append(l.Mails, profile.Mail{At: ms(t, m)})
		}
		free, reason := l.Free(ms(t, c.at))
		if free != ms(t, c.free) || reason != c.reason {
			t.Errorf("%s: Free(%s) = %s, %q, want %s, %q", c.zone, c.at, time.UnixMilli(free).UTC().Format(time.RFC3339), reason, c.free, c.reason)
		}
	}
}

// What the customer chose comes on top of the shop's limits.
func TestChosen(t *testing.T) {
	l := Limits{Of: &playbook.Limits{Quiet: &playbook.Quiet{From: 1260, To: 480}}, Zone: zone(t, "Europe/London"),
		Mails: []profile.Mail{{At: ms(t, "2026-01-05T09:00:00Z")}}}
	for _, c := range []struct {
		chosen   profile.Choice
		at, free string
		reason   string
	}{
		{profile.Choice{}, "2026-01-10T12:00:00Z", "2026-01-10T12:00:00Z", ""},
		{profile.Choice{Frequency: profile.Weekly}, "2026-01-10T12:00:00Z", "2026-01-12T08:00:00Z", "chosen: 1 per week"},
		{profile.Choice{Frequency: profile.Monthly}, "2026-01-12T12:00:00Z", "2026-02-01T08:00:00Z", "chosen: 1 per month"},
		{profile.Choice{PausedTo: ms(t, "2026-01-11T22:00:00Z")}, "2026-01-10T12:00:00Z", "2026-01-12T08:00:00Z", "paused until 11 January"},
		{profile.Choice{PausedTo: ms(t, "2026-01-10T12:00:00Z")}, "2026-01-10T12:00:00Z", "2026-01-10T12:00:00Z", ""},
		{profile.Choice{PausedTo: ms(t, "2027-01-10T12:00:00Z")}, "2026-01-10T12:00:00Z", "2027-01-10T12:00:00Z", "paused until 10 January"},
	} {
		l.Chosen = c.chosen
		free, reason := l.Free(ms(t, c.at))
		if free != ms(t, c.free) || reason != c.reason {
			t.Errorf("%+v: Free(%s) = %s, %q, want %s, %q", c.chosen, c.at, time.UnixMilli(free).UTC().Format(time.RFC3339), reason, c.free, c.reason)
		}
	}
	l.Of, l.Chosen = &playbook.Limits{}, profile.Choice{Frequency: profile.Weekly}
	if got, want := l.End(ms(t, "2026-01-10T12:00:00Z")), ms(t, "2026-01-12T00:00:00Z"); got != want {
		t.Errorf("End = %d, want %d: the end of the week", got, want)
	}
}

func TestEnd(t *testing.T) {
	l := Limits{Of: &playbook.Limits{Quiet: &playbook.Quiet{From: 21 * 60, To: 8 * 60}}, Zone: zone(t, "Europe/London")}
	if got, want := l.End(ms(t, "2026-07-01T12:00:00Z")), ms(t, "2026-07-01T20:00:00Z"); got != want {
		t.Errorf("End = %d, want %d: the start of quiet hours", got, want)
	}
	l.Of = &playbook.Limits{AtMost: []playbook.Cap{{N: 3, Per: playbook.Week}, {N: 1, Per: playbook.Day}}}
	if got, want := l.End(ms(t, "2026-07-01T12:00:00Z")), ms(t, "2026-07-01T23:00:00Z"); got != want {
		t.Errorf("End = %d, want %d: the end of the day", got, want)
	}
	l.Of = &playbook.Limits{}
	if got := l.End(1); got != 0 {
		t.Errorf("End = %d, want 0", got)
	}
}

// Whatever the zone and the night, Free is free, a minute before it was not,
// and nothing between Free and End is quiet.
func TestFreeIsTheFirstFreeMinute(t *testing.T) {
	names := []string{"Europe/London", "America/New_York", "America/Havana", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"}
	rapid.Check(t, func(t *rapid.T) {
		z, err := time.LoadLocation(rapid.SampledFrom(names).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		l := Limits{Of: &playbook.Limits{Quiet: &playbook.Quiet{From: rapid.IntRange(0, 1439).Draw(t, "from"), To: rapid.IntRange(0, 1439).Draw(t, "to")}}, Zone: z}
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
		at := start + rapid.Int64Range(0, 365*24*60*60*1000).Draw(t, "at")
		quiet := func(at int64) bool { return l.quiet(time.UnixMilli(at).In(z)) }
		free, reason := l.Free(at)
		if (reason == "") != (free == at) || quiet(free) {
			t.Fatalf("Free(%d) = %d, %q; quiet then: %v", at, free, reason, quiet(free))
		}
		for x := at; x < free; x += 60_000 {
			if !quiet(x) {
				t.Fatalf("Free(%d) = %d, but %d is free", at, free, x)
			}
		}
		end := l.End(free)
		for x := free; x < end; x += 60_000 {
			if quiet(x) {
				t.Fatalf("End(%d) = %d, but %d is quiet", free, end, x)
			}
		}
	})
}
