package customer

import (
	"bytes"
	"context"
	"reflect"
	"strings"
	"sync"
	"testing"

	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/profile"
)

// One task folds several partitions at a time, each with records of its own:
// versions and zones are first met by all of them at once. Each decides what it
// would alone.
func TestPartitionsFoldAtOnce(t *testing.T) {
	pb := parse(t, shop(t))
	edited := parse(t, strings.Replace(shop(t), "views.within(days(7)) >= 3", "views.within(days(1)) >= 2", 1))
	versions := shelf{pb.Version: pb, edited.Version: edited}
	alone := foldTwoDays(t, NewTask(versions, TaskOptions{Salt: "salt"}), pb.Version, edited.Version)
	if len(alone) < 10 {
		t.Fatalf("the story leads to %d outputs: too few to say anything", len(alone))
	}
	task := NewTask(versions, TaskOptions{Salt: "salt"})
	var partitions sync.WaitGroup
	for range 8 {
		partitions.Go(func() {
			if got := foldTwoDays(t, task, pb.Version, edited.Version); !reflect.DeepEqual(got, alone) {
				t.Errorf("beside others: %d outputs, alone %d, or others than those", len(got), len(alone))
			}
		})
	}
	partitions.Wait()
}

// foldTwoDays is what comes of one partition, whose profiles are written, read
// and published on the way.
func foldTwoDays(t *testing.T, task *Task, first, second string) (outputs []timed) {
	replay := stream.NewReplay(&brought{task, t}, func(at int64, _ stream.Input, o stream.Output) { outputs = append(outputs, timed{at, o}) })
	at := monday
	record := func(key string, value []byte) {
		at += 60_000
		if err := replay.Record(context.Background(), at, key, value); err != nil {
			t.Error(err)
		}
	}
	tell := func(lines ...string) {
		for _, line := range lines {
			name, _, _ := strings.Cut(line, " ")
			record(name, encoded(t, line, at))
		}
	}
	inForce := func(version string) {
		record("", schemas.Encode(&schemas.Event{Body: &schemas.Event_Playbook{Playbook: &schemas.PlaybookInForce{Version: version}}}))
	}
	inForce(first)
	tell("ada identify email=ada@example.com name=Ada zone=Europe/London", "ada subscribe", "bob identify email=bob@example.com zone=Asia/Kathmandu", "bob subscribe",
		"cem identify email=cem@example.com zone=Mars/Olympus", "cem subscribe", "anon view sku=mug", "anon cart_add sku=mug price=12.50", "bob cart_add sku=chair price=120")
	inForce(second)
	tell("anon view sku=jug", "anon becomes known=ada", "anon view sku=jug", "ada cart_add sku=mug price=12.50", "cem order total=30", "cem view sku=mug")
	if err := replay.Until(context.Background(), at+2*24*3_600_000); err != nil {
		t.Error(err)
	}
	return outputs
}

// brought takes each step on a profile that has been to disk and to the topic of
// profiles.
type brought struct {
	*Task
	t *testing.T
}

func (b *brought) Advance(p *profile.Profile, in stream.Input) ([]Decision, int64, error) {
	fold, err := b.Restore(b.Publish(in.Key, p, b.Encode(nil, p)))
	if err != nil {
		b.t.Error(err)
		return nil, 0, err
	}
	restored, err := b.Decode(fold)
	if err != nil || b.Size(restored) <= 0 || !bytes.Equal(b.Encode(nil, restored), fold) {
		b.t.Errorf("%s: brought back as another, or not: %v", in.Key, err)
		return nil, 0, err
	}
	*p = *restored
	return b.Task.Advance(p, in)
}
