// Package consumers shows downstream teams how to read what Segue tells them.
//
//	segment-changes, profiles → python, java → JSON lines
//
// Each consumer stands alone, to be copied. The test writes both topics as the
// stations do, and compares what the two print.
package consumers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"segue/schemas"
)

// at is an instant with milliseconds, as all of ours are.
const at = 1_764_000_000_123

var (
	entered = &schemas.SegmentChange{Id: "1", Customer: "ada", Segment: "regulars", Entered: true, At: schemas.Timestamp(at),
		Why: `orders.count >= 3 (4) "naïve" ☂`, Playbook: "shop@1", EventId: "e1"}
	left  = &schemas.SegmentChange{Id: "2", Customer: "ada", Segment: "regulars", At: schemas.Timestamp(at + 1000), Playbook: "shop@1"}
	other = &schemas.SegmentChange{Id: "3", Customer: "bob", Segment: "new", Entered: true, At: schemas.Timestamp(at)}
	lost  = &schemas.SegmentChange{Id: "4", Customer: "ada", Segment: "aborted", Entered: true}
	later = &schemas.SegmentChange{Id: "5", Customer: "eve", Segment: "new", Entered: true, At: schemas.Timestamp(at)}

	first  = &schemas.CustomerProfile{Customer: "ada", OrderCount: 1, Fold: []byte{1, 2, 3}}
	newest = &schemas.CustomerProfile{Customer: "ada", Email: "ada@shop.example", Traits: map[string]string{"plan": "gold"},
		FirstSeenAt: schemas.Timestamp(at), OrderCount: 4, OrderValueMicros: 1 << 60, Currency: "GBP",
		Carts:    []*schemas.OpenCart{{CartId: "c1", ValueMicros: 12_500_000, ChangedAt: schemas.Timestamp(at), Products: []string{"mug"}}},
		Segments: []string{"regulars"}, Journeys: []*schemas.RunningJourney{{Journey: "cart", NextStep: 2, DueAt: schemas.Timestamp(at)}},
		Fold: []byte{4, 5, 6}}
	redirect  = &schemas.CustomerProfile{Customer: "anon-1", RedirectTo: "ada", Fold: []byte{7}}
	forgotten = &schemas.CustomerProfile{Customer: "eve", ForgottenAt: schemas.Timestamp(at)}
	undone    = &schemas.CustomerProfile{Customer: "ada", OrderCount: 99}
)

// languages are the commands of both consumers in each.
var languages = map[string]struct{ changes, profiles []string }{
	"python": {[]string{"python/run", "segment_changes.py"}, []string{"python/run", "profiles.py"}},
	"java":   {[]string{"java/run", "SegmentChanges"}, []string{"java/run", "Profiles"}},
}

func TestKafkaConsumers(t *testing.T) {
	brokers := os.Getenv("SEGUE_TEST_BROKERS")
	if brokers == "" {
		t.Skip("SEGUE_TEST_BROKERS is not set; deploy/kafka/run sets it")
	}
	prefix := fmt.Sprintf("consumers-%d-", time.Now().UnixNano())
	changes, profiles := prefix+schemas.SegmentChanges, prefix+schemas.Profiles
	k := newKafka(t, brokers, prefix)
	k.write(kgo.TryCommit, value(changes, "ada", entered), value(changes, "bob", other), value(profiles, "ada", first))
	k.write(kgo.TryAbort, value(changes, "ada", lost), value(profiles, "ada", undone))
	k.write(kgo.TryCommit, value(changes, "ada", left), value(profiles, "ada", newest), value(profiles, "anon-1", redirect), value(profiles, "eve", forgotten),
		&kgo.Record{Topic: profiles, Key: []byte("bob")})

	for name, c := range languages {
		t.Run(name, func(t *testing.T) {
			common := []string{"--brokers", brokers, "--prefix", prefix, "--until-end"}
			prints(t, slices.Concat(c.profiles, common), map[string][]any{
				"ada":    {object(t, public(first)), object(t, public(newest))},
				"anon-1": {object(t, public(redirect))},
				"eve":    {object(t, public(forgotten))},
				"bob":    {map[string]any{"customer": "bob", "deleted": true}},
			})
			prints(t, slices.Concat(c.changes, common, []string{"--group", prefix + name}), map[string][]any{
				"ada": {object(t, entered), object(t, left)}, "bob": {object(t, other)},
			})
		})
	}

	// The group's place is kept.
	k.write(kgo.TryCommit, value(changes, "eve", later))
	for name, c := range languages {
		t.Run(name+" goes on", func(t *testing.T) {
			prints(t, slices.Concat(c.changes, []string{"--brokers", brokers, "--prefix", prefix, "--until-end", "--group", prefix + name}),
				map[string][]any{"eve": {object(t, later)}})
		})
	}
}

// prints runs a command and compares its lines, by customer, in their order.
func prints(t *testing.T, command []string, want map[string][]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // the first run builds
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.FromSlash(command[0]), command[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, &stderr)
	}
	got := map[string][]any{}
	for line := range bytes.Lines(stdout) {
		var o map[string]any
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatalf("%s: printed %q: %v", strings.Join(command, " "), line, err)
		}
		customer := fmt.Sprint(o["customer"])
		got[customer] = append(got[customer], o)
	}
	for _, customer := range slices.Sorted(maps.Keys(merged(got, want))) {
		if !reflect.DeepEqual(got[customer], want[customer]) {
			t.Errorf("%s: of %s\ngot  %v\nwant %v", strings.Join(command, " "), customer, got[customer], want[customer])
		}
	}
}

func merged(a, b map[string][]any) map[string][]any {
	m := maps.Clone(a)
	maps.Copy(m, b)
	return m
}

// object is m as its JSON reads.
func object(t *testing.T, m proto.Message) (o map[string]any) {
	t.Helper()
	text, err := protojson.Marshal(m)
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// public is p without what is ours alone.
func public(p *schemas.CustomerProfile) *schemas.CustomerProfile {
	p = proto.CloneOf(p)
	p.Fold = nil
	return p
}

func value(topic, customer string, m proto.Message) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(customer), Value: schemas.Encode(m)}
}

// kafka writes as a station does: in transactions.
type kafka struct {
	t      *testing.T
	client *kgo.Client
}

func newKafka(t *testing.T, brokers, prefix string) kafka {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.TransactionalID(prefix+"writer"),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	cluster := kadm.NewClient(client)
	for _, name := range []string{schemas.SegmentChanges, schemas.Profiles} {
		// Without the cleaner: each line is compared.
		if _, err := cluster.CreateTopic(t.Context(), 3, 1, nil, prefix+name); err != nil {
			t.Fatalf("create topic %s: %v", prefix+name, err)
		}
		t.Cleanup(func() { cluster.DeleteTopics(context.Background(), prefix+name) })
	}
	return kafka{t, client}
}

// write ends a transaction with these records in the way given.
func (k kafka) write(end kgo.TransactionEndTry, records ...*kgo.Record) {
	k.t.Helper()
	ctx := k.t.Context()
	err := k.client.BeginTransaction()
	if err == nil {
		err = k.client.ProduceSync(ctx, records...).FirstErr()
	}
	if err == nil {
		err = k.client.EndTransaction(ctx, end)
	}
	if err != nil {
		k.t.Fatalf("write: %v", err)
	}
}
