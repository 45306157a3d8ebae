package stream

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// slowly partitions records, and those without a key only when it is let go:
// until then the client has not listed the topic.
type slowly struct{ goOn chan struct{} }

func (p slowly) partition(r *kgo.Record, _ int) int {
	if r.Key == nil {
		<-p.goOn
		return -1 // nowhere
	}
	return 0
}

// What is acknowledged is committed, although the client does not see yet what it
// belongs to.
func TestCommitBeforeTheTopicIsListed(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "new"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	seeds := kgo.SeedBrokers(cluster.ListenAddrs()...)
	slow := slowly{make(chan struct{})}
	client, err := kgo.NewClient(seeds, kgo.TransactionalID("writer"), kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(
		func(string) func(*kgo.Record, int) int { return slow.partition })))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	acknowledged := make(chan error, 1)
	r := &kgo.Record{Topic: "new", Key: []byte("k"), Value: []byte("v")}
	client.Produce(ctx, r, func(_ *kgo.Record, err error) { acknowledged <- err })
	client.Produce(ctx, &kgo.Record{Topic: "new"}, nil)
	if err := <-acknowledged; err != nil {
		t.Fatal(err)
	}
	short, end := context.WithTimeout(ctx, 20*time.Millisecond)
	defer end()
	if err := CommitTransaction(short, client, r); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("CommitTransaction of what is not listed = %v, want it to wait", err)
	}
	close(slow.goOn)
	if err := CommitTransaction(ctx, client, r); err != nil {
		t.Fatal(err)
	}

	reader, err := kgo.NewClient(seeds, kgo.ConsumeTopics("new"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if first := reader.PollFetches(ctx).Records()[0]; first.Attrs.IsControl() || string(first.Value) != "v" {
		t.Errorf("committed: got %q (the mark of an abort: %t), want v", first.Value, first.Attrs.IsControl())
	}
}
