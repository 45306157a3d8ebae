package returns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
	"segue/schemas/link"
)

// nearby is how many records may lie between places that are read in one go: it
// takes some 10 ms to go to another.
const nearby = 1000

// at returns the deliveries at places. One that is there no more is missing.
func (o *Office) at(ctx context.Context, places []link.Return) (found map[link.Return]*schemas.Delivery, err error) {
	slices.SortFunc(places, func(a, b link.Return) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	found = map[link.Return]*schemas.Delivery{}
	for len(places) > 0 {
		if places, err = o.look(ctx, places, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// look reads the first of places, and those nearby behind it; it returns the rest.
func (o *Office) look(ctx context.Context, places []link.Return, found map[link.Return]*schemas.Delivery) (rest []link.Return, err error) {
	o.looking.Lock()
	defer o.looking.Unlock()
	topic, first := o.Prefix+schemas.Deliveries, places[0]
	o.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {first.Partition: kgo.NewOffset().At(first.Offset)}})
	defer o.client.RemoveConsumePartitions(map[string][]int32{topic: {first.Partition}})
	for {
		fetched := o.client.PollFetches(ctx)
		for _, e := range fetched.Errors() {
			if e.Topic == topic && e.Partition == first.Partition && errors.Is(e.Err, kerr.OffsetOutOfRange) {
				return places[1:], nil
			}
			return nil, fmt.Errorf("read %s partition %d at offset %d: %w", topic, first.Partition, first.Offset, e.Err)
		}
		for _, r := range fetched.Records() {
			if r.Topic != topic || r.Partition != first.Partition || r.Offset < first.Offset {
				continue
			}
			for len(places) > 0 && places[0].Partition == r.Partition && places[0].Offset <= r.Offset {
				if d := delivery(r.Value, places[0]); d != nil && places[0].Offset == r.Offset && !r.Attrs.IsControl() {
					found[places[0]] = d
				}
				places = places[1:]
			}
			if len(places) == 0 || places[0].Partition != r.Partition || places[0].Offset-r.Offset > nearby {
				return places, nil
			}
		}
	}
}

// delivery reads a record; nil: it is not the delivery that the place was of.
func delivery(value []byte, place link.Return) *schemas.Delivery {
	var c schemas.DeliveryCommand
	if schemas.Decode(value, &c) != nil || c.GetSend() == nil || link.Fingerprint(c.GetSend().GetId()) != place.Print {
		return nil
	}
	return c.GetSend()
}
