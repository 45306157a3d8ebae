package main

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestMain(m *testing.M) {
	childIfAsked()
	os.Exit(m.Run())
}

// Far more comes than a collector may hold, and Kafka stands still for a while:
// part is refused at once, memory stays bounded, and what was answered 200 is in
// Kafka, once.
func TestOverload(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	var produced atomic.Int64
	fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		if produced.Add(1) == 10 {
			fake.SleepControl(func() { time.Sleep(1500 * time.Millisecond) }) // longer than a call waits
		}
		return nil, nil, false
	})
	codes := overload(t, fake.ListenAddrs(), time.Second)
	if codes[503] == 0 {
		t.Errorf("answers %v, want some 503 of when Kafka stood still", codes)
	}
}

func TestKafkaOverload(t *testing.T) {
	brokers := os.Getenv("SEGUE_TEST_BROKERS")
	if brokers == "" {
		t.Skip("SEGUE_TEST_BROKERS is not set; deploy/kafka/run sets it")
	}
	overload(t, strings.Split(brokers, ","), 10*time.Second)
}

// overload sends batches of 400 KB over more connections than there is room for.
func overload(t *testing.T, seeds []string, patience time.Duration) (codes map[int]int) {
	t.Helper()
	const room = 4 << 20
	l := load{events: 100, pad: 3600, connections: 64, lasts: 4 * time.Second}
	s, b, c, err := l.measure(t.Context(), setup{Brokers: seeds, Prefix: fmt.Sprintf("overload-%d-", time.Now().UnixNano()),
		MaxInFlightBytes: room, AckTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("answers %v; Kafka holds %+v; at most %d MB for %d MB of bodies", s.codes, b, c.memory/1e6, room/1_000_000)
	if b.lost != 0 || b.twice != 0 || b.unasked != 0 {
		t.Errorf("Kafka holds %+v, want every event that was answered 200, once", b)
	}
	if s.codes[200] == 0 || s.codes[429] == 0 || s.codes[200]+s.codes[429]+s.codes[503] != total(s.codes) {
		t.Errorf("answers %v, want 200 and 429, and besides at most 503", s.codes)
	}
	if most := int64(128 << 20); c.memory > most {
		t.Errorf("the collector took %d MB, want at most %d", c.memory/1e6, most/1e6)
	}
	return s.codes
}

func total(codes map[int]int) (sum int) {
	for _, n := range codes {
		sum += n
	}
	return sum
}
