package returns

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// told is a return as the files of testdata show it.
func told(r *Return, err error) string {
	switch {
	case err != nil:
		return "error: " + err.Error() + "\n"
	case r == nil:
		return "nothing\n"
	}
	text := fmt.Sprintf("%s: %s said %q\n", map[Kind]string{Hard: "hard", Soft: "soft", Spam: "spam"}[r.Kind], r.Address, r.Said)
	if len(r.Paths) > 0 {
		text += "paths: " + strings.Join(r.Paths, ", ") + "\n"
	}
	if r.Unsubscribe != "" {
		text += "unsubscribe: " + r.Unsubscribe + "\n"
	}
	return text
}

// Mails of real servers' kinds, as they come back.
func TestReports(t *testing.T) {
	for _, path := range []string{"testdata/delivery_reports.txt", "testdata/feedback_reports.txt"} {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			want := told(ReadReport([]byte(d.Input)))
			// Over SMTP lines end otherwise.
			if got := told(ReadReport([]byte(strings.ReplaceAll(d.Input, "\n", "\r\n")))); got != want {
				t.Errorf("with CRLF:\n got %swant %s", got, want)
			}
			return want
		})
	}
}

// A stranger's report may continue a field as long as a mail can be.
func TestEndlessField(t *testing.T) {
	const field = "Action: failed\r\nFinal-Recipient: rfc822; ada@example.com\r\nDiagnostic-Code: smtp; 550 no"
	all, err := groups([]byte(field + strings.Repeat("\r\n x", MaxBody/4)))
	if err != nil || len(all) != 1 {
		t.Fatalf("groups = %d, %v, want one", len(all), err)
	}
	if got := len(all[0].Get("Diagnostic-Code")); got < maxField || got > 2*maxField {
		t.Errorf("got %d bytes of a field that goes on and on, want about %d", got, maxField)
	}
}

// What a server gave up says something of the address, or does not.
func TestGravity(t *testing.T) {
	for _, test := range []struct {
		status, said string
		want         Kind
	}{
		{"5.1.1", "", Hard},
		{"5.1.10", "", Hard}, // a null MX
		{"5.1.1 (no mailbox)", "", Hard},
		{"5.2.1", "550 5.2.1 The email account that you tried to reach is disabled", Hard},
		{"5.0.0", "550 5.1.1 sorry", Hard},
		{"5.0.0", "550-5.1.1 sorry\n550 5.1.1 no", Hard},
		{"", "550 5.1.1 sorry", Hard},
		{"", "550 #5.1.1 sorry", Hard},
		{"", "550 User unknown", Hard},
		{"5.5.0", "550 5.5.0 Requested action not taken: mailbox unavailable", Hard},

		{"4.1.1", "450 4.1.1 user unknown in the table that is being rebuilt", Soft},
		{"5.1.8", "", Soft}, // of the sender's address
		{"5.2.2", "552 5.2.2 mailbox full", Soft},
		{"5.7.1", "554 5.7.1 user unknown to our policy", Soft},
		{"5.7.1", "550 5.1.1 in words", Soft}, // the code is exact
		{"5.0.0", "550 rejected", Soft},
		{"5.0.0", "", Soft},
		{"", "", Soft},
		{"", "user unknown", Soft}, // who says so?
		{"2.0.0", "550 user unknown", Soft},
		{"", "host mx[5.1.1.3] said: 452 too much", Soft},
		{"", "host 550 5.1.1.3 said: wait", Soft}, // an address of a server
		{"51.1.1", "", Soft},
	} {
		if got := gravity(test.status, test.said); got != test.want {
			t.Errorf("gravity(%q, %q) = %s, want %s", test.status, test.said, got.label(), test.want.label())
		}
	}
}

func FuzzReport(f *testing.F) {
	for _, path := range []string{"testdata/delivery_reports.txt", "testdata/feedback_reports.txt"} {
		all, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, sample := range strings.Split(string(all), "\nmail\n")[1:] {
			mail, _, _ := strings.Cut(sample, "\n----\n")
			f.Add([]byte(mail))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := ReadReport(raw)
		if r == nil {
			return
		}
		text := strings.ToLower(string(raw))
		switch {
		case err != nil:
			t.Errorf("got a return and %v, want one of them", err)
		case r.Kind != Hard && r.Kind != Soft && r.Kind != Spam:
			t.Errorf("got kind %d", r.Kind)
		case !strings.Contains(text, "multipart/report"):
			t.Errorf("got %v of a mail that is no report", r)
		case r.Kind == Spam && !strings.Contains(text, "feedback-type"):
			t.Errorf("got %v of no feedback report", r)
		}
		if e := r.event(ada, 1); len(e.GetOutcome().GetSmtpReply()) > maxSaid || len(e.GetOutcome().GetAddress()) > maxSaid {
			t.Errorf("got an event of %d bytes for what strangers wrote", len(e.GetOutcome().GetSmtpReply()))
		}
	})
}
