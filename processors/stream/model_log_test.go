package stream

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The broker as this package relies on it: logs, transactions and, in
// model_group_test.go, a group. One goroutine uses it; what takes time in
// Kafka (a marker that lands, a member that joins) is a step that the
// simulation chooses.

// modelRecord is what lies in a log.
type modelRecord struct {
	*kgo.Record
	txn    *modelTxn // nil: outside of transactions
	marker bool
}

// modelLog is one partition.
type modelLog struct {
	topic      string
	partition  int32
	start, end int64
	records    []modelRecord
	all        []modelRecord // those that retention and compaction took, too: for the verdict
	undecided  []undecided   // transactions whose marker has not landed here
}

type undecided struct {
	txn   *modelTxn
	first int64
}

func (l *modelLog) append(r *kgo.Record, txn *modelTxn) int64 {
	r.Topic, r.Partition, r.Offset = l.topic, l.partition, l.end
	if txn != nil && !slices.Contains(txn.logs, l) {
		txn.logs = append(txn.logs, l)
		l.undecided = append(l.undecided, undecided{txn, l.end})
	}
	l.add(modelRecord{Record: r, txn: txn})
	return r.Offset
}

// land ends a transaction in this log: from here on readers see its records,
// or that they were aborted.
func (l *modelLog) land(txn *modelTxn, at time.Time) {
	l.undecided = slices.DeleteFunc(l.undecided, func(u undecided) bool { return u.txn == txn })
	r := &kgo.Record{Topic: l.topic, Partition: l.partition, Offset: l.end, Timestamp: at, Attrs: kgo.NewRecordAttrs(kgo.RecordAttrsOpts{Transactional: true, Control: true})}
	l.add(modelRecord{Record: r, txn: txn, marker: true})
}

func (l *modelLog) add(r modelRecord) {
	l.records, l.all = append(l.records, r), append(l.all, r)
	l.end++
}

// stable is as far as read committed goes.
func (l *modelLog) stable() int64 {
	at := l.end
	for _, u := range l.undecided {
		at = min(at, u.first)
	}
	return at
}

func (r modelRecord) visible() bool {
	return r.txn == nil || r.marker || r.txn.fate == committed
}

// read returns what a reader who keeps markers sees from an offset on.
func (l *modelLog) read(from int64, most int) (seen []*kgo.Record) {
	i, _ := slices.BinarySearchFunc(l.records, from, func(r modelRecord, o int64) int { return cmp.Compare(r.Offset, o) })
	stable := l.stable()
	for ; i < len(l.records) && len(seen) < most && l.records[i].Offset < stable; i++ {
		if l.records[i].visible() {
			c := *l.records[i].Record
			seen = append(seen, &c)
		}
	}
	return seen
}

// truncate is retention.
func (l *modelLog) truncate(to int64) {
	l.start = max(l.start, min(to, l.stable()))
	l.records = slices.DeleteFunc(l.records, func(r modelRecord) bool { return r.Offset < l.start })
}

// compact keeps the last committed value of each key, up to an offset. The
// last record of a log stays, be it a marker: readers find the end by it.
func (l *modelLog) compact(upTo int64) {
	upTo = min(upTo, l.stable(), l.end-1)
	last := map[string]int64{}
	for _, r := range l.records {
		if r.Offset < upTo && !r.marker && r.visible() {
			last[string(r.Key)] = r.Offset
		}
	}
	l.records = slices.DeleteFunc(l.records, func(r modelRecord) bool {
		return r.Offset < upTo && (r.marker || !r.visible() || last[string(r.Key)] != r.Offset)
	})
}

type fate int

const (
	open fate = iota
	committed
	aborted
)

// modelTxn is a transaction. Once its end is decided, the markers land one
// partition after the other, and the offsets in it count when the group's does.
type modelTxn struct {
	id      string
	fate    fate
	since   time.Time
	logs    []*modelLog
	offsets []heldOffset
}

// modelProducer is a transactional id: one of a lower epoch is fenced.
type modelProducer struct {
	epoch int
	txn   *modelTxn // open, or decided with markers to land
}

var (
	errFenced       = errors.New("PRODUCER_FENCED")
	errConcurrent   = errors.New("CONCURRENT_TRANSACTIONS")
	errTxnState     = errors.New("INVALID_TXN_STATE")
	errGeneration   = errors.New("ILLEGAL_GENERATION")
	errMember       = errors.New("UNKNOWN_MEMBER_ID")
	errRebalancing  = errors.New("REBALANCE_IN_PROGRESS")
	errOutOfRange   = errors.New("OFFSET_OUT_OF_RANGE")
	errNoAnswer     = errors.New("the answer was lost")
	errNotDelivered = errors.New("the request was lost")
)

type modelBroker struct {
	rng       *rand.Rand
	wall      func() time.Time // stamps what is appended
	logs      map[string][]*modelLog
	places    map[string]int32 // of keys, which are costly to hash
	producers map[string]*modelProducer
	ending    []*modelTxn // decided, markers to land
	opened    []*modelTxn
	group     modelGroup
	timeout   time.Duration // of transactions
}

func newModelBroker(rng *rand.Rand, wall func() time.Time, partitions int32) *modelBroker {
	b := &modelBroker{rng: rng, wall: wall, logs: map[string][]*modelLog{}, producers: map[string]*modelProducer{}, places: map[string]int32{}, timeout: transactionTimeout}
	for topic, n := range map[string]int32{"events": partitions, "profiles": partitions, "out": partitions, "dead-letters": 1} {
		for p := range n {
			b.logs[topic] = append(b.logs[topic], &modelLog{topic: topic, partition: p})
		}
	}
	b.group = newModelGroup(b, partitions)
	return b
}

// place finds the log of a record: by its key, or as the record says.
func (b *modelBroker) place(r *kgo.Record) *modelLog {
	logs := b.logs[r.Topic]
	if len(r.Key) == 0 {
		return logs[r.Partition]
	}
	key := fmt.Sprint(len(logs), string(r.Key))
	at, known := b.places[key]
	if !known {
		at = partitionOf(string(r.Key), len(logs))
		b.places[key] = at
	}
	return logs[at]
}

// append writes outside of transactions. The topic of events is stamped by the
// broker, whose clock steps back when another becomes leader.
func (b *modelBroker) append(r *kgo.Record, txn *modelTxn) (at int64, l *modelLog) {
	if r.Topic == "events" || r.Timestamp.IsZero() {
		r.Timestamp = time.UnixMilli(b.wall().UnixMilli())
	}
	l = b.place(r)
	return l.append(r, txn), l
}

// initProducer fences the former owner of the id, and aborts what it left.
func (b *modelBroker) initProducer(id string) (epoch int, err error) {
	p := b.producers[id]
	if p == nil {
		p = new(modelProducer)
		b.producers[id] = p
	}
	if p.txn != nil {
		if p.txn.fate == open {
			p.epoch++
			b.decide(p.txn, aborted)
		}
		return 0, errConcurrent
	}
	p.epoch++
	return p.epoch, nil
}

// producer returns the id's transaction, which begins with what is first in it.
func (b *modelBroker) transaction(id string, epoch int) (*modelTxn, error) {
	p := b.producers[id]
	switch {
	case p.epoch != epoch:
		return nil, errFenced
	case p.txn == nil:
		p.txn = &modelTxn{id: id, since: time.Now()}
		b.opened = append(b.opened, p.txn)
	case p.txn.fate != open:
		return nil, errConcurrent
	}
	return p.txn, nil
}

func (b *modelBroker) produce(id string, epoch int, r *kgo.Record) error {
	txn, err := b.transaction(id, epoch)
	if err == nil {
		b.append(r, txn)
	}
	return err
}

// addOffsets is TxnOffsetCommit.
func (b *modelBroker) addOffsets(id string, epoch, member, generation int, offsets []offset) error {
	txn, err := b.transaction(id, epoch)
	if err != nil {
		return err
	}
	if err := b.group.admits(member, generation); err != nil {
		return err
	}
	for _, o := range offsets {
		txn.offsets = append(txn.offsets, b.group.number(o))
	}
	return nil
}

// endTxn decides. From here on nothing can undo it.
func (b *modelBroker) endTxn(id string, epoch int, how fate) error {
	p := b.producers[id]
	switch {
	case p.epoch != epoch:
		return errFenced
	case p.txn == nil || p.txn.fate != open:
		return errTxnState
	}
	b.decide(p.txn, how)
	return nil
}

func (b *modelBroker) decide(txn *modelTxn, how fate) {
	txn.fate = how
	b.opened = slices.DeleteFunc(b.opened, func(t *modelTxn) bool { return t == txn })
	b.ending = append(b.ending, txn)
}

// land writes one marker that is due, of any transaction and partition.
func (b *modelBroker) land() bool {
	if len(b.ending) == 0 {
		return false
	}
	txn := b.ending[b.rng.IntN(len(b.ending))]
	n := len(txn.logs)
	if len(txn.offsets) > 0 {
		n++
	}
	if n > 0 {
		i := b.rng.IntN(n)
		if i == len(txn.logs) && i > 0 && b.rng.IntN(4) > 0 {
			i-- // the group's often is the last
		}
		if i == len(txn.logs) {
			if txn.fate == committed {
				b.group.hold(txn.offsets)
			}
			txn.offsets = nil
		} else {
			txn.logs[i].land(txn, b.wall())
			txn.logs = slices.Delete(txn.logs, i, i+1)
		}
		n--
	}
	if n == 0 {
		b.ending = slices.DeleteFunc(b.ending, func(t *modelTxn) bool { return t == txn })
		if p := b.producers[txn.id]; p != nil && p.txn == txn {
			p.txn = nil
		}
	}
	return true
}

// expire aborts transactions that are open for too long, and fences their
// producers.
func (b *modelBroker) expire() {
	for _, txn := range slices.Clone(b.opened) {
		if time.Since(txn.since) > b.timeout {
			if p := b.producers[txn.id]; p != nil {
				p.epoch++
			}
			b.decide(txn, aborted)
		}
	}
}

// unstable reports whether a transaction that is not ended holds an offset of
// the partition: who asks for it has to wait.
func (b *modelBroker) unstable(partition int32) bool {
	for _, txns := range [][]*modelTxn{b.opened, b.ending} {
		for _, txn := range txns {
			for _, o := range txn.offsets {
				if o.partition == partition {
					return true
				}
			}
		}
	}
	return false
}
