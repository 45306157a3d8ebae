package stream

import (
	"context"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// compacting is a topic of profiles in which another owner flushes "ada" anew,
// and compaction takes her older record, while it is read.
type compacting struct {
	cluster
	records []*kgo.Record
	asked   int
}

func (c *compacting) Starts(context.Context, string) (map[int32]int64, error) {
	return map[int32]int64{0: 0}, nil
}

func (c *compacting) Ends(context.Context, string) (map[int32]int64, error) {
	end := c.records[len(c.records)-1].Offset + 1
	if c.asked++; c.asked == 1 {
		c.records = append(c.records[1:], &kgo.Record{Key: []byte("ada"), Offset: end})
	}
	return map[int32]int64{0: end}, nil
}

func (c *compacting) Read(_ context.Context, _ string, _ int32, from int64, take func(*kgo.Record) (bool, error)) error {
	for _, r := range c.records {
		if r.Offset < from {
			continue
		}
		if done, err := take(r); done || err != nil {
			return err
		}
	}
	return nil
}

// A restore that ended at the end it asked for first would miss the customer.
func TestRestoreMissesNobodyWhoIsFlushedMeanwhile(t *testing.T) {
	p := &Processor[toyState, string]{profiles: "profiles", cluster: &compacting{records: []*kgo.Record{
		{Key: []byte("ada"), Offset: 0}, {Key: []byte("bob"), Offset: 1}, {Key: []byte("cyd"), Offset: 2},
	}}}
	var got []string
	err := p.readProfiles(t.Context(), 0, func(r *kgo.Record) error {
		got = append(got, string(r.Key))
		return nil
	})
	if want := []string{"bob", "cyd", "ada"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}
