package customer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"segue/processors/stream/streamtest"
	"segue/schemas"
)

var errCrash = errors.New("crashed by the test")

// The station dies at every step of the commit protocol, with none, half or all
// of what it had not synced, and once with the disk. What others read is what
// they read of a station that nothing disturbed.
func TestCrashAtEveryStep(t *testing.T) {
	undisturbed := newShopfront(t, streamtest.Fake(t))
	undisturbed.tell(&fate{})
	want := undisturbed.outputs()
	for _, step := range []string{"polled", "folded", "produced", "offsets", "committed", "applied", "stopped", "taken", "restoring"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			newShopfront(t, streamtest.Fake(t)).dieAt(step, want)
		})
	}
}

func TestKafkaCrashAtEveryStep(t *testing.T) {
	undisturbed := newShopfront(t, streamtest.Fake(t))
	undisturbed.tell(&fate{})
	want := undisturbed.outputs()
	for _, step := range []string{"produced", "offsets", "committed", "applied", "stopped", "taken", "restoring"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			newShopfront(t, streamtest.Real(t)).dieAt(step, want)
		})
	}
}

func (s *shopfront) dieAt(step string, want map[string][]string) {
	f := &fate{deaths: []death{{step, 1, 0}, {step, 2, 50}, {step, 1, 100}, {step, 1, lost}}}
	switch step {
	case "applied", "stopped", "taken":
		f.deaths[1].visit = 1
	case "restoring":
		f.deaths = []death{{"stopped", 1, lost}, {step, 1, lost}, {step, 2, 100}}
	}
	s.tell(f)
	if len(f.deaths) > 0 {
		s.t.Errorf("got no crash at %v", f.deaths)
	}
	got := s.outputs()
	for key, values := range want {
		if !slices.Equal(got[key], values) {
			s.t.Errorf("%s: got %d records\n%s\nwant %d\n%s", key, len(got[key]), strings.Join(got[key], "\n"), len(values), strings.Join(values, "\n"))
		}
		delete(got, key)
	}
	for key := range got {
		s.t.Errorf("%s: %d records that nothing caused", key, len(got[key]))
	}
}

// story is what customers do, and by which hour all that follows from it is done.
var story = []struct {
	by     int
	events []string
}{
	{2, []string{"ada identify email=ada@example.com", "ada subscribe", "ada view sku=mug", "ada view sku=jug", "ada view sku=bowl",
		"ada cart_add cart=c1 sku=mug price=12.50", "bob order order=o1 total=20", "bob visit", "guest cart_add cart=c3 sku=pot price=30"}},
	{12, []string{"ada cart_add cart=c2 sku=chair price=120", "guest view sku=pot", "guest becomes known=ada", "guest view sku=vase", "bob order_cancelled order=o1"}},
	{30, []string{"cem identify email=cem@example.com zone=America/New_York", "cem subscribe", "cem view sku=mug", "cem view sku=jug", "cem cart_add cart=c4 sku=mug price=9"}},
	{200, []string{"ada order order=o2 total=150", "bob visit"}},
}

// tell lets a station live through the story. It stops and starts again with
// every chapter, and as often as it dies.
func (s *shopfront) tell(f *fate) {
	s.t.Helper()
	first := parse(s.t, shop(s.t))
	second := parse(s.t, strings.Replace(shop(s.t), "views.within(days(7)) >= 3", "views.within(days(7)) >= 2", 1))
	f.disk = vfs.NewCrashableMem()
	for i, chapter := range story {
		switch i {
		case 0:
			s.apply(first)
		case 2:
			s.apply(second)
		}
		s.events(chapter.events...)
		for {
			c := s.config("a")
			c.FS, c.Hook = f.disk, f.life()
			c.ApplyInterval, c.FlushAfter = 40*time.Millisecond, 100*time.Millisecond
			x := s.start(c)
			done := s.runTo(x, time.UnixMilli(monday).Add(time.Duration(chapter.by)*time.Hour))
			if err := x.stop(); err == nil && done {
				break
			} else if !errors.Is(err, errCrash) {
				s.t.Fatalf("chapter %d: %v", i, err)
			}
		}
	}
}

// fate is how the station dies, one life after the other.
type fate struct {
	deaths []death
	disk   *vfs.MemFS
}

// death comes at a step, when it is reached for the nth time of a life.
// unsynced is the part of what was not synced that outlives it, in percent.
type death struct {
	step     string
	visit    int
	unsynced int
}

// lost is the unsynced part of a disk that is lost altogether.
const lost = -1

// life returns the hook of the next process.
func (f *fate) life() func(step string) error {
	if len(f.deaths) == 0 {
		return nil
	}
	d := f.deaths[0]
	var mu sync.Mutex
	return func(step string) error {
		mu.Lock()
		defer mu.Unlock()
		if d.visit > 0 && step == d.step {
			if d.visit--; d.visit == 0 {
				f.crash(d.unsynced)
			}
		}
		if d.visit == 0 {
			return errCrash // it is dead
		}
		return nil
	}
}

func (f *fate) crash(unsynced int) {
	if unsynced == lost {
		f.disk = vfs.NewCrashableMem()
	} else {
		f.disk = f.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(1, 2))})
	}
	f.deaths = f.deaths[1:]
}

// outputs are what the station wrote, by topic and customer.
func (s *shopfront) outputs() map[string][]string {
	all := map[string][]string{}
	for _, topic := range []string{schemas.SegmentChanges, schemas.Scores, schemas.Deliveries, schemas.Events, schemas.DeadLetters} {
		found := false
		for _, records := range s.Committed(topic) {
			for _, r := range records {
				if topic == schemas.Events {
					var e schemas.Event
					if err := schemas.Decode(r.Value, &e); err != nil {
						s.t.Fatal(err)
					}
					if e.GetSource() != station {
						continue
					}
				}
				key := topic + " of " + string(r.Key)
				all[key] = append(all[key], fmt.Sprintf("%d %q", r.Timestamp.UnixMilli()-monday, r.Value))
				found = true
			}
		}
		if !found && topic != schemas.DeadLetters {
			s.t.Errorf("nothing is in %s: the test shows nothing", topic)
		}
	}
	return all
}
