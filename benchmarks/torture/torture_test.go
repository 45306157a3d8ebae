package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"segue/schemas"
)

// With this seed a customer station dies, and twice one with its disk; then the
// sender, then the broker. Nothing is lost, and nothing comes twice.
func TestKafkaTorture(t *testing.T) {
	if os.Getenv("SEGUE_TEST_BROKERS") == "" {
		t.Skip("SEGUE_TEST_BROKERS is not set; deploy/kafka/run sets it")
	}
	for _, tool := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("it kills the broker, so it needs one of its own: ", err)
		}
	}
	var out bytes.Buffer
	found, err := run(t.Context(), options{
		kills: 5, every: 1500 * time.Millisecond, rate: 200, customers: 200, partitions: 4, stations: 2, seed: 3,
		kafka: "../../deploy/kafka/run", dir: filepath.Join(t.TempDir(), "run"), keep: true,
	}, &out)
	if found > 0 || err != nil {
		t.Errorf("%d findings, %v\n%s", found, err, out.String())
	}
	for _, want := range []string{"\n5 kills, ", "nothing lost, nothing twice, nothing out of order"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got no %q in\n%s", want, out.String())
		}
	}
}

// What a reader got of one customer: nothing is right that differs from the fold.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name, got string
		want      counts
	}{
		{"the same", "in out in", counts{right: 3}},
		{"the last is lost", "in out", counts{right: 2, lost: 1}},
		{"the first is lost", "out in", counts{right: 0, lost: 1, outOfOrder: 2}},
		{"all is lost", "", counts{lost: 3}},
		{"one came again", "in out in in", counts{right: 3, repeated: 1}},
		{"all came again", "in out in in out in", counts{right: 3, repeated: 3}},
		{"nothing caused it", "in out in left", counts{right: 3, uncaused: 1}},
		{"another instead", "in left in", counts{right: 2, lost: 1, uncaused: 1}},
		{"in another order", "out in in", counts{right: 1, outOfOrder: 2}},
	} {
		if got := compare([]string{"in", "out", "in"}, strings.Fields(c.got)); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// Whatever differs is wrong in some way, and the sums are those of the lists.
func TestCompareMissesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		outputs := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 8)
		want, got := outputs.Draw(t, "want"), outputs.Draw(t, "got")
		n := compare(want, got)
		if (n.wrong() == 0) != slices.Equal(want, got) {
			t.Errorf("got %+v", n)
		}
		if n.right+n.outOfOrder+n.lost != len(want) || n.right+n.outOfOrder+n.repeated+n.uncaused != len(got) {
			t.Errorf("want %d, got %d records: %+v", len(want), len(got), n)
		}
	})
}

// A delivery ends once, and its mail comes at most once; only what was in hand at
// a kill may be in doubt.
func TestLedger(t *testing.T) {
	sent, inDoubt, cancelled := schemas.Outcome_SENT, schemas.Outcome_IN_DOUBT, schemas.Outcome_CANCELLED
	for _, c := range []struct {
		name  string
		entry entry
		want  string // of the finding; "": none
	}{
		{"sent", entry{true, []schemas.Outcome_Kind{sent}, 1}, ""},
		{"cancelled", entry{true, []schemas.Outcome_Kind{cancelled}, 0}, ""},
		{"in doubt, and came", entry{true, []schemas.Outcome_Kind{inDoubt}, 1}, ""},
		{"in doubt, and did not", entry{true, []schemas.Outcome_Kind{inDoubt}, 0}, ""},
		{"came twice", entry{true, []schemas.Outcome_Kind{sent}, 2}, "2 mails"},
		{"in doubt, and came twice", entry{true, []schemas.Outcome_Kind{inDoubt}, 2}, "2 mails"},
		{"never ended", entry{true, nil, 0}, "outcomes []"},
		{"ended twice", entry{true, []schemas.Outcome_Kind{sent, inDoubt}, 1}, "outcomes [SENT IN_DOUBT]"},
		{"sent, and lost", entry{true, []schemas.Outcome_Kind{sent}, 0}, "not in the inbox"},
		{"cancelled, and came", entry{true, []schemas.Outcome_Kind{cancelled}, 1}, "in the inbox"},
		{"nobody decided it", entry{false, []schemas.Outcome_Kind{sent}, 1}, "nothing decided it"},
	} {
		if got := findings(ledger{"d": &c.entry}, 1); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	two := ledger{"a": {true, []schemas.Outcome_Kind{inDoubt}, 1}, "b": {true, []schemas.Outcome_Kind{inDoubt}, 0}}
	if got := findings(two, 1); !strings.Contains(got, "2 mails are in doubt, want at most 1") {
		t.Errorf("more in doubt than a kill explains: got %q", got)
	}
	if got := findings(two, 2); got != "" {
		t.Errorf("as many in doubt as a kill explains: got %q", got)
	}
}

func findings(l ledger, allowed int64) string {
	var all []string
	l.check(allowed, func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) })
	return strings.Join(all, "\n")
}

func TestQuantile(t *testing.T) {
	values := []float64{4, 1, 3, 2}
	for part, want := range map[float64]float64{0.5: 2, 0.75: 3, 0.99: 4, 1: 4} {
		if got := quantile(values, part); got != want {
			t.Errorf("quantile(%v, %v) = %v, want %v", values, part, got, want)
		}
	}
	if got := quantile([]float64{}, 0.5); got != 0 {
		t.Errorf("quantile of none = %v, want 0", got)
	}
}

func TestMetrics(t *testing.T) {
	m := metrics{`# HELP commits_total x`, `commits_total{result="committed"} 3`, `commits_total{result="unconfirmed"} 1`, `commits_total_more 9`, `lag 2.5`}
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{{"commits_total", nil, 4}, {"commits_total", []string{`result="committed"`}, 3}, {"lag", nil, 2.5}, {"missing", nil, 0}} {
		if got := m.sum(c.name, c.labels...); got != c.want {
			t.Errorf("sum(%s, %q) = %v, want %v", c.name, c.labels, got, c.want)
		}
	}
}

// The same seed is the same shoppers, whatever the broker does.
func TestLoadFollowsTheSeed(t *testing.T) {
	story := func(seed uint64) string {
		l, err := newLoad(nil, "events", options{seed: seed, customers: 5})
		if err != nil {
			t.Fatal(err)
		}
		defer l.client.Close()
		var told strings.Builder
		for range 300 {
			for _, r := range l.happen() {
				var e schemas.Event
				if err := schemas.Decode(r.Value, &e); err != nil {
					t.Fatal(err)
				}
				e.OccurredAt, e.ReceivedAt = nil, nil
				fmt.Fprintf(&told, "%s %x\n", r.Key, schemas.Encode(&e))
			}
		}
		return told.String()
	}
	first := story(1)
	if story(1) != first {
		t.Error("two runs of a seed differ")
	}
	if story(2) == first {
		t.Error("two seeds do the same")
	}
	for _, want := range []string{"shopper-", "guest-"} {
		if !strings.Contains(first, want) {
			t.Errorf("got no %s", want)
		}
	}
}
