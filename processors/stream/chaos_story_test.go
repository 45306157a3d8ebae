package stream

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// story is what happened in a world, and how often.
type story struct {
	mu     sync.Mutex
	began  time.Time
	text   bytes.Buffer
	counts map[string]int
}

func newStory() *story { return &story{began: time.Now(), counts: map[string]int{}} }

func (s *story) tell(format string, a ...any) {
	s.line([]byte(fmt.Sprintf(format, a...) + "\n"))
}

func (s *story) line(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(&s.text, "%9.4f %s", time.Since(s.began).Seconds(), b)
}

func (s *story) count(what string) { s.add(what, 1) }

func (s *story) add(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what] += n
}

// teller tells what a process logs.
type teller struct {
	s    *story
	name string
}

func (s *story) of(name string) io.Writer { return teller{s, name} }

func (t teller) Write(b []byte) (int, error) {
	t.s.line(append([]byte(t.name+": "), b...))
	return len(b), nil
}

// keepIfFailed writes all that can be known of the world to a folder.
func (s *story) keepIfFailed(c *chaos) {
	if !c.t.Failed() {
		return
	}
	dir, err := os.MkdirTemp("", fmt.Sprintf("chaos-%d-", c.seed))
	if err != nil {
		c.t.Error(err)
		return
	}
	s.mu.Lock()
	text := bytes.Clone(s.text.Bytes())
	s.mu.Unlock()
	files := map[string][]byte{"story.txt": text, "group.txt": c.textOfGroup()}
	for _, topic := range []string{"events", "profiles", "out", "dead-letters"} {
		files[topic+".txt"] = c.textOf(topic)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			c.t.Error(err)
		}
	}
	c.t.Logf("what happened is kept in %s; for another try: go test ./processors/stream -run '^TestChaos$/^%d$' -chaos %d", dir, c.seed, c.seed+1)
}

func (c *chaos) textOfGroup() []byte {
	var b bytes.Buffer
	held, err := kadm.NewClient(c.writer).FetchOffsets(context.Background(), c.Prefix+"toy")
	_, _ = fmt.Fprintf(&b, "error: %v\n", err)
	for _, o := range held.Sorted() {
		_, _ = fmt.Fprintf(&b, "%s/%d %d %s\n", o.Topic, o.Partition, o.At, o.Metadata)
	}
	if g := c.Fake.GroupInfo(c.Prefix + "toy"); g != nil {
		_, _ = fmt.Fprintf(&b, "%s, epoch %d\n", g.State, g.Epoch)
		for _, m := range g.Members {
			_, _ = fmt.Fprintf(&b, "%s %s %v\n", m.MemberID, *m.InstanceID, m.Assignment)
		}
	}
	return b.Bytes()
}

// textOf is every record of a topic, whatever became of its transaction.
func (c *chaos) textOf(topic string) []byte {
	var b bytes.Buffer
	client, err := kgo.NewClient(append(c.Opts(), kgo.ConsumeTopics(c.Prefix+topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords())...)
	if err != nil {
		return []byte(err.Error())
	}
	defer client.Close()
	at, ends := map[int32]int64{}, c.Ends(topic)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	behind := func() bool {
		for p, end := range ends {
			if at[p] < end {
				return true
			}
		}
		return false
	}
	for behind() && ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			at[r.Partition] = r.Offset + 1
			text := fmt.Sprintf("%q %.500q", r.Key, r.Value)
			if r.Attrs.IsControl() && len(r.Key) >= 4 {
				text = []string{"ABORTED", "COMMITTED"}[min(binary.BigEndian.Uint16(r.Key[2:]), 1)]
			}
			_, _ = fmt.Fprintf(&b, "%d/%d %s producer %d.%d %s\n", r.Partition, r.Offset, r.Timestamp.UTC().Format("2006-01-02T15:04:05.000"), r.ProducerID, r.ProducerEpoch, text)
		})
	}
	return b.Bytes()
}
