package ranks

import (
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protowire"

	"segue/schemas"
	"segue/schemas/playbook"
)

// population is what each customer is worth, of those who are worth anything, as
// profiles said last. Whoever is no more, or nobody any more, has a profile
// without scores.
type population struct {
	seed maphash.Seed

	mu    sync.Mutex
	worth map[uint64]int64 // in millionths, by hash of the customer
}

func newPopulation() *population {
	return &population{seed: maphash.MakeSeed(), worth: map[uint64]int64{}}
}

// take reads a record of profiles.
func (p *population) take(r *kgo.Record) error {
	worth, err := valueIn(r.Value)
	if err != nil {
		return err
	}
	who := maphash.Bytes(p.seed, r.Key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if worth < least {
		delete(p.worth, who)
	} else {
		p.worth[who] = worth
	}
	return nil
}

// spread is how many are worth how much.
func (p *population) spread() spread {
	p.mu.Lock()
	defer p.mu.Unlock()
	return spreadOf(iter.Seq[int64](maps.Values(p.worth)))
}

// scoresField is where the scores lie in a CustomerProfile.
var scoresField = (*schemas.CustomerProfile)(nil).ProtoReflect().Descriptor().Fields().ByName("scores").Number()

// valueIn returns the value that a profile shows; 0: none. It reads nothing else:
// the rest of a profile is most of it.
func valueIn(profile []byte) (int64, error) {
	for len(profile) > 0 {
		number, kind, n := protowire.ConsumeTag(profile)
		if n < 0 {
			return 0, fmt.Errorf("decode customer profile: %w", protowire.ParseError(n))
		}
		profile = profile[n:]
		if n = protowire.ConsumeFieldValue(number, kind, profile); n < 0 {
			return 0, fmt.Errorf("decode customer profile: field %d: %w", number, protowire.ParseError(n))
		}
		if number == scoresField && kind == protowire.BytesType {
			text, _ := protowire.ConsumeBytes(profile)
			var c schemas.CurrentScore
			if err := schemas.Decode(text, &c); err != nil {
				return 0, fmt.Errorf("decode a score of a customer profile: %w", err)
			}
			if c.GetScore() == playbook.Value.String() {
				return c.GetValue().GetMicros(), nil
			}
		}
		profile = profile[n:]
	}
	return 0, nil
}
