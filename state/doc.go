// Package state keeps on disk what a processor has folded: for each partition
// its values by key, when each key is to be woken, what is not in the topic of
// profiles yet, and the position in the log that all of this belongs to.
//
//	log → fold → state (Pebble) → profiles
//
// One database holds all partitions of a process. Keys, integers big endian:
//
//	'p' partition(4) 'm'                 position and counters; written last in a restore
//	'p' partition(4) 's' key             dirty(8) value
//	'p' partition(4) 'w' due(8) key      wake-up index: nothing
//	'p' partition(4) 'z' dirty(8) key    dirty index: nothing
//	'f'                                  format of all that, a number
//
// dirty is a number that grows by one with each key that becomes dirty (newer
// than in profiles). A value is dirty if its number is at least the counter
// Clean: cleaning those that were dirty longest moves one number and rewrites
// no value.
//
// Not obvious: nothing here waits for the disk. A batch is written with WAL but
// without sync, so a crash of the machine leaves an older, consistent state; the
// log is folded again from its position. Only Sync and Replace are durable at once.
package state
