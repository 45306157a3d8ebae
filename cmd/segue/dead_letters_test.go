package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
)

// bury writes a letter as the stations do.
func bury(t *testing.T, l *loaded, client *kgo.Client, key, value string, headers ...string) {
	t.Helper()
	r := &kgo.Record{Topic: lettersTopic(l.Prefix), Value: []byte(value)}
	if key != "" {
		r.Key = []byte(key)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: headers[i], Value: []byte(headers[i+1])})
	}
	if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// eventsOf are the values in events, by partition.
func eventsOf(t *testing.T, l *loaded) (values map[int32][]string) {
	t.Helper()
	client, err := l.Kafka.client(t.Context(), fromStart(l.Prefix+schemas.Events)...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	left, err := unreadFrom(t.Context(), kadm.NewClient(client), []string{l.Prefix + schemas.Events})
	if err != nil {
		t.Fatal(err)
	}
	values = map[int32][]string{}
	err = readToEnd(t.Context(), client, left, func(r *kgo.Record) error {
		values[r.Partition] = append(values[r.Partition], string(r.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// A letter goes back once, also when somebody else puts it back while we are
// still being asked.
func TestLettersGoBackOnce(t *testing.T) {
	_, l, client := brokerWithTopics(t)
	lettersGoBackOnce(t, l, client)
}

func TestKafkaLettersGoBackOnce(t *testing.T) {
	brokers := os.Getenv("SEGUE_TEST_BROKERS")
	if brokers == "" {
		t.Skip("SEGUE_TEST_BROKERS is not set; deploy/kafka/run sets it")
	}
	l, client := withTopics(t, strings.Split(brokers, ","), fmt.Sprintf("letters-%d-", time.Now().UnixNano()))
	lettersGoBackOnce(t, l, client)
}

func lettersGoBackOnce(t *testing.T, l *loaded, client *kgo.Client) {
	const letters = 2*retryAtOnce + 7
	for i := range letters {
		bury(t, l, client, fmt.Sprint("customer ", i%5), fmt.Sprint(i), "topic", "events", "partition", "0", "offset", fmt.Sprint(i), "reason", "because")
	}
	another := func() error {
		r := retrying{which: choice{topic: "events"}, yes: true}
		return r.run(t.Context(), l, strings.NewReader(""), io.Discard)
	}
	slow := retrying{which: choice{topic: "events"}}
	thinking := readerFunc(func(b []byte) (int, error) {
		if err := another(); err != nil {
			t.Error(err)
		}
		return copy(b, "y\n"), io.EOF
	})
	if err := slow.run(t.Context(), l, thinking, io.Discard); err == nil {
		t.Error("the one that was overtaken: got no error")
	}
	if err := another(); err != nil {
		t.Error(err)
	}
	times := map[string]int{}
	for _, values := range eventsOf(t, l) {
		for _, v := range values {
			times[v]++
		}
	}
	for i := range letters {
		if n := times[fmt.Sprint(i)]; n != 1 {
			t.Errorf("letter %d went back %d times, want once", i, n)
		}
	}
}

// What has no key goes back to its partition; what is no record of ours stays.
func TestLettersThatStay(t *testing.T) {
	_, l, client := brokerWithTopics(t)
	bury(t, l, client, "", "no key", "topic", "events", "partition", "2", "offset", "7", "reason", "no key")
	bury(t, l, client, "ada", "", "topic", "events", "partition", "1", "offset", "-1", "reason", "a wake-up failed", "customer", "ada")
	bury(t, l, client, "ada", "elsewhere", "topic", "orders", "partition", "1", "offset", "3", "reason", "\x1b[2Jcleared")
	var out bytes.Buffer
	r := retrying{which: choice{since: since{text: "1h"}}, yes: true}
	if err := r.run(t.Context(), l, strings.NewReader(""), &out); err != nil {
		t.Fatal(err)
	}
	want := "letter 1 stays: it was a wake-up, not a record: it cannot be put back; the customer's next record, or the next playbook, decides instead\n" +
		"letter 2 stays: it names topic \"orders\", which is none of Segue's\n1 letter put back\n"
	if out.String() != want {
		t.Errorf("retry:\n got %s\nwant %s", &out, want)
	}
	if got := eventsOf(t, l); len(got) != 1 || len(got[2]) != 1 || got[2][0] != "no key" {
		t.Errorf("events: got %q, want the one without key in partition 2", got)
	}
	out.Reset()
	args := []string{"dead-letters", "list", "--brokers", l.Kafka.Brokers[0], "--prefix", l.Prefix}
	if code := execute(context.Background(), args, strings.NewReader(""), &out, io.Discard); code != 0 || strings.ContainsRune(out.String(), '\x1b') {
		t.Errorf("list: exit code %d, got %q, want nothing that a terminal obeys", code, out.String())
	}
	if want := "a wake-up failed (cannot be put back)"; !strings.Contains(out.String(), want) {
		t.Errorf("list: got %q, want %q", out.String(), want)
	}
}
