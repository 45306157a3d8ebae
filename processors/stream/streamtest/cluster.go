// Package streamtest is what tests of stations stand on: a Kafka, faked or
// real, records in, and what is committed out.
//
// Not obvious: the fake completes a transaction in one step, so it never shows
// what a real broker may answer in between; tests named TestKafka… run on both.
package streamtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Cluster is a Kafka for one test, whose topics have a prefix of their own.
type Cluster struct {
	Prefix string
	Fake   *kfake.Cluster // nil: a real one

	t       testing.TB
	seeds   []string
	dial    func(ctx context.Context, network, host string) (net.Conn, error)
	loseEnd atomic.Bool
	lostEnd atomic.Bool
	client  *kgo.Client
}

// Fake starts a fake Kafka.
func Fake(t testing.TB, opts ...kfake.Opt) *Cluster {
	t.Helper()
	fake, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	return newCluster(t, &Cluster{Fake: fake, seeds: fake.ListenAddrs(), dial: new(net.Dialer).DialContext})
}

// Virtual starts a fake Kafka whose network is memory, for a synctest bubble.
func Virtual(t testing.TB, opts ...kfake.Opt) *Cluster {
	t.Helper()
	network := new(kfake.VirtualNetwork)
	c := Fake(t, append([]kfake.Opt{kfake.Ports(9092), kfake.ListenFn(network.Listen)}, opts...)...)
	c.client.Close()
	c.dial = network.DialContext
	return newCluster(t, c)
}

// Real connects to the Kafka that SEGUE_TEST_BROKERS names, or skips the test.
func Real(t testing.TB) *Cluster {
	t.Helper()
	brokers := os.Getenv("SEGUE_TEST_BROKERS")
	if brokers == "" {
		t.Skip("SEGUE_TEST_BROKERS is not set; deploy/kafka/run sets it")
	}
	c := &Cluster{Prefix: fmt.Sprintf("%s-%d-", strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()), time.Now().UnixNano()),
		seeds: strings.Split(brokers, ","), dial: new(net.Dialer).DialContext}
	return newCluster(t, c)
}

func newCluster(t testing.TB, c *Cluster) *Cluster {
	c.t = t
	client, err := kgo.NewClient(append(c.Opts(), kgo.RecordPartitioner(partitioner{kgo.StickyKeyPartitioner(nil)}), kgo.ProducerLinger(0))...)
	if err != nil {
		t.Fatal(err)
	}
	c.client = client
	t.Cleanup(client.Close)
	return c
}

// partitioner leaves a record without key where it says.
type partitioner struct{ kgo.Partitioner }

func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return topicPartitioner{p.Partitioner.ForTopic(topic)}
}

type topicPartitioner struct{ kgo.TopicPartitioner }

func (topicPartitioner) RequiresConsistency(*kgo.Record) bool { return true }
func (p topicPartitioner) Partition(r *kgo.Record, n int) int {
	if len(r.Key) == 0 {
		return int(r.Partition)
	}
	return p.TopicPartitioner.Partition(r, n)
}

// Opts reach the cluster, with timings that suit a test.
func (c *Cluster) Opts() []kgo.Opt { return c.Through(c.losesEndTxn) }

// LoseEndTxn loses the answer to the next request that ends a transaction.
func (c *Cluster) LoseEndTxn() { c.loseEnd.Store(true) }

// LostEndTxn reports whether that request was sent.
func (c *Cluster) LostEndTxn() bool { return c.lostEnd.Load() }

func (c *Cluster) losesEndTxn(key kmsg.Key) Fate {
	if key == kmsg.EndTxn && c.loseEnd.CompareAndSwap(true, false) {
		c.lostEnd.Store(true)
		return Unanswered
	}
	return Delivered
}

// Client produces where records say, or their keys.
func (c *Cluster) Client() *kgo.Client { return c.client }

// Create makes topics, of which no record is ever deleted and which carry the
// time that their producers say. They have leaders when it returns.
func (c *Cluster) Create(partitions int32, names ...string) {
	c.t.Helper()
	for i := range names {
		names[i] = c.Prefix + names[i]
	}
	forever := "-1"
	answers, err := kadm.NewClient(c.client).CreateTopics(context.Background(), partitions, 1, map[string]*string{"retention.ms": &forever}, names...)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		c.t.Fatalf("create %v: %v", names, err)
	}
	c.led(names)
}

// led waits until topics have leaders: a real broker answers before.
func (c *Cluster) led(topics []string) {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		listed, err := kadm.NewClient(c.client).ListEndOffsets(context.Background(), topics...)
		if err == nil {
			err = listed.Error()
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("list the ends of %v: %v", topics, err)
		}
	}
}

// Produce writes records, whose topics are without prefix, in this order.
func (c *Cluster) Produce(records ...*kgo.Record) {
	c.t.Helper()
	for _, r := range records {
		r.Topic = c.Prefix + r.Topic
	}
	if err := c.client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

// Ends returns the end of each partition of a topic.
func (c *Cluster) Ends(topic string) map[int32]int64 {
	c.t.Helper()
	listed, err := kadm.NewClient(c.client).ListEndOffsets(context.Background(), c.Prefix+topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		c.t.Fatalf("list the ends of %s: %v", topic, err)
	}
	m := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { m[o.Partition] = o.Offset })
	return m
}

// Committed returns what a consumer of committed records reads of a topic, to
// its end, by partition.
func (c *Cluster) Committed(topic string) map[int32][]*kgo.Record {
	c.t.Helper()
	ends := c.Ends(topic)
	client, err := kgo.NewClient(append(c.Opts(), kgo.ConsumeTopics(c.Prefix+topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	got, at := map[int32][]*kgo.Record{}, map[int32]int64{}
	for behind(at, ends) {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			c.t.Fatalf("read %s, at %v of %v: %v", topic, at, ends, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			at[r.Partition] = r.Offset + 1
			if !r.Attrs.IsControl() {
				got[r.Partition] = append(got[r.Partition], r)
			}
		})
	}
	return got
}

func behind(at, ends map[int32]int64) bool {
	for p, end := range ends {
		if at[p] < end {
			return true
		}
	}
	return false
}
