package stream

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// refusals are what brokers may answer to what a processor asks.
var refusals = map[kmsg.Key][]*kerr.Error{
	kmsg.Produce: {kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.InvalidRecord,
		kerr.UnknownServerError, kerr.InvalidProducerEpoch, kerr.OutOfOrderSequenceNumber, kerr.InvalidTxnState, kerr.TransactionAbortable},
	kmsg.Fetch:           {kerr.NotLeaderForPartition, kerr.FencedLeaderEpoch, kerr.KafkaStorageError, kerr.OffsetOutOfRange, kerr.UnknownServerError},
	kmsg.ListOffsets:     {kerr.NotLeaderForPartition, kerr.UnknownServerError},
	kmsg.Metadata:        {kerr.LeaderNotAvailable},
	kmsg.FindCoordinator: {kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress},
	kmsg.OffsetFetch:     {kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.UnstableOffsetCommit, kerr.UnknownServerError},
	kmsg.InitProducerID:  {kerr.ConcurrentTransactions, kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.UnknownServerError},
	kmsg.TxnOffsetCommit: {kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.FencedInstanceID, kerr.CoordinatorLoadInProgress, kerr.RebalanceInProgress,
		kerr.InvalidTxnState, kerr.RequestTimedOut},
	kmsg.EndTxn: {kerr.UnknownServerError, kerr.TransactionAbortable, kerr.InvalidTxnState, kerr.ConcurrentTransactions, kerr.CoordinatorNotAvailable,
		kerr.InvalidProducerEpoch, kerr.ProducerFenced},
	kmsg.OffsetCommit: {kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.FencedInstanceID, kerr.CoordinatorNotAvailable, kerr.RebalanceInProgress,
		kerr.StaleMemberEpoch, kerr.RequestTimedOut},
	// Classic groups:
	kmsg.JoinGroup: {kerr.UnknownMemberID, kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.FencedInstanceID},
	kmsg.SyncGroup: {kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.NotCoordinator},
	kmsg.Heartbeat: {kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.NotCoordinator, kerr.FencedInstanceID},
	// Those whose brokers assign:
	kmsg.ConsumerGroupHeartbeat: {kerr.UnknownMemberID, kerr.FencedMemberEpoch, kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.FencedInstanceID},
	// Older brokers:
	kmsg.AddPartitionsToTxn: {kerr.ConcurrentTransactions, kerr.InvalidProducerEpoch, kerr.InvalidTxnState, kerr.CoordinatorLoadInProgress},
	kmsg.AddOffsetsToTxn:    {kerr.ConcurrentTransactions, kerr.InvalidProducerEpoch, kerr.InvalidTxnState, kerr.CoordinatorLoadInProgress},
}

// requestKeys is what is refused, in an order.
var requestKeys = func() (keys []kmsg.Key) {
	for key := range refusals {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}()

// misfortunes are what happens to a world beside deaths.
type misfortunes struct {
	*chaos
	*draws
	refused map[kmsg.Key][]*kfake.FaultHandle
	often   int // one time in so many something is refused
}

func (c *chaos) misfortunes() *misfortunes {
	m := &misfortunes{chaos: c, draws: newDraws(c.seed, "misfortunes"), refused: map[kmsg.Key][]*kfake.FaultHandle{}}
	if m.often = []int{1, 4, 15}[m.n(3)]; c.haunted {
		m.often = 100
	}
	return m
}

func (m *misfortunes) happen() {
	if m.in(m.often) {
		m.refuse()
	}
	victim := m.machines[m.n(len(m.machines))]
	switch m.n(40) {
	case 0:
		m.did("removed from the group", victim.machine.name)
		m.evict(victim.machine.name)
	case 1:
		d := m.upTo(2500 * time.Millisecond)
		m.did("cut off", victim.machine.name, d)
		victim.cutFor(d)
	case 2, 3:
		by := m.upTo(20*time.Second) - 10*time.Second
		m.did("clocks set wrong", victim.machine.name, by)
		victim.skew.Store(int64(by))
	case 5:
		m.did("leaders moved")
		m.Fake.ShufflePartitionLeaders()
	case 6:
		m.did("coordinators moved")
		m.Fake.RehashCoordinators()
	case 7, 8:
		m.did("transactions of others")
		m.collect()
	}
}

func (m *misfortunes) did(what string, how ...any) {
	m.story.count(what)
	m.story.tell("%s %v", what, how)
}

// refuse lets a broker refuse the next few requests of a kind.
func (m *misfortunes) refuse() {
	key := requestKeys[m.n(len(requestKeys))]
	err := refusals[key][m.n(len(refusals[key]))]
	times := 1 + m.n(2)
	m.story.tell("%d times %s is refused: %s", times, key.Name(), err.Message)
	resp := kmsg.ResponseForKey(key.Int16())
	m.refused[key] = append(m.refused[key], m.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: err, Count: times, TopLevel: topLevel(resp)}))
}

// topLevel reports whether the answer has an error of the request, and none of
// its parts.
func topLevel(resp kmsg.Response) bool {
	switch resp.(type) {
	case *kmsg.JoinGroupResponse, *kmsg.SyncGroupResponse, *kmsg.HeartbeatResponse, *kmsg.ConsumerGroupHeartbeatResponse,
		*kmsg.InitProducerIDResponse, *kmsg.EndTxnResponse, *kmsg.AddOffsetsToTxnResponse:
		return true
	}
	return false
}

// collect is a transaction of somebody else over the log, for a while.
func (m *misfortunes) collect() {
	client, err := kgo.NewClient(append(m.Opts(), kgo.TransactionalID("collector"), kgo.TransactionTimeout(2*time.Second), kgo.RecordPartitioner(partitioner()))...)
	if err != nil {
		m.t.Error(err)
		return
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(m.t.Context(), 5*time.Second)
	defer cancel()
	if err := client.BeginTransaction(); err != nil {
		m.story.tell("the collector cannot begin: %v", err)
		return
	}
	for range 1 + m.n(5) {
		r := &kgo.Record{Topic: m.Prefix + "events", Key: []byte{'c', '0', byte('0' + m.n(10))}, Value: []byte("cart"), Timestamp: past}
		client.Produce(ctx, r, nil)
		m.wait(m.upTo(100 * time.Millisecond))
	}
	err = client.Flush(ctx)
	end := kgo.TransactionEndTry(!m.in(3))
	if err == nil {
		err = client.EndTransaction(ctx, end)
	}
	m.story.tell("the collector ends its transaction, commit %v: %v", bool(end), err)
}

// evict takes a member out of the group. The fake lets nobody else have the
// partitions of one that only stopped, however long ago, when brokers assign.
func (c *chaos) evict(instance string) {
	if !c.nextGen {
		c.rig.evict(instance)
		return
	}
	group := c.Fake.GroupInfo(c.Prefix + "toy")
	if group == nil {
		return
	}
	for _, member := range group.Members {
		if *member.InstanceID != instance {
			continue
		}
		req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		req.Group, req.MemberID, req.InstanceID, req.MemberEpoch = c.Prefix+"toy", member.MemberID, &instance, -1
		if _, err := req.RequestWith(c.t.Context(), c.writer); err != nil {
			c.t.Errorf("evict %s: %v", instance, err)
		}
	}
}

// end lets nothing be refused any more, and the collector's transaction be over.
func (m *misfortunes) end() {
	for key, handles := range m.refused {
		for _, h := range handles {
			h.Remove()
			m.story.add("refused: "+key.Name(), h.Hits())
		}
	}
	client, err := kgo.NewClient(append(m.Opts(), kgo.TransactionalID("collector"))...)
	if err == nil {
		defer client.Close()
		_, _, err = client.ProducerID(m.t.Context())
	}
	if err != nil {
		m.t.Errorf("end what the collector left open: %v", err)
	}
}
