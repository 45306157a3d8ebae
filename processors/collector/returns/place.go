package returns

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
	"segue/schemas/link"
)

// at returns the delivery at a place; nil: it is there no more.
func (o *Office) at(ctx context.Context, place link.Return) (*schemas.Delivery, error) {
	o.looking.Lock()
	defer o.looking.Unlock()
	topic := o.Prefix + schemas.Deliveries
	only := map[string]map[int32]kgo.Offset{topic: {place.Partition: kgo.NewOffset().At(place.Offset)}}
	o.client.AddConsumePartitions(only)
	defer o.client.RemoveConsumePartitions(map[string][]int32{topic: {place.Partition}})
	for {
		fetched := o.client.PollFetches(ctx)
		for _, e := range fetched.Errors() {
			if e.Topic == topic && e.Partition == place.Partition && errors.Is(e.Err, kerr.OffsetOutOfRange) {
				return nil, nil
			}
			return nil, fmt.Errorf("read %s partition %d at offset %d: %w", topic, place.Partition, place.Offset, e.Err)
		}
		for _, r := range fetched.Records() {
			switch {
			case r.Topic != topic || r.Partition != place.Partition || r.Offset < place.Offset:
			case r.Offset > place.Offset || r.Attrs.IsControl():
				return nil, nil
			default:
				return delivery(r.Value, place), nil
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
