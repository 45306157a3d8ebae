package stream

import (
	"bytes"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"segue/processors/stream/streamtest"
	"segue/state"
)

// wiser is the toy as it decides one version later: of Ada's cart it reminds
// a little later, of Bob's not at all, it thanks Cem warmly and Dan for nothing,
// and refuses what Eve viewed.
type wiser struct{ *toy }

func (w wiser) Advance(s *toyState, in Input) (decisions []string, next int64, err error) {
	if in.Key == "eve" && string(in.Value) == "view" {
		return nil, 0, errBad
	}
	decisions, next, err = w.toy.Advance(s, in)
	switch in.Key {
	case "ada":
		if i := slices.Index(decisions, "remind"); i >= 0 && s.Nag == 0 {
			decisions = slices.Delete(decisions, i, i+1)
			s.Nag, next = -1, in.Now+hour/20
		} else if s.Nag == -1 && in.Offset < 0 {
			s.Nag, decisions = 0, append(decisions, "remind late")
		}
	case "bob":
		decisions = slices.DeleteFunc(decisions, func(d string) bool { return d == "remind" })
		if string(in.Value) == "cart" {
			s.CartAt, next = 0, 0
		}
	case "cem":
		if i := slices.Index(decisions, "thanks"); i >= 0 {
			decisions[i] = "many thanks"
		}
	case "dan":
		if string(in.Value) == "view" {
			decisions = append(decisions, "thanks")
		}
	}
	return decisions, next, err
}

// heard is what a processor logs, one line each.
type heard struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.Write(b)
}

func (h *heard) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(h, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if slices.Contains([]string{slog.TimeKey, slog.LevelKey, "processor", "instance"}, a.Key) {
			return slog.Attr{}
		}
		return a
	}}))
}

// lines are those that begin with a message.
func (h *heard) lines(msg string) (found []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for line := range strings.Lines(h.b.String()) {
		if rest, ok := strings.CutPrefix(line, "msg="+msg+" partition=0 "); ok {
			found = append(found, strings.TrimSpace(rest))
		}
	}
	return found
}

// A version decides for some customers otherwise than the one that crashed. Told
// to go on all the same, it names each decision that differs, and no other, be it
// after a lost disk or in two lives; it puts nothing out twice.
func TestAcceptedRefoldTellsWhatDiffers(t *testing.T) {
	for _, tc := range []struct {
		name string
		lose func(m *machine) *machine
		dies int // after so many records that were folded again, and changed something
		end  string
	}{
		{"disk kept", func(m *machine) *machine { return m }, 0, "from=9 to=21 decisions=13 differ=6"},
		{"disk lost", func(*machine) *machine { return newMachine("a") }, 0, "from=9 to=21 decisions=13 differ=6"},
		{"cut short", func(m *machine) *machine { return m }, 9, "from=21 to=21 decisions=4 differ=2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, streamtest.Fake(t), 1)
			m := newMachine("a")
			at := past
			clock := NewVirtualClock(past)
			config := func() Config[toyState, string] {
				c := r.config(m)
				c.Clock = clock
				return c
			}
			say := func(records ...string) {
				for _, record := range records {
					key, value, _ := strings.Cut(record, " ")
					at = at.Add(time.Minute)
					r.Produce(&kgo.Record{Topic: "events", Key: []byte(key), Value: []byte(value), Timestamp: at})
				}
			}
			r.Produce(&kgo.Record{Topic: "events", Value: inForce("r1"), Timestamp: past})
			say("ada cart", "bob cart", "cem cart", "cem order", "dan view", "eve view", "fay cart")
			at = past.Add(20 * time.Hour)
			r.Produce(&kgo.Record{Topic: "events", Value: tickValue, Timestamp: at})
			r.run(config()) // and is of no concern any more

			clock.MoveTo(at.Add(-clockSkew / 2)) // a clock that is behind
			c := config()
			c.ApplyInterval, c.FlushAfter = time.Hour, time.Hour
			var crashed atomic.Bool
			c.Hook = func(string) error {
				if crashed.Load() {
					return errCrash
				}
				return nil
			}
			x := r.start(c)
			say("ada cart", "bob cart", "cem cart", "cem order", "dan view", "eve view", "eve bad", "fay cart", "gus cart")
			r.settle(x)
			clock.MoveTo(past.Add(22 * time.Hour)) // it ticks, and reminds
			r.settle(x)
			at = past.Add(23*time.Hour + 30*time.Minute)
			clock.MoveTo(at)
			say("hal cart", "hal order")
			r.settle(x)
			crashed.Store(true)
			say("gus view")
			if err := x.wait(); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			m.lose(0)
			m = tc.lose(m)
			before := len(r.Committed("out")[0])
			var since atomic.Int64
			r.Fake.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
				r.Fake.KeepControl()
				if at := req.(*kmsg.ListOffsetsRequest).Topics[0].Partitions[0].Timestamp; at > 0 {
					since.Store(at)
				}
				return nil, nil, false
			})

			log := new(heard)
			c = config()
			c.Task, c.FoldVersion, c.Log = wiser{new(toy)}, 1, log.logger()
			c.AcceptRefold, c.Outputs = true, []string{"out"}
			if tc.dies > 0 {
				crash := &crashes{step: "refolding", left: tc.dies, then: func() {}}
				dies := c
				dies.Memory, dies.Hook = 1<<10, crash.hook // every record is applied at once
				if err := r.start(dies).wait(); !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
			}
			r.run(c)

			want := []string{
				`offset=12 key=cem instant=T topic=out was="cem/12/T thanks count=4" now="cem/12/T many thanks count=4"`,
				`offset=13 key=dan instant=T topic=out was=nothing now="dan/13/T thanks count=2"`,
				`offset=14 key=eve instant=T topic=dead-letters was=nothing now="dead letter: bad record"`,
				`offset=-1 key=ada instant=T topic=out was="ada/-1/T remind count=2" now=nothing`,
				`offset=-1 key=ada instant=T topic=out was=nothing now="ada/-1/T remind late count=2"`,
				`offset=-1 key=bob instant=T topic=out was="bob/-1/T remind count=2" now=nothing`,
			}
			if tc.dies > 0 {
				want = want[:5] // that nobody asks for it may be an older story
			}
			got := log.lines(`"decided otherwise"`)
			for i, line := range got {
				got[i] = instant.ReplaceAllString(line, "T")
			}
			if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
				t.Errorf("got\n%s\nwant\n%s", a, b)
			}
			if end := log.lines(`"what another fold version put out is compared"`); len(end) != 1 || end[0] != tc.end {
				t.Errorf("at the end: got %q, want %q", end, tc.end)
			}
			if got, want := since.Load(), past.Add(19*time.Hour).UnixMilli(); got < want {
				t.Errorf("outputs were read from %d on, want from %d or later: the span is short", got, want)
			}
			if after := len(r.Committed("out")[0]); after != before {
				t.Errorf("%d outputs became %d, want none beside them", before, after)
			}
		})
	}
}

var instant = regexp.MustCompile(`\d{13}`)

// A profile that was restored may be ahead of where a partition is folded again
// from: wake-ups that it had met are no difference.
func TestWakeUpsFoldedAgain(t *testing.T) {
	for _, tc := range []struct {
		name      string
		key       woken
		due, next int64
		want      bool
	}{
		{"the profile asks for it", woken{asOf: 10, due: 100, record: -1}, 100, 11, true},
		{"the profile asks for a later one", woken{asOf: 10, due: 100, record: -1}, 99, 11, false},
		{"the profile holds a later record", woken{asOf: 10, due: 100, record: -1}, 100, 10, false},
		{"the profile asks for none", woken{asOf: 10, record: -1}, 100, 11, false},
		{"after a record that is folded again", woken{asOf: 10, record: 20}, 100, 21, true},
		{"before it", woken{asOf: 10, record: 20}, 100, 20, false},
		{"after a wake-up that is folded again", woken{asOf: 10, record: -1, wake: 50}, 100, 11, true},
		{"before it", woken{asOf: 10, record: -1, wake: 150}, 100, 11, false},
	} {
		if got := tc.key.foldsAgain(tc.due, tc.next); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
	w := &witness[toyState, string]{Task: new(toy), woken: map[string]*woken{"ada": {asOf: 10, record: -1}}, tell: func(Input, *Output, *Output) {}}
	for offset, value := range []string{"bad", "cart", "view"} {
		_, _, _ = w.Advance(new(toyState), Input{Key: "ada", Offset: int64(offset), Value: []byte(value)})
	}
	if got := w.woken["ada"].record; got != 1 {
		t.Errorf("the first record that is folded again: got %d, want 1, since that before changes nothing", got)
	}
}

// A member that does not know yet that its partition is another's reads what that
// one has put out since. It is no decision of the version before.
func TestStepsBeyondAPosition(t *testing.T) {
	wake := func(due int64) place { return place{offset: -1, wake: state.Wake{Due: due, Key: "ada"}} }
	m := Position{Next: 20, Frontier: state.Wake{Due: 100, Key: "ada"}}
	for _, tc := range []struct {
		name string
		at   place
		next int64
		want bool
	}{
		{"the last record", place{offset: 19}, 19, true},
		{"the next record", place{offset: 20}, 20, false},
		{"the last wake-up", wake(100), 20, true},
		{"the next wake-up", wake(101), 20, false},
		{"one before a customer's own record, ahead of the others", wake(150), 19, true},
		{"one before the next record", wake(150), 20, false},
		{"one after it", wake(50), 21, false},
	} {
		if got := m.reaches(tc.at, tc.next); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

// What was put out is set beside what would be: the same first, in any order,
// then what goes to the same topic.
func TestOutputsSetBeside(t *testing.T) {
	out := func(topic, key, value string) Output { return Output{Topic: topic, Key: key, Value: []byte(value)} }
	dead := func(reason string) Output { return Output{Topic: "dead-letters", Key: "ada", Reason: reason} }
	long := strings.Repeat("the same ", 10)
	for _, tc := range []struct {
		was, now []Output
		want     []string
	}{
		{[]Output{out("a", "ada", "1"), out("b", "ada", "2")}, []Output{out("b", "ada", "2"), out("a", "ada", "1")}, nil},
		{[]Output{out("a", "ada", "1"), out("a", "ada", "2")}, []Output{out("a", "ada", "3"), out("a", "ada", "1")}, []string{"2 | 3"}},
		{[]Output{out("a", "ada", "1")}, []Output{out("b", "ada", "1")}, []string{"1 | nothing", "nothing | 1"}},
		{[]Output{out("a", "ada", "1")}, []Output{out("a", "bob", "1")}, []string{"1 | 1"}},
		{[]Output{dead("too large")}, []Output{dead("too small")}, []string{"dead letter: too large | dead letter: too small"}},
		{[]Output{out("a", "ada", long+"1")}, []Output{out("a", "ada", long+"2")}, []string{
			long[:60] + "…" + long[70:] + "1 | " + long[:60] + "…" + long[70:] + "2"}},
		{[]Output{out("segment-changes", "ada", "\x0a\x02id")}, nil, []string{`{"id":"id"} | nothing`}},
	} {
		var got []string
		w := &witness[toyState, string]{tell: func(_ Input, was, now *Output) {
			a, b := apart(was, now)
			got = append(got, a+" | "+b)
		}}
		w.pair(Input{}, tc.was, tc.now)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%.100s beside %.100s: got %q, want %q", tc.was, tc.now, got, tc.want)
		}
	}
	w := &witness[toyState, string]{dead: "dead-letters", tell: func(_ Input, _, now *Output) {
		if now.Topic != "dead-letters" || !strings.HasPrefix(now.Reason, "an output to a has 999489 bytes") {
			t.Errorf("an output that fits no record: got %s %q, want the dead letter that it becomes", now.Topic, now.Reason)
		}
	}}
	w.out(Input{Key: "ada"}, Output{Topic: "a", Value: make([]byte, maxOutput+1)})
	w.compare()
}

// refolded wants the toy, whatever number its fold has, to decide alike.
func (w *simulation) refolded(p *Processor[toyState, string]) {
	if counterValue(p.metrics.compared.WithLabelValues("alike")) > 0 {
		w.count("refolds compared")
	}
	if n := counterValue(p.metrics.compared.WithLabelValues("otherwise")); n > 0 {
		w.failf("%v decisions are said to differ, and none does", n)
	}
}
