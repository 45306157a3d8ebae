package benchmarks

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"segue/benchmarks/storefront"
	"segue/benchmarks/workload"
	"segue/deploy"
	"segue/processors/collector/segment"
	"segue/processors/customer"
	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// only is a shelf with one playbook.
type only struct{ of *playbook.Playbook }

func (o only) Playbook(_ context.Context, version string) (*playbook.Playbook, error) {
	if version != o.of.Version {
		return nil, errors.New("want " + o.of.Version)
	}
	return o.of, nil
}

// published is a shop's customers under the shipped playbook, and what of them goes
// to the topic scores. Every mail is sent at once.
type published struct {
	replay  *stream.Replay[profile.Profile, customer.Decision]
	t       *testing.T
	answers []*schemas.Event // what the fold and the sender bring in, to come

	events, records, bytes int
	of                     map[string]int // records by score
	asleep                 int            // of records: nobody did anything
	uncrossed              int            // of asleep: no threshold was crossed
}

func publishedBy(t *testing.T, start time.Time) *published {
	yaml, files, err := playbook.ReadFS(deploy.Files, deploy.Playbook)
	if err != nil {
		t.Fatal(err)
	}
	pb, err := playbook.Parse(deploy.Playbook, yaml, files)
	if err != nil {
		t.Fatal(err)
	}
	p := &published{t: t, of: map[string]int{}}
	p.replay = stream.NewReplay(customer.NewTask(only{pb}, customer.TaskOptions{Salt: "shop"}), func(_ int64, in stream.Input, out stream.Output) { p.takes(in, out) })
	p.record(start, "", &schemas.Event{Body: &schemas.Event_Playbook{Playbook: &schemas.PlaybookInForce{Version: pb.Version}}})
	return p
}

func (p *published) takes(in stream.Input, out stream.Output) {
	switch out.Topic {
	case schemas.DeadLetters:
		p.t.Errorf("dead letter of %s: %s", out.Key, out.Reason)
	case schemas.Events:
		e := new(schemas.Event)
		if err := schemas.Decode(out.Value, e); err != nil {
			p.t.Fatal(err)
		}
		e.Customer = out.Key
		p.answers = append(p.answers, e)
	case schemas.Deliveries:
		command := new(schemas.DeliveryCommand)
		if err := schemas.Decode(out.Value, command); err != nil {
			p.t.Fatal(err)
		}
		d := command.GetSend()
		if d == nil {
			return // a cancel comes after its mail was sent
		}
		p.answers = append(p.answers, &schemas.Event{Id: d.GetId() + "/sent", Customer: out.Key, Body: &schemas.Event_Outcome{Outcome: &schemas.Outcome{
			Kind: schemas.Outcome_SENT, DeliveryId: d.GetId(), Journey: d.GetJourney(), Step: d.GetStep(), Instance: d.GetInstance()}}})
	case schemas.Scores:
		c := new(schemas.ScoreChange)
		if err := schemas.Decode(out.Value, c); err != nil {
			p.t.Fatal(err)
		}
		p.records++
		p.bytes += len(out.Key) + len(out.Value)
		p.of[c.GetScore()]++
		if in.Value == nil {
			p.asleep++
			if c.CrossedMicros == nil {
				p.uncrossed++
			}
		}
	}
}

func (p *published) record(at time.Time, key string, e *schemas.Event) {
	p.t.Helper()
	if err := p.replay.Record(p.t.Context(), at.UnixMilli(), key, schemas.Encode(e)); err != nil {
		p.t.Fatal(err)
	}
}

// happens brings an event in, and what follows from it.
func (p *published) happens(at time.Time, key string, e *schemas.Event) {
	p.events++
	p.record(at, key, e)
	for len(p.answers) > 0 {
		e := p.answers[0]
		p.answers = p.answers[1:]
		p.record(at, e.GetCustomer(), e)
	}
}

// The topic scores is no flood: a month of each workload stays within what is
// stated, and whoever does nothing is heard of by crossings alone.
func TestScoresAreNoFlood(t *testing.T) {
	const most = 1 // record per event
	for name, month := range map[string]func(*testing.T) *published{"storefront": storefrontMonth, "workload": workloadMonth} {
		t.Run(name, func(t *testing.T) {
			p := month(t)
			perEvent := float64(p.records) / float64(p.events)
			t.Logf("%d events, %d records on scores, %.2f records and %.0f bytes per event; %d in silence; %v",
				p.events, p.records, perEvent, float64(p.bytes)/float64(p.events), p.asleep, p.of)
			if p.events < 1_900 || p.records == 0 {
				t.Fatalf("got %d events and %d records, want a month of a shop", p.events, p.records)
			}
			if perEvent > most {
				t.Errorf("%.2f records per event, want at most %v", perEvent, most)
			}
			if p.asleep == 0 || p.uncrossed > 0 {
				t.Errorf("of %d records in silence %d have crossed no threshold", p.asleep, p.uncrossed)
			}
		})
	}
}

// storefrontMonth is December 2010 of the storefront.
func storefrontMonth(t *testing.T) *published {
	var calls []*schemas.Event
	var now time.Time
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			var read *segment.Body
			if read, err = segment.Read("batch", body); err == nil {
				var events []*schemas.Event
				events, err = read.Events(segment.Receipt{At: now.UnixMilli(), Source: "shop"})
				calls = append(calls, events...)
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	defer server.Close()
	shop, err := storefront.New(storefront.Config{Lines: storefront.Cut(), Seed: 1, Collector: server.URL, WriteKey: "key", Until: time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	defer shop.Close()
	first, _ := shop.Next()
	p := publishedBy(t, first)
	for {
		next, ok := shop.Next()
		if !ok {
			break
		}
		now = shop.LastBefore(next.Add(time.Minute))
		if err := shop.Post(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		for _, e := range calls {
			p.happens(now, e.GetCustomer(), e)
		}
		calls = calls[:0]
	}
	if err := p.replay.Until(t.Context(), now.AddDate(0, 6, 0).UnixMilli()); err != nil { // they fall silent
		t.Fatal(err)
	}
	return p
}

// workloadMonth is what the station is measured by.
func workloadMonth(t *testing.T) *published {
	shop := workload.Shop{Workload: workload.Workload{Customers: 300, Seed: 1}, Events: 6_000, Start: time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC), Duration: 30 * 24 * time.Hour}
	p := publishedBy(t, shop.Start)
	for act := range shop.All {
		p.happens(act.At, string(workload.Key(act.Customer)), act.Event)
	}
	if err := p.replay.Until(t.Context(), shop.Start.AddDate(0, 7, 0).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	return p
}
