package ranks

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/customer"
	"segue/processors/stream"
	"segue/processors/stream/streamtest"
	"segue/schemas"
	"segue/schemas/models"
)

const (
	partitions = 2
	people     = 200
)

var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// shop is a cluster, one clock, and a customer station at work.
type shop struct {
	*streamtest.Cluster
	t         *testing.T
	clock     *stream.VirtualClock
	customers *customer.Station
	seen      map[string]time.Time // when each did something last
}

func newShop(t *testing.T, c *streamtest.Cluster) *shop {
	s := &shop{Cluster: c, t: t, clock: stream.NewVirtualClock(monday), seen: map[string]time.Time{}}
	s.Create(partitions, schemas.Events, schemas.SegmentChanges, schemas.Scores, schemas.Deliveries, schemas.Profiles, schemas.DeadLetters)
	s.Create(1, schemas.Playbooks, schemas.Models)
	station, err := customer.New(customer.Config{Kafka: s.Opts(), Prefix: s.Prefix, Instance: "a", Dir: "state", FS: vfs.NewMem(), Memory: 64 << 20,
		Salt: "salt", Clock: s.clock, CommitSpacing: -1, ApplyInterval: 50 * time.Millisecond, FlushAfter: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s.customers = station
	s.run(station.Run)
	return s
}

// run runs a station until stop is called, or the test ends.
func (s *shop) run(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil && ctx.Err() == nil {
			s.t.Errorf("Run: %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	s.t.Cleanup(stop)
	return stop
}

// ranks starts a station whose customers are all that there are.
func (s *shop) ranks() (station *Station, stop func()) {
	s.t.Helper()
	station, err := New(Config{Kafka: s.Opts(), Prefix: s.Prefix, Clock: s.clock})
	if err != nil {
		s.t.Fatal(err)
	}
	return station, s.run(station.Run)
}

func name(i int) string { return fmt.Sprintf("customer-%03d", i) }

// orders lets customers order something, each for the money that of says.
func (s *shop) orders(from, to int, of func(i int) float64) {
	for i := from; i < to; i++ {
		s.seen[name(i)] = s.clock.Now()
		s.Produce(&kgo.Record{Topic: schemas.Events, Key: []byte(name(i)), Timestamp: s.clock.Now(), Value: schemas.Encode(&schemas.Event{
			Id: fmt.Sprint(i, s.clock.Now().UnixMilli()), Customer: name(i), UserId: name(i), OccurredAt: schemas.Timestamp(s.clock.Now().UnixMilli()),
			Body: &schemas.Event_Order{Order: &schemas.Order{OrderId: fmt.Sprint(i, s.clock.Now().UnixMilli()), Currency: "EUR", TotalMicros: int64(of(i) * 1e6)}}})})
	}
}

// eventually waits until ok.
func (s *shop) eventually(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// settle waits until profiles show what happened, and stations have done what there
// is to do now.
func (s *shop) settle(stations ...*Station) {
	s.t.Helper()
	s.rest(stations...)
	s.eventually("profiles show what happened", func() bool {
		all := s.profiles()
		for name, at := range s.seen {
			if schemas.Millis(all[name].GetLastSeenAt()) < at.UnixMilli() {
				return false
			}
		}
		return true
	})
	s.rest(stations...)
}

func (s *shop) rest(stations ...*Station) {
	s.t.Helper()
	s.eventually("the customer station rests", func() bool {
		next, ok := s.customers.Settled(s.clock.Now())
		return ok && maps.Equal(next, s.Ends(schemas.Events))
	})
	for _, station := range stations {
		s.eventually("the ranks were looked at, and profiles are read", func() bool {
			next, ok := station.Settled(s.clock.Now())
			return ok && maps.Equal(next, s.Ends(schemas.Profiles))
		})
	}
}

// pass lets time pass, and each station do what is due on the way.
func (s *shop) pass(d time.Duration, stations ...*Station) {
	s.t.Helper()
	s.settle(stations...)
	end := s.clock.Now().Add(d)
	for at, ok := s.clock.Next(); ok && at.Before(end); at, ok = s.clock.Next() {
		s.clock.MoveTo(at)
		s.rest(stations...)
	}
	s.clock.MoveTo(end)
	s.rest(stations...)
}

// versions are those in models, and each partition of events must say the same.
func (s *shop) versions() (sets []*models.Set) {
	s.t.Helper()
	var keys []string
	for _, r := range s.Committed(schemas.Models)[0] {
		var m schemas.ModelsVersion
		if err := schemas.Decode(r.Value, &m); err != nil {
			s.t.Fatal(err)
		}
		set, err := models.FromMessage(&m)
		if err != nil {
			s.t.Fatal(err)
		}
		sets, keys = append(sets, set), append(keys, string(r.Key))
	}
	for p, records := range s.Committed(schemas.Events) {
		var said []string
		for _, r := range records {
			var e schemas.Event
			if err := schemas.Decode(r.Value, &e); err == nil && e.GetModels() != nil {
				said = append(said, e.GetModels().GetVersion())
			}
		}
		if !slices.Equal(said, keys) {
			s.t.Errorf("events partition %d says %q, models %q", p, said, keys)
		}
	}
	return sets
}

// profiles are what profiles says last of each customer.
func (s *shop) profiles() map[string]*schemas.CustomerProfile {
	s.t.Helper()
	all := map[string]*schemas.CustomerProfile{}
	for _, records := range s.Committed(schemas.Profiles) {
		for _, r := range records {
			m := new(schemas.CustomerProfile)
			if err := schemas.Decode(r.Value, m); err != nil {
				s.t.Fatal(err)
			}
			all[string(r.Key)] = m
		}
	}
	return all
}

func scoreOf(m *schemas.CustomerProfile, score string) float64 {
	for _, c := range m.GetScores() {
		if c.GetScore() == score {
			return float64(c.GetValue().GetMicros()) / 1e6
		}
	}
	return 0
}

func TestRanks(t *testing.T) { testRanks(t, streamtest.Fake(t)) }

func TestKafkaRanks(t *testing.T) { testRanks(t, streamtest.Real(t)) }

// Customers buy, on two days; ranks are published, and everybody's value_rank is the
// share of those who are worth less. Another version comes when, and only when, a
// breakpoint has moved by more than a point; a restart publishes nothing twice; what a
// person applies is ranked, and stays.
func testRanks(t *testing.T, c *streamtest.Cluster) {
	s := newShop(t, c)
	usual := func(i int) float64 { return float64(10 + i) }
	buyTwice := func(from, to int) {
		s.orders(from, to, usual)
		s.pass(24 * time.Hour)
		s.orders(from, to, usual)
		s.settle()
	}
	buyTwice(0, parts-1)
	station, stop := s.ranks()
	s.pass(time.Hour, station)
	if got := s.versions(); len(got) != 0 {
		t.Fatalf("%d versions of too few customers, want none", len(got))
	}
	stop()
	buyTwice(parts-1, people)
	station, stop = s.ranks()
	s.settle(station)
	got := s.versions()
	if len(got) != 1 || got[0].ID != "default-ranked" || len(got[0].Value.Ranks) != parts-1 ||
		got[0].Value.RanksOf != "200 customers who bought, at 2026-03-04T10:00:00Z" {
		t.Fatalf("got %d versions, %+v; want one of 200 customers", len(got), got)
	}
	if want := models.Default(); got[0].Churn != want.Churn || got[0].Value.P != want.Value.P || got[0].About != want.About {
		t.Errorf("got %+v, want but for the ranks what comes with Segue", got[0])
	}

	// Whoever is touched is told their rank.
	s.pass(time.Minute, station)
	s.visit(people)
	s.settle(station)
	s.ranksAreRight(.02)

	// Of 200 customers one who is worth much more is half a point.
	s.pass(3*time.Hour, station)
	s.orders(0, 1, func(int) float64 { return 5000 })
	s.pass(3*time.Hour, station)
	if now := s.versions(); len(now) != 1 {
		t.Errorf("%d versions after one of %d customers bought much, want 1 as before", len(now), people)
	}

	// A restart, with all profiles to read, finds nothing to say either.
	stop()
	station, stop = s.ranks()
	s.pass(2*time.Hour, station)
	if now := s.versions(); len(now) != 1 {
		t.Errorf("%d versions after a restart, want 1 as before", len(now))
	}

	// A tenth buys much. Of two stations one says so, once.
	second, _ := s.ranks()
	s.orders(0, people/10, func(int) float64 { return 5000 })
	s.pass(3*time.Hour, station, second)
	now := s.versions()
	if len(now) != 2 || now[1].ID != "default-ranked" || !(now[1].Value.Ranks[50] > now[0].Value.Ranks[50]) {
		t.Fatalf("%d versions after a tenth bought much, want 2, the second with higher ranks", len(now))
	}

	// More do, at once, and one station begins anew: the interval outlives it.
	stop()
	s.orders(people/10, people/5, func(int) float64 { return 5000 })
	s.pass(time.Hour, second)
	s.orders(people/5, people/2, func(int) float64 { return 5000 })
	s.settle(second)
	station, stop = s.ranks()
	s.settle(station, second)
	if now = s.versions(); len(now) != 3 {
		t.Fatalf("%d versions within the interval, want 3", len(now))
	}
	s.pass(time.Hour, station, second)
	if now = s.versions(); len(now) != 4 {
		t.Fatalf("%d versions after the interval, want 4", len(now))
	}

	// A person applies other models, without ranks: they are ranked at once.
	other, err := models.Parse("alder.yaml", []byte(strings.Replace(string(models.Default().YAML()), "id: default", "id: alder", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.PutInForce(t.Context(), c.Opts(), c.Prefix, stream.NamedVersion{Name: other.Version, Topic: schemas.Models,
		Content: other.Message(), InForce: other.InForce()}, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	s.eventually("other models are ranked", func() bool { return len(s.Committed(schemas.Models)[0]) == 6 })
	s.pass(3*time.Hour, station, second)
	now = s.versions()
	if len(now) != 6 || now[4].Version != other.Version || now[5].ID != "alder-ranked" {
		t.Fatalf("%d versions, want 6: the fifth a person's, the last the same ranked", len(now))
	}
	if !slices.Equal(now[5].Value.Ranks, now[3].Value.Ranks) {
		t.Errorf("ranks are %v, want those of the same customers as before, %v", now[5].Value.Ranks, now[3].Value.Ranks)
	}
	stop()
}

// visit lets customers look at a page.
func (s *shop) visit(to int) {
	for i := range to {
		s.seen[name(i)] = s.clock.Now()
		s.Produce(&kgo.Record{Topic: schemas.Events, Key: []byte(name(i)), Timestamp: s.clock.Now(), Value: schemas.Encode(&schemas.Event{
			Id: fmt.Sprint("visit", i, s.clock.Now().UnixMilli()), Customer: name(i), UserId: name(i), OccurredAt: schemas.Timestamp(s.clock.Now().UnixMilli()),
			Body: &schemas.Event_View{View: &schemas.View{Product: &schemas.Product{Id: "mug"}}}})})
	}
}

// ranksAreRight holds every customer's published rank against the share of those
// who are worth less.
func (s *shop) ranksAreRight(within float64) {
	s.t.Helper()
	all := s.profiles()
	var values []float64
	for _, m := range all {
		values = append(values, scoreOf(m, "scores.value"))
	}
	slices.Sort(values)
	worst := 0.
	for _, m := range all {
		less, _ := slices.BinarySearch(values, scoreOf(m, "scores.value"))
		want := float64(less) / float64(len(values))
		if want < .07 {
			continue // it is told from a twentieth on
		}
		off := math.Abs(scoreOf(m, "scores.value_rank") - want)
		if off > within {
			s.t.Errorf("%s is worth %.2f: rank %.3f, want %.3f", m.GetCustomer(), scoreOf(m, "scores.value"), scoreOf(m, "scores.value_rank"), want)
		}
		worst = max(worst, off)
	}
	s.t.Logf("of %d customers the rank that is furthest off is so by %.4f", len(values), worst)
}
