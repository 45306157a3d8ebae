package stream

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// cluster is what a processor needs of Kafka; kafka.go is the real one. Calls
// come from the loop, but for Topics, Starts, Ends, Since and Read, which come from
// the goroutines that bring partitions up to date, too.
type cluster interface {
	// Join becomes a member of the group, and ends the transaction that a former
	// life of this instance left open.
	Join(ctx context.Context, a assignment) (session, error)
	// Topics looks at input and profiles.
	Topics(ctx context.Context) (topics, error)
	// Starts returns the first offset left of each partition; names are with prefix.
	Starts(ctx context.Context, topic string) (map[int32]int64, error)
	// Ends returns the end of each partition, undecided transactions included.
	Ends(ctx context.Context, topic string) (map[int32]int64, error)
	// Since returns the first offset of each partition that is stamped at or after
	// an instant, in milliseconds; its end when there is none.
	Since(ctx context.Context, topic string, at int64) (map[int32]int64, error)
	// Read hands the records of a partition on, read committed and with markers,
	// until take is done. It fails when the next one is long in coming.
	Read(ctx context.Context, topic string, partition int32, from int64, take func(*kgo.Record) (done bool, err error)) error
	// Append writes one record outside of transactions; done is called once, on
	// any goroutine, and not before Append returns.
	Append(r *kgo.Record, done func(offset int64, err error))
	Close()
}

// topics is what a processor must know of its topics.
type topics struct {
	input, profiles string // their ids: a topic made anew is another
	partitions      int    // of both
}

// assignment hears from the session, on whichever goroutine, what it owns. It
// only queues.
type assignment interface {
	// assigned: they are ours, and read nothing until Resume.
	assigned(partitions map[int32]fetched)
	// leaving: they are still ours, until given is closed, or until the session's
	// patience ends; then lost says so.
	leaving(partitions []int32) (given <-chan struct{})
	// lost: they are not ours any more. None at all: nothing is.
	lost(partitions []int32)
}

// fetched is what the group holds of a partition.
type fetched struct {
	offset   int64 // -1: nothing
	metadata string
}

// offset is what the group is to hold of a partition.
type offset struct {
	partition int32
	at        int64
	metadata  string
}

// session is a membership of the group, and a transactional producer. After
// any error it is of no use but to be closed.
type session interface {
	// Poll returns what can be read of the partitions that were resumed, at most
	// so many records; without any it waits until ctx ends. ctx nil: it does not wait.
	Poll(ctx context.Context, most int) kgo.Fetches
	// Resume reads on from here: the partition is live. What is below may come again.
	Resume(partition int32, from int64)
	Begin() error
	// Produce writes into the open transaction; done is called before Commit asks ready.
	Produce(r *kgo.Record, done func(error))
	// Commit ends the transaction, with the offsets in it. It asks ready when all
	// records are acknowledged and the member's generation was read, each time that
	// it is read: an error of ready prevents the commit. Only nil means committed.
	Commit(ctx context.Context, offsets []offset, ready func() error) error
	// Progress commits offsets of partitions that put nothing out, without a
	// transaction, fenced by the generation. Only nil means committed.
	Progress(ctx context.Context, offsets []offset, ready func() error) error
	// Close leaves the group, or, as a static member, only stops.
	Close()
}
