package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"segue/schemas"
)

const (
	hour = int64(3600_000)
	day  = 24 * hour
)

// toyState is a customer of the toy: how much they did, a cart to remind of,
// and whether they are busy, which a quiet day ends.
type toyState struct {
	Key    string
	Count  int
	CartAt int64
	Recent []int64
	Busy   bool
	Nag    int // wake-ups to ask for at once
	Rules  string
	Doom   int64 `json:",omitempty"` // a wake-up that calls die
}

// toy is a task with all that the rules are about: wake-ups that move, wake-ups
// that time alone brings, versions that decide otherwise. "bad" is refused,
// "panic" panics half way, "die" calls die, and so does the wake-up that "doom"
// asks for.
type toy struct {
	die    func()
	loaded atomic.Int64
}

var errBad = errors.New("bad record")

func (*toy) New(key string) *toyState { return &toyState{Key: key} }
func (*toy) Release(s *toyState)      { *s = toyState{Key: "released"} }
func (*toy) Size(s *toyState) int     { return 600 + 8*len(s.Recent) }

func (*toy) Encode(dst []byte, s *toyState) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return append(dst, b...)
}

func (*toy) Decode(b []byte) (*toyState, error) {
	s := new(toyState)
	return s, json.Unmarshal(b, s)
}

func (t *toy) Load(context.Context, string) error {
	t.loaded.Add(1)
	return nil
}

func (*toy) Publish(_ string, _ *toyState, fold []byte) []byte {
	return append([]byte("toy:"), fold...)
}

func (*toy) Restore(value []byte) ([]byte, error) {
	fold, ok := strings.CutPrefix(string(value), "toy:")
	if !ok {
		return nil, errors.New("not a toy's")
	}
	return []byte(fold), nil
}

// reminder is what a version decides: "r2" reminds after two hours.
func reminder(version string) int64 {
	n := int64(1)
	_, _ = fmt.Sscanf(version, "r%d", &n)
	return n * hour
}

func (t *toy) Advance(s *toyState, in Input) (decisions []string, next int64, err error) {
	decide := func(what string) { decisions = append(decisions, what) }
	kind, _, _ := strings.Cut(string(in.Value), " ")
	if kind == "bad" {
		return nil, 0, errBad
	}
	if in.Offset >= 0 {
		s.Count++
		s.Recent = append(s.Recent, in.Now)
		s.Recent = s.Recent[max(0, len(s.Recent)-8):]
	}
	switch kind {
	case "cart":
		s.CartAt = in.Now
	case "order":
		if s.CartAt > 0 {
			decide("thanks")
		}
		s.CartAt = 0
	case "nag":
		s.Nag = 3
	case "panic":
		s.Count += 1000
		panic("half way")
	case "die":
		if t.die != nil {
			t.die()
		}
	case "doom":
		s.Doom = in.Now + hour/2
	}
	if in.Offset < 0 && in.Now == s.Doom {
		if t.die != nil {
			t.die()
		}
	}
	if s.Rules != in.Version {
		decide("rules " + in.Version)
		s.Rules = in.Version
	}
	for len(s.Recent) > 0 && s.Recent[0] <= in.Now-day {
		s.Recent = s.Recent[1:]
	}
	if s.CartAt > 0 && s.CartAt+reminder(in.Version) <= in.Now {
		decide("remind")
		s.CartAt = 0
	}
	if busy := len(s.Recent) >= 3; busy != s.Busy {
		s.Busy = busy
		decide(fmt.Sprintf("busy %v", busy))
	}
	if s.CartAt > 0 {
		next = s.CartAt + reminder(in.Version)
	}
	if s.Busy {
		if leave := s.Recent[len(s.Recent)-3] + day; next == 0 || leave < next {
			next = leave
		}
	}
	if s.Doom > in.Now && (next == 0 || s.Doom < next) {
		next = s.Doom
	}
	if s.Nag > 0 {
		s.Nag--
		decide("nag")
		next = in.Now // the runtime wants it later than this
	}
	return decisions, next, nil
}

func (*toy) Compose(s *toyState, in Input, d string) ([]Output, error) {
	return []Output{{Topic: "out", Key: s.Key, Value: fmt.Appendf(nil, "%s/%d/%d %s count=%d", in.Key, in.Offset, in.Now, d, s.Count)}}, nil
}

// oracle folds a log the plain way: every wake-up of everyone before every
// record, the earliest first.
type oracle struct {
	toy     toy
	clock   int64
	version string
	states  map[string]*toyState
	next    map[string]int64
	asked   map[string]int64 // next, unless a version came into force
	outs    map[string][]string
	skips   skips
}

func newOracle() *oracle {
	return &oracle{states: map[string]*toyState{}, next: map[string]int64{}, asked: map[string]int64{}, outs: map[string][]string{}, skips: skips{}}
}

func (o *oracle) advance(in Input) {
	if in.Offset < 0 && o.skips.has(stepPlace(in)) {
		o.outs[in.Key] = append(o.outs[in.Key], "dead -1")
		if o.next[in.Key] = o.asked[in.Key]; o.next[in.Key] <= in.Now {
			o.next[in.Key] = 0
		}
		return
	}
	in.Version = o.version
	s := o.states[in.Key]
	if s == nil {
		s = o.toy.New(in.Key)
	}
	copied, _ := o.toy.Decode(o.toy.Encode(nil, s))
	decisions, next, err := func() (d []string, next int64, err error) {
		defer func() {
			if recover() != nil {
				err = errPanic
			}
		}()
		return o.toy.Advance(copied, in)
	}()
	if err != nil {
		o.outs[in.Key] = append(o.outs[in.Key], fmt.Sprintf("dead %d", in.Offset))
		return
	}
	if next != 0 {
		next = max(next, in.Now+1)
	}
	o.states[in.Key], o.next[in.Key], o.asked[in.Key] = copied, next, next
	for _, d := range decisions {
		outs, _ := o.toy.Compose(copied, in, d)
		o.outs[in.Key] = append(o.outs[in.Key], string(outs[0].Value))
	}
}

func (o *oracle) drain(before int64) {
	for {
		due, key := before, ""
		for k, n := range o.next {
			if n != 0 && (n < due || n == due && k < key) {
				due, key = n, k
			}
		}
		if key == "" {
			return
		}
		o.advance(Input{Key: key, Now: due, Offset: -1})
	}
}

func (o *oracle) record(r record) {
	if o.skips.has(place{offset: r.offset}) {
		o.outs[string(r.key)] = append(o.outs[string(r.key)], fmt.Sprintf("dead %d", r.offset))
		return
	}
	o.clock = max(o.clock, r.at)
	o.drain(o.clock)
	if len(r.key) > 0 {
		o.advance(Input{Key: string(r.key), Now: o.clock, Offset: r.offset, Value: r.value})
		return
	}
	var ev schemas.Event
	if schemas.Decode(r.value, &ev) != nil {
		return
	}
	if v := ev.GetPlaybook().GetVersion(); v != "" && v != o.version {
		o.version = v
		for k, n := range o.next {
			if n == 0 || n > o.clock {
				o.next[k] = o.clock
			}
		}
	}
}

func inForce(version string) []byte {
	return schemas.Encode(&schemas.Event{Body: &schemas.Event_Playbook{Playbook: &schemas.PlaybookInForce{Version: version}}})
}
