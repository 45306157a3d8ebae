package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"segue/processors/collector/history"
	"segue/schemas"
)

// An import that is stopped on its way goes on where it was: every order is in
// events once, and in the file's order.
func TestImportGoesOn(t *testing.T) {
	broker, l, _ := brokerWithTopics(t)
	path := filepath.Join(t.TempDir(), "orders.csv")
	const orders = 3*importAtOnce + 17
	file := bytes.NewBufferString("customer,order_id,ordered_at,total\n")
	for n := range orders {
		fmt.Fprintf(file, "customer %d,o%d,2025-12-24T18:00:00Z,%d\n", n%7, n, n)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	broker.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		stop() // as Ctrl-C does, in the midst of the first events
		return nil, nil, false
	})
	imported := func(ctx context.Context) (string, error) {
		var out bytes.Buffer
		i := importing{kind: &history.Kinds[0]}
		err := i.run(ctx, l, path, &out, io.Discard)
		return out.String(), err
	}
	want := fmt.Sprintf("import orders.csv: stopped after %d of 1,217 orders; the same command goes on from there: context canceled", importAtOnce)
	if _, err := imported(ctx); err == nil || err.Error() != want {
		t.Fatalf("stopped: got %v\nwant %s", err, want)
	}
	out, err := imported(t.Context())
	if want := "orders.csv: orders imported: 817, events: 817\norders.csv: imported before, as " + path + ".imported says: 400\n"; err != nil || out != want {
		t.Fatalf("the second: got %q, %v\nwant %q", out, err, want)
	}
	next := map[string]int{}
	for _, e := range decodedEvents(t, l) {
		n := next[e.GetCustomer()]
		var customer, order int
		fmt.Sscanf(e.GetCustomer()+" "+e.GetOrder().GetOrderId(), "customer %d o%d", &customer, &order)
		if order != customer+7*n {
			t.Fatalf("%s: order %d came as number %d, want the file's order, each once", e.GetCustomer(), order, n)
		}
		next[e.GetCustomer()]++
	}
	total := 0
	for _, n := range next {
		total += n
	}
	if total != orders {
		t.Errorf("events: got %d, want %d", total, orders)
	}
}

// Whoever loses the cursor produces the same ids, which fold once, and lies far
// enough in the past to trigger nothing.
func TestImportedIDs(t *testing.T) {
	_, l, client := brokerWithTopics(t)
	path := filepath.Join(t.TempDir(), "suppressions.csv")
	if err := os.WriteFile(path, []byte("customer,email\nada,\n,Bob@shop.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, customer := range []string{"bob", "bob-at-work", "carol"} {
		email := strings.TrimSuffix(customer, "-at-work") + "@SHOP.example"
		for _, email := range []string{"bob@shop.example", email} { // carol's was another's
			r := &kgo.Record{Topic: l.Prefix + schemas.Profiles, Key: []byte(customer), Value: schemas.Encode(&schemas.CustomerProfile{Customer: customer, Email: email})}
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		i := importing{kind: &history.Kinds[2]}
		if err := i.run(t.Context(), l, path, io.Discard, io.Discard); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path + ".imported"); err != nil {
			t.Fatal(err)
		}
	}
	ids := map[string][]string{}
	for _, e := range decodedEvents(t, l) {
		ids[e.GetCustomer()] = append(ids[e.GetCustomer()], e.GetId())
		if late := schemas.Millis(e.GetReceivedAt()) - schemas.Millis(e.GetOccurredAt()); late < importLate.Milliseconds() {
			t.Errorf("%s: %d ms late, want at least %v", e.GetCustomer(), late, importLate)
		}
	}
	if len(ids) != 3 {
		t.Errorf("customers: got %v, want ada, bob and bob-at-work", ids)
	}
	for customer, of := range ids {
		if len(of) != 2 || of[0] != of[1] {
			t.Errorf("%s: got ids %q, want the same twice", customer, of)
		}
	}
}

// decodedEvents are what events holds, partition by partition.
func decodedEvents(t *testing.T, l *loaded) (all []*schemas.Event) {
	t.Helper()
	values := eventsOf(t, l)
	var partitions []int32
	for p := range values {
		partitions = append(partitions, p)
	}
	slices.Sort(partitions)
	for _, p := range partitions {
		for _, v := range values[p] {
			e := new(schemas.Event)
			if err := schemas.Decode([]byte(v), e); err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
	}
	return all
}

// brokerWithTopics is a fresh broker with Segue's topics, and how to reach it.
func brokerWithTopics(t *testing.T) (*kfake.Cluster, *loaded, *kgo.Client) {
	t.Helper()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	l, client := withTopics(t, broker.ListenAddrs(), "shop-")
	return broker, l, client
}

// withTopics makes Segue's topics, with three partitions.
func withTopics(t *testing.T, brokers []string, prefix string) (*loaded, *kgo.Client) {
	t.Helper()
	l := &loaded{Config: DefaultConfig()}
	l.Kafka.Brokers, l.Prefix, l.Topics.Partitions, l.Topics.ReplicationFactor = brokers, prefix, 3, 1
	client, err := l.Kafka.client(t.Context(), kgo.RecordPartitioner(backWhereItCameFrom()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := createTopics(t.Context(), kadm.NewClient(client), &l.Config, io.Discard); err != nil {
		t.Fatal(err)
	}
	return l, client
}
