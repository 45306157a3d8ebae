package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
)

// embed starts a broker inside this process that keeps its log in
// kafka.embedded and listens where kafka.brokers says, with Segue's topics.
func (l *loaded) embed(ctx context.Context) (stop func(), err error) {
	dir := l.Kafka.Embedded
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded Kafka: %w", err)
	}
	lock, err := vfs.Default.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("embedded Kafka: %s is in use by another process: %w", dir, err)
	}
	if err := l.forTrying(); err != nil {
		lock.Close()
		return nil, err
	}
	_, text, _ := net.SplitHostPort(l.Kafka.Brokers[0])
	port, _ := strconv.Atoi(text) // Validate saw that both parse
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.ClusterID("segue-embedded"), kfake.DataDir(filepath.Join(dir, "kafka")))
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("embedded Kafka in %s at %s: %w", dir, l.Kafka.Brokers[0], err)
	}
	stop = func() {
		broker.Close()
		lock.Close()
	}
	l.Kafka.Brokers = broker.ListenAddrs()
	client, err := l.Kafka.client(ctx)
	if err == nil {
		defer client.Close()
		err = createTopics(ctx, kadm.NewClient(client), &l.Config, io.Discard)
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("embedded Kafka in %s: %w", dir, err)
	}
	return stop, nil
}
