package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
)

// kafka is the brokers and the topic that is counted.
type kafka struct {
	seeds  []string
	prefix string
	client *kgo.Client
}

// open makes the topic events, for one load.
func open(ctx context.Context, seeds []string, prefix string, partitions int32) (*kafka, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...))
	if err != nil {
		return nil, err
	}
	k := &kafka{seeds, prefix, client}
	if _, err := kadm.NewClient(client).CreateTopic(ctx, partitions, 1, map[string]*string{"message.timestamp.type": kadm.StringPtr("LogAppendTime")}, k.topic()); err != nil {
		client.Close()
		return nil, fmt.Errorf("create %s: %w", k.topic(), err)
	}
	return k, nil
}

func (k *kafka) topic() string { return k.prefix + schemas.Events }

func (k *kafka) close(ctx context.Context) error {
	defer k.client.Close()
	_, err := kadm.NewClient(k.client).DeleteTopics(ctx, k.topic())
	return err
}

// balance compares what was answered with what Kafka holds. lost: answered 200
// and not there. twice: there more than once. An event whose call
// was not answered 200 may be there, once.
type balance struct {
	events, lost, twice, unasked int
	// open are those there although their call was not answered 200.
	open int
}

func (k *kafka) balance(ctx context.Context, s *sent) (b balance, err error) {
	there := map[string]uint8{}
	if err := k.read(ctx, func(e *schemas.Event) {
		b.events++
		if there[e.GetId()] > 0 {
			b.twice++
		}
		there[e.GetId()] = 1
	}); err != nil {
		return b, err
	}
	for id := range there {
		call, place, _ := strings.Cut(id, "/")
		code, asked := s.answered[call]
		if n, err := strconv.Atoi(place); !asked || err != nil || n >= s.events {
			b.unasked++
		}
		if code != http.StatusOK {
			b.open++
		}
	}
	for call, code := range s.answered {
		for i := range s.events {
			if code == http.StatusOK && there[call+"/"+strconv.Itoa(i)] == 0 {
				b.lost++
			}
		}
	}
	return b, nil
}

// read reads the topic to its end.
func (k *kafka) read(ctx context.Context, take func(*schemas.Event)) error {
	ends, err := kadm.NewClient(k.client).ListEndOffsets(ctx, k.topic())
	if err != nil {
		return err
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	reader, err := kgo.NewClient(kgo.SeedBrokers(k.seeds...), kgo.ConsumeTopics(k.topic()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for left > 0 {
		fetched := reader.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			return fmt.Errorf("read %s, %d events before its end: %w", k.topic(), left, err)
		}
		for _, record := range fetched.Records() {
			e := new(schemas.Event)
			if err := schemas.Decode(record.Value, e); err != nil {
				return err
			}
			take(e)
			left--
		}
	}
	return nil
}
