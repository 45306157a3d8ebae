package stream

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream/streamtest"
)

// nine wakes customers every morning at nine, by the clocks of the place that
// they are named for.
type nine struct{ *toy }

func (nine) Advance(_ *toyState, in Input) (decisions []string, next int64, err error) {
	zone, err := time.LoadLocation(in.Key)
	if err != nil {
		return nil, 0, err
	}
	here := time.UnixMilli(in.Now).In(zone)
	if in.Offset < 0 {
		decisions = []string{here.Format("good morning 15:04")}
	}
	morning := func(day int) time.Time { return time.Date(here.Year(), here.Month(), day, 9, 0, 0, 0, zone) }
	if at := morning(here.Day()); at.After(here) {
		return decisions, at.UnixMilli(), nil
	}
	return decisions, morning(here.Day() + 1).UnixMilli(), nil
}

// A partition in which nothing is said for eleven days, while summer begins in
// London and ends on Lord Howe, by half an hour: everyone is woken at their
// nine, in order, and at no other time. The station is stopped once, loses its
// disk, and is away for a day and a half; what it missed is not moved.
func TestSilentPartition(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	begin := time.Date(2026, 3, 27, 0, 0, 0, 0, time.UTC)
	days := func(n float64) time.Time {
		return begin.Add(time.Duration(n * 24 * float64(time.Hour))).Round(time.Minute)
	}
	// nines are the hours of UTC at which it is nine, from a day on.
	type nines struct {
		day  int
		hour float64
	}
	customers := map[string][]nines{
		"Europe/London":       {{0, 9}, {2, 8}}, // Sunday, 29 March
		"Atlantic/Canary":     {{0, 9}, {2, 8}}, // as in London, and before it in order
		"America/New_York":    {{0, 13}},
		"Asia/Kolkata":        {{0, 3.5}},
		"Australia/Lord_Howe": {{0, 22}, {8, 22.5}}, // there it is Sunday, 5 April
	}
	clock := NewVirtualClock(begin)
	type wake struct {
		at  time.Time
		key string
	}
	var want []wake
	for key, all := range customers {
		r.Produce(&kgo.Record{Topic: "events", Key: []byte(key), Value: []byte("view"), Timestamp: begin})
		for day := range 11 {
			last := all[0]
			for _, n := range all {
				if n.day <= day {
					last = n
				}
			}
			want = append(want, wake{days(float64(day) + last.hour/24), key})
		}
	}
	slices.SortFunc(want, func(a, b wake) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.key, b.key)) })

	m := newMachine("a")
	until := func(end time.Time) {
		c := r.config(m)
		c.Task, c.Clock, c.CommitSpacing = nine{new(toy)}, clock, -1
		x := r.start(c)
		r.Drive(clock, end, map[string]streamtest.Station{"events": x.p})
		clock.MoveTo(end)
		r.end(x)
	}
	until(days(3.1))
	until(days(5.1))
	m = newMachine("a") // the disk is lost
	until(days(7.1))
	away, back := days(7.1), days(8.6)
	clock.MoveTo(back)
	until(days(11))

	var got []wake
	for _, rec := range r.Committed("out")[0] {
		var offset, now int64
		key := string(rec.Key)
		what, _ := strings.CutPrefix(string(rec.Value), key+"/")
		if _, err := fmt.Sscanf(what, "%d/%d good morning 09:00", &offset, &now); err != nil || offset != -1 {
			t.Fatalf("output %q: %v", rec.Value, err)
		}
		w := wake{time.UnixMilli(now).UTC(), key}
		got = append(got, w)
		fired := w.at.Add(time.Millisecond) // what is due before the tick's time fires
		if w.at.After(away) && w.at.Before(back) {
			fired = back
		}
		if !rec.Timestamp.Equal(fired) {
			t.Errorf("%s, due %v: put out at %v, want %v", key, w.at, rec.Timestamp.UTC(), fired)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("woken:\n got %v\nwant %v", got, want)
	}
}
