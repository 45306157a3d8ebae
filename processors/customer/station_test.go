package customer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream"
	"segue/processors/stream/streamtest"
	"segue/schemas"
	"segue/schemas/playbook"
)

const partitions = 2

// shopfront is a cluster, one clock, and a station on them.
type shopfront struct {
	*streamtest.Cluster
	t     *testing.T
	clock *stream.VirtualClock
}

func newShopfront(t *testing.T, c *streamtest.Cluster) *shopfront {
	s := &shopfront{Cluster: c, t: t, clock: stream.NewVirtualClock(time.UnixMilli(monday))}
	s.Create(partitions, schemas.Events, schemas.SegmentChanges, schemas.Scores, schemas.Deliveries, schemas.Profiles, schemas.DeadLetters)
	s.Create(1, schemas.Playbooks, schemas.Models)
	return s
}

// config is that of a station on an empty disk.
func (s *shopfront) config(instance string) Config {
	return Config{Kafka: append(s.Opts(), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(100*time.Millisecond)), Prefix: s.Prefix,
		Instance: instance, Dir: "state", FS: vfs.NewMem(), Memory: 64 << 20, Salt: "salt", Clock: s.clock, CommitSpacing: -1}
}

// process is a station at work.
type process struct {
	*Station
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func (s *shopfront) start(c Config) *process {
	s.t.Helper()
	station, err := New(c)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	x := &process{Station: station, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(x.done)
		x.err = station.Run(ctx)
	}()
	s.t.Cleanup(func() { _ = x.stop() })
	return x
}

// stop ends the station, and returns what Run did.
func (x *process) stop() error {
	x.cancel()
	<-x.done
	return x.err
}

func (s *shopfront) apply(pb *playbook.Playbook) {
	s.Produce(&kgo.Record{Topic: schemas.Playbooks, Key: []byte(pb.Version), Value: schemas.Encode(pb.Message()), Timestamp: s.clock.Now()})
	for p := range int32(partitions) {
		s.Produce(&kgo.Record{Topic: schemas.Events, Partition: p, Timestamp: s.clock.Now(),
			Value: schemas.Encode(&schemas.Event{Body: &schemas.Event_Playbook{Playbook: &schemas.PlaybookInForce{Version: pb.Version}}})})
	}
}

func (s *shopfront) events(lines ...string) {
	for _, line := range lines {
		name, _, _ := strings.Cut(line, " ")
		s.Produce(&kgo.Record{Topic: schemas.Events, Key: []byte(name), Timestamp: s.clock.Now(), Value: encoded(s.t, line, s.clock.Now().UnixMilli())})
	}
}

// runTo moves the clock from instant to instant, each time the station is done.
// False: the station ended before.
func (s *shopfront) runTo(x *process, end time.Time) bool {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	quiet := func() bool {
		next, ok := x.Settled(s.clock.Now())
		for p, end := range s.Ends(schemas.Events) {
			ok = ok && next[p] >= end
		}
		return ok
	}
	for {
		for !quiet() {
			select {
			case <-x.done:
				return false
			case <-time.After(time.Millisecond):
			}
			if time.Now().After(deadline) {
				s.t.Fatalf("the station is not done at %s", s.clock.Now())
			}
		}
		due, ok := x.NextWake()
		if !quiet() { // it died since, and knew of none
			continue
		}
		at := time.UnixMilli(due + 1) // a tick is what lets it fire
		if !ok || at.After(end) {
			if s.clock.Now().Equal(end) {
				return true
			}
			at = end
		}
		s.clock.MoveTo(at)
	}
}

// settled is runTo for a station that must not end.
func (s *shopfront) settled(x *process, end time.Time) {
	s.t.Helper()
	if !s.runTo(x, end) {
		s.t.Fatalf("Run: %v", x.err)
	}
}

// said is what the station wrote to a topic, customer by customer.
func (s *shopfront) said(topic string) []string {
	var all []string
	for _, records := range s.Committed(topic) {
		for _, r := range records {
			line := string(r.Key) + " "
			switch topic {
			case schemas.Deliveries:
				var c schemas.DeliveryCommand
				if err := schemas.Decode(r.Value, &c); err != nil {
					s.t.Fatal(err)
				}
				if c.GetSend() != nil {
					line += fmt.Sprint(c.GetSend().GetMessage(), " ", (schemas.Millis(c.GetSend().GetDueAt())-monday)/3_600_000, "h")
				} else {
					line += "cancel: " + c.GetCancel().GetReason()
				}
			case schemas.SegmentChanges:
				var c schemas.SegmentChange
				if err := schemas.Decode(r.Value, &c); err != nil {
					s.t.Fatal(err)
				}
				line += fmt.Sprint(c.GetSegment(), " ", c.GetEntered())
			case schemas.DeadLetters:
				line += string(r.Value)
			}
			all = append(all, line)
		}
	}
	slices.Sort(all)
	return all
}

func (s *shopfront) want(topic string, want ...string) {
	s.t.Helper()
	if got := s.said(topic); !slices.Equal(got, want) {
		s.t.Errorf("%s:\ngot  %q\nwant %q", topic, got, want)
	}
}

// The whole station: a cart is left, its mail is decided an hour later to the
// millisecond; the disk is lost, and the next step still comes, once.
func TestStation(t *testing.T) { wholeStation(t, streamtest.Fake(t)) }

func TestKafkaStation(t *testing.T) { wholeStation(t, streamtest.Real(t)) }

func wholeStation(t *testing.T, c *streamtest.Cluster) {
	s := newShopfront(t, c)
	pb := parse(t, shop(t))
	s.apply(pb)
	station := s.start(s.config("a"))
	s.events("ada identify email=ada@example.com", "ada subscribe", "ada view sku=mug", "ada view sku=jug", "ada view sku=bowl", "ada cart_add sku=mug price=12.50",
		"bob order order=o1 total=20", "bob visit")
	s.settled(station, time.UnixMilli(monday).Add(2*time.Hour))
	s.want(schemas.SegmentChanges, "ada browsing true", "bob buyer true")
	s.want(schemas.Deliveries, "ada reminder 1h")

	ask := func(id string) (int, known) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/customers/"+id, nil)
		r.SetPathValue("id", id)
		station.ServeHTTP(w, r)
		var k known
		if w.Code == http.StatusOK {
			if err := json.Unmarshal(w.Body.Bytes(), &k); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(w.Body.String(), `\u003e`) {
				t.Errorf("GET /customers/%s: %s, want >= as people read it", id, w.Body)
			}
		}
		return w.Code, k
	}
	code, ada := ask("ada")
	if code != http.StatusOK || !strings.Contains(string(ada.Profile), `ada@example.com`) || strings.Contains(string(ada.Profile), `"fold"`) || ada.Playbook != pb.Version {
		t.Errorf("GET /customers/ada: %d %s, playbook %s", code, ada.Profile, ada.Playbook)
	}
	since, at := time.UnixMilli(monday).UTC(), time.UnixMilli(monday).UTC().Add(25*time.Hour)
	if len(ada.Segments) != 2 || !ada.Segments[0].In || !ada.Segments[0].Since.Equal(since) || ada.Segments[0].Why != "views.within(days(7)) >= 3 (3)" ||
		ada.Segments[1].In || ada.Segments[1].Why != "orders.count >= 1 (0)" || !slices.Equal(ada.Segments[1].Reasons, []string{"orders: 0, less than 1"}) {
		t.Errorf("segments: %+v", ada.Segments)
	}
	if len(ada.Journeys) != 1 || ada.Journeys[0].NextStep != 2 || !ada.Journeys[0].At.Equal(at) || ada.Journeys[0].Delivery == "" {
		t.Errorf("journeys: %+v", ada.Journeys)
	}
	if code, _ := ask("nobody"); code != http.StatusNotFound {
		t.Errorf("GET /customers/nobody: %d, want 404", code)
	}

	if err := station.stop(); err != nil {
		t.Fatal(err)
	}
	s.events("ada named name=Quiz")
	station = s.start(s.config("a"))
	s.settled(station, time.UnixMilli(monday).Add(26*time.Hour))
	if err := station.stop(); err != nil {
		t.Fatal(err)
	}
	s.want(schemas.Deliveries, "ada cancel: step 2 is due", "ada reminder 1h", "ada second 25h")
	s.want(schemas.SegmentChanges, "ada browsing true", "bob buyer true")
	s.want(schemas.DeadLetters)
}

// Of two instances one owns a customer; the other says so.
func TestTwoInstances(t *testing.T) {
	s := newShopfront(t, streamtest.Fake(t))
	s.apply(parse(t, shop(t)))
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("c%d", i))
		s.events(names[i] + " visit")
	}
	a := s.start(s.config("a"))
	b := s.start(s.config("b"))
	answers := func(station *process) (codes []int) {
		for _, name := range names {
			w := httptest.NewRecorder()
			station.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/customers/"+name, nil))
			codes = append(codes, w.Code)
		}
		return codes
	}
	shared := func() bool {
		of, other := answers(a), answers(b)
		for i := range names {
			if min(of[i], other[i]) != http.StatusOK || max(of[i], other[i]) != http.StatusMisdirectedRequest {
				return false
			}
		}
		return slices.Contains(of, http.StatusOK) && slices.Contains(other, http.StatusOK)
	}
	for deadline := time.Now().Add(30 * time.Second); !shared(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("a answers %v, b %v: want 200 from one and 421 from the other", answers(a), answers(b))
		}
	}
}

// A record that cannot be folded lies in dead-letters; the next ones go on.
func TestStationGoesOnAfterADeadLetter(t *testing.T) {
	s := newShopfront(t, streamtest.Fake(t))
	s.apply(parse(t, shop(t)))
	station := s.start(s.config("a"))
	s.Produce(&kgo.Record{Topic: schemas.Events, Key: []byte("ada"), Value: []byte("{nonsense"), Timestamp: s.clock.Now()})
	s.events("ada order order=o1 total=20")
	s.settled(station, s.clock.Now())
	s.want(schemas.DeadLetters, "ada {nonsense")
	s.want(schemas.SegmentChanges, "ada buyer true")
}

// A version that is in force but nowhere to be found is an error that says what
// to do.
func TestPublishedPlaybooks(t *testing.T) {
	s := newShopfront(t, streamtest.Fake(t))
	table, err := stream.NewTable(s.Opts(), s.Prefix+schemas.Playbooks)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	_, err = PublishedPlaybooks{table}.Playbook(t.Context(), "main@0123456789ab")
	if err == nil || !strings.Contains(err.Error(), "segue playbook apply") {
		t.Errorf("Playbook = %v, want what to do", err)
	}
	pb := parse(t, shop(t))
	s.apply(pb)
	if got, err := (PublishedPlaybooks{table}).Playbook(t.Context(), pb.Version); err != nil || got.Version != pb.Version {
		t.Errorf("Playbook(%s) = %v, %v", pb.Version, got, err)
	}
}
