package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// eventOf is a row of a table of activity.
type eventOf struct {
	Person string    `parquet:"person"`
	Time   time.Time `parquet:"time,timestamp(millisecond)"`
	Offset string    `parquet:"offset"`
}

// berlin is a town of larks and owls, at their hour through a change of clocks.
func berlin(t *testing.T) (events []eventOf) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for day := range 60 {
		for p := range 40 {
			events = append(events, eventOf{fmt.Sprint("p", p), time.Date(2026, 2, 20+day, 7+14*(p%2), p, 0, 0, zone), "Europe/Berlin"})
		}
	}
	return events
}

func happened(events []eventOf, time func(eventOf) string, offset func(eventOf) string) string {
	var b strings.Builder
	b.WriteString("person,time,offset\n")
	for _, e := range events {
		fmt.Fprintf(&b, "%s,%s,%s\n", e.Person, time(e), offset(e))
	}
	return b.String()
}

func TestEvaluateSendTime(t *testing.T) {
	events := berlin(t)
	utc := func(e eventOf) string { return e.Time.UTC().Format("2006-01-02 15:04:05") }
	name := func(e eventOf) string { return e.Offset }
	minutes := func(e eventOf) string { _, s := e.Time.Zone(); return fmt.Sprint(s / 60) }
	var zipped, columns bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	zip.Write([]byte(happened(events, utc, name)))
	zip.Close()
	if err := parquet.Write(&columns, events); err != nil {
		t.Fatal(err)
	}
	var written strings.Builder
	written.WriteString("person,time\n")
	for _, e := range events {
		fmt.Fprintf(&written, "%s,%s\n", e.Person, e.Time.Format(time.RFC3339))
	}
	var first string
	for format, content := range map[string]string{
		"zones": happened(events, utc, name), "gzip": zipped.String(), "parquet": columns.String(),
		"minutes": happened(events, utc, minutes),
		"seconds, and hours": happened(events, func(e eventOf) string { return fmt.Sprint(e.Time.Unix()) },
			func(e eventOf) string { return e.Time.Format("-0700") }),
		"milliseconds, and hours with a colon": happened(events, func(e eventOf) string { return fmt.Sprint(e.Time.UnixMilli()) },
			func(e eventOf) string { return e.Time.Format("-07:00") }),
		"as written": written.String(),
	} {
		out, errs, code := evaluate(t, map[string]string{"-": content}, "send-time --activity - --plot hours.svg --json")
		if code != 0 {
			t.Fatalf("%s: exit code %d: %s", format, code, errs)
		}
		if first == "" {
			first = out
		} else if out != first {
			t.Errorf("%s: another answer:\n%s%s", format, first, out)
		}
		if picture, err := os.ReadFile("hours.svg"); err != nil || !bytes.HasPrefix(picture, []byte("<svg")) {
			t.Errorf("%s: got picture %.20q, %v", format, picture, err)
		}
	}
	type told struct {
		Bits float64 `json:"bits_per_event"`
		Best float64 `json:"best_4h_share"`
	}
	var got struct {
		People int
		Tested int `json:"test_events"`
		told
		Population told
		Verdict    string
	}
	if err := json.Unmarshal([]byte(first), &got); err != nil {
		t.Fatal(err)
	}
	if got.People != 40 || got.Tested != 40*18 || got.Best != 1 || got.Population.Best != .5 ||
		got.Bits < got.Population.Bits+.8 || !strings.HasPrefix(got.Verdict, "A person's own hours can be trusted") {
		t.Errorf("got %+v, want a bit of two that is told", got)
	}
}

// Who has one event is told by everyone's hours, who has two by one of their own;
// where some have no offset, that is said.
func TestEvaluateSendTimeOfFewEvents(t *testing.T) {
	out, errs, code := evaluate(t, map[string]string{"a.csv": "who,at,zone\nada,2026-01-05T08:10:00Z,-300\nada,2026-01-06T23:10:00Z,Asia/Tokyo\nbob,2026-01-05T08:10:00Z,\n"},
		"send-time --activity a.csv --person who --time at --offset zone")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	for _, want := range []string{
		"Learnt from 1 events, tested on 2 later ones of 2 people, 1 of whom had none before.",
		"1 events have no offset, and are at the clock their time was written by.",
		"The best four hours of everyone begin at 1:00.", // around 3:10 in New York
		"Do not trust this yet: 2 people with later events are too few to tell.",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got no %q in\n%s", want, out)
		}
	}
}

func TestEvaluateSendTimeRefusals(t *testing.T) {
	const right = "person,time,offset\nada,2026-01-02T09:00:00Z,60\n"
	const wanted = ", want minutes from UTC, from -720 to 840, an offset such as +0200, or a zone such as Europe/Berlin"
	for _, tc := range []struct {
		activity, line, want string
		code                 int
	}{
		{right, "", "want --activity FILE", 2},
		{right, "--activity a.csv --person who", `a.csv: no column "who"; there are person, time, offset`, 1},
		{"person,time\nada,2026-01-02\n", "--activity a.csv --offset offset", `a.csv: no column "offset"`, 1},
		{right + ",2026-01-02,60\n", "--activity a.csv", `a.csv:3: person: got "", want a person`, 1},
		{right + "bob,noon,60\n", "--activity a.csv", `a.csv:3: time: got "noon", want a date or time`, 1},
		{right + "bob,2026-01-02,Berlin\n", "--activity a.csv", `a.csv:3: offset: got "Berlin"` + wanted, 1},
		{right + "bob,2026-01-02,Local\n", "--activity a.csv", `a.csv:3: offset: got "Local"`, 1},
		{right + "bob,2026-01-02,3600\n", "--activity a.csv", `a.csv:3: offset: got "3600"`, 1},
		{right + "bob,2026-01-02,+1500\n", "--activity a.csv", `a.csv:3: offset: got "+1500"`, 1},
		{right + "bob,2026-01-02,+0190\n", "--activity a.csv", `a.csv:3: offset: got "+0190"`, 1},
		{right + "bob,2026-01-02,1.5\n", "--activity a.csv", `a.csv:3: offset: got "1.5"`, 1},
		{right + "bob,2026-01-02\n", "--activity a.csv", "a.csv:3: got 2 values, want 3", 1},
		{"person,time\n", "--activity a.csv", "a.csv: got no row, want at least one event", 1},
		{right, "--activity none.csv", "open none.csv", 1},
		{right, "--activity a.csv --plot " + filepath.Join("none", "p.svg"), "none", 1},
	} {
		out, errs, code := evaluate(t, map[string]string{"a.csv": tc.activity}, "send-time "+tc.line)
		if code != tc.code || !strings.Contains(errs, tc.want) || out != "" {
			t.Errorf("evaluate send-time %s of %q: exit code %d, %q, want %d, %q", tc.line, tc.activity, code, errs, tc.code, tc.want)
		}
	}
}
