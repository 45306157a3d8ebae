// Package stream runs a task over a partitioned log, exactly once. It knows
// nothing of shops; the customer station is its first task.
//
//	events → fold → Compose → outputs ┐
//	           ⇅                      ├ one transaction, with the offsets
//	         state        profiles ───┘
//
// A [Task] decides (Advance, pure) and fills in what it decided (Compose). The
// fold is deterministic, so the log is the write-ahead log: nothing is written
// per event. A [Processor] commits outputs and offsets within milliseconds,
// applies what it folded to disk every few seconds, and flushes to the topic
// of profiles what was newer for half a minute. After a crash it folds again,
// silently, what is missing. [Replay] is the same fold without Kafka, [Table] a
// compacted topic in memory.
//
// A position is (next offset; frontier: the last wake-up that fired in the
// background). The state of a partition is a function of the log and of it. L
// is the local position, M the committed one, F the floor: every change before
// it is in profiles.
//
//  1. The clock of a partition after offset o is the highest record time up to
//     o; it never falls, and is part of the position.
//  2. A step's next wake-up lies strictly after the step.
//  3. Before a record of key c at t, c's own wake-ups due before t fire, in order,
//     at their own due time. On a tie the record comes first.
//  4. All other wake-ups fire in the background, strictly in (due, key) order,
//     only those due before the clock, a bounded number per turn. Each moves the
//     frontier. A quiet partition is given a tick when one is due.
//  5. A version record is a barrier: what is due before it fires first. Then
//     every key that an older version decided last is due at its instant; the
//     frontier is the cursor of that sweep too, so it needs no entries.
//  6. Every partition that put something out is in the transaction's offset
//     commit, with clock, version and frontier of M and of F in its metadata. A
//     position alone is committed without a transaction.
//  7. Before either commit, once the member's generation is read: fail if a
//     produce failed, or if a partition of it is not ours any more.
//  8. Only what is committed, or put nothing out since, is applied.
//  9. A partition that is assigned goes silently, with a plain reader, to the
//     greater of L and M and of the two frontiers; only then is it live. Silence
//     exists nowhere else. Live: what is below the position is passed over. The
//     live ones go on meanwhile.
//  10. Anything but nil from a commit, and every error: forget all, open a new
//     session, rule 9.
//  11. No local position, one before the log's start, or one that cannot be read:
//     profiles become the state, which stands at F; each knows the offset that it
//     is as of; rule 9. So, too, when F = M and profiles are less to read than the
//     log from L on.
//  12. What does not fit (no offset in the group, or one before what a broker said
//     to be committed, a foreign topic, a log that ends before M, another number of
//     partitions, profiles that lost records, metadata that does not parse) stops
//     the processor, which says what happened and what to do, once a second session
//     has found the same.
//  13. A graceful stop leaves L = M = F, and so does a partition that is handed to
//     another member: its next owner folds nothing again, whatever its version of
//     the fold. After a crash another version refuses, unless told to accept: then
//     it names each decision that differs from what was put out, which stays.
//  14. A step that fails is a dead letter, and the state as if it had not been
//     taken; a wake-up is dropped, so the key is woken again when it asks, or by
//     the next version. A step that ends the process is looked for by a note
//     before each, then skipped everywhere by a control record, which commits
//     repeat for as long as a position that the log reaches stands before it.
//
// Why that is exactly once: what a position has put out only grows with both
// of its parts, and for two positions the greater of each part has put out just
// what either has (no step can ask for a wake-up at or before the frontier).
// What is on disk is committed, by 8; so what 9 folds in silence is committed,
// and what is live is not.
//
// Not obvious:
//   - A panic may leave a state half changed, so all is folded again with a copy
//     of the state before that step. An error must leave it as it was.
//   - A commit that failed, says the client, may be in the log: its answer was
//     lost. Believing it would put the same out twice.
//   - The generation is read before the look at what is ours: whatever was given
//     away by then is missing, and what is given away later needs a later one. A
//     member without one is asked for nothing by the broker, so it commits nothing.
//   - The client ends a transaction without records by itself, the broker hears
//     nothing of it: hence no transaction without.
//   - While a partition leaves, the client holds its next join of the group up for
//     us; the generation stays good, so what is left is committed and flushed.
//   - A key's own wake-ups (3) do not move the frontier, and a profile restored
//     may be ahead of the position: both are why an envelope says what it is as of.
//   - How long a profile has been dirty is counted in a number per partition, not
//     in offsets, since a storm of wake-ups makes many dirty at one offset.
package stream
