package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Reached is how far a processor has come with a partition of its input, for all to see:
// what is committed.
type Reached struct {
	// Position is where it stands; nil: it never was there.
	Position *Position
	// End is the log's.
	End int64
}

// ReachedBy returns how far the processor of a name has come with each partition of
// its input, by number.
func ReachedBy(ctx context.Context, kafka []kgo.Opt, prefix, name, input string) ([]Reached, error) {
	client, err := kgo.NewClient(kafka...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	end, err := ends(ctx, client, prefix+input)
	if err != nil {
		return nil, err
	}
	held, err := heldBy(ctx, client, prefix+name, prefix+input)
	if err != nil {
		return nil, err
	}
	all := make([]Reached, len(end))
	for id := range all {
		all[id].End = end[int32(id)]
		if c, ok := held[int32(id)]; ok {
			all[id].Position = &c.M
		}
	}
	return all, nil
}

// heldBy returns what a group holds of each partition of its input that it has been
// in.
func heldBy(ctx context.Context, client *kgo.Client, group, input string) (map[int32]commit, error) {
	held, err := kadm.NewClient(client).FetchOffsets(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("ask what group %s holds: %w", group, err)
	}
	all := map[int32]commit{}
	for id, o := range held[input] {
		if o.At < 0 {
			continue
		}
		if all[id], err = decodeCommit(o.At, o.Metadata); err != nil {
			return nil, fmt.Errorf("group %s, %s partition %d: %w", group, input, id, err)
		}
	}
	return all, nil
}
