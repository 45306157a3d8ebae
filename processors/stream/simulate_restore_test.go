package stream

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Who restores may not be the owner any more: the next one flushes a key again,
// beyond the end that the restore reads up to, and compaction takes the record
// below it. It must be read all the same.
func TestRestoreWhileOthersFlush(t *testing.T) {
	log := &modelLog{topic: "profiles"}
	for _, key := range []string{"ada", "bob"} {
		log.append(&kgo.Record{Key: []byte(key)}, nil)
	}
	p := &Processor[toyState, string]{cluster: &compactedCluster{log: log}, profiles: "profiles"}
	seen := map[string]bool{}
	if err := p.readProfiles(context.Background(), 0, func(r *kgo.Record) error {
		seen[string(r.Key)] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !seen["ada"] || !seen["bob"] {
		t.Errorf("restored %v, want ada and bob", seen)
	}
}

// compactedCluster flushes ada again, and compacts, when the first read begins.
// The last record of a log is never compacted: another one follows.
type compactedCluster struct {
	cluster
	log   *modelLog
	begun bool
}

func (c *compactedCluster) Starts(context.Context, string) (map[int32]int64, error) {
	return map[int32]int64{0: c.log.start}, nil
}

func (c *compactedCluster) Ends(context.Context, string) (map[int32]int64, error) {
	return map[int32]int64{0: c.log.end}, nil
}

func (c *compactedCluster) Read(_ context.Context, _ string, _ int32, from int64, take func(*kgo.Record) (bool, error)) error {
	if !c.begun {
		c.begun = true
		for _, key := range []string{"ada", "cid"} {
			c.log.append(&kgo.Record{Key: []byte(key)}, nil)
		}
		c.log.compact(c.log.end)
	}
	for _, r := range c.log.read(from, 10) {
		if done, err := take(r); done || err != nil {
			return err
		}
	}
	return nil
}
